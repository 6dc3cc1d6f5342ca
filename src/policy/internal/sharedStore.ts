/**
 * Stores that several policies, or several processes, share: what to do where one does not answer.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { UnhandledLogLevel } from "effect/References"

/** A store of its own, in memory, for who shares none. */
export const inMemory = <I, S>(service: Context.Key<I, S>, layer: Layer.Layer<I>): S =>
  Effect.runSync(Effect.scoped(Effect.map(Layer.build(layer), Context.get(service))))

/** How long a store may take. Clients of Redis queue what they are asked while they look for their server. */
export const patience = Duration.seconds(1)

/** The store has not answered in time. */
export class Silent {
  readonly _tag = "Silent"
  readonly message = `no answer within ${Duration.toSeconds(patience)} s`
}

/**
 * Asks a store, in one piece: its answer is always heard, or the store is silent. So nothing that it gives
 * is lost to an interruption, and nobody waits for it longer than a second.
 */
export const ask = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E | Silent, R> =>
  Effect.uninterruptible(
    // Both sides of the race are fibers of their own, which can be interrupted.
    Effect.timeoutOrElse(call, {
      duration: patience,
      orElse: () => Effect.fail(new Silent())
    })
  )

/** Says that a store has failed, where there is nobody to fail: as the stores of `effect` do. */
export const report = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const level = fiber.getRef(UnhandledLogLevel)
    return level === undefined ? Effect.void : Effect.logWithLevel(level)(message, cause)
  })
