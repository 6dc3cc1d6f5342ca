/**
 * Requests that are not answered: why, and what is sent instead.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { LlmError } from "../../LlmError.ts"
import * as EventJson from "../../delivery/EventJson.ts"
import * as Format from "../../delivery/Format.ts"
import * as OpenAiChunks from "../../delivery/OpenAiChunks.ts"

/**
 * Why a request is refused, each with its HTTP status.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason = keyof typeof statuses

const statuses = {
  NotJson: 400,
  InvalidRequest: 400,
  Unsupported: 400,
  ForeignHost: 403,
  ForeignOrigin: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  Timeout: 408,
  BodyTooLarge: 413,
  Encoded: 415,
  NoWebSocket: 426,
  HeadersTooLarge: 431,
  Internal: 500,
  Stopping: 503
} as const

/**
 * A request that is refused. Its message says what is expected, never what came.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refusal extends Data.TaggedError("Refusal")<{
  readonly reason: Reason
  readonly message: string
  /** The field of the body that is wrong, as `messages[0].content`. */
  readonly param?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}> {
  get status(): number {
    return statuses[this.reason]
  }

  /** What a client is told: `{ "error": … }`, as `EventJson.Failure` has it or, below `/v1`, as OpenAI does. */
  body(path: string): object {
    const { message, param = null, reason } = this
    if (!path.startsWith("/v1/")) {
      return Format.problem({ reason, message, isRetryable: reason === "Stopping" })
    }
    const type = this.status < 500 ? "invalid_request_error" : "server_error"
    return { error: { message, type, param, code: codes[reason] ?? null } }
  }
}

/** OpenAI's own, where it has one. */
const codes: { readonly [R in Reason]?: string } = {
  NotFound: "unknown_url",
  MethodNotAllowed: "method_not_supported",
  Unsupported: "unsupported_parameter"
}

/**
 * The response that tells a refusal.
 *
 * @category responses
 * @since 0.1.0
 */
export const respond = (refusal: Refusal, path: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(refusal.body(path), {
    status: refusal.status,
    headers: { "cache-control": "no-store", ...refusal.headers }
  })

/**
 * The response that tells, in OpenAI's form, that the model failed. What comes as a stream is told by `HttpResponse`.
 *
 * @category responses
 * @since 0.1.0
 */
export const failed = (error: LlmError): HttpServerResponse.HttpServerResponse => {
  const failure = EventJson.failure(error)
  return HttpServerResponse.jsonUnsafe(OpenAiChunks.openAi.problem(failure), {
    status: EventJson.status(error),
    headers: {
      "cache-control": "no-store",
      "x-should-retry": String(failure.isRetryable),
      ...(failure.retryAfter === undefined ? undefined : { "retry-after": String(Math.ceil(failure.retryAfter)) })
    }
  })
}
