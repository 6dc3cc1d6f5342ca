import { describe, expect, it } from "@effect/vitest"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { watched } from "../../src/policy/internal/watching.ts"

/** Reads a watched stream by hand, in a scope that stays open. */
const read = Effect.fnUntraced(function* (end: Effect.Effect<never, string>, take: number) {
  const log: Array<string> = []
  const write = (entry: string) => Effect.sync(() => void log.push(entry))
  const source = Stream.unwrap(
    Effect.as(
      Effect.addFinalizer(() => write("closed")),
      Stream.make(1, 2)
    )
  ).pipe(Stream.scoped, Stream.concat(Stream.fromEffectDrain(end)), Stream.rechunk(1))
  const stream = watched(source, (run) =>
    Effect.as(
      Scope.addFinalizerExit(run.scope, (exit) => write(`over ${run.exit?._tag} ${exit._tag} ${run.error}`)),
      { look: (values) => write(`look ${values}`) }
    )
  )
  const reader = yield* Scope.make()
  const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), reader)
  for (let i = 0; i < take; i++) yield* Effect.exit(pull)
  yield* write("left")
  yield* Scope.close(reader, Exit.interrupt())
  return log
})

describe("watched", () => {
  it.effect("a defect at its close stands beside a failure, and alone in the place of an end", () =>
    Effect.gen(function* () {
      const watching = (stream: Stream.Stream<number, string>) =>
        Effect.exit(
          Stream.runDrain(
            watched(stream, (run) =>
              Effect.as(Scope.addFinalizer(run.scope, Effect.die("bug")), { look: () => undefined })
            )
          )
        )
      const tags = (exit: Exit.Exit<void, string>) =>
        Exit.isFailure(exit) ? exit.cause.reasons.map(({ _tag }) => _tag).toSorted() : []
      // Beside a defect, `effect` makes one of the failure as well.
      expect(tags(yield* watching(Stream.fail("no")))).toEqual(["Die", "Die"])
      expect(tags(yield* watching(Stream.make(1)))).toEqual(["Die"])
    })
  )

  const passed = ["look 1", "look 2", "closed"]

  it.effect.each([
    ["its reader leaves", Effect.never, 1, ["look 1", "left", "closed", "over undefined Failure undefined"]],
    ["a failure", Effect.fail("no"), 3, [...passed, "over Failure Failure no", "left"]],
    ["a defect", Effect.die("bug"), 3, [...passed, "over Failure Failure undefined", "left"]]
  ] as const)("is over once the connection is closed, and before its reader is told: %s", ([, end, take, expected]) =>
    Effect.gen(function* () {
      expect(yield* read(end, take)).toEqual(expected)
    })
  )
})
