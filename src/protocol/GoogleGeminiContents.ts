/**
 * The history of a conversation as the contents that Gemini takes: turns of the user and of the model,
 * each in parts.
 *
 * Source: https://ai.google.dev/api/caching#Content.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import { InvalidRequest } from "../LlmError.ts"
import { isRecord } from "./Json.ts"
import type { Body, Encoded } from "./RequestParts.ts"

/**
 * What Gemini says in place of a signature of its own, of calls that it has not made:
 * https://ai.google.dev/gemini-api/docs/thought-signatures.
 *
 * @category constants
 * @since 0.1.0
 */
export const noSignature = "skip_thought_signature_validator"

/**
 * The contents of a conversation, without its system messages.
 *
 * `signed` says whether the model refuses calls without a signature.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (messages: ReadonlyArray<Prompt.Message>, signed: boolean): Encoded<ReadonlyArray<Body>> =>
  Result.gen(function* () {
    const contents: Array<Body> = []
    const calls = new Calls()
    let results: Array<Prompt.ToolResultPart> = []
    const turn = (role: "user" | "model", parts: ReadonlyArray<Body>): void => {
      // A turn without parts is refused.
      if (parts.length > 0) contents.push({ role, parts })
    }
    const answerCalls = function* () {
      const parts: Array<Body> = []
      for (const result of calls.inOrder(results)) parts.push(yield* encodeResult(result, calls.idOf(result.id)))
      results = []
      turn("user", parts)
    }
    for (const message of messages) {
      if (message.role === "tool") {
        for (const part of message.content) if (part.type === "tool-result") results.push(part)
        continue
      }
      yield* answerCalls()
      if (message.role === "user") turn("user", yield* encodeUser(message))
      else if (message.role === "assistant") turn("model", yield* encodeAssistant(message, signed, calls))
    }
    yield* answerCalls()
    return contents
  })

/**
 * The calls of the history. Results are matched by Gemini's id, where it gave one, and else by their
 * order, so that they go in the order of the calls, all those of a turn together.
 */
class Calls {
  private readonly places = new Map<string, number>()
  private readonly ids = new Map<string, unknown>()

  add(part: Prompt.ToolCallPart): void {
    this.places.set(part.id, this.places.size)
    this.ids.set(part.id, option(part, "id"))
  }

  /** Gemini's own id of a call. */
  idOf(id: string): unknown {
    return this.ids.get(id)
  }

  inOrder(results: ReadonlyArray<Prompt.ToolResultPart>): ReadonlyArray<Prompt.ToolResultPart> {
    const place = ({ id }: Prompt.ToolResultPart) => this.places.get(id) ?? Number.MAX_SAFE_INTEGER
    return results.toSorted((a, b) => place(a) - place(b))
  }
}

/**
 * A provider option, read under `google`.
 *
 * @category getters
 * @since 0.1.0
 */
export const option = (of: { readonly options: Prompt.ProviderOptions }, name: string): unknown => {
  const options = of.options["google"]
  return isRecord(options) ? options[name] : undefined
}

const encodeUser = (message: Prompt.UserMessage): Encoded<ReadonlyArray<Body>> => {
  const parts: Array<Body> = []
  for (const part of message.content) {
    const encoded = part.type === "text" ? Result.succeed({ text: part.text }) : encodeFile(part)
    if (Result.isFailure(encoded)) return Result.fail(encoded.failure)
    parts.push(encoded.success)
  }
  return Result.succeed(parts)
}

const encodeAssistant = (
  message: Prompt.AssistantMessage,
  signed: boolean,
  calls: Calls
): Encoded<ReadonlyArray<Body>> =>
  Result.gen(function* () {
    const parts: Array<Body> = []
    let first: Body | undefined
    for (const part of message.content) {
      switch (part.type) {
        case "text":
          if (part.text !== "") parts.push({ text: part.text })
          break
        case "file":
          parts.push(yield* encodeFile(part))
          break
        case "reasoning":
          encodeThought(parts, part)
          break
        case "tool-call": {
          if (part.providerExecuted) break
          calls.add(part)
          const functionCall = { id: option(part, "id"), name: part.name, args: part.params }
          const call: Body = { functionCall, thoughtSignature: option(part, "thoughtSignature") }
          first ??= call
          parts.push(call)
          break
        }
        // Results of tools that the provider ran, and what was asked about them.
        case "tool-result":
        case "tool-approval-request":
      }
    }
    // Of calls that are made together only the first has a signature.
    if (signed && first !== undefined) first["thoughtSignature"] ??= noSignature
    return parts
  })

/**
 * A thought, or the signature of the text before it, goes back as it came: a part with a signature is
 * not to be merged with one that has none. Thoughts that have no signature are of no use to the model,
 * and may be another's.
 */
const encodeThought = (parts: Array<Body>, part: Prompt.ReasoningPart): void => {
  const thoughtSignature = option(part, "thoughtSignature")
  if (typeof thoughtSignature !== "string") return
  const characters = option(part, "signedText")
  if (typeof characters !== "number") {
    parts.push({ text: part.text, thought: true, thoughtSignature })
    return
  }
  const last = parts.at(-1)
  const text = last?.["text"]
  if (last === undefined || typeof text !== "string" || characters === 0 || characters > text.length) {
    parts.push({ text: "", thoughtSignature })
    return
  }
  const start = text.length - characters
  if (start === 0) parts.pop()
  else last["text"] = text.slice(0, start)
  parts.push({ text: text.slice(start), thoughtSignature })
}

/**
 * A file: its content as `inlineData`, or where it is as `fileData`. Wildcards such as `image/*` are no
 * MIME types, so of a file by URI there is none then.
 */
const encodeFile = (part: Prompt.FilePart): Encoded<Body> =>
  Result.map(encodeBlob(part), (blob) => ({
    ...blob,
    videoMetadata: option(part, "videoMetadata"),
    mediaResolution: option(part, "mediaResolution")
  }))

const encodeBlob = ({ data, mediaType }: Prompt.FilePart): Encoded<Body> => {
  const known = mediaType.endsWith("/*") ? undefined : mediaType
  const inline = (data: string, type = known ?? defaults[mediaType]) =>
    type === undefined
      ? invalid(`a file needs its media type, not ${mediaType}`)
      : Result.succeed({ inlineData: { mimeType: type, data } })
  if (data instanceof Uint8Array) return inline(Base64.encode(data))
  const uri = data instanceof URL ? data.href : data
  if (uri.startsWith("data:")) {
    const comma = uri.indexOf(",")
    if (comma === -1) return invalid("a file's data URL has no comma")
    const [type, ...parameters] = uri.slice("data:".length, comma).split(";")
    const content = uri.slice(comma + 1)
    if (parameters.at(-1)?.trim() === "base64") return inline(content, known ?? (type || undefined))
    try {
      return inline(Base64.encode(decodeURIComponent(content)), known ?? (type || undefined))
    } catch {
      return invalid("a file's data URL is not well-formed")
    }
  }
  return /^[a-z][a-z\d+.-]*:\/\//i.test(uri)
    ? Result.succeed({ fileData: { mimeType: known, fileUri: uri } })
    : inline(uri)
}

const defaults: Readonly<Record<string, string>> = { "image/*": "image/jpeg" }

const invalid = (message: string) => Result.fail(new InvalidRequest({ message: `${message}.` }))

/** `output` and `error` are the keys under which the model looks for a function's result. */
const encodeResult = (part: Prompt.ToolResultPart, id: unknown): Encoded<Body> =>
  Result.gen(function* () {
    const texts: Array<string> = []
    const files: Array<Body> = []
    for (const output of part.modelOutput ?? []) {
      if (output.type === "text") texts.push(output.text)
      else files.push(yield* encodeBlob(output))
    }
    const result = part.modelOutput === undefined ? (part.result ?? null) : texts.join("\n")
    return {
      functionResponse: {
        id,
        name: part.name,
        response: part.isFailure ? { error: result } : { output: result },
        parts: files.length === 0 ? undefined : files
      }
    }
  })
