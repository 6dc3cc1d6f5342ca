import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import {
  Authentication,
  BudgetExceeded,
  CircuitOpen,
  ContentFiltered,
  DeadlineExceeded,
  Disconnected,
  InvalidRequest,
  type LlmError,
  NotFound,
  Overloaded,
  RateLimited,
  type Reason,
  Truncated,
  Unsupported
} from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Deadlines from "effect-rill/policy/Deadlines"
import * as Hedge from "effect-rill/policy/Hedge"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { settle } from "../support/agentLaws.ts"
import { errorOf, finished, llmError } from "../support/scriptedLlm.ts"

const { event, fail, finish, pause, reasoning, refusal, start, text, toolCall, usage } = ScriptedLlm

const names = ["a", "b", "c", "d", "e"] as const
const prompt = "12345678"
const asked = { source: "estimated", inputTokens: 2, outputTokens: 0 }

interface Told {
  readonly events: ReadonlyArray<LlmEvent>
  /** Milliseconds of each event. */
  readonly at: ReadonlyArray<number>
  readonly exit: Exit.Exit<void, LlmError>
}

const told = (stream: Stream.Stream<LlmEvent, LlmError>): Effect.Effect<Told> =>
  Effect.flatMap(Clock.currentTimeMillis, (begun) => {
    const events: Array<LlmEvent> = []
    const at: Array<number> = []
    return Stream.runForEach(stream, (event) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        events.push(event)
        at.push(now - begun)
      })
    ).pipe(
      Effect.exit,
      Effect.map((exit) => ({ events, at, exit }))
    )
  })

/** Pauses here are longer than any deadline. */
const patient = Deadlines.within({ firstToken: "Infinity", idle: "Infinity" })

/** Models of these scripts, each named by its place, and a hedge of them. */
const hedge = Effect.fnUntraced(function* (
  scripts: ReadonlyArray<ScriptedLlm.Turn>,
  options: Hedge.Options = { after: "2 seconds" }
) {
  const [first, ...others] = yield* Effect.forEach(scripts, (turn, i) =>
    ScriptedLlm.make(() => turn, { provider: names[i]!, model: "m" })
  )
  const models = [first!, ...others] as const
  const states = Effect.forEach(models, ({ runs }) => Effect.map(runs, (runs) => runs.map(({ state }) => state)))
  const made = Hedge.make(models, options)
  return {
    llm: { events: (request: LlmRequest) => patient(made.events(request)) },
    models,
    states: Effect.map(states, (all) => all.flat())
  }
})

/** Runs a hedge of these scripts to its end, which has come within a day. */
const run = Effect.fnUntraced(function* (scripts: ReadonlyArray<ScriptedLlm.Turn>, options?: Hedge.Options) {
  const { llm, states } = yield* hedge(scripts, options)
  const fiber = yield* Effect.forkChild(told(llm.events({ prompt })))
  yield* settle
  yield* TestClock.adjust("1 day")
  yield* settle
  expect(fiber.pollUnsafe(), "it has come to an end").toBeDefined()
  return { ...(yield* Fiber.join(fiber)), states: yield* states }
})

const textOf = (events: ReadonlyArray<LlmEvent>) => LlmResponse.fromEvents(events).text
const tags = (events: ReadonlyArray<LlmEvent>) => events.map(({ _tag }) => _tag)
const usageOf = (events: ReadonlyArray<LlmEvent>) => LlmResponse.fromEvents(events).usage
const overloaded = new Overloaded({ message: "busy" })
const reasons: Readonly<Record<string, Reason>> = {
  Authentication: new Authentication({ message: "no key" }),
  BudgetExceeded: new BudgetExceeded({ message: "spent" }),
  "a deadline of its own": new DeadlineExceeded({ message: "late", which: "first-token" }),
  CircuitOpen: new CircuitOpen({ message: "open" }),
  Disconnected: new Disconnected({ message: "cut" }),
  NotFound: new NotFound({ message: "none" }),
  Overloaded: overloaded,
  RateLimited: new RateLimited({ message: "slow down" }),
  Truncated: new Truncated({ message: "short" }),
  Unsupported: new Unsupported({ message: "no", feature: "file" })
}

describe("who answers", () => {
  it.effect("the first, alone, if it speaks in time", () =>
    Effect.gen(function* () {
      const { at, events, exit, states } = yield* run([
        [start(), pause("1999 millis"), text("A", "a"), pause("1 minute"), text("!")],
        "B"
      ])
      expect(exit).toEqual(Exit.void)
      expect(tags(events)).toEqual(["Started", "TextDelta", "TextDelta", "TextDelta", "Finished"])
      expect(textOf(events)).toBe("Aa!")
      expect(at[1]).toBe(1999)
      expect(states).toEqual(["completed"])
    })
  )

  it.effect("the second, asked when the first is late, if it speaks first; its events are whole", () =>
    Effect.gen(function* () {
      const { at, events, exit, states } = yield* run([
        [start({ id: "one" }), pause("1 minute"), text("A")],
        [
          start({ id: "two" }),
          pause("1 second"),
          text("B"),
          pause("1 hour"),
          text("b"),
          usage({ inputTokens: 5, outputTokens: 2 })
        ]
      ])
      expect(exit).toEqual(Exit.void)
      expect(tags(events)).toEqual(["Switched", "Started", "TextDelta", "TextDelta", "Finished"])
      expect(events[1]).toMatchObject({ id: "two", provider: "b" })
      expect(textOf(events)).toBe("Bb")
      expect(at).toEqual([3000, 3000, 3000, 3_603_000, 3_603_000])
      expect(states).toEqual(["stopped", "completed"])
    })
  )

  it.effect("the first, if it is late and the second is later", () =>
    Effect.gen(function* () {
      const { at, events, states } = yield* run([
        [pause("3 seconds"), text("A")],
        [start(), pause("2 seconds"), text("B")]
      ])
      expect(tags(events)).toEqual(["Started", "TextDelta", "Finished"])
      expect(textOf(events)).toBe("A")
      expect(at[0]).toBe(3000)
      expect(states).toEqual(["completed", "stopped"])
    })
  )

  it.effect("the first of two that speak at the same moment", () =>
    Effect.gen(function* () {
      const { events, states } = yield* run([
        [pause("3 seconds"), text("A")],
        [pause("1 second"), text("B")]
      ])
      expect(textOf(events)).toBe("A")
      expect(states).toEqual(["completed", "stopped"])
    })
  )

  it.effect("the next is asked each time that nobody has spoken for so long", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const when =
        (turn: ScriptedLlm.Turn): ScriptedLlm.TurnOf =>
        () =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            asked.push(now)
            return turn
          })
      const slow: ScriptedLlm.Turn = [pause("1 minute"), text("slow")]
      const models = yield* Effect.forEach([slow, slow, slow, [pause("1 second"), text("D")]], (turn) =>
        ScriptedLlm.make(when(turn))
      )
      const llm = Hedge.make([models[0]!, ...models.slice(1)], { after: "2 seconds" })
      const fiber = yield* Effect.forkChild(told(llm.events({ prompt })))
      yield* TestClock.adjust("1 day")
      const { at, events } = yield* Fiber.join(fiber)
      expect(asked).toEqual([0, 2000, 4000, 6000])
      expect([textOf(events), at[0]]).toEqual(["D", 7000])
    })
  )

  it.effect("all are asked at once where after is nothing, and none but the first where it is forever", () =>
    Effect.gen(function* () {
      const scripts = [
        [pause("1 minute"), text("A")],
        [pause("3 seconds"), text("B")],
        [pause("4 seconds"), text("C")]
      ]
      const none = yield* run(scripts, { after: 0 })
      expect([textOf(none.events), none.at[0], none.states.length]).toEqual(["B", 3000, 3])
      const forever = yield* run(scripts, { after: Duration.infinity })
      expect([textOf(forever.events), forever.at[0], forever.states]).toEqual(["A", 60_000, ["completed"]])
    })
  )

  it.effect("a model can be hedged against itself, and each run is a race of its own", () =>
    Effect.gen(function* () {
      const model = yield* ScriptedLlm.make((_, index) =>
        index === 0 ? [pause("1 minute"), text("0")] : [pause("1 second"), text(String(index))]
      )
      const { events } = Hedge.make([model, model], { after: "2 seconds" })
      for (const [answer, states] of [
        ["1", ["stopped", "completed"]],
        ["2", ["stopped", "completed", "completed"]]
      ] as const) {
        const fiber = yield* Effect.forkChild(told(events({ prompt })))
        yield* TestClock.adjust("1 day")
        expect(textOf((yield* Fiber.join(fiber)).events)).toBe(answer)
        expect((yield* model.runs).map(({ state }) => state)).toEqual(states)
      }
    })
  )
})

describe("to speak", () => {
  const speech: ReadonlyArray<readonly [string, ScriptedLlm.Step]> = [
    ["text", text("x")],
    ["reasoning", reasoning("x")],
    ["a refusal", refusal("x")],
    ["a tool call", toolCall("x")],
    ["the end of an answer without words", finish("stop")],
    ["a call without its beginning", event({ _tag: "ToolCalled", id: "1", name: "x", input: {} })]
  ]
  it.effect.each(speech)("is %s", ([, step]) =>
    Effect.gen(function* () {
      const { events, exit, states } = yield* run([
        [start(), pause("1 second"), step, ...(step._tag === "Finish" ? [] : [pause("1 minute")])],
        "B"
      ])
      expect(exit).toEqual(Exit.void)
      expect(events[0]).toMatchObject({ _tag: "Started", provider: "a" })
      expect(states).toEqual(["completed"])
    })
  )

  const silence: ReadonlyArray<readonly [string, ScriptedLlm.Step]> = [
    ["Started", start()],
    ["reasoning without text", event({ _tag: "ReasoningDelta", text: "", metadata: { a: { signature: "s" } } })],
    ["text without any", event({ _tag: "TextDelta", text: "" })],
    ["a source", ScriptedLlm.source({ url: "https://example.com" })],
    [
      "a retry of its own",
      event({ _tag: "AttemptFailed", attempt: 1, error: llmError(overloaded, { phase: "headers" }) })
    ]
  ]
  it.effect.each(silence)("is not %s, and nothing of it is told", ([, step]) =>
    Effect.gen(function* () {
      const { events, states } = yield* run([[step, pause("1 minute"), text("A")], "B"])
      expect(tags(events)).toEqual(["Switched", "Started", "TextDelta", "Finished"])
      expect(textOf(events)).toBe("B")
      expect(states).toEqual(["stopped", "completed"])
      // And where it is the answer, it is told.
      const alone = yield* run([[step, pause("1 second"), text("A")], "B"])
      expect(tags(alone.events)).toContain(step._tag === "Event" ? step.event._tag : "Started")
      expect(textOf(alone.events)).toBe("A")
    })
  )

  it.effect("is an end without words at once, also where the connection stays open", () =>
    Effect.gen(function* () {
      const { models } = yield* hedge(["B"])
      const open: Llm.Llm["Service"] = { events: () => Stream.concat(Stream.succeed(finished), Stream.never) }
      const { events } = Hedge.make([open, models[0]], { after: "2 seconds" })
      const fiber = yield* Effect.forkChild(Stream.runCollect(Stream.take(events({ prompt }), 1)))
      yield* settle
      expect(fiber.pollUnsafe()).toBeDefined()
      expect(yield* Fiber.join(fiber)).toEqual([finished])
    })
  )

  it.effect("an end that no event tells of is passed on", () =>
    Effect.gen(function* () {
      const { llm } = yield* hedge(["A", "B"])
      let pulls = 0
      const silent: Llm.Llm["Service"] = {
        events: () =>
          Stream.fromPull(
            Effect.succeed(Effect.suspend(() => (pulls++ === 0 ? Cause.done() : Effect.die("pulled again"))))
          )
      }
      const { events, exit } = yield* told(Hedge.make([silent, llm], { after: "2 seconds" }).events({ prompt }))
      expect([events, exit]).toEqual([[], Exit.void])
    })
  )
})

describe("failures before the first token", () => {
  it.effect.each(Object.entries(reasons))("%s: the next is asked at once", ([, reason]) =>
    Effect.gen(function* () {
      const { at, events, exit, states } = yield* run([
        [pause("1 second"), fail(reason)],
        [pause("5 seconds"), text("B")]
      ])
      expect(exit).toEqual(Exit.void)
      expect(tags(events)).toEqual(["Switched", "Started", "TextDelta", "Finished"])
      expect(events[0]).toMatchObject({ from: "a/m", to: "b/m", error: { reason: { _tag: reason._tag } } })
      expect(at[0]).toBe(6000)
      expect(states).toEqual(["failed", "completed"])
    })
  )

  it.effect.each([
    new InvalidRequest({ message: "bad" }),
    new ContentFiltered({ message: "no" }),
    new DeadlineExceeded({ message: "over", which: "total" })
  ] as ReadonlyArray<Reason>)("$_tag: no other is asked", (reason) =>
    Effect.gen(function* () {
      const { exit, states } = yield* run([[start(), fail(reason)], "B"])
      expect(errorOf(exit)).toMatchObject({ provider: "a", reason: { _tag: reason._tag } })
      expect(states).toEqual(["failed"])
    })
  )

  it.effect("which errors are worth another model is the caller's to say", () =>
    Effect.gen(function* () {
      const isWanted = (error: LlmError) => error.reason._tag === "InvalidRequest"
      const invalid = yield* run([fail(new InvalidRequest({ message: "bad" })), "B"], {
        after: "2 seconds",
        while: isWanted
      })
      expect(textOf(invalid.events)).toBe("B")
      const busy = yield* run([fail(overloaded), "B"], { after: "2 seconds", while: isWanted })
      expect([errorOf(busy.exit).reason._tag, busy.states]).toEqual(["Overloaded", ["failed"]])
    })
  )

  it.effect("that are not worth another leave those who are being asked to answer, and no more are asked", () =>
    Effect.gen(function* () {
      const { at, events, states } = yield* run([
        [pause("3 seconds"), fail(reasons.NotFound!)],
        [pause("10 seconds"), text("B")],
        [start(), pause("20 seconds"), fail(new ContentFiltered({ message: "no" }))],
        "D"
      ])
      // c was asked when a had failed, 1 s after b; a d would have been asked 2 s later.
      expect([textOf(events), at[0], states]).toEqual(["D", 5000, ["failed", "stopped", "stopped", "completed"]])
      const filtered = yield* run([
        [pause("3 seconds"), fail(new ContentFiltered({ message: "no" }))],
        [pause("10 seconds"), text("B")],
        "C"
      ])
      expect([textOf(filtered.events), filtered.at[0], filtered.states]).toEqual(["B", 12_000, ["failed", "completed"]])
    })
  )

  it.effect("of the hedge leave the first to answer, and are told", () =>
    Effect.gen(function* () {
      const { at, events, states } = yield* run([[pause("5 seconds"), text("A")], fail(reasons.NotFound!)])
      expect(tags(events)).toEqual(["AttemptFailed", "Started", "TextDelta", "Finished"])
      expect(events[0]).toMatchObject({ attempt: 2, error: { provider: "b", reason: { _tag: "NotFound" } } })
      expect([textOf(events), at[0], states]).toEqual(["A", 5000, ["completed", "failed"]])
    })
  )

  it.effect("of several are told in their order, the first's in Switched", () =>
    Effect.gen(function* () {
      const { events } = yield* run([
        [pause("6 seconds"), fail(overloaded)],
        [pause("3 seconds"), fail(reasons.NotFound!)],
        [pause("2 seconds"), fail(reasons.Truncated!)],
        [pause("2 seconds"), text("D")]
      ])
      expect(events.slice(0, 4)).toMatchObject([
        { _tag: "AttemptFailed", attempt: 2, error: { reason: { _tag: "NotFound" } } },
        { _tag: "AttemptFailed", attempt: 3, error: { reason: { _tag: "Truncated" } } },
        { _tag: "Switched", from: "a/m", to: "d/m" },
        { _tag: "Started", provider: "d" }
      ])
    })
  )

  it.effect("each failure asks one more, and the wait for the next begins anew", () =>
    Effect.gen(function* () {
      const { at, events, states } = yield* run([
        [pause("1 second"), fail(overloaded)],
        [pause("1 minute"), text("B")],
        [pause("1 second"), text("C")]
      ])
      expect([textOf(events), at[0], states]).toEqual(["C", 4000, ["failed", "stopped", "completed"]])
    })
  )

  it.effect("a failed one is closed before the next is asked", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const model = (name: string, events: Stream.Stream<LlmEvent, LlmError>): Llm.Llm["Service"] => ({
        events: () =>
          Stream.unwrap(
            Effect.as(
              Effect.acquireRelease(
                Effect.sync(() => void log.push(`open ${name}`)),
                () => Effect.sync(() => void log.push(`close ${name}`))
              ),
              events
            )
          )
      })
      const { models } = yield* hedge(["B"])
      const failing = model("a", Stream.fail(llmError(overloaded, { phase: "headers" })))
      yield* told(Hedge.make([failing, model("b", models[0].events({ prompt }))], { after: 1000 }).events({ prompt }))
      expect(log).toEqual(["open a", "close a", "open b", "close b"])
    })
  )

  describe("of all", () => {
    const failing = (...all: ReadonlyArray<Reason>) => run(all.map((reason) => [pause("1 second"), fail(reason)]))

    it.effect("is that of the first", () =>
      Effect.gen(function* () {
        const { exit, states } = yield* failing(overloaded, reasons.RateLimited!, reasons.NotFound!)
        expect(errorOf(exit)).toMatchObject({
          provider: "a",
          model: "m",
          phase: "headers",
          reason: { _tag: "Overloaded" }
        })
        expect(states).toEqual(["failed", "failed", "failed"])
        expect(errorOf((yield* failing(reasons.Authentication!, reasons.NotFound!)).exit)).toMatchObject({
          provider: "a"
        })
      })
    )

    it.effect("is one that may succeed if sent again, where there is one", () =>
      Effect.gen(function* () {
        const { exit } = yield* failing(reasons.Authentication!, reasons.RateLimited!, overloaded)
        expect(errorOf(exit)).toMatchObject({ provider: "b", isRetryable: true, reason: { _tag: "RateLimited" } })
      })
    )

    it.effect("has the usage of all, and none where all were refused", () =>
      Effect.gen(function* () {
        expect(errorOf((yield* failing(overloaded, reasons.NotFound!)).exit).usage).toBeUndefined()
        const { exit } = yield* run([
          [start(), usage({ inputTokens: 10, outputTokens: 0 }), fail(reasons.Truncated!)],
          [start(), fail(reasons.Disconnected!)],
          fail(overloaded)
        ])
        expect(errorOf(exit).usage).toEqual({ source: "estimated", inputTokens: 12, outputTokens: 0 })
        expect(errorOf(exit).reason._tag).toBe("Truncated")
      })
    )
  })

  it.effect("a defect is one of the whole, and the others are closed", () =>
    Effect.gen(function* () {
      const { models, states } = yield* hedge([[pause("1 minute"), text("A")]])
      for (const broken of [
        { events: () => Stream.die("bug") },
        { events: () => Stream.failCause(Cause.combine(Cause.fail(llmError(overloaded)), Cause.die("bug"))) },
        {
          events: () => {
            throw "bug"
          }
        }
      ] as ReadonlyArray<Llm.Llm["Service"]>) {
        const fiber = yield* Effect.forkChild(
          told(Hedge.make([models[0], broken, models[0]], { after: 1000 }).events({ prompt }))
        )
        yield* TestClock.adjust("1 second")
        const { exit } = yield* Fiber.join(fiber)
        expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
      }
      expect(yield* states).toEqual(["stopped", "stopped", "stopped"])
    })
  )
})

describe("what tells of it", () => {
  it.effect("a first that was slow: DeadlineExceeded, with what it was sent as an estimate", () =>
    Effect.gen(function* () {
      const silent = yield* run([[pause("1 minute"), text("A")], "B"])
      expect(silent.events[0]).toMatchObject({
        _tag: "Switched",
        from: "a/m",
        to: "b/m",
        error: {
          provider: "llm",
          phase: "request",
          emitted: 0,
          usage: asked,
          reason: { _tag: "DeadlineExceeded", which: "first-token" }
        }
      })
      const begun = yield* run([[start(), pause("1 minute"), text("A")], "B"])
      expect(begun.events[0]).toMatchObject({
        from: "a/m",
        error: { provider: "a", model: "m", phase: "before-output", usage: asked }
      })
      expect(begun.events[0]).toHaveProperty("error.message", expect.stringContaining("2s"))
    })
  )

  it.effect("nothing, where the first answers and nobody has failed", () =>
    Effect.gen(function* () {
      const { events } = yield* run([
        [pause("3 seconds"), text("A")],
        [pause("1 minute"), text("B")]
      ])
      expect(events.some(({ _tag }) => _tag === "Switched" || _tag === "AttemptFailed")).toBe(false)
    })
  )
})

describe("usage", () => {
  const exact = usage({ inputTokens: 10, outputTokens: 3 })

  it.effect("is the answer's own, as it is, where nobody else was asked or all others refused", () =>
    Effect.gen(function* () {
      const alone = yield* run([[text("A"), exact], "B"])
      const refused = yield* run([fail(overloaded), [text("B"), exact]])
      for (const { events } of [alone, refused]) {
        expect(usageOf(events)).toEqual({ source: "exact", inputTokens: 10, outputTokens: 3 })
      }
    })
  )

  it.effect("is with an estimate of who was slow", () =>
    Effect.gen(function* () {
      const second = yield* run([
        [pause("1 minute"), text("A")],
        [text("B"), exact]
      ])
      const first = yield* run([
        [pause("3 seconds"), text("A"), exact],
        [pause("1 minute"), text("B")]
      ])
      const early = yield* run([
        [pause("3 seconds"), finish("stop")],
        [pause("1 minute"), text("B")]
      ])
      for (const { events } of [first, second]) {
        expect(usageOf(events)).toEqual({ source: "estimated", inputTokens: 12, outputTokens: 3 })
      }
      expect(usageOf(early.events)).toEqual({ source: "estimated", inputTokens: 4, outputTokens: 0 })
    })
  )

  it.effect("is with what a failed one reported", () =>
    Effect.gen(function* () {
      const { events } = yield* run([
        [start(), usage({ inputTokens: 7, outputTokens: 1 }), fail(reasons.Truncated!)],
        [text("B"), exact]
      ])
      expect(usageOf(events)).toEqual({ source: "exact", inputTokens: 17, outputTokens: 4 })
    })
  )

  it.effect("is in the error of an answer that breaks off, of which nobody takes over", () =>
    Effect.gen(function* () {
      const { events, exit, states } = yield* run([
        [pause("1 minute"), text("A")],
        [text("1234", "5678"), fail(reasons.Disconnected!)],
        "C"
      ])
      expect(textOf(events)).toBe("12345678")
      expect(errorOf(exit)).toMatchObject({
        provider: "b",
        phase: "mid-output",
        emitted: 8,
        reason: { _tag: "Disconnected" },
        usage: { source: "estimated", inputTokens: 4, outputTokens: 2 }
      })
      expect(states).toEqual(["stopped", "failed"])
      // Who reports nothing is estimated as well.
      const { models } = yield* hedge([[pause("1 minute"), text("A")]])
      const broken: Llm.Llm["Service"] = {
        events: () =>
          Stream.concat(
            Stream.succeed<LlmEvent>({ _tag: "TextDelta", text: "1234" }),
            Stream.fail(llmError(reasons.Disconnected!, { emitted: 4 }))
          )
      }
      const fiber = yield* Effect.forkChild(told(Hedge.make([models[0], broken], { after: 1 }).events({ prompt })))
      yield* TestClock.adjust("1 second")
      expect(errorOf((yield* Fiber.join(fiber)).exit).usage).toEqual({
        source: "estimated",
        inputTokens: 4,
        outputTokens: 1
      })
    })
  )
})

describe("stopping", () => {
  const { dialect } = OpenAiChat
  const { chunk, linger, status } = FaultyWire
  const { frames } = dialect.answer({
    parts: [{ type: "text", deltas: ["One ", "two."] }],
    finish: "stop",
    usage: { inputTokens: 1, outputTokens: 1 }
  })!
  /** An answer whose words come after so long and whose end never does. */
  const open = (wait: Duration.Input): FaultyWire.Exchange => [
    status(200, { "content-type": dialect.contentType }),
    FaultyWire.pause(wait),
    ...frames.map((frame) => chunk(frame)),
    linger
  ]

  const wired = Effect.fnUntraced(function* (
    script: ReadonlyArray<FaultyWire.Exchange>,
    consume: (stream: Stream.Stream<LlmEvent, LlmError>) => Effect.Effect<unknown, unknown>
  ) {
    const { client, wire } = yield* FaultyWire.make(script)
    const model = yield* Effect.provideService(
      OpenAi.make({ model: "m", api: "chat", apiKey: Redacted.make("sk-hedge-0123456789") }),
      HttpClient.HttpClient,
      client
    )
    const { events } = Hedge.make([model, model, model], { after: "2 seconds" })
    const fiber = yield* Effect.forkChild(consume(events({ prompt })))
    return { fiber, wire }
  })

  const silent = [[FaultyWire.pause("1 day")], open("1 day"), open("1 minute")]

  it.effect.each([
    ["before the first is late", 1000, 1, 1],
    ["while two are silent", 3000, 2, 2],
    ["while three are silent", 30_000, 3, 3],
    ["while the third answers", 70_000, 3, 1]
  ] as const)("interruption closes all: %s", ([, millis, requests, opened]) =>
    Effect.gen(function* () {
      const { fiber, wire } = yield* wired(silent, Stream.runDrain)
      yield* TestClock.adjust(millis)
      expect([(yield* wire.requests).length, yield* wire.open]).toEqual([requests, opened])
      yield* Fiber.interrupt(fiber)
      expect(yield* wire.open).toBe(0)
      yield* TestClock.adjust("1 day")
      expect((yield* wire.requests).length).toBe(requests)
    })
  )

  it.effect("so do take, and a consumer that fails, wherever they stand", () =>
    Effect.gen(function* () {
      for (const count of [0, 1, 2, 3, 4, 5]) {
        const { fiber, wire } = yield* wired(silent, (stream) => Stream.runDrain(Stream.take(stream, count)))
        yield* TestClock.adjust("2 minutes")
        const length = count === 5 ? 1 : 0
        expect([fiber.pollUnsafe() === undefined, yield* wire.open], `take ${count}`).toEqual([length === 1, length])
        yield* Fiber.interrupt(fiber)
        expect(yield* wire.open).toBe(0)
        let seen = 0
        const failing = yield* wired(silent, (stream) =>
          Stream.runForEach(stream, () => (seen++ === count ? Effect.fail("enough") : Effect.void))
        )
        yield* TestClock.adjust("2 minutes")
        yield* Fiber.interrupt(failing.fiber)
        expect(yield* failing.wire.open, `fail ${count}`).toBe(0)
      }
    })
  )

  it.effect("losers are closed when the first token is passed on, and nothing but the winner runs", () =>
    Effect.gen(function* () {
      let running = 0
      const counted: Llm.Llm["Service"] = {
        events: () =>
          Stream.fromEffect(
            Effect.suspend(() => {
              running++
              return Effect.ensuring(
                Effect.never,
                Effect.sync(() => running--)
              )
            })
          )
      }
      const clock = yield* Clock.Clock
      let sleeping = 0
      const counting: Clock.Clock = {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        sleep: (duration) =>
          Effect.suspend(() => {
            sleeping++
            return Effect.ensuring(
              clock.sleep(duration),
              Effect.sync(() => sleeping--)
            )
          })
      }
      const { models } = yield* hedge([[pause("5 seconds"), text("A", "a"), text("!")]])
      const during: Array<ReadonlyArray<number>> = []
      const fiber = yield* Hedge.make([counted, models[0], counted, counted, counted, counted], { after: "1 second" })
        .events({ prompt })
        .pipe(
          Stream.runForEach(() => Effect.sync(() => void during.push([running, sleeping]))),
          patient,
          Effect.provideService(Clock.Clock, counting),
          Effect.forkChild
        )
      yield* TestClock.adjust("4500 millis")
      expect([running, sleeping]).toEqual([4, 2])
      yield* TestClock.adjust("1 day")
      yield* Fiber.join(fiber)
      expect(during.length).toBeGreaterThan(3)
      for (const counts of during) expect(counts).toEqual([0, 0])
    })
  )

  it.effect("the winner is asked for no more than its reader takes", () =>
    Effect.gen(function* () {
      let pulled = 0
      const model: Llm.Llm["Service"] = {
        events: () => Stream.fromEffectRepeat(Effect.sync((): LlmEvent => ({ _tag: "TextDelta", text: `${pulled++}` })))
      }
      const seen: Array<number> = []
      const { events } = Hedge.make([model, model], { after: "1 second" })
      yield* Stream.runForEach(Stream.take(events({ prompt }), 5), () => Effect.sync(() => void seen.push(pulled)))
      expect(seen).toEqual([1, 2, 3, 4, 5])
    })
  )

  it.effect("a winner with fibers and a scope of its own goes on", () =>
    Effect.gen(function* () {
      const { models } = yield* hedge([[text("1"), pause("1 second"), text("2"), pause("1 second"), text("3")]])
      const buffered: Llm.Llm["Service"] = {
        events: (request) => Stream.buffer(models[0].events(request), { capacity: 2 })
      }
      const fiber = yield* Effect.forkChild(
        told(Hedge.make([buffered, models[0]], { after: "1 second" }).events({ prompt }))
      )
      yield* TestClock.adjust("1 minute")
      expect(textOf((yield* Fiber.join(fiber)).events)).toBe("123")
    })
  )

  it.effect("the connection is closed at its end, not only with its scope", () =>
    Effect.gen(function* () {
      let open = 0
      const model: Llm.Llm["Service"] = {
        events: () =>
          Stream.unwrap(
            Effect.as(
              Effect.acquireRelease(
                Effect.sync(() => open++),
                () => Effect.sync(() => open--)
              ),
              Stream.succeed<LlmEvent>({ _tag: "TextDelta", text: "A" })
            )
          )
      }
      const { events } = Hedge.make([model, model], { after: "1 second" })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const pull = yield* Stream.toPull(events({ prompt }))
          yield* pull
          expect(open).toBe(1)
          expect(Exit.isFailure(yield* Effect.exit(pull))).toBe(true)
          expect(open).toBe(0)
        })
      )
    })
  )

  it.effect("in a region that cannot be interrupted it comes to its end all the same", () =>
    Effect.gen(function* () {
      const { llm, states } = yield* hedge([[pause("1 minute"), text("A")], "B"])
      const fiber = yield* Effect.forkChild(Effect.uninterruptible(told(llm.events({ prompt }))))
      yield* TestClock.adjust("3 seconds")
      yield* settle
      expect(fiber.pollUnsafe()).toBeDefined()
      expect(yield* states).toEqual(["stopped", "completed"])
    })
  )
})

describe("the request", () => {
  const request: LlmRequest = { prompt, model: "x", extra: { own: 1 }, temperature: 0 }
  const sent = Effect.fnUntraced(function* (options: Partial<Hedge.Options>, isSame: boolean) {
    const slow = yield* ScriptedLlm.make(() => [pause("1 minute"), text("A")])
    const quick = yield* ScriptedLlm.make(() => [pause("1 minute"), text("B")])
    const { events } = Hedge.make([slow, isSame ? slow : quick], { after: 0, ...options })
    const fiber = yield* Effect.forkChild(Stream.runDrain(events(request)))
    yield* TestClock.adjust("1 day")
    yield* Fiber.join(fiber)
    return isSame ? yield* slow.requests : [...(yield* slow.requests), ...(yield* quick.requests)]
  })

  it.effect("is sent to another model without what belongs to the first", () =>
    Effect.gen(function* () {
      expect(yield* sent({}, false)).toEqual([request, { prompt, temperature: 0, model: undefined, extra: undefined }])
    })
  )

  it.effect("is sent to the same model as it is", () =>
    Effect.gen(function* () {
      expect(yield* sent({}, true)).toEqual([request, request])
    })
  )

  it.effect("is what the caller makes of it, for those after the first", () =>
    Effect.gen(function* () {
      const own = (request: LlmRequest, index: number) => ({ ...request, model: `m${index}` })
      expect(yield* sent({ request: own }, false)).toEqual([request, { ...request, model: "m1" }])
    })
  )
})

describe("make and layer", () => {
  it.effect("one model is that model; none, or a time that is none, refuse", () =>
    Effect.gen(function* () {
      const { models } = yield* hedge(["A"])
      expect(Hedge.make([models[0]], { after: 1 })).toBe(models[0])
      const none: ReadonlyArray<Llm.Llm["Service"]> = []
      const mistakes = [
        // @ts-expect-error: at least one
        Hedge.make(none, { after: 1 }),
        // @ts-expect-error: a duration
        Hedge.make([models[0], models[0]], { after: "soon" })
      ]
      for (const { events } of mistakes) {
        const { exit } = yield* told(events({ prompt }))
        expect(errorOf(exit)).toMatchObject({ phase: "request", reason: { _tag: "InvalidRequest" } })
        expect(errorOf(exit).message).toMatch(/Hedge/)
      }
    })
  )

  it.effect("layers are built once each, and their errors are the whole's", () =>
    Effect.gen(function* () {
      let built = 0
      const layer = Layer.effect(
        Llm.Llm,
        Effect.suspend(() => {
          built++
          return ScriptedLlm.make(() => [pause("1 second"), text("A")])
        })
      )
      const both = Hedge.layer([layer, layer, ScriptedLlm.layer(["C"])], { after: "2 seconds" })
      const fiber = yield* Effect.forkChild(Effect.provide(Llm.run(prompt), both))
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber)).text).toBe("A")
      expect(built).toBe(1)
      const broken: Layer.Layer<Llm.Llm, "broken"> = Layer.effect(Llm.Llm, Effect.fail("broken" as const))
      const mixed: Layer.Layer<Llm.Llm, "broken"> = Hedge.layer([layer, broken], { after: 1 })
      expect(yield* Effect.exit(Effect.provide(Llm.run(prompt), mixed))).toEqual(Exit.fail("broken"))
    })
  )

  it("layers that need something need it together", () => {
    const layer: Layer.Layer<Llm.Llm, never, HttpClient.HttpClient> = Hedge.layer(
      [OpenAi.layer({ model: "m", apiKey: Redacted.make("sk-hedge-0123456789") }), ScriptedLlm.layer(["A"])],
      { after: 1 }
    )
    expect(Layer.isLayer(layer)).toBe(true)
  })
})
