import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Waiter, WaitingLine } from "../../src/policy/internal/WaitingLine.ts"
import { seconds, settle } from "../support/agentLaws.ts"

const waiter = (...times: ReadonlyArray<number | undefined>): Waiter => {
  const waiter = new Waiter()
  waiter.times.push(...times)
  return waiter
}

it.effect("keeps nobody who has gone or been interrupted", () =>
  Effect.gen(function* () {
    const line = new WaitingLine()
    const fibers = yield* Effect.forEach([1000, 2000, 3000], (time) => Effect.forkChild(line.wait(waiter(time))))
    yield* settle
    assert.strictEqual(line.size, 3)
    yield* Fiber.interrupt(fibers[1]!)
    assert.strictEqual(line.size, 2)
    yield* seconds(3)
    assert.strictEqual(line.size, 0)
  })
)

it.effect("lets go at the latest of the times that are known, in order", () =>
  Effect.gen(function* () {
    const line = new WaitingLine()
    const log: Array<string> = []
    const join = (name: string, one: Waiter) =>
      Effect.andThen(Effect.forkChild(Effect.tap(line.wait(one), () => Effect.sync(() => void log.push(name)))), settle)
    yield* join("a", waiter(3000, 1000))
    yield* join("b", waiter(undefined, 5000))
    // One whose store has failed moves nobody, and does not overtake.
    yield* join("c", waiter(undefined, undefined))
    yield* seconds(2)
    assert.deepStrictEqual(log, [])
    yield* seconds(1)
    assert.deepStrictEqual(log, ["a"])
    yield* seconds(2)
    assert.deepStrictEqual(log, ["a", "b", "c"])
  })
)

it.effect("who joins brings nearer what those before it wait for, and nothing else", () =>
  Effect.gen(function* () {
    const line = new WaitingLine()
    const [a, b] = [waiter(4000, undefined), waiter(3000, undefined)]
    for (const one of [a, b, waiter(3500, 9000)]) yield* Effect.andThen(Effect.forkChild(line.wait(one)), settle)
    assert.deepStrictEqual(
      [a.times, b.times],
      [
        [3000, undefined],
        [3000, undefined]
      ]
    )
    yield* seconds(3)
    assert.strictEqual(line.size, 1)
  })
)
