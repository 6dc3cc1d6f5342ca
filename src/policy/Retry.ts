/**
 * Retry: tries again when a model fails in a way that may pass.
 *
 * ```ts
 * const model = OpenAi.layerConfig({ model: "gpt-4.1-mini" }).pipe(Retry.layer())
 * ```
 *
 * An attempt that fails before any of its answer has come is tried again unseen. After that there is a
 * choice, `afterOutput`, for text that has been delivered cannot be delivered again.
 *
 * Every attempt is a request of its own: what a failed one used is paid for, and is part of the usage that
 * the answer, or the last error, tells. Calls of tools are run only when their turn has ended well, so no
 * attempt can run one twice; what a provider does on its side while it answers, such as a search, is done
 * again.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { Llm } from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import * as attempts from "./internal/attempts.ts"
import * as goingOn from "./internal/goingOn.ts"

/**
 * What to do about an attempt that fails after some of its answer has been delivered: text, reasoning, a
 * refusal, a source or the beginning of a tool call.
 *
 * - `fail`: the stream fails with the attempt's error.
 * - `continue`: another attempt goes on from the text so far, which is never taken back. The text is sent
 *   as the beginning of the answer where the provider takes one, else the model is asked to go on where it
 *   stopped; what it repeats nevertheless is cut, unless it repeats it in other words or after an
 *   introduction. Tool calls that had begun, and reasoning after the text, are void. Where no text has
 *   come, there is nothing to go on from and the answer begins anew, as with `restart`. An answer in JSON
 *   (`responseFormat`) has no middle that a model could go on from: it fails.
 * - `restart`: another attempt begins anew; `Restarted` tells that what was delivered is void. Views that
 *   have delivered text, such as `Llm.stream`, fail then with the attempt's error; `Llm.run` does not.
 *
 * @category models
 * @since 0.1.0
 */
export type AfterOutput = attempts.AfterOutput

/**
 * Options of the policy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How often and after which delays. It counts all attempts of a run, whether or not some of the answer
   * has come. Default {@link defaultSchedule}: 3 tries in all.
   */
  readonly schedule?: Schedule.Schedule<unknown, LlmError> | undefined
  /**
   * The longest wait. Delays of the schedule are cut to it. A delay that the provider asks for
   * (`error.retryAfter`) wins over the schedule's; where it is longer than this, the attempt's error is
   * final at once. Default 30 s.
   */
  readonly maxDelay?: Duration.Input | undefined
  /** Default `"fail"`. */
  readonly afterOutput?: AfterOutput | undefined
  /**
   * Which errors are tried again, in place of `error.isRetryable`: begin with that one to narrow it, as in
   * `(error) => error.isRetryable && error.reason._tag !== "Truncated"`. A `total` deadline is over all
   * attempts: none follows it.
   */
  readonly while?: ((error: LlmError) => boolean) | undefined
  /**
   * For `continue`: how the model is told to go on from a last message of its own, in place of what its
   * provider knows, or `undefined` where it cannot. For vLLM:
   *
   * ```ts
   * prefill: (request) => ({
   *   ...request,
   *   extra: { ...request.extra, continue_final_message: true, add_generation_prompt: false }
   * })
   * ```
   */
  readonly prefill?: ((request: LlmRequest) => LlmRequest | undefined) | undefined
}

/**
 * Two more tries, after about 0.5 s and 1 s: a fifth less or more, so that those who failed together do not
 * come back together.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultSchedule: Schedule.Schedule<unknown, LlmError> = Schedule.exponential("500 millis").pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 2 })
)

/**
 * The longest wait, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultMaxDelay: Duration.Duration = Duration.seconds(30)

/**
 * Adds retries to a model.
 *
 * `AttemptFailed` tells of each failure that another attempt follows, before the wait between them;
 * `Restarted` does where what was delivered is void. The error of the last attempt is the stream's, with
 * the usage of all of them.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (options?: Options): (self: Llm["Service"]) => Llm["Service"]
  (self: Llm["Service"], options?: Options): Llm["Service"]
} = dual(
  (args) => args[0] !== undefined && "events" in args[0],
  (self: Llm["Service"], options: Options = {}): Llm["Service"] => ({
    ...self,
    events: (request) => attempts.run(plan(self, goingOn.replayable(request), options))
  })
)

/**
 * Adds retries to a model that comes from a Layer, as {@link attach} does.
 *
 * @category policies
 * @since 0.1.0
 */
export const layer: {
  (options?: Options): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E, R>
  <E, R>(self: Layer.Layer<Llm, E, R>, options?: Options): Layer.Layer<Llm, E, R>
} = dual(
  (args) => Layer.isLayer(args[0]),
  <E, R>(self: Layer.Layer<Llm, E, R>, options?: Options): Layer.Layer<Llm, E, R> =>
    Layer.effect(
      Llm,
      Llm.useSync((llm) => attach(llm, options))
    ).pipe(Layer.provide(self))
)

const plan = (llm: Llm["Service"], request: LlmRequest, options: Options): Effect.Effect<attempts.Plan> =>
  Effect.map(Schedule.toStep(options.schedule ?? defaultSchedule), (step) => {
    const maxDelay = Duration.fromInputUnsafe(options.maxDelay ?? defaultMaxDelay)
    const isWanted = options.while ?? ((error: LlmError) => error.isRetryable)
    let attempt = 0
    return {
      first: { llm, request },
      afterOutput: options.afterOutput ?? "fail",
      prefill: options.prefill,
      last: (error) => error,
      next: Effect.fnUntraced(function* (error) {
        attempt++
        if (!isWanted(error)) return undefined
        const { retryAfter } = error
        if (retryAfter !== undefined && Duration.isGreaterThan(retryAfter, maxDelay)) return undefined
        const now = yield* Clock.currentTimeMillis
        const delay = yield* step(now, error).pipe(
          Effect.map(([, delay]) => Duration.min(delay, maxDelay)),
          Pull.catchDone(() => Effect.undefined)
        )
        if (delay === undefined) return undefined
        return {
          llm,
          request,
          // No delay at all is no wish of a provider's: it is what is left of one.
          delay: retryAfter !== undefined && Duration.toMillis(retryAfter) > 0 ? retryAfter : delay,
          tell: (isVoid) => [isVoid ? { _tag: "Restarted", error } : { _tag: "AttemptFailed", attempt, error }]
        }
      })
    }
  })
