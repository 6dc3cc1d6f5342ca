/**
 * Rate limit: no more requests and tokens in a minute than a model's provider allows, over all its callers.
 *
 * ```ts
 * const layer = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
 *   RateLimit.layer({ requests: 500, tokens: 200_000 })
 * )
 * ```
 *
 * Requests and tokens each have a bucket that holds one window's worth and fills at an even pace: a
 * limit of 60 requests a minute lets 60 go at once, then one a second. Who finds too little in it waits,
 * in order of arrival, before anything is sent; or fails at once, by choice.
 *
 * What an answer uses is known when it is over. So its tokens are estimated first ({@link estimate}) and
 * that many taken; once the provider's own count is known, in success or failure, the difference is taken
 * or given back. An answer that is left or breaks off without a count is settled with an estimate of
 * what came of it, since providers bill for it. A request that was refused used no tokens.
 *
 * Put the limit under a retry, so that every attempt counts, and under a {@link CircuitBreaker}, so that
 * nobody waits for a model that is refused anyway.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Llm } from "../Llm.ts"
import { type LlmError, RateLimited } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import * as Deadlines from "./Deadlines.ts"
import { Meter } from "./internal/Meter.ts"
import { isUnsent, refusal } from "./internal/refusing.ts"
import * as sharedStore from "./internal/sharedStore.ts"
import { Waiter, WaitingLine } from "./internal/WaitingLine.ts"
import { type Run, type Watch, watched } from "./internal/watching.ts"

/**
 * What is allowed. What is not named is not limited.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Requests in a window. */
  readonly requests?: number | undefined
  /** Tokens in a window, those of the prompt and of the answer together. */
  readonly tokens?: number | undefined
  /** Default one minute. */
  readonly window?: Duration.Input | undefined
  /** Answers at a time. Counted in this process alone, whatever the store. */
  readonly concurrency?: number | undefined
  /**
   * What to do with a request that there is no room for: it waits (`"delay"`, the default), or fails with
   * `RateLimited`, whose `retryAfter` is the time until there is room. Where `concurrency` is what is
   * exceeded, that time is not known.
   */
  readonly onExceeded?: "delay" | "fail" | undefined
  /**
   * The longest wait for requests and tokens: a request that would have to wait longer fails at once, as
   * with `"fail"`. Default: no limit. The wait for `concurrency` is not part of it.
   */
  readonly maxWait?: Duration.Input | undefined
  /** Tokens to take for a request before it is sent. Default {@link estimate}. */
  readonly estimate?: ((request: LlmRequest) => number) | undefined
}

/**
 * A limit whose count is kept where several processes find it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharedOptions extends Options {
  /** The name of the limit. All who use it must mean the same limit. */
  readonly key: string
  /**
   * What to do where the store fails, or does not answer within a second: let the request pass uncounted
   * (`"allow"`, the default), or fail with `RateLimited`. A failure while an answer is settled is never
   * one of the answer. What is let pass is logged, at `References.UnhandledLogLevel`.
   */
  readonly onStoreError?: "allow" | "fail" | undefined
}

/**
 * A limit, ready to be set on models: all that it is set on share it.
 *
 * @category models
 * @since 0.1.0
 */
export type RateLimit = (self: Llm["Service"]) => Llm["Service"]

/**
 * The tokens of a request before it is sent: its characters / 4, and its `maxTokens`, or else 1024 for the
 * answer. As OpenAI's own limiter reckons (guide "Rate limits": the greater of `max_tokens` and an
 * estimate by the characters), on the safe side.
 *
 * @category estimates
 * @since 0.1.0
 */
export const estimate = (request: LlmRequest): number =>
  Math.ceil(new Meter(request).input / 4) + (request.maxTokens ?? 1024)

/**
 * Sets a limit on a model, counted in memory: for all who use the model that this gives. To set one
 * limit on several models, use {@link make}.
 *
 * - Waiting callers are let go in the order in which they came. One who is interrupted gives its place
 *   back, and those behind move up; so they do by what an answer used less than was taken for it.
 * - A wait never grows: what an answer used beyond the estimate is paid by those who come later.
 * - A request that is estimated at more than all of the limit takes all of it, rather than fail for ever.
 * - A `maxTokens` far above what is used makes callers wait for nothing. Give an `estimate` then.
 * - A request that is not sent, since a policy or a check under the limit refuses it, is not counted.
 *
 * Throws a `RangeError` on limits that are not numbers above 0.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (options: Options): RateLimit
  (self: Llm["Service"], options: Options): Llm["Service"]
} = dual(2, (self: Llm["Service"], options: Options): Llm["Service"] => {
  const checked = check({ ...options, key: "llm" })
  const store = sharedStore.inMemory(
    RateLimiter.RateLimiter,
    Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory)
  )
  return limit(checked, store)(self)
})

/**
 * Sets a limit on a model that comes from a Layer, as {@link attach} does.
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
 * Makes a limit that is counted in a store of `effect/persistence`: `RateLimiter.layerStoreMemory`, or
 * `RateLimiter.layerStoreRedis` for one that several processes share.
 *
 * ```ts
 * const limit = yield* RateLimit.make({ key: "openai", tokens: 200_000 })
 * const [fast, good] = [limit(yield* OpenAi.make(…)), limit(yield* OpenAi.make(…))]
 * ```
 *
 * The order of those who wait is kept in each process; between processes it is that of their arrival at
 * the store, but for what is given back: who waits in the same process moves up by it at once, who waits
 * in another one when somebody joins there. The store reckons with the clocks of the processes, so these
 * must agree.
 *
 * What a process that dies had taken flows back like everything else. What a store was asked and did
 * not answer within a second may be counted all the same.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: SharedOptions): Effect.Effect<RateLimit, never, RateLimiter.RateLimiterStore> =>
  Effect.suspend(() => {
    const checked = check(options)
    return Effect.map(RateLimiter.make, (limiter) => limit(checked, limiter))
  })

/**
 * Sets a limit on a model that comes from a Layer, counted in a store of the surroundings, as
 * {@link make} says.
 *
 * ```ts
 * OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
 *   RateLimit.layerShared({ key: "openai", requests: 500 }),
 *   Layer.provide(RateLimiter.layerStoreRedis()),
 *   Layer.provide(NodeRedis.layer())
 * )
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const layerShared: {
  (
    options: SharedOptions
  ): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E, R | RateLimiter.RateLimiterStore>
  <E, R>(self: Layer.Layer<Llm, E, R>, options: SharedOptions): Layer.Layer<Llm, E, R | RateLimiter.RateLimiterStore>
} = dual(
  2,
  <E, R>(self: Layer.Layer<Llm, E, R>, options: SharedOptions): Layer.Layer<Llm, E, R | RateLimiter.RateLimiterStore> =>
    Layer.effect(
      Llm,
      Effect.flatMap(make(options), (limit) => Llm.useSync(limit))
    ).pipe(Layer.provide(self))
)

// -----------------------------------------------------------------------------
// the buckets
// -----------------------------------------------------------------------------

interface Bucket {
  readonly of: "requests" | "tokens"
  readonly limit: number
  readonly window: Duration.Duration
  readonly key: string
}

interface Checked extends SharedOptions {
  readonly buckets: ReadonlyArray<Bucket>
}

const check = (options: SharedOptions): Checked => {
  const window = Duration.fromInputUnsafe(options.window ?? "1 minute")
  if (!(Duration.toMillis(window) > 0) || !Duration.isFinite(window)) {
    throw new RangeError('RateLimit: window must be a time above 0, such as "1 minute"')
  }
  const { concurrency } = options
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1)) {
    throw new RangeError(`RateLimit: concurrency must be a whole number of at least 1, not ${concurrency}`)
  }
  const buckets = (["requests", "tokens"] as const).flatMap((of): ReadonlyArray<Bucket> => {
    const limit = options[of]
    if (limit === undefined) return []
    // A bucket fills by whole pieces: less than one would never let anybody go.
    if (!(limit >= 1) || !(Duration.toMillis(Duration.divideUnsafe(window, limit)) > 0)) {
      throw new RangeError(`RateLimit: ${of} must be a number of at least 1 in a window, not ${limit}`)
    }
    return [{ of, limit, window, key: `${options.key}:${of}` }]
  })
  return { ...options, buckets }
}

/** What was taken for one answer, by bucket: `undefined` where the store has failed. */
class Reservation {
  readonly taken: Array<number | undefined> = []
  readonly waiter = new Waiter()
}

const limit = (options: Checked, limiter: RateLimiter.RateLimiter): RateLimit => {
  const { buckets, concurrency } = options
  if (buckets.length === 0 && concurrency === undefined) return (self) => self
  const places = concurrency === undefined ? undefined : Semaphore.makeUnsafe(concurrency)
  const line = new WaitingLine()
  const onExceeded = options.onExceeded ?? "delay"
  const maxWait =
    options.maxWait === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(options.maxWait))
  const tokens = buckets.find(({ of }) => of === "tokens")

  const consume = (bucket: Bucket, amount: number, onExceeded: "delay" | "fail") =>
    sharedStore.ask(
      limiter.consume({
        algorithm: "token-bucket",
        key: bucket.key,
        limit: bucket.limit,
        window: bucket.window,
        tokens: amount,
        onExceeded
      })
    )

  /** Takes more, or gives back. Nobody waits for it to be there: who comes later does. */
  const settle = (index: number, difference: number, after: Waiter): Effect.Effect<void> => {
    const bucket = buckets[index]!
    if (difference === 0) return Effect.void
    return (difference > 0 ? consume(bucket, difference, "delay") : restock(bucket, index, -difference, after)).pipe(
      Effect.catchCause((cause) => sharedStore.report("RateLimit could not settle what an answer used", cause))
    )
  }

  const restock = Effect.fnUntraced(function* (bucket: Bucket, index: number, amount: number, after: Waiter) {
    yield* line.advance(index, (amount * Duration.toMillis(bucket.window)) / bucket.limit, after)
    // The store in memory would keep more than a bucket holds, until a piece flows in.
    const { remaining } = yield* consume(bucket, 0, "delay")
    const missing = Math.min(amount, bucket.limit - remaining)
    if (missing > 0) yield* consume(bucket, -missing, "delay")
  })

  const giveBack = ({ taken, waiter }: Reservation): Effect.Effect<void> =>
    Effect.forEach(taken, (amount, index) => settle(index, -(amount ?? 0), waiter), { discard: true })

  /** Takes from each bucket, or from none. */
  const reserve = Effect.fnUntraced(function* (request: LlmRequest) {
    const reservation = new Reservation()
    const estimated = tokens === undefined ? 0 : within(tokens.limit, (options.estimate ?? estimate)(request))
    for (const bucket of buckets) {
      const amount = bucket === tokens ? estimated : 1
      const asked = yield* Effect.exit(consume(bucket, amount, onExceeded))
      if (Exit.isSuccess(asked)) {
        reservation.taken.push(amount)
        reservation.waiter.times.push((yield* Clock.currentTimeMillis) + Duration.toMillis(asked.value.delay))
        continue
      }
      const error = Option.getOrUndefined(Cause.findErrorOption(asked.cause))
      const exceeded = error?._tag === "RateLimiterError" && error.reason._tag === "RateLimitExceeded"
      if (!exceeded && options.onStoreError !== "fail") {
        yield* sharedStore.report("RateLimit's store is unavailable, a request passes uncounted", asked.cause)
        reservation.taken.push(undefined)
        reservation.waiter.times.push(undefined)
        continue
      }
      yield* giveBack(reservation)
      return yield* exceeded
        ? refused(request, `${tell(bucket)} are used up`, error.reason.retryAfter)
        : refused(request, `the store that counts ${bucket.of} cannot be asked whether there is room`)
    }
    return reservation
  })

  const pass = Effect.fnUntraced(function* (
    request: LlmRequest,
    run: Run<LlmError>
  ): Effect.fn.Return<Watch<LlmEvent> | undefined, LlmError> {
    if (places !== undefined) {
      if (onExceeded === "delay") yield* run.restore(Scope.provide(inTime(request, places.takeScoped(1)), run.scope))
      else if (yield* places.takeIfAvailable(1)) yield* Scope.addFinalizer(run.scope, places.release(1))
      else return yield* refused(request, `${concurrency} answers at a time, which is the limit, are being given`)
    }
    if (buckets.length === 0) return undefined
    const reservation = yield* reserve(request)
    const { taken, waiter } = reservation
    const wait = waiter.time - (yield* Clock.currentTimeMillis)
    // One who would be too late lets others go.
    if (wait > maxWait || wait > (yield* Deadlines.timeLeft)) {
      yield* giveBack(reservation)
      const longest = buckets[waiter.times.indexOf(waiter.time)]!
      return yield* refused(request, `${tell(longest)} are used up`, Duration.millis(wait))
    }
    const meter = new Meter(request)
    let isSent = false
    const end = Effect.suspend(() => {
      if (!isSent || (run.error && isUnsent(run.error))) return giveBack(reservation)
      const index = tokens === undefined ? -1 : buckets.indexOf(tokens)
      const amount = taken[index]
      return amount === undefined ? Effect.void : settle(index, used(meter, run.error) - amount, waiter)
    })
    yield* Scope.addFinalizer(run.scope, end)
    yield* run.restore(line.wait(waiter))
    isSent = true
    return {
      look: (events) => {
        if (tokens !== undefined) for (const event of events) meter.see(event)
        return undefined
      }
    }
  })

  return (self) => ({
    ...self,
    // The wait is part of the time that the whole answer may take.
    events: (request) => Deadlines.asOne(watched(self.events(request), (run) => pass(request, run)))
  })
}

/** Tokens that an answer used. A count that would spoil a bucket for good is none. */
const used = (meter: Meter, error: LlmError | undefined): number => {
  const usage = meter.whole(error)
  let sum = 0
  for (const half of ["inputTokens", "outputTokens"] as const) {
    const count = usage[half] ?? 0
    sum += count >= 0 && count < Infinity ? count : (meter.estimate()[half] ?? 0)
  }
  return sum
}

const within = (limit: number, amount: number): number => (amount > 0 ? Math.min(limit, Math.ceil(amount)) : 0)

const tell = ({ limit, of, window }: Bucket): string => `the ${limit} ${of} allowed in ${Duration.format(window)}`

const refused = (request: LlmRequest, what: string, retryAfter?: Duration.Duration): LlmError =>
  refusal(
    "rate-limit",
    request,
    new RateLimited({ message: `${what}. Wait, send less, or raise the limit that is set on this model.` }),
    retryAfter
  )

const inTime = <A, R>(request: LlmRequest, wait: Effect.Effect<A, never, R>) =>
  Effect.mapError(Deadlines.inTime(wait), (reason) => refusal("rate-limit", request, reason))
