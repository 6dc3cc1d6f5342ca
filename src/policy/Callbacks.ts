/**
 * Callbacks: what to do when something happens while a model answers, as data.
 *
 * A callback is a function to an Effect that cannot fail. One that dies is a defect of the stream it
 * belongs to; nothing is swallowed.
 *
 * ```ts
 * const layer = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
 *   Callbacks.layer({ onToken: (text) => Effect.log(text), onEnd: ({ usage }) => Effect.log(usage) })
 * )
 * ```
 *
 * Callbacks run one after the other, in the order of the events. Events come in arrays, as many as
 * one read of the connection held; all callbacks of an array have run before the array is passed on.
 * So a slow callback slows the answer down, down to its socket, and never falls behind it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual, identity } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import type * as LlmEvent from "../LlmEvent.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import * as tapping from "./internal/tapping.ts"

/**
 * One run of a stream, handed to every callback: an object of its own for each run, so that callbacks
 * which several runs share can keep what belongs to one of them (in a `WeakMap`, by it).
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  /** What was asked. Callbacks on a stream of events whose request is not known do without. */
  readonly request?: LlmRequest | undefined
}

/**
 * How a run ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface End {
  /**
   * Success only if the answer is complete. A run that its consumer left before, with `take` or
   * `break`, is interrupted.
   */
  readonly exit: Exit.Exit<void, LlmError>
  /**
   * What the run used: the provider's own numbers where they came, in `Finished` or in the error. Else
   * an estimate from what was delivered and, where the request is known, from its prompt: providers
   * bill for it whether or not one stays to listen.
   */
  readonly usage: LlmUsage
}

/**
 * A tool that begins to run.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolStart {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/**
 * A tool that has run: its result, or why there is none.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolEnd {
  readonly id: string
  readonly name: string
  readonly exit: Exit.Exit<unknown, unknown>
}

/**
 * What to do when something happens. Each is optional; `Effect.void` costs nothing.
 *
 * `R` is what the callbacks need. {@link layer} and {@link tap} ask their caller for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Callbacks<out R = never> {
  /** The stream is being run; nothing has been sent. */
  readonly onStart?: ((run: Run) => Effect.Effect<void, never, R>) | undefined
  /** More of the visible text. */
  readonly onToken?: ((text: string, run: Run) => Effect.Effect<void, never, R>) | undefined
  /** More of the model's reasoning. */
  readonly onReasoning?: ((text: string, run: Run) => Effect.Effect<void, never, R>) | undefined
  /** A tool begins to run. Called by agents, which run tools; a model alone does not. */
  readonly onToolStart?: ((call: ToolStart, run: Run) => Effect.Effect<void, never, R>) | undefined
  /** A tool has run. Called by agents, which run tools; a model alone does not. */
  readonly onToolEnd?: ((result: ToolEnd, run: Run) => Effect.Effect<void, never, R>) | undefined
  /**
   * A policy under these callbacks tries again: what had been delivered, if anything, stands
   * (`AttemptFailed`), or is void (`Restarted`). Called when the attempt has failed, before any wait.
   */
  readonly onRetry?:
    | ((event: LlmEvent.Of<"AttemptFailed" | "Restarted">, run: Run) => Effect.Effect<void, never, R>)
    | undefined
  /** A policy under these callbacks goes on with another model, after `onRetry` where it begins anew. */
  readonly onSwitch?: ((event: LlmEvent.Of<"Switched">, run: Run) => Effect.Effect<void, never, R>) | undefined
  /** The run is over and the connection closed. Called once for every run, however it ended. */
  readonly onEnd?: ((end: End, run: Run) => Effect.Effect<void, never, R>) | undefined
  /** The run has failed. Called before `onEnd`. */
  readonly onError?: ((error: LlmError, run: Run) => Effect.Effect<void, never, R>) | undefined
}

/**
 * Adds callbacks to a model: they are called for every answer that is asked of it.
 *
 * Policies that are added before are under the callbacks, those added after are over them: over a
 * retry, callbacks see one run and its `onRetry`; under it, every attempt is a run.
 *
 * Without any callback that a model calls, this is the model itself.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (callbacks: Callbacks): (self: Llm["Service"]) => Llm["Service"]
  (self: Llm["Service"], callbacks: Callbacks): Llm["Service"]
} = dual(2, (self: Llm["Service"], callbacks: Callbacks): Llm["Service"] =>
  tapping.isSilent(callbacks)
    ? self
    : { ...self, events: (request) => tapping.tap(self.events(request), callbacks, request, identity) }
)

/**
 * Adds callbacks to a model that comes from a Layer, as {@link attach} does.
 *
 * The callbacks may be an Effect that makes them: it is run when the layer is built, in its scope.
 * What they need is asked of the layer's surroundings.
 *
 * ```ts
 * OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Callbacks.layer(Callbacks.file("answers.txt")))
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const layer: {
  <R2 = never, E3 = never, R3 = never>(
    callbacks: Callbacks<R2> | Effect.Effect<Callbacks<R2>, E3, R3>
  ): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E | E3, R | R2 | Exclude<R3, Scope.Scope>>
  <E, R, R2 = never, E3 = never, R3 = never>(
    self: Layer.Layer<Llm, E, R>,
    callbacks: Callbacks<R2> | Effect.Effect<Callbacks<R2>, E3, R3>
  ): Layer.Layer<Llm, E | E3, R | R2 | Exclude<R3, Scope.Scope>>
} = dual(
  2,
  <E, R, R2, E3, R3>(
    self: Layer.Layer<Llm, E, R>,
    callbacks: Callbacks<R2> | Effect.Effect<Callbacks<R2>, E3, R3>
  ): Layer.Layer<Llm, E | E3, R | R2 | Exclude<R3, Scope.Scope>> =>
    Layer.effect(
      Llm,
      Effect.gen(function* () {
        const llm = yield* Llm
        const made = Effect.isEffect(callbacks) ? yield* callbacks : callbacks
        if (tapping.isSilent(made)) return llm
        const context = yield* Effect.context<R2>()
        // What is in force where the stream is run (a clock, a tracer) goes before what was there when
        // the layer was built.
        const provide = (effect: Effect.Effect<void, never, R2>): Effect.Effect<void> =>
          Effect.updateContext(effect, (current: Context.Context<never>) => Context.merge(context, current))
        return { ...llm, events: (request) => tapping.tap(llm.events(request), made, request, provide) }
      })
    ).pipe(Layer.provide(self))
)

/**
 * Adds callbacks to one stream of events. Tell the request, where it is known, for the estimate of its
 * usage.
 *
 * @category policies
 * @since 0.1.0
 */
export const tap: {
  <R2 = never>(
    callbacks: Callbacks<R2>,
    request?: LlmRequest
  ): <R>(self: Stream.Stream<LlmEvent.LlmEvent, LlmError, R>) => Stream.Stream<LlmEvent.LlmEvent, LlmError, R | R2>
  <R, R2 = never>(
    self: Stream.Stream<LlmEvent.LlmEvent, LlmError, R>,
    callbacks: Callbacks<R2>,
    request?: LlmRequest
  ): Stream.Stream<LlmEvent.LlmEvent, LlmError, R | R2>
} = dual(
  (args) => Stream.isStream(args[0]),
  <R, R2>(
    self: Stream.Stream<LlmEvent.LlmEvent, LlmError, R>,
    callbacks: Callbacks<R2>,
    request?: LlmRequest
  ): Stream.Stream<LlmEvent.LlmEvent, LlmError, R | R2> =>
    tapping.isSilent(callbacks) ? self : tapping.tap(self, callbacks, request, identity)
)

/**
 * Several callbacks as one. For each event they are called in this order; each is told the end, even
 * where one before it dies of it.
 *
 * @category combining
 * @since 0.1.0
 */
export const combine = <Rs extends ReadonlyArray<unknown>>(
  ...all: { readonly [K in keyof Rs]: Callbacks<Rs[K]> }
): Callbacks<Needs<Rs>> => all.reduce<Callbacks<unknown>>(combineTwo, {}) as Callbacks<Needs<Rs>>

/** Of callbacks without a function nothing is inferred: they need nothing. */
type Needs<Rs extends ReadonlyArray<unknown>> = { [K in keyof Rs]: unknown extends Rs[K] ? never : Rs[K] }[number]

const combineTwo = <R>(a: Callbacks<R>, b: Callbacks<R>): Callbacks<R> => ({
  onStart: both(a.onStart?.bind(a), b.onStart?.bind(b), "if-well"),
  onToken: both(a.onToken?.bind(a), b.onToken?.bind(b), "if-well"),
  onReasoning: both(a.onReasoning?.bind(a), b.onReasoning?.bind(b), "if-well"),
  onToolStart: both(a.onToolStart?.bind(a), b.onToolStart?.bind(b), "if-well"),
  onToolEnd: both(a.onToolEnd?.bind(a), b.onToolEnd?.bind(b), "always"),
  onRetry: both(a.onRetry?.bind(a), b.onRetry?.bind(b), "if-well"),
  onSwitch: both(a.onSwitch?.bind(a), b.onSwitch?.bind(b), "if-well"),
  onEnd: both(a.onEnd?.bind(a), b.onEnd?.bind(b), "always"),
  onError: both(a.onError?.bind(a), b.onError?.bind(b), "always")
})

type Callback<Args extends ReadonlyArray<unknown>, R> = (...args: Args) => Effect.Effect<void, never, R>

const both = <Args extends ReadonlyArray<unknown>, R>(
  first: Callback<Args, R> | undefined,
  second: Callback<Args, R> | undefined,
  callSecond: "if-well" | "always"
): Callback<Args, R> | undefined => {
  if (first === undefined || second === undefined) return first ?? second
  return (...args) => {
    if (callSecond === "always") {
      return Effect.ensuring(
        Effect.suspend(() => first(...args)),
        Effect.suspend(() => second(...args))
      )
    }
    const effect = first(...args)
    // Nothing to wait for, as most often for a token.
    return effect === Effect.void ? second(...args) : Effect.flatMap(effect, () => second(...args))
  }
}

export {
  /**
   * @category ready
   * @since 0.1.0
   */
  console,
  /**
   * @category ready
   * @since 0.1.0
   */
  file,
  /**
   * @category ready
   * @since 0.1.0
   */
  type Latency,
  /**
   * @category ready
   * @since 0.1.0
   */
  latency,
  /**
   * @category ready
   * @since 0.1.0
   */
  type TokenCounter,
  /**
   * @category ready
   * @since 0.1.0
   */
  tokenCounter,
  /**
   * @category ready
   * @since 0.1.0
   */
  type TokenTotals
} from "./ReadyCallbacks.ts"
