/**
 * Callers who each know when their time comes: let go in the order in which they came.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Semaphore from "effect/Semaphore"

/** One who waits. */
export class Waiter {
  /** What is waited for is there from the latest of these times on, in milliseconds on `Clock`. */
  readonly times: Array<number | undefined> = []
  /** Its place among all who ever waited; behind them all while it has none. */
  number = Infinity

  get time(): number {
    let latest = -Infinity
    for (const time of this.times) if (time !== undefined && time > latest) latest = time
    return latest
  }
}

export class WaitingLine {
  private readonly line = new Set<Waiter>()
  private readonly turn = Semaphore.makeUnsafe(1)
  private readonly moved = Latch.makeUnsafe(false)
  private next = 0

  /** How many wait. */
  get size(): number {
    return this.line.size
  }

  /** Waits for one's time behind those who came before. It may come nearer meanwhile. */
  wait(waiter: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      waiter.number = this.next++
      // Who came before need not wait longer: another process has given something back.
      for (const { times } of this.line) {
        times.forEach((time, i) => (times[i] = earlier(time, waiter.times[i])))
      }
      this.line.add(waiter)
      return this.moved.release.pipe(
        // Only who is first keeps time.
        Effect.andThen(this.turn.withPermit(this.until(waiter))),
        Effect.ensuring(Effect.sync(() => void this.line.delete(waiter)))
      )
    })
  }

  /** Brings one of the times nearer, for those who came after a waiter, be it still there or gone. */
  advance(index: number, millis: number, after: Waiter): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const { number, times } of this.line) {
        const time = times[index]
        if (number > after.number && time !== undefined) times[index] = time - millis
      }
      return this.moved.release
    })
  }

  private until(waiter: Waiter): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      // Clocks tell whole milliseconds: what is left of one would be slept for ever.
      const left = Math.ceil(waiter.time - now)
      return left > 0
        ? Effect.flatMap(Effect.raceFirst(Effect.sleep(left), this.moved.await), () => this.until(waiter))
        : Effect.void
    })
  }
}

const earlier = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? a : Math.min(a, b)
