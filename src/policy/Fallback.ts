/**
 * Fallback: asks another model when one fails.
 *
 * ```ts
 * const model = Fallback.layer([
 *   OpenAi.layerConfig({ model: "gpt-4.1-mini" }).pipe(Retry.layer()),
 *   Anthropic.layerConfig({ model: "claude-haiku-4-5" })
 * ])
 * ```
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Llm } from "../Llm.ts"
import type { LlmError, Reason } from "../LlmError.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import { amend } from "./internal/amending.ts"
import * as attempts from "./internal/attempts.ts"
import * as goingOn from "./internal/goingOn.ts"
import type { AfterOutput } from "./Retry.ts"

/**
 * Options of the policy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What to do after some of the answer has been delivered: as for `Retry`. Default `"fail"`. */
  readonly afterOutput?: AfterOutput | undefined
  /**
   * After which errors the next model is asked, in place of {@link mayHelp}: begin with that one to widen
   * it, as in `(error) => Fallback.mayHelp(error) || error.reason._tag === "ContentFiltered"`.
   */
  readonly while?: ((error: LlmError) => boolean) | undefined
  /**
   * The request as a model after the first is sent it; `index` is its place, from 1. Default
   * {@link ownDefaults}.
   */
  readonly request?: ((request: LlmRequest, index: number) => LlmRequest) | undefined
  /** For `continue`, for models after the first: as for `Retry`. */
  readonly prefill?: ((request: LlmRequest) => LlmRequest | undefined) | undefined
}

/**
 * Whether another model may do better after this error: after all but `InvalidRequest`, which is for the
 * caller to mend, `ContentFiltered`, since asking around for a model that does not refuse is nothing to do
 * unasked, `InvalidOutput`, and a `total` deadline.
 *
 * So also where trying the same model again cannot help: `Authentication`, `PermissionDenied`, `NotFound`,
 * `QuotaExhausted`, `ContextTooLong`, `Unsupported`, `Malformed`, `BudgetExceeded`, `CircuitOpen`.
 *
 * @category guards
 * @since 0.1.0
 */
export const mayHelp = ({ reason }: LlmError): boolean =>
  !hopeless.has(reason._tag) && !(reason._tag === "DeadlineExceeded" && reason.which === "total")

const hopeless: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>([
  "InvalidRequest",
  "ContentFiltered",
  "InvalidOutput"
])

/**
 * The request without `model` and `extra`, which belong to the first model: each other one is asked as its
 * own layer says.
 *
 * @category requests
 * @since 0.1.0
 */
export const ownDefaults = (request: LlmRequest): LlmRequest => ({ ...request, model: undefined, extra: undefined })

/**
 * One model of several: each is asked when the one before it has failed.
 *
 * `Switched` tells of it, with their names. The error of the last one that was asked is the stream's, with
 * the usage of all; `error.failedBefore`, and its message, name the others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (llms: NonEmptyReadonlyArray<Llm["Service"]>, options: Options = {}): Llm["Service"] => ({
  ...(llms[0].name === undefined ? undefined : { name: llms[0].name }),
  events: (request) => attempts.run(Effect.sync(() => plan(llms, goingOn.replayable(request), options)))
})

/**
 * One model of several that come from Layers, as {@link make} makes it. All layers are built: one that
 * cannot be, for want of a key, is an error of this layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Layers extends NonEmptyReadonlyArray<Layer.Layer<Llm, unknown, unknown>>>(
  layers: Layers,
  options?: Options
): Layer.Layer<Llm, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>> =>
  built(layers, options) as Layer.Layer<Llm, Layer.Error<Layers[number]>, Layer.Services<Layers[number]>>

const built = <E, R>(layers: NonEmptyReadonlyArray<Layer.Layer<Llm, E, R>>, options: Options | undefined) =>
  Layer.effect(
    Llm,
    Effect.map(
      Effect.forEach(layers, (layer) => Effect.map(Layer.build(layer), Context.get(Llm))),
      (llms) => make(llms, options)
    )
  )

const plan = (llms: NonEmptyReadonlyArray<Llm["Service"]>, request: LlmRequest, options: Options): attempts.Plan => {
  const isWanted = options.while ?? mayHelp
  const requestOf = options.request ?? ownDefaults
  const failed: Array<string> = []
  let index = 0
  return {
    first: { llm: llms[0], request },
    afterOutput: options.afterOutput ?? "fail",
    prefill: options.prefill,
    last: (error) =>
      failed.length === 0 ? error : amend(error, { failedBefore: [...failed, ...(error.failedBefore ?? [])] }),
    next: (error) =>
      Effect.sync(() => {
        const llm = llms[index + 1]
        if (llm === undefined || !isWanted(error)) return undefined
        const from = failedName(llms[index], error)
        index++
        failed.push(...(error.failedBefore ?? []), `${from}: ${error.reason._tag}`)
        const switched = { _tag: "Switched", from, to: llm.name ?? `model ${index + 1}`, error } as const
        return {
          llm,
          request: requestOf(request, index),
          delay: Duration.zero,
          tell: (isVoid) => (isVoid ? [{ _tag: "Restarted", error }, switched] : [switched])
        }
      })
  }
}

/** The model that was asked, which a request, or a policy below, may have chosen. */
const failedName = (llm: Llm["Service"] | undefined, { model, provider }: LlmError): string =>
  model === undefined ? (llm?.name ?? provider) : `${provider}/${model}`
