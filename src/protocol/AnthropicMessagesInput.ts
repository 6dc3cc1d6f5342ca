/**
 * The history of a conversation as Anthropic's Messages take it: instructions apart, then messages of
 * the user and the assistant in turns, each a list of blocks.
 *
 * Source: https://platform.claude.com/docs/en/api/messages/create.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { Unsupported } from "../LlmError.ts"
import { isRecord, records } from "./Json.ts"
import { type Body, type Encoded, resultText } from "./RequestParts.ts"

/**
 * A conversation as the body has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Input {
  readonly system: unknown
  readonly messages: ReadonlyArray<Body>
}

/**
 * Encodes the messages of a conversation.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (messages: ReadonlyArray<Prompt.Message>): Encoded<Input> => {
  const system: Array<Body> = []
  const turns: Array<Turn> = []
  for (const message of messages) {
    if (message.role !== "system") {
      const blocks = encodeMessage(message)
      if (Result.isFailure(blocks)) return Result.fail(blocks.failure)
      add(turns, message.role === "assistant" ? "assistant" : "user", blocks.success)
      continue
    }
    const blocks = textBlocks(message.content, message)
    // What stands before the first message has its place in the field, whatever it says.
    if (option(message, "inPlace") === true && turns.length > 0) add(turns, "system", blocks)
    else system.push(...blocks)
  }
  const last = turns.at(-1)
  if (last?.role === "assistant") trimEnd(last.content)
  return Result.succeed({
    system: system.length === 0 ? undefined : content(system),
    messages: turns.map((turn) => ({ role: turn.role, content: content(inOrder(turn)) }))
  })
}

/**
 * A provider option, read under `anthropic`.
 *
 * @category getters
 * @since 0.1.0
 */
export const option = (of: { readonly options: Prompt.ProviderOptions }, name: string): unknown => {
  const options = of.options["anthropic"]
  return isRecord(options) ? options[name] : undefined
}

interface Turn {
  readonly role: "user" | "assistant" | "system"
  readonly content: Array<Body>
}

/** Adds to the turn that is open, so that no two of one side follow each other. */
const add = (turns: Array<Turn>, role: Turn["role"], blocks: ReadonlyArray<Body>): void => {
  if (blocks.length === 0) return
  const last = turns.at(-1)
  if (last?.role === role) last.content.push(...blocks)
  else turns.push({ role, content: [...blocks] })
}

/** Results come first in a user's message: the API wants them directly after the calls. */
const inOrder = ({ content, role }: Turn): ReadonlyArray<Body> =>
  role === "user" ? [...content.filter(isResult), ...content.filter((block) => !isResult(block))] : content

const isResult = (block: Body): boolean => block["type"] === "tool_result"

/** Plain text is sent as a string, as the documentation does. */
const content = (blocks: ReadonlyArray<Body>): unknown => {
  const [first, ...others] = blocks
  const isPlain = others.length === 0 && first?.["type"] === "text" && first["cache_control"] === undefined
  return isPlain ? first["text"] : blocks
}

/** The API refuses white space at the end of words that the model is to go on from. */
const trimEnd = (blocks: Array<Body>): void => {
  const last = blocks.at(-1)
  if (last !== undefined && typeof last["text"] === "string") {
    blocks[blocks.length - 1] = { ...last, text: last["text"].trimEnd() }
  }
}

/** The API refuses text without a visible character. */
const textBlocks = (text: string, of: { readonly options: Prompt.ProviderOptions }): ReadonlyArray<Body> =>
  text.trim() === "" ? [] : [{ type: "text", text, cache_control: cacheControl(of) }]

/** `true` is Anthropic's default, of five minutes; an object goes as it is. */
const cacheControl = (of: { readonly options: Prompt.ProviderOptions }): unknown => {
  const mark = option(of, "cacheControl")
  return mark === true ? { type: "ephemeral" } : isRecord(mark) ? mark : undefined
}

const encodeMessage = (message: Exclude<Prompt.Message, Prompt.SystemMessage>): Encoded<ReadonlyArray<Body>> => {
  const encoded: Encoded<ReadonlyArray<Body>> =
    message.role === "user"
      ? encodeParts(message.content)
      : message.role === "assistant"
        ? encodeAssistant(message)
        : encodeResults(message)
  const mark = cacheControl(message)
  if (mark === undefined) return encoded
  return Result.map(encoded, (blocks) => {
    // Thinking cannot be marked; it is cached with what comes after it.
    const at = blocks.findLastIndex((block) => !isThinking(block))
    if (at === -1) return blocks
    return blocks.with(at, { ...blocks[at], cache_control: blocks[at]!["cache_control"] ?? mark })
  })
}

const isThinking = (block: Body): boolean => block["type"] === "thinking" || block["type"] === "redacted_thinking"

const encodeParts = (parts: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>): Encoded<Array<Body>> => {
  const blocks: Array<Body> = []
  for (const part of parts) {
    if (part.type === "text") {
      blocks.push(...textBlocks(part.text, part))
      continue
    }
    const file = encodeFile(part)
    if (Result.isFailure(file)) return Result.fail(file.failure)
    blocks.push(file.success)
  }
  return Result.succeed(blocks)
}

// -----------------------------------------------------------------------------
// files
// -----------------------------------------------------------------------------

const encodeFile = (part: Prompt.FilePart): Encoded<Body> => {
  const { mediaType } = part
  const cache_control = cacheControl(part)
  const source = sourceOf(part)
  if (mediaType.startsWith("image/")) {
    if (source.type === "base64" && mediaType !== "image/*" && !images.has(mediaType)) {
      return unsupported(`a file of type ${mediaType}`, "send the image as JPEG, PNG, GIF or WebP")
    }
    const media_type = mediaType === "image/*" ? "image/jpeg" : mediaType
    return Result.succeed({
      type: "image",
      source: source.type === "base64" ? { ...source, media_type } : source,
      cache_control
    })
  }
  const document = (source: Body) => {
    const citations = option(part, "citations")
    return Result.succeed({
      type: "document",
      source,
      title: option(part, "title") ?? part.fileName,
      context: option(part, "context"),
      citations: typeof citations === "boolean" ? { enabled: citations } : citations,
      cache_control
    })
  }
  if (mediaType === "application/pdf") {
    return document(source.type === "base64" ? { ...source, media_type: mediaType } : source)
  }
  if (mediaType.startsWith("text/") || mediaType === "application/json") {
    if (source.type === "url") return unsupported("a text file by URL", "fetch it and send its text")
    return document(source.type === "file" ? source : { type: "text", media_type: "text/plain", data: textOf(part) })
  }
  if (source.type === "file") {
    return Result.succeed({ type: "container_upload", file_id: source.file_id, cache_control })
  }
  return unsupported(`a file of type ${mediaType}`, "upload it and send its id, for the code execution tool to read")
}

const images: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"])

type Source =
  | { readonly type: "base64"; readonly data: string }
  | { readonly type: "url"; readonly url: string }
  | { readonly type: "file"; readonly file_id: string }

/** An underscore is not of base64's alphabet. */
const sourceOf = ({ data }: Prompt.FilePart): Source => {
  if (data instanceof Uint8Array) return { type: "base64", data: Base64.encode(data) }
  const text = data instanceof URL ? data.href : data
  if (/^https?:/.test(text)) return { type: "url", url: text }
  if (text.startsWith("file_")) return { type: "file", file_id: text }
  const dataUrl = /^data:[^,]*?(;base64)?,(.*)$/s.exec(text)
  if (dataUrl === null) return { type: "base64", data: text }
  return { type: "base64", data: dataUrl[1] === undefined ? Base64.encode(unescaped(dataUrl[2]!)) : dataUrl[2]! }
}

const unescaped = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What is not base64 is the text itself. */
const textOf = (part: Prompt.FilePart): string => {
  const source = sourceOf(part)
  if (source.type !== "base64") return ""
  return Result.getOrElse(Base64.decodeString(source.data), () => source.data)
}

// -----------------------------------------------------------------------------
// answers
// -----------------------------------------------------------------------------

/**
 * The blocks of an answer in the order in which the model gave them. Thinking goes back only with the
 * signature that Anthropic gave it.
 */
const encodeAssistant = (message: Prompt.AssistantMessage): Encoded<Array<Body>> => {
  const blocks: Array<Body> = []
  const thinking: Array<Body> = []
  const kept = [...records(option(message, "blocks"))]
  let characters = 0
  /** Adds what the provider's own tools did next, if it was up to here. */
  const insertKept = (): boolean => {
    const [next] = kept
    if (next === undefined || !isRecord(next["block"])) return false
    if (Number(next["thinking"]) > thinking.length || Number(next["text"]) > characters) return false
    blocks.push(next["block"])
    kept.shift()
    return true
  }
  for (const part of message.content) {
    switch (part.type) {
      case "file":
        return unsupported("a file in an assistant's message", "send it in a user's message")
      case "text": {
        let rest = part.text
        while (kept.length > 0 && Number(kept[0]!["text"]) < characters + rest.length) {
          const cut = Math.max(0, Number(kept[0]!["text"]) - characters)
          blocks.push(...textBlocks(rest.slice(0, cut), part))
          characters += cut
          rest = rest.slice(cut)
          if (!insertKept()) break
        }
        blocks.push(...textBlocks(rest, part))
        characters += rest.length
        break
      }
      case "reasoning": {
        const block = encodeThinking(part)
        if (block === undefined) break
        while (insertKept());
        thinking.push(block)
        blocks.push(block)
        break
      }
      case "tool-call": {
        if (part.providerExecuted) break
        while (insertKept());
        const before = thinking[Number(option(part, "before"))]
        blocks.splice(before === undefined ? blocks.length : blocks.indexOf(before), 0, encodeCall(part))
        break
      }
      // What tools of the provider gave, and what was asked about them.
      case "tool-result":
      case "tool-approval-request":
    }
  }
  blocks.push(...kept.map(({ block }) => block).filter(isRecord))
  return Result.succeed(blocks)
}

const encodeThinking = (part: Prompt.ReasoningPart): Body | undefined => {
  const data = option(part, "redactedData")
  if (data !== undefined) return { type: "redacted_thinking", data }
  const signature = option(part, "signature")
  return signature === undefined
    ? undefined
    : { type: "thinking", thinking: option(part, "thinking") ?? part.text, signature }
}

const encodeCall = (part: Prompt.ToolCallPart): Body => ({
  type: "tool_use",
  id: callId(part.id),
  name: part.name,
  // The API takes objects alone. This is how its documentation hands back what is not JSON.
  input: isRecord(part.params) ? part.params : { INVALID_JSON: part.params },
  caller: option(part, "caller"),
  cache_control: cacheControl(part)
})

/** Ids of other providers have characters that the API refuses. */
const callId = (id: string): string => id.replace(/[^\w-]/g, "_")

const encodeResults = (message: Prompt.ToolMessage): Encoded<Array<Body>> =>
  Result.gen(function* () {
    const blocks: Array<Body> = []
    for (const part of message.content) {
      if (part.type !== "tool-result" || part.providerExecuted) continue
      const output = part.modelOutput === undefined ? undefined : yield* encodeParts(part.modelOutput)
      const content = output ?? resultText(part)
      blocks.push({
        type: "tool_result",
        tool_use_id: callId(part.id),
        content: content.length === 0 ? undefined : content,
        is_error: part.isFailure ? true : undefined,
        cache_control: cacheControl(part)
      })
    }
    return blocks
  })

/**
 * What the API cannot take, and what to do instead.
 *
 * @category errors
 * @since 0.1.0
 */
export const unsupported = (feature: string, instead: string): Result.Result<never, Unsupported> =>
  Result.fail(
    new Unsupported({
      message: `Anthropic's Messages cannot take ${feature}. Leave it out, or ${instead}.`,
      feature
    })
  )
