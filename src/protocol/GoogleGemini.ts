/**
 * Google's Gemini, as `streamGenerateContent?alt=sse` tells it, at the Gemini API and at Vertex AI.
 *
 * Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import { Malformed, type Reason, Truncated } from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder, Frame } from "../wire/Decoder.ts"
import { Arguments } from "./GoogleGeminiArguments.ts"
import * as GoogleGeminiError from "./GoogleGeminiError.ts"
import * as Request from "./GoogleGeminiRequest.ts"
import { fromReport, notOfThisProtocol, ofKind } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import type { Protocol } from "./Protocol.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

export {
  /**
   * The body of a request: see {@link Request.encode}.
   *
   * @category encoding
   * @since 0.1.0
   */
  encode
} from "./GoogleGeminiRequest.ts"

// -----------------------------------------------------------------------------
// decoder
// -----------------------------------------------------------------------------

/**
 * The state of a turn.
 *
 * @category decoding
 * @since 0.1.0
 */
export interface State extends Turn.Turn {
  /** The provider's id of the answer, from which calls that have none get theirs. */
  id: string
  calls: number
  /** The call whose input is being told in pieces. */
  open: OpenCall | undefined
  /** Pages that have been told: some servers repeat them with every chunk. */
  readonly sources: Set<string>
  retryAfter: Duration.Duration | undefined
}

interface OpenCall {
  readonly call: Turn.OpenToolCall
  readonly input: Arguments
}

/**
 * Chunks to events. The semantic end is a `finishReason`, or a `promptFeedback` that says that the prompt
 * was blocked. There is no wire end but that of the body, which comes at once.
 *
 * A finish reason is not the last word for certain: older models, and some gateways, tell one with every
 * chunk, and tools that Google runs go on after one. So what comes after it takes it back.
 *
 * Of several candidates the first is read. Parts that are no text, thought or call of ours (code that ran,
 * its results, images, tools that Google runs) are not told. An answer that comes as one JSON document, or
 * as an array of chunks, is read as well.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decoder: Decoder<State> = {
  initial: (context) => ({
    ...Turn.make(context),
    id: "",
    calls: 0,
    open: undefined,
    sources: new Set(),
    retryAfter: undefined
  }),
  isWireEnd: () => false,
  step: (state, frame, out) => {
    const { value } = frame
    if (isRecord(value)) return stepChunk(state, value, frame.event, out)
    if (!Array.isArray(value)) return stepOther(state, frame)
    for (const chunk of records(value)) {
      const reason = stepChunk(state, chunk, frame.event, out)
      if (reason !== undefined) return reason
    }
    return undefined
  },
  end: (state, out) => {
    // The rest of its input was promised.
    if (state.open !== undefined && state.reason === "stop") {
      return new Truncated({ message: "the answer ended in the middle of a tool call. Ask again." })
    }
    Turn.finish(state, out)
    return undefined
  },
  told: (state) => ({ ...Turn.told(state), retryAfter: state.retryAfter })
}

const stepOther = (state: State, frame: Frame): Reason | undefined => {
  if (frame.event === "error") return fromReport({ message: state.context.conceal(frame.data) })
  // The end of OpenAI's chat completions means nothing here; some gateways send it all the same.
  if (frame.data.trim() === "[DONE]") return undefined
  return notOfThisProtocol(frame, "a chunk of an answer")
}

const stepChunk = (state: State, chunk: Json, event: string, out: Array<LlmEvent>): Reason | undefined => {
  if (isPresent(chunk["error"]) || event === "error") {
    state.retryAfter = GoogleGeminiError.retryAfter(chunk)
    return GoogleGeminiError.inBand(chunk, state.context.conceal)
  }
  const { candidates, promptFeedback, usageMetadata } = chunk
  // Gateways send events of their own; what is not an answer is not read.
  if (!isPresent(candidates) && !isPresent(promptFeedback) && !isPresent(usageMetadata)) return undefined
  if (!state.started) {
    state.id = text(chunk["responseId"]) ?? ""
    Turn.start(state, out, { id: text(chunk["responseId"]), model: text(chunk["modelVersion"]) })
  }
  if (isRecord(usageMetadata)) state.usage = readUsage(usageMetadata) ?? state.usage
  for (const candidate of records(candidates)) {
    if (isPresent(candidate["index"]) && candidate["index"] !== 0) continue
    const reason = stepCandidate(state, candidate, out)
    if (reason !== undefined) return reason
  }
  const blockReason = isRecord(promptFeedback) ? text(promptFeedback["blockReason"]) : undefined
  if (blockReason !== undefined) finish(state, blockReason, "content-filter")
  return undefined
}

const stepCandidate = (state: State, candidate: Json, out: Array<LlmEvent>): Reason | undefined => {
  const { citationMetadata, content, finishReason, groundingMetadata } = candidate
  if (isRecord(content)) {
    for (const part of records(content["parts"])) {
      const reason = stepPart(state, part, out)
      if (reason !== undefined) return reason
    }
  }
  if (isRecord(groundingMetadata)) {
    for (const { maps, retrievedContext, web } of records(groundingMetadata["groundingChunks"])) {
      tellSource(state, "url", web ?? maps, out)
      tellSource(state, "document", retrievedContext, out)
    }
  }
  if (isRecord(citationMetadata)) {
    // The Gemini API's name of the list, and Vertex AI's.
    for (const citation of records(citationMetadata["citationSources"] ?? citationMetadata["citations"])) {
      tellSource(state, "url", citation, out)
    }
  }
  const finished = text(finishReason)
  return finished === undefined || finished === "FINISH_REASON_UNSPECIFIED" ? undefined : stepFinish(state, finished)
}

const stepPart = (state: State, part: Json, out: Array<LlmEvent>): Reason | undefined => {
  const { functionCall, functionResponse, text: words, thought } = part
  const thoughtSignature = text(part["thoughtSignature"])
  if (isRecord(functionCall)) return stepCall(state, functionCall, thoughtSignature, out)
  if (isRecord(functionResponse)) forgetCall(state, functionResponse)
  if (typeof words !== "string") return undefined
  if (words !== "") goOn(state)
  if (thought === true) {
    Turn.reasoning(state, out, words)
    if (thoughtSignature !== undefined) Turn.closeReasoning(state, out, { google: { thoughtSignature } })
    return undefined
  }
  Turn.text(state, out, words)
  // A signature is reasoning, encrypted: here of the text before it, of which it says how much.
  if (thoughtSignature !== undefined) {
    Turn.closeReasoning(state, out, { google: { thoughtSignature, signedText: words.length } })
  }
  return undefined
}

/** The answer goes on: what was told of its end was not the last word. */
const goOn = (state: State): void => {
  if (state.end === "semantic") state.end = "none"
}

const stepCall = (
  state: State,
  json: Json,
  thoughtSignature: string | undefined,
  out: Array<LlmEvent>
): Reason | undefined => {
  const name = text(json["name"])
  if (name !== undefined) {
    goOn(state)
    closeCall(state, out)
    const id = text(json["id"])
    const place = state.calls++
    const call = Turn.openToolCall(state, id ?? (state.id === "" ? `call_${place}` : `call_${state.id}_${place}`))
    Turn.continueToolCall(state, out, call, name, "")
    if (id !== undefined || thoughtSignature !== undefined) {
      call.metadata = {
        google: { ...(id === undefined ? undefined : { id }), ...(thoughtSignature && { thoughtSignature }) }
      }
    }
    state.open = { call, input: new Arguments() }
  }
  const { open } = state
  // The end of a call may be told twice.
  if (open === undefined) return undefined
  const { call, input } = open
  const { args, partialArgs } = json
  if (isPresent(args) || isPresent(partialArgs)) goOn(state)
  if (isRecord(args) && call.input.length === 0) Turn.continueToolCall(state, out, call, "", JSON.stringify(args))
  for (const piece of records(partialArgs)) {
    const written = input.add(piece)
    if (written === undefined) {
      return new Malformed({ message: "a piece of a tool call's input is at no place that can be. Ask again." })
    }
    Turn.continueToolCall(state, out, call, "", written)
  }
  if (json["willContinue"] !== true) closeCall(state, out)
  return undefined
}

const closeCall = (state: State, out: Array<LlmEvent>): void => {
  if (state.open === undefined) return
  const { call, input } = state.open
  state.open = undefined
  const { text, whole } = input.end()
  if (whole) call.input.splice(0, call.input.length, text)
  else Turn.continueToolCall(state, out, call, "", text)
}

/** A call whose result comes in the stream was run by Google: an MCP server's tool. */
const forgetCall = (state: State, { id, name }: Json): void => {
  goOn(state)
  const { toolCalls } = state
  const byId = id === undefined ? -1 : toolCalls.findIndex((call) => call.id === id)
  const index = byId === -1 ? toolCalls.findIndex((call) => call.name === name) : byId
  if (index !== -1) toolCalls.splice(index, 1)
}

const stepFinish = (state: State, finished: string): Reason | undefined => {
  const kind = failures.get(finished)
  if (kind !== undefined) {
    const [failure, message] = kind
    return ofKind(failure, undefined, { message, code: finished })
  }
  finish(state, finished, finishReasons.get(finished) ?? "other")
  return undefined
}

const finish = (state: State, rawReason: string, reason: FinishReason): void => {
  state.rawReason = rawReason
  state.reason = reason
  // Of an answer that was cut, for a reason we do not know, no call is sure to be whole.
  if (reason === "other") state.toolCalls.length = 0
  if (state.end === "none") state.end = "semantic"
}

/**
 * https://ai.google.dev/api/generate-content#FinishReason. What is not here, such as `LANGUAGE`, `OTHER`
 * and `NO_IMAGE`, is `other`.
 */
const finishReasons: ReadonlyMap<string, FinishReason> = new Map<string, FinishReason>([
  ["STOP", "stop"],
  // Not Google's, which says STOP, but of servers that speak as it does.
  ["FUNCTION_CALL", "tool-calls"],
  ["MAX_TOKENS", "length"],
  ["SAFETY", "content-filter"],
  ["RECITATION", "content-filter"],
  ["BLOCKLIST", "content-filter"],
  ["PROHIBITED_CONTENT", "content-filter"],
  ["SPII", "content-filter"],
  ["MODEL_ARMOR", "content-filter"],
  ["IMAGE_SAFETY", "content-filter"],
  ["IMAGE_PROHIBITED_CONTENT", "content-filter"],
  ["IMAGE_RECITATION", "content-filter"]
])

/** Ends that leave no answer. What the model wrote instead, which Google quotes beside them, is not told. */
const failures: ReadonlyMap<string, readonly [kind: "ProviderFailed" | "InvalidRequest", message: string]> = new Map([
  ["MALFORMED_FUNCTION_CALL", ["ProviderFailed", "the model wrote a tool call that is not valid"]],
  ["UNEXPECTED_TOOL_CALL", ["ProviderFailed", "the model called a tool though it was given none"]],
  ["TOO_MANY_TOOL_CALLS", ["ProviderFailed", "the model called too many tools one after the other"]],
  ["MALFORMED_RESPONSE", ["ProviderFailed", "the model wrote an answer that is not valid"]],
  [
    "MISSING_THOUGHT_SIGNATURE",
    [
      "InvalidRequest",
      "a tool call of the history has lost its thought signature. Send back what `LlmResponse.toMessage` gives."
    ]
  ]
])

const tellSource = (state: State, type: "url" | "document", source: unknown, out: Array<LlmEvent>): void => {
  if (!isRecord(source)) return
  const key = JSON.stringify([source["uri"], source["title"]])
  if (state.sources.has(key)) return
  state.sources.add(key)
  Turn.source(out, type, source["uri"], source["title"])
}

/** Counts are of the whole turn so far, and may fall: the last object holds. Vertex AI's first ones have none. */
const readUsage = (raw: Json): LlmUsage.LlmUsage | undefined => {
  const { candidatesTokenCount, promptTokenCount, thoughtsTokenCount } = raw
  if (typeof promptTokenCount !== "number" && typeof candidatesTokenCount !== "number") return undefined
  const counts = [candidatesTokenCount, thoughtsTokenCount].filter((count) => typeof count === "number")
  return LlmUsage.exact(raw, {
    inputTokens: promptTokenCount,
    outputTokens: counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count),
    reasoningTokens: thoughtsTokenCount,
    cacheReadTokens: raw["cachedContentTokenCount"]
  })
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The protocol whole.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<State> = {
  framing: "sse",
  encode: Request.encode,
  decoder,
  error: GoogleGeminiError.fromHttpFailure,
  retryAfter: GoogleGeminiError.retryAfterOf
}
