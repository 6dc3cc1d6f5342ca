/** What an agent does with a model that calls tools. */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Agent from "effect-rill/agent/Agent"
import * as AgentError from "effect-rill/agent/AgentError"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import { Disconnected } from "effect-rill/LlmError"
import type { Callbacks } from "effect-rill/policy/Callbacks"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { checkOrder, collect, errorOf, inShort, seconds, type Told } from "../support/agentLaws.ts"
import { llmError } from "../support/scriptedLlm.ts"

const { event, fail, finish, pause, reasoning, refusal, text, toolCall, usage } = ScriptedLlm

class NotFound extends Schema.TaggedError<NotFound>()("NotFound", { city: Schema.String }) {}

const Weather = Tool.make("weather", {
  description: "The weather of a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Finite }),
  failure: NotFound
})
const Slow = Tool.make("slow", { parameters: Schema.Struct({ seconds: Schema.Finite }), success: Schema.String })
const Guarded = Tool.make("guarded", {
  parameters: Schema.Struct({ amount: Schema.Finite }),
  success: Schema.String,
  needsApproval: ({ amount }) => amount > 10
})
const Locked = Tool.make("locked", { success: Schema.String, needsApproval: true })
const Broken = Tool.make("broken", { success: Schema.String })
const Stopping = Tool.make("stopping", { success: Schema.String })
const Odd = Tool.make("odd", { success: Schema.Finite })
const Returning = Tool.make("returning", { success: Schema.String, failure: Schema.String, failureMode: "return" })
const Pictured = Tool.make("pictured", {
  success: Schema.Struct({ bytes: Schema.Finite }),
  toModelOutput: ({ bytes }) => [Prompt.textPart({ text: `a picture of ${bytes} bytes` })]
})

const toolkit = Toolkit.make(Weather, Slow, Guarded, Locked, Broken, Returning, Pictured, Stopping, Odd)
const ran: Array<string> = []
const handlers = toolkit.toLayer({
  weather: ({ city }) => (city === "Atlantis" ? Effect.fail(new NotFound({ city })) : Effect.succeed({ degrees: 20 })),
  slow: Effect.fnUntraced(function* ({ seconds }, { preliminary }) {
    yield* preliminary(`begun ${seconds}`)
    yield* Effect.sleep(seconds * 1000)
    return `waited ${seconds}`
  }),
  guarded: ({ amount }) => Effect.sync(() => `paid ${ran.push(String(amount)) && amount}`),
  locked: () => Effect.succeed("open"),
  broken: () => Effect.die(new Error("a bug")),
  returning: () => Effect.fail("no luck"),
  pictured: () => Effect.succeed({ bytes: 3 }),
  stopping: () => Effect.interrupt,
  odd: () => Effect.succeed(NaN)
})

const weather = (city: string, id?: string) => toolCall("weather", { city }, { id })

type Options = Omit<Agent.Options<Toolkit.Tools<typeof toolkit>>, "toolkit">

/** Runs an agent on a script, and checks the laws of order besides. */
const run = (script: ScriptedLlm.Script, options: Options = {}, input: Prompt.RawInput = "Hi") =>
  Effect.gen(function* () {
    const told = yield* collect(Agent.make({ toolkit, ...options }).stream(input))
    checkOrder(told)
    return { ...told, requests: yield* ScriptedLlm.requests }
  }).pipe(Effect.provide([handlers, ScriptedLlm.layer(script)]))

const reasonOf = (told: Told) => errorOf(told).reason

const of = <Tag extends AgentEvent["_tag"]>(told: Told, tag: Tag) =>
  told.events.filter((event): event is Extract<AgentEvent, { _tag: Tag }> => event._tag === tag)

const withoutState = (event: AgentEvent): object =>
  event._tag === "StepFinished" ? { ...event, state: undefined } : event

describe("a run", () => {
  it.effect("tells steps, tokens, thoughts, actions, observations and the answer, in their order", () =>
    Effect.gen(function* () {
      const { events, requests } = yield* run([
        [
          reasoning("Hm", "m."),
          text("I ", "look."),
          weather("Bern", "a"),
          weather("Atlantis", "b"),
          usage({ inputTokens: 10, outputTokens: 5 })
        ],
        [reasoning("So."), text("Wa", "rm."), usage({ inputTokens: 20, outputTokens: 2, reasoningTokens: 1 })]
      ])
      expect(events.map(withoutState)).toEqual([
        { _tag: "StepStarted", step: 1 },
        { _tag: "Token", content: "Hm", step: 1, phase: "thought" },
        { _tag: "Token", content: "m.", step: 1, phase: "thought" },
        { _tag: "Thought", content: "Hmm.", step: 1 },
        { _tag: "Token", content: "I ", step: 1, phase: "answer" },
        { _tag: "Token", content: "look.", step: 1, phase: "answer" },
        { _tag: "Thought", content: "I look.", step: 1 },
        { _tag: "Action", id: "a", toolName: "weather", input: { city: "Bern" }, step: 1 },
        { _tag: "Action", id: "b", toolName: "weather", input: { city: "Atlantis" }, step: 1 },
        { _tag: "Observation", id: "a", toolName: "weather", content: '{"degrees":20}', isError: false, step: 1 },
        {
          _tag: "Observation",
          id: "b",
          toolName: "weather",
          content: '{"_tag":"NotFound","city":"Atlantis"}',
          isError: true,
          step: 1
        },
        {
          _tag: "StepFinished",
          step: 1,
          outcome: "acted",
          reason: "tool-calls",
          usage: { source: "exact", inputTokens: 10, outputTokens: 5 },
          state: undefined
        },
        { _tag: "StepStarted", step: 2 },
        { _tag: "Token", content: "So.", step: 2, phase: "thought" },
        { _tag: "Thought", content: "So.", step: 2 },
        { _tag: "Token", content: "Wa", step: 2, phase: "answer" },
        { _tag: "Token", content: "rm.", step: 2, phase: "answer" },
        {
          _tag: "StepFinished",
          step: 2,
          outcome: "answered",
          reason: "stop",
          usage: { source: "exact", inputTokens: 20, outputTokens: 2, reasoningTokens: 1 },
          state: undefined
        },
        {
          _tag: "Final",
          content: "Warm.",
          usage: { source: "exact", inputTokens: 30, outputTokens: 7, reasoningTokens: 1 },
          steps: 2
        }
      ])
      // What the second turn was shown: the first, as the model said it, and the results.
      const [, second] = requests
      expect(Prompt.isPrompt(second!.prompt) && second!.prompt.content).toMatchObject([
        { role: "user" },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hmm." },
            { type: "text", text: "I look." },
            { type: "tool-call", id: "a", name: "weather", params: { city: "Bern" } },
            { type: "tool-call", id: "b", name: "weather", params: { city: "Atlantis" } }
          ]
        },
        {
          role: "tool",
          content: [
            { type: "tool-result", id: "a", name: "weather", isFailure: false, result: { degrees: 20 } },
            {
              type: "tool-result",
              id: "b",
              name: "weather",
              isFailure: true,
              result: '{"_tag":"NotFound","city":"Atlantis"}'
            }
          ]
        }
      ])
    })
  )

  it.effect("asks with its instructions, tools and settings, every turn", () =>
    Effect.gen(function* () {
      const { requests } = yield* run([weather("Bern"), "Warm."], {
        system: "Be brief.",
        request: { temperature: 0, model: "m" }
      })
      expect(requests.length).toBe(2)
      for (const request of requests) {
        expect(request).toMatchObject({ system: "Be brief.", temperature: 0, model: "m" })
        expect(request.toolkit).toBe(toolkit)
        expect(request.toolChoice).toBeUndefined()
      }
    })
  )

  it.effect("comes to an answer, with the whole conversation, which can go on", () =>
    Effect.gen(function* () {
      const agent = Agent.make({ toolkit })
      const { content, steps, transcript, usage } = yield* agent.run("Hi")
      expect([content, steps, usage.source]).toEqual(["Warm.", 2, "estimated"])
      expect(transcript.content.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant"])
      yield* agent.run(Prompt.concat(transcript, "And now?"))
      const last = (yield* ScriptedLlm.requests)[2]!
      expect(ScriptedLlm.userText(last)).toBe("And now?")
      expect(Prompt.isPrompt(last.prompt) && last.prompt.content.length).toBe(5)
    }).pipe(Effect.provide([handlers, ScriptedLlm.layer([weather("Bern"), "Warm.", "Still."])]))
  )

  it.effect("goes on from the state of a step", () =>
    Effect.gen(function* () {
      const first = yield* run([weather("Bern"), [text("Wa"), fail(new Disconnected({ message: "cut" }))]])
      const { transcript } = errorOf(first)
      expect(transcript).toEqual(of(first, "StepFinished")[0]!.state)
      const { events, requests } = yield* run(["Warm."], {}, transcript)
      expect(inShort(events)).toEqual(["answer token Warm.", "final Warm."])
      expect(requests[0]!.prompt).toEqual(transcript)
    })
  )

  it.effect("may be run again, from its beginning", () =>
    Effect.gen(function* () {
      const stream = Agent.make({ toolkit }).stream("Hi")
      for (const content of ["One", "Two"]) {
        expect((yield* collect(stream)).events.at(-1)).toMatchObject({ content, steps: 1 })
      }
    }).pipe(Effect.provide([handlers, ScriptedLlm.layer(["One", "Two"])]))
  )

  it.effect("without tools it is one turn, which names none", () =>
    Effect.gen(function* () {
      const { content } = yield* Agent.make({ toolkit: Toolkit.empty }).run("Hi")
      expect(content).toBe("Hello.")
      const [request] = yield* ScriptedLlm.requests
      expect([request!.toolkit, request!.toolChoice]).toEqual([undefined, undefined])
    }).pipe(Effect.provide(ScriptedLlm.layer(["Hello."])))
  )

  it.effect("signatures of thoughts are kept for the provider, and are no tokens", () =>
    Effect.gen(function* () {
      const signed = event({ _tag: "ReasoningDelta", text: "", metadata: { anthropic: { signature: "s" } } })
      const { events, requests } = yield* run([[reasoning("Hm."), signed, weather("Bern")], "Warm."])
      expect(inShort(events).slice(0, 3)).toEqual([
        "thought token Hm.",
        "thought Hm.",
        'action weather {"city":"Bern"}'
      ])
      expect(requests[1]).toMatchObject({
        prompt: {
          content: [{}, { content: [{ type: "reasoning", options: { anthropic: { signature: "s" } } }, {}] }, {}]
        }
      })
    })
  )

  it.effect("an empty answer is one", () =>
    Effect.gen(function* () {
      const { events } = yield* run([[finish("stop")]])
      expect(inShort(events)).toEqual(["final "])
    })
  )
})

describe("tools", () => {
  it.effect("run at once, their observations in the order of the calls, their progress as it happens", () =>
    Effect.gen(function* () {
      const script = [[3, 1, 2].map((count) => toolCall("slow", { seconds: count })), "Done."]
      const fiber = yield* Effect.forkChild(run(script))
      yield* seconds(3)
      expect(inShort((yield* Fiber.join(fiber)).events).filter((line) => !line.startsWith("action"))).toEqual([
        "progress begun 3",
        "progress begun 1",
        "progress begun 2",
        "observation waited 3",
        "observation waited 1",
        "observation waited 2",
        "answer token Done.",
        "final Done."
      ])
    })
  )

  it.effect("an observation does not wait for the calls after it", () =>
    Effect.gen(function* () {
      const script = [[1, 3].map((count) => toolCall("slow", { seconds: count })), "Done."]
      const told: Array<string> = []
      const fiber = yield* Agent.make({ toolkit })
        .stream("Hi")
        .pipe(
          Stream.runForEach((event) => Effect.sync(() => told.push(...inShort([event])))),
          Effect.provide([handlers, ScriptedLlm.layer(script)]),
          Effect.forkChild
        )
      yield* seconds(2)
      expect(told.at(-1)).toBe("observation waited 1")
      yield* seconds(1)
      yield* Fiber.join(fiber)
    })
  )

  it.effect("run as many at once as they may", () =>
    Effect.gen(function* () {
      const script = [[1, 1, 1, 1].map((count) => toolCall("slow", { seconds: count })), "Done."]
      const fiber = yield* Effect.forkChild(run(script, { concurrency: 2 }))
      yield* seconds(1)
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* seconds(1)
      expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
    })
  )

  it.effect("what the model is told may be other than the result", () =>
    Effect.gen(function* () {
      const { events, requests } = yield* run([toolCall("pictured"), "Nice."])
      expect(inShort(events)[1]).toBe("observation a picture of 3 bytes")
      expect(requests[1]).toMatchObject({
        prompt: {
          content: [
            {},
            {},
            { content: [{ result: { bytes: 3 }, modelOutput: [{ type: "text", text: "a picture of 3 bytes" }] }] }
          ]
        }
      })
    })
  )

  const failures: ReadonlyArray<
    readonly [string, ScriptedLlm.Step, AgentError.ToolFailure, content: string, error: unknown]
  > = [
    [
      "there is none of the name",
      toolCall("wether"),
      "unknown",
      "There is no such tool. The tools are: weather, slow, guarded, locked, broken, returning, pictured, stopping, odd.",
      undefined
    ],
    ["a name that objects have", toolCall("constructor"), "unknown", "There is no such tool.", undefined],
    ["the input does not fit", toolCall("weather", { town: "Bern" }), "input", 'Missing key\n  at ["city"]', {}],
    ["the input is no JSON", toolCall("weather", "Bern, please"), "input", "Expected object", {}],
    [
      "the handler fails",
      weather("Atlantis"),
      "handler",
      '{"_tag":"NotFound","city":"Atlantis"}',
      { city: "Atlantis" }
    ],
    ["the handler's failure is a result", toolCall("returning"), "handler", "no luck", "no luck"],
    ["the handler interrupts itself", toolCall("stopping"), "handler", "The tool was interrupted.", undefined],
    ["the result does not fit", toolCall("odd"), "result", "", {}],
    ["it takes too long", toolCall("slow", { seconds: 6 }), "timeout", "took too long", undefined],
    ["it needs an approval", toolCall("locked"), "denied", "needs an approval", undefined],
    ["it needs an approval for this", toolCall("guarded", { amount: 11 }), "denied", "needs an approval", undefined]
  ]

  it.effect.each(failures)("%s: the model is told why, and goes on", ([, call, , content]) =>
    Effect.gen(function* () {
      ran.length = 0
      const fiber = yield* Effect.forkChild(run([call, "Sorry."], { toolTimeout: "5 seconds" }))
      yield* seconds(5)
      const { events, requests } = yield* Fiber.join(fiber)
      const observation = events.find((event) => event._tag === "Observation")
      expect(observation).toMatchObject({ isError: true })
      expect(observation?.content).toContain(content)
      expect(requests[1]).toMatchObject({
        prompt: { content: [{}, {}, { content: [{ isFailure: true, result: observation?.content }] }] }
      })
      expect(ran).toEqual([])
    })
  )

  it.effect.each(failures)("%s: fails the run, where it is to", ([, call, failure, , error]) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(
        run([[toolCall("slow", { seconds: 60 }), call]], { toolTimeout: "5 seconds", onToolError: "fail" })
      )
      yield* seconds(5)
      const told = yield* Fiber.join(fiber)
      const reason = reasonOf(told)
      if (failure === "timeout") return expect(reason).toMatchObject({ _tag: "ToolFailed", failure, toolName: "slow" })
      expect(reason).toMatchObject({ _tag: "ToolFailed", failure, id: of(told, "Action")[1]!.id })
      expect(reason).toMatchObject(error === undefined ? {} : { error })
      // The calls of a turn that failed are not part of the conversation.
      expect(errorOf(told).transcript.content.map(({ role }) => role)).toEqual(["user"])
    })
  )

  it.effect("an approval is asked for, where it is needed", () =>
    Effect.gen(function* () {
      ran.length = 0
      const asked: Array<Agent.Approval> = []
      const calls = [10, 11, 12].map((amount) => toolCall("guarded", { amount }, { id: `c${amount}` }))
      const { events } = yield* run([calls, "Done."], {
        approve: (call) => Effect.sync(() => asked.push(call) === 1)
      })
      expect(inShort(events).slice(3, 6)).toEqual([
        "observation paid 10",
        "observation paid 11",
        "error This call needs an approval, and it was not given."
      ])
      expect(asked.map(({ id, input, name }) => [id, name, input])).toEqual([
        ["c11", "guarded", { amount: 11 }],
        ["c12", "guarded", { amount: 12 }]
      ])
      expect(ran).toEqual(["10", "11"])
    })
  )

  it.effect("a defect of a handler is a defect of the run", () =>
    Effect.gen(function* () {
      const { exit } = yield* collect(Agent.make({ toolkit }).stream("Hi"))
      expect(Exit.isFailure(exit) && Exit.hasDies(exit)).toBe(true)
    }).pipe(Effect.provide([handlers, ScriptedLlm.layer([toolCall("broken"), "Fine."])]))
  )

  it.effect("no tool runs of a turn that failed, or was cut", () =>
    Effect.gen(function* () {
      const failed = yield* run([[weather("Bern"), fail(new Disconnected({ message: "cut" }))]])
      expect(reasonOf(failed)).toMatchObject({ _tag: "ModelFailed", error: { reason: { _tag: "Disconnected" } } })
      const cut = yield* run([[text("I look."), weather("Bern"), finish("length")]])
      expect(reasonOf(cut)).toMatchObject({
        _tag: "ModelFailed",
        error: { reason: { _tag: "Truncated" }, phase: "mid-output", emitted: 7 }
      })
      for (const told of [failed, cut]) expect(of(told, "Action")).toEqual([])
    })
  )
})

describe("the model's failures", () => {
  it.effect("what came is told, and what was used", () =>
    Effect.gen(function* () {
      const told = yield* run([
        [weather("Bern"), usage({ inputTokens: 10, outputTokens: 5 })],
        [text("Wa"), usage({ inputTokens: 20, outputTokens: 1 }), fail(new Disconnected({ message: "cut" }))]
      ])
      expect(inShort(told.events).at(-1)).toBe("answer token Wa")
      const error = errorOf(told)
      expect(error).toMatchObject({ step: 2, usage: { source: "exact", inputTokens: 30, outputTokens: 6 } })
      expect(error.isRetryable).toBe(true)
      expect(error.transcript.content.map(({ role }) => role)).toEqual(["user", "assistant", "tool"])
    })
  )

  it.effect("a refusal is one, with its words beside the message", () =>
    Effect.gen(function* () {
      const told = yield* run([[text("Well, "), refusal("I wo", "n't."), usage({ inputTokens: 3, outputTokens: 2 })]])
      expect(inShort(told.events)).toEqual(["answer token Well, "])
      expect(errorOf(told)).toMatchObject({
        reason: { error: { reason: { _tag: "ContentFiltered", refusal: "I won't." }, provider: "scripted" } },
        usage: { inputTokens: 3, outputTokens: 2 }
      })
      expect(errorOf(told).message).not.toContain("won't")
    })
  )

  it.effect("a content filter is one", () =>
    Effect.gen(function* () {
      const told = yield* run([[text("Well, "), finish("content-filter")]])
      expect(reasonOf(told)).toMatchObject({ error: { reason: { _tag: "ContentFiltered" } } })
    })
  )

  it.effect("a token limit cuts an answer, which is one; no answer at all is none", () =>
    Effect.gen(function* () {
      const cut = yield* run([[text("Once upon"), finish("length")]])
      expect(of(cut, "StepFinished")[0]).toMatchObject({ outcome: "answered", reason: "length" })
      expect(of(cut, "Final")[0]?.content).toBe("Once upon")
      const nothing = yield* run([[reasoning("Hm"), finish("length")]])
      expect(reasonOf(nothing)).toMatchObject({ error: { reason: { _tag: "Truncated" }, phase: "mid-output" } })
    })
  )

  it.effect("a turn begun anew after it was told fails with what caused it; before, nobody knows", () =>
    Effect.gen(function* () {
      const restarted = event({ _tag: "Restarted", error: llmError(new Disconnected({ message: "cut" })) })
      for (const step of [text("On"), reasoning("Hm")]) {
        const told = yield* run([[step, restarted, text("Twice")]])
        expect(reasonOf(told)).toMatchObject({ error: { reason: { _tag: "Disconnected" } } })
        expect(told.events.length).toBe(2)
      }
      // A call has begun, and a refusal: nothing of either was told.
      const { events } = yield* run([[weather("Bern"), refusal("No"), restarted, text("Once"), finish("length")]])
      expect(inShort(events)).toEqual(["answer token Once", "final Once"])
    })
  )

  it.effect("an input that cannot be sent is refused unsent", () =>
    Effect.gen(function* () {
      const told = yield* run([], {}, [])
      expect(errorOf(told)).toMatchObject({
        reason: { error: { reason: { _tag: "InvalidRequest" }, phase: "request" } },
        step: 0,
        usage: { source: "exact", inputTokens: 0, outputTokens: 0 }
      })
      expect(told.events).toEqual([])
    })
  )

  const wrong: ReadonlyArray<readonly [Options, string]> = [
    [{ strategy: "ReAct" as "react" }, 'strategy must be "tools" or "react"'],
    [{ onLimit: "stop" as "fail" }, 'onLimit must be "fail" or "answer"'],
    [{ onToolError: "ignore" as "fail" }, 'onToolError must be "observe" or "fail"'],
    [{ maxSteps: 0 }, "maxSteps must be a whole number of at least 1"],
    [{ maxSteps: NaN }, "maxSteps must be"],
    [{ maxToolCalls: 1.5 }, "maxToolCalls must be a whole number of at least 0"],
    [{ maxRepairs: -1 }, "maxRepairs must be"],
    [{ tokenBudget: NaN }, "tokenBudget must be a number above 0"],
    [{ concurrency: 0 }, 'concurrency must be a whole number of at least 1, or "unbounded"'],
    [{ maxDuration: "soon" as "1 second" }, 'maxDuration must be a duration, such as "30 seconds"'],
    [{ toolTimeout: "soon" as "1 second" }, "toolTimeout must be a duration"]
  ]
  it.effect.each(wrong)("an option that makes no sense is said, unsent: %o", ([options, message]) =>
    Effect.gen(function* () {
      const told = yield* run([], options)
      expect(errorOf(told).message).toContain(message)
      expect(reasonOf(told)).toMatchObject({ error: { reason: { _tag: "InvalidRequest" } } })
    })
  )
})

describe("limits", () => {
  const calls = (count: number) => Array.from({ length: count }, () => weather("Bern"))
  const spent = usage({ inputTokens: 40, outputTokens: 10 })

  const cases: ReadonlyArray<
    readonly [AgentError.LimitExceeded["which"], Options, limit: number, turns: number, ScriptedLlm.TurnOf]
  > = [
    ["steps", { maxSteps: 3 }, 3, 3, () => calls(1)],
    ["steps", {}, 10, 10, () => calls(1)],
    ["tool-calls", { maxToolCalls: 5 }, 5, 3, () => calls(2)],
    ["tokens", { tokenBudget: 100 }, 100, 2, () => [...calls(1), spent]]
  ]

  it.effect.each(cases)("%s %o: the run fails, with its conversation", ([which, options, limit, turns, turn]) =>
    Effect.gen(function* () {
      const told = yield* run(turn, options)
      expect(reasonOf(told)).toMatchObject({ _tag: "LimitExceeded", which, limit })
      expect(told.requests.length).toBe(turns)
      const finished = of(told, "StepFinished")
      // Calls that would be too many are not run: their turn is not part of the conversation.
      expect(finished.length).toBe(which === "tool-calls" ? turns - 1 : turns)
      expect(errorOf(told).transcript).toEqual(finished.at(-1)!.state)
    })
  )

  it.effect.each(cases)("%s %o: one last turn answers, without tools", ([which, options, , turns, turn]) =>
    Effect.gen(function* () {
      const told = yield* run((request, index) => (request.toolChoice === "none" ? "Enough." : turn(request, index)), {
        ...options,
        onLimit: "answer"
      })
      expect(told.requests.length).toBe(turns + 1)
      expect(of(told, "Final")[0]).toMatchObject({ content: "Enough.", steps: turns + 1 })
      const last = told.requests.at(-1)!
      expect([last.toolkit === toolkit, ScriptedLlm.userText(last)]).toEqual([
        true,
        "No more tools may be called. Answer now, from what is known."
      ])
      // What the agent said itself is not kept.
      const { state } = of(told, "StepFinished").at(-1)!
      expect(state.content.filter(({ role }) => role === "user").length).toBe(1)
      if (which === "tool-calls") {
        expect(
          of(told, "Observation")
            .slice(-2)
            .map(({ content, isError }) => [content, isError])
        ).toEqual([1, 2].map(() => ["This was not run: no more calls of tools are allowed.", true]))
        expect(of(told, "StepFinished").at(-2)?.outcome).toBe("stopped")
      }
    })
  )

  it.effect("a model that calls tools all the same fails the run", () =>
    Effect.gen(function* () {
      const told = yield* run(() => calls(1), { maxSteps: 2, onLimit: "answer" })
      expect(reasonOf(told)).toMatchObject({ _tag: "LimitExceeded", which: "steps" })
      expect([told.requests.length, of(told, "Action").length]).toEqual([3, 2])
    })
  )

  it.effect("an answer in the last step is one", () =>
    Effect.gen(function* () {
      const told = yield* run([calls(1), ["Warm.", spent]], { maxSteps: 2, maxToolCalls: 1, tokenBudget: 1000 })
      expect(of(told, "Final").length).toBe(1)
    })
  )

  describe("maxDuration", () => {
    const turns: ReadonlyArray<readonly [string, ScriptedLlm.Turn]> = [
      ["in the middle of a turn", [text("Let me "), pause("1 minute"), text("see.")]],
      ["before a turn has begun", [pause("1 minute"), text("Let me see.")]],
      ["while a tool runs", [toolCall("slow", { seconds: 1 }), toolCall("slow", { seconds: 60 })]]
    ]

    it.effect.each(turns)("%s: fails, and leaves nothing running", ([, turn]) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(run([turn], { maxDuration: "10 seconds" }))
        yield* seconds(9)
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* seconds(1)
        expect(reasonOf(yield* Fiber.join(fiber))).toMatchObject({ which: "duration", limit: 10_000 })
      })
    )

    it.effect.each(turns)("%s: one last turn answers, however long it takes", ([, turn]) =>
      Effect.gen(function* () {
        const last = [text("So "), pause("50 seconds"), text("far.")]
        const fiber = yield* Effect.forkChild(run([turn, last], { maxDuration: "10 seconds", onLimit: "answer" }))
        yield* seconds(10)
        yield* seconds(60)
        const told = yield* Fiber.join(fiber)
        expect(of(told, "Final")[0]).toMatchObject({ content: "So far.", steps: 2 })
        expect(of(told, "StepFinished")[0]?.outcome).toBe("stopped")
        const observations = of(told, "Observation").map(({ content, isError }) => [content, isError])
        if (of(told, "Action").length > 0) {
          expect(observations).toEqual([
            ["waited 1", false],
            ["This was stopped: the time is over.", true]
          ])
        }
        expect(told.requests[1]!.toolChoice).toBe("none")
      })
    )

    it.effect("a consumer that takes its time uses it up", () =>
      Effect.gen(function* () {
        const fiber = yield* Agent.make({ toolkit, maxDuration: "10 seconds" })
          .stream("Hi")
          .pipe(
            Stream.runForEach((event) => (event._tag === "StepFinished" ? Effect.sleep("11 seconds") : Effect.void)),
            Effect.exit,
            Effect.provide([handlers, ScriptedLlm.layer([weather("Bern")])]),
            Effect.forkChild
          )
        yield* seconds(11)
        const exit = yield* Fiber.join(fiber)
        expect(errorOf({ events: [], exit }).reason).toMatchObject({ which: "duration" })
      })
    )
  })
})

describe("callbacks", () => {
  it.effect("are told of tools, and of each turn of the model", () =>
    Effect.gen(function* () {
      class Log extends Context.Service<Log, Array<string>>()("test/Log") {}
      const tell = (line: string) => Log.use((log) => Effect.sync(() => void log.push(line)))
      const callbacks: Callbacks<Log> = {
        onStart: () => tell("start"),
        onToken: (text) => tell(`token ${text}`),
        onToolStart: ({ id, input, name }) => tell(`tool ${id} ${name} ${JSON.stringify(input)}`),
        onToolEnd: ({ exit, id }) =>
          tell(`end ${id} ${Exit.isSuccess(exit) ? JSON.stringify(exit.value) : String(Exit.findErrorOption(exit))}`),
        onEnd: ({ usage }) => tell(`end ${usage.source}`)
      }
      const log: Array<string> = []
      yield* Agent.make({ toolkit, callbacks, concurrency: 1 })
        .run("Hi")
        .pipe(
          Effect.provide([
            handlers,
            ScriptedLlm.layer([[weather("Bern", "a"), weather("Atlantis", "b"), toolCall("none")], "Warm."]),
            Layer.succeed(Log, log)
          ])
        )
      expect(log.map((line) => line.replace(/some.*/, "failure"))).toEqual([
        "start",
        "end estimated",
        'tool a weather {"city":"Bern"}',
        'end a {"degrees":20}',
        'tool b weather {"city":"Atlantis"}',
        "end b failure",
        "start",
        "token Warm.",
        "end estimated"
      ])
    })
  )

  it.effect("are told the end of a tool that was stopped", () =>
    Effect.gen(function* () {
      const ends: Array<boolean> = []
      const fiber = yield* Effect.forkChild(
        run([[toolCall("slow", { seconds: 60 })]], {
          callbacks: { onToolEnd: ({ exit }) => Effect.sync(() => void ends.push(Exit.hasInterrupts(exit))) }
        })
      )
      yield* seconds(1)
      yield* Fiber.interrupt(fiber)
      expect(ends).toEqual([true])
    })
  )
})
