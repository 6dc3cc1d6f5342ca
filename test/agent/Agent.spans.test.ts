/** The spans and durations of an agent's run and of its tools. */
import { describe, expect, it } from "@effect/vitest"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Agent from "effect-rill/agent/Agent"
import { Llm } from "effect-rill/Llm"
import { LlmError, Overloaded } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Telemetry from "effect-rill/policy/Telemetry"
import { seconds } from "../support/agentLaws.ts"
import { observing, within } from "../support/observing.ts"
import { token } from "../support/scriptedLlm.ts"

const toolkit = Toolkit.make(
  Tool.make("work", {
    description: "Works",
    parameters: Schema.Struct({ what: Schema.String }),
    success: Schema.String,
    failure: Schema.String
  }),
  Tool.make("guarded", { success: Schema.String, needsApproval: true })
)

const handlers = toolkit.toLayer({
  work: ({ what }) =>
    what === "fail"
      ? Effect.fail("the secret failed")
      : what === "die"
        ? Effect.die(new TypeError("secret"))
        : Effect.annotateCurrentSpan(
            what.startsWith("secret") ? {} : { parameters: "the handler's own", tool: "its own" }
          ).pipe(
            Effect.andThen(Effect.withSpan(Effect.sleep("2 seconds"), `inside ${what}`)),
            Effect.as(`secret ${what}`)
          ),
  guarded: () => Effect.succeed("guarded")
})

const usage = { source: "exact", inputTokens: 10, outputTokens: 2 } as const
const calls = (...inputs: ReadonlyArray<string>): ReadonlyArray<LlmEvent> => [
  { _tag: "Started", provider: "google", model: "gemini" },
  ...inputs.map((what, i): LlmEvent => ({ _tag: "ToolCalled", id: `c${i}`, name: "work", input: { what } })),
  { _tag: "Finished", reason: "tool-calls", usage }
]
const says = (text: string): ReadonlyArray<LlmEvent> => [token(text), { _tag: "Finished", reason: "stop", usage }]

/** A model with these turns, each asked with a span of its own. */
const model = (...turns: ReadonlyArray<ReadonlyArray<LlmEvent> | LlmError>) => {
  let turn = 0
  const events = Stream.suspend(() => {
    const next = turns[turn++]!
    return next instanceof LlmError ? Stream.fail(next) : Stream.fromIterable(next)
  })
  return Layer.succeed(Llm, Telemetry.attach({ events: () => events }, { provider: "google", model: "gemini" }))
}

const run = Effect.fnUntraced(function* (
  llm: Layer.Layer<Llm>,
  options: Omit<Parameters<typeof Agent.make<Toolkit.Tools<typeof toolkit>>>[0], "toolkit"> = {},
  settings: Layer.Layer<never> = Layer.empty
) {
  const observed = observing()
  const agent = Agent.make({ toolkit, name: "helper", ...options })
  const fiber = yield* agent
    .run("the secret prompt")
    .pipe(
      Effect.provide(Layer.mergeAll(llm, handlers, settings)),
      Effect.withSpan("mine"),
      (program) => within(observed, program),
      Effect.exit,
      Effect.forkChild
    )
  yield* seconds(5)
  const exit = yield* Fiber.join(fiber)
  return { observed, exit }
})

describe("spans of an agent", () => {
  it.effect("a run, with its turns and its tools inside, and what tools do inside of them", () =>
    Effect.gen(function* () {
      const { observed } = yield* run(model(calls("a", "b"), says("done")), { request: { temperature: 0.5 } })
      expect(
        observed.spans.map(({ ends, kind, name, outcome, within }) => [name, within, kind, outcome, ends])
      ).toEqual([
        ["mine", undefined, "internal", "ok", 1],
        ["invoke_agent helper", "mine", "internal", "ok", 1],
        ["chat gemini", "invoke_agent helper", "client", "ok", 1],
        ["execute_tool work", "invoke_agent helper", "internal", "ok", 1],
        ["execute_tool work", "invoke_agent helper", "internal", "ok", 1],
        ["inside a", "execute_tool work", "internal", "ok", 1],
        ["inside b", "execute_tool work", "internal", "ok", 1],
        ["chat gemini", "invoke_agent helper", "client", "ok", 1]
      ])
      expect(observed.span("invoke_agent helper").all).toEqual({
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "helper",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.response.finish_reasons": ["stop"],
        "rill.usage.source": "exact",
        "rill.steps": 2
      })
      const tools = observed.spans.filter(({ name }) => name === "execute_tool work")
      expect(tools.map(({ all }) => all)).toEqual(
        ["c0", "c1"].map((id) => ({
          "gen_ai.operation.name": "execute_tool",
          "gen_ai.tool.name": "work",
          "gen_ai.tool.call.id": id,
          "gen_ai.tool.type": "function",
          "gen_ai.tool.description": "Works",
          "gen_ai.agent.name": "helper",
          parameters: "the handler's own",
          tool: "its own"
        }))
      )
      expect(observed.points("gen_ai.invoke_agent.duration")).toEqual([
        {
          attributes: { "gen_ai.agent.name": "helper" },
          count: 1,
          sum: 2,
          boundaries: Array.from({ length: 13 }, (_, i) => 2 ** i / 10)
        }
      ])
      expect(observed.points("gen_ai.execute_tool.duration")).toMatchObject([
        {
          attributes: { "gen_ai.tool.name": "work", "gen_ai.tool.type": "function", "gen_ai.agent.name": "helper" },
          count: 2,
          sum: 4
        }
      ])
    })
  )

  it.effect("with callbacks of the agent as well", () =>
    Effect.gen(function* () {
      const { observed } = yield* run(model(calls("a"), says("done")), { callbacks: { onToken: () => Effect.void } })
      expect(observed.spans.map(({ name, within }) => [name, within])).toEqual([
        ["mine", undefined],
        ["invoke_agent helper", "mine"],
        ["chat gemini", "invoke_agent helper"],
        ["execute_tool work", "invoke_agent helper"],
        ["inside a", "execute_tool work"],
        ["chat gemini", "invoke_agent helper"]
      ])
    })
  )

  it.effect("of a react agent, with the model that it names, and without a name", () =>
    Effect.gen(function* () {
      const { observed } = yield* run(model(says("Final Answer: done")), {
        strategy: "react",
        name: undefined,
        request: { model: "other" }
      })
      expect(observed.spans.map(({ name }) => name)).toEqual(["mine", "invoke_agent", "chat other"])
      expect(observed.points("gen_ai.invoke_agent.duration").map(({ attributes }) => attributes)).toEqual([
        { "gen_ai.request.model": "other" }
      ])
    })
  )

  it.effect("a tool that fails, by how; the run goes on", () =>
    Effect.gen(function* () {
      const unfit: LlmEvent = { _tag: "ToolCalled", id: "c9", name: "work", input: { what: 1 } }
      const turn = [...calls("fail").slice(0, -1), unfit, ...calls().slice(1)]
      const { observed } = yield* run(model(turn, says("done")))
      const tools = observed.spans.filter(({ name }) => name === "execute_tool work")
      expect(tools.map(({ all, ends, outcome }) => [all["error.type"], outcome, ends])).toEqual([
        ["handler", "ToolFailed: a tool's handler failed; `error` is with what.", 1],
        ["input", "ToolFailed: the model gave a tool an input that does not fit its schema.", 1]
      ])
      expect(observed.points("gen_ai.execute_tool.duration").map(({ attributes }) => attributes["error.type"])).toEqual(
        ["input", "handler"]
      )
      expect(observed.span("invoke_agent helper").outcome).toBe("ok")
    })
  )

  it.effect("a tool that takes too long", () =>
    Effect.gen(function* () {
      const { observed } = yield* run(model(calls("a"), says("done")), { toolTimeout: "1 second" })
      const tool = observed.span("execute_tool work")
      expect([tool.all["error.type"], tool.milliseconds, tool.ends]).toEqual(["timeout", 1000, 1])
      expect(observed.span("inside a").outcome).toBe("interrupted")
    })
  )

  it.effect("what is not run has no span", () =>
    Effect.gen(function* () {
      const turn: ReadonlyArray<LlmEvent> = [
        { _tag: "ToolCalled", id: "c1", name: "guarded", input: {} },
        { _tag: "ToolCalled", id: "c2", name: "unknown", input: {} },
        ...calls().slice(1)
      ]
      const { observed } = yield* run(model(turn, says("done")))
      expect(observed.spans.filter(({ name }) => name.startsWith("execute"))).toEqual([])
    })
  )

  it.effect("a defect of a tool: of its words nothing is told", () =>
    Effect.gen(function* () {
      const { observed } = yield* run(model(calls("die"), says("done")))
      for (const name of ["execute_tool work", "invoke_agent helper"]) {
        expect(observed.span(name).outcome).toMatch(/^defect TypeError: (?!.*secret)/)
        expect([observed.span(name).all["error.type"], observed.span(name).ends]).toEqual(["TypeError", 1])
      }
    })
  )

  it.effect("a run that fails: by its model's reason, or its own", () =>
    Effect.gen(function* () {
      const reason = new Overloaded({ message: "busy" })
      const error = new LlmError({ reason, provider: "google", phase: "mid-output", emitted: 0, usage })
      const failed = yield* run(model(calls("a"), error))
      const span = failed.observed.span("invoke_agent helper")
      expect([span.all["error.type"], span.outcome, span.ends]).toEqual([
        "Overloaded",
        `AgentError: agent: ModelFailed: ${error.message}`,
        1
      ])
      expect(span.all).toMatchObject({ "gen_ai.usage.input_tokens": 20, "rill.steps": 2 })
      const limited = yield* run(model(calls("a"), calls("b")), { maxSteps: 1 })
      expect(limited.observed.span("invoke_agent helper").all["error.type"]).toBe("LimitExceeded")
      expect(limited.observed.points("gen_ai.invoke_agent.duration").map(({ attributes }) => attributes)).toEqual([
        { "gen_ai.agent.name": "helper", "error.type": "LimitExceeded" }
      ])
    })
  )

  it.effect("a run that is interrupted, in a tool", () =>
    Effect.gen(function* () {
      const observed = observing()
      const agent = Agent.make({ toolkit, name: "helper" })
      const fiber = yield* agent
        .run("Hi")
        .pipe(Effect.provide(Layer.mergeAll(model(calls("a")), handlers)), (program) => within(observed, program))
        .pipe(Effect.forkChild)
      yield* seconds(1)
      yield* Fiber.interrupt(fiber)
      expect(observed.spans.map(({ ends, name, outcome }) => [name, outcome, ends])).toEqual([
        ["invoke_agent helper", "interrupted", 1],
        ["chat gemini", "ok", 1],
        ["execute_tool work", "interrupted", 1],
        ["inside a", "interrupted", 1]
      ])
      expect(observed.span("invoke_agent helper").all["error.type"]).toBeUndefined()
    })
  )

  it.effect("no words, unless they are asked for", () =>
    Effect.gen(function* () {
      const turns = [calls("secret a"), says("the secret answer")]
      const { observed } = yield* run(model(...turns), { system: "the secret rule" })
      const all = observed.spans.map(({ all, events, outcome }) => [all, events, outcome])
      expect(JSON.stringify(all)).not.toContain("secret")

      const content = Layer.succeed(Telemetry.Content, true)
      const asked = yield* run(model(...turns), { system: "the secret rule" }, content)
      const agent = asked.observed.span("invoke_agent helper").all
      expect(JSON.parse(agent["gen_ai.system_instructions"] as string)).toEqual([
        { type: "text", content: "the secret rule" }
      ])
      expect(JSON.parse(agent["gen_ai.input.messages"] as string)).toEqual([
        { role: "user", parts: [{ type: "text", content: "the secret prompt" }] }
      ])
      expect(JSON.parse(agent["gen_ai.output.messages"] as string)).toEqual([
        { role: "assistant", parts: [{ type: "text", content: "the secret answer" }], finish_reason: "stop" }
      ])
      const tool = asked.observed.span("execute_tool work").all
      expect([tool["gen_ai.tool.call.arguments"], tool["gen_ai.tool.call.result"]]).toEqual([
        '{"what":"secret a"}',
        '"secret secret a"'
      ])
    })
  )

  it.effect("none, where they are turned off", () =>
    Effect.gen(function* () {
      const { exit, observed } = yield* run(
        model(calls("a"), says("done")),
        {},
        Layer.succeed(Telemetry.Enabled, false)
      )
      expect(exit._tag).toBe("Success")
      expect(observed.spans.map(({ name, within }) => [name, within])).toEqual([
        ["mine", undefined],
        ["inside a", "mine"]
      ])
      // `Toolkit` would write what the model gave to the tool there.
      expect(observed.span("mine").all).toEqual({ parameters: "the handler's own", tool: "its own" })
      expect(observed.names()).toEqual([])
    })
  )

  it.effect("an agent inside of a model of one's own: what its model uses is told once", () =>
    Effect.gen(function* () {
      const observed = observing()
      const agent = Agent.make({ toolkit })
      const own: Llm["Service"] = {
        events: () =>
          Stream.unwrap(
            Effect.map(Effect.orDie(agent.run("Hi")), ({ content, usage }) =>
              Stream.fromArray<LlmEvent>([token(content), { _tag: "Finished", reason: "stop", usage }])
            )
          ).pipe(Stream.provide(Layer.mergeAll(model(says("done")), handlers)))
      }
      yield* within(observed, Stream.runDrain(Telemetry.attach(own, { model: "own" }).events({ prompt: "Hi" })))
      expect(observed.points("gen_ai.client.token.usage").map(({ sum }) => sum)).toEqual([10, 2])
      expect(observed.span("chat own").all).not.toHaveProperty("gen_ai.usage.input_tokens")
    })
  )
})
