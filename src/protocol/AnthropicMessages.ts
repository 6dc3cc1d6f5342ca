/**
 * Anthropic's Messages, which some other providers speak as well.
 *
 * Source: https://platform.claude.com/docs/en/api/messages/create and
 * https://platform.claude.com/docs/en/build-with-claude/streaming.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { InvalidRequest, type Reason, type Unsupported } from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder, Frame } from "../wire/Decoder.ts"
import type { HttpFailure } from "../wire/Http.ts"
import * as Blocks from "./AnthropicMessagesBlocks.ts"
import * as Input from "./AnthropicMessagesInput.ts"
import { unsupported } from "./AnthropicMessagesInput.ts"
import * as Settings from "./AnthropicMessagesSettings.ts"
import * as Models from "./AnthropicModels.ts"
import { fromHttpFailure, fromReport, notOfThisProtocol, readReport } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body } from "./RequestParts.ts"
import type { EncodedRequest, Protocol } from "./Protocol.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

/**
 * What requests have where they do not say it themselves.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The most tokens that an answer may have, thinking included, where a request does not say: the API
   * wants a number. Default: the most that the model can write, by its name: 128,000 from 4.6 on, 64,000
   * from 3.7 on (Opus 4 and 4.1: 32,000), 8,192 for 3.5, 4,096 before; 8,192 for models of others. An
   * answer that meets it ends with the finish reason `length`.
   */
  readonly maxTokens?: number | undefined
  /** Whether the model may call several tools in one turn. Default true. */
  readonly parallelToolCalls?: boolean | undefined
}

/**
 * The body of a request, with the defaults of {@link Options}.
 *
 * - **Instructions.** `system` and all system messages become the field `system`, in their order, wherever
 *   they stand in the prompt. One with the provider option `inPlace: true` stays where it is, which the
 *   models from Opus 4.8 on take: https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages.
 * - **Messages.** Those of one side that follow each other are sent as one, results of tools first. Text
 *   without a visible character is left out, and white space at the end of a last message of the
 *   assistant, which the model goes on from.
 * - **Files.** JPEG, PNG, GIF and WebP; PDF; text, such as `text/plain` or `text/csv`. At hand, by URL (not
 *   text) or by the id of an uploaded file (`file_…`), which needs the beta `files-api-2025-04-14`. Uploaded
 *   files of other types are for the code execution tool.
 * - **Reasoning.** From Claude 4.6 on the model thinks as much as it sees fit (`thinking: { type: "adaptive",
 *   display: "summarized" }`), with `output_config.effort`: `low` for `minimal` and `low`, `max` for `xhigh`
 *   where the model does not know that. Models before it, and those of others, get a budget of thinking: 1,024 tokens for
 *   `minimal`, 2,048 for `low`, 8,192 for `medium`, 16,384 for `high`, 32,768 for `xhigh`, but not more than half of
 *   `max_tokens`. `none` turns thinking off; Fable and Mythos cannot.
 * - **The form of an answer.** A JSON Schema is enforced (`output_config.format`), which Claude 4.5 and later
 *   can; bounds that Anthropic does not enforce become part of its descriptions. There is no JSON without a schema.
 * - **Tools.** They are strict where annotated (`Tool.Strict`). Of a choice of several, only those are sent.
 *
 * There is no seed, and there are no penalties.
 *
 * `extra` has the last word, except on `stream`. Its `thinking`, `output_config` and `tool_choice` are laid
 * over ours field by field (`{ output_config: { effort: "max" } }`), and its `tools`, such as
 * `[{ type: "web_search_20250305", name: "web_search" }]`, are added to ours.
 *
 * Provider options are read under `anthropic`: `cacheControl` (`true` or Anthropic's object) of messages and
 * their parts, for tools see `Anthropic.CacheControl`, for all of a request `extra: { cache_control: { type:
 * "ephemeral" } }`; `inPlace` of a system message; `title`, `context` and `citations` (a boolean) of a document;
 * and of answers, as they came: `signature`, `thinking` and `redactedData` of reasoning, `before` and `caller` of
 * a tool call, `blocks` of a message, which is what the provider's own tools did.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  request: LlmRequest.LlmRequest,
  model: string,
  options: Options = {}
): Result.Result<EncodedRequest, InvalidRequest | Unsupported> =>
  Result.gen(function* () {
    const limit = request.maxTokens ?? options.maxTokens
    const prompt = yield* LlmRequest.messages({ ...request, maxTokens: limit })
    for (const setting of missing) {
      if (request[setting] !== undefined) return yield* unsupported(setting, "use another provider")
    }
    const name = request.model ?? model
    const known = Models.parse(name)
    const { output_config, thinking, tool_choice, tools: more, ...extra } = request.extra ?? {}
    const { messages, system } = yield* Input.encode(prompt)
    if (messages.length === 0) {
      return yield* invalid("the prompt has no text: give it at least one message with something in it.")
    }
    const maxTokens = limit ?? Models.maxTokens(known)
    const reasoning = yield* Settings.reasoning(request.reasoning, known, name, maxTokens)
    const format = yield* Settings.format(request.responseFormat)
    const effort = reasoning?.effort
    const tools = yield* Settings.tools(request.toolkit)
    const choice = yield* RequestParts.toolChoice(request.toolChoice, tools)
    const sent = choice.kind === "some" ? tools.filter((tool) => choice.names.includes(tool.name)) : tools
    const allTools = added(sent.map(Settings.toBody), more)
    const body: Body = {
      model: name,
      max_tokens: maxTokens,
      system,
      messages,
      temperature: request.temperature,
      top_p: request.topP,
      stop_sequences: typeof request.stop === "string" ? [request.stop] : request.stop,
      thinking: over(reasoning?.thinking, thinking),
      output_config: over(effort === undefined && format === undefined ? undefined : { effort, format }, output_config),
      tools: allTools,
      tool_choice: over(
        allTools === undefined ? undefined : Settings.choice(choice, options.parallelToolCalls ?? true),
        tool_choice,
        { type: "auto" }
      ),
      ...extra,
      stream: true
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

/** What the API has no field for. */
const missing = ["seed", "frequencyPenalty", "presencePenalty"] as const

const invalid = (message: string) => Result.fail(new InvalidRequest({ message }))

/** Lays a field of `extra` over ours, or over what it needs at least. */
const over = (ours: Json | undefined, theirs: unknown, least?: Json): unknown =>
  theirs === undefined ? ours : isRecord(theirs) ? { ...(ours ?? least), ...theirs } : theirs

/** Adds to our list; what is no list replaces it. */
const added = (ours: ReadonlyArray<unknown>, theirs: unknown): unknown => {
  if (theirs !== undefined && !Array.isArray(theirs)) return theirs
  const all = [...ours, ...(theirs ?? [])]
  return all.length === 0 ? undefined : all
}

// -----------------------------------------------------------------------------
// decoder
// -----------------------------------------------------------------------------

/**
 * Events to events. The semantic end is a `message_delta` with a `stop_reason`, the wire end
 * `message_stop`.
 *
 * A server that answers with the whole message as one JSON document is read as well. What tools that the
 * provider itself runs do is not told, but for the pages that the answer cites; it goes back with the
 * history, so that the answer of a turn that was paused (`pause_turn`) goes on from there. A refusal is the
 * finish reason `content-filter`, and told in the provider's words where it gives some.
 *
 * Input tokens are as the API counts them: without those that were read from its cache or written to it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decoder: Decoder<Blocks.State> = {
  initial: Blocks.make,
  isWireEnd: () => false,
  step: (state, frame, out) => {
    const event = frame.value
    if (!isRecord(event)) return stepOther(state, frame)
    if (frame.event === "error") return stepError(state, event)
    const type = text(event["type"]) ?? frame.event
    switch (type) {
      case "content_block_delta":
        begin(state, undefined, out)
        if (isRecord(event["delta"])) Blocks.proceed(state, event["index"], event["delta"], out)
        return undefined
      case "content_block_start":
        begin(state, undefined, out)
        if (isRecord(event["content_block"])) Blocks.start(state, event["index"], event["content_block"], out)
        return undefined
      case "content_block_stop":
        Blocks.stop(state, event["index"], out)
        return undefined
      case "message_start":
        if (!state.started && isRecord(event["message"])) stepMessage(state, event["message"], out)
        return undefined
      case "message_delta":
        begin(state, undefined, out)
        count(state, event["usage"])
        if (isRecord(event["delta"])) stepEnd(state, event["delta"], out)
        // Without it, what has been counted is what the message began with.
        if (state.counts !== undefined && isRecord(event["usage"])) state.usage = readUsage(state.counts)
        return undefined
      case "message_stop":
        begin(state, undefined, out)
        state.end = "wire"
        return undefined
      case "message":
        stepMessage(state, event, out)
        state.end = "wire"
        return undefined
      default:
        // Servers that are not Anthropic's put an error alone, or in an event of another type.
        return type === "error" || isPresent(event["error"]) ? stepError(state, event) : undefined
    }
  },
  end: (state, out) => {
    Blocks.end(state, out)
    state.usage = usageSoFar(state)
    Turn.finish(state, out)
    return undefined
  },
  told: (state) => ({ ...Turn.told(state), usage: usageSoFar(state) }),
  repeats: {
    textIn: (event) => (isTextDelta(event) ? ["delta", "text"] : undefined),
    unread: new Set(),
    tell: Turn.text
  }
}

const isTextDelta = (event: unknown): boolean =>
  isRecord(event) &&
  event["type"] === "content_block_delta" &&
  isRecord(event["delta"]) &&
  event["delta"]["type"] === "text_delta" &&
  typeof event["delta"]["text"] === "string"

const stepOther = (state: Blocks.State, frame: Frame): Reason | undefined => {
  if (frame.event === "error") return fromReport({ message: state.context.conceal(frame.data) })
  // The end of OpenAI's chat completions means nothing here; some servers send it all the same.
  if (frame.data.trim() === "[DONE]") return undefined
  return notOfThisProtocol(frame, "an event of a message")
}

const begin = (state: Blocks.State, message: Json | undefined, out: Array<LlmEvent>): void => {
  if (!state.started) Turn.start(state, out, { id: text(message?.["id"]), model: text(message?.["model"]) })
}

/** A message that begins may have content, where tools of the provider have run before. */
const stepMessage = (state: Blocks.State, message: Json, out: Array<LlmEvent>): void => {
  begin(state, message, out)
  count(state, message["usage"])
  for (const [index, block] of records(message["content"]).entries()) {
    // Not an index of the stream: its blocks are counted anew.
    const key = `message ${index}`
    Blocks.start(state, key, block, out)
    Blocks.stop(state, key, out)
  }
  stepEnd(state, message, out)
  if (state.rawReason !== undefined && state.counts !== undefined) state.usage = readUsage(state.counts)
}

const stepEnd = (state: Blocks.State, delta: Json, out: Array<LlmEvent>): void => {
  const reason = text(delta["stop_reason"])
  if (reason === undefined) return
  state.rawReason = reason
  state.reason = stopReasons.get(reason) ?? "other"
  if (state.end === "none") state.end = "semantic"
  const details = delta["stop_details"]
  if (reason === "refusal" && isRecord(details)) Turn.refusal(state, out, text(details["explanation"]) ?? "")
}

/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
const stopReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["max_tokens", "length"],
  ["model_context_window_exceeded", "length"],
  ["tool_use", "tool-calls"],
  ["refusal", "content-filter"]
])

/** Counts are totals; a later event has some of them anew, or all. */
const count = (state: Blocks.State, usage: unknown): void => {
  if (!isRecord(usage)) return
  state.counts ??= {}
  for (const [name, value] of Object.entries(usage)) if (isPresent(value)) state.counts[name] = value
}

/**
 * `input_tokens` is what follows the last cache breakpoint: what was read from the cache or written to
 * it comes on top. https://platform.claude.com/docs/en/build-with-claude/prompt-caching
 */
const readUsage = (raw: Json): LlmUsage.LlmUsage => {
  const details = isRecord(raw["output_tokens_details"]) ? raw["output_tokens_details"] : {}
  const cacheReadTokens = raw["cache_read_input_tokens"]
  const cacheWriteTokens = raw["cache_creation_input_tokens"]
  const input = [raw["input_tokens"], cacheReadTokens, cacheWriteTokens].filter((count) => typeof count === "number")
  return LlmUsage.exact(raw, {
    inputTokens: input.length === 0 ? undefined : input.reduce((sum, count) => sum + count),
    outputTokens: raw["output_tokens"],
    reasoningTokens: details["thinking_tokens"],
    cacheReadTokens,
    cacheWriteTokens
  })
}

/** What a message begins with counts its input, and of its output the first tokens: the rest is estimated. */
const usageSoFar = (state: Blocks.State): LlmUsage.LlmUsage => {
  const estimate = Turn.usageSoFar(state)
  if (state.usage !== undefined || state.counts === undefined) return estimate
  const { outputTokens: _, ...input } = readUsage(state.counts)
  return { ...estimate, ...input, source: "estimated" }
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/** Inside a stream, the type of an error stands for its status. */
const stepError = (state: Blocks.State, event: Json): Reason => {
  const report = readReport(event) ?? { message: "the provider reports an error in the stream, without a message" }
  const concealed = { ...report, message: state.context.conceal(report.message) }
  return advised(fromReport(concealed, statuses.get(report.type ?? "")))
}

/** https://platform.claude.com/docs/en/api/errors */
const statuses: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["api_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529]
])

/** An error under HTTP 200, as gateways send them, means what its type says. */
const error = (failure: HttpFailure): Reason => {
  const type = failure.status < 400 ? readReport(parse(failure.body))?.type : undefined
  const status = statuses.get(type ?? "") ?? failure.status
  return advised(fromHttpFailure({ ...failure, status }))
}

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** What a model does not take is chosen by its name here, which may be wrong. */
const advice: ReadonlyArray<readonly [RegExp, string]> = [
  [/maximum allowed number of output tokens/, "Set `maxTokens`, of the request or of the layer."],
  [/thinking|effort/, "To say yourself what the model takes: `extra: { thinking: …, output_config: { effort: … } }`."],
  [
    /output_config|output_format|output format|structured output/,
    'To go without: `responseFormat: { type: "text" }`, and ask for JSON in the prompt.'
  ],
  [/role 'system'/, "Leave out `inPlace` of the system message."]
]

const advised = (reason: Reason): Reason => {
  if (reason._tag !== "InvalidRequest") return reason
  const more = advice.find(([pattern]) => pattern.test(reason.message))?.[1]
  return more === undefined ? reason : new InvalidRequest({ ...reason, message: `${reason.message} ${more}` })
}

/**
 * The protocol whole, with the defaults of {@link Options}.
 *
 * @category protocols
 * @since 0.1.0
 */
export const make = (options: Options = {}): Protocol<Blocks.State> => ({
  framing: "sse",
  encode: (request, model) => encode(request, model, options),
  decoder,
  error
})

/**
 * The protocol whole.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<Blocks.State> = make()
