/**
 * A client of any model of this library, for those who have a Layer and callers who do not know Effect.
 *
 * ```ts
 * const model = OpenAi.layerConfig({ model: "gpt-4.1-mini" }).pipe(
 *   Budget.layer({ tokens: 1_000_000 }),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 *
 * await using rill = fromLayer(model)
 * ```
 *
 * It is a module by itself, so that `effect-rill/promise/Rill` has no Effect type in it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { isLlmError, type LlmError } from "../LlmError.ts"
import { Llm } from "../Llm.ts"
import * as client from "./internal/client.ts"
import * as plain from "./internal/plain.ts"
import { type Options, type Rill, RillError } from "./Rill.ts"

/**
 * Options of {@link fromLayer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromLayerOptions extends Pick<Options, "callbacks" | "fallback"> {
  /** Deadlines in place of the layer's own. They are kept by the providers of this library, and by `Deadlines.enforce`. */
  readonly timeout?: Options["timeout"]
  /** Default: none but the layer's own. */
  readonly retries?: Options["retries"]
}

/**
 * A client of a Layer that needs nothing else. The layer is built by the first call, and released by `close`.
 *
 * Where it cannot be built, every call is rejected: with the error itself where it is an `LlmError`'s, and
 * else as `LayerFailed`, whose `cause` is the layer's error. To try again, make another client.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromLayer = <E>(layer: Layer.Layer<Llm, E>, options: FromLayerOptions = {}): Rill =>
  client.make(
    {
      name: "layer",
      llm: Layer.build(layer).pipe(Effect.map(Context.get(Llm)), Effect.mapError(failed))
    },
    { ...options, retries: options.retries ?? false }
  )

const failed = (error: unknown): RillError =>
  isLlmError(error)
    ? plain.error(error satisfies LlmError)
    : new RillError(
        "the model's layer could not be built. `cause` is why.",
        { reason: "LayerFailed", provider: "layer", phase: "request", emitted: 0, isRetryable: false },
        { cause: error }
      )
