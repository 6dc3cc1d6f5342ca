/**
 * The history of a conversation as the items that OpenAI's Responses take for input, and as they give
 * them: messages, reasoning, calls and their outputs.
 *
 * Source: https://platform.openai.com/docs/api-reference/responses/create#responses_create-input.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Result from "effect/Result"
import { Unsupported } from "../LlmError.ts"
import * as OpenAiRequest from "./OpenAiRequest.ts"
import { option } from "./OpenAiRequest.ts"
import { type Body, type Encoded, resultText } from "./RequestParts.ts"

/**
 * The items of a conversation.
 *
 * `stored` says whether the provider keeps its own items: reasoning is then known by its id alone.
 * Otherwise only reasoning that carries its content can go back.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (messages: ReadonlyArray<Prompt.Message>, stored: boolean): Encoded<ReadonlyArray<Body>> =>
  Result.gen(function* () {
    const items: Array<Body> = []
    /** Ids of calls whose input is text: their outputs have a type of their own. */
    const custom = new Set<string>()
    for (const message of messages) {
      switch (message.role) {
        case "system":
          items.push({
            role: option(message, "role") === "developer" ? "developer" : "system",
            content: message.content
          })
          break
        case "user":
          items.push({ role: "user", content: yield* encodeContent(message.content) })
          break
        case "assistant":
          items.push(...(yield* encodeAssistant(message, stored, custom)))
          break
        case "tool":
          items.push(...(yield* encodeToolResults(message, custom)))
      }
    }
    return items
  })

const encodeContent = (parts: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>): Encoded<unknown> =>
  OpenAiRequest.content(parts, (text) => ({ type: "input_text", text }), encodeFile)

const encodeFile = (part: Prompt.FilePart): Encoded<Body> => {
  const { mediaType } = part
  const { base64, id, url } = OpenAiRequest.fileSource(part)
  if (mediaType.startsWith("image/")) {
    const detail = option(part, "imageDetail")
    return Result.succeed({
      type: "input_image",
      ...(id === undefined ? { image_url: url } : { file_id: id }),
      detail
    })
  }
  if (/^(audio|video)\//.test(mediaType)) return unsupported(`a file of type ${mediaType}`)
  if (id !== undefined) return Result.succeed({ type: "input_file", file_id: id })
  if (base64 === undefined && !url.startsWith("data:")) return Result.succeed({ type: "input_file", file_url: url })
  return Result.succeed({ type: "input_file", filename: part.fileName ?? defaultName(mediaType), file_data: url })
}

/** OpenAI reads the kind of a file from its name. */
const defaultName = (mediaType: string): string =>
  `document.${mediaType === "text/plain" ? "txt" : mediaType.replace(/^.*\//, "")}`

/**
 * Items in the order in which the model gave them. What follows from OpenAI's rule that each item of
 * reasoning must be followed by the item it led to: one that has lost it, to a cut or because the
 * provider ran that tool itself, stays behind.
 */
const encodeAssistant = (
  message: Prompt.AssistantMessage,
  stored: boolean,
  custom: Set<string>
): Encoded<ReadonlyArray<Body>> => {
  const items: Array<Body> = []
  for (const part of message.content) {
    const last = items.at(-1)
    switch (part.type) {
      case "file":
        return unsupported("a file in an assistant's message")
      case "text":
        if (last?.["role"] === "assistant") last["content"] += part.text
        else items.push({ role: "assistant", content: part.text })
        break
      case "reasoning":
        encodeReasoning(items, part)
        break
      case "tool-call":
        if (part.providerExecuted) break
        insertCall(items, encodeCall(part, custom), option(part, "after"))
        break
      // Results of tools that the provider ran, and what was asked about them.
      case "tool-result":
      case "tool-approval-request":
    }
  }
  return Result.succeed(
    items.filter((item, index) => {
      if (!isReasoning(item)) return true
      const next = items[index + 1]
      return next !== undefined && !isReasoning(next) && (stored || hasContent(item))
    })
  )
}

const isReasoning = (item: Body): boolean => item["type"] === "reasoning"

const isCall = (item: Body | undefined): boolean => item !== undefined && "call_id" in item

const hasContent = (item: Body): boolean => item["encrypted_content"] !== undefined || item["content"] !== undefined

/** The parts of one item stand side by side and have its id. Reasoning of other providers has none. */
const encodeReasoning = (items: Array<Body>, part: Prompt.ReasoningPart): void => {
  const id = option(part, "itemId")
  const encrypted = option(part, "encryptedContent")
  if (id === undefined && encrypted === undefined) return
  let item = items.at(-1)
  if (item === undefined || !isReasoning(item) || item["id"] !== id) {
    item = { type: "reasoning", id, summary: [] }
    items.push(item)
  }
  if (encrypted !== undefined) item["encrypted_content"] = encrypted
  if (part.text === "") return
  const [field, type] = option(part, "raw") === true ? ["content", "reasoning_text"] : ["summary", "summary_text"]
  item[field!] = [...((item[field!] as ReadonlyArray<unknown> | undefined) ?? []), { type, text: part.text }]
}

const encodeCall = (part: Prompt.ToolCallPart, custom: Set<string>): Body => {
  const { id, name, params } = part
  if (option(part, "custom") !== true) {
    return { type: "function_call", call_id: id, name, arguments: JSON.stringify(params) }
  }
  custom.add(id)
  return { type: "custom_tool_call", call_id: id, name, input: String(params) }
}

/** Calls are told at the end of a turn; `after` is the reasoning that one of them came from. */
const insertCall = (items: Array<Body>, call: Body, after: unknown): void => {
  let at = after === undefined ? -1 : items.findIndex((item) => isReasoning(item) && item["id"] === after)
  if (at === -1) at = items.length - 1
  do at++
  while (isCall(items[at]))
  items.splice(at, 0, call)
}

const encodeToolResults = (message: Prompt.ToolMessage, custom: ReadonlySet<string>): Encoded<ReadonlyArray<Body>> =>
  Result.gen(function* () {
    const items: Array<Body> = []
    for (const part of message.content) {
      if (part.type !== "tool-result") continue
      const withFiles = part.modelOutput?.some((part) => part.type === "file") === true
      items.push({
        type: custom.has(part.id) ? "custom_tool_call_output" : "function_call_output",
        call_id: part.id,
        output: withFiles ? yield* encodeContent(part.modelOutput!) : resultText(part)
      })
    }
    return items
  })

/**
 * What the API cannot take, and what to do instead.
 *
 * @category errors
 * @since 0.1.0
 */
export const unsupported = (
  feature: string,
  instead = 'ask through chat completions (`api: "chat"`)'
): Result.Result<never, Unsupported> =>
  Result.fail(
    new Unsupported({ message: `OpenAI's Responses cannot take ${feature}. Leave it out, or ${instead}.`, feature })
  )
