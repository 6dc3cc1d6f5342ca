import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as LlmResponse from "effect-rill/LlmResponse"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import type { Deviations, Feature } from "effect-rill/protocol/OpenAiChatDeviations"
import { readFileSync } from "node:fs"
import { bytes, decodeBytes } from "../support/decodeBytes.ts"
import { encoding, toolkit, weatherTurn } from "../support/describeEncode.ts"

const as = (deviations: Deviations) => encoding(OpenAiChat.make(deviations).encode)

const ask = { prompt: "Hi" } as const

const named = {
  prompt: [{ role: "user", content: "Hi", options: { openai: { name: "ada" } } }]
} satisfies LlmRequest

const schema = { type: "object", properties: { a: { type: "string" } } }

describe("what a server does not take is refused, and says what to do", () => {
  const features: ReadonlyArray<readonly [Feature, LlmRequest, RegExp]> = [
    ["toolkit", { ...ask, toolkit }, /cannot take tools\. Leave it out/],
    ["stop", { ...ask, stop: "a" }, /stop sequences/],
    ["seed", { ...ask, seed: 0 }, /a seed/],
    ["frequencyPenalty", { ...ask, frequencyPenalty: 0 }, /a frequency penalty/],
    ["presencePenalty", { ...ask, presencePenalty: 0 }, /a presence penalty/],
    ["json", { ...ask, responseFormat: { type: "json" } }, /JSON without a schema .* Give a schema/],
    [
      "json-schema",
      { ...ask, responseFormat: { type: "json-schema", schema } },
      /a JSON schema .* Describe the form in the prompt and ask for `responseFormat: \{ type: "json" \}`/
    ],
    ["name", named, /the name of a message/]
  ]

  it.each(features)("%s", (feature, request, message) => {
    const error = as({ unsupported: [feature] }).failure(request)
    expect(error).toMatchObject({ _tag: "Unsupported" })
    expect(error.message).toMatch(message)
    // The others are taken, and so is a request without it.
    const others = features.map(([name]) => name).filter((name) => name !== feature)
    expect(() => as({ unsupported: others }).body(request)).not.toThrow()
    expect(as({ unsupported: [feature] }).body(ask)).toEqual(as({}).body(ask))
  })

  it("what extra says is its caller's own", () =>
    expect(as({ unsupported: ["seed"] }).body({ ...ask, extra: { seed: 7 } })).toMatchObject({ seed: 7 }))
})

describe("fields", () => {
  it("of the token limit and of the seed", () => {
    const request = { ...ask, maxTokens: 5, seed: 7 }
    expect(as({ maxTokens: "max_tokens", seed: "random_seed" }).body(request)).toEqual({
      model: "gpt-test",
      messages: [{ role: "user", content: "Hi" }],
      max_tokens: 5,
      random_seed: 7,
      stream: true,
      stream_options: { include_usage: true }
    })
    expect(as({}).body(request)).toMatchObject({ max_completion_tokens: 5, seed: 7 })
  })

  it("of usage, where it need not be asked for", () =>
    expect(as({ streamOptions: false }).body(ask)).not.toHaveProperty("stream_options"))

  it("a developer's message is the system's", () => {
    const prompt: LlmRequest["prompt"] = [
      { role: "system", content: "Be kind.", options: { openai: { role: "developer" } } },
      { role: "user", content: "Hi" }
    ]
    expect(as({ developerRole: false }).body({ prompt })["messages"]).toMatchObject([{ role: "system" }, {}])
    expect(as({}).body({ prompt })["messages"]).toMatchObject([{ role: "developer" }, {}])
  })

  it("strict of a tool is left out", () => {
    const tools = (deviations: Deviations) => JSON.stringify(as(deviations).body({ ...ask, toolkit })["tools"])
    expect(tools({})).toContain('"strict":true')
    expect(tools({ strictTools: false })).not.toContain("strict")
  })

  it("any JSON by the schema of an object, and nothing else", () => {
    const format = (responseFormat?: LlmRequest["responseFormat"]) =>
      as({ json: "json_schema" }).body({ ...ask, responseFormat })["response_format"]
    expect(format({ type: "json" })).toEqual({
      type: "json_schema",
      json_schema: { name: "response", strict: false, schema: { type: "object" } }
    })
    expect(format({ type: "json-schema", schema, name: "a" })).toMatchObject({ json_schema: { name: "a", schema } })
    expect(format({ type: "text" })).toEqual({ type: "text" })
    expect(format()).toBeUndefined()
  })

  it("efforts of reasoning, each by its fields", () => {
    const { body, failure } = as({ reasoning: { none: { thinking: false }, high: { thinking: true, effort: "max" } } })
    expect(body({ ...ask, reasoning: "none" })).toEqual({ ...body(ask), thinking: false })
    expect(body({ ...ask, reasoning: "high" })).toEqual({ ...body(ask), thinking: true, effort: "max" })
    expect(failure({ ...ask, reasoning: "low" })).toMatchObject({
      _tag: "Unsupported",
      message: expect.stringMatching(/effort "low"\. They know none, high; .*`extra`/)
    })
  })
})

describe("a choice of tools", () => {
  const choose = (toolChoice: NonNullable<Deviations["toolChoice"]>, choice: LlmRequest["toolChoice"]) => {
    const { tool_choice, tools } = as({ toolChoice }).body({ ...ask, toolkit, toolChoice: choice }) as {
      tool_choice?: unknown
      tools?: ReadonlyArray<{ function: { name: string } }>
    }
    return [tools?.map((tool) => tool.function.name), tool_choice]
  }
  const both = ["weather", "now"]

  it.each([
    [{}, "none", both, "none"],
    [{ none: "no-tools" }, "none", undefined, undefined],
    [{ none: "no-tools" }, "auto", both, "auto"],
    [{ none: "no-tools" }, undefined, both, undefined],
    [{ required: "any" }, "required", both, "any"],
    [{ required: "any" }, "auto", both, "auto"],
    [{ required: "any" }, { tool: "now" }, both, { type: "function", function: { name: "now" } }],
    [{ some: "fewer-tools" }, { oneOf: ["now"] }, ["now"], "auto"],
    [{ some: "fewer-tools" }, { mode: "required", oneOf: ["now"] }, ["now"], "required"],
    [{ some: "fewer-tools", required: "any" }, { mode: "required", oneOf: ["weather"] }, ["weather"], "any"]
  ] as const)("%j %j", (said, choice, tools, expected) => expect(choose(said, choice)).toEqual([tools, expected]))

  it.each([
    [{ required: "unsupported" }, "required"],
    [
      { required: "unsupported", some: "fewer-tools" },
      { mode: "required", oneOf: ["now"] }
    ],
    [{ one: "unsupported" }, { tool: "now" }]
  ] as const)("%j %j is refused", (said, toolChoice) =>
    expect(as({ toolChoice: said }).failure({ ...ask, toolkit, toolChoice })).toMatchObject({
      _tag: "Unsupported",
      message: expect.stringContaining("ask for the call in the prompt")
    })
  )

  it("of a tool that is not there is refused as ever", () =>
    expect(
      as({ toolChoice: { some: "fewer-tools" } }).failure({ ...ask, toolkit, toolChoice: { oneOf: ["nowt"] } })
    ).toMatchObject({ _tag: "InvalidRequest", message: expect.stringContaining("nowt") }))
})

describe("reasoning goes back where the server wants it", () => {
  const assistants = (deviations: Deviations, prompt: LlmRequest["prompt"]) =>
    (as(deviations).body({ prompt })["messages"] as ReadonlyArray<{ role: string }>).filter(
      ({ role }) => role === "assistant"
    )

  const talk: LlmRequest["prompt"] = [
    { role: "user", content: "Hi" },
    {
      role: "assistant",
      content: [
        { type: "reasoning", text: "Greet." },
        { type: "text", text: "Hello" }
      ]
    },
    { role: "user", content: "Bye" }
  ]

  it("nowhere, unless it is said", () => {
    expect(JSON.stringify(assistants({}, weatherTurn))).not.toContain("Hm.")
    expect(JSON.stringify(assistants({}, talk))).not.toContain("Greet.")
  })

  it.each(["reasoning_content", "reasoning"] as const)("as %s beside tool calls, and only there", (history) => {
    const [called, answered] = assistants({ history }, weatherTurn)
    expect(called).toMatchObject({
      content: "Let me look.",
      [history]: "Hm.",
      tool_calls: [{ id: "c1" }, { id: "c2" }]
    })
    expect(answered).toEqual({ role: "assistant", content: "Blue." })
    expect(assistants({ history }, talk)).toEqual([{ role: "assistant", content: "Hello" }])
  })

  it("as a part of the content", () => {
    const thinking = (text: string) => ({ type: "thinking", thinking: [{ type: "text", text }] })
    expect(assistants({ history: "thinking" }, talk)).toEqual([
      { role: "assistant", content: [thinking("Greet."), { type: "text", text: "Hello" }] }
    ])
    const [called, answered] = assistants({ history: "thinking" }, weatherTurn)
    expect(called).toMatchObject({ content: [thinking("Hm."), { type: "text", text: "Let me look." }] })
    expect(answered).toEqual({ role: "assistant", content: "Blue." })
    const alone: LlmRequest["prompt"] = [
      { role: "user", content: "Hi" },
      { role: "assistant", content: [{ type: "reasoning", text: "Hm." }] }
    ]
    expect(assistants({ history: "thinking" }, alone)).toEqual([{ role: "assistant", content: [thinking("Hm.")] }])
  })

  const answerOf = (name: string) =>
    Effect.map(
      decodeBytes(OpenAiChat.protocol, [
        new Uint8Array(readFileSync(new URL(`../fixtures/openai-chat/${name}.sse`, import.meta.url)))
      ]),
      ({ events }) => LlmResponse.fromEvents(events)
    )

  it.effect("as the details that OpenRouter told, whole and in their order", () =>
    Effect.gen(function* () {
      const { toMessage } = yield* answerOf("reasoning-details")
      const [message] = assistants({ history: "reasoning_details" }, [{ role: "user", content: "Hi" }, toMessage])
      expect(message).toEqual({
        role: "assistant",
        content: null,
        reasoning_details: [
          { type: "reasoning.text", text: "Let me see.", signature: "c2ln", format: "anthropic-claude-v1", index: 0 },
          { type: "reasoning.summary", summary: "Short.", index: 1 },
          { type: "reasoning.text", text: "Again.", index: 2 },
          { type: "reasoning.encrypted", data: "AAA", id: "call_1", index: 0 },
          { type: "reasoning.encrypted", data: "BBB", id: "call_2", index: 0 }
        ],
        tool_calls: [{ id: "call_1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } }]
      })
      // Other servers get none of it.
      expect(JSON.stringify(assistants({}, [{ role: "user", content: "Hi" }, toMessage]))).not.toContain("Let me see")
    })
  )

  it.effect("an answer without details has none", () =>
    Effect.gen(function* () {
      const { toMessage } = yield* answerOf("text")
      expect(toMessage.options).toEqual({})
      const [message] = assistants({ history: "reasoning_details" }, [{ role: "user", content: "Hi" }, toMessage])
      expect(message).not.toHaveProperty("reasoning_details")
    })
  )
})

// Law 1: a deployment that sends neither end says so, never by default.
describe("a server whose answers end with the body alone", () => {
  const chunk = (content: string) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`
  const decode = (deviations: Deviations, body: string) => decodeBytes(OpenAiChat.make(deviations), [bytes(body)])

  it.effect("is complete at its end, if it says so", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode({ end: "input" }, chunk("Once") + chunk(" upon"))
      expect(error).toBeUndefined()
      expect(LlmResponse.fromEvents(events)).toMatchObject({ text: "Once upon", finishReason: "other" })
      expect(events.at(-1)).toMatchObject({ _tag: "Finished" })
    })
  )

  it.effect.each([{}, { end: "finish_reason" }] as const)("is Truncated by default: %j", (deviations) =>
    Effect.gen(function* () {
      const { error } = yield* decode(deviations, chunk("Once"))
      expect(error).toMatchObject({ reason: { _tag: "Truncated" }, emitted: 4 })
    })
  )

  it.effect("is Truncated if it has not begun, and fails as others do", () =>
    Effect.gen(function* () {
      const tag = (body: string) => Effect.map(decode({ end: "input" }, body), ({ error }) => error?.reason._tag)
      expect(yield* tag("")).toBe("Truncated")
      expect(yield* tag(": ping\n\n")).toBe("Truncated")
      expect(yield* tag(`${chunk("Once")}data: {"error":{"message":"Overloaded"}}\n\n`)).toBe("Overloaded")
    })
  )
})
