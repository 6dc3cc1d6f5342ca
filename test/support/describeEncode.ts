import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Reason } from "effect-rill/LlmError"
import type { LlmRequest } from "effect-rill/LlmRequest"
import type { EncodedRequest } from "effect-rill/protocol/Protocol"

type Encode = (request: LlmRequest, model: string) => Result.Result<EncodedRequest, Reason>

/** The bodies and the refusals of a protocol. */
export const encoding = (encode: Encode) => ({
  /** The body as it is sent. */
  body: (request: LlmRequest, model = "gpt-test"): Record<string, unknown> => {
    const encoded = encode(request, model)
    if (Result.isFailure(encoded)) throw encoded.failure
    return JSON.parse(JSON.stringify(encoded.success.body)) as Record<string, unknown>
  },
  failure: (request: unknown): Reason => {
    const encoded = encode(request as LlmRequest, "gpt-test")
    if (Result.isSuccess(encoded)) throw new Error("it was encoded")
    return encoded.failure
  }
})

const Weather = Tool.make("weather", {
  description: "The weather of a city",
  parameters: Schema.Struct({ city: Schema.String, days: Schema.optional(Schema.Number) }),
  success: Schema.String
})
const Now = Tool.make("now", { success: Schema.String }).annotate(Tool.Strict, true)

/** Its input is one of two, which OpenAI does not enforce at the root. */
const Either = Tool.make("either", {
  parameters: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })]),
  success: Schema.String
}).annotate(Tool.Strict, true)

/** Two tools: `weather`, and `now`, which is strict. */
export const toolkit = Toolkit.make(Weather, Now)

/** A turn of two calls, of which one has no clock, and their results: JSON, an error, what the tool gave for the model. */
export const weatherTurn: Prompt.RawInput = [
  { role: "user", content: "Weather?" },
  {
    role: "assistant",
    content: [
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "Let me " },
      { type: "text", text: "look." },
      { type: "tool-call", id: "c1", name: "weather", params: { city: "Bern" } },
      { type: "tool-call", id: "c2", name: "now", params: {} }
    ]
  },
  {
    role: "tool",
    content: [
      { type: "tool-result", id: "c1", name: "weather", isFailure: false, result: { sky: "blue" } },
      { type: "tool-result", id: "c2", name: "now", isFailure: true, result: "no clock" },
      {
        type: "tool-result",
        id: "c3",
        name: "now",
        isFailure: false,
        result: 1,
        modelOutput: [{ type: "text", text: "one" }]
      }
    ]
  },
  { role: "assistant", content: "Blue." }
]

/** A user's message that is a file. */
export const file = (mediaType: string, data: string | Uint8Array | URL = "AQID", more = {}) =>
  Prompt.fromMessages([Prompt.userMessage({ content: [Prompt.filePart({ mediaType, data, ...more })] })])

/** What every protocol refuses before it is sent. */
export const describeBadInput = (encode: Encode) => {
  const { failure } = encoding(encode)
  describe("bad input is refused, and says what is wrong", () => {
    it.each([
      [{ prompt: "Hi", temperature: Number.NaN }, /temperature .* not NaN/],
      [{ prompt: "Hi", temperature: "hot" }, /temperature .* type string/],
      [{ prompt: "Hi", maxTokens: 0 }, /maxTokens must be a whole number of at least 1, not 0/],
      [{ prompt: "Hi", maxTokens: 1.5 }, /maxTokens must be a whole number/],
      [{ prompt: "Hi", topP: 1.1 }, /topP must be a number from 0 to 1, not 1.1/],
      [{ prompt: "Hi", seed: 0.5 }, /seed must be a whole number/],
      [{ prompt: "Hi", model: "" }, /model/],
      [{ prompt: "Hi", system: 1 }, /system must be a string/],
      [{ prompt: [] }, /no message/],
      [{ prompt: [{ role: "system", content: "x" }] }, /no message/],
      [{ prompt: undefined }, /the prompt must be/],
      [{ prompt: 7 }, /the prompt must be/],
      [{ prompt: [{ role: "robot", content: "secret words" }] }, /role/],
      [{ prompt: "Hi", toolkit, toolChoice: { tool: "nowt" } }, /nowt/]
    ])("InvalidRequest: %j", (request, message) => {
      const error = failure(request)
      expect(error._tag).toBe("InvalidRequest")
      expect(error.message).toMatch(message)
      expect(error.message).not.toContain("secret words")
    })
  })
}

/** What protocols refuse that send OpenAI's strict dialect of JSON Schema. */
export const describeStrictSchemas = (encode: Encode) => {
  const { failure } = encoding(encode)
  it.each([
    [
      { prompt: "Hi", responseFormat: { type: "json-schema", schema: Schema.Array(Schema.String) } },
      /responseFormat has no JSON Schema .*Llm\.object/
    ],
    [{ prompt: "Hi", toolkit: Toolkit.make(Either) }, /the input of the tool either has no JSON Schema/]
  ])("a schema that OpenAI does not enforce is InvalidRequest: %j", (request, message) => {
    const error = failure(request)
    expect(error._tag).toBe("InvalidRequest")
    expect(error.message).toMatch(message)
  })
}
