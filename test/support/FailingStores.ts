/** Stores that fail, never answer, or take their time. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"

/** What is done with a call to a store: nothing to it, or instead of it. */
export type Fate = "well" | "slow" | "fails" | "silent" | "dies"

const fated = <A, E, R>(fate: () => Fate, call: Effect.Effect<A, E, R>, error: () => E): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    switch (fate()) {
      case "well":
        return call
      case "slow":
        return Effect.andThen(
          Effect.forEach([1, 2, 3, 4], () => Effect.yieldNow),
          Effect.tap(call, Effect.yieldNow)
        )
      case "fails":
        return Effect.fail(error())
      case "silent":
        return Effect.never
      case "dies":
        return Effect.die(new Error("a bug of the store"))
    }
  })

export const rateLimiter = (fate: (tokens: number, key: string) => Fate): Layer.Layer<RateLimiter.RateLimiterStore> =>
  Layer.effect(
    RateLimiter.RateLimiterStore,
    RateLimiter.RateLimiterStore.useSync((store) => ({
      ...store,
      tokenBucket: (options) =>
        fated(
          () => fate(options.tokens, options.key),
          store.tokenBucket(options),
          () =>
            new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message: "store down" }) })
        )
    }))
  ).pipe(Layer.provide(RateLimiter.layerStoreMemory))

const down = () =>
  new Breaker.CircuitBreakerError({ reason: new Breaker.CircuitBreakerStoreError({ message: "store down" }) })

export const breaker = (fate: (call: "admit" | "record") => Fate): Layer.Layer<Breaker.CircuitBreakerStore> =>
  Layer.effect(
    Breaker.CircuitBreakerStore,
    Breaker.CircuitBreakerStore.useSync((store) => ({
      ...store,
      admit: (key) => fated(() => fate("admit"), store.admit(key), down),
      record: (options) => fated(() => fate("record"), store.record(options), down)
    }))
  ).pipe(Layer.provide(Breaker.layerStoreMemory()))
