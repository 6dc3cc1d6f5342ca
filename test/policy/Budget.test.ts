import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Agent from "effect-rill/agent/Agent"
import * as Llm from "effect-rill/Llm"
import { Disconnected, InvalidRequest, LlmError, Overloaded, Unreachable } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as Budget from "effect-rill/policy/Budget"
import type * as Cost from "effect-rill/policy/Cost"
import * as Hedge from "effect-rill/policy/Hedge"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { settle } from "../support/agentLaws.ts"
import { errorOf, llmError } from "../support/scriptedLlm.ts"

const { event, fail, pause, reasoning, start, text, toolCall, usage } = ScriptedLlm

const prompt = "12345678"
const ten = usage({ inputTokens: 6, outputTokens: 4 })
/** A scripted model under a budget. */
const under = Effect.fnUntraced(function* (
  script: ScriptedLlm.Script,
  options: Budget.Options,
  { who, ...names }: ScriptedLlm.Options & { readonly who?: Budget.Who } = { provider: "p", model: "m" }
) {
  const model = yield* ScriptedLlm.make(script, names)
  const budget = yield* Budget.make(options)
  const llm = Budget.attach(model, budget, who)
  const drain = (request: Partial<LlmRequest> = {}) => Effect.exit(Stream.runDrain(llm.events({ prompt, ...request })))
  const tokens = Effect.map(budget.spent, ({ tokens }) => tokens)
  const left = Effect.map(budget.left, ({ tokens }) => tokens)
  return { model, budget, llm, drain, tokens, left }
})

const isRefused = (exit: Exit.Exit<unknown, LlmError>) => {
  const error = errorOf(exit)
  expect(error).toMatchObject({ phase: "request", emitted: 0, reason: { _tag: "BudgetExceeded" } })
  expect([error.usage, error.isRetryable]).toEqual([undefined, false])
  return error
}

describe("tokens", () => {
  it.effect("of all requests are counted, and what does not fit is refused unsent", () =>
    Effect.gen(function* () {
      const { budget, drain, left, model } = yield* under(() => [text("Hi"), ten], { tokens: 20 })
      expect(yield* drain()).toEqual(Exit.void)
      expect(yield* budget.spent).toEqual({
        tokens: 10,
        usage: { source: "exact", inputTokens: 6, outputTokens: 4 },
        requests: 1,
        unpriced: 0
      })
      expect(yield* left).toBe(10)
      expect(yield* drain()).toEqual(Exit.void)
      expect(yield* left).toBe(0)
      const error = isRefused(yield* drain())
      expect(error).toMatchObject({ provider: "p", model: "m" })
      expect(error.message).toMatch(/nothing of the budget is left.*not sent/)
      expect((yield* model.requests).length).toBe(2)
      expect((yield* budget.spent).requests).toBe(2)
    })
  )

  it.effect("that a request may use must fit: its prompt and its maxTokens", () =>
    Effect.gen(function* () {
      const { drain, model } = yield* under(() => [text("Hi"), ten], { tokens: 12 })
      expect(isRefused(yield* drain({ maxTokens: 11 })).message).toMatch(/may need 13 tokens, and 12 are left/)
      isRefused(yield* drain({ prompt: "x".repeat(49) }))
      expect(yield* drain({ maxTokens: 10 })).toEqual(Exit.void)
      isRefused(yield* drain({ maxTokens: 1 }))
      expect(yield* drain()).toEqual(Exit.void)
      expect((yield* model.requests).length).toBe(2)
    })
  )

  it.effect("of a prompt that has no text cannot be estimated; it is refused when none are left", () =>
    Effect.gen(function* () {
      const image = Prompt.filePart({ mediaType: "image/png", data: new Uint8Array(1) })
      const picture = [Prompt.userMessage({ content: [image] })]
      const { drain, model } = yield* under(() => [text("Hi"), ten], { tokens: 10 })
      expect(yield* drain({ prompt: picture })).toEqual(Exit.void)
      isRefused(yield* drain({ prompt: picture }))
      expect((yield* model.requests).length).toBe(1)
    })
  )

  it.effect("are shared by models and streams, and each run is a request", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 30 })
      const [a, b] = yield* Effect.all([ScriptedLlm.make(() => ["A", ten]), ScriptedLlm.make(() => ["B", ten])])
      const stream = Budget.attach(a, budget).events({ prompt })
      yield* Stream.runDrain(stream)
      yield* Stream.runDrain(stream)
      yield* Stream.runDrain(Budget.attach(budget)(b).events({ prompt }))
      isRefused(yield* Effect.exit(Stream.runDrain(stream)))
      expect((yield* budget.spent).requests).toBe(3)
    })
  )

  it.effect("are reserved while a request runs, so that others at the same time do not use them", () =>
    Effect.gen(function* () {
      const { drain, left, llm, model, tokens } = yield* under(() => [pause("1 second"), text("Hi"), ten], {
        tokens: 100
      })
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () =>
        Effect.forkChild(Effect.exit(Stream.runDrain(llm.events({ prompt, maxTokens: 38 }))))
      )
      yield* settle
      expect([yield* left, yield* tokens]).toEqual([20, 0])
      yield* TestClock.adjust("1 second")
      const exits = yield* Effect.forEach(fibers, Fiber.join)
      expect(exits.map(Exit.isSuccess)).toEqual([true, true, false, false])
      expect(isRefused(exits[2]!).message).toMatch(/wait for what is running/)
      // What was reserved and not used is free again.
      expect([yield* left, yield* tokens]).toEqual([80, 20])
      const later = yield* Effect.forkChild(drain({ maxTokens: 78 }))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(later)).toEqual(Exit.void)
      expect((yield* model.requests).length).toBe(3)
    })
  )

  it.effect("of an answer that grows past its reservation are reserved as it grows", () =>
    Effect.gen(function* () {
      const { left, llm } = yield* under(() => [text("x".repeat(400)), pause("1 second"), ten], { tokens: 110 })
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt })))
      yield* settle
      expect(yield* left).toBe(8)
      isRefused(yield* Effect.exit(Stream.runDrain(llm.events({ prompt, maxTokens: 7 }))))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      expect(yield* left).toBe(100)
    })
  )

  it.effect("within its reservation are not reserved twice", () =>
    Effect.gen(function* () {
      const { left, llm } = yield* under(() => [text("x".repeat(400)), pause("1 second"), ten], { tokens: 1000 })
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt, maxTokens: 100 })))
      yield* settle
      expect(yield* left).toBe(898)
      yield* Fiber.interrupt(fiber)
      expect(yield* left).toBe(898)
    })
  )
})

describe("usage survives", () => {
  const spentBy = Effect.fnUntraced(function* (
    turn: ScriptedLlm.Turn,
    run: (stream: Stream.Stream<LlmEvent, LlmError>) => Effect.Effect<unknown, unknown> = Stream.runDrain
  ) {
    const { budget, left, llm } = yield* under(() => turn, { tokens: 1000 })
    const fiber = yield* Effect.forkChild(Effect.exit(run(llm.events({ prompt, maxTokens: 50 }))))
    yield* settle
    yield* TestClock.adjust("1 second")
    yield* Fiber.interrupt(fiber)
    const { tokens, usage } = yield* budget.spent
    expect(yield* left, "nothing stays reserved").toBe(1000 - tokens)
    const { inputTokens, outputTokens, source } = usage
    return [source, inputTokens, outputTokens]
  })
  const never = pause("1 day")

  const disconnected = new Disconnected({ message: "cut" })
  const cases: ReadonlyArray<
    readonly [
      string,
      ScriptedLlm.Turn,
      ReadonlyArray<unknown>,
      ((stream: Stream.Stream<LlmEvent, LlmError>) => Effect.Effect<unknown, unknown>)?
    ]
  > = [
    ["success", [text("Hi"), ten], ["exact", 6, 4]],
    ["success without numbers", [text("Hi there")], ["estimated", 2, 2]],
    ["refused by the provider", [fail(new Overloaded({ message: "busy" }))], ["exact", 0, 0]],
    ["without a connection", [fail(new Unreachable({ message: "none" }))], ["exact", 0, 0]],
    ["failure with numbers", [text("Hi"), ten, fail(disconnected)], ["exact", 6, 4]],
    ["failure without numbers", [text("Hi there"), fail(llmError(disconnected, { emitted: 8 }))], ["estimated", 2, 2]],
    ["failure before the output", [start(), fail(disconnected)], ["estimated", 2, 0]],
    ["interruption before the output", [never], ["estimated", 2, 0]],
    ["interruption in the middle", [text("Hi th"), reasoning("abc"), never], ["estimated", 2, 2]],
    ["interruption in a call", [toolCall("x", '{"a":"12345678"}'), never], ["estimated", 2, 4]],
    ["interruption in a refusal", [ScriptedLlm.refusal("12345678"), never], ["estimated", 2, 2]],
    ["take", [text("Hi"), never], ["estimated", 2, 1], (stream) => Stream.runDrain(Stream.take(stream, 2))],
    ["take of all there is", [text("Hi"), ten], ["exact", 6, 4], (stream) => Stream.runDrain(Stream.take(stream, 3))],
    [
      "a consumer that fails with an error of another model",
      [text("Hi"), never],
      ["estimated", 2, 1],
      (stream) =>
        Stream.runForEach(stream, ({ _tag }) =>
          _tag === "TextDelta"
            ? Effect.fail(llmError(disconnected, { usage: { source: "exact", inputTokens: 900, outputTokens: 9 } }))
            : Effect.void
        )
    ],
    [
      "a prompt that the provider does not count",
      [text("Hi"), ScriptedLlm.usage({ outputTokens: 4 })],
      ["estimated", 2, 4]
    ],
    ["an answer that the provider does not count", [text("Hi th"), usage({ inputTokens: 6 })], ["estimated", 6, 2]],
    [
      "a retry that was left in the middle: what its attempts used",
      [
        event({
          _tag: "AttemptFailed",
          attempt: 1,
          error: llmError(disconnected, {
            phase: "before-output",
            usage: { source: "exact", inputTokens: 5, outputTokens: 1 }
          })
        }),
        text("Hi th"),
        never
      ],
      ["estimated", 7, 3]
    ],
    [
      "a restart that was left in the middle: what came before counts once",
      [
        text("12345678"),
        event({ _tag: "Restarted", error: llmError(disconnected, { emitted: 8 }) }),
        text("1234"),
        never
      ],
      ["estimated", 4, 3]
    ],
    [
      "an attempt that was refused",
      [
        event({
          _tag: "AttemptFailed",
          attempt: 1,
          error: llmError(new Overloaded({ message: "busy" }), { phase: "headers" })
        }),
        text("Hi th"),
        never
      ],
      ["estimated", 2, 2]
    ],
    [
      "a retry whose end is a refusal",
      [
        event({
          _tag: "AttemptFailed",
          attempt: 1,
          error: llmError(disconnected, {
            phase: "before-output",
            usage: { source: "exact", inputTokens: 5, outputTokens: 1 }
          })
        }),
        fail(llmError(new Overloaded({ message: "busy" }), { phase: "headers" }))
      ],
      ["exact", 5, 1]
    ]
  ]

  it.effect.each(cases)("%s", ([, turn, expected, run]) =>
    Effect.gen(function* () {
      expect(yield* spentBy(turn, run)).toEqual(expected)
    })
  )

  it.effect("one error that two events tell is counted once", () =>
    Effect.gen(function* () {
      const error = llmError(disconnected, { usage: { source: "exact", inputTokens: 5, outputTokens: 1 } })
      const turn = [
        event({ _tag: "Restarted", error }),
        event({ _tag: "Switched", from: "a", to: "b", error }),
        text("1234"),
        never
      ]
      expect(yield* spentBy(turn)).toEqual(["estimated", 7, 2])
    })
  )

  it.effect("a defect", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 100 })
      const llm = Budget.attach({ events: () => Stream.die("bug") }, budget)
      expect(errorOf(yield* Effect.exit(Stream.runDrain(llm.events({ prompt }))))).toBe("bug")
      expect((yield* budget.spent).usage).toEqual({ source: "estimated", inputTokens: 2, outputTokens: 0 })
    })
  )

  it.effect("is settled at the stream's end, not only with its scope; a refused one leaves nothing in it", () =>
    Effect.gen(function* () {
      const { llm, model, tokens } = yield* under(() => [text("Hi"), ten], { tokens: 1000 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pull = yield* Stream.toPull(llm.events({ prompt }))
          yield* pull
          yield* pull
          expect(yield* tokens).toBe(0)
          expect(Exit.isFailure(yield* Effect.exit(pull))).toBe(true)
          expect([yield* tokens, (yield* model.runs)[0]?.state]).toEqual([10, "completed"])
        })
      )
      const { llm: empty } = yield* under(() => "Hi", { tokens: 0 })
      const scope = yield* Scope.make()
      const pull = yield* Channel.toPullScoped(Stream.toChannel(empty.events({ prompt })), scope)
      expect(errorOf(yield* Effect.exit(pull))).toMatchObject({ reason: { _tag: "BudgetExceeded" } })
      expect(scope.state._tag).toBe("Empty")
    })
  )
})

describe("money", () => {
  const prices: Cost.Prices = {
    "p/m": { input: 1, output: 10 },
    "p/big": { input: 100, output: 1000 },
    "free/*": { input: 0, output: 0 }
  }
  const dollar = usage({ inputTokens: 500_000, outputTokens: 50_000 })

  it.effect("is counted by the price of who answers", () =>
    Effect.gen(function* () {
      const { budget, drain, model } = yield* under(() => [start(), text("Hi"), dollar], { money: 2, prices })
      expect(yield* drain()).toEqual(Exit.void)
      expect(yield* budget.spent).toMatchObject({ money: 1, tokens: 550_000, unpriced: 0 })
      expect(yield* budget.left).toEqual({ tokens: Infinity, money: 1 })
      expect(yield* drain()).toEqual(Exit.void)
      expect(isRefused(yield* drain()).message).toMatch(/nothing of the budget is left/)
      expect((yield* model.requests).length).toBe(2)
    })
  )

  it.effect("of a request that names its model", () =>
    Effect.gen(function* () {
      const { budget, drain } = yield* under(() => [text("Hi"), dollar], { money: 500, prices })
      yield* drain({ model: "big" })
      expect(yield* budget.spent).toMatchObject({ money: 100, unpriced: 0 })
    })
  )

  it.effect("of a request that names its model, which the answer does not", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ money: 500, prices })
      const events: ReadonlyArray<LlmEvent> = [
        { _tag: "Started", provider: "p" },
        { _tag: "Finished", reason: "stop", usage: { source: "exact", inputTokens: 1_000_000, outputTokens: 0 } }
      ]
      const llm = Budget.attach({ events: () => Stream.fromIterable(events) }, budget)
      yield* Stream.runDrain(llm.events({ prompt, model: "m" }))
      expect(yield* budget.spent).toMatchObject({ money: 1, unpriced: 0 })
    })
  )

  it.effect("of a failed answer is by who failed", () =>
    Effect.gen(function* () {
      const error = new LlmError({
        reason: new Disconnected({ message: "cut" }),
        provider: "p",
        model: "m",
        phase: "before-output",
        emitted: 0,
        usage: { source: "exact", inputTokens: 1_000_000, outputTokens: 0 }
      })
      const { budget, drain } = yield* under(() => [fail(error)], { money: 500, prices }, {})
      yield* drain()
      expect(yield* budget.spent).toMatchObject({ money: 1, unpriced: 0 })
    })
  )

  it.effect("is reserved at the highest price until the model is known, then at its own", () =>
    Effect.gen(function* () {
      const { budget, drain, llm } = yield* under(() => [text("Hi"), pause("1 second"), ten], { money: 10, prices })
      const during = (expected: number) =>
        Effect.gen(function* () {
          const before = (yield* budget.left).money
          const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt, maxTokens: 1000 })))
          yield* settle
          expect(before - (yield* budget.left).money).toBeCloseTo(expected, 6)
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(fiber)
        })
      yield* during((2 * 100 + 1000 * 1000) / 1e6)
      yield* during((2 * 1 + 1000 * 10) / 1e6)
      expect(isRefused(yield* drain({ maxTokens: 1_000_000 })).message).toMatch(
        /may need 10 in money, and 9.99\d* are left/
      )
      // A model that is named by the request, of the same provider.
      isRefused(yield* drain({ maxTokens: 10_000, model: "big" }))
    })
  )

  it.effect("is reserved at the model's own from the first, where it is named", () =>
    Effect.gen(function* () {
      const script = () => [text("Hi"), ten]
      const names = { provider: "p", model: "m" }
      const unnamed = yield* under(script, { money: 0.1, prices }, names)
      isRefused(yield* unnamed.drain({ maxTokens: 1000 }))
      const named = yield* under(script, { money: 0.1, prices }, { ...names, who: names })
      expect(yield* named.drain({ maxTokens: 1000 })).toEqual(Exit.void)
    })
  )

  it.effect("a model that costs nothing is asked when none is left", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ money: 0, prices })
      const free = yield* ScriptedLlm.make(() => "Hi", { provider: "free", model: "f" })
      const ask = (llm: Llm.Llm["Service"]) => Effect.exit(Stream.runDrain(llm.events({ prompt, maxTokens: 10 })))
      isRefused(yield* ask(Budget.attach(free, budget)))
      expect(yield* ask(Budget.attach(budget, { provider: "free" })(free))).toEqual(Exit.void)
      const layer = Budget.layer(ScriptedLlm.layer(["Hi"], { provider: "free" }), budget, { provider: "free" })
      yield* Effect.provide(Llm.run(prompt), layer)
      expect(yield* budget.spent).toMatchObject({ money: 0, requests: 2 })
    })
  )

  it.effect("of a model without a price is at the highest, and is told", () =>
    Effect.gen(function* () {
      const { budget, drain } = yield* under(() => [text("Hi"), dollar], { money: 500, prices }, { provider: "q" })
      yield* drain()
      expect(yield* budget.spent).toMatchObject({ money: 100, requests: 1, unpriced: 1 })
    })
  )

  it.effect("is told under a ceiling of tokens as well, where there are prices", () =>
    Effect.gen(function* () {
      const priced = yield* under(() => [text("Hi"), dollar], { tokens: 1e9, prices })
      yield* priced.drain()
      expect((yield* priced.budget.spent).money).toBe(1)
      expect((yield* priced.budget.left).money).toBe(Infinity)
      const plain = yield* under(() => [text("Hi"), dollar], { tokens: 1e9 })
      yield* plain.drain()
      expect(yield* plain.budget.spent).not.toHaveProperty("money")
    })
  )

  it.effect("and tokens: the first ceiling that is reached holds", () =>
    Effect.gen(function* () {
      const { drain } = yield* under(() => [text("Hi"), dollar], { tokens: 550_000, money: 100, prices })
      yield* drain()
      isRefused(yield* drain())
    })
  )
})

describe("overrun", () => {
  const long: ScriptedLlm.Turn = [
    text("x".repeat(200)),
    text("y".repeat(200)),
    pause("1 second"),
    text("z".repeat(200)),
    ten
  ]
  const collect = (stream: Stream.Stream<LlmEvent, LlmError>) =>
    Effect.suspend(() => {
      let said = ""
      return stream.pipe(
        Stream.runForEach((event) => Effect.sync(() => void (event._tag === "TextDelta" && (said += event.text)))),
        Effect.exit,
        Effect.map((exit) => ({ exit, said }))
      )
    })

  it.effect("finish: an answer that passes the ceiling comes to its end", () =>
    Effect.gen(function* () {
      const { llm, tokens } = yield* under([long, long], { tokens: 60 })
      const fiber = yield* Effect.forkChild(collect(llm.events({ prompt })))
      yield* TestClock.adjust("1 second")
      const { exit, said } = yield* Fiber.join(fiber)
      expect([exit, said.length, yield* tokens]).toEqual([Exit.void, 600, 10])
    })
  )

  it.effect("stop: what has come is passed on, the connection closed at once, and the stream fails", () =>
    Effect.gen(function* () {
      const { budget, left, llm, model } = yield* under([long, long], { tokens: 60, overrun: "stop" })
      const states: Array<unknown> = []
      const seen = Stream.tap(llm.events({ prompt }), (event) =>
        event._tag === "TextDelta" && event.text.startsWith("y")
          ? Effect.map(model.runs, (runs) => void states.push(runs[0]?.state))
          : Effect.void
      )
      const { exit, said } = yield* collect(seen)
      expect(said).toBe("x".repeat(200) + "y".repeat(200))
      expect(states).toEqual(["stopped"])
      expect(errorOf(exit)).toMatchObject({
        provider: "p",
        model: "m",
        phase: "mid-output",
        emitted: 400,
        reason: { _tag: "BudgetExceeded" },
        usage: { source: "estimated", inputTokens: 2, outputTokens: 100 }
      })
      expect(errorOf(exit).message).toMatch(/stopped/)
      expect([(yield* budget.spent).tokens, yield* left]).toEqual([102, 0])
    })
  )

  it.effect("stop: by money, and by what others have reserved", () =>
    Effect.gen(function* () {
      const prices = { "p/m": { input: 0, output: 1e6 } }
      const money = yield* under([long, long], { money: 60, prices, overrun: "stop" })
      expect((yield* collect(money.llm.events({ prompt }))).said.length).toBe(400)
      const shared = yield* under((_, index) => (index === 0 ? [pause("1 day")] : long), {
        tokens: 1000,
        overrun: "stop"
      })
      const other = yield* Effect.forkChild(Stream.runDrain(shared.llm.events({ prompt, maxTokens: 940 })))
      yield* settle
      expect((yield* collect(shared.llm.events({ prompt }))).said.length).toBe(400)
      yield* Fiber.interrupt(other)
    })
  )

  it.effect("stop: not within what was reserved, nor where the end has come", () =>
    Effect.gen(function* () {
      const reserved = yield* under(() => long, { tokens: 160, overrun: "stop" })
      const fiber = yield* Effect.forkChild(collect(reserved.llm.events({ prompt, maxTokens: 150 })))
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber)).said.length).toBe(600)
      const whole: ReadonlyArray<LlmEvent> = [
        { _tag: "TextDelta", text: "x".repeat(400) },
        { _tag: "Finished", reason: "stop", usage: { source: "exact", inputTokens: 2, outputTokens: 70 } }
      ]
      const budget = yield* Budget.make({ tokens: 60, overrun: "stop" })
      const llm = Budget.attach({ events: () => Stream.fromIterable(whole) }, budget)
      expect((yield* collect(llm.events({ prompt }))).exit).toEqual(Exit.void)
      expect((yield* budget.spent).tokens).toBe(72)
    })
  )
})

describe("what makes no sense", () => {
  const mistakes: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["no ceiling", {}, /needs a ceiling/],
    ["tokens below 0", { tokens: -1 }, /`tokens`/],
    ["tokens that are no number", { tokens: Number.NaN }, /`tokens`/],
    ["money below 0", { money: -1, prices: { m: { input: 1, output: 1 } } }, /`money`/],
    ["money without prices", { money: 1 }, /needs `prices`/],
    ["money with empty prices", { money: 1, prices: {} }, /needs `prices`/],
    ["a price that is none", { tokens: 1, prices: { m: { input: 1 } } }, /price of m/],
    ["a price below 0", { tokens: 1, prices: { m: { input: 1, output: -1 } } }, /price of m/],
    ["a price of the cache below 0", { tokens: 1, prices: { m: { input: 1, output: 1, cacheRead: -1 } } }, /price of m/]
  ]
  it.effect.each(mistakes)("%s refuses every request", ([, options, message]) =>
    Effect.gen(function* () {
      const { drain, model } = yield* under(() => "Hi", options as Budget.Options)
      const error = errorOf(yield* drain())
      expect(error).toMatchObject({ phase: "request", reason: { _tag: "InvalidRequest" } })
      expect(error.message).toMatch(message)
      expect(yield* model.requests).toEqual([])
    })
  )

  it.effect("a request that is not valid leaves the budget as it was", () =>
    Effect.gen(function* () {
      const { drain, left } = yield* under(() => "Hi", { tokens: 100 })
      for (const maxTokens of [Number.NaN, -5, Infinity]) {
        expect(errorOf(yield* drain({ maxTokens })).reason).toBeInstanceOf(InvalidRequest)
        expect(yield* left).toBe(100)
      }
    })
  )

  it.effect("usage that is no number lets nothing more through", () =>
    Effect.gen(function* () {
      const { drain } = yield* under(() => [text("Hi"), usage({ inputTokens: Number.NaN, outputTokens: 1 })], {
        tokens: 100
      })
      yield* drain()
      isRefused(yield* drain())
    })
  )
})

describe("scopes", () => {
  it.effect("a program, by the service it uses", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 15 })
      const program = Effect.andThen(Llm.run(prompt), Effect.exit(Llm.run(prompt)))
      const exit = yield* program.pipe(
        Effect.updateService(Llm.Llm, Budget.attach(budget)),
        Effect.andThen((first) => Effect.map(Effect.exit(Llm.run(prompt)), (outside) => [first, outside] as const)),
        Effect.provide(ScriptedLlm.layer(() => ["Hi", ten]))
      )
      expect(exit.map(Exit.isSuccess)).toEqual([true, true])
      expect((yield* budget.spent).tokens).toBe(20)
    })
  )

  it.effect("a layer, with a budget or an Effect that makes one", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 10 })
      const scripted = ScriptedLlm.layer(() => ["Hi", ten])
      const twice = Effect.andThen(Llm.run(prompt), Effect.flip(Llm.run(prompt)))
      for (const layer of [
        Budget.layer(scripted, budget),
        scripted.pipe(Budget.layer(Budget.make({ tokens: 10 }), { provider: "scripted" }))
      ]) {
        expect((yield* Effect.provide(twice, layer)).reason._tag).toBe("BudgetExceeded")
      }
      expect((yield* budget.spent).requests).toBe(1)
      const failing: Layer.Layer<Llm.Llm, "no"> = Budget.layer(scripted, Effect.fail("no" as const))
      expect(yield* Effect.exit(Effect.provide(Llm.run(prompt), failing))).toEqual(Exit.fail("no"))
    })
  )

  it.effect("an agent: all its turns", () =>
    Effect.gen(function* () {
      const toolkit = Toolkit.make(
        Tool.make("work", { parameters: Schema.Struct({ n: Schema.Finite }), success: Schema.Finite })
      )
      const budget = yield* Budget.make({ tokens: 40 })
      const model = yield* ScriptedLlm.make(() => [
        toolCall("work", { n: 1 }),
        usage({ inputTokens: 15, outputTokens: 5 })
      ])
      const exit = yield* Agent.make({ toolkit })
        .run("12345678")
        .pipe(
          Effect.provide(toolkit.toLayer({ work: ({ n }) => Effect.succeed(n) })),
          Effect.provideService(Llm.Llm, Budget.attach(model, budget)),
          Effect.exit
        )
      expect(JSON.stringify(errorOf(exit))).toContain("BudgetExceeded")
      expect((yield* model.requests).length).toBe(2)
      expect((yield* budget.spent).tokens).toBe(40)
    })
  )

  it.effect("each model of a hedge: the loser is counted, and one that is refused is not waited for", () =>
    Effect.gen(function* () {
      const budget = yield* Budget.make({ tokens: 1000 })
      const slow = yield* ScriptedLlm.make(() => [pause("1 minute"), text("A")])
      const quick = yield* ScriptedLlm.make(() => [text("B"), ten])
      const empty = yield* Budget.make({ tokens: 0 })
      const llm = Hedge.make([Budget.attach(quick, empty), Budget.attach(slow, budget), Budget.attach(quick, budget)], {
        after: "1 second"
      })
      const fiber = yield* Effect.forkChild(Stream.runCollect(llm.events({ prompt })))
      yield* TestClock.adjust("1 second")
      const events = yield* Fiber.join(fiber)
      expect(events[0]).toMatchObject({ _tag: "Switched", error: { reason: { _tag: "BudgetExceeded" } } })
      expect(yield* budget.spent).toMatchObject({ tokens: 12, requests: 2 })
    })
  )

  it.effect("a hedge as a whole: what was lost is in what it tells, also when it is left in the middle", () =>
    Effect.gen(function* () {
      const slow = yield* ScriptedLlm.make(() => [pause("1 minute"), text("A")])
      const quick = yield* ScriptedLlm.make(() => [text("1234"), pause("1 day"), ten])
      const budget = yield* Budget.make({ tokens: 1000 })
      const llm = Budget.attach(Hedge.make([slow, quick], { after: "1 second" }), budget)
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt })))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(fiber)
      expect((yield* budget.spent).tokens).toBe(2 + 2 + 1)
      expect((yield* budget.left).tokens).toBe(995)
    })
  )
})

it.effect("interruption at any step leaves nothing reserved", () =>
  Effect.gen(function* () {
    for (let steps = 0; steps < 60; steps++) {
      const { left, llm, tokens } = yield* under(() => [text("a"), text("b"), ten], { tokens: 1000 })
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt, maxTokens: 100 })))
      for (let step = 0; step < steps; step++) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      expect(yield* left, `after ${steps}`).toBe(1000 - (yield* tokens))
    }
  })
)

it.effect("an answer is passed on as it is", () =>
  Effect.gen(function* () {
    const turn = [start({ id: "1" }), reasoning("Hm"), text("a", "b"), toolCall("x", { n: 1 }), ten]
    const { llm } = yield* under(() => turn, { tokens: 1000, overrun: "stop" })
    const plain = yield* ScriptedLlm.make(() => turn, { provider: "p", model: "m" })
    expect(yield* Stream.runCollect(llm.events({ prompt }))).toEqual(yield* Stream.runCollect(plain.events({ prompt })))
  })
)
