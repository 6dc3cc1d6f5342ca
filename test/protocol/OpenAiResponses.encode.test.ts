import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Schema from "effect/Schema"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as OpenAiResponses from "effect-rill/protocol/OpenAiResponses"
import {
  describeBadInput,
  describeStrictSchemas,
  encoding,
  file,
  toolkit,
  weatherTurn
} from "../support/describeEncode.ts"

const { body, failure } = encoding(OpenAiResponses.encode)

const input = (prompt: Prompt.RawInput, more: Omit<LlmRequest, "prompt"> = {}): unknown =>
  body({ prompt, ...more })["input"]

const encrypted = ["reasoning.encrypted_content"]

describe("a request", () => {
  it("of a prompt alone asks for a stream, stores nothing, and asks for nothing else", () =>
    expect(body({ prompt: "Hi" })).toEqual({
      model: "gpt-test",
      input: [{ role: "user", content: "Hi" }],
      store: false,
      stream: true
    }))

  it("has every setting under OpenAI's name", () =>
    expect(
      body({
        prompt: "Hi",
        system: "Be brief.",
        model: "other",
        temperature: 0,
        maxTokens: 16,
        topP: 0.9,
        reasoning: "low",
        extra: { metadata: { a: "b" }, prompt_cache_key: "k" }
      })
    ).toEqual({
      model: "other",
      instructions: "Be brief.",
      input: [{ role: "user", content: "Hi" }],
      temperature: 0,
      max_output_tokens: 16,
      top_p: 0.9,
      reasoning: { effort: "low", summary: "auto" },
      include: encrypted,
      metadata: { a: "b" },
      prompt_cache_key: "k",
      store: false,
      stream: true
    }))

  it.each(["stop", "seed", "frequencyPenalty", "presencePenalty"] as const)(
    "with %s is refused, and sent to chat completions",
    (setting) => {
      const error = failure({ prompt: "Hi", [setting]: setting === "stop" ? "x" : 1 })
      expect(error).toMatchObject({ _tag: "Unsupported", feature: setting })
      expect(error.message).toMatch(/`api: "chat"`/)
    }
  )
})

describe("extra", () => {
  it("has the last word, but the answer stays a stream", () =>
    expect(
      body({ prompt: "Hi", temperature: 1, extra: { stream: false, temperature: 2, store: true, input: "Ho" } })
    ).toEqual({ model: "gpt-test", input: "Ho", temperature: 2, store: true, stream: true }))

  it("text and reasoning are laid over ours", () =>
    expect(
      body({
        prompt: "Hi",
        responseFormat: { type: "json" },
        reasoning: "high",
        extra: { text: { verbosity: "low" }, reasoning: { summary: null } }
      })
    ).toMatchObject({
      text: { format: { type: "json_object" }, verbosity: "low" },
      reasoning: { effort: "high", summary: null },
      include: encrypted
    }))

  it("text and reasoning may be all that there is, or nothing", () => {
    expect(body({ prompt: "Hi", extra: { text: { verbosity: "low" }, reasoning: { effort: "low" } } })).toMatchObject({
      text: { verbosity: "low" },
      reasoning: { effort: "low" },
      include: encrypted
    })
    expect(body({ prompt: "Hi", reasoning: "low", extra: { reasoning: null, include: null } })).toMatchObject({
      reasoning: null,
      include: null
    })
  })

  it("include and tools are added to ours", () => {
    const { include, tools } = body({
      prompt: "Hi",
      reasoning: "low",
      toolkit,
      extra: { include: ["message.output_text.logprobs", ...encrypted], tools: [{ type: "web_search" }] }
    })
    expect(include).toEqual([...encrypted, "message.output_text.logprobs"])
    expect(tools).toMatchObject([{ name: "weather" }, { name: "now" }, { type: "web_search" }])
    expect(body({ prompt: "Hi", extra: { include: ["a"], tools: [{ type: "web_search" }] } })).toMatchObject({
      include: ["a"],
      tools: [{ type: "web_search" }]
    })
  })
})

// Models that do not reason answer a request for it with 400.
describe("encrypted reasoning is asked for", () => {
  const asks = (model: string, more: Omit<LlmRequest, "prompt"> = {}) =>
    "include" in body({ prompt: "Hi", ...more }, model)

  it.each([
    "o1",
    "o3-mini",
    "o4-mini",
    "gpt-5",
    "gpt-5.3-codex",
    "gpt-6-nano",
    "gpt-10",
    "codex-mini-latest",
    "openai/gpt-5-mini"
  ])("of %s", (model) => expect(asks(model)).toBe(true))

  it.each([
    "gpt-4o",
    "gpt-4.1-mini",
    "gpt-4.5-preview",
    "gpt-5-chat-latest",
    "gpt-3.5-turbo",
    "gpt-oss-20b",
    "llama3",
    "omni",
    "my-o1"
  ])("not of %s", (model) => expect(asks(model)).toBe(false))

  it("where an effort is wanted, and not where none is or the provider keeps its items", () => {
    expect(asks("my-deployment", { reasoning: "minimal" })).toBe(true)
    expect(asks("gpt-5.1", { reasoning: "none" })).toBe(false)
    expect(asks("gpt-5", { extra: { store: true } })).toBe(false)
    expect(body({ prompt: "Hi", reasoning: "none" })["reasoning"]).toEqual({ effort: "none" })
  })

  it("of the model that the request names", () => {
    expect(asks("gpt-4o", { model: "gpt-5" })).toBe(true)
    expect(asks("gpt-5", { model: "gpt-4o" })).toBe(false)
  })
})

describe("messages", () => {
  it("system is instructions; system messages stay where they are and may be the developer's", () => {
    const { input, instructions } = body({
      system: "Be brief.",
      prompt: [
        { role: "system", content: "Be kind.", options: { openai: { role: "developer" } } },
        { role: "user", content: "Hi" },
        { role: "system", content: "Now in French." }
      ]
    })
    expect(instructions).toBe("Be brief.")
    expect(input).toEqual([
      { role: "developer", content: "Be kind." },
      { role: "user", content: "Hi" },
      { role: "system", content: "Now in French." }
    ])
  })

  it("a user's parts: text, images, documents", () => {
    const bytes = new Uint8Array([1, 2, 3])
    const part = (mediaType: string, data: string | Uint8Array | URL, more = {}) =>
      Prompt.filePart({ mediaType, data, ...more })
    const content = [
      Prompt.textPart({ text: "See" }),
      part("image/png", bytes, { options: { openai: { imageDetail: "low" } } }),
      part("image/*", bytes),
      part("image/jpeg", new URL("https://example.com/a.jpg")),
      part("image/jpeg", "data:image/jpeg;base64,AQID"),
      part("image/gif", "file-img"),
      part("application/pdf", bytes, { fileName: "a.pdf" }),
      part("application/pdf", "AQID"),
      part("application/pdf", "https://example.com/a.pdf"),
      part("application/pdf", "file-abc"),
      part("text/plain", bytes),
      part("text/csv", "data:text/csv;base64,AQID")
    ]
    expect(input(Prompt.fromMessages([Prompt.userMessage({ content })]))).toEqual([
      {
        role: "user",
        content: [
          { type: "input_text", text: "See" },
          { type: "input_image", image_url: "data:image/png;base64,AQID", detail: "low" },
          { type: "input_image", image_url: "data:image/jpeg;base64,AQID" },
          { type: "input_image", image_url: "https://example.com/a.jpg" },
          { type: "input_image", image_url: "data:image/jpeg;base64,AQID" },
          { type: "input_image", file_id: "file-img" },
          { type: "input_file", filename: "a.pdf", file_data: "data:application/pdf;base64,AQID" },
          { type: "input_file", filename: "document.pdf", file_data: "data:application/pdf;base64,AQID" },
          { type: "input_file", file_url: "https://example.com/a.pdf" },
          { type: "input_file", file_id: "file-abc" },
          { type: "input_file", filename: "document.txt", file_data: "data:text/plain;base64,AQID" },
          { type: "input_file", filename: "document.csv", file_data: "data:text/csv;base64,AQID" }
        ]
      }
    ])
  })

  it.each([false, true])("tool calls and their results; reasoning of other providers stays behind: store %s", (store) =>
    expect(input(weatherTurn, { extra: { store } })).toEqual([
      { role: "user", content: "Weather?" },
      { role: "assistant", content: "Let me look." },
      { type: "function_call", call_id: "c1", name: "weather", arguments: '{"city":"Bern"}' },
      { type: "function_call", call_id: "c2", name: "now", arguments: "{}" },
      { type: "function_call_output", call_id: "c1", output: '{"sky":"blue"}' },
      { type: "function_call_output", call_id: "c2", output: "no clock" },
      { type: "function_call_output", call_id: "c3", output: "one" },
      { role: "assistant", content: "Blue." }
    ])
  )

  it("files in a tool's result, and none at all", () =>
    expect(
      input([
        {
          role: "tool",
          content: [
            {
              type: "tool-result",
              id: "c4",
              name: "shot",
              isFailure: false,
              result: 1,
              modelOutput: [
                { type: "text", text: "See" },
                { type: "file", mediaType: "image/png", data: "AQID" },
                { type: "file", mediaType: "application/pdf", data: "file-1" }
              ]
            },
            { type: "tool-result", id: "c5", name: "now", isFailure: false, result: undefined }
          ]
        }
      ])
    ).toEqual([
      {
        type: "function_call_output",
        call_id: "c4",
        output: [
          { type: "input_text", text: "See" },
          { type: "input_image", image_url: "data:image/png;base64,AQID" },
          { type: "input_file", file_id: "file-1" }
        ]
      },
      { type: "function_call_output", call_id: "c5", output: "" }
    ]))

  it("not the tools that the provider ran", () =>
    expect(
      input([
        {
          role: "assistant",
          content: [
            { type: "tool-call", id: "ws", name: "web_search", params: {}, providerExecuted: true },
            {
              type: "tool-result",
              id: "ws",
              name: "web_search",
              isFailure: false,
              result: "x",
              providerExecuted: true
            },
            { type: "text", text: "So." }
          ]
        }
      ])
    ).toEqual([{ role: "assistant", content: "So." }]))
})

describe("reasoning goes back", () => {
  const thought = (openai: Readonly<Record<string, string | boolean>>, text = "") =>
    Prompt.reasoningPart({ text, options: { openai } })
  const call = (id: string, openai = {}) =>
    Prompt.toolCallPart({ id, name: "now", params: {}, providerExecuted: false, options: { openai } })
  const items = (content: ReadonlyArray<Prompt.AssistantMessagePart>, more = {}) =>
    input(Prompt.fromMessages([Prompt.assistantMessage({ content })]), more)
  const text = Prompt.textPart({ text: "So." })
  const said = { role: "assistant", content: "So." }
  const called = (id: string) => ({ type: "function_call", call_id: id, name: "now", arguments: "{}" })

  it("encrypted, its summary in the parts it came in", () =>
    expect(
      items([
        thought({ itemId: "rs_1" }, "First."),
        thought({ itemId: "rs_1", encryptedContent: "e1" }, "Second."),
        text
      ])
    ).toEqual([
      {
        type: "reasoning",
        id: "rs_1",
        summary: [
          { type: "summary_text", text: "First." },
          { type: "summary_text", text: "Second." }
        ],
        encrypted_content: "e1"
      },
      said
    ]))

  it("as it is, where a server tells it so", () =>
    expect(items([thought({ itemId: "rs_1", raw: true }, "Hm."), call("c1")])).toEqual([
      { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Hm." }] },
      called("c1")
    ]))

  it("by its id alone only if the provider keeps its items", () => {
    const parts = [thought({ itemId: "rs_1" }, "Hm."), text]
    expect(items(parts)).toEqual([said])
    expect(items(parts, { extra: { store: true } })).toEqual([
      { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "Hm." }] },
      said
    ])
  })

  it("before the calls it led to", () =>
    expect(
      items([
        thought({ itemId: "rs_1", encryptedContent: "e1" }),
        thought({ itemId: "rs_2", encryptedContent: "e2" }),
        call("c1", { after: "rs_1" }),
        call("c2", { after: "rs_1" }),
        call("c3", { after: "rs_2" }),
        call("c4", { after: "rs_9" })
      ])
    ).toEqual([
      { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "e1" },
      called("c1"),
      called("c2"),
      { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "e2" },
      called("c3"),
      called("c4")
    ]))

  it("not without what must follow it", () =>
    expect(
      items([
        thought({ itemId: "rs_1", encryptedContent: "e1" }),
        thought({ itemId: "rs_2", encryptedContent: "e2" }),
        text,
        thought({ itemId: "rs_3", encryptedContent: "e3" })
      ])
    ).toEqual([{ type: "reasoning", id: "rs_2", summary: [], encrypted_content: "e2" }, said]))

  it("custom calls are calls of text, and so are their outputs", () =>
    expect(
      input(
        Prompt.fromMessages([
          Prompt.assistantMessage({
            content: [
              Prompt.toolCallPart({
                id: "c1",
                name: "sql",
                params: "SELECT 1",
                providerExecuted: false,
                options: { openai: { custom: true } }
              })
            ]
          }),
          Prompt.toolMessage({
            content: [
              Prompt.toolResultPart({ id: "c1", name: "sql", isFailure: false, result: "1", providerExecuted: false })
            ]
          })
        ])
      )
    ).toEqual([
      { type: "custom_tool_call", call_id: "c1", name: "sql", input: "SELECT 1" },
      { type: "custom_tool_call_output", call_id: "c1", output: "1" }
    ]))
})

describe("tools", () => {
  it("are functions with JSON Schema, strict only where annotated", () =>
    expect(body({ prompt: "Hi", toolkit })["tools"]).toMatchObject([
      {
        type: "function",
        name: "weather",
        description: "The weather of a city",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
        strict: false
      },
      { type: "function", name: "now", strict: true }
    ]))

  it.each([
    ["auto", "auto"],
    ["none", "none"],
    ["required", "required"],
    [{ tool: "now" }, { type: "function", name: "now" }],
    [
      { mode: "required", oneOf: ["now", "weather"] },
      {
        type: "allowed_tools",
        mode: "required",
        tools: [
          { type: "function", name: "now" },
          { type: "function", name: "weather" }
        ]
      }
    ],
    [{ oneOf: ["now"] }, { type: "allowed_tools", mode: "auto", tools: [{ type: "function", name: "now" }] }]
  ] as const)("choice %j", (toolChoice, expected) =>
    expect(body({ prompt: "Hi", toolkit, toolChoice })["tool_choice"]).toEqual(expected)
  )
})

describe("response format", () => {
  const schema = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Number) })
  const format = (responseFormat: LlmRequest["responseFormat"]) => body({ prompt: "Hi", responseFormat })["text"]

  it("of a schema is strict, in the form that OpenAI enforces", () =>
    expect(format({ type: "json-schema", schema, name: "person", description: "One" })).toMatchObject({
      format: {
        type: "json_schema",
        name: "person",
        description: "One",
        strict: true,
        schema: { type: "object", additionalProperties: false }
      }
    }))

  it("of JSON Schema is sent as it is", () => {
    const plain = { type: "object", properties: { a: { type: "string" } } }
    expect(format({ type: "json-schema", schema: plain, strict: false })).toEqual({
      format: { type: "json_schema", name: "response", strict: false, schema: plain }
    })
  })

  it("of any JSON, of text", () => {
    expect(format({ type: "json" })).toEqual({ format: { type: "json_object" } })
    expect(format({ type: "text" })).toEqual({ format: { type: "text" } })
  })
})

describeBadInput(OpenAiResponses.encode)
describeStrictSchemas(OpenAiResponses.encode)

describe("what Responses have no place for", () => {
  it.each([
    [{ prompt: file("video/mp4") }, /video\/mp4.*`api: "chat"`/],
    [{ prompt: file("audio/wav") }, /audio\/wav.*`api: "chat"`/],
    [
      { prompt: [{ role: "assistant", content: [{ type: "file", mediaType: "image/png", data: "AQID" }] }] },
      /file in an assistant/
    ],
    [
      {
        prompt: "Hi",
        toolkit: Toolkit.make(
          Tool.providerDefined({ id: "openai.web_search", customName: "Search", providerName: "web_search" })()
        )
      },
      /Search.*extra\.tools/
    ]
  ])("Unsupported: %#", (request, message) => {
    const error = failure(request)
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(message)
  })
})
