/**
 * Hedging: asks a second model when the first is slow to speak, and takes whichever speaks first.
 *
 * Most answers begin soon, a few much later, for reasons that have nothing to do with what was asked.
 * Asking again, of the same model or another, cuts these off for the price of the few requests more.
 *
 * ```ts
 * const layer = Hedge.layer([
 *   OpenAi.layerConfig({ model: "gpt-4o-mini" }),
 *   Anthropic.layerConfig({ model: "claude-haiku-4-5" })
 * ], { after: "2 seconds" })
 * ```
 *
 * To hedge a model against itself, give it twice.
 *
 * The next model is asked when `after` has passed since the last one was and nobody has spoken, or at
 * once when one fails before it has spoken. The first to speak is the answer: its events are passed on
 * whole, from its `Started` to its `Finished`, none of another's is, and all others are closed before
 * its first token is passed on. To speak is to tell something of the answer: text, reasoning, a
 * refusal or a tool call, not empty, or the end of an answer that has none of these. After that, a
 * hedge costs nothing and changes nothing: an answer that breaks off in the middle fails.
 *
 * What tells of it, directly before the answer's own events:
 *
 * - `AttemptFailed` for each model that failed, but the first; `attempt` is its place, from 1.
 * - `Switched`, if it is not the first that answers: `error` is the first's own where it failed, and
 *   `DeadlineExceeded` (`first-token`) where it was slow. `from` and `to` are `provider/model` where a
 *   model has told its name, else `model 1` for the first, and so on.
 *
 * Usage of the answer is of all that were asked: what the others reported, or an estimate of what they
 * were sent, since providers bill for a request whether or not one stays to listen. Who refused a
 * request does not. An answer that its reader leaves in the middle has no place to tell it: callbacks
 * or a budget on each model, under the hedge, count every request.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import { InvalidRequest, LlmError } from "../LlmError.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import * as Deadlines from "./Deadlines.ts"
import * as Fallback from "./Fallback.ts"
import * as racing from "./internal/racing.ts"

/**
 * When the next model is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How late the first token may be before the next model is asked. Zero asks all of them at once. */
  readonly after: Duration.Input
  /**
   * After which errors of a model that has not spoken the next one is asked. Default `Fallback.mayHelp`.
   * After others none is, but those that are being asked may still answer.
   */
  readonly while?: ((error: LlmError) => boolean) | undefined
  /**
   * The request as a model after the first is sent it; `index` is its place, from 1. By default the same,
   * but without `model` and `extra`, which belong to the first model; unless it is that model once more.
   */
  readonly request?: ((request: LlmRequest, index: number) => LlmRequest) | undefined
}

/**
 * Makes one model of several, in the order in which they are asked. One model alone is that model.
 *
 * No models, or an `after` that is no duration, refuse every request with `InvalidRequest`.
 *
 * Fails, when all have, with the error of the first that may succeed if sent again, or else with that
 * of the first; its usage is of all. A defect of any, before one has spoken, is a defect of the whole.
 *
 * @category policies
 * @since 0.1.0
 */
export const make = (models: NonEmptyReadonlyArray<Llm["Service"]>, options: Options): Llm["Service"] => {
  const { while: isWanted = Fallback.mayHelp } = options
  const after = Duration.fromInput(options.after)
  const [first] = models
  if (first === undefined) return refusing("there is no model to ask. Give Hedge at least one.")
  if (Option.isNone(after)) return refusing('`after` of Hedge must be a duration, such as "2 seconds".')
  if (models.length === 1) return first
  const requestOf = (request: LlmRequest, index: number): LlmRequest => {
    if (index === 0) return request
    if (options.request !== undefined) return options.request(request, index)
    return models[index] === first ? request : Fallback.ownDefaults(request)
  }
  return {
    ...(first.name === undefined ? undefined : { name: first.name }),
    events: (request) =>
      Deadlines.asOne(
        Stream.fromChannel(
          Channel.fromTransform((_, scope) =>
            Effect.sync(() => racing.race({ models, request, requestOf, after: after.value, isWanted }, scope))
          )
        )
      )
  }
}

/**
 * Makes one model of several that come from Layers, as {@link make} does. A layer that is given twice is
 * built once.
 *
 * @category policies
 * @since 0.1.0
 */
export const layer = <const Layers extends NonEmptyReadonlyArray<Layer.Layer<Llm, unknown, unknown>>>(
  layers: Layers,
  options: Options
): Layer.Layer<Llm, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  Layer.fromBuildMemo((memoMap, scope) =>
    Effect.map(
      Effect.forEach(layers as Built<Layers>, (layer) => Layer.buildWithMemoMap(layer, memoMap, scope)),
      (contexts) => {
        const [first, ...others] = contexts.map((context) => Context.get(context, Llm))
        return Context.make(Llm, make([first!, ...others], options))
      }
    )
  )

type Built<Layers extends NonEmptyReadonlyArray<Layer.Layer<Llm, unknown, unknown>>> = NonEmptyReadonlyArray<
  Layer.Layer<Llm, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>>
>

/** Types allow neither: for callers in plain JavaScript. */
const refusing = (message: string): Llm["Service"] => {
  const reason = new InvalidRequest({ message })
  return { events: () => Stream.fail(new LlmError({ reason, provider: "llm", phase: "request", emitted: 0 })) }
}
