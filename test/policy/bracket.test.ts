import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { bracket } from "../../src/policy/internal/bracket.ts"

/** A stream with a scope that is bracketed, and what has happened, in its order. */
const bracketed = (source: Stream.Stream<string, string>, opening: Effect.Effect<void, string> = Effect.void) => {
  const log: Array<string> = []
  const say = (text: string) => Effect.sync(() => void log.push(text))
  const ended = (exit: Exit.Exit<unknown, unknown>) =>
    Exit.isSuccess(exit)
      ? "success"
      : Cause.hasInterrupts(exit.cause)
        ? "interrupted"
        : Cause.hasDies(exit.cause)
          ? "died"
          : "failed"
  const stream = bracket((scope) =>
    Scope.addFinalizerExit(scope, (exit) => Effect.andThen(Effect.yieldNow, say(`closed: ${ended(exit)}`))).pipe(
      Effect.andThen(opening),
      Effect.andThen(Channel.toPullScoped(Stream.toChannel(source), scope))
    )
  )
  return { log, say, stream }
}

/** Pulls to the end, in a scope that stays open: most readers close theirs themselves. */
const read = ({ log, say, stream }: ReturnType<typeof bracketed>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), scope)
    yield* pull.pipe(
      Effect.flatMap(([text]) => say(text)),
      Effect.forever,
      Effect.catchCause((cause) => say(Pull.isDoneCause(cause) ? "the end is heard" : "the failure is heard"))
    )
    yield* Scope.close(scope, Exit.void)
    return log
  })

describe("bracket", () => {
  it.effect.each([
    ["its end", Stream.make("a"), undefined, ["a", "closed: success", "the end is heard"]],
    ["its failure", Stream.fail("no"), undefined, ["closed: failed", "the failure is heard"]],
    ["its defect", Stream.die("no"), undefined, ["closed: died", "the failure is heard"]],
    ["what keeps it from opening", Stream.make("a"), Effect.fail("no"), ["closed: failed", "the failure is heard"]]
  ] as const)("is closed before %s is told, and once", ([, source, opening, expected]) =>
    Effect.gen(function* () {
      expect(yield* read(bracketed(source, opening))).toEqual(expected)
    })
  )

  it.effect("is closed when its reader leaves", () =>
    Effect.gen(function* () {
      const { log, stream } = bracketed(Stream.make("a", "b"))
      yield* Stream.runDrain(Stream.take(stream, 1))
      expect(log).toEqual(["closed: success"])
    })
  )

  it.effect("is closed when its reader is interrupted in the middle of a pull", () =>
    Effect.gen(function* () {
      const pulled = yield* Deferred.make<void>()
      const silence = Stream.fromEffect(Effect.andThen(Deferred.succeed(pulled, undefined), Effect.never))
      const { log, stream } = bracketed(Stream.concat(Stream.make("a"), silence))
      const fiber = yield* Effect.forkChild(Stream.runDrain(stream))
      yield* Deferred.await(pulled)
      yield* Fiber.interrupt(fiber)
      expect(log).toEqual(["closed: interrupted"])
    })
  )

  it.effect("is closed to its end, though its reader is interrupted meanwhile", () =>
    Effect.gen(function* () {
      const closing = yield* Deferred.make<void>()
      const { log, say } = bracketed(Stream.empty)
      const slowly = Effect.andThen(Deferred.succeed(closing, undefined), Effect.sleep("1 second"))
      const stream = bracket((scope) =>
        Scope.addFinalizer(scope, Effect.andThen(slowly, say("closed"))).pipe(Effect.as(Cause.done()))
      )
      const fiber = yield* Effect.forkChild(Stream.runDrain(stream))
      yield* Deferred.await(closing)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupting)
      expect(log).toEqual(["closed"])
    })
  )
})
