/** What an agent does with a model that can only write. How its text is read is tested with the reader. */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Agent from "effect-rill/agent/Agent"
import * as ReAct from "effect-rill/agent/ReAct"
import { Disconnected } from "effect-rill/LlmError"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { checkOrder, collect, errorOf, inShort } from "../support/agentLaws.ts"
import { llmError } from "../support/scriptedLlm.ts"

const { event, finish, reasoning, refusal, text, usage } = ScriptedLlm

const toolkit = Toolkit.make(
  Tool.make("calculator", {
    description: "Calculates",
    parameters: Schema.Struct({ expression: Schema.String }),
    success: Schema.Finite
  }),
  Tool.make("convert", {
    parameters: Schema.Struct({ amount: Schema.Finite, to: Schema.optionalKey(Schema.String) }),
    success: Schema.String
  }),
  Tool.make("now", { success: Schema.String }),
  Tool.make("pair", { parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }), success: Schema.Finite })
)
const handlers = toolkit.toLayer({
  calculator: ({ expression }) => Effect.succeed(expression.length),
  convert: ({ amount, to = "CHF" }) => Effect.succeed(`${amount} ${to}`),
  now: () => Effect.succeed("noon"),
  pair: ({ a, b }) => Effect.succeed(a + b)
})

type Options = Omit<Agent.Options<Toolkit.Tools<typeof toolkit>>, "toolkit">

const run = (script: ScriptedLlm.Script, options: Options = {}) =>
  Effect.gen(function* () {
    const told = yield* collect(Agent.make({ toolkit, strategy: "react", ...options }).stream("Hi"))
    checkOrder(told)
    return { ...told, requests: yield* ScriptedLlm.requests, runs: yield* ScriptedLlm.runs }
  }).pipe(Effect.provide([handlers, ScriptedLlm.layer(script)]))

const messages = (prompt: Prompt.RawInput | undefined): ReadonlyArray<string> =>
  prompt !== undefined && Prompt.isPrompt(prompt)
    ? prompt.content.map(
        ({ content, role }) =>
          `${role}: ${typeof content === "string" ? content : content.map((part) => (part.type === "text" ? part.text : part.type)).join("")}`
      )
    : []

describe("a run", () => {
  it.effect("tells thoughts, actions, observations and the answer; history is text", () =>
    Effect.gen(function* () {
      const { events, requests } = yield* run(
        [
          'Thought: I calculate.\nAction: calculator\nAction Input: {"expression": "1+1"}',
          "Thought: I know.\nFinal Answer: It is 3."
        ],
        { system: "Be brief.", request: { temperature: 0 } }
      )
      expect(inShort(events)).toEqual([
        "thought token I calculate.",
        "thought I calculate.",
        'action calculator {"expression":"1+1"}',
        "observation 3",
        "thought token I know.",
        "thought I know.",
        "answer token It is 3.",
        "final It is 3."
      ])
      expect(messages(requests[1]?.prompt)).toEqual([
        "user: Hi",
        'assistant: Thought: I calculate.\nAction: calculator\nAction Input: {"expression":"1+1"}',
        `user: ${ReAct.observation("3")}`
      ])
      const last = events.findLast((event) => event._tag === "StepFinished")
      expect(messages(last?.state).at(-1)).toBe("assistant: Thought: I know.\nFinal Answer: It is 3.")
      for (const request of requests) {
        expect(request.system).toMatch(/^Be brief\.\n\n[^]*calculator: Calculates[^]*"expression"/)
        expect([request.temperature, request.toolkit, request.toolChoice]).toEqual([0, undefined, undefined])
      }
    })
  )

  it.effect("is cut off at the first action: what comes after is neither told nor read", () =>
    Effect.gen(function* () {
      const { events, requests, runs } = yield* run([
        [
          text("Thought: I look.\nAction: now\nAction Input: {}\nObserv", "ation: night\nFinal Answer: night"),
          text("Action: now\nAction Input: {}"),
          usage({ inputTokens: 1000, outputTokens: 1000 })
        ],
        ["Final Answer: noon", usage({ inputTokens: 10, outputTokens: 2 })]
      ])
      expect(runs.map(({ state }) => state)).toEqual(["stopped", "completed"])
      expect(JSON.stringify(events)).not.toContain("night")
      expect(JSON.stringify(requests)).not.toContain("night")
      const first = events.find((event) => event._tag === "StepFinished")
      expect(first).toMatchObject({ reason: "tool-calls", outcome: "acted", usage: { source: "estimated" } })
      // What had come is paid for, and the whole prompt with its instructions.
      const system = requests[0]!.system!.length
      expect(first?.usage.inputTokens).toBe(Math.ceil((system + 2) / 4))
      expect(first?.usage.outputTokens).toBeLessThan(30)
      expect(first?.usage.outputTokens).toBeGreaterThan(9)
      expect(events.at(-1)).toMatchObject({ _tag: "Final", usage: { source: "estimated" } })
    })
  )

  it.effect("the model's own reasoning is a thought too", () =>
    Effect.gen(function* () {
      const { events } = yield* run([[reasoning("H", "m."), text("Final Answer: yes")]])
      expect(inShort(events)).toEqual([
        "thought token H",
        "thought token m.",
        "thought Hm.",
        "answer token yes",
        "final yes"
      ])
    })
  )

  it.effect("a refusal is a failure, and so is a turn begun anew after it was told", () =>
    Effect.gen(function* () {
      const refused = yield* run([[text("Final Answer: well"), refusal("No.")]])
      expect(errorOf(refused).reason).toMatchObject({ error: { reason: { _tag: "ContentFiltered" } } })
      const restarted = event({ _tag: "Restarted", error: llmError(new Disconnected({ message: "cut" })) })
      const twice = yield* run([[text("Final Answer: well"), restarted, text("Final Answer: well")]])
      expect(errorOf(twice).reason).toMatchObject({ error: { reason: { _tag: "Disconnected" } } })
      // A marker has come, and nothing of it was told: it is read anew.
      const once = yield* run([[text("Thought"), restarted, text("Final Answer: well")]])
      expect(inShort(once.events)).toEqual(["answer token well", "final well"])
    })
  )
})

describe("an input that is no object is the one field that the tool wants", () => {
  const inputs: ReadonlyArray<readonly [string, unknown, string]> = [
    ['calculator("25 * 4")', { expression: "25 * 4" }, "observation 6"],
    ["calculator\nAction Input: 25 * 4", { expression: "25 * 4" }, "observation 6"],
    ["convert(5)", { amount: 5 }, "observation 5 CHF"],
    ["now()", {}, "observation noon"],
    ["pair\nAction Input: 5", 5, "error "]
  ]
  it.effect.each(inputs)("%s", ([action, input, observed]) =>
    Effect.gen(function* () {
      const { events } = yield* run([`Action: ${action}\n`, "Final Answer: yes"])
      expect(events.find((event) => event._tag === "Action")?.input).toEqual(input)
      expect(inShort(events)[1]).toContain(observed)
    })
  )
})

describe("what cannot be read", () => {
  const unreadable = "Thought: hm\nAction: None"

  it.effect("goes back to the model with what was wrong, as often as it may one after the other", () =>
    Effect.gen(function* () {
      const good = "Action: now\nAction Input: {}"
      const { events, requests } = yield* run([unreadable, unreadable, good, unreadable, "Final Answer: noon"])
      expect(events.filter((event) => event._tag === "StepFinished").map(({ outcome }) => outcome)).toEqual([
        "unreadable",
        "unreadable",
        "acted",
        "unreadable",
        "answered"
      ])
      const [, written, told] = messages(requests[1]?.prompt)
      expect(written).toBe(`assistant: ${unreadable}`)
      expect(told).toMatch(/^user: Observation: .+/)
    })
  )

  it.effect.each([0, 2])("and then fails, after %i times", (maxRepairs) =>
    Effect.gen(function* () {
      const told = yield* run(() => unreadable, { maxRepairs })
      expect(errorOf(told).reason).toMatchObject({ _tag: "Unreadable", repairs: maxRepairs })
      expect(told.requests.length).toBe(maxRepairs + 1)
    })
  )

  it.effect("two times, where nothing is said", () =>
    Effect.gen(function* () {
      const told = yield* run(() => unreadable)
      expect(told.requests.length).toBe(3)
    })
  )

  it.effect("is a cut turn where the token limit cut it", () =>
    Effect.gen(function* () {
      const told = yield* run([
        [text('Action: now\nAction Input: {"a": '), usage({ inputTokens: 5, outputTokens: 1 }), finish("length")]
      ])
      expect(errorOf(told)).toMatchObject({ reason: { error: { reason: { _tag: "Truncated" } } } })
    })
  )
})

describe("a last turn", () => {
  it.effect("is asked for in words, and has no action", () =>
    Effect.gen(function* () {
      const act = "Action: now\nAction Input: {}"
      const { events, requests } = yield* run([act, "Final Answer: noon"], { maxSteps: 1, onLimit: "answer" })
      expect(events.at(-1)).toMatchObject({ content: "noon", steps: 2 })
      expect(ScriptedLlm.userText(requests[1]!)).toContain("Write your Final Answer now")
      for (const last of [act, "Action: None"]) {
        const told = yield* run([act, last], { maxSteps: 1, onLimit: "answer" })
        expect(errorOf(told).reason).toMatchObject({ _tag: "LimitExceeded", which: "steps" })
      }
    })
  )
})
