import * as Prompt from "effect/ai/Prompt"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as AgentError from "effect-rill/agent/AgentError"
import { AgentEvent } from "effect-rill/agent/AgentEvent"
import * as EventJson from "effect-rill/delivery/EventJson"
import * as LlmErrors from "effect-rill/LlmError"
import { LlmEvent } from "effect-rill/LlmEvent"
import { describe, expect, it } from "vitest"

const { LlmError } = LlmErrors
const awkward = 'a "quoted"\\ line\r\nthen\u2028an é, an 😀, half of one \ud83d and \u0000'
const usage = { source: "exact", inputTokens: 7, outputTokens: 3, raw: { total: 10 } } as const

const turn: ReadonlyArray<LlmEvent> = [
  { _tag: "Started", id: "a", provider: "openai", model: "gpt" },
  { _tag: "Started" },
  { _tag: "TextDelta", text: awkward },
  { _tag: "ReasoningDelta", text: awkward },
  { _tag: "ReasoningDelta", text: "", metadata: { anthropic: { signature: "s" } } },
  { _tag: "Refusal", text: awkward },
  { _tag: "ToolCallStarted", id: "c\n", name: "search" },
  { _tag: "ToolCallDelta", id: 'c"', delta: awkward },
  { _tag: "ToolCalled", id: "c", name: "search", input: { topic: [awkward, null, 1] }, metadata: { google: { a: 1 } } },
  { _tag: "Source", sourceType: "url", url: "https://example.com", title: awkward },
  { _tag: "Finished", reason: "stop", rawReason: "end", usage, metadata: { openai: { id: "x" } } }
]

const run: ReadonlyArray<AgentEvent> = [
  { _tag: "StepStarted", step: 1 },
  { _tag: "Token", content: awkward, step: 1, phase: "thought" },
  { _tag: "Token", content: awkward, step: 2, phase: "answer" },
  { _tag: "Thought", content: awkward, step: 1 },
  { _tag: "Action", id: "c", toolName: "search", input: { topic: awkward }, step: 1 },
  { _tag: "Progress", id: "c", toolName: "search", content: awkward, step: 1 },
  { _tag: "Observation", id: "c", toolName: "search", content: awkward, isError: true, step: 1 },
  { _tag: "Final", content: awkward, usage, steps: 2 }
]

const limited = new LlmError({
  reason: new LlmErrors.RateLimited({ message: "too many requests. Wait.", status: 429, code: "rate" }),
  provider: "openai",
  model: "gpt",
  phase: "mid-output",
  emitted: 12,
  usage,
  requestId: "req_1",
  retryAfter: Duration.millis(2500)
})

const limitedFailure = {
  reason: "RateLimited",
  message: "openai/gpt: RateLimited: too many requests. Wait. Before the next try, wait 3 s. (request req_1)",
  isRetryable: true,
  retryAfter: 2.5,
  provider: "openai",
  model: "gpt",
  phase: "mid-output",
  emitted: 12,
  usage
}

const agentError = (reason: AgentError.Reason) =>
  new AgentError.AgentError({ reason, transcript: Prompt.make("a secret prompt"), usage, step: 2 })

describe("encode", () => {
  it.each(turn)("writes $_tag as its schema's JSON encoding, on one line", (event) => {
    const json = EventJson.encode(event)
    expect(json).not.toMatch(/[\r\n]/)
    expect(JSON.parse(json)).toEqual(Schema.encodeSync(Schema.toCodecJson(LlmEvent))(event))
    expect(Schema.decodeUnknownSync(Schema.toCodecJson(LlmEvent))(JSON.parse(json))).toEqual(event)
  })

  it.each(run)("writes $_tag as its schema's JSON encoding, on one line", (event) => {
    const json = EventJson.encode(event)
    expect(json).not.toMatch(/[\r\n]/)
    expect(JSON.parse(json)).toEqual(Schema.encodeSync(Schema.toCodecJson(AgentEvent))(event))
    expect(Schema.decodeUnknownSync(Schema.toCodecJson(AgentEvent))(JSON.parse(json))).toEqual(event)
  })

  it("tells a step without its conversation", () => {
    const state = Prompt.make([{ role: "system", content: "a secret prompt" }])
    const event = { _tag: "StepFinished", step: 1, outcome: "acted", reason: "tool-calls", usage, state } as const
    const { state: _state, ...told } = event
    expect(JSON.parse(EventJson.encode(event))).toEqual(told)
  })

  it("writes errors inside of events as failures", () => {
    const told: ReadonlyArray<LlmEvent> = [
      { _tag: "AttemptFailed", attempt: 1, error: limited },
      { _tag: "Restarted", error: limited },
      { _tag: "Switched", from: "a", to: "b", error: limited }
    ]
    for (const event of told) expect(JSON.parse(EventJson.encode(event))).toEqual({ ...event, error: limitedFailure })
  })
})

describe("failure", () => {
  it("of a turn says all that helps, by its schema", () => {
    expect(EventJson.failure(limited)).toEqual(limitedFailure)
    expect(Schema.is(EventJson.Failure)(EventJson.failure(limited))).toBe(true)
    const bare = new LlmError({
      reason: new LlmErrors.Truncated({ message: "cut" }),
      provider: "llm",
      phase: "headers",
      emitted: 0
    })
    expect(Object.keys(EventJson.failure(bare))).toEqual([
      "reason",
      "message",
      "isRetryable",
      "provider",
      "phase",
      "emitted"
    ])
  })

  it("of an agent's model is the model's, with what the run used", () => {
    const failure = EventJson.failure(agentError(new AgentError.ModelFailed({ error: limited })))
    expect(failure).toEqual({ ...limitedFailure, message: `agent: ModelFailed: ${limited.message}` })
  })

  it("of an agent says nothing of the conversation or of what a tool failed with", () => {
    const error = agentError(
      new AgentError.ToolFailed({ id: "c", toolName: "search", failure: "handler", error: "a secret" })
    )
    const failure = EventJson.failure(error)
    expect(failure).toEqual({ reason: "ToolFailed", message: error.message, isRetryable: false, usage })
    expect(JSON.stringify(failure)).not.toContain("secret")
  })

  it("of a defect says that there was one", () => {
    expect(Schema.is(EventJson.Failure)(EventJson.internal)).toBe(true)
    expect(EventJson.internal.reason).toBe("Internal")
  })
})

describe("status", () => {
  const message = "m"
  it.each([
    [new LlmErrors.Unreachable({ message }), 502],
    [new LlmErrors.Authentication({ message }), 502],
    [new LlmErrors.PermissionDenied({ message }), 502],
    [new LlmErrors.NotFound({ message }), 502],
    [new LlmErrors.InvalidRequest({ message }), 400],
    [new LlmErrors.ContextTooLong({ message }), 413],
    [new LlmErrors.QuotaExhausted({ message }), 503],
    [new LlmErrors.RateLimited({ message }), 429],
    [new LlmErrors.Overloaded({ message }), 503],
    [new LlmErrors.ProviderFailed({ message }), 502],
    [new LlmErrors.ContentFiltered({ message }), 422],
    [new LlmErrors.DeadlineExceeded({ message, which: "idle" }), 504],
    [new LlmErrors.Disconnected({ message }), 502],
    [new LlmErrors.Truncated({ message }), 502],
    [new LlmErrors.Malformed({ message }), 502],
    [new LlmErrors.InvalidOutput({ message, path: [] }), 502],
    [new LlmErrors.Unsupported({ message, feature: "f" }), 400],
    [new LlmErrors.BudgetExceeded({ message }), 429],
    [new LlmErrors.CircuitOpen({ message }), 503]
  ] as const)("of %o is %i, also where it is an agent's", (reason, expected) => {
    const error = new LlmError({ reason, provider: "test", phase: "request", emitted: 0 })
    expect(EventJson.status(error)).toBe(expected)
    expect(EventJson.status(agentError(new AgentError.ModelFailed({ error })))).toBe(expected)
  })

  it.each([
    [new AgentError.LimitExceeded({ which: "steps", limit: 1 }), 500],
    [new AgentError.Unreadable({ repairs: 2 }), 502],
    [new AgentError.ToolFailed({ id: "c", toolName: "t", failure: "timeout" }), 500],
    [new AgentError.SessionBusy({}), 409]
  ] as const)("of %o is %i", (reason, expected) => {
    expect(EventJson.status(agentError(reason))).toBe(expected)
  })
})
