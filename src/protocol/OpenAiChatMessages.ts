/**
 * The messages of a request of chat completions.
 *
 * Source: https://platform.openai.com/docs/api-reference/chat/create.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Result from "effect/Result"
import { Unsupported } from "../LlmError.ts"
import { isRecord } from "./Json.ts"
import type { Deviations } from "./OpenAiChatDeviations.ts"
import * as OpenAiRequest from "./OpenAiRequest.ts"
import { option } from "./OpenAiRequest.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"

/**
 * The messages of a prompt.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (prompt: ReadonlyArray<Prompt.Message>, deviations: Deviations): Encoded<ReadonlyArray<Body>> => {
  const messages: Array<Body> = []
  for (const message of prompt) {
    if (deviations.unsupported?.includes("name") && option(message, "name") !== undefined) {
      return unsupported("the name of a message")
    }
    const encoded = encodeMessage(message, deviations)
    if (Result.isFailure(encoded)) return encoded
    messages.push(...encoded.success)
  }
  return Result.succeed(messages)
}

const encodeMessage = (message: Prompt.Message, deviations: Deviations): Encoded<ReadonlyArray<Body>> => {
  switch (message.role) {
    case "system": {
      const isDeveloper = option(message, "role") === "developer" && deviations.developerRole !== false
      return Result.succeed([{ role: isDeveloper ? "developer" : "system", content: message.content }])
    }
    case "user":
      return Result.map(OpenAiRequest.content(message.content, textPart, encodeFile), (content) => [
        { role: "user", name: option(message, "name"), content }
      ])
    case "assistant":
      return encodeAssistant(message, deviations)
    case "tool":
      return encodeToolResults(message)
  }
}

const encodeAssistant = (message: Prompt.AssistantMessage, { history }: Deviations): Encoded<ReadonlyArray<Body>> => {
  const texts: Array<string> = []
  const thoughts: Array<string> = []
  const calls: Array<Body> = []
  for (const part of message.content) {
    if (part.type === "text") texts.push(part.text)
    else if (part.type === "reasoning") thoughts.push(part.text)
    else if (part.type === "file") return unsupported("a file in an assistant's message")
    else if (part.type === "tool-call" && !part.providerExecuted) {
      calls.push({
        id: part.id,
        type: "function",
        function: { name: part.name, arguments: JSON.stringify(part.params) }
      })
    }
  }
  const text = texts.join("")
  const reasoning = thoughts.join("")
  return Result.succeed([
    {
      role: "assistant",
      name: option(message, "name"),
      content:
        history === "thinking" && reasoning !== ""
          ? [{ type: "thinking", thinking: [textPart(reasoning)] }, ...(text === "" ? [] : [textPart(text)])]
          : texts.length === 0
            ? calls.length === 0
              ? ""
              : null
            : text,
      // Beside calls alone: elsewhere it is not read again, and counts as input.
      ...(history?.startsWith("reasoning") && history !== "reasoning_details" && calls.length > 0 && reasoning !== ""
        ? { [history]: reasoning }
        : undefined),
      ...(history === "reasoning_details" ? { reasoning_details: reasoningDetails(message) } : undefined),
      tool_calls: calls.length === 0 ? undefined : calls
    }
  ])
}

/** As the decoder has them from the answer. */
const reasoningDetails = (message: Prompt.AssistantMessage): unknown => {
  const options = message.options["openrouter"]
  return isRecord(options) ? options["reasoning_details"] : undefined
}

const encodeToolResults = (message: Prompt.ToolMessage): Encoded<ReadonlyArray<Body>> => {
  const results: Array<Body> = []
  for (const part of message.content) {
    if (part.type !== "tool-result") continue
    if (part.modelOutput?.some((part) => part.type === "file")) return unsupported("a file in a tool's result")
    results.push({ role: "tool", tool_call_id: part.id, content: RequestParts.resultText(part) })
  }
  return Result.succeed(results)
}

const textPart = (text: string): Body => ({ type: "text", text })

const encodeFile = (part: Prompt.FilePart): Encoded<Body> => {
  const { mediaType } = part
  const { base64, id, url } = OpenAiRequest.fileSource(part)
  if (mediaType.startsWith("image/")) {
    return Result.succeed({ type: "image_url", image_url: { url, detail: option(part, "imageDetail") } })
  }
  const audio = audioFormats[mediaType]
  if (audio !== undefined) {
    if (base64 === undefined) return unsupported("audio by URL")
    return Result.succeed({ type: "input_audio", input_audio: { data: base64, format: audio } })
  }
  if (mediaType === "application/pdf") {
    if (id !== undefined) return Result.succeed({ type: "file", file: { file_id: id } })
    if (!url.startsWith("data:")) return unsupported("a PDF by URL")
    return Result.succeed({ type: "file", file: { filename: part.fileName ?? "document.pdf", file_data: url } })
  }
  return unsupported(`a file of type ${mediaType}`)
}

const audioFormats: Readonly<Record<string, string>> = {
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/mp3": "mp3",
  "audio/mpeg": "mp3"
}

/**
 * What chat completions, or those of one server, cannot take, and what to do about it.
 *
 * @category errors
 * @since 0.1.0
 */
export const unsupported = (
  feature: string,
  advice = "Leave it out, or use another provider."
): Result.Result<never, Unsupported> =>
  Result.fail(
    new Unsupported({ message: `the provider's chat completions cannot take ${feature}. ${advice}`, feature })
  )
