import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Inlet from "effect-rill/wire/Inlet"

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
