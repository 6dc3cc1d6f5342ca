import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as AgentEvent from "effect-rill/agent/AgentEvent"

const usage = { source: "exact", inputTokens: 3, outputTokens: 4 } as const
const state = Prompt.make([
  { role: "user", content: "Hi" },
  {
    role: "assistant",
    content: [{ type: "tool-call", id: "1", name: "add", params: { a: 1 }, providerExecuted: false }]
  },
  {
    role: "tool",
    content: [{ type: "tool-result", id: "1", name: "add", isFailure: false, result: 2, providerExecuted: false }]
  }
])

const events: ReadonlyArray<AgentEvent.AgentEvent> = [
  { _tag: "StepStarted", step: 1 },
  { _tag: "Token", content: "Hm", step: 1, phase: "thought" },
  { _tag: "Thought", content: "Hm", step: 1 },
  { _tag: "Action", id: "1", toolName: "add", input: { a: 1 }, step: 1 },
  { _tag: "Progress", id: "1", toolName: "add", content: "half", step: 1 },
  { _tag: "Observation", id: "1", toolName: "add", content: "2", isError: false, step: 1 },
  { _tag: "StepFinished", step: 1, outcome: "acted", reason: "tool-calls", usage, state },
  { _tag: "Final", content: "2", usage, steps: 1 }
]

it("every event goes to JSON and back", () => {
  const json = JSON.stringify(events.map((event) => Schema.encodeSync(AgentEvent.AgentEvent)(event)))
  expect(Schema.decodeUnknownSync(Schema.Array(AgentEvent.AgentEvent))(JSON.parse(json))).toEqual(events)
})

describe("match", () => {
  it.effect("does nothing for what is left out, where cases are Effects", () =>
    Effect.gen(function* () {
      const told: Array<string> = []
      const tell = (text: string) => Effect.sync(() => void told.push(text))
      yield* Effect.forEach(
        events,
        AgentEvent.match({
          Thought: ({ content }) => tell(`thought ${content}`),
          Action: ({ toolName }) => tell(`action ${toolName}`),
          Observation: ({ content, isError }) => tell(`observation ${content} ${isError}`),
          Token: ({ content, phase }) => tell(`token ${content} ${phase}`),
          Final: ({ content }) => tell(`final ${content}`)
        })
      )
      expect(told).toEqual(["token Hm thought", "thought Hm", "action add", "observation 2 false", "final 2"])
    })
  )

  it("folds to anything, where each event has its case", () => {
    const steps = events.map((event) =>
      AgentEvent.match(event, {
        StepStarted: ({ step }) => step,
        StepFinished: () => undefined,
        Progress: ({ content }) => content,
        Thought: () => 0,
        Action: () => 0,
        Observation: () => 0,
        Token: () => 0,
        Final: ({ steps }) => steps
      })
    )
    expect(steps).toEqual([1, 0, 0, 0, "half", 0, undefined, 1])
  })
})

it("guards know their event", () => {
  expect(events.filter(AgentEvent.guards.Token).map(({ content }) => content)).toEqual(["Hm"])
})
