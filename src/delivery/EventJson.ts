/**
 * Events and errors as JSON, for clients.
 *
 * An event is written as its schema's JSON encoding says, so that a client can decode it by `LlmEvent` or
 * `AgentEvent` again, with two exceptions: errors inside of events (`AttemptFailed`, `Restarted`,
 * `Switched`) become {@link Failure}s, and `StepFinished` goes without its `state`, which is the whole
 * conversation, the system prompt included.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import type { AgentError } from "../agent/AgentError.ts"
import type { AgentEvent } from "../agent/AgentEvent.ts"
import { type LlmError, Phase } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import { LlmUsage } from "../LlmUsage.ts"

/**
 * What a turn or a run of an agent tells.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = LlmEvent | AgentEvent

/**
 * One event as JSON, on one line.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (event: Event): string => {
  switch (event._tag) {
    // What there are thousands of is written by hand: an object's stringify costs twice as much.
    case "TextDelta":
      return `{"_tag":"TextDelta","text":${JSON.stringify(event.text)}}`
    case "ToolCallDelta":
      return `{"_tag":"ToolCallDelta","id":${JSON.stringify(event.id)},"delta":${JSON.stringify(event.delta)}}`
    case "Token":
      return `{"_tag":"Token","content":${JSON.stringify(event.content)},"step":${event.step},"phase":"${event.phase}"}`
    case "AttemptFailed":
    case "Restarted":
    case "Switched":
      return JSON.stringify({ ...event, error: failure(event.error) })
    case "StepFinished": {
      const { state: _state, ...told } = event
      return JSON.stringify(told)
    }
    default:
      return JSON.stringify(event)
  }
}

/**
 * Schema of what a client is told of a failure. It has neither a prompt nor an answer nor a stack in it.
 *
 * @category failures
 * @since 0.1.0
 */
export const Failure = Schema.Struct({
  /**
   * The tag of an `LlmError`'s or `AgentError`'s reason, the model's own where an agent's model failed; or
   * `"Internal"`.
   */
  reason: Schema.String,
  message: Schema.String,
  /** Whether the same request may succeed if sent again. */
  isRetryable: Schema.Boolean,
  /** How long to wait before that, in seconds. */
  retryAfter: Schema.optionalKey(Schema.Number),
  provider: Schema.optionalKey(Schema.String),
  model: Schema.optionalKey(Schema.String),
  phase: Schema.optionalKey(Phase),
  /** Characters (UTF-16 code units) of text that had been delivered before the failure. */
  emitted: Schema.optionalKey(Schema.Number),
  usage: Schema.optionalKey(LlmUsage)
})

/**
 * What a client is told of a failure.
 *
 * @category failures
 * @since 0.1.0
 */
export type Failure = typeof Failure.Type

/**
 * What a client is told of an error.
 *
 * @category failures
 * @since 0.1.0
 */
export const failure = (error: LlmError | AgentError): Failure => {
  const turn = turnOf(error)
  if (turn === undefined) {
    return {
      reason: error.reason._tag,
      message: error.message,
      isRetryable: error.isRetryable,
      ...(error.usage === undefined ? undefined : { usage: error.usage })
    }
  }
  return {
    reason: turn.reason._tag,
    message: error.message,
    isRetryable: error.isRetryable,
    ...(turn.retryAfter === undefined ? undefined : { retryAfter: Duration.toSeconds(turn.retryAfter) }),
    provider: turn.provider,
    ...(turn.model === undefined ? undefined : { model: turn.model }),
    phase: turn.phase,
    emitted: turn.emitted,
    ...(error.usage === undefined ? undefined : { usage: error.usage })
  }
}

/**
 * What a client is told of a defect: that there was one. The server logs which.
 *
 * @category failures
 * @since 0.1.0
 */
export const internal: Failure = {
  reason: "Internal",
  message: "the server failed while answering. Its log says why.",
  isRetryable: false
}

/**
 * The HTTP status for an error that came before the first event.
 *
 * It speaks for this server: what its provider holds against it (a wrong key, an unknown model) is not the
 * client's fault, and becomes 502. 4xx is what the client can change: 400 a request that cannot be asked,
 * 413 too long a prompt, 422 one that the model or a filter refused, 429 too many requests, 409 a session
 * that is busy.
 *
 * @category failures
 * @since 0.1.0
 */
export const status = (error: LlmError | AgentError): number => statuses[(turnOf(error) ?? error).reason._tag]

/** The error of the model's turn, where it is one. */
const turnOf = (error: LlmError | AgentError): LlmError | undefined =>
  error._tag === "LlmError" ? error : error.reason._tag === "ModelFailed" ? error.reason.error : undefined

const statuses: Readonly<Record<LlmError["reason"]["_tag"] | AgentError["reason"]["_tag"], number>> = {
  Unreachable: 502,
  Authentication: 502,
  PermissionDenied: 502,
  NotFound: 502,
  InvalidRequest: 400,
  ContextTooLong: 413,
  QuotaExhausted: 503,
  RateLimited: 429,
  Overloaded: 503,
  ProviderFailed: 502,
  ContentFiltered: 422,
  DeadlineExceeded: 504,
  Disconnected: 502,
  Truncated: 502,
  Malformed: 502,
  InvalidOutput: 502,
  Unsupported: 400,
  BudgetExceeded: 429,
  CircuitOpen: 503,
  ModelFailed: 502,
  LimitExceeded: 500,
  Unreadable: 502,
  ToolFailed: 500,
  SessionBusy: 409
}
