/**
 * The messages of a conversation as Ollama's chat API takes them.
 *
 * Source: https://docs.ollama.com/api/chat.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { Unsupported } from "../LlmError.ts"
import { isRecord, text } from "./Json.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"

/**
 * A message as Ollama takes it; of results of tools, each is a message of its own.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (message: Prompt.Message): Encoded<ReadonlyArray<Body>> => {
  switch (message.role) {
    case "system":
      return Result.succeed([{ role: "system", content: message.content }])
    case "user":
      return encodeUser(message)
    case "assistant":
      return encodeAssistant(message)
    case "tool":
      return encodeToolResults(message)
  }
}

const encodeUser = (message: Prompt.UserMessage): Encoded<ReadonlyArray<Body>> => {
  const texts: Array<string> = []
  const images: Array<string> = []
  for (const part of message.content) {
    if (part.type === "text") {
      texts.push(part.text)
      continue
    }
    const image = encodeImage(part)
    if (Result.isFailure(image)) return Result.fail(image.failure)
    images.push(image.success)
  }
  return Result.succeed([{ role: "user", content: texts.join("\n"), images: images.length === 0 ? undefined : images }])
}

const encodeImage = ({ data, mediaType }: Prompt.FilePart): Encoded<string> => {
  if (!mediaType.startsWith("image/")) return unsupported(`a file of type ${mediaType}`, "Leave it out.")
  if (data instanceof Uint8Array) return Result.succeed(Base64.encode(data))
  const source = data instanceof URL ? data.href : data
  const inline = /^data:[^,]*;base64,/.exec(source)
  if (inline !== null) return Result.succeed(source.slice(inline[0].length))
  return /^[a-z]+:/i.test(source)
    ? unsupported("an image by URL", "Fetch it and give its bytes.")
    : Result.succeed(source)
}

const encodeAssistant = (message: Prompt.AssistantMessage): Encoded<ReadonlyArray<Body>> => {
  const texts: Array<string> = []
  const thinking: Array<string> = []
  const calls: Array<Body> = []
  for (const part of message.content) {
    if (part.type === "text") texts.push(part.text)
    else if (part.type === "reasoning") thinking.push(part.text)
    else if (part.type === "file") return unsupported("a file in an assistant's message", "Leave it out.")
    else if (part.type === "tool-call" && !part.providerExecuted) {
      calls.push({
        id: part.id,
        type: "function",
        // Ollama reads an object and nothing else: what another model wrote instead is put into one.
        function: { name: part.name, arguments: isRecord(part.params) ? part.params : { input: part.params } }
      })
    }
  }
  return Result.succeed([
    {
      role: "assistant",
      content: texts.join(""),
      thinking: text(thinking.join("")),
      tool_calls: calls.length === 0 ? undefined : calls
    }
  ])
}

/** Results are told apart by `tool_name`, and by `tool_call_id` where the server is new enough to know it. */
const encodeToolResults = (message: Prompt.ToolMessage): Encoded<ReadonlyArray<Body>> => {
  const results: Array<Body> = []
  for (const part of message.content) {
    if (part.type !== "tool-result") continue
    if (part.modelOutput?.some((part) => part.type === "file")) {
      return unsupported("a file in a tool's result", "Give it as text.")
    }
    results.push({
      role: "tool",
      tool_name: part.name,
      tool_call_id: part.id,
      content: RequestParts.resultText(part)
    })
  }
  return Result.succeed(results)
}

/**
 * What Ollama cannot take, and what to do instead.
 *
 * @category encoding
 * @since 0.1.0
 */
export const unsupported = (feature: string, advice: string) =>
  Result.fail(new Unsupported({ message: `Ollama cannot take ${feature}. ${advice}`, feature }))
