/**
 * One watchdog for a whole stream: how long its consumer waits for a token, by `Clock`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { isToken, type LlmEvent } from "../LlmEvent.ts"
import type { Limits } from "./Limits.ts"

/**
 * Counts the time that pulls wait for a token, and says when it is too long. The time between pulls is
 * the consumer's own, and counts for nothing but the total.
 *
 * A single fiber sleeps until the wait that is measured could be too long, and looks again then: a
 * token in time costs a look at the clock, and no timer. All times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export class Watchdog {
  /** What is to be done when it has been too long. */
  onExpired: (which: "first-token" | "idle" | "total" | "grace") => void = () => {}
  private readonly clock: Clock.Clock
  private readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly limits: Limits
  private which: "first-token" | "idle" | "grace" = "first-token"
  private limit: number
  private waited: number
  /** When the pull that waits has begun to. */
  private since: number | undefined
  private sleeper: Fiber.Fiber<void> | undefined
  private wakesAt = Number.POSITIVE_INFINITY

  /** `waited` is what has passed of the time to the first token. */
  constructor(
    clock: Clock.Clock,
    run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
    limits: Limits,
    waited: number
  ) {
    this.clock = clock
    this.run = run
    this.limits = limits
    this.limit = limits.firstToken
    this.waited = waited
  }

  /** A pull begins to wait. */
  begin(): void {
    const now = nowOf(this.clock)
    this.since = now
    const due = this.due(now)
    if (due <= now) this.expire(now)
    else if (due < this.wakesAt) this.sleepUntil(due, now)
  }

  /** A pull waits no more. */
  pause(): void {
    if (this.since === undefined) return
    this.waited += nowOf(this.clock) - this.since
    this.since = undefined
  }

  /** What has been pulled. */
  heard(events: ReadonlyArray<LlmEvent>): void {
    if (this.which === "grace" || !events.some(isToken)) return this.pause()
    this.since = undefined
    this.waited = 0
    this.which = "idle"
    this.limit = this.limits.idle
  }

  /** From now on no token is due, and the rest may take so long, whatever comes. */
  allow(grace: number): void {
    if (this.which === "grace") return
    this.which = "grace"
    this.limit = grace
    this.waited = 0
    if (this.since !== undefined) this.begin()
  }

  /** Expires if the time for all of the answer is over, whether or not a pull has waited. */
  check(): void {
    const { expiresAt } = this.limits
    if (expiresAt < Number.POSITIVE_INFINITY && nowOf(this.clock) >= expiresAt) this.onExpired("total")
  }

  stop(): void {
    this.sleeper?.interruptUnsafe()
    this.sleeper = undefined
  }

  private due(now: number): number {
    return Math.min((this.since ?? now) + this.limit - this.waited, this.limits.expiresAt)
  }

  private expire(now: number): void {
    this.since = undefined
    this.onExpired(this.limits.expiresAt <= now ? "total" : this.which)
  }

  private sleepUntil(due: number, now: number): void {
    this.sleeper?.interruptUnsafe()
    this.wakesAt = due
    this.sleeper = this.run(Effect.andThen(this.clock.sleep(Duration.millis(Math.ceil(due - now))), this.look))
  }

  private readonly look = Effect.sync(() => {
    this.sleeper = undefined
    this.wakesAt = Number.POSITIVE_INFINITY
    if (this.since === undefined) return
    const now = nowOf(this.clock)
    const due = this.due(now)
    if (due <= now) this.expire(now)
    else this.sleepUntil(due, now)
  })
}

/**
 * Makes a watchdog that ends with the scope. The request was sent at `startedAt`, by {@link nowOf}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (scope: Scope.Scope, limits: Limits, startedAt: number | undefined) {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const watchdog = new Watchdog(clock, run, limits, startedAt === undefined ? 0 : nowOf(clock) - startedAt)
  yield* Scope.addFinalizer(
    scope,
    Effect.sync(() => watchdog.stop())
  )
  return watchdog
})

/**
 * The time of a clock that only goes forward, in milliseconds from an origin of its own.
 *
 * @category clock
 * @since 0.1.0
 */
export const nowOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
