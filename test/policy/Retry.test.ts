import { assert, describe, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Agent from "effect-rill/agent/Agent"
import * as Llm from "effect-rill/Llm"
import {
  Authentication,
  BudgetExceeded,
  DeadlineExceeded,
  Disconnected,
  InvalidRequest,
  LlmError,
  Malformed,
  Overloaded,
  RateLimited,
  Truncated,
  Unreachable
} from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Callbacks from "effect-rill/policy/Callbacks"
import * as Retry from "effect-rill/policy/Retry"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { plea } from "../../src/policy/internal/goingOn.ts"
import * as Scripted from "../support/scriptedLlm.ts"

const { event, fail, pause, reasoning, refusal, source, text, toolCall, usage } = ScriptedLlm

const message = "no"
const overloaded = new Overloaded({ message })
const disconnected = new Disconnected({ message })
const used = (inputTokens: number, outputTokens: number) => usage({ inputTokens, outputTokens })

interface Told {
  readonly events: ReadonlyArray<LlmEvent>
  readonly exit: Exit.Exit<void, LlmError>
}

const collect = (llm: Llm.Llm["Service"], request: LlmRequest = { prompt: "Hi" }): Effect.Effect<Told> =>
  Effect.gen(function* () {
    const events: Array<LlmEvent> = []
    const exit = yield* Effect.exit(
      Stream.runForEach(llm.events(request), (event) => Effect.sync(() => void events.push(event)))
    )
    return { events, exit }
  })

/** Runs it at once, whatever it waits for. */
const run = (llm: Llm.Llm["Service"], request?: LlmRequest): Effect.Effect<Told> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(collect(llm, request))
    for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

const make = Effect.fnUntraced(function* (turns: ScriptedLlm.Script, options?: Retry.Options) {
  const model = yield* ScriptedLlm.make(turns, { model: "m" })
  return { model, llm: Retry.attach(model, options) }
})

const inShort = (events: ReadonlyArray<LlmEvent>): ReadonlyArray<string> =>
  events.map((event) => {
    switch (event._tag) {
      case "TextDelta":
      case "ReasoningDelta":
      case "Refusal":
        return `${event._tag} ${event.text}`
      case "AttemptFailed":
        return `AttemptFailed ${event.attempt} ${event.error.reason._tag}`
      case "Restarted":
        return `Restarted ${event.error.reason._tag}`
      case "ToolCallStarted":
      case "ToolCalled":
        return `${event._tag} ${event.id}`
      default:
        return event._tag
    }
  })

const errorOf = ({ exit }: Told): LlmError => {
  const error = Exit.findErrorOption(exit)
  assert(error._tag === "Some")
  return error.value
}

const fold = ({ events }: Told) => LlmResponse.fromEvents(events)

/** What a request says last. */
const history = (request: LlmRequest | undefined): ReadonlyArray<readonly [string, string]> =>
  Prompt.make(request!.prompt).content.map(({ content, role }) => [
    role,
    typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : "?")).join("|")
  ])

const now: Retry.Options = { schedule: Schedule.recurs(2) }

describe("Retry", () => {
  describe("before output", () => {
    it.effect("tries again and tells of it", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([fail(overloaded), fail(new Truncated({ message })), "Hello"])
        const told = yield* run(llm)
        assert.deepStrictEqual(inShort(told.events), [
          "AttemptFailed 1 Overloaded",
          "AttemptFailed 2 Truncated",
          "Started",
          "TextDelta Hello",
          "Finished"
        ])
        assert.deepStrictEqual(
          (yield* model.runs).map(({ state }) => state),
          ["failed", "failed", "completed"]
        )
      })
    )

    it.effect("3 tries in all, and the error of the last", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([fail(overloaded), fail(overloaded), fail(disconnected), "Hello"])
        const told = yield* run(llm)
        assert.strictEqual(errorOf(told).reason, disconnected)
        assert.strictEqual(yield* model.remaining, 1)
        assert.strictEqual(told.events.length, 2)
      })
    )

    it.effect("each run has its own tries", () =>
      Effect.gen(function* () {
        const { llm } = yield* make([fail(overloaded), fail(overloaded), "a", fail(overloaded), fail(overloaded), "b"])
        const first = yield* run(llm)
        const second = yield* run(llm)
        assert.deepStrictEqual([fold(first).text, fold(second).text], ["a", "b"])
      })
    )

    it.effect("never what cannot succeed", () =>
      Effect.gen(function* () {
        for (const reason of [
          new Authentication({ message }),
          new InvalidRequest({ message }),
          new Malformed({ message }),
          new BudgetExceeded({ message }),
          new DeadlineExceeded({ message, which: "total" })
        ]) {
          const { llm, model } = yield* make([fail(reason), "Hello"])
          const told = yield* run(llm)
          assert.strictEqual(errorOf(told).reason, reason)
          assert.deepStrictEqual(told.events, [])
          assert.strictEqual(yield* model.remaining, 1)
        }
      })
    )

    it.effect("what the provider says about retrying wins", () =>
      Effect.gen(function* () {
        const no = yield* make([fail(overloaded, { shouldRetry: false }), "Hello"])
        assert.strictEqual(errorOf(yield* run(no.llm)).reason, overloaded)
        const yes = yield* make([fail(new InvalidRequest({ message }), { shouldRetry: true }), "Hello"])
        assert.strictEqual(fold(yield* run(yes.llm)).text, "Hello")
      })
    )

    it.effect("`while` decides instead", () =>
      Effect.gen(function* () {
        const narrow = { while: (error: LlmError) => error.isRetryable && error.reason._tag !== "Overloaded" }
        assert.strictEqual(errorOf(yield* run((yield* make([fail(overloaded), "a"], narrow)).llm)).reason, overloaded)
        const wide = { while: (error: LlmError) => error.isRetryable || error.reason._tag === "Malformed" }
        const malformed = yield* make([fail(new Malformed({ message })), "a"], wide)
        assert.strictEqual(fold(yield* run(malformed.llm)).text, "a")
        const always = yield* make([fail(new DeadlineExceeded({ message, which: "total" })), "a"], {
          while: () => true
        })
        assert.strictEqual(errorOf(yield* run(always.llm)).reason._tag, "DeadlineExceeded")
      })
    )

    it.effect("a defect is none of its business", () =>
      Effect.gen(function* () {
        const { llm } = yield* make([event(Scripted.finished), "a"])
        const dying = Retry.attach({ events: () => Stream.die("boom") }, now)
        const { exit } = yield* run(dying)
        assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.deepStrictEqual(inShort((yield* run(llm)).events), ["Started", "Finished"])
      })
    )

    it.effect("a defect beside the error is not lost", () =>
      Effect.gen(function* () {
        const error = Scripted.llmError(overloaded)
        for (const broken of [
          Stream.ensuring(Stream.fail(error), Effect.die("boom")),
          Stream.failCause(Cause.combine(Cause.fail(error), Cause.die("boom")))
        ]) {
          const { events, exit } = yield* run(Retry.attach({ events: () => broken }, now))
          assert.deepStrictEqual(events, [])
          assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        }
      })
    )

    it.effect("a prompt that can be read once", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([fail(overloaded), "a"], now)
        const messages = (function* () {
          yield { role: "user" as const, content: "Hi" }
        })()
        assert.strictEqual(fold(yield* run(llm, { prompt: messages })).text, "a")
        assert.deepStrictEqual(history((yield* model.requests)[1]), [["user", "Hi"]])
      })
    )
  })

  describe("delays", () => {
    /** When each attempt begins, and each failure is told, in milliseconds. */
    const times = Effect.fnUntraced(function* (turns: ReadonlyArray<ScriptedLlm.Turn>, options?: Retry.Options) {
      const begun: Array<number> = []
      const told: Array<number> = []
      const model = yield* ScriptedLlm.make((_, index) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          begun.push(at)
          return turns[index]!
        })
      )
      const fiber = yield* Retry.attach(model, options)
        .events({ prompt: "Hi" })
        .pipe(
          Stream.runForEach((event) =>
            Effect.map(Clock.currentTimeMillis, (at) => void (event._tag === "AttemptFailed" && told.push(at)))
          ),
          Effect.exit,
          Effect.forkChild
        )
      for (let i = 0; i < 2000; i++) yield* TestClock.adjust("50 millis")
      const exit = yield* Fiber.join(fiber)
      return { begun, told, exit }
    })
    const middle = { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 }

    it.effect("exponential from 500 ms; failures are told before", () =>
      Effect.gen(function* () {
        const { begun, told } = yield* times([fail(overloaded), fail(overloaded), "a"])
        assert.deepStrictEqual(begun, [0, 500, 1500])
        assert.deepStrictEqual(told, [0, 500])
      }).pipe(Effect.provideService(Random.Random, middle))
    )

    it.effect("with jitter, of a fifth", () =>
      Effect.gen(function* () {
        const low = yield* times([fail(overloaded), fail(overloaded), "a"]).pipe(
          Effect.provideService(Random.Random, { ...middle, nextDoubleUnsafe: () => 0 })
        )
        assert.deepStrictEqual(low.begun, [0, 400, 1200])
      })
    )

    it.effect("the same for the same seed", () =>
      Effect.gen(function* () {
        const attempt = times([fail(overloaded), fail(overloaded), "a"]).pipe(Random.withSeed("rill"))
        const [first, second] = [yield* attempt, yield* attempt]
        const start = second.begun[0]!
        assert.deepStrictEqual(
          second.begun.map((at) => Math.round(at - start)),
          first.begun.map(Math.round)
        )
      })
    )

    it.effect("no delay of a schedule is longer than maxDelay", () =>
      Effect.gen(function* () {
        const schedule = Schedule.exponential("20 seconds").pipe(Schedule.upTo({ times: 2 }))
        assert.deepStrictEqual(
          (yield* times([fail(overloaded), fail(overloaded), "a"], { schedule })).begun,
          [0, 20_000, 50_000]
        )
      })
    )

    it.effect("the provider's wins, longer or shorter", () =>
      Effect.gen(function* () {
        const limited = (retryAfter: number) => fail(new RateLimited({ message }), { retryAfter })
        assert.deepStrictEqual((yield* times([limited(30_000), limited(50), "a"])).begun, [0, 30_000, 30_050])
      })
    )

    it.effect("the provider's is no delay: the schedule's", () =>
      Effect.gen(function* () {
        const limited = fail(new RateLimited({ message }), { retryAfter: 0 })
        assert.deepStrictEqual((yield* times([limited, "a"])).begun, [0, 500])
      }).pipe(Effect.provideService(Random.Random, middle))
    )

    it.effect("one beyond maxDelay fails at once with the provider's error", () =>
      Effect.gen(function* () {
        const limited = fail(new RateLimited({ message }), { retryAfter: "31 seconds" })
        const { begun, exit, told } = yield* times([limited, "a"])
        assert.deepStrictEqual([begun, told], [[0], []])
        assert.strictEqual(errorOf({ events: [], exit }).reason._tag, "RateLimited")
        const patient = yield* times([limited, "a"], { maxDelay: "1 minute" })
        assert.deepStrictEqual(
          patient.begun.map((at) => at - patient.begun[0]!),
          [0, 31_000]
        )
      })
    )

    it.effect("a consumer that takes its time has waited", () =>
      Effect.gen(function* () {
        const begun: Array<number> = []
        const model = yield* ScriptedLlm.make((_, index) =>
          Effect.map(Clock.currentTimeMillis, (at) => {
            begun.push(at)
            return index === 0 ? fail(overloaded) : "a"
          })
        )
        const llm = Retry.attach(model, { schedule: Schedule.spaced("2 seconds") })
        const fiber = yield* llm.events({ prompt: "Hi" }).pipe(
          Stream.runForEach(() => Effect.sleep("1500 millis")),
          Effect.forkChild
        )
        for (let i = 0; i < 200; i++) yield* TestClock.adjust("50 millis")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(begun, [0, 2000])
      })
    )
  })

  describe("after output, `fail`", () => {
    for (const [name, step, emitted] of [
      ["text", text("Hel"), 3],
      ["reasoning", reasoning("Hm"), 0],
      ["a refusal", refusal("No"), 0],
      ["a source", source({ url: "http://a" }), 0],
      ["a tool call", toolCall("search"), 0]
    ] as const) {
      it.effect(name, () =>
        Effect.gen(function* () {
          const { llm, model } = yield* make([fail(overloaded), [step, fail(disconnected)], "Hello"], now)
          const error = errorOf(yield* run(llm))
          assert.strictEqual(error.reason, disconnected)
          assert.strictEqual(error.phase, "mid-output")
          assert.strictEqual(error.emitted, emitted)
          assert.strictEqual(yield* model.remaining, 1)
        })
      )
    }
  })

  describe("after output, `restart`", () => {
    const options: Retry.Options = { ...now, afterOutput: "restart" }
    const turns = [
      [used(10, 2), reasoning("Hm"), text("Hel"), toolCall("search", { n: 1 }, { id: "call_0" }), fail(disconnected)],
      [used(10, 3), text("Good "), text("day")]
    ]

    it.effect("what was delivered is void", () =>
      Effect.gen(function* () {
        const { llm } = yield* make(turns, options)
        const told = yield* run(llm)
        assert.deepStrictEqual(inShort(told.events).slice(-5), [
          "Restarted Disconnected",
          "Started",
          "TextDelta Good ",
          "TextDelta day",
          "Finished"
        ])
        const { reasoning, text, toolCalls, usage } = fold(told)
        assert.deepStrictEqual([text, reasoning, toolCalls], ["Good day", "", []])
        assert.deepStrictEqual(usage, { source: "exact", inputTokens: 20, outputTokens: 5 })
      })
    )

    it.effect("a failure before the next output tells of an attempt, and the last error of nothing delivered", () =>
      Effect.gen(function* () {
        const { llm } = yield* make([turns[0]!, fail(overloaded), fail(new Unreachable({ message }))], options)
        const told = yield* run(llm)
        assert.deepStrictEqual(inShort(told.events).slice(-2), ["Restarted Disconnected", "AttemptFailed 2 Overloaded"])
        const { emitted, phase, usage } = errorOf(told)
        assert.deepStrictEqual([emitted, phase, usage?.inputTokens, usage?.source], [0, "request", 10, "exact"])
      })
    )
  })

  describe("after output, `continue`", () => {
    const options: Retry.Options = { ...now, afterOutput: "continue" }

    it.effect("asks to go on, and cuts what is repeated", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make(
          [
            [used(10, 2), text("The quick", " brown"), fail(disconnected)],
            [used(13, 2), reasoning("Go on"), text("quick br", "own"), text(" fox"), fail(disconnected)],
            [used(15, 1), text(" jumps")]
          ],
          options
        )
        const told = yield* run(llm, { prompt: "Tell", system: "Short.", model: "big" })
        assert.deepStrictEqual(inShort(told.events), [
          "Started",
          "TextDelta The quick",
          "TextDelta  brown",
          "AttemptFailed 1 Disconnected",
          "Started",
          "ReasoningDelta Go on",
          "TextDelta  fox",
          "AttemptFailed 2 Disconnected",
          "Started",
          "TextDelta  jumps",
          "Finished"
        ])
        const requests = yield* model.requests
        assert.deepStrictEqual(history(requests[1]), [
          ["user", "Tell"],
          ["assistant", "The quick brown"],
          ["user", plea]
        ])
        assert.deepStrictEqual(history(requests[2])[1], ["assistant", "The quick brown fox"])
        assert.deepInclude(requests[2], { system: "Short.", model: "big" })
        assert.strictEqual(fold(told).text, "The quick brown fox jumps")
        assert.deepStrictEqual(fold(told).usage, { source: "exact", inputTokens: 38, outputTokens: 5 })
      })
    )

    it.effect("sends the text as the beginning of the answer where the provider takes one", () =>
      Effect.gen(function* () {
        const turns = [
          [text("Once upon \n"), fail(disconnected)],
          [text(" \n"), text("a time")]
        ]
        const model = yield* ScriptedLlm.make(turns)
        const llm = Retry.attach({ ...model, prefill: (request) => ({ ...request, seed: 7 }) }, options)
        const told = yield* run(llm)
        assert.strictEqual(fold(told).text, "Once upon \na time")
        const requests = yield* model.requests
        assert.deepStrictEqual(history(requests[1]), [
          ["user", "Hi"],
          ["assistant", "Once upon"]
        ])
        assert.strictEqual(requests[1]?.seed, 7)

        const other = yield* ScriptedLlm.make(turns)
        const own = { ...options, prefill: () => undefined }
        yield* run(Retry.attach({ ...other, prefill: (request) => request }, own))
        assert.deepStrictEqual(history((yield* other.requests)[1]).at(-1), ["user", plea])
      })
    )

    it.effect("white space is nothing to go on from", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([[text("\n\n"), fail(disconnected)], "\n\nOnce"], options)
        assert.strictEqual(fold(yield* run(llm)).text, "\n\nOnce")
        assert.deepStrictEqual(history((yield* model.requests)[1]), [["user", "Hi"]])
      })
    )

    it.effect("half a character is not sent, and not told twice", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([[text("I \ud83d"), fail(disconnected)], "😀 you"], options)
        assert.strictEqual(fold(yield* run(llm)).text, "I 😀 you")
        assert.deepStrictEqual(history((yield* model.requests)[1])[1], ["assistant", "I "])
      })
    )

    it.effect("goes on from what the prompt itself begins", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([[text("Once"), fail(disconnected)], " upon"], options)
        const prompt = [
          { role: "user" as const, content: "Hi" },
          { role: "assistant" as const, content: "Story: " }
        ]
        assert.strictEqual(fold(yield* run(llm, { prompt })).text, "Once upon")
        assert.deepStrictEqual(history((yield* model.requests)[1]), [
          ["user", "Hi"],
          ["assistant", "Story: Once"],
          ["user", plea]
        ])
      })
    )

    it.effect("tool calls and reasoning after the text are void", () =>
      Effect.gen(function* () {
        const search = (n: number) => toolCall("search", { n }, { id: "call_0", pieces: 3 })
        const { llm } = yield* make(
          [
            [reasoning("First"), text("I look."), reasoning("half a th"), search(1), fail(disconnected)],
            [reasoning("Second"), search(2)]
          ],
          options
        )
        const told = yield* run(llm)
        const { reasoning: thoughts, text: answer, toMessage, toolCalls } = fold(told)
        assert.deepStrictEqual([answer, thoughts], ["I look.", "FirstSecond"])
        assert.deepStrictEqual(toolCalls, [{ id: "call_0", name: "search", input: { n: 2 } }])
        assert.deepStrictEqual(
          toMessage.content.map(({ type }) => type),
          ["reasoning", "text", "reasoning", "tool-call"]
        )
      })
    )

    it.effect("a refusal that was cut off is void", () =>
      Effect.gen(function* () {
        const { llm } = yield* make([[text("Well."), refusal("I ca"), fail(disconnected)], " Yes."], options)
        const response = yield* Llm.run("Hi").pipe(Effect.provideService(Llm.Llm, llm))
        assert.deepStrictEqual([response.text, response.refusal], ["Well. Yes.", ""])
      })
    )

    for (const [name, step] of [
      ["reasoning", reasoning("Hm")],
      ["a tool call", toolCall("search")],
      ["a refusal", refusal("No")]
    ] as const) {
      it.effect(`${name} alone: there is nothing to go on from`, () =>
        Effect.gen(function* () {
          const { llm, model } = yield* make([[step, fail(disconnected)], "Hello"], options)
          const told = yield* run(llm)
          assert.include(inShort(told.events), "Restarted Disconnected")
          assert.deepStrictEqual([fold(told).text, fold(told).reasoning], ["Hello", ""])
          assert.deepStrictEqual(history((yield* model.requests)[1]), [["user", "Hi"]])
          const text = yield* (yield* make([[step, fail(disconnected)], "Hello"], options)).llm
            .events({ prompt: "Hi" })
            .pipe(Llm.text, Stream.runCollect)
          assert.deepStrictEqual(text, ["Hello"])
        })
      )
    }

    it.effect("JSON has no middle to go on from", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([[text("{"), fail(disconnected)], "{}"], options)
        assert.strictEqual(
          errorOf(yield* run(llm, { prompt: "Hi", responseFormat: { type: "json" } })).reason,
          disconnected
        )
        assert.strictEqual(yield* model.remaining, 1)
      })
    )

    it.effect("the last error tells what is held", () =>
      Effect.gen(function* () {
        const turns = [
          [used(10, 2), text("The quick brown fox"), fail(disconnected)],
          [used(10, 1), text("brown"), fail(disconnected)],
          fail(new Unreachable({ message }))
        ]
        const { llm } = yield* make(turns, options)
        const told = yield* run(llm)
        const { emitted, phase, usage } = errorOf(told)
        assert.strictEqual(fold(told).text, "The quick brown fox")
        assert.deepStrictEqual([emitted, phase], [19, "mid-output"])
        assert.deepStrictEqual(usage, { source: "exact", inputTokens: 20, outputTokens: 3 })
      })
    )

    it.effect("text that might have been repeated is told at the end", () =>
      Effect.gen(function* () {
        const first = [text("The quick brown fox"), fail(disconnected)]
        assert.strictEqual(fold(yield* run((yield* make([first, "bro"], options)).llm)).text, "The quick brown foxbro")
        const silent: LlmEvent = { _tag: "TextDelta", text: "bro" }
        const endless = yield* ScriptedLlm.make([first])
        let asked = 0
        const llm = Retry.attach(
          { events: (request) => (asked++ === 0 ? endless.events(request) : Stream.succeed(silent)) },
          options
        )
        assert.strictEqual(fold(yield* run(llm)).text, "The quick brown foxbro")
      })
    )

    it.effect("an answer that was cut by its length is a success", () =>
      Effect.gen(function* () {
        const { llm } = yield* make([[text("Once"), ScriptedLlm.finish("length")], "no"], options)
        const told = yield* run(llm)
        assert.deepStrictEqual([fold(told).text, fold(told).finishReason], ["Once", "length"])
      })
    )
  })

  describe("a whole answer", () => {
    it.effect("is not tried again, whatever comes after it", () =>
      Effect.gen(function* () {
        for (const afterOutput of ["continue", "restart"] as const) {
          const late = Scripted.llmError(disconnected)
          const llm = Retry.attach(
            Scripted.service(Scripted.arrays([[Scripted.token("a"), Scripted.finished]], Effect.fail(late))),
            { ...now, afterOutput }
          )
          const told = yield* run(llm)
          assert.strictEqual(errorOf(told).reason, disconnected)
          assert.deepStrictEqual(inShort(told.events), ["TextDelta a", "Finished"])
        }
      })
    )
  })

  describe("usage", () => {
    it.effect("what is not known makes the sum an estimate", () =>
      Effect.gen(function* () {
        const unknown = new LlmError({ reason: disconnected, provider: "p", phase: "before-output", emitted: 0 })
        const { llm } = yield* make([fail(unknown), [used(10, 2), "a"]], now)
        assert.deepStrictEqual(fold(yield* run(llm)).usage, { source: "estimated", inputTokens: 10, outputTokens: 2 })
      })
    )

    it.effect("a refused request used nothing: the provider's own numbers stay as they are", () =>
      Effect.gen(function* () {
        const raw = { total: 12 }
        const { llm } = yield* make(
          [fail(overloaded), [usage({ inputTokens: 10, outputTokens: 2, raw }), text("a")]],
          now
        )
        assert.deepStrictEqual(fold(yield* run(llm)).usage, { source: "exact", inputTokens: 10, outputTokens: 2, raw })
      })
    )

    it.effect("of what was interrupted: callbacks count the failed attempts in", () =>
      Effect.gen(function* () {
        const { llm } = yield* make(
          [
            [used(10, 2), text("Once"), fail(disconnected)],
            [text("eight ch"), pause("1 hour")]
          ],
          { ...now, afterOutput: "restart" }
        )
        const ends: Array<Callbacks.End> = []
        const told = Callbacks.attach(llm, { onEnd: (end) => Effect.sync(() => void ends.push(end)) })
        const fiber = yield* Effect.forkChild(collect(told, { prompt: "four" }))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(ends[0]?.usage, { source: "estimated", inputTokens: 11, outputTokens: 4 })
      })
    )
  })

  describe("stopping", () => {
    /** Counts the connections that are open. */
    const counted = (llm: Llm.Llm["Service"]) => {
      const count = { open: 0, most: 0 }
      const connection = Effect.acquireRelease(
        Effect.sync(() => {
          count.open++
          count.most = Math.max(count.most, count.open)
        }),
        () => Effect.sync(() => count.open--)
      )
      const service: Llm.Llm["Service"] = {
        events: (request) => Stream.unwrap(Effect.as(connection, llm.events(request)))
      }
      return { count, service }
    }
    const turns = [
      [pause("1 second"), fail(overloaded)],
      [text("Once"), pause("1 second"), text(" upon"), fail(disconnected)],
      [text(" a"), pause("1 second"), text(" time"), pause("1 second")]
    ]
    const options: Retry.Options = { schedule: Schedule.spaced("1 second"), afterOutput: "continue" }

    it.effect("at every moment, in a wait as well", () =>
      Effect.gen(function* () {
        for (let millis = 0; millis <= 7000; millis += 250) {
          const { count, service } = counted(yield* ScriptedLlm.make(turns))
          const fiber = yield* Effect.forkChild(collect(Retry.attach(service, options)))
          yield* TestClock.adjust(millis)
          const isWaiting = (millis >= 1000 && millis < 2000) || (millis >= 3000 && millis < 4000)
          assert.strictEqual(count.open, isWaiting || millis >= 6000 ? 0 : 1, `${millis} ms`)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(count.open, 0, `${millis} ms`)
          assert.strictEqual(count.most, 1)
        }
      })
    )

    it.effect("at every event", () =>
      Effect.gen(function* () {
        for (let taken = 0; taken <= 9; taken++) {
          const { count, service } = counted(yield* ScriptedLlm.make(turns))
          const fiber = yield* Retry.attach(service, options)
            .events({ prompt: "Hi" })
            .pipe(Stream.take(taken), Stream.runDrain, Effect.forkChild)
          for (let i = 0; i < 20; i++) yield* TestClock.adjust("1 second")
          yield* Fiber.join(fiber)
          assert.strictEqual(count.open, 0)
        }
      })
    )

    it.effect("the end is the end: the connection does not wait for its reader's scope", () =>
      Effect.gen(function* () {
        const { count, service } = counted(yield* ScriptedLlm.make(["Once"]))
        const stream = Retry.attach(service).events({ prompt: "Hi" })
        const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), yield* Effect.scope)
        yield* pull
        yield* pull
        assert.strictEqual(count.open, 1)
        yield* Pull.catchDone(pull, () => Effect.void)
        assert.strictEqual(count.open, 0)
      }).pipe(Effect.scoped)
    )

    it.effect("no wait is begun for who has gone", () =>
      Effect.gen(function* () {
        const { llm, model } = yield* make([fail(overloaded), "a"])
        const events = yield* llm.events({ prompt: "Hi" }).pipe(Stream.take(1), Stream.runCollect)
        assert.deepStrictEqual(inShort(events), ["AttemptFailed 1 Overloaded"])
        assert.strictEqual(yield* model.remaining, 1)
      })
    )
  })

  describe("views", () => {
    const cut = [text("Once"), fail(disconnected)]
    const provided = (turns: ScriptedLlm.Script, afterOutput: Retry.AfterOutput) =>
      Retry.layer(ScriptedLlm.layer(turns), { ...now, afterOutput })

    it.effect("text fails with what caused a restart, and keeps what was delivered", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const exit = yield* Llm.stream("Hi").pipe(
          Stream.runForEach((text) => Effect.sync(() => void seen.push(text))),
          Effect.exit,
          Effect.provide(provided([cut, "Twice"], "restart"))
        )
        assert.deepStrictEqual(seen, ["Once"])
        assert.strictEqual(errorOf({ events: [], exit }).reason, disconnected)
      })
    )

    it.effect("text goes on", () =>
      Effect.gen(function* () {
        const texts = yield* Llm.stream("Hi").pipe(
          Stream.runCollect,
          Effect.provide(provided([cut, "Once upon"], "continue"))
        )
        assert.deepStrictEqual(texts, ["Once", " upon"])
      })
    )

    it.effect("run takes the whole answer", () =>
      Effect.gen(function* () {
        const response = yield* Llm.run("Hi").pipe(Effect.provide(provided([cut, "Twice"], "restart")))
        assert.strictEqual(response.text, "Twice")
      })
    )

    it.effect("a refusal after a restart is told with what is held of that answer", () =>
      Effect.gen(function* () {
        const error = yield* Llm.run("Hi").pipe(
          Effect.flip,
          Effect.provide(
            provided(
              [
                [text("Once upon"), fail(disconnected)],
                [text("No"), refusal("I can't")]
              ],
              "restart"
            )
          )
        )
        assert.deepStrictEqual([error.reason._tag, error.emitted], ["ContentFiltered", 2])
      })
    )

    it.effect("an object fails with what caused a restart, unless nothing of it had come", () =>
      Effect.gen(function* () {
        const object = Llm.object(Schema.Struct({ a: Schema.Finite }))
        const error = yield* object("Hi").pipe(
          Effect.flip,
          Effect.provide(provided([[text('{"a":'), fail(disconnected)], '{"a":1}'], "restart"))
        )
        assert.strictEqual(error.reason, disconnected)
        for (const afterOutput of ["restart", "continue"] as const) {
          const value = yield* object("Hi").pipe(
            Effect.provide(provided([[reasoning("Hm"), fail(disconnected)], '{"a":1}'], afterOutput))
          )
          assert.deepStrictEqual(value, { a: 1 })
        }
      })
    )

    it.effect("an agent goes on, and fails where it has told what is void", () =>
      Effect.gen(function* () {
        const agent = Agent.make({ toolkit: Toolkit.empty })
        const answer = yield* agent.run("Hi").pipe(Effect.provide(provided([cut, "Once upon"], "continue")))
        assert.strictEqual(answer.content, "Once upon")
        const error = yield* agent.run("Hi").pipe(Effect.flip, Effect.provide(provided([cut, "Twice"], "restart")))
        assert.strictEqual(error.reason._tag, "ModelFailed")
        const untold = yield* agent
          .run("Hi")
          .pipe(Effect.provide(provided([[toolCall("search"), fail(disconnected)], "Twice"], "restart")))
        assert.strictEqual(untold.content, "Twice")
      })
    )

    it.effect("an agent's turn is not cut in a tool call that is void", () =>
      Effect.gen(function* () {
        const turns = [
          [text("Once"), toolCall("search"), fail(disconnected)],
          [text(" upon"), ScriptedLlm.finish("length")]
        ]
        const answer = yield* Agent.make({ toolkit: Toolkit.empty })
          .run("Hi")
          .pipe(Effect.provide(provided(turns, "continue")))
        assert.strictEqual(answer.content, "Once upon")
      })
    )

    it.effect("an agent that stops a turn counts the failed attempts in", () =>
      Effect.gen(function* () {
        const agent = Agent.make({ toolkit: Toolkit.empty, strategy: "react" })
        const stopped = [text("Final Answer: ok\nObservation: 1\n"), pause("1 hour")]
        const failed = [used(10, 2), fail(new Truncated({ message }))]
        const once = yield* agent.run("Hi").pipe(Effect.provide(provided([stopped], "fail")))
        const twice = yield* agent.run("Hi").pipe(Effect.provide(provided([failed, stopped], "fail")))
        assert.strictEqual(once.usage.source, "estimated")
        assert.strictEqual(twice.usage.inputTokens! - once.usage.inputTokens!, 10)
        assert.strictEqual(twice.usage.outputTokens! - once.usage.outputTokens!, 2)
      })
    )

    it.effect("callbacks are told of each try once", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const onRetry = ({ _tag }: LlmEvent) => Effect.sync(() => void log.push(_tag))
        const layer = provided([fail(overloaded), cut, "Twice"], "restart").pipe(Callbacks.layer({ onRetry }))
        yield* Llm.run("Hi").pipe(Effect.provide(layer))
        assert.deepStrictEqual(log, ["AttemptFailed", "Restarted"])
      })
    )
  })

  it.effect("layer and attach, either way round", () =>
    Effect.gen(function* () {
      const model = () => ScriptedLlm.layer([fail(overloaded), "a"])
      for (const layer of [
        Retry.layer(model(), now),
        model().pipe(Retry.layer(now)),
        Layer.effect(Llm.Llm, Effect.map(Llm.Llm, Retry.attach(now))).pipe(Layer.provide(model())),
        Layer.effect(
          Llm.Llm,
          Effect.map(Llm.Llm, (llm) => Retry.attach(llm, now))
        ).pipe(Layer.provide(model()))
      ]) {
        assert.strictEqual((yield* Llm.run("Hi").pipe(Effect.provide(layer))).text, "a")
      }
      const fiber = yield* Llm.run("Hi").pipe(Effect.provide(model().pipe(Retry.layer())), Effect.forkChild)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "a")
      const { name } = Retry.attach({ ...(yield* ScriptedLlm.make([], { model: "m" })) })
      assert.strictEqual(name, "scripted/m")
    })
  )
})
