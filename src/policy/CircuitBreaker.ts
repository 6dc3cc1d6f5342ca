/**
 * Circuit breaker: a model whose provider fails again and again is not asked for a while.
 *
 * ```ts
 * const layer = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(CircuitBreaker.layer())
 * ```
 *
 * While the circuit is closed, requests pass and failures are counted. When the trip policy says so, it
 * opens: requests fail at once with `CircuitOpen`, whose `retryAfter` is the time until the next is let
 * through. That one is the probe: its first output closes the circuit, its failure opens it again, for
 * twice as long. Others fail with `CircuitOpen` meanwhile, without a `retryAfter`. Nobody ever waits.
 *
 * What counts:
 *
 * - failure: what the provider is guilty of, see {@link isProviderFailure};
 * - success: an answer that is complete, or that its reader leaves or that fails of something else after
 *   its first output. A paused reader says nothing about the provider, so a probe is not kept until its
 *   answer is complete; what becomes of it after its first output is not counted;
 * - nothing: whatever else ends before any output, such as an interruption. A probe that ends so makes
 *   room for the next. A time limit of your own around a request is an interruption: a provider that
 *   hangs is found out by the deadlines of this library only.
 *
 * Put it over a {@link RateLimit}, so that nobody waits for a model that is refused anyway; under a
 * retry, so that every attempt counts; and each model of a fallback under its own, so that the
 * fallback goes on to the next at once.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Breaker from "effect/persistence/CircuitBreaker"
import * as Scope from "effect/Scope"
import { Llm } from "../Llm.ts"
import { CircuitOpen, type LlmError, type Reason } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import { refusal } from "./internal/refusing.ts"
import * as sharedStore from "./internal/sharedStore.ts"
import { type Run, type Watch, watched } from "./internal/watching.ts"

/**
 * When a circuit opens, and for how long.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Which failures open it. Default `consecutive(5)`: five, without a success between. */
  readonly tripPolicy?: Breaker.TripPolicy | undefined
  /**
   * How long it stays open: twice as long with each time that a probe fails, at least what the provider
   * asks to wait (`retryAfter`), and at most `maxOpenDuration`. A circuit that has stayed closed for as
   * long as it was last open begins anew. Default 10 seconds.
   */
  readonly openDuration?: Duration.Input | undefined
  /** Default 5 minutes, or `openDuration` where that is longer. */
  readonly maxOpenDuration?: Duration.Input | undefined
  /** Which errors count as failures. Default {@link isProviderFailure}. */
  readonly isFailure?: ((error: LlmError) => boolean) | undefined
  /**
   * What to do when a request has opened or closed the circuit or is its probe: to log it, or to tell
   * someone. The request waits for it. Of what other processes did to a shared circuit nothing is told.
   */
  readonly onTransition?: ((transition: Breaker.Transition) => Effect.Effect<void>) | undefined
}

/**
 * A circuit whose state is kept where several processes find it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedOptions extends Options {
  /** The name of the circuit. All who use it must mean the same provider, and have the same options. */
  readonly key: string
  /**
   * What to do where the store fails, or does not answer within a second: let the request pass
   * unrecorded (`"allow"`, the default), or fail with `CircuitOpen`. A failure while an outcome is
   * recorded is never one of the answer. What is let pass is logged, at `References.UnhandledLogLevel`.
   */
  readonly onStoreError?: "allow" | "fail" | undefined
}

/**
 * A circuit, ready to be set on models: all that it is set on share it.
 *
 * @category models
 * @since 0.1.0
 */
export type CircuitBreaker = (self: Llm["Service"]) => Llm["Service"]

export {
  /**
   * Opens after so many failures without a success between, in order of their ends.
   *
   * @category trip policies
   * @since 0.1.0
   */
  consecutive,
  /**
   * Opens when of the last so many answers too large a part has failed.
   *
   * @category trip policies
   * @since 0.1.0
   */
  rate
} from "effect/persistence/CircuitBreaker"

/**
 * Whether the provider is guilty of an error, or the way to it:
 *
 * - `Unreachable`, `Disconnected`, `Overloaded`, `ProviderFailed`; `Truncated` and `Malformed`, which
 *   proxies and overloaded servers give; `DeadlineExceeded`, but `total`, which is the caller's own and
 *   may end an answer that comes well.
 *
 * Not `Authentication`, `PermissionDenied`, `NotFound`, `InvalidRequest`, `ContextTooLong`,
 * `Unsupported`: the next request may be a better one. Not `RateLimited` and `QuotaExhausted`: the
 * provider is well, and how fast one asks is the matter of retry, fallback and rate limit. Not
 * `ContentFiltered` and `InvalidOutput`, which are answers. Not `BudgetExceeded` and `CircuitOpen`,
 * which are our own.
 *
 * @category guards
 * @since 0.1.0
 */
export const isProviderFailure = ({ reason }: LlmError): boolean =>
  guilty.has(reason._tag) && !(reason._tag === "DeadlineExceeded" && reason.which === "total")

const guilty: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>([
  "Unreachable",
  "Disconnected",
  "Overloaded",
  "ProviderFailed",
  "Truncated",
  "Malformed",
  "DeadlineExceeded"
])

/**
 * Sets a circuit on a model, kept in memory: for all who use the model that this gives. To set one
 * circuit on several models of a provider, use {@link make}.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (options?: Options): CircuitBreaker
  (self: Llm["Service"], options?: Options): Llm["Service"]
} = dual(
  (args) => isModel(args[0]),
  (self: Llm["Service"], options: Options = {}): Llm["Service"] => {
    const store = sharedStore.inMemory(Breaker.CircuitBreakerStore, Breaker.layerStoreMemory())
    return breaker({ ...options, key: "llm" }, store)(self)
  }
)

const isModel = (value: Llm["Service"] | Options | undefined): value is Llm["Service"] =>
  value !== undefined && "events" in value

/**
 * Sets a circuit on a model that comes from a Layer, as {@link attach} does.
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

/**
 * Makes a circuit that is kept in a store of `effect/persistence`: `CircuitBreaker.layerStoreMemory`, or
 * `CircuitBreaker.layerStoreRedis` for one that several processes share.
 *
 * A process that dies while it has the probe blocks the circuit for no longer than the store's
 * `probeLease`, 10 seconds by default.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: SharedOptions): Effect.Effect<CircuitBreaker, never, Breaker.CircuitBreakerStore> =>
  Breaker.CircuitBreakerStore.useSync((store) => breaker(options, store))

/**
 * Sets a circuit on a model that comes from a Layer, kept in a store of the surroundings, as
 * {@link make} says.
 *
 * ```ts
 * import * as Breaker from "effect/persistence/CircuitBreaker"
 *
 * OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
 *   CircuitBreaker.layerShared({ key: "openai" }),
 *   Layer.provide(Breaker.layerStoreRedis()),
 *   Layer.provide(NodeRedis.layer())
 * )
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const layerShared: {
  (options: SharedOptions): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E, R | Breaker.CircuitBreakerStore>
  <E, R>(self: Layer.Layer<Llm, E, R>, options: SharedOptions): Layer.Layer<Llm, E, R | Breaker.CircuitBreakerStore>
} = dual(
  2,
  <E, R>(self: Layer.Layer<Llm, E, R>, options: SharedOptions): Layer.Layer<Llm, E, R | Breaker.CircuitBreakerStore> =>
    Layer.effect(
      Llm,
      Effect.flatMap(make(options), (circuit) => Llm.useSync(circuit))
    ).pipe(Layer.provide(self))
)

// -----------------------------------------------------------------------------
// the circuit
// -----------------------------------------------------------------------------

const breaker = (options: SharedOptions, store: Breaker.CircuitBreakerStore["Service"]): CircuitBreaker => {
  const { isFailure = isProviderFailure, key, onTransition, tripPolicy = Breaker.consecutive(5) } = options
  const openDuration = Duration.fromInputUnsafe(options.openDuration ?? "10 seconds")
  const maxOpenDuration = Duration.max(Duration.fromInputUnsafe(options.maxOpenDuration ?? "5 minutes"), openDuration)

  const tell = (transition: Breaker.Transition | undefined): Effect.Effect<void> =>
    transition === undefined || onTransition === undefined
      ? Effect.void
      : // A defect at the end of a stream would be lost in that end: many readers look for the end alone.
        Effect.catchCause(
          Effect.suspend(() => onTransition(transition)),
          (cause) => sharedStore.report("CircuitBreaker's onTransition has died", cause)
        )

  const openFor = (admission: Breaker.Admission, error: LlmError | undefined): Duration.Duration =>
    Duration.min(
      Duration.max(
        Duration.times(openDuration, 2 ** admission.consecutiveOpenings),
        error?.retryAfter ?? Duration.zero
      ),
      maxOpenDuration
    )

  const record = (admission: Breaker.Admission, outcome: Breaker.Outcome["_tag"], error?: LlmError) =>
    sharedStore
      .ask(
        store.record({
          key,
          generation: admission.generation,
          outcome,
          tripPolicy,
          openFor: openFor(admission, error)
        })
      )
      .pipe(
        Effect.catchCause((cause) =>
          Effect.as(sharedStore.report("CircuitBreaker could not record an outcome", cause), undefined)
        ),
        Effect.flatMap(tell)
      )

  /** Asks to be let in. `undefined`: let in, and not to be recorded. */
  const admit = Effect.fnUntraced(function* (
    request: LlmRequest,
    scope: Scope.Scope
  ): Effect.fn.Return<Breaker.Admission | undefined, LlmError> {
    const asked = yield* Effect.exit(sharedStore.ask(Scope.provide(store.admit(key), scope)))
    if (Exit.isSuccess(asked)) return asked.value
    const error = Option.getOrUndefined(Cause.findErrorOption(asked.cause))
    if (error?._tag === "CircuitBreakerError") {
      const { reason } = error
      if (reason._tag === "CircuitOpen") {
        return yield* refused(
          request,
          "this model has failed too often and is not asked for a while",
          reason.retryAfter
        )
      }
      if (reason._tag === "CircuitHalfOpen") {
        return yield* refused(request, "this model has failed too often and is being tried with one request")
      }
    }
    if (options.onStoreError === "fail") {
      return yield* refused(request, "the store that knows whether this model is well cannot be asked")
    }
    yield* sharedStore.report("CircuitBreaker's store is unavailable, a request passes unrecorded", asked.cause)
    return undefined
  })

  const pass = Effect.fnUntraced(function* (
    request: LlmRequest,
    run: Run<LlmError>
  ): Effect.fn.Return<Watch<LlmEvent> | undefined, LlmError> {
    const admission = yield* admit(request, run.scope)
    if (admission === undefined) return undefined
    let hasOutput = false
    let isRecorded = false
    const settle = Effect.suspend(() => {
      if (isRecorded) return Effect.void
      const { error, exit } = run
      return Effect.sync(() => error !== undefined && isFailure(error)).pipe(
        // A probe is never kept, not even by a bug of the caller's.
        Effect.onError(() => record(admission, "Ignored")),
        Effect.flatMap((isGuilty) =>
          isGuilty
            ? record(admission, "Failure", error)
            : record(admission, hasOutput || (exit && Exit.isSuccess(exit)) ? "Success" : "Ignored")
        )
      )
    })
    yield* Scope.addFinalizer(run.scope, settle)
    yield* tell(admission.transition)
    return {
      look: (events) => {
        if (hasOutput || !events.some(isOutput)) return undefined
        hasOutput = true
        if (!admission.probe) return undefined
        isRecorded = true
        return record(admission, "Success")
      }
    }
  })

  return (self) => ({
    ...self,
    events: (request) => watched(self.events(request), (run) => pass(request, run))
  })
}

const isOutput = (event: LlmEvent): boolean => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta":
    case "Refusal":
    case "ToolCallStarted":
    case "Finished":
      return true
    default:
      return false
  }
}

const refused = (request: LlmRequest, what: string, retryAfter?: Duration.Duration): LlmError =>
  refusal(
    "circuit-breaker",
    request,
    new CircuitOpen({ message: `${what}. Ask another model, or this one later.` }),
    retryAfter
  )
