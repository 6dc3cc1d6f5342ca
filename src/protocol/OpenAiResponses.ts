/**
 * OpenAI Responses, which some other providers speak as well.
 *
 * Source: https://platform.openai.com/docs/api-reference/responses and /responses-streaming.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { InvalidRequest, NotFound, type Reason, type Unsupported } from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder, Frame } from "../wire/Decoder.ts"
import type { HttpFailure } from "../wire/Http.ts"
import { fromHttpFailure, fromReport, inBand, notOfThisProtocol, retryAfterInWords } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import * as OpenAiRequest from "./OpenAiRequest.ts"
import * as Input from "./OpenAiResponsesInput.ts"
import { unsupported } from "./OpenAiResponsesInput.ts"
import * as Items from "./OpenAiResponsesItems.ts"
import type { EncodedRequest, Protocol } from "./Protocol.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body } from "./RequestParts.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

/**
 * The body of a request.
 *
 * `system` becomes `instructions`; system messages of the prompt are items where they stand. Nothing is
 * stored at the provider (`store: false`): the reasoning of models that reason is asked for encrypted,
 * and goes back with the history that `LlmResponse.toMessage` makes. A `reasoning` effort asks for a
 * summary of the reasoning too. Tools are strict only where annotated. For the response format `json`,
 * OpenAI wants the word JSON in the prompt itself; in `system` it does not count.
 *
 * `extra` has the last word, except on `stream`. Its `text` and `reasoning` are laid over ours field by
 * field (`{ text: { verbosity: "low" } }` keeps the response format, `{ reasoning: { summary: null } }`
 * the effort), and its `include` and `tools`, such as `[{ type: "web_search" }]`, are added to ours.
 *
 * Provider options are read under `openai`: `role: "developer"` of a system message, `imageDetail` of a
 * file; and of answers, as they came, `itemId`, `encryptedContent` and `raw` of reasoning, `after` and
 * `custom` of a tool call.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  request: LlmRequest.LlmRequest,
  model: string
): Result.Result<EncodedRequest, InvalidRequest | Unsupported> =>
  Result.gen(function* () {
    const prompt = yield* LlmRequest.messages(request)
    for (const setting of chatOnly) if (request[setting] !== undefined) return yield* unsupported(setting)
    const { include, reasoning: _, text: __, tools: more, ...extra } = request.extra ?? {}
    const name = request.model ?? model
    const messages = request.system === undefined ? prompt : prompt.slice(1)
    const input = yield* Input.encode(messages, extra["store"] === true)
    const tools = yield* OpenAiRequest.functionTools(request.toolkit, (tool) =>
      unsupported(tool, "give it in `extra.tools` as OpenAI documents it")
    )
    const choice = OpenAiRequest.toolChoice(
      yield* RequestParts.toolChoice(request.toolChoice, tools),
      (name) => ({ type: "function", name }),
      (allowed) => ({ type: "allowed_tools", ...allowed })
    )
    const format = yield* OpenAiRequest.answerFormat(request.responseFormat)
    const reasoning = over(encodeReasoning(request.reasoning), request.extra, "reasoning")
    const body: Body = {
      model: name,
      instructions: request.system,
      input,
      temperature: request.temperature,
      max_output_tokens: request.maxTokens,
      top_p: request.topP,
      reasoning,
      text: over(format && { format }, request.extra, "text"),
      // Left to itself, the API makes every tool strict, and optional fields of its input required.
      tools: added(
        tools.map(({ description, name, parameters, strict }) => ({
          type: "function",
          name,
          description,
          parameters,
          strict: strict ?? false
        })),
        more
      ),
      tool_choice: choice,
      include: added(
        extra["store"] !== true && reasons(name, reasoning) ? ["reasoning.encrypted_content"] : [],
        include
      ),
      store: false,
      ...extra,
      stream: true
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

/** What the API has no field for. */
const chatOnly = ["stop", "seed", "frequencyPenalty", "presencePenalty"] as const

const encodeReasoning = (effort: LlmRequest.ReasoningEffort | undefined): Json | undefined =>
  effort === undefined ? undefined : effort === "none" ? { effort } : { effort, summary: "auto" }

/** Lays a field of `extra` over ours. */
const over = (ours: Json | undefined, extra: Json | undefined, field: string): unknown => {
  const theirs = extra?.[field]
  return theirs === undefined ? ours : isRecord(theirs) ? { ...ours, ...theirs } : theirs
}

/** Adds to our list; what is no list replaces it. */
const added = (ours: ReadonlyArray<unknown>, theirs: unknown): unknown => {
  if (theirs !== undefined && !Array.isArray(theirs)) return theirs
  const all = new Set<unknown>([...ours, ...(theirs ?? [])])
  return all.size === 0 ? undefined : [...all]
}

/**
 * Whether the model is known to reason. OpenAI's models that do not, answer a request for encrypted
 * reasoning with 400, "Encrypted content is not supported with this model", so it is asked for where
 * the name or an effort says that they do: o1, o3, o4, gpt-5 and later ones but for their `chat`
 * variants, and codex.
 */
const reasons = (model: string, reasoning: unknown): boolean => {
  const effort = isRecord(reasoning) ? reasoning["effort"] : undefined
  if (isPresent(effort)) return effort !== "none"
  const name = model.slice(model.lastIndexOf("/") + 1)
  return /^(o[1-9]|gpt-([5-9]|\d\d)|codex)/.test(name) && !name.includes("chat")
}

// -----------------------------------------------------------------------------
// decoder
// -----------------------------------------------------------------------------

/**
 * Events to events. The wire end is `response.completed` or `response.incomplete`.
 *
 * A server that answers with the whole response as one JSON document is read as well. Calls of the
 * tools that the provider itself runs are not told.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decoder: Decoder<Items.State> = {
  initial: Items.make,
  isWireEnd: () => false,
  step: (state, frame, out) => {
    const event = frame.value
    if (!isRecord(event)) return stepOther(state, frame)
    // Some servers send no `event:` lines, and some no type.
    const type = text(event["type"]) ?? frame.event
    if (type === "error" || frame.event === "error") return stepError(state, event)
    const writing = writings.get(type)
    if (writing !== undefined) {
      stepWriting(state, event, writing, out)
      return undefined
    }
    switch (type) {
      case "response.function_call_arguments.delta":
      case "response.function_call_arguments.done":
        stepInput(state, event, "function_call", event["arguments"], out)
        return undefined
      case "response.custom_tool_call_input.delta":
      case "response.custom_tool_call_input.done":
        stepInput(state, event, "custom_tool_call", event["input"], out)
        return undefined
      case "response.output_text.annotation.added":
        Items.findItem(state, event, "message").annotations++
        Items.tellSource(event["annotation"], out)
        return undefined
      case "response.output_item.added":
      case "response.output_item.done":
        if (isRecord(event["item"])) stepItem(state, event, event["item"], type === "response.output_item.done", out)
        return undefined
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        Items.begin(state, event["response"], out)
        return undefined
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
      case "response.cancelled":
        return stepEnd(state, isRecord(event["response"]) ? event["response"] : {}, type.slice("response.".length), out)
      case "":
        return stepDocument(state, event, out)
      default:
        // Tools that the provider runs tell of themselves, and servers send events of their own.
        return undefined
    }
  },
  end: (state, out) => {
    Turn.finish(state, out)
    return undefined
  },
  told: Turn.told,
  repeats: {
    textIn: (event) =>
      isRecord(event) && event["type"] === "response.output_text.delta" && typeof event["delta"] === "string"
        ? ["delta"]
        : undefined,
    unread: new Set(["sequence_number", "obfuscation"]),
    tell: (state, out, piece) => {
      const { item, part } = state.writing!
      Items.tell(state, item, "text", part, piece, out)
    }
  }
}

const stepOther = (state: Items.State, frame: Frame): Reason | undefined => {
  if (frame.event === "error") return fromReport({ message: state.context.conceal(frame.data) })
  // The end of chat completions means nothing here; some servers send it all the same.
  if (frame.data.trim() === "[DONE]") return undefined
  return notOfThisProtocol(frame, "an event of a response")
}

/** Flat or nested. The type of a flat one may be the event's, and not the error's. */
const stepError = (state: Items.State, event: Json): Reason =>
  inBand(
    isPresent(event["error"]) || event["type"] !== "error" ? event : { ...event, type: null },
    state.context.conceal
  )

/** A piece of writing: which part of its item it belongs to, and where in the event it is. */
interface Writing {
  readonly kind: Items.Kind
  readonly part: string
  readonly field: string
  /** Whether it repeats the whole part. */
  readonly whole: boolean
}

const writings: ReadonlyMap<string, Writing> = new Map(
  (
    [
      ["response.output_text", "text", "content_index", "text"],
      ["response.refusal", "refusal", "content_index", "refusal"],
      ["response.reasoning_summary_text", "summary", "summary_index", "text"],
      ["response.reasoning_text", "raw", "content_index", "text"]
    ] as const
  ).flatMap(([type, kind, part, whole]): ReadonlyArray<readonly [string, Writing]> => [
    [`${type}.delta`, { kind, part, field: "delta", whole: false }],
    [`${type}.done`, { kind, part, field: whole, whole: true }]
  ])
)

const stepWriting = (state: Items.State, event: Json, writing: Writing, out: Array<LlmEvent>): void => {
  const { field, kind, whole } = writing
  const piece = event[field]
  if (typeof piece !== "string") return
  const item = Items.findItem(state, event, kind === "text" || kind === "refusal" ? "message" : "reasoning")
  const index = event[writing.part]
  const part = typeof index === "number" ? index : 0
  state.writing = { item, part }
  if (!whole || item.told[kind].part !== part) Items.tell(state, item, kind, part, piece, out)
}

const stepInput = (state: Items.State, event: Json, type: string, whole: unknown, out: Array<LlmEvent>): void => {
  const { call } = Items.findItem(state, event, type)
  const { delta } = event
  // A call that was not announced comes whole.
  if (call === undefined) return
  if (typeof delta === "string") Turn.continueToolCall(state, out, call, "", delta)
  else if (typeof whole === "string" && call.input.length === 0) Turn.continueToolCall(state, out, call, "", whole)
}

const stepItem = (state: Items.State, event: Json, json: Json, whole: boolean, out: Array<LlmEvent>): void => {
  Items.begin(state, undefined, out)
  const type = text(json["type"]) ?? ""
  if (whole) Items.tellItem(state, Items.findItem(state, event, type, json["id"]), json, out)
  else Items.tellCall(state, Items.openItem(state, type, event["output_index"], text(json["id"])), json, "", out)
}

const stepDocument = (state: Items.State, document: Json, out: Array<LlmEvent>): Reason | undefined => {
  const status = text(document["status"])
  if (document["object"] !== "response" || status === undefined) {
    return isPresent(document["error"]) ? inBand(document, state.context.conceal) : undefined
  }
  if (ends.has(status)) return stepEnd(state, document, status, out)
  Items.begin(state, document, out)
  return undefined
}

const ends: ReadonlySet<unknown> = new Set(["completed", "incomplete", "failed", "cancelled"])

const stepEnd = (state: Items.State, response: Json, event: string, out: Array<LlmEvent>): Reason | undefined => {
  Items.begin(state, response, out)
  if (isRecord(response["usage"])) state.usage = readUsage(response["usage"])
  const status = ends.has(response["status"]) ? response["status"] : event
  if (status === "failed") return inBand({ error: response["error"] }, state.context.conceal)
  if (status === "cancelled") return fromReport({ message: "the provider cancelled the answer" })
  Items.tellOutput(state, records(response["output"]), out)
  state.end = "wire"
  if (status === "completed") {
    state.rawReason = "completed"
    state.reason = "stop"
    return undefined
  }
  const details = response["incomplete_details"]
  const reason = isRecord(details) ? text(details["reason"]) : undefined
  state.rawReason = reason ?? "incomplete"
  state.reason = cuts.get(state.rawReason) ?? "other"
  // Of an answer that was cut, for a reason we do not know, no call is sure to be whole.
  if (state.reason === "other") state.toolCalls.length = 0
  return undefined
}

const cuts: ReadonlyMap<string, FinishReason> = new Map([
  ["max_output_tokens", "length"],
  ["content_filter", "content-filter"]
])

const readUsage = (raw: Json): LlmUsage.LlmUsage => {
  const input = isRecord(raw["input_tokens_details"]) ? raw["input_tokens_details"] : {}
  const output = isRecord(raw["output_tokens_details"]) ? raw["output_tokens_details"] : {}
  return LlmUsage.exact(raw, {
    inputTokens: raw["input_tokens"],
    outputTokens: raw["output_tokens"],
    reasoningTokens: output["reasoning_tokens"],
    cacheReadTokens: input["cached_tokens"],
    cacheWriteTokens: input["cache_write_tokens"]
  })
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

const error = (failure: HttpFailure): Reason => {
  const reason = fromHttpFailure(failure)
  if ((failure.status === 404 || failure.status === 405) && !/model|\bitem\b|previous response/i.test(failure.body)) {
    return new NotFound({
      message: `${reason.message} If the server speaks chat completions alone, ask through them: \`api: "chat"\`.`,
      status: failure.status
    })
  }
  if (reason._tag === "InvalidRequest" && /generate reasoning summar/.test(reason.message)) {
    return new InvalidRequest({
      ...reason,
      message: `${reason.message} To go without summaries: \`extra: { reasoning: { summary: null } }\`.`
    })
  }
  return reason
}

/**
 * The protocol whole.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<Items.State> = {
  framing: "sse",
  encode,
  decoder,
  error,
  retryAfter: retryAfterInWords
}
