/**
 * The request by which an answer that was cut off is gone on with.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Predicate from "effect/Predicate"
import type { Llm } from "../../Llm.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import { Seam } from "./Seam.ts"

export type Prefill = NonNullable<Llm["Service"]["prefill"]>

export interface GoingOn {
  readonly request: LlmRequest
  readonly seam: () => Seam
}

/** What a model that cannot be given the beginning of its answer is told after it. */
export const plea =
  "Your answer was cut off by a technical failure. Go on exactly where it stopped, in the middle of a word if " +
  "need be. Repeat nothing of it, and say nothing about the interruption."

/** Whether an answer in this form has a middle that one can go on from: JSON that is asked for begins anew. */
export const mayGoOn = ({ responseFormat }: LlmRequest): boolean =>
  responseFormat === undefined || responseFormat.type === "text"

/** Asks a model to go on from a text, which is not empty. */
export const from = (text: string, request: LlmRequest, prefill: Prefill | undefined): GoingOn => {
  // White space alone says nothing to go on from, and providers refuse it.
  if (text.trim() === "") return { request, seam: () => new Seam(text, "message", text.length) }
  // Half of a character cannot be sent.
  const whole = isHalf(text.charCodeAt(text.length - 1)) ? text.slice(0, -1) : text
  const history = Prompt.make(request.prompt).content
  // A prefix that ends with white space is refused by Anthropic, and makes any model go astray.
  const prefix = whole.trimEnd()
  const prefilled = prefill?.({ ...request, prompt: Prompt.fromMessages(withAnswer(history, prefix)) })
  if (prefilled !== undefined)
    return { request: prefilled, seam: () => new Seam(text, "prefill", text.length - prefix.length) }
  const plead = Prompt.userMessage({ content: [Prompt.textPart({ text: plea })] })
  return {
    request: { ...request, prompt: Prompt.fromMessages([...withAnswer(history, whole), plead]) },
    seam: () => new Seam(text, "message", text.length - whole.length)
  }
}

/** The history and the beginning of the answer, which the history itself may have begun. */
const withAnswer = (history: ReadonlyArray<Prompt.Message>, text: string): ReadonlyArray<Prompt.Message> => {
  const last = history.at(-1)
  if (last?.role !== "assistant") {
    return [...history, Prompt.assistantMessage({ content: [Prompt.textPart({ text })] })]
  }
  const part = last.content.at(-1)
  const content =
    part?.type === "text"
      ? [...last.content.slice(0, -1), Prompt.textPart({ text: part.text + text, options: part.options })]
      : [...last.content, Prompt.textPart({ text })]
  return [...history.slice(0, -1), Prompt.assistantMessage({ content, options: last.options })]
}

const isHalf = (code: number): boolean => code >= 0xd800 && code <= 0xdbff

/** A request that can be sent several times: messages may be given as an iterable that can be read once. */
export const replayable = (request: LlmRequest): LlmRequest => {
  const { prompt } = request
  return Predicate.isIterable(prompt) && typeof prompt !== "string" && !Array.isArray(prompt)
    ? { ...request, prompt: Array.from(prompt) }
    : request
}
