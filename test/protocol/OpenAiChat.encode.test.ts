import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Schema from "effect/Schema"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import {
  describeBadInput,
  describeStrictSchemas,
  encoding,
  file,
  toolkit,
  weatherTurn
} from "../support/describeEncode.ts"

const { body, failure } = encoding(OpenAiChat.encode)

const messages = (prompt: Prompt.RawInput): unknown => body({ prompt })["messages"]

describe("a request", () => {
  it("of a prompt alone asks for a stream with usage, and for nothing else", () =>
    expect(body({ prompt: "Hi" })).toEqual({
      model: "gpt-test",
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
      stream_options: { include_usage: true }
    }))

  it("has every setting under OpenAI's name", () =>
    expect(
      body({
        prompt: "Hi",
        model: "other",
        temperature: 0,
        maxTokens: 10,
        topP: 0.9,
        stop: ["a", "b"],
        seed: 7,
        frequencyPenalty: -1,
        presencePenalty: 1.5,
        reasoning: "low",
        extra: { logit_bias: { "50256": -100 }, user: "u1" }
      })
    ).toMatchObject({
      model: "other",
      temperature: 0,
      max_completion_tokens: 10,
      top_p: 0.9,
      stop: ["a", "b"],
      seed: 7,
      frequency_penalty: -1,
      presence_penalty: 1.5,
      reasoning_effort: "low",
      logit_bias: { "50256": -100 },
      user: "u1",
      stream: true
    }))

  it("takes extra as it is, but stays a stream", () =>
    expect(body({ prompt: "Hi", extra: { stream: false, temperature: 2, stream_options: null } })).toMatchObject({
      stream: true,
      temperature: 2,
      stream_options: null
    }))
})

describe("messages", () => {
  it("system comes first; a system message may be the developer's", () =>
    expect(
      body({
        system: "Be brief.",
        prompt: [
          { role: "system", content: "Be kind.", options: { openai: { role: "developer" } } },
          { role: "user", content: "Hi", options: { openai: { name: "ada" } } }
        ]
      })["messages"]
    ).toEqual([
      { role: "system", content: "Be brief." },
      { role: "developer", content: "Be kind." },
      { role: "user", name: "ada", content: "Hi" }
    ]))

  it("a user's parts: text, images, audio, documents", () => {
    const bytes = new Uint8Array([1, 2, 3])
    const part = (mediaType: string, data: string | Uint8Array | URL, more = {}) =>
      Prompt.filePart({ mediaType, data, ...more })
    const content = [
      Prompt.textPart({ text: "See" }),
      part("image/png", bytes, { options: { openai: { imageDetail: "low" } } }),
      part("image/*", bytes),
      part("image/jpeg", new URL("https://example.com/a.jpg")),
      part("image/jpeg", "https://example.com/b.jpg"),
      part("image/gif", "AQID"),
      part("audio/wav", bytes),
      part("audio/mpeg", "AQID"),
      part("application/pdf", bytes, { fileName: "a.pdf" }),
      part("application/pdf", "file-abc")
    ]
    expect(messages(Prompt.fromMessages([Prompt.userMessage({ content })]))).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "See" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AQID", detail: "low" } },
          { type: "image_url", image_url: { url: "data:image/jpeg;base64,AQID" } },
          { type: "image_url", image_url: { url: "https://example.com/a.jpg" } },
          { type: "image_url", image_url: { url: "https://example.com/b.jpg" } },
          { type: "image_url", image_url: { url: "data:image/gif;base64,AQID" } },
          { type: "input_audio", input_audio: { data: "AQID", format: "wav" } },
          { type: "input_audio", input_audio: { data: "AQID", format: "mp3" } },
          { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AQID" } },
          { type: "file", file: { file_id: "file-abc" } }
        ]
      }
    ])
  })

  it("tool calls and their results", () =>
    expect(messages(weatherTurn)).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: "Let me look.",
        tool_calls: [
          { id: "c1", type: "function", function: { name: "weather", arguments: '{"city":"Bern"}' } },
          { id: "c2", type: "function", function: { name: "now", arguments: "{}" } }
        ]
      },
      { role: "tool", tool_call_id: "c1", content: '{"sky":"blue"}' },
      { role: "tool", tool_call_id: "c2", content: "no clock" },
      { role: "tool", tool_call_id: "c3", content: "one" },
      { role: "assistant", content: "Blue." }
    ]))
})

describe("tools", () => {
  it("are functions with JSON Schema, strict where annotated", () => {
    const { tools } = body({ prompt: "Hi", toolkit }) as { tools: ReadonlyArray<{ function: Record<string, unknown> }> }
    expect(tools).toMatchObject([
      {
        type: "function",
        function: {
          name: "weather",
          description: "The weather of a city",
          parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
        }
      },
      { type: "function", function: { name: "now", strict: true } }
    ])
    expect(tools[0]!.function).not.toHaveProperty("strict")
  })

  it.each([
    ["auto", "auto"],
    ["none", "none"],
    ["required", "required"],
    [{ tool: "now" }, { type: "function", function: { name: "now" } }],
    [
      { mode: "required", oneOf: ["now", "weather"] },
      {
        type: "allowed_tools",
        allowed_tools: {
          mode: "required",
          tools: [
            { type: "function", function: { name: "now" } },
            { type: "function", function: { name: "weather" } }
          ]
        }
      }
    ]
  ] as const)("choice %j", (toolChoice, expected) =>
    expect(body({ prompt: "Hi", toolkit, toolChoice })["tool_choice"]).toEqual(expected)
  )

  it("choice without tools is sent, and one of a tool refused", () => {
    expect(body({ prompt: "Hi", toolChoice: "required" })["tool_choice"]).toBe("required")
    expect(failure({ prompt: "Hi", toolChoice: { tool: "weather" } })).toMatchObject({ _tag: "InvalidRequest" })
  })
})

describe("response format", () => {
  const schema = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Number) })

  it("of a schema is strict, in the form that OpenAI enforces", () => {
    const format = body({ prompt: "Hi", responseFormat: { type: "json-schema", schema, name: "person" } })[
      "response_format"
    ]
    expect(format).toMatchObject({
      type: "json_schema",
      json_schema: { name: "person", strict: true, schema: { type: "object", additionalProperties: false } }
    })
  })

  it("of JSON Schema is sent as it is", () => {
    const plain = { type: "object", properties: { a: { type: "string" } } }
    expect(
      body({ prompt: "Hi", responseFormat: { type: "json-schema", schema: plain, strict: false } })["response_format"]
    ).toEqual({ type: "json_schema", json_schema: { name: "response", strict: false, schema: plain } })
  })

  it("of any JSON, of text", () => {
    expect(body({ prompt: "Hi", responseFormat: { type: "json" } })["response_format"]).toEqual({ type: "json_object" })
    expect(body({ prompt: "Hi", responseFormat: { type: "text" } })["response_format"]).toEqual({ type: "text" })
  })
})

describeBadInput(OpenAiChat.encode)
describeStrictSchemas(OpenAiChat.encode)

describe("what chat completions have no place for", () => {
  it.each([
    [file("video/mp4"), /video\/mp4/],
    [file("audio/wav", "https://example.com/a.wav"), /audio by URL/],
    [file("application/pdf", "https://example.com/a.pdf"), /PDF by URL/]
  ])("Unsupported: %#", (prompt, message) => {
    const error = failure({ prompt })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(message)
  })
})
