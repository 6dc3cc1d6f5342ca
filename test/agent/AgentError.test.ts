import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import * as AgentError from "effect-rill/agent/AgentError"
import { LlmError, Overloaded, Authentication } from "effect-rill/LlmError"

const usage = { source: "exact", inputTokens: 3, outputTokens: 4 } as const
const model = (reason: LlmError["reason"]) => new LlmError({ reason, provider: "test", phase: "headers", emitted: 0 })

const reasons: ReadonlyArray<readonly [AgentError.Reason, string]> = [
  [new AgentError.ModelFailed({ error: model(new Overloaded({ message: "busy." })) }), "test: Overloaded: busy."],
  [new AgentError.LimitExceeded({ which: "steps", limit: 3 }), "no answer within 3 steps. Raise `maxSteps`"],
  [new AgentError.LimitExceeded({ which: "duration", limit: 300 }), "within 300 ms. Raise `maxDuration`"],
  [new AgentError.LimitExceeded({ which: "tool-calls", limit: 5 }), "within 5 tool calls. Raise `maxToolCalls`"],
  [new AgentError.LimitExceeded({ which: "tokens", limit: 9 }), "within 9 tokens. Raise `tokenBudget`"],
  [new AgentError.Unreadable({ repairs: 2 }), "told so 2 times"],
  [new AgentError.ToolFailed({ id: "secret", toolName: "secret", failure: "unknown" }), "a tool that there is not"],
  [new AgentError.ToolFailed({ id: "1", toolName: "secret", failure: "handler", error: "secret" }), "handler failed"],
  [new AgentError.SessionBusy(), "another run of this session"]
]

const errorOf = (reason: AgentError.Reason) =>
  new AgentError.AgentError({ reason, transcript: Prompt.make("secret"), usage, step: 2 })

describe.each(reasons)("%o", (reason, words) => {
  const error = errorOf(reason)

  it("says what happened, and nothing of the conversation", () => {
    expect(error.message).toContain(`agent: ${reason._tag}: `)
    expect(error.message).toContain(words)
    for (const shown of [
      error.message,
      String(error),
      inspect(error, { depth: 9 }),
      JSON.stringify(error),
      Cause.pretty(Cause.fail(error))
    ]) {
      expect(shown).not.toContain("secret")
    }
  })

  it("goes to JSON and back", () => {
    const json = JSON.stringify(Schema.encodeSync(AgentError.AgentError)(error))
    const back = Schema.decodeUnknownSync(AgentError.AgentError)(JSON.parse(json))
    expect([back.reason._tag, back.message, back.step, back.usage]).toEqual([reason._tag, error.message, 2, usage])
    expect(back.transcript).toEqual(error.transcript)
    expect(AgentError.isAgentError(back)).toBe(true)
  })
})

it("may be tried again if its model may", () => {
  const [overloaded, refused] = [new Overloaded({ message: "" }), new Authentication({ message: "" })].map(
    (reason) => errorOf(new AgentError.ModelFailed({ error: model(reason) })).isRetryable
  )
  expect([overloaded, refused]).toEqual([true, false])
  expect(errorOf(new AgentError.Unreadable({ repairs: 2 })).isRetryable).toBe(false)
})
