/**
 * The request by which an answer that was cut off is gone on with.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Predicate from "effect/Predicate"
import type { Llm } from "../../Llm.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import { type Ask, Seam } from "./Seam.ts"

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

/**
 * Asks a model to go on from the text of an answer, which is not empty. `undefined` where the answer itself
 * was to go on from another, and has not come further than what may be a repetition of that one.
 */
export const from = (answer: string, request: LlmRequest, prefill: Prefill | undefined): GoingOn | undefined => {
  const begun = beginningIn(Prompt.make(request.prompt).content)
  const text = joined(begun, answer)
  if (text === undefined) return undefined
  // White space alone says nothing to go on from, and providers refuse it.
  if (text.trim() === "") return { request, seam: () => new Seam(text, "message", text.length) }
  // Half of a character cannot be sent.
  const whole = isHalf(text.charCodeAt(text.length - 1)) ? text.slice(0, -1) : text
  // A prefix that ends with white space is refused by Anthropic, and leads any model astray.
  const prefix = whole.trimEnd()
  const prefilled = prefill?.({ ...request, prompt: Prompt.fromMessages(withAnswer(begun, prefix)) })
  if (prefilled !== undefined) {
    return { request: prefilled, seam: () => new Seam(text, "prefill", text.length - prefix.length) }
  }
  const asking = Prompt.userMessage({ content: [Prompt.textPart({ text: plea })] })
  return {
    request: { ...request, prompt: Prompt.fromMessages([...withAnswer(begun, whole), asking]) },
    seam: () => new Seam(text, "message", text.length - whole.length)
  }
}

/** A history whose answer has been begun, by its author or by a policy over this one. */
interface Begun {
  readonly history: ReadonlyArray<Prompt.Message>
  /** The message that is to be gone on with, less the text at its end. */
  readonly message: Prompt.AssistantMessage | undefined
  readonly text: string
  readonly ask: Ask
}

const beginningIn = (history: ReadonlyArray<Prompt.Message>): Begun => {
  const last = history.at(-1)
  const before = history.at(-2)
  if (last?.role === "assistant") return begunWith(history.slice(0, -1), last, "prefill")
  if (before?.role === "assistant" && isPlea(last)) return begunWith(history.slice(0, -2), before, "message")
  return { history, message: undefined, text: "", ask: "message" }
}

const begunWith = (history: Begun["history"], message: Prompt.AssistantMessage, ask: Ask): Begun => {
  const part = message.content.at(-1)
  return part?.type === "text"
    ? {
        history,
        message: Prompt.assistantMessage({ content: message.content.slice(0, -1), options: message.options }),
        text: part.text,
        ask
      }
    : { history, message, text: "", ask }
}

const isPlea = (message: Prompt.Message | undefined): boolean =>
  message?.role === "user" &&
  message.content.length === 1 &&
  message.content[0]!.type === "text" &&
  message.content[0]!.text === plea

/** All of the answer: what was begun, and what has come of the rest, which may repeat it. */
const joined = ({ ask, text }: Begun, answer: string): string | undefined => {
  if (text === "") return answer
  const rest = new Seam(text, ask, 0).push(answer)
  return rest === undefined ? undefined : text + rest
}

const withAnswer = ({ history, message }: Begun, text: string): ReadonlyArray<Prompt.Message> => [
  ...history,
  Prompt.assistantMessage({
    content: [...(message?.content ?? []), Prompt.textPart({ text })],
    ...(message === undefined ? undefined : { options: message.options })
  })
]

const isHalf = (code: number): boolean => code >= 0xd800 && code <= 0xdbff

/** A request that can be sent several times: messages may be given as an iterable that can be read once. */
export const replayable = (request: LlmRequest): LlmRequest => {
  const { prompt } = request
  return Predicate.isIterable(prompt) && typeof prompt !== "string" && !Array.isArray(prompt)
    ? { ...request, prompt: Array.from(prompt) }
    : request
}
