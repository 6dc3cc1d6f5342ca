/**
 * Prompts and answers in the form that the conventions give them on a span: JSON, of
 * https://github.com/open-telemetry/semantic-conventions-genai/tree/main/docs/gen-ai
 * (`gen-ai-input-messages.json`, `gen-ai-output-messages.json`, `gen-ai-system-instructions.json`).
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Result from "effect/Result"
import type { FinishReason } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import type { LlmResponse } from "../../LlmResponse.ts"

/** The conversation. A prompt that is not one is told by the failure of the request. */
export const input = (request: LlmRequest.LlmRequest): Record<string, unknown> => {
  const { system, ...rest } = request
  const messages = LlmRequest.messages(rest)
  return {
    ...(Result.isSuccess(messages)
      ? { "gen_ai.input.messages": JSON.stringify(messages.success.map((message) => messageOf(message))) }
      : undefined),
    ...(system === undefined
      ? undefined
      : { "gen_ai.system_instructions": JSON.stringify([{ type: "text", content: system }]) })
  }
}

/** The answer, or what came of it. */
export const output = (response: LlmResponse, reason: FinishReason | "error"): Record<string, unknown> => {
  const parts: Array<unknown> = partsOf(response.toMessage)
  // The conventions have no part for a refusal, and what the model said is text.
  if (response.refusal !== "") parts.push({ type: "text", content: response.refusal })
  return {
    "gen_ai.output.messages": JSON.stringify([
      { role: "assistant", parts, finish_reason: reason === "error" ? "error" : finishReason(reason) }
    ])
  }
}

/** The answer of an agent. */
export const answer = (content: string): Record<string, unknown> => ({
  "gen_ai.output.messages": JSON.stringify([
    { role: "assistant", parts: [{ type: "text", content }], finish_reason: "stop" }
  ])
})

/** A reason by the conventions' names. */
export const finishReason = (reason: FinishReason): string =>
  reason === "tool-calls" ? "tool_call" : reason === "content-filter" ? "content_filter" : reason

const messageOf = (message: Prompt.Message): unknown => ({ role: message.role, parts: partsOf(message) })

const partsOf = (message: Prompt.Message): Array<unknown> =>
  message.role === "system" ? [{ type: "text", content: message.content }] : message.content.map((part) => partOf(part))

const partOf = (part: Prompt.Part): unknown => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return { type: part.type, content: part.text }
    case "tool-call":
      return { type: "tool_call", id: part.id, name: part.name, arguments: part.params }
    case "tool-result":
      return { type: "tool_call_response", id: part.id, response: part.result }
    case "file":
      return fileOf(part)
    default:
      return { type: part.type }
  }
}

/** Files are named; their bytes are left out, since spans are no place for them. */
const fileOf = ({ data, mediaType }: Prompt.FilePart): unknown => {
  const [kind] = mediaType.split("/")
  const modality = kind === "image" || kind === "video" || kind === "audio" ? kind : "document"
  return data instanceof URL
    ? { type: "uri", modality, mime_type: mediaType, uri: data.href }
    : { type: "blob", modality, mime_type: mediaType, content: "" }
}
