import { assert, describe, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as HttpClient from "effect/http/HttpClient"
import * as Llm from "effect-rill/Llm"
import * as LlmError from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Callbacks from "effect-rill/policy/Callbacks"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Retry from "effect-rill/policy/Retry"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"

const { fail, pause, reasoning, text, usage } = ScriptedLlm

const message = "no"
const reported = { message }
const disconnected = new LlmError.Disconnected({ message })
const overloaded = new LlmError.Overloaded({ message })

const model = (name: string, ...turns: ReadonlyArray<ScriptedLlm.Turn>) =>
  ScriptedLlm.make(turns, { provider: name, model: "m" })

const collect = (llm: Llm.Llm["Service"], request: LlmRequest = { prompt: "Hi" }) =>
  Effect.gen(function* () {
    const events: Array<LlmEvent> = []
    const exit = yield* Effect.exit(
      Stream.runForEach(llm.events(request), (event) => Effect.sync(() => void events.push(event)))
    )
    return { events, exit, response: LlmResponse.fromEvents(events) }
  })

const errorOf = ({ exit }: { readonly exit: Exit.Exit<void, LlmError.LlmError> }): LlmError.LlmError => {
  const error = Exit.findErrorOption(exit)
  assert(error._tag === "Some")
  return error.value
}

const inShort = (events: ReadonlyArray<LlmEvent>): ReadonlyArray<string> =>
  events.map((event) => {
    switch (event._tag) {
      case "TextDelta":
        return `TextDelta ${event.text}`
      case "AttemptFailed":
        return `AttemptFailed ${event.attempt}`
      case "Switched":
        return `Switched ${event.from} ${event.to} ${event.error.reason._tag}`
      default:
        return event._tag
    }
  })

/** What each reason is for another model: one that could do better, or none. */
const reasons: ReadonlyArray<readonly [LlmError.Reason, helps: boolean]> = [
  [new LlmError.Unreachable({ message }), true],
  [new LlmError.Authentication(reported), true],
  [new LlmError.PermissionDenied(reported), true],
  [new LlmError.NotFound(reported), true],
  [new LlmError.InvalidRequest(reported), false],
  [new LlmError.ContextTooLong(reported), true],
  [new LlmError.QuotaExhausted(reported), true],
  [new LlmError.RateLimited(reported), true],
  [new LlmError.Overloaded(reported), true],
  [new LlmError.ProviderFailed(reported), true],
  [new LlmError.ContentFiltered(reported), false],
  [new LlmError.DeadlineExceeded({ message, which: "headers" }), true],
  [new LlmError.DeadlineExceeded({ message, which: "first-token" }), true],
  [new LlmError.DeadlineExceeded({ message, which: "idle" }), true],
  [new LlmError.DeadlineExceeded({ message, which: "total" }), false],
  [new LlmError.Disconnected({ message }), true],
  [new LlmError.Truncated({ message }), true],
  [new LlmError.Malformed({ message }), true],
  [new LlmError.InvalidOutput({ message, path: [] }), false],
  [new LlmError.Unsupported({ message, feature: "f" }), true],
  [new LlmError.BudgetExceeded({ message }), true],
  [new LlmError.CircuitOpen({ message }), true]
]

describe("Fallback", () => {
  describe("before output", () => {
    for (const [reason, helps] of reasons) {
      const which = reason._tag === "DeadlineExceeded" ? ` ${reason.which}` : ""
      it.effect(`${reason._tag}${which}: ${helps ? "the next" : "final"}`, () =>
        Effect.gen(function* () {
          const llm = Fallback.make([yield* model("one", fail(reason)), yield* model("two", "Hello")])
          const told = yield* collect(llm)
          assert.strictEqual(Exit.isSuccess(told.exit), helps)
          if (!helps) assert.deepStrictEqual(told.events, [])
          else {
            assert.deepStrictEqual(inShort(told.events), [
              `Switched one/m two/m ${reason._tag}`,
              "Started",
              "TextDelta Hello",
              "Finished"
            ])
          }
        })
      )
    }

    it("`mayHelp` says so", () => {
      for (const [reason, helps] of reasons) {
        const error = new LlmError.LlmError({ reason, provider: "one", phase: "headers", emitted: 0 })
        assert.strictEqual(Fallback.mayHelp(error), helps, reason._tag)
      }
    })

    it("each reason is decided", () => {
      const tags = new Set(reasons.map(([{ _tag }]) => _tag))
      assert.strictEqual(tags.size, LlmError.Reason.members.length)
    })

    it.effect("`while` decides instead", () =>
      Effect.gen(function* () {
        const filtered = fail(new LlmError.ContentFiltered(reported))
        const wide = (error: LlmError.LlmError) => Fallback.mayHelp(error) || error.reason._tag === "ContentFiltered"
        const llm = Fallback.make([yield* model("one", filtered), yield* model("two", "a")], { while: wide })
        assert.strictEqual((yield* collect(llm)).response.text, "a")
        const narrow = { while: () => false }
        const none = Fallback.make([yield* model("one", fail(overloaded)), yield* model("two", "a")], narrow)
        assert.strictEqual(errorOf(yield* collect(none)).reason, overloaded)
      })
    )

    it.effect("the last error, which names the others", () =>
      Effect.gen(function* () {
        const llm = Fallback.make([
          yield* model("one", fail(new LlmError.QuotaExhausted({ message: "secret" }))),
          yield* model("two", fail(overloaded)),
          yield* model("three", fail(disconnected))
        ])
        const error = errorOf(yield* collect(llm))
        assert.strictEqual(error.reason, disconnected)
        assert.deepStrictEqual(error.failedBefore, ["one/m: QuotaExhausted", "two/m: Overloaded"])
        assert.strictEqual(
          error.message,
          "three/m: Disconnected: no Failed before: one/m: QuotaExhausted, two/m: Overloaded."
        )
      })
    )

    it.effect("one alone is itself", () =>
      Effect.gen(function* () {
        const error = errorOf(yield* collect(Fallback.make([yield* model("one", fail(overloaded))])))
        assert.strictEqual(error.reason, overloaded)
        assert.strictEqual(error.failedBefore, undefined)
      })
    )

    it.effect("begins with the first each time", () =>
      Effect.gen(function* () {
        const llm = Fallback.make([yield* model("one", fail(overloaded), "a"), yield* model("two", "b")])
        assert.deepStrictEqual([(yield* collect(llm)).response.text, (yield* collect(llm)).response.text], ["b", "a"])
      })
    )

    it.effect("a model without a name is called by its place, and by what its error tells", () =>
      Effect.gen(function* () {
        const { events } = yield* model("one", fail(overloaded))
        const { events: second } = yield* model("two", "a")
        const told = yield* collect(Fallback.make([{ events }, { events: second }]))
        assert.strictEqual(inShort(told.events)[0], "Switched one/m model 2 Overloaded")
        // The errors of a policy may know no model.
        const open = new LlmError.LlmError({
          reason: new LlmError.CircuitOpen({ message }),
          provider: "circuit",
          phase: "request",
          emitted: 0
        })
        const named = yield* collect(Fallback.make([yield* model("one", fail(open)), yield* model("two", "a")]))
        assert.strictEqual(inShort(named.events)[0], "Switched one/m two/m CircuitOpen")
      })
    )
  })

  describe("what is asked", () => {
    const asked = Effect.fnUntraced(function* (options?: Fallback.Options) {
      const two = yield* model("two", fail(overloaded))
      const three = yield* model("three", "a")
      const llm = Fallback.make([yield* model("one", fail(overloaded)), two, three], options)
      const request = { prompt: "Hi", model: "big", temperature: 1, extra: { tier: "flex" } }
      const told = yield* collect(llm, request)
      const [second] = yield* two.requests
      const [third] = yield* three.requests
      return { told, second: second!, third: third! }
    })

    it.effect("`model` and `extra` belong to the first", () =>
      Effect.gen(function* () {
        const { second, third, told } = yield* asked()
        for (const request of [second, third]) {
          assert.deepStrictEqual([request.model, request.extra, request.temperature], [undefined, undefined, 1])
        }
        assert.strictEqual(inShort(told.events)[0], "Switched one/big two/m Overloaded")
      })
    )

    it.effect("`request` says otherwise", () =>
      Effect.gen(function* () {
        const { second, third } = yield* asked({ request: (request, index) => ({ ...request, seed: index }) })
        assert.deepStrictEqual([second.model, second.seed, third.seed], ["big", 1, 2])
        assert.deepStrictEqual(second.extra, { tier: "flex" })
      })
    )
  })

  describe("after output", () => {
    const used = (inputTokens: number, outputTokens: number) => usage({ inputTokens, outputTokens })
    const cut = [used(10, 2), reasoning("Hm"), text("The quick"), fail(disconnected)]

    it.effect("fails by default", () =>
      Effect.gen(function* () {
        const two = yield* model("two", "a")
        const told = yield* collect(Fallback.make([yield* model("one", cut), two]))
        assert.strictEqual(errorOf(told).emitted, 9)
        assert.strictEqual(yield* two.remaining, 1)
      })
    )

    it.effect("`restart`: `Restarted` before `Switched`", () =>
      Effect.gen(function* () {
        const two = yield* model("two", [used(8, 1), text("Hello")])
        const log: Array<string> = []
        const write = ({ _tag }: LlmEvent) => Effect.sync(() => void log.push(_tag))
        const llm = Fallback.make([yield* model("one", cut), two], { afterOutput: "restart" })
        const told = yield* collect(Callbacks.attach(llm, { onRetry: write, onSwitch: write }))
        assert.deepStrictEqual(inShort(told.events).slice(2), [
          "TextDelta The quick",
          "Restarted",
          "Switched one/m two/m Disconnected",
          "Started",
          "TextDelta Hello",
          "Finished"
        ])
        assert.deepStrictEqual(log, ["Restarted", "Switched"])
        const { provider, reasoning: thoughts, text: answer, usage } = told.response
        assert.deepStrictEqual([answer, thoughts, provider], ["Hello", "", "two"])
        assert.deepStrictEqual(usage, { source: "exact", inputTokens: 18, outputTokens: 3 })
      })
    )

    it.effect("one failure is counted once, though two events tell of it", () =>
      Effect.gen(function* () {
        const two = yield* model("two", [text("four"), pause("1 hour")])
        const llm = Fallback.make([yield* model("one", cut), two], { afterOutput: "restart" })
        const ends: Array<Callbacks.End> = []
        const onEnd = (end: Callbacks.End) => Effect.sync(() => void ends.push(end))
        const fiber = yield* Effect.forkChild(collect(Callbacks.attach(llm, { onEnd }), { prompt: "four" }))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(ends[0]?.usage, { source: "estimated", inputTokens: 11, outputTokens: 3 })
      })
    )

    it.effect("`continue`: the other goes on, in the way that it takes", () =>
      Effect.gen(function* () {
        const two = yield* model("two", [used(12, 1), text(" brown")])
        const prefilled: Llm.Llm["Service"] = { ...two, prefill: (request) => request }
        const llm = Fallback.make([yield* model("one", cut), prefilled], { afterOutput: "continue" })
        const told = yield* collect(llm)
        assert.deepStrictEqual(inShort(told.events).slice(3), [
          "Switched one/m two/m Disconnected",
          "Started",
          "TextDelta  brown",
          "Finished"
        ])
        assert.deepStrictEqual([told.response.text, told.response.reasoning], ["The quick brown", "Hm"])
        const messages = Prompt.make((yield* two.requests)[0]!.prompt).content
        assert.deepStrictEqual(
          messages.map(({ role }) => role),
          ["user", "assistant"]
        )
      })
    )
  })

  describe("nested", () => {
    const now: Retry.Options = { schedule: Schedule.recurs(1) }

    it.effect("retries within each model", () =>
      Effect.gen(function* () {
        const llm = Fallback.make([
          Retry.attach(yield* model("one", fail(overloaded), fail(overloaded)), now),
          Retry.attach(yield* model("two", fail(overloaded), "Hello"), now)
        ])
        assert.deepStrictEqual(inShort((yield* collect(llm)).events), [
          "AttemptFailed 1",
          "Switched one/m two/m Overloaded",
          "AttemptFailed 1",
          "Started",
          "TextDelta Hello",
          "Finished"
        ])
      })
    )

    it.effect("retries over all models, and tells which had failed", () =>
      Effect.gen(function* () {
        const fails = [fail(overloaded), fail(overloaded)]
        const inner = Fallback.make([yield* model("one", ...fails), yield* model("two", ...fails)])
        const told = yield* collect(Retry.attach(inner, now))
        assert.deepStrictEqual(inShort(told.events), [
          "Switched one/m two/m Overloaded",
          "AttemptFailed 1",
          "Switched one/m two/m Overloaded"
        ])
        assert.deepStrictEqual(errorOf(told).failedBefore, ["one/m: Overloaded"])
        const again = Fallback.make([
          Fallback.make([yield* model("one", fail(overloaded)), yield* model("two", fail(disconnected))]),
          yield* model("three", fail(overloaded))
        ])
        const last = Fallback.make([
          yield* model("one", fail(overloaded)),
          Fallback.make([yield* model("two", fail(disconnected)), yield* model("three", fail(overloaded))])
        ])
        assert.deepStrictEqual(errorOf(yield* collect(last)).failedBefore, ["one/m: Overloaded", "two/m: Disconnected"])
        assert.deepStrictEqual(errorOf(yield* collect(again)).failedBefore, [
          "one/m: Overloaded",
          "two/m: Disconnected"
        ])
      })
    )

    it.effect("a restart below is the end of the part that went on, not of what it went on from", () =>
      Effect.gen(function* () {
        const options = { ...now, afterOutput: "restart" } as const
        const two = yield* model("two", [text(" red"), fail(disconnected)], " brown fox")
        const one = yield* model("one", [text("The quick"), fail(disconnected)])
        const llm = Fallback.make([one, Retry.attach(two, options)], { afterOutput: "continue" })
        const told = yield* collect(llm)
        assert.strictEqual(told.response.text, "The quick brown fox")
        assert.deepStrictEqual(inShort(told.events).slice(-5), [
          "Restarted",
          "TextDelta The quick",
          "Started",
          "TextDelta  brown fox",
          "Finished"
        ])
      })
    )

    it.effect("a restart below of what had not been delivered is a failed attempt", () =>
      Effect.gen(function* () {
        const options = { ...now, afterOutput: "restart" } as const
        const two = yield* model("two", [reasoning("Hm"), fail(disconnected)], " brown fox")
        const one = yield* model("one", [text("The quick"), fail(disconnected)])
        const llm = Fallback.make([one, Retry.attach(two, options)], { afterOutput: "continue" })
        const texts = yield* llm.events({ prompt: "Hi" }).pipe(Llm.text, Stream.runCollect)
        assert.deepStrictEqual(texts, ["The quick", " brown fox"])
      })
    )
  })

  describe("layer", () => {
    const layerOf = (name: string, ...turns: ReadonlyArray<ScriptedLlm.Turn>) =>
      Layer.effect(Llm.Llm, model(name, ...turns))

    it.effect("of layers", () =>
      Effect.gen(function* () {
        const layer = Fallback.layer([layerOf("one", fail(overloaded)), layerOf("two", "a")])
        assert.strictEqual((yield* Llm.run("Hi").pipe(Effect.provide(layer))).text, "a")
        const options = { while: () => false }
        const strict = Fallback.layer([layerOf("one", fail(overloaded)), layerOf("two", "a")], options)
        assert.strictEqual((yield* Llm.run("Hi").pipe(Effect.flip, Effect.provide(strict))).reason, overloaded)
      })
    )

    it.effect("needs what they need, and fails as they do; what they hold is let go with it", () =>
      Effect.gen(function* () {
        let held = 0
        const holding = Layer.effect(
          Llm.Llm,
          Effect.acquireRelease(
            Effect.tap(model("one", "a"), () => Effect.sync(() => held++)),
            () => Effect.sync(() => held--)
          )
        )
        const layer: Layer.Layer<Llm.Llm, Config.ConfigError, HttpClient.HttpClient> = Fallback.layer([
          holding,
          OpenAi.layerConfig({ model: "m" }),
          Ollama.layer({ model: "m" })
        ])
        const { client } = yield* FaultyWire.make([])
        const provided = layer.pipe(
          Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
        )
        const exit = yield* Llm.run("Hi").pipe(Effect.provide(provided), Effect.exit)
        assert(Exit.isFailure(exit))
        assert.include(String(exit.cause), "OPENAI_API_KEY")
        assert.strictEqual(held, 0)
        const one = Fallback.layer([holding])
        assert.strictEqual(
          yield* Llm.run("Hi").pipe(
            Effect.map(() => held),
            Effect.provide(one)
          ),
          1
        )
        assert.strictEqual(held, 0)
      })
    )
  })

  it.effect("stopping: the connection that is open is closed, and there is never another", () =>
    Effect.gen(function* () {
      const count = { open: 0, most: 0 }
      const counted = (llm: Llm.Llm["Service"]): Llm.Llm["Service"] => ({
        events: (request) =>
          Stream.unwrap(
            Effect.as(
              Effect.acquireRelease(
                Effect.sync(() => (count.most = Math.max(count.most, ++count.open))),
                () => Effect.sync(() => count.open--)
              ),
              llm.events(request)
            )
          )
      })
      for (let millis = 0; millis <= 5000; millis += 250) {
        const one = counted(yield* model("one", [text("a"), pause("2 seconds"), fail(disconnected)]))
        const two = counted(yield* model("two", [pause("1 second"), text("b"), pause("1 second")]))
        const fiber = yield* Effect.forkChild(collect(Fallback.make([one, two], { afterOutput: "restart" })))
        yield* TestClock.adjust(millis)
        assert.strictEqual(count.open, millis < 4000 ? 1 : 0, `${millis} ms`)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(count.open, 0)
      }
      assert.strictEqual(count.most, 1)
    })
  )

  describe("what providers tell of themselves", () => {
    const made = <E>(make: Effect.Effect<Llm.Llm["Service"], E, HttpClient.HttpClient>) =>
      Effect.gen(function* () {
        const { client } = yield* FaultyWire.make([])
        return yield* Effect.provideService(make, HttpClient.HttpClient, client)
      })

    it.effect("their names", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* made(OpenAi.make({ model: "m" }))).name, "openai/m")
        assert.strictEqual((yield* made(Ollama.make({ model: "qwen3" }))).name, "ollama/qwen3")
      })
    )

    it.effect("whether they go on from a last message of the assistant", () =>
      Effect.gen(function* () {
        const apiKey = Redacted.make("sk-prefill-0123456789")
        const request: LlmRequest = { prompt: [{ role: "assistant", content: "Once" }] }
        const anthropic = (name: string, more?: Partial<LlmRequest>) =>
          Effect.map(made(Anthropic.make({ model: name, apiKey })), (llm) => llm.prefill?.({ ...request, ...more }))
        assert.deepStrictEqual(yield* anthropic("claude-haiku-4-5"), request)
        assert.deepStrictEqual(yield* anthropic("claude-sonnet-4-6", { model: "claude-3-5-haiku-latest" }), {
          ...request,
          model: "claude-3-5-haiku-latest"
        })
        for (const answer of [
          yield* anthropic("claude-sonnet-4-6"),
          yield* anthropic("claude-haiku-4-5", { model: "claude-opus-4-7" }),
          yield* anthropic("claude-haiku-4-5", { reasoning: "low" }),
          yield* anthropic("claude-haiku-4-5", { extra: { thinking: { type: "enabled", budget_tokens: 1024 } } }),
          yield* anthropic("claude-mythos-preview"),
          yield* anthropic("other-model")
        ]) {
          assert.strictEqual(answer, undefined)
        }
        assert.notStrictEqual(yield* anthropic("claude-haiku-4-5", { reasoning: "none" }), undefined)
        assert.deepStrictEqual((yield* made(Ollama.make({ model: "qwen3" }))).prefill?.(request), request)
        assert.strictEqual((yield* made(OpenAi.make({ model: "m" }))).prefill, undefined)
      })
    )
  })
})
