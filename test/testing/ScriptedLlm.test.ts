import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import * as LlmError from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"

const { event, fail, finish, pause, reasoning, refusal, source, start, text, toolCall, usage } = ScriptedLlm

const exact = { source: "exact", inputTokens: 7, outputTokens: 3 } as const
const counted = usage({ inputTokens: 7, outputTokens: 3 })
const started: LlmEvent = { _tag: "Started", provider: "scripted" }
const finished = (reason: "stop" | "tool-calls" | "length" | "content-filter"): LlmEvent => ({
  _tag: "Finished",
  reason,
  usage: exact
})

/** The arrays of one turn, and the error that it ends with. */
const turn = (turn: ScriptedLlm.Turn, options?: ScriptedLlm.Options, prompt = "12345678") =>
  Effect.gen(function* () {
    const model = yield* ScriptedLlm.make([turn], options)
    const arrays: Array<ReadonlyArray<LlmEvent>> = []
    const error = yield* Stream.runForEachArray(model.events({ prompt }), (events) =>
      Effect.sync(() => void arrays.push(events))
    ).pipe(
      Effect.match({ onSuccess: () => undefined, onFailure: (error) => error }),
      Effect.provideService(Llm.Llm, model)
    )
    return { arrays, events: arrays.flat(), error }
  })

const texts = (events: ReadonlyArray<LlmEvent>) =>
  events.flatMap((event) => (event._tag === "TextDelta" ? event.text : []))

const defect = (exit: Exit.Exit<unknown, unknown>): string => {
  assert(Exit.isFailure(exit))
  assert.isTrue(Cause.hasDies(exit.cause))
  return String(Cause.squash(exit.cause))
}

describe("ScriptedLlm", () => {
  describe("a turn", () => {
    it.effect("a string is a whole answer of one delta, and its usage an estimate", () =>
      Effect.gen(function* () {
        const { arrays } = yield* turn("Hello")
        assert.deepStrictEqual(arrays, [
          [started, { _tag: "TextDelta", text: "Hello" }],
          [{ _tag: "Finished", reason: "stop", usage: { source: "estimated", inputTokens: 2, outputTokens: 2 } }]
        ])
      })
    )

    it.effect("each step is an array", () =>
      Effect.gen(function* () {
        const { arrays } = yield* turn([
          start({ id: "a1", model: "m" }),
          reasoning("hm"),
          text("Hel", "", "lo"),
          text(""),
          ", you",
          source({ url: "https://example.com" }),
          counted
        ])
        assert.deepStrictEqual(arrays, [
          [{ _tag: "Started", provider: "scripted", id: "a1", model: "m" }],
          [{ _tag: "ReasoningDelta", text: "hm" }],
          [
            { _tag: "TextDelta", text: "Hel" },
            { _tag: "TextDelta", text: "lo" }
          ],
          [{ _tag: "TextDelta", text: ", you" }],
          [{ _tag: "Source", sourceType: "url", url: "https://example.com" }],
          [finished("stop")]
        ])
      })
    )

    it.effect("an empty answer begins and ends", () =>
      Effect.gen(function* () {
        for (const empty of ["", finish("stop")]) {
          const { events } = yield* turn(empty)
          assert.deepStrictEqual(
            events.map(({ _tag }) => _tag),
            ["Started", "Finished"]
          )
        }
      })
    )

    it.effect("reasoning counts in an estimate", () =>
      Effect.gen(function* () {
        const { events } = yield* turn([reasoning("12345678"), "1234"])
        assert.deepInclude(events.at(-1), {
          usage: { source: "estimated", inputTokens: 2, outputTokens: 3, reasoningTokens: 2 }
        })
      })
    )

    it.effect("tool calls come before the end, with ids of their own", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make([
          ["Let me see", toolCall("weather", { city: "Bern" }, { pieces: 3 }), toolCall("now"), counted],
          toolCall("later", '{"in":', { id: "mine" })
        ])
        const first = yield* Stream.runCollect(model.events({ prompt: "x" }))
        assert.deepStrictEqual(first.slice(2), [
          { _tag: "ToolCallStarted", id: "call_1_1", name: "weather" },
          { _tag: "ToolCallDelta", id: "call_1_1", delta: '{"cit' },
          { _tag: "ToolCallDelta", id: "call_1_1", delta: 'y":"B' },
          { _tag: "ToolCallDelta", id: "call_1_1", delta: 'ern"}' },
          { _tag: "ToolCallStarted", id: "call_1_2", name: "now" },
          { _tag: "ToolCallDelta", id: "call_1_2", delta: "{}" },
          { _tag: "ToolCalled", id: "call_1_1", name: "weather", input: { city: "Bern" } },
          { _tag: "ToolCalled", id: "call_1_2", name: "now", input: {} },
          finished("tool-calls")
        ])
        const second = yield* Stream.runCollect(model.events({ prompt: "x" }))
        assert.deepStrictEqual(second.at(-2), { _tag: "ToolCalled", id: "mine", name: "later", input: '{"in":' })
      })
    )

    it.effect("no half tool calls: none is called on length, content filter or failure", () =>
      Effect.gen(function* () {
        const call = toolCall("weather", { city: "Bern" })
        for (const end of [
          finish("length"),
          finish("content-filter"),
          fail(new LlmError.Truncated({ message: "cut" }))
        ]) {
          const { error, events } = yield* turn([call, counted, end])
          assert.isFalse(events.some(({ _tag }) => _tag === "ToolCalled"))
          assert.isTrue(events.some(({ _tag }) => _tag === "ToolCallStarted"))
          assert.deepStrictEqual((error ?? events.findLast((event) => event._tag === "Finished"))?.usage, exact)
          if (end._tag === "Finish") assert.deepInclude(events.at(-1), { reason: end.reason })
          else assert.strictEqual(error?.phase, "mid-output")
        }
      })
    )

    it.effect("the raw reason, and a refusal that fails the views", () =>
      Effect.gen(function* () {
        const { events } = yield* turn([refusal("No"), finish("stop", { rawReason: "end_turn" })])
        assert.deepStrictEqual(events[1], { _tag: "Refusal", text: "No" })
        assert.deepInclude(events.at(-1), { reason: "stop", rawReason: "end_turn" })
        const error = yield* Effect.flip(Effect.provide(Llm.run("x"), ScriptedLlm.layer([refusal("No")])))
        assert.strictEqual(error.reason._tag, "ContentFiltered")
      })
    )

    it.effect("raw events as they are, counted where they tell something", () =>
      Effect.gen(function* () {
        const restarted: LlmEvent = {
          _tag: "Restarted",
          error: new LlmError.LlmError({
            reason: new LlmError.Overloaded({ message: "busy" }),
            provider: "p",
            phase: "mid-output",
            emitted: 0
          })
        }
        const { error, events } = yield* turn([
          event({ _tag: "Started", id: "raw" }),
          event({ _tag: "TextDelta", text: "12345" }),
          event(restarted),
          fail(new LlmError.Disconnected({ message: "cut" }))
        ])
        assert.deepStrictEqual(events, [
          { _tag: "Started", id: "raw" },
          { _tag: "TextDelta", text: "12345" },
          restarted
        ])
        assert.strictEqual(error?.emitted, 5)
        const ended = yield* turn(["a", event(finished("length"))])
        assert.deepStrictEqual(
          ended.events.map(({ _tag }) => _tag),
          ["Started", "TextDelta", "Finished"]
        )
      })
    )
  })

  describe("failures", () => {
    it.effect("tell how far the turn had come and what it had used", () =>
      Effect.gen(function* () {
        const message = "because"
        const limited = new LlmError.RateLimited({ message })
        const cut = new LlmError.Disconnected({ message })
        const cases: ReadonlyArray<readonly [ScriptedLlm.Turn, LlmError.Phase, number, number | undefined]> = [
          [fail(limited), "headers", 0, undefined],
          [fail(new LlmError.Unreachable({ message })), "request", 0, undefined],
          [fail(new LlmError.Truncated({ message })), "before-output", 0, 0],
          [fail(new LlmError.DeadlineExceeded({ message, which: "headers" })), "request", 0, undefined],
          [fail(new LlmError.DeadlineExceeded({ message, which: "idle" })), "before-output", 0, 0],
          [[pause(0), fail(limited)], "headers", 0, undefined],
          [[start(), fail(limited)], "before-output", 0, 0],
          [[reasoning("1234"), fail(cut)], "mid-output", 0, 1],
          [["1234", "56", fail(cut)], "mid-output", 6, 2],
          [["1234", fail(cut, { phase: "before-output" })], "before-output", 4, 1]
        ]
        for (const [script, phase, emitted, output] of cases) {
          const { error } = yield* turn(script, { model: "m1" })
          assert.deepInclude(error, { phase, emitted, provider: "scripted", model: "m1" })
          assert.strictEqual(error?.usage?.outputTokens, output)
        }
      })
    )

    it.effect("with what the provider says of retrying; or an error as it is", () =>
      Effect.gen(function* () {
        const reason = new LlmError.RateLimited({ message: "slow down" })
        const { arrays, error } = yield* turn(
          fail(reason, { retryAfter: "2 seconds", requestId: "r1", shouldRetry: false }),
          { provider: "acme" }
        )
        assert.deepStrictEqual(arrays, [])
        assert.include(error?.message, "acme: RateLimited: slow down Before the next try, wait 2 s. (request r1)")
        assert.isFalse(error?.isRetryable)
        const own = new LlmError.LlmError({ reason, provider: "mine", phase: "headers", emitted: 0 })
        assert.strictEqual((yield* turn(["a", fail(own)])).error, own)
      })
    )

    it.effect("what was told before comes before", () =>
      Effect.gen(function* () {
        const { error, events } = yield* turn([text("Once"), fail(new LlmError.Disconnected({ message: "cut" }))])
        assert.deepStrictEqual(texts(events), ["Once"])
        assert.isDefined(error)
      })
    )

    it.effect("a request that would be refused unsent takes no turn", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make(["Hello"])
        const error = yield* Effect.flip(Stream.runDrain(model.events({ prompt: "x", temperature: Number.NaN })))
        assert.deepInclude(error, { phase: "request", provider: "scripted" })
        assert.strictEqual(error.reason._tag, "InvalidRequest")
        assert.deepStrictEqual(yield* model.requests, [])
        assert.strictEqual(yield* model.remaining, 1)
      })
    )
  })

  describe("a script", () => {
    it.effect("goes on with each run, and is told from its beginning by each build of the layer", () => {
      const layer = ScriptedLlm.layer(["one", "two", "three"])
      const program = Effect.gen(function* () {
        const stream = Llm.stream("x")
        assert.deepStrictEqual(yield* Stream.runCollect(stream), ["one"])
        assert.deepStrictEqual(yield* Stream.runCollect(stream), ["two"])
        assert.strictEqual(yield* ScriptedLlm.remaining, 1)
      })
      return Effect.andThen(Effect.provide(program, layer), Effect.provide(program, layer))
    })

    it.effect("concurrent requests take turns in the order in which they are run", () =>
      Effect.gen(function* () {
        const ask = (prompt: string) => Effect.map(Llm.run(prompt), ({ text }) => `${prompt}: ${text}`)
        const fiber = yield* Effect.forkChild(Effect.all([ask("a"), ask("b"), ask("c")], { concurrency: "unbounded" }))
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(yield* Fiber.join(fiber), ["a: slow", "b: slower", "c: fast"])
        assert.deepStrictEqual(
          (yield* ScriptedLlm.requests).map(({ prompt }) => prompt),
          ["a", "b", "c"]
        )
      }).pipe(Effect.provide(ScriptedLlm.layer([[pause("1 second"), "slow"], [pause("2 seconds"), "slower"], "fast"])))
    )

    it.effect("functions of the request, plain and effectful, in the array and in its place", () =>
      Effect.gen(function* () {
        const echo: ScriptedLlm.TurnOf = (request, index) => `${index}: ${ScriptedLlm.userText(request)}`
        const model = yield* ScriptedLlm.make([
          echo,
          (request) => Effect.succeed([text("later: ", ScriptedLlm.userText(request))]),
          () =>
            Effect.fail(
              new LlmError.LlmError({
                reason: new LlmError.Overloaded({ message: "busy" }),
                provider: "p",
                phase: "headers",
                emitted: 0
              })
            )
        ])
        const ask = (model: Llm.Llm["Service"], prompt: string) =>
          Effect.map(Effect.provideService(Llm.run(prompt), Llm.Llm, model), ({ text }) => text)
        assert.strictEqual(yield* ask(model, "hi"), "0: hi")
        assert.strictEqual(yield* ask(model, "ho"), "later: ho")
        assert.strictEqual((yield* Effect.flip(ask(model, "he"))).reason._tag, "Overloaded")
        const endless = yield* ScriptedLlm.make(echo)
        for (let i = 0; i < 5; i++) assert.strictEqual(yield* ask(endless, "hi"), `${i}: hi`)
        assert.strictEqual(yield* endless.remaining, Infinity)
      })
    )

    it("tells the text of the last message from the user", () => {
      const request = {
        prompt: [
          { role: "user", content: "first" },
          { role: "assistant", content: "no" },
          {
            role: "user",
            content: [
              { type: "text", text: "a" },
              { type: "text", text: "b" }
            ]
          },
          { role: "assistant", content: "no" }
        ]
      } as const
      assert.strictEqual(ScriptedLlm.userText(request), "ab")
      assert.strictEqual(ScriptedLlm.userText({ prompt: [] }), "")
    })

    it.effect("names the model that is asked", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make(() => "x", { provider: "acme", model: "small" })
        const started = (request: { model?: string }) =>
          Effect.map(Stream.runCollect(model.events({ prompt: "x", ...request })), ([first]) => first)
        assert.deepStrictEqual(yield* started({}), { _tag: "Started", provider: "acme", model: "small" })
        assert.deepStrictEqual(yield* started({ model: "big" }), { _tag: "Started", provider: "acme", model: "big" })
      })
    )

    it.effect("dies on a request that is not scripted, and quotes no prompt", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make(["one"])
        const ask = Stream.runDrain(model.events({ prompt: "a secret" }))
        yield* ask
        const message = defect(yield* Effect.exit(ask))
        assert.include(message, "request 2 is not scripted: the script has 1 turn.")
        assert.notInclude(message, "secret")
        assert.strictEqual((yield* model.requests).length, 2)
        assert.strictEqual(yield* model.remaining, 0)
        assert.strictEqual((yield* model.runs)[1]!.state, "failed")
      })
    )

    it.effect("dies on scripts that make no sense, where they are written", () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [ScriptedLlm.Script, string]> = [
          [["ok", []], "turn 2 of the script has no steps"],
          [[[finish("length"), text("more")]], "nothing can follow finish"],
          [[[fail(new LlmError.Truncated({ message: "" })), usage({})]], "nothing can follow fail"],
          [[[event(finished("stop")), finish("stop")]], "nothing can follow a Finished event"],
          [[[toolCall("a", {}, { id: "x" }), toolCall("b", {}, { id: "x" })]], 'two tool calls of the id "x"'],
          [[toolCall("")], "calls a tool without a name"],
          // What JavaScript lets pass.
          [JSON.parse('[["a", { "type": "text" }]]'), "has a step 2 that is none"],
          [JSON.parse("[7]"), "has a step 1 that is none"],
          [JSON.parse('"Hello"'), "neither an array of turns nor a function"]
        ]
        for (const [script, expected] of cases) {
          assert.include(defect(yield* Effect.exit(ScriptedLlm.make(script))), expected)
          assert.include(
            defect(yield* Effect.exit(Layer.build(ScriptedLlm.layer(script)).pipe(Effect.scoped))),
            expected
          )
        }
        const played = yield* ScriptedLlm.make(() => [])
        assert.include(
          defect(yield* Effect.exit(Stream.runDrain(played.events({ prompt: "x" })))),
          "turn 1 of the script has no steps"
        )
      })
    )
  })

  describe("time and readers", () => {
    it.effect("pauses are on Clock", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        yield* Effect.forkChild(Stream.runForEach(Llm.stream("x"), (text) => Effect.sync(() => void seen.push(text))))
        yield* TestClock.adjust("999 millis")
        assert.deepStrictEqual(seen, ["Hel"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(seen, ["Hel", "lo"])
      }).pipe(Effect.provide(ScriptedLlm.layer([["Hel", pause("1 second"), "lo"]])))
    )

    it.effect("what is not pulled is not played", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make([
          ["one", pause("1 hour"), "two"],
          ["a", "b", fail(new LlmError.Truncated({ message: "" }))]
        ])
        const first = yield* Stream.runCollect(Stream.take(Llm.text(model.events({ prompt: "x" })), 1))
        const second = yield* Stream.runCollect(Stream.take(Llm.text(model.events({ prompt: "x" })), 2))
        assert.deepStrictEqual([first, second], [["one"], ["a", "b"]])
        assert.deepStrictEqual(
          (yield* model.runs).map(({ state }) => state),
          ["stopped", "stopped"]
        )
      })
    )

    it.effect("tells what became of each run", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make([
          "whole",
          ["cut", fail(new LlmError.Disconnected({ message: "" }))],
          ["slow", pause("1 hour")]
        ])
        const ask = Stream.runDrain(model.events({ prompt: "x" }))
        yield* ask
        yield* Effect.exit(ask)
        const fiber = yield* Effect.forkChild(ask, { startImmediately: true })
        const states = Effect.map(model.runs, (runs) => runs.map(({ state }) => state))
        assert.deepStrictEqual(yield* states, ["completed", "failed", "running"])
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* states, ["completed", "failed", "stopped"])
        const whole = yield* ScriptedLlm.make(["x"])
        yield* Stream.runDrain(Stream.takeUntil(whole.events({ prompt: "x" }), ({ _tag }) => _tag === "Finished"))
        assert.strictEqual((yield* whole.runs)[0]!.state, "completed")
      })
    )
  })

  describe("split", () => {
    const answer = "A longer answer, in which 👩‍👩‍👧 are whole characters: é ü 漢字."
    const script: ScriptedLlm.Turn = [
      reasoning("Let me think about it"),
      text(answer),
      toolCall("weather", { city: "Bern" }),
      counted
    ]

    it.effect("the same number, the same arrays; another one, others; and always the same answer", () =>
      Effect.gen(function* () {
        const whole = yield* turn(script)
        const seen = new Set<string>()
        for (let split = 0; split < 20; split++) {
          const { arrays, events } = yield* turn(script, { split })
          assert.deepStrictEqual((yield* turn(script, { split })).arrays, arrays)
          seen.add(JSON.stringify(arrays))
          assert.strictEqual(texts(events).join(""), answer)
          assert.isAbove(texts(events).length, 5)
          assert.isAbove(arrays.length, 8)
          assert.isTrue(arrays.some((events) => events.filter(({ _tag }) => _tag === "TextDelta").length > 1))
          for (const text of texts(events)) assert.isTrue(text.isWellFormed())
          assert.deepStrictEqual(events.slice(-2), whole.events.slice(-2))
          assert.strictEqual(events.filter(({ _tag }) => _tag === "ToolCallStarted").length, 1)
          assert.isAbove(events.filter(({ _tag }) => _tag === "ToolCallDelta").length, 1)
        }
        assert.strictEqual(seen.size, 20)
      })
    )

    it.effect("turns are cut each their own way", () =>
      Effect.gen(function* () {
        const model = yield* ScriptedLlm.make([answer, answer], { split: 1 })
        const ask = Stream.runCollect(model.events({ prompt: "x" }))
        assert.notDeepEqual(texts(yield* ask), texts(yield* ask))
      })
    )
  })
})
