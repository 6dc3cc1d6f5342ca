import { LlmError, Truncated } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import { expect, it } from "vitest"

const usage = { source: "exact", outputTokens: 5 } as const
const error = new LlmError({ reason: new Truncated({ message: "x" }), provider: "p", phase: "mid-output", emitted: 1 })

const events: ReadonlyArray<LlmEvent> = [
  { _tag: "Started", id: "r1", provider: "p", model: "m" },
  { _tag: "ReasoningDelta", text: "Fi" },
  { _tag: "ReasoningDelta", text: "rst.", metadata: { anthropic: { signature: "s1" } } },
  { _tag: "ReasoningDelta", text: "Second." },
  { _tag: "TextDelta", text: "Let me" },
  { _tag: "TextDelta", text: " look." },
  { _tag: "Source", sourceType: "url", url: "https://example.com" },
  { _tag: "ToolCallStarted", id: "c1", name: "weather" },
  { _tag: "ToolCallDelta", id: "c1", delta: "{}" },
  { _tag: "ToolCalled", id: "c1", name: "weather", input: {}, metadata: { google: { thoughtSignature: "t" } } },
  { _tag: "Finished", reason: "tool-calls", rawReason: "tool_use", usage, metadata: { p: { a: 1 } } }
]

it("folds a turn, and its history entry keeps order and metadata", () => {
  const response = LlmResponse.fromEvents(events)
  expect(response).toMatchObject({
    id: "r1",
    provider: "p",
    model: "m",
    text: "Let me look.",
    reasoning: "First.Second.",
    refusal: "",
    toolCalls: [{ id: "c1", name: "weather", input: {} }],
    sources: [{ sourceType: "url", url: "https://example.com" }],
    finishReason: "tool-calls",
    rawReason: "tool_use",
    usage
  })
  expect(response.toMessage).toMatchObject({
    role: "assistant",
    options: { p: { a: 1 } },
    content: [
      { type: "reasoning", text: "First.", options: { anthropic: { signature: "s1" } } },
      { type: "reasoning", text: "Second.", options: {} },
      { type: "text", text: "Let me look." },
      { type: "tool-call", id: "c1", name: "weather", params: {}, options: { google: { thoughtSignature: "t" } } }
    ]
  })
})

it("a restart voids what came before", () => {
  const response = LlmResponse.fromEvents([
    { _tag: "TextDelta", text: "old" },
    { _tag: "Refusal", text: "old" },
    { _tag: "Source", sourceType: "url" },
    { _tag: "Restarted", error },
    { _tag: "TextDelta", text: "new" },
    { _tag: "Finished", reason: "stop", usage }
  ])
  expect(response).toMatchObject({ text: "new", refusal: "", sources: [] })
})

it("a turn that has not ended has no reason, and its usage is an estimate", () => {
  const response = LlmResponse.fromEvents([{ _tag: "TextDelta", text: "12345" }])
  expect(response).toMatchObject({
    text: "12345",
    finishReason: "other",
    usage: { source: "estimated", outputTokens: 2 }
  })
  expect(response.id).toBeUndefined()
})

it("a refusal is in the history, so that the user's message is not unanswered", () => {
  const response = LlmResponse.fromEvents([{ _tag: "Refusal", text: "No." }])
  expect(response.toMessage.content).toMatchObject([{ type: "text", text: "No." }])
})
