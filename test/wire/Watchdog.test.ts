import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { DeadlineExceeded } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Inlet from "effect-rill/wire/Inlet"
import * as Limits from "effect-rill/wire/Limits"
import * as Watchdog from "effect-rill/wire/Watchdog"
import { token } from "../support/scriptedLlm.ts"

const started: LlmEvent = { _tag: "Started" }

describe("a watchdog", () => {
  const watched = Effect.fnUntraced(function* (limits: Partial<Limits.Limits>) {
    const inlet = new Inlet.Inlet<LlmEvent, never>()
    const watchdog = yield* Watchdog.make(yield* Effect.scope, { ...Limits.none, ...limits })
    inlet.watchdog = watchdog
    const expired: Array<string> = []
    watchdog.onExpired = (which) => {
      expired.push(which)
      inlet.end(Cause.done())
    }
    const pull = Effect.tap(inlet.pull, (events) => Effect.sync(() => watchdog.heard(events)))
    /** Pulls, waits for so many seconds, and gives this. */
    const give = Effect.fnUntraced(function* (seconds: number, event: LlmEvent) {
      const fiber = yield* Effect.forkChild(Effect.exit(pull), { startImmediately: true })
      yield* TestClock.adjust(seconds * 1000)
      inlet.push([event])
      yield* Fiber.await(fiber)
    })
    return { inlet, watchdog, expired, pull, give }
  })

  it.effect("a token sets the whole wait back, anything else none of it", () =>
    Effect.gen(function* () {
      const { expired, give } = yield* watched({ firstToken: 50_000, idle: 60_000 })
      yield* give(40, started)
      yield* give(9, token("a"))
      yield* give(40, started)
      yield* give(19, token("b"))
      yield* give(59, started)
      expect(expired).toEqual([])
      yield* give(1, token("c"))
      expect(expired).toEqual(["idle"])
    }).pipe(Effect.scoped)
  )

  it.effect("the time after a pull that was interrupted is not counted", () =>
    Effect.gen(function* () {
      const { expired, give, pull } = yield* watched({ firstToken: 50_000 })
      const left = yield* Effect.forkChild(pull, { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.interrupt(left)
      yield* TestClock.adjust("1 hour")
      yield* give(19, started)
      expect(expired).toEqual([])
      yield* give(1, started)
      expect(expired).toEqual(["first-token"])
    }).pipe(Effect.scoped)
  )

  it.effect("total is over also where no pull ever waits", () =>
    Effect.gen(function* () {
      const now = Watchdog.nowOf(yield* Clock.Clock)
      const { expired, inlet, pull } = yield* watched({ expiresAt: now + 5000 })
      inlet.push([token("a")])
      yield* pull
      inlet.push([token("b")])
      yield* TestClock.adjust("5 seconds")
      yield* Effect.exit(pull)
      expect(expired).toEqual(["total"])
    }).pipe(Effect.scoped)
  )

  it.effect("sleeps once for a request and many tokens, and no longer than its stream", () =>
    Effect.gen(function* () {
      let slept = 0
      let woken = 0
      const clock = yield* Clock.Clock
      const counted: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: () =>
          Effect.sync(() => slept++).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Effect.sync(() => woken++))
          )
      })
      const scope = yield* Scope.make()
      yield* Effect.gen(function* () {
        const limits = { firstToken: 120_000, idle: 60_000 }
        const { give, watchdog } = yield* Effect.provideService(watched(limits), Scope.Scope, scope)
        yield* watchdog.within(Effect.yieldNow)
        for (let i = 0; i < 100; i++) yield* give(0, token("a"))
      }).pipe(Effect.provideService(Clock.Clock, counted))
      expect([slept, woken]).toEqual([1, 0])
      yield* Scope.close(scope, Exit.void)
      expect([slept, woken]).toEqual([1, 1])
    })
  )

  it.effect("however short what is allowed between tokens, the first is waited for in one sleep", () =>
    Effect.gen(function* () {
      for (const idle of [0, 1, 1000]) {
        let slept = 0
        const clock = yield* Clock.Clock
        const counted: Clock.Clock = Object.assign(Object.create(clock), {
          sleep: (duration: Duration.Duration) =>
            Effect.andThen(
              Effect.sync(() => slept++),
              clock.sleep(duration)
            )
        })
        const made = Effect.provideService(watched({ firstToken: 120_000, idle }), Clock.Clock, counted)
        const { expired, pull } = yield* made
        const waits = yield* Effect.forkChild(pull, { startImmediately: true })
        yield* TestClock.adjust("119 seconds")
        expect([slept, expired]).toEqual([1, []])
        yield* Fiber.interrupt(waits)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("the first token may take longer than the next", () =>
    Effect.gen(function* () {
      const { expired, give } = yield* watched({ firstToken: 120_000, idle: 50_000 })
      yield* give(119, token("a"))
      yield* give(49, token("b"))
      expect(expired).toEqual([])
      yield* give(50, token("c"))
      expect(expired).toEqual(["idle"])
    }).pipe(Effect.scoped)
  )

  it.effect("what is allowed in the end begins then, also for a pull that waits", () =>
    Effect.gen(function* () {
      const { expired, pull, watchdog } = yield* watched({ firstToken: 50_000 })
      yield* Effect.forkChild(pull, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      watchdog.allow(3000)
      yield* TestClock.adjust("2999 millis")
      expect(expired).toEqual([])
      yield* TestClock.adjust("1 millis")
      expect(expired).toEqual(["grace"])
    }).pipe(Effect.scoped)
  )

  it.effect("what was too late when nobody was there to be told is told to who comes next", () =>
    Effect.gen(function* () {
      const { expired, pull, watchdog } = yield* watched({ firstToken: 50_000 })
      const { onExpired } = watchdog
      watchdog.onExpired = () => {}
      yield* Effect.forkChild(pull, { startImmediately: true })
      yield* TestClock.adjust("50 seconds")
      watchdog.onExpired = onExpired
      watchdog.begin()
      expect(expired).toEqual(["first-token"])
    }).pipe(Effect.scoped)
  )

  describe("within", () => {
    const make = (limits: Partial<Limits.Limits>) =>
      Effect.flatMap(Effect.scope, (scope) => Watchdog.make(scope, { ...Limits.none, ...limits }))

    const named = { headers: 3000, firstToken: 5000, total: 7000 }

    const which = <A, E>(exit: Exit.Exit<A, E>) => {
      const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
      return error instanceof DeadlineExceeded ? error.which : undefined
    }

    /** For how many seconds something may take, and what is said then. */
    const bound = Effect.fnUntraced(function* (limits: Partial<Limits.Limits>, atMost?: number) {
      const watchdog = yield* make(limits)
      let interrupted = false
      const forever = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      const fiber = yield* Effect.forkChild(Effect.exit(watchdog.within(forever, atMost)), { startImmediately: true })
      for (let seconds = 1; seconds < 10; seconds++) {
        yield* TestClock.adjust("1 second")
        const exit = fiber.pollUnsafe()
        if (exit === undefined) {
          expect(interrupted).toBe(false)
          continue
        }
        expect(interrupted).toBe(true)
        return [seconds, which(yield* exit)]
      }
      yield* Fiber.interrupt(fiber)
      expect(interrupted).toBe(true)
      return undefined
    }, Effect.scoped)

    it.effect("there is as much time as the shortest limit has, and it is the one that is named", () =>
      Effect.gen(function* () {
        expect(yield* bound(named, named.headers)).toEqual([3, "headers"])
        expect(yield* bound(named)).toEqual([5, "first-token"])
        expect(yield* bound({ ...named, firstToken: 2000 }, named.headers)).toEqual([2, "first-token"])
        const expiresAt = Watchdog.nowOf(yield* Clock.Clock) + 1000
        expect(yield* bound({ ...named, expiresAt }, named.headers)).toEqual([1, "total"])
        expect(yield* bound({ idle: 1000 })).toBeUndefined()
        expect(yield* bound({ firstToken: 60_000 })).toBeUndefined()
      })
    )

    it.effect("gives what its effect gives, at once or later, with the services that are there", () =>
      Effect.gen(function* () {
        const watchdog = yield* make(named)
        const waits = Effect.delay(Effect.succeed("later"), "1 second")
        expect(yield* watchdog.within(Effect.succeed("at once"))).toBe("at once")
        const later = yield* Effect.forkChild(watchdog.within(waits), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        expect(yield* Fiber.join(later)).toBe("later")
        expect(yield* Effect.flip(watchdog.within(Effect.fail("failed")))).toBe("failed")
        expect(yield* watchdog.within(Effect.scope)).toBe(yield* Effect.scope)
        expect(Cause.hasDies(yield* Effect.flip(Effect.sandbox(watchdog.within(Effect.die("died")))))).toBe(true)
      }).pipe(Effect.scoped)
    )

    it.effect("what takes too long has ended before that is told", () =>
      Effect.gen(function* () {
        const watchdog = yield* make(named)
        // Of TestClock: nothing waits in real time.
        const slowToEnd = Effect.onInterrupt(Effect.never, () => Effect.sleep("10 seconds"))
        const fiber = yield* Effect.forkChild(Effect.exit(watchdog.within(slowToEnd)), { startImmediately: true })
        yield* TestClock.adjust("14 seconds")
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 second")
        expect(which(yield* Fiber.join(fiber))).toBe("first-token")
      }).pipe(Effect.scoped)
    )

    it.effect("what is too late from the beginning is not begun", () =>
      Effect.gen(function* () {
        const watchdog = yield* make({ ...named, expiresAt: Watchdog.nowOf(yield* Clock.Clock) + 5000 })
        yield* TestClock.adjust("5 seconds")
        let begun = false
        const exit = yield* Effect.exit(watchdog.within(Effect.sync(() => void (begun = true))))
        expect([which(exit), begun]).toEqual(["total", false])
      }).pipe(Effect.scoped)
    )

    it.effect("the head has its time from its own beginning, and the first token from that of all before it", () =>
      Effect.gen(function* () {
        const { expired, give, watchdog } = yield* watched({ firstToken: 9000 })
        const onExpired = watchdog.onExpired
        const take = Effect.fnUntraced(function* (seconds: number, atMost?: number) {
          // Of TestClock: nothing waits in real time.
          const wait = watchdog.within(Effect.sleep(Duration.seconds(seconds)), atMost)
          const fiber = yield* Effect.forkChild(Effect.exit(wait), { startImmediately: true })
          yield* TestClock.adjust(Duration.seconds(seconds))
          return yield* Fiber.join(fiber)
        })
        // A key, a head.
        expect(yield* take(2)).toEqual(Exit.void)
        expect(yield* take(2, 3000)).toEqual(Exit.void)
        watchdog.onExpired = onExpired
        yield* give(4, started)
        expect(expired).toEqual([])
        yield* give(1, started)
        expect(expired).toEqual(["first-token"])
      }).pipe(Effect.scoped)
    )

    it.effect("without limits nothing sleeps, and the fiber is the caller's", () =>
      Effect.gen(function* () {
        const watchdog = yield* make({ idle: 1000 })
        const id = Effect.withFiber((fiber) => Effect.succeed(fiber.id))
        expect(yield* watchdog.within(id)).toBe(yield* id)
      }).pipe(Effect.scoped)
    )
  })
})
