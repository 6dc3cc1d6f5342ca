/**
 * What can go wrong while a model answers, as tagged data.
 *
 * There is one error, {@link LlmError}; its `reason` says what happened and its other fields say
 * where, how much had been delivered, and whether trying again can help. No key, prompt or answer
 * is part of any message.
 *
 * ```ts
 * stream.pipe(Stream.catchTag("LlmError", (error) =>
 *   error.reason._tag === "RateLimited" ? … : Stream.fail(error)))
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { LlmUsage } from "./LlmUsage.ts"

/** What an HTTP answer or an in-band error object told about itself. */
const reported = {
  /** What happened and what to do about it. */
  message: Schema.String,
  /** HTTP status of the answer, where the error came as one. */
  status: Schema.optionalKey(Schema.Number),
  /** The provider's own error code, unchanged. */
  code: Schema.optionalKey(Schema.String)
}

/**
 * No connection could be made, or it broke before the response head came.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  message: Schema.String,
  /** The system's code, such as `ECONNREFUSED` or `ENOTFOUND`. */
  code: Schema.optionalKey(Schema.String)
}) {}

/**
 * The key is missing, wrong, or cannot be sent.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Authentication extends Schema.TaggedError<Authentication>()("Authentication", reported) {}

/**
 * The key is right but may not do this.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", reported) {}

/**
 * There is no such model or no such URL.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", reported) {}

/**
 * The request is not valid: refused by us before sending, or by the provider.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", reported) {}

/**
 * The prompt, or the prompt and the wanted answer, exceed the model's context window.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ContextTooLong extends Schema.TaggedError<ContextTooLong>()("ContextTooLong", reported) {}

/**
 * The account has no credit left; waiting does not help.
 *
 * @category reasons
 * @since 0.1.0
 */
export class QuotaExhausted extends Schema.TaggedError<QuotaExhausted>()("QuotaExhausted", reported) {}

/**
 * Too many requests or tokens in a short time; waiting helps, `LlmError.retryAfter` says how long.
 *
 * @category reasons
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", reported) {}

/**
 * The provider has no capacity at the moment.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Overloaded extends Schema.TaggedError<Overloaded>()("Overloaded", reported) {}

/**
 * The provider failed on its side.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ProviderFailed extends Schema.TaggedError<ProviderFailed>()("ProviderFailed", reported) {}

/**
 * The provider or the model refused, before or during the answer. `refusal` is the model's own words
 * where it gave some; it is not part of the message.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ContentFiltered extends Schema.TaggedError<ContentFiltered>()("ContentFiltered", {
  ...reported,
  refusal: Schema.optionalKey(Schema.String)
}) {}

/**
 * A deadline passed. `which` says which one.
 *
 * @category reasons
 * @since 0.1.0
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  message: Schema.String,
  which: Schema.Literals(["headers", "first-token", "idle", "total"])
}) {}

/**
 * The connection broke while the answer was coming.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Disconnected extends Schema.TaggedError<Disconnected>()("Disconnected", {
  message: Schema.String,
  /** The system's code, such as `ECONNRESET`. */
  code: Schema.optionalKey(Schema.String)
}) {}

/**
 * The answer ended before the provider said that it was complete.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Truncated extends Schema.TaggedError<Truncated>()("Truncated", { message: Schema.String }) {}

/**
 * What came is not what this provider's protocol says: not an event stream, not JSON, too large.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", {
  message: Schema.String,
  status: Schema.optionalKey(Schema.Number)
}) {}

/**
 * The answer is complete, and not what `Llm.object` was to give: it has no JSON in it, or its JSON does
 * not fit the schema. Asking again may help, at the price of a whole answer, so it is never done unasked:
 *
 * ```ts
 * Effect.retry({ times: 1, while: (error) => error.reason._tag === "InvalidOutput" })
 * ```
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>()("InvalidOutput", {
  /** Where, and what the schema expects there; never what the model wrote. */
  message: Schema.String,
  /** Where in the answer: keys and indices from its root, empty for all of it. */
  path: Schema.Array(Schema.Union([Schema.String, Schema.Number]))
}) {}

/**
 * The request asks for something that this provider's protocol cannot express.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unsupported extends Schema.TaggedError<Unsupported>()("Unsupported", {
  message: Schema.String,
  /** What is not supported, such as `"file of type video/mp4"`. */
  feature: Schema.String
}) {}

/**
 * A budget set by the caller is used up.
 *
 * @category reasons
 * @since 0.1.0
 */
export class BudgetExceeded extends Schema.TaggedError<BudgetExceeded>()("BudgetExceeded", {
  message: Schema.String
}) {}

/**
 * The circuit breaker in front of the provider is open.
 *
 * @category reasons
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>()("CircuitOpen", { message: Schema.String }) {}

/**
 * Schema of all reasons.
 *
 * @category reasons
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  Unreachable,
  Authentication,
  PermissionDenied,
  NotFound,
  InvalidRequest,
  ContextTooLong,
  QuotaExhausted,
  RateLimited,
  Overloaded,
  ProviderFailed,
  ContentFiltered,
  DeadlineExceeded,
  Disconnected,
  Truncated,
  Malformed,
  InvalidOutput,
  Unsupported,
  BudgetExceeded,
  CircuitOpen
])

/**
 * Why a turn failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * How far a turn had come when it failed.
 *
 * - `request`: nothing was received; the request may not have been sent.
 * - `headers`: the response head came and was the failure, or its body was an error.
 * - `before-output`: the stream had begun, nothing of the answer had come.
 * - `mid-output`: text, reasoning, a refusal or a tool call had begun to come.
 *
 * @category models
 * @since 0.1.0
 */
export const Phase = Schema.Literals(["request", "headers", "before-output", "mid-output"])

/**
 * How far a turn had come when it failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = typeof Phase.Type

/**
 * The error of every model call.
 *
 * @category errors
 * @since 0.1.0
 */
export class LlmError extends Schema.TaggedError<LlmError>()("LlmError", {
  /** What happened. */
  reason: Reason,
  /** The provider's name, such as `"openai"`. */
  provider: Schema.String,
  /** The model that was asked, where one was named. */
  model: Schema.optionalKey(Schema.String),
  phase: Phase,
  /** Characters (UTF-16 code units) of text that had been delivered before the failure. */
  emitted: Schema.Number,
  /** What was used up to the failure. */
  usage: Schema.optionalKey(LlmUsage),
  /** The provider's id of the request, for its support. */
  requestId: Schema.optionalKey(Schema.String),
  /** How long to wait before the next try, as the provider asks, or as the policy knows that refused the request. */
  retryAfter: Schema.optionalKey(Schema.Duration),
  /** What the provider said about retrying (`x-should-retry`), which wins over our own judgement. */
  shouldRetry: Schema.optionalKey(Schema.Boolean),
  /** The models that had failed before this one, and why, such as `"openai/gpt-4.1-mini: RateLimited"`. */
  failedBefore: Schema.optionalKey(Schema.Array(Schema.String))
}) {
  /**
   * Whether the same request may succeed if sent again.
   *
   * @since 0.1.0
   */
  get isRetryable(): boolean {
    // The time for all attempts is over.
    if (this.reason._tag === "DeadlineExceeded" && this.reason.which === "total") return false
    return this.shouldRetry ?? retryable.has(this.reason._tag)
  }

  override get message(): string {
    const who = this.model === undefined ? this.provider : `${this.provider}/${this.model}`
    const wait = this.retryAfter === undefined ? "" : ` Before the next try, wait ${inSeconds(this.retryAfter)}.`
    const id = this.requestId === undefined ? "" : ` (request ${this.requestId})`
    const before = this.failedBefore === undefined ? "" : ` Failed before: ${this.failedBefore.join(", ")}.`
    return `${who}: ${this.reason._tag}: ${this.reason.message}${wait}${id}${before}`
  }
}

const retryable: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>([
  "Unreachable",
  "RateLimited",
  "Overloaded",
  "ProviderFailed",
  "DeadlineExceeded",
  "Disconnected",
  "Truncated",
  "CircuitOpen"
])

const inSeconds = (duration: Duration.Duration): string => `${Math.ceil(Duration.toSeconds(duration))} s`

/**
 * Whether a value is an {@link LlmError}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLlmError: (u: unknown) => u is LlmError = Schema.is(LlmError)
