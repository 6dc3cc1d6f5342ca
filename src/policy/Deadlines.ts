/**
 * Deadlines: how long an answer may take, and how long it may stall.
 *
 * A deadline waits for *tokens*: text, reasoning, a refusal, a tool call. Keep-alives, pings and empty
 * deltas do not set it back, and the time that a consumer takes between two pulls counts for `total`
 * alone. One that passes closes the connection and fails the stream with `DeadlineExceeded`.
 *
 * Every provider of rill keeps the deadlines that are in force where its stream is run:
 *
 * ```ts
 * // of a call, or of a whole program
 * Llm.stream("Hi").pipe(Deadlines.within({ firstToken: "10 seconds" }))
 * program.pipe(Deadlines.within({ total: "5 minutes" }))
 * // of a model, for callers who say nothing else
 * OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Deadlines.layer({ idle: "20 seconds" }))
 * ```
 *
 * Each deadline by itself: what is said nearest to the call wins, and what a caller says wins over what
 * the model's layer says, which wins over {@link defaults}.
 *
 * @since 0.1.0
 */
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import { type DeadlineExceeded, InvalidRequest } from "../LlmError.ts"
import * as Limits from "../wire/Limits.ts"
import { nowOf } from "../wire/Watchdog.ts"
import { enforced } from "./internal/enforcing.ts"

/**
 * How long what may take. `"Infinity"` is no deadline; one that is left out is that of the surroundings.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** From the request to the response head. None by default: `firstToken` bounds it. */
  readonly headers?: Duration.Input | undefined
  /** From the request to the first token, for each attempt. 120 s by default. */
  readonly firstToken?: Duration.Input | undefined
  /** From one token to the next. 60 s by default. */
  readonly idle?: Duration.Input | undefined
  /**
   * For the whole answer: all attempts of a retry or a fallback, and the waits between them. None by
   * default. A consumer that does not pull is told when it does.
   */
  readonly total?: Duration.Input | undefined
}

/**
 * The deadlines that callers have asked for. Set it with {@link within}, which keeps what it does not name.
 *
 * @category references
 * @since 0.1.0
 */
export const Deadlines: Context.Reference<Options> = Context.Reference<Options>("effect-rill/Deadlines", {
  defaultValue: () => none
})

/** Always the same, so that what it comes to is known. */
const none: Options = {}

/**
 * What is in force where nobody says otherwise: 120 s to the first token, which is long enough for a
 * model that reasons in silence, and 60 s from one token to the next.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults = { firstToken: "120 seconds", idle: "60 seconds" } as const satisfies Options

/**
 * Sets deadlines for what is run inside: a stream, an Effect, a whole program. They win over those of
 * models' layers, and of what is around.
 *
 * @category deadlines
 * @since 0.1.0
 */
export const within: {
  (options: Options): <Self extends Runnable>(self: Self) => Self
  <Self extends Runnable>(self: Self, options: Options): Self
} = dual(2, (self: Runnable, options: Options): Runnable => {
  const set = (around: Options): Options => ({ ...around, ...defined(options) })
  return Stream.isStream(self) ? Stream.updateService(self, Deadlines, set) : Effect.updateService(self, Deadlines, set)
})

type Runnable = Stream.Stream<unknown, unknown, unknown> | Effect.Effect<unknown, unknown, unknown>

/**
 * Gives a model deadlines of its own, for callers who do not set them. The model has to keep them: all
 * of rill's providers do, and those of your own by {@link enforce}.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (options: Options): (self: Llm["Service"]) => Llm["Service"]
  (self: Llm["Service"], options: Options): Llm["Service"]
} = dual(2, (self: Llm["Service"], options: Options): Llm["Service"] => {
  const own = defined(options)
  return {
    ...self,
    events: (request) =>
      Stream.updateService(self.events(request), Deadlines, (around) => (around === none ? own : { ...own, ...around }))
  }
})

/**
 * Gives a model that comes from a Layer deadlines of its own, as {@link attach} does.
 *
 * @category policies
 * @since 0.1.0
 */
export const layer: {
  (options: Options): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E, R>
  <E, R>(self: Layer.Layer<Llm, E, R>, options: Options): Layer.Layer<Llm, E, R>
} = dual(2, <E, R>(self: Layer.Layer<Llm, E, R>, options: Options): Layer.Layer<Llm, E, R> =>
  Layer.effect(Llm, Llm.useSync(attach(options))).pipe(Layer.provide(self))
)

/**
 * Keeps the deadlines that are in force for a model that does not: one of your own, of a library, of
 * the test. `headers` cannot be seen from here. Rill's providers keep them at their source, at less cost.
 *
 * @category policies
 * @since 0.1.0
 */
export const enforce = (self: Llm["Service"]): Llm["Service"] => ({
  ...self,
  events: (request) => enforced(self.events(request), request, limits)
})

/** When the whole answer is due, once it has begun: for the attempts of it. */
const Expiry = Context.Reference<Pick<Limits.Limits, "total" | "expiresAt"> | undefined>(
  "effect-rill/policy/Deadlines/Expiry",
  {
    defaultValue: () => undefined
  }
)

/**
 * The limits of an attempt that begins now, for those who write providers: what is in force here.
 *
 * @category writing policies
 * @since 0.1.0
 */
export const limits: Effect.Effect<Limits.Limits, InvalidRequest> = Effect.withFiber((fiber) => {
  const millis = read(fiber.getRef(Deadlines))
  if (typeof millis === "string") return Effect.fail(noDuration(millis))
  const expiry = fiber.getRef(Expiry) ?? {
    total: millis.total,
    expiresAt: nowOf(fiber.getRef(Clock.Clock)) + millis.total
  }
  return Effect.succeed({ ...millis, ...expiry })
})

/**
 * How long the answer that is being given may still take, in milliseconds, inside of {@link asOne};
 * infinite where nothing limits it. A wait that would take longer is not worth beginning.
 *
 * @category writing policies
 * @since 0.1.0
 */
export const timeLeft: Effect.Effect<number> = Effect.gen(function* () {
  const expiry = yield* Expiry
  return expiry === undefined ? Infinity : expiry.expiresAt - nowOf(yield* Clock.Clock)
})

/**
 * Waits for something no longer than {@link timeLeft}, for those who write policies that wait.
 *
 * @category writing policies
 * @since 0.1.0
 */
export const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | DeadlineExceeded, R> =>
  Effect.gen(function* () {
    const expiry = yield* Expiry
    if (expiry === undefined) return yield* effect
    return yield* Effect.timeoutOrElse(effect, {
      duration: Math.max(0, yield* timeLeft),
      orElse: () => Effect.fail(Limits.exceeded({ ...Limits.none, ...expiry }, "total"))
    })
  })

/**
 * Begins the time of `total`, for those who write policies that make several attempts at one answer: they
 * share it.
 *
 * @category writing policies
 * @since 0.1.0
 */
export const asOne = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.gen(function* () {
        const open = Channel.toPullScoped(Stream.toChannel(stream), scope)
        // What is no duration is told by the attempt, which looks at all of them.
        const millis = read(yield* Deadlines)
        if (typeof millis === "string" || (yield* Expiry) !== undefined) return yield* open
        const { total } = millis
        if (total === Infinity) return yield* open
        const expiry = { total, expiresAt: nowOf(yield* Clock.Clock) + total }
        return Effect.provideService(yield* Effect.provideService(open, Expiry, expiry), Expiry, expiry)
      })
    )
  )

type Millis = Readonly<Record<keyof Options, number>>

/** Most requests have the same: those of the surroundings, or none. */
const known = new WeakMap<Options, Millis>()

/** In milliseconds, infinite where there is none; or the name of one that is no duration. */
const read = (options: Options): Millis | keyof Options => {
  const found = known.get(options)
  if (found !== undefined) return found
  const millis = { headers: Infinity, firstToken: Infinity, idle: Infinity, total: Infinity }
  for (const name of ["headers", "firstToken", "idle", "total"] as const) {
    const input = options[name] ?? (name in defaults ? defaults[name as keyof typeof defaults] : undefined)
    if (input === undefined) continue
    const duration = Duration.fromInput(input)
    if (Option.isNone(duration) || Number.isNaN(input)) return name
    millis[name] = Duration.toMillis(duration.value)
  }
  known.set(options, millis)
  return millis
}

const noDuration = (name: keyof Options): InvalidRequest =>
  new InvalidRequest({
    message: `the deadline \`${name}\` is no duration. Give one such as "30 seconds", or a number of milliseconds.`
  })

/** What is given as `undefined` is not given. */
const defined = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
