import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import { Authentication, Disconnected, type LlmError, Overloaded } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Callbacks from "effect-rill/policy/Callbacks"
import * as Scripted from "../support/scriptedLlm.ts"

const { arrays, finished, llmError, service, thought, token, usage } = Scripted

/** Callbacks that write what they are told into a log. */
const recorder = () => {
  const log: Array<string> = []
  const ends: Array<Callbacks.End> = []
  const write = (entry: string) => Effect.sync(() => void log.push(entry))
  const callbacks: Callbacks.Callbacks = {
    onStart: () => write("start"),
    onToken: (text) => write(`token ${text}`),
    onReasoning: (text) => write(`reasoning ${text}`),
    onRetry: (event) => write(`retry ${event._tag}`),
    onSwitch: (event) => write(`switch ${event.from} ${event.to}`),
    onError: (error) => write(`error ${error.reason._tag}`),
    onEnd: (end) =>
      Effect.sync(() => {
        ends.push(end)
        log.push(`end ${describeExit(end.exit)}`)
      })
  }
  return { log, ends, callbacks, write }
}

const describeExit = (exit: Exit.Exit<void, LlmError>): string =>
  Exit.isSuccess(exit)
    ? "success"
    : Cause.hasDies(exit.cause)
      ? "defect"
      : Cause.hasInterruptsOnly(exit.cause)
        ? "interrupted"
        : "failure"

const overloaded = llmError(new Overloaded({ message: "busy" }), { usage })
const hello = arrays([[token("a"), token("b")], [thought("t"), token("c")], [finished]])
const request = { prompt: "abcdefgh" }

describe("Callbacks", () => {
  describe("order", () => {
    it.effect("reasoning without text, which closes a block, is not told", () =>
      Effect.gen(function* () {
        const { callbacks, log } = recorder()
        const closing: LlmEvent = { _tag: "ReasoningDelta", text: "", metadata: { openai: { itemId: "rs_1" } } }
        yield* Callbacks.attach(service(arrays([[thought("t"), closing, token("a"), finished]])), callbacks)
          .events(request)
          .pipe(Stream.runDrain)
        assert.deepStrictEqual(log, ["start", "reasoning t", "token a", "end success"])
      })
    )

    it.effect("each event in turn, before its array is passed on", () =>
      Effect.gen(function* () {
        const { callbacks, log, write } = recorder()
        yield* Callbacks.attach(service(hello), callbacks)
          .events(request)
          .pipe(Stream.runForEachArray((events) => write(`array of ${events.length}`)))
        assert.deepStrictEqual(log, [
          "start",
          "token a",
          "token b",
          "array of 2",
          "reasoning t",
          "token c",
          "array of 2",
          "array of 1",
          "end success"
        ])
      })
    )

    it.effect("an array is not passed on while a callback of it runs", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const reached = yield* Deferred.make<void>()
        const seen: Array<LlmEvent> = []
        const fiber = yield* Callbacks.tap(hello, {
          onToken: (text) =>
            text === "b" ? Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(gate)) : Effect.void
        }).pipe(
          Stream.runForEach((event) => Effect.sync(() => seen.push(event))),
          Effect.forkChild
        )
        yield* Deferred.await(reached)
        assert.strictEqual(seen.length, 0)
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(fiber)
        assert.strictEqual(seen.length, 5)
      })
    )

    it.effect("what policies tell", () =>
      Effect.gen(function* () {
        const { callbacks, log } = recorder()
        const events: ReadonlyArray<LlmEvent> = [
          { _tag: "AttemptFailed", attempt: 1, error: overloaded },
          { _tag: "Restarted", error: overloaded },
          { _tag: "Switched", from: "one", to: "two", error: overloaded },
          finished
        ]
        yield* Stream.runDrain(Callbacks.tap(arrays([events]), callbacks))
        assert.deepStrictEqual(log, [
          "start",
          "retry AttemptFailed",
          "retry Restarted",
          "switch one two",
          "end success"
        ])
      })
    )

    it.effect("each run has a handle of its own, with its request", () =>
      Effect.gen(function* () {
        const runs: Array<Callbacks.Run> = []
        const note = (run: Callbacks.Run) => Effect.sync(() => void runs.push(run))
        const llm = Callbacks.attach(service(arrays([[token("a")], [finished]])), {
          onStart: note,
          onToken: (_, run) => note(run),
          onEnd: (_, run) => note(run)
        })
        const answer = llm.events(request)
        yield* Stream.runDrain(answer)
        yield* Stream.runDrain(answer)
        assert.strictEqual(runs.length, 6)
        assert.strictEqual(runs[0], runs[1])
        assert.strictEqual(runs[0], runs[2])
        assert.strictEqual(runs[3], runs[5])
        assert.notStrictEqual(runs[0], runs[3])
        assert.strictEqual(runs[0]!.request, request)
      })
    )
  })

  describe("the end", () => {
    const cases: ReadonlyArray<{
      readonly name: string
      readonly run: (
        events: (source: Stream.Stream<LlmEvent, LlmError>) => Stream.Stream<LlmEvent, LlmError>
      ) => Effect.Effect<unknown, unknown>
      readonly log: ReadonlyArray<string>
      readonly usage: Callbacks.End["usage"]
    }> = [
      {
        name: "success",
        run: (attached) => Stream.runDrain(attached(hello)),
        log: ["start", "token a", "token b", "reasoning t", "token c", "end success"],
        usage
      },
      {
        name: "a good end of a stream that reports no usage",
        run: (attached) => Stream.runDrain(attached(arrays([[token("abcdefghi")]]))),
        log: ["start", "token abcdefghi", "end success"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 3 }
      },
      {
        name: "failure, with the error's usage",
        run: (attached) => Effect.exit(Stream.runDrain(attached(arrays([[token("a")]], Effect.fail(overloaded))))),
        log: ["start", "token a", "error Overloaded", "end failure"],
        usage
      },
      {
        name: "failure in the middle without usage: an estimate",
        run: (attached) =>
          Effect.exit(
            Stream.runDrain(
              attached(
                arrays([[token("abcde"), thought("fgh")]], Effect.fail(llmError(new Disconnected({ message: "cut" }))))
              )
            )
          ),
        log: ["start", "token abcde", "reasoning fgh", "error Disconnected", "end failure"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 2, reasoningTokens: 1 }
      },
      {
        name: "a request that was refused used nothing",
        run: (attached) =>
          Effect.exit(
            Stream.runDrain(
              attached(Stream.fail(llmError(new Authentication({ message: "no" }), { phase: "headers" })))
            )
          ),
        log: ["start", "error Authentication", "end failure"],
        usage: { source: "estimated", inputTokens: 0, outputTokens: 0 }
      },
      {
        name: "a defect under it",
        run: (attached) => Effect.exit(Stream.runDrain(attached(arrays([[token("a")]], Effect.die("bug"))))),
        log: ["start", "token a", "end defect"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 1 }
      },
      {
        name: "take, in the middle of an array",
        run: (attached) => Stream.runDrain(Stream.take(attached(hello), 1)),
        log: ["start", "token a", "token b", "end interrupted"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 1 }
      },
      {
        name: "take of all there is: the answer is complete",
        run: (attached) => Stream.runDrain(Stream.take(attached(hello), 5)),
        log: ["start", "token a", "token b", "reasoning t", "token c", "end success"],
        usage
      },
      {
        name: "a consumer that fails",
        run: (attached) => Effect.exit(Stream.runForEach(attached(hello), () => Effect.fail("the consumer's own"))),
        log: ["start", "token a", "token b", "end interrupted"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 1 }
      },
      {
        name: "a consumer that fails with an error of another model",
        run: (attached) => Effect.exit(Stream.runForEach(attached(hello), () => Effect.fail(overloaded))),
        log: ["start", "token a", "token b", "end interrupted"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 1 }
      },
      {
        name: "interruption while the model is silent",
        run: (attached) =>
          Effect.gen(function* () {
            const silent = yield* Deferred.make<void>()
            const fiber = yield* Effect.forkChild(
              Stream.runDrain(
                attached(arrays([[token("a")]], Effect.andThen(Deferred.succeed(silent, undefined), Effect.never)))
              )
            )
            yield* Deferred.await(silent)
            yield* Fiber.interrupt(fiber)
          }),
        log: ["start", "token a", "end interrupted"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 1 }
      },
      {
        name: "interruption before the first event",
        run: (attached) =>
          Effect.gen(function* () {
            const silent = yield* Deferred.make<void>()
            const opening = Effect.andThen(Deferred.succeed(silent, undefined), Effect.never)
            const fiber = yield* Effect.forkChild(Stream.runDrain(attached(Stream.unwrap(opening))))
            yield* Deferred.await(silent)
            yield* Fiber.interrupt(fiber)
          }),
        log: ["start", "end interrupted"],
        usage: { source: "estimated", inputTokens: 2, outputTokens: 0 }
      }
    ]

    for (const { log: expected, name, run, usage } of cases) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const { callbacks, ends, log } = recorder()
          yield* run((source) => Callbacks.attach(service(source), callbacks).events(request))
          assert.deepStrictEqual(log, expected)
          assert.deepStrictEqual(ends[0]!.usage, usage)
        })
      )
    }

    it.effect("a stream that is never run has none", () =>
      Effect.gen(function* () {
        const { callbacks, log } = recorder()
        const stream = Callbacks.tap(hello, callbacks)
        yield* Stream.runDrain(Stream.take(stream, 0))
        assert.deepStrictEqual(log, [])
      })
    )

    it.effect("without the request, only the answer is estimated", () =>
      Effect.gen(function* () {
        const { callbacks, ends } = recorder()
        yield* Stream.runDrain(Stream.take(Callbacks.tap(hello, callbacks), 1))
        assert.deepStrictEqual(ends[0]!.usage, { source: "estimated", outputTokens: 1 })
      })
    )

    it.effect("comes once the connection is closed", () =>
      Effect.gen(function* () {
        for (const take of [1, 5, 99]) {
          const { callbacks, log, write } = recorder()
          const source = Stream.scoped(
            Stream.unwrap(
              Effect.as(
                Effect.addFinalizer(() => write("closed")),
                hello
              )
            )
          )
          yield* Stream.runDrain(Stream.take(Callbacks.tap(source, callbacks), take))
          assert.deepStrictEqual(log.slice(-2), ["closed", take === 1 ? "end interrupted" : "end success"])
          assert.strictEqual(log.filter((entry) => entry.startsWith("end")).length, 1)
        }
      })
    )

    it.effect("a refusal is an error in the views that make it one", () =>
      Effect.gen(function* () {
        const refused = arrays([[{ _tag: "Refusal", text: "I cannot" }], [finished]])
        for (const view of [Stream.runDrain(Llm.stream("x")), Llm.run("x")]) {
          const { callbacks, log } = recorder()
          yield* Effect.exit(Effect.provide(view, Callbacks.layer(Scripted.layer(refused), callbacks)))
          assert.deepStrictEqual(log, ["start", "error ContentFiltered", "end failure"])
        }
        const { callbacks, log } = recorder()
        yield* Effect.provide(Stream.runDrain(Llm.events("x")), Callbacks.layer(Scripted.layer(refused), callbacks))
        assert.deepStrictEqual(log, ["start", "end success"])
      })
    )
  })

  describe("defects", () => {
    const restarted: LlmEvent = { _tag: "Restarted", error: overloaded }
    const switched: LlmEvent = { _tag: "Switched", from: "one", to: "two", error: overloaded }
    const events = [token("a"), thought("t"), restarted, switched, finished]
    for (const name of ["onStart", "onToken", "onReasoning", "onRetry", "onSwitch", "onError", "onEnd"] as const) {
      for (const how of ["dies", "throws"] as const) {
        it.effect(`${name} that ${how} is a defect of the stream`, () =>
          Effect.gen(function* () {
            const { callbacks, ends } = recorder()
            const bug = () => {
              if (how === "throws") throw new Error("bug")
              return Effect.die(new Error("bug"))
            }
            const source = arrays([events], name === "onError" ? Effect.fail(overloaded) : undefined)
            // A second set that sees the end even where the first one's `onEnd` is what dies.
            const faulty = Callbacks.combine({ ...callbacks, [name]: bug }, { onEnd: callbacks.onEnd })
            const exit = yield* Effect.exit(Stream.runDrain(Callbacks.tap(source, faulty)))
            assert.isTrue(Exit.isFailure(exit))
            const defects = Exit.isFailure(exit) ? exit.cause.reasons.filter(Cause.isDieReason) : []
            assert.isTrue(defects.some(({ defect }) => defect instanceof Error && defect.message === "bug"))
            assert.strictEqual(ends.length, name === "onEnd" ? 1 : 2)
          })
        )
      }
    }

    it.effect("in onEnd after take, after a failure, and in an AsyncIterable", () =>
      Effect.gen(function* () {
        const faulty: Callbacks.Callbacks = { onEnd: () => Effect.die(new Error("bug")) }
        const taken = yield* Effect.exit(Stream.runDrain(Stream.take(Callbacks.tap(hello, faulty), 1)))
        assert.isTrue(Exit.hasDies(taken))
        const failed = yield* Effect.exit(Stream.runDrain(Callbacks.tap(Stream.fail(overloaded), faulty)))
        assert.isTrue(Exit.hasDies(failed))
        const iterable = Stream.toAsyncIterable(Callbacks.tap(hello, faulty))
        const outcome = yield* Effect.promise(async () => {
          try {
            for await (const _ of iterable);
            return "a quiet end"
          } catch (error) {
            return error
          }
        })
        assert.deepStrictEqual(outcome, new Error("bug"))
      })
    )
  })

  describe("attach", () => {
    it("without callbacks it is the model itself", () => {
      const llm = service(hello)
      assert.strictEqual(Callbacks.attach(llm, {}), llm)
      assert.strictEqual(Callbacks.attach(llm, { onToken: undefined }), llm)
      assert.strictEqual(Callbacks.attach(llm, { onToolStart: () => Effect.void, onToolEnd: () => Effect.void }), llm)
      assert.strictEqual(Callbacks.tap(hello, {}), hello)
      assert.notStrictEqual(Callbacks.attach(llm, { onEnd: () => Effect.void }), llm)
    })

    it.effect("by layer, with what the callbacks need", () =>
      Effect.gen(function* () {
        class Journal extends Context.Service<Journal, Array<string>>()("test/Journal") {}
        class Caller extends Context.Reference<string>("test/Caller", { defaultValue: () => "nobody" }) {}
        const journal: Array<string> = []
        const layer = Scripted.layer(hello).pipe(
          Callbacks.layer({
            onToken: (text) =>
              Effect.gen(function* () {
                const entries = yield* Journal
                entries.push(`${text} for ${yield* Caller}`)
              }),
            onEnd: () => Effect.map(Journal, (entries) => void entries.push("end"))
          }),
          Layer.provide(Layer.succeed(Journal, journal)),
          // In force while the layer is built: what is in force where the stream runs goes first.
          Layer.provide(Layer.succeed(Caller, "the builder"))
        )
        yield* Stream.runDrain(Llm.stream("x")).pipe(Effect.provideService(Caller, "the runner"), Effect.provide(layer))
        assert.deepStrictEqual(journal, ["a for the runner", "b for the runner", "c for the runner", "end"])
      })
    )

    it.effect("callbacks that an Effect makes live as long as the layer", () =>
      Effect.gen(function* () {
        const { callbacks, log, write } = recorder()
        const made = Effect.acquireRelease(Effect.as(write("made"), callbacks), () => write("released"))
        yield* Effect.provide(Llm.run("x"), Callbacks.layer(Scripted.layer(hello), made))
        assert.strictEqual(log[0], "made")
        assert.deepStrictEqual(log.slice(-2), ["end success", "released"])
      })
    )
  })

  describe("combine", () => {
    it.effect("calls each in turn", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const named = (name: string): Callbacks.Callbacks => ({
          onToken: (text) => Effect.sync(() => void log.push(`${name} ${text}`)),
          onEnd: () => Effect.sync(() => void log.push(`${name} end`))
        })
        const all = Callbacks.combine({ onToken: () => Effect.void }, named("1"), {}, named("2"), {
          onStart: () => Effect.sync(() => void log.push("3 start"))
        })
        yield* Stream.runDrain(Callbacks.tap(arrays([[token("a"), token("b")], [finished]]), all))
        assert.deepStrictEqual(log, ["3 start", "1 a", "2 a", "1 b", "2 b", "1 end", "2 end"])
      })
    )

    it("of nothing is nothing", () => {
      const llm = service(hello)
      assert.strictEqual(Callbacks.attach(llm, Callbacks.combine()), llm)
      assert.strictEqual(Callbacks.attach(llm, Callbacks.combine({}, {})), llm)
    })
  })
})
