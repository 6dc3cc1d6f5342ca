/**
 * How a model talks: the request's body, the stream's frames, the errors' bodies. Pure data and
 * functions, no I/O.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Result from "effect/Result"
import type { Reason } from "../LlmError.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import type { Decoder, Progress } from "../wire/Decoder.ts"
import type { HttpFailure } from "../wire/Http.ts"

/**
 * A request as the wire sends it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncodedRequest {
  readonly body: Readonly<Record<string, unknown>>
  /** Characters of the prompt, for an estimate of its tokens. */
  readonly inputCharacters: number
}

/**
 * One way of talking to a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Protocol<in out S extends Progress> {
  readonly framing: "sse" | "ndjson"
  /** The body for a request to a model, or what is wrong with the request. */
  readonly encode: (request: LlmRequest, model: string) => Result.Result<EncodedRequest, Reason>
  readonly decoder: Decoder<S>
  /** What an answer with a bad status means. */
  readonly error: (failure: HttpFailure) => Reason
  /** The delay that the body of a bad answer asks for, where a provider tells it there: it wins over the headers'. */
  readonly retryAfter?: (failure: HttpFailure) => Duration.Duration | undefined
}
