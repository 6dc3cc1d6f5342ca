import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Inlet from "effect-rill/wire/Inlet"
import * as Limits from "effect-rill/wire/Limits"
import * as Watchdog from "effect-rill/wire/Watchdog"
import { token } from "../support/scriptedLlm.ts"

const started: LlmEvent = { _tag: "Started" }

const isDone = <A, E>(pull: Pull.Pull<A, E>) =>
  Effect.map(Effect.exit(pull), (exit) => Exit.isFailure(exit) && Pull.isDoneCause(exit.cause))

describe("an inlet", () => {
  it.effect("gives what was held, then its end; what comes after the end is not taken", () =>
    Effect.gen(function* () {
      const inlet = new Inlet.Inlet<number, never>()
      inlet.push([1, 2])
      inlet.push([3])
      inlet.end(Cause.done())
      inlet.push([4])
      inlet.end(Effect.die("too late"))
      expect(yield* inlet.pull).toEqual([1, 2, 3])
      expect(yield* isDone(inlet.pull)).toBe(true)
      expect(yield* isDone(inlet.pull)).toBe(true)
    })
  )

  it.effect("asks its source only when a pull waits, and is woken in the source's own turn", () =>
    Effect.gen(function* () {
      let asked = 0
      const inlet = new Inlet.Inlet<number, never>()
      inlet.more = () => void asked++
      inlet.push([1])
      yield* inlet.pull
      expect(asked).toBe(0)
      const waiting = yield* Effect.forkChild(inlet.pull, { startImmediately: true })
      expect(asked).toBe(1)
      inlet.push([2])
      expect(waiting.pollUnsafe()).toEqual(Exit.succeed([2]))
    })
  )
})

const opened = <A, E>(stream: Stream.Stream<A, E>, scope: Scope.Scope) =>
  Effect.suspend(() => {
    const inlet = new Inlet.Inlet<A, E>()
    return Effect.map(Inlet.fromStream(stream, scope, inlet), (more) => Object.assign(inlet, { more }))
  })

describe("an inlet of a stream", () => {
  it.effect("pulls once at a time: a pull that was interrupted loses nothing", () =>
    Effect.gen(function* () {
      let pulls = 0
      const slow = Stream.fromEffectRepeat(
        Effect.andThen(
          Effect.sync(() => pulls++),
          Effect.as(Effect.sleep("1 second"), "a")
        )
      )
      const inlet = yield* opened(slow, yield* Effect.scope)
      const first = yield* Effect.forkChild(inlet.pull, { startImmediately: true })
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(inlet.pull, { startImmediately: true })
      expect(pulls).toBe(1)
      yield* TestClock.adjust("1 second")
      expect(second.pollUnsafe()).toEqual(Exit.succeed(["a"]))
    }).pipe(Effect.scoped)
  )

  it.effect("a hundred thousand pieces that are there at once, and tell nothing, are no deep stack", () =>
    Effect.gen(function* () {
      let pieces = 0
      let ended = false
      const receiver: Inlet.Receiver<number, never> = {
        push: () => {
          pieces++
          return true
        },
        end: () => {
          ended = true
        }
      }
      const stream = Stream.fromIterable(
        Array.from({ length: 100_000 }, (_, i) => i),
        { chunkSize: 1 }
      )
      const more = yield* Inlet.fromStream(stream, yield* Effect.scope, receiver)
      more()
      while (!ended) yield* Effect.yieldNow
      expect(pieces).toBe(100_000)
    }).pipe(Effect.scoped)
  )

  it.effect("a pull that is under way ends with the scope", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const scope = yield* Scope.make()
      const never = Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++)))
      const inlet = yield* opened(never, scope)
      yield* Effect.forkChild(inlet.pull, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      expect(interrupted).toBe(1)
    })
  )
})

describe("a watchdog", () => {
  const watched = Effect.fnUntraced(function* (limits: Partial<Limits.Limits>, startedAt?: number) {
    const inlet = new Inlet.Inlet<LlmEvent, never>()
    const watchdog = yield* Watchdog.make(yield* Effect.scope, { ...Limits.none, ...limits }, startedAt)
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

  it.effect("the time before it was made counts to the first token, where it is told", () =>
    Effect.gen(function* () {
      const startedAt = Watchdog.nowOf(yield* Clock.Clock)
      yield* TestClock.adjust("10 seconds")
      const { expired, give } = yield* watched({ firstToken: 50_000 }, startedAt)
      yield* give(39, started)
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

  it.effect("sleeps once for many tokens, and no longer than its stream", () =>
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
        const { give } = yield* Effect.provideService(watched({ firstToken: 60_000, idle: 60_000 }), Scope.Scope, scope)
        for (let i = 0; i < 100; i++) yield* give(0, token("a"))
      }).pipe(Effect.provideService(Clock.Clock, counted))
      expect([slept, woken]).toEqual([1, 0])
      yield* Scope.close(scope, Exit.void)
      expect([slept, woken]).toEqual([1, 1])
    })
  )
})
