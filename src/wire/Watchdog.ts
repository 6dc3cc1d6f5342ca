/**
 * One watchdog for a whole turn: how long its consumer waits for the head of the answer, and for each token,
 * by `Clock`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { DeadlineExceeded } from "../LlmError.ts"
import { isToken, type LlmEvent } from "../LlmEvent.ts"
import * as Limits from "./Limits.ts"

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
  onExpired: (which: Limits.Which | "grace") => void = () => {}
  readonly limits: Limits.Limits
  private readonly clock: Clock.Clock
  private readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private which: Exclude<Limits.Which, "total"> | "grace" = "first-token"
  private limit: number
  private waited = 0
  /** When what waits has begun to. */
  private since: number | undefined
  private sleeper: Fiber.Fiber<void> | undefined
  private wakesAt = Number.POSITIVE_INFINITY

  constructor(clock: Clock.Clock, run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>, limits: Limits.Limits) {
    this.clock = clock
    this.run = run
    this.limits = limits
    this.limit = limits.firstToken
  }

  /**
   * Does what comes before the answer, such as the request, while there is time: what the first token and all
   * of the answer have, and `atMost`, which is what the head has.
   */
  within<A, E, R>(
    effect: Effect.Effect<A, E, R>,
    atMost = Number.POSITIVE_INFINITY
  ): Effect.Effect<A, E | DeadlineExceeded, R> {
    return Effect.flatMap(Effect.context<R>(), (context) => {
      const now = nowOf(this.clock)
      this.since ??= now
      const untilHead = this.waited + now - this.since + atMost
      const which = untilHead < this.limit ? "headers" : "first-token"
      this.which = which
      this.limit = Math.min(untilHead, this.limit)
      const due = this.due(now)
      if (due === Number.POSITIVE_INFINITY) return effect
      const tooLate = (which: Limits.Which) => Effect.fail(Limits.exceeded(this.limits, which))
      if (due <= now) return tooLate(this.limits.expiresAt <= now ? "total" : which)
      return Effect.callback<A, E | DeadlineExceeded>((resume) => {
        const fiber = Effect.runForkWith(context)(effect)
        const leave = Fiber.interrupt(fiber)
        fiber.addObserver((exit) => {
          this.which = "first-token"
          this.limit = this.limits.firstToken
          resume(exit)
        })
        this.onExpired = (which) => {
          if (which !== "grace") resume(Effect.andThen(leave, tooLate(which)))
        }
        this.begin()
        return leave
      })
    })
  }

  /** A pull begins to wait, or waits on. */
  begin(): void {
    const now = nowOf(this.clock)
    this.since ??= now
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
    if (this.since === undefined) return
    this.since = undefined
    this.begin()
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
    this.pause()
    this.onExpired(this.limits.expiresAt <= now ? "total" : this.which)
  }

  private sleepUntil(due: number, now: number): void {
    this.sleeper?.interruptUnsafe()
    const left = Math.ceil(due - now)
    const { idle } = this.limits
    // The token after the first is due sooner, often by half: one look more spares it a sleeper of its own.
    const forMillis = idle < left && left <= 2 * idle ? Math.ceil(idle) : left
    this.wakesAt = now + forMillis
    this.sleeper = this.run(Effect.andThen(this.clock.sleep(Duration.millis(forMillis)), this.look))
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
 * Makes a watchdog that ends with the scope. Its time begins when something first waits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (scope: Scope.Scope, limits: Limits.Limits) {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const watchdog = new Watchdog(clock, run, limits)
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
