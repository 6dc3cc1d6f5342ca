/**
 * Spans and metrics of models, after OpenTelemetry's conventions for generative AI:
 * https://github.com/open-telemetry/semantic-conventions-genai (its spans, metrics and agent spans, as of
 * 2026; they are in development and may change).
 *
 * Every provider has them: nothing is to be added but an exporter, such as the one of
 * `effect/observability`.
 *
 * ```ts
 * import { Otlp, OtlpSerialization } from "effect/observability"
 *
 * const Observed = Otlp.layer({ baseUrl: "http://localhost:4318", resource: { serviceName: "shop" } }).pipe(
 *   Layer.provide(OtlpSerialization.layerJson),
 *   Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * **Spans.** A request is `chat MODEL`, of kind `client`, with what was asked for, who answered, the finish
 * reason and the usage (`rill.usage.source` says whether it is exact or estimated). One that fails has
 * `error.type`, the reason's tag. One whose reader leaves or is interrupted ends as interrupted, which is no
 * error. The run of an agent is `invoke_agent NAME`, each execution of a tool `execute_tool NAME`, and the
 * spans of its model are inside. No prompt, answer or key is told, unless {@link Content} asks for the first
 * two; no trace header is sent to a provider.
 *
 * **Metrics.** By the conventions: `gen_ai.client.operation.duration` and `.time_to_first_chunk` (s; the first
 * chunk that has something of the answer), `gen_ai.client.token.usage` (by `gen_ai.token.type`; exact counts
 * alone), `gen_ai.invoke_agent.duration` and `gen_ai.execute_tool.duration` (s). Ours:
 * `rill.client.operation.time_per_output_token` (s, the mean of each answer that came to its end),
 * `rill.active_streams`, `rill.retries` and `rill.switches` (of retries, fallbacks and hedges), and
 * `rill.cost`.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import type * as Cost from "./Cost.ts"
import * as ChatSpan from "./internal/ChatSpan.ts"
import * as spans from "./internal/spanned.ts"
import type { Tell } from "./internal/spanned.ts"

// -----------------------------------------------------------------------------
// what is in force
// -----------------------------------------------------------------------------

/**
 * Whether there are spans and metrics. Default: true.
 *
 * ```ts
 * program.pipe(Effect.provideService(Telemetry.Enabled, false))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const Enabled = Context.Reference<boolean>("effect-rill/policy/Telemetry/Enabled", {
  defaultValue: () => true
})

/**
 * Whether spans tell prompts and answers (`gen_ai.input.messages`, `gen_ai.system_instructions`,
 * `gen_ai.output.messages`), and what tools are given and give. Default: false. The bytes of files are left
 * out in any case.
 *
 * @category references
 * @since 0.1.0
 */
export const Content = Context.Reference<boolean>("effect-rill/policy/Telemetry/Content", {
  defaultValue: () => false
})

/**
 * What tokens cost, and who is told. Default: nothing is known of it.
 *
 * ```ts
 * program.pipe(Effect.provideService(Telemetry.CostOf, {
 *   prices: { "openai/gpt-4o-mini": { input: 0.15, output: 0.6 } },
 *   onCost: ({ cost, model }) => Effect.log(`${model}: $${cost}`)
 * }))
 * ```
 *
 * @category references
 * @since 0.1.0
 */
export const CostOf = Context.Reference<Costs | undefined>("effect-rill/policy/Telemetry/CostOf", {
  defaultValue: () => undefined
})

/**
 * What tokens cost, and who is told. The cost is on the span as `rill.cost`, and added to the metric of the
 * same name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Costs {
  /** Prices by model. */
  readonly prices?: Cost.Prices | undefined
  /**
   * In the place of `prices`: what a usage costs, `undefined` where that is not known. It is asked for the
   * model as its provider names it in its answer and then, if that is not known, for the one that was asked.
   */
  readonly cost?:
    | ((
        usage: LlmUsage,
        who: { readonly provider: string | undefined; readonly model: string | undefined }
      ) => number | undefined)
    | undefined
  /**
   * Told of the cost of each request, where it is known, when it is over and however it ended: one that
   * failed or was interrupted costs as well. Told once, by the innermost span: of each attempt of a retry.
   */
  readonly onCost?: ((spent: Spent) => Effect.Effect<void>) | undefined
}

/**
 * What a request cost.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spent {
  /** In the currency of the prices. */
  readonly cost: number
  /** What it is the cost of; an estimate where `source` says so. */
  readonly usage: LlmUsage
  /** As in `Started` and `LlmError`, such as `"openai"`. */
  readonly provider: string | undefined
  /** The one that answered or, where there was no answer, that was asked. */
  readonly model: string | undefined
  /** Absent in {@link tap}, where none was given. */
  readonly request: LlmRequest | undefined
}

// -----------------------------------------------------------------------------
// for models of one's own, and over policies
// -----------------------------------------------------------------------------

/**
 * Options of {@link attach}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Costs {
  /**
   * Who is asked, such as `"openai"`. With it the span is of kind `client`, for a model that is asked over a
   * network; without, `internal`, and named by what the answer says.
   */
  readonly provider?: string | undefined
  /** The model that is asked where a request names none. */
  readonly model?: string | undefined
  /** Where it is asked. */
  readonly server?: { readonly address: string; readonly port: number } | undefined
  /** In the place of {@link Content}, here and for what is inside. */
  readonly content?: boolean | undefined
}

/**
 * Adds a span and metrics to a model.
 *
 * For a model of one's own, that has none. Over a policy, such as a retry, for one span of the whole: its
 * attempts are inside of it, and `AttemptFailed`, `Restarted` and `Switched` are its events. What is used is
 * told once, by the innermost spans: the one of the whole then has neither usage nor metrics of its own.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (options: Options): (self: Llm["Service"]) => Llm["Service"]
  (self: Llm["Service"], options: Options): Llm["Service"]
} = dual(2, (self: Llm["Service"], options: Options): Llm["Service"] => ({
  ...self,
  events: (request) => tap(self.events(request), options, request)
}))

/**
 * Adds a span and metrics to a model that comes from a Layer, as {@link attach} does.
 *
 * @category policies
 * @since 0.1.0
 */
export const layer: {
  (options: Options): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E, R>
  <E, R>(self: Layer.Layer<Llm, E, R>, options: Options): Layer.Layer<Llm, E, R>
} = dual(2, <E, R>(self: Layer.Layer<Llm, E, R>, options: Options): Layer.Layer<Llm, E, R> =>
  Layer.effect(Llm, Effect.map(Llm, attach(options))).pipe(Layer.provide(self))
)

/**
 * Adds a span and metrics to one stream of events. Tell the request, where it is known.
 *
 * @category policies
 * @since 0.1.0
 */
export const tap: {
  (
    options: Options,
    request?: LlmRequest
  ): <R>(self: Stream.Stream<LlmEvent, LlmError, R>) => Stream.Stream<LlmEvent, LlmError, R>
  <R>(
    self: Stream.Stream<LlmEvent, LlmError, R>,
    options: Options,
    request?: LlmRequest
  ): Stream.Stream<LlmEvent, LlmError, R>
} = dual(
  (args) => Stream.isStream(args[0]),
  <R>(
    self: Stream.Stream<LlmEvent, LlmError, R>,
    options: Options,
    request?: LlmRequest
  ): Stream.Stream<LlmEvent, LlmError, R> => spans.spanned(self, begin(options, request))
)

/**
 * Makes a stream of events with a span and metrics, for those who write providers: what {@link tap} does, at
 * less cost for each token, since the source tells of itself. It is opened by the first pull, in a scope
 * of its own, and has to call `look` with what it gives out, and `end` before it ends or fails.
 *
 * @category writing providers
 * @since 0.1.0
 */
export const source = (
  open: (tell: Tell<LlmEvent, LlmError>) => Effect.Effect<Events, LlmError, Scope.Scope>,
  options: Options,
  request: LlmRequest
): Stream.Stream<LlmEvent, LlmError> => spans.source(begin(options, request), open)

type Events = Pull.Pull<NonEmptyReadonlyArray<LlmEvent>, LlmError>

const begin = (options: Options, request: LlmRequest | undefined) =>
  Effect.withFiber((fiber) =>
    fiber.getRef(Enabled)
      ? ChatSpan.begin(options, request, { content: fiber.getRef(Content), costs: fiber.getRef(CostOf) })
      : Effect.undefined
  )
