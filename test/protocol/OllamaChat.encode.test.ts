import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as OllamaChat from "effect-rill/protocol/OllamaChat"
import { describeBadInput, encoding, file, toolkit } from "../support/describeEncode.ts"

const { body, failure } = encoding(OllamaChat.encode)

const messages = (prompt: Prompt.RawInput): unknown => body({ prompt })["messages"]

describe("a request", () => {
  it("of a prompt alone asks for a stream, and for nothing else", () =>
    expect(body({ prompt: "Hi" }, "llama3.2")).toEqual({
      model: "llama3.2",
      messages: [{ role: "user", content: "Hi" }],
      stream: true
    }))

  it("has every setting under Ollama's name", () =>
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
        extra: { keep_alive: "10m" }
      })
    ).toEqual({
      model: "other",
      messages: [{ role: "user", content: "Hi" }],
      options: {
        temperature: 0,
        num_predict: 10,
        top_p: 0.9,
        stop: ["a", "b"],
        seed: 7,
        frequency_penalty: -1,
        presence_penalty: 1.5
      },
      keep_alive: "10m",
      stream: true
    }))

  it("has one stop sequence in a list", () =>
    expect(body({ prompt: "Hi", stop: "\n" })["options"]).toEqual({ stop: ["\n"] }))

  it("takes extra as it is, but stays a stream; its options are laid over ours", () => {
    expect(
      body({
        prompt: "Hi",
        temperature: 1,
        topP: 0.5,
        extra: { stream: false, think: true, truncate: false, options: { num_ctx: 16384, temperature: 2 } }
      })
    ).toMatchObject({
      stream: true,
      think: true,
      truncate: false,
      options: { temperature: 2, top_p: 0.5, num_ctx: 16384 }
    })
    expect(body({ prompt: "Hi", temperature: 1, extra: { options: null } })["options"]).toEqual({ temperature: 1 })
    expect(body({ prompt: "Hi", temperature: 1, extra: { options: "mine" } })["options"]).toBe("mine")
  })

  it.each([
    ["none", false],
    ["low", "low"],
    ["medium", "medium"],
    ["high", "high"],
    ["xhigh", "max"]
  ] as const)("the effort %s is think: %j", (reasoning, think) =>
    expect(body({ prompt: "Hi", reasoning })["think"]).toBe(think)
  )
})

describe("messages", () => {
  it("system messages stand where they are, the request's first", () =>
    expect(
      body({
        system: "Be brief.",
        prompt: [
          { role: "user", content: "Hi" },
          { role: "system", content: "Be kind." },
          { role: "user", content: "Hi again" }
        ]
      })["messages"]
    ).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Hi" },
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hi again" }
    ]))

  it("images are sent by their bytes, beside the text", () => {
    const image = (data: string | Uint8Array | URL, mediaType = "image/png") => Prompt.filePart({ mediaType, data })
    const content = [
      Prompt.textPart({ text: "Compare these:" }),
      image(new Uint8Array([1, 2, 3])),
      image("AQID", "image/*"),
      image("data:image/png;base64,BAUG"),
      image(new URL("data:image/jpeg;base64,BwgJ")),
      Prompt.textPart({ text: "Which is better?" })
    ]
    expect(messages(Prompt.fromMessages([Prompt.userMessage({ content })]))).toEqual([
      {
        role: "user",
        content: "Compare these:\nWhich is better?",
        images: ["AQID", "AQID", "BAUG", "BwgJ"]
      }
    ])
  })

  it("thinking, text, calls and their results: as text, as JSON, as the tool wrote it, as an error", () =>
    expect(
      messages([
        { role: "user", content: "Weather?" },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Hm" },
            { type: "reasoning", text: "m." },
            { type: "text", text: "Let me " },
            { type: "text", text: "look." },
            { type: "tool-call", id: "c1", name: "weather", params: { city: "Bern" } },
            { type: "tool-call", id: "c2", name: "now", params: {} },
            { type: "tool-call", id: "c3", name: "sql", params: "select 1" },
            { type: "tool-call", id: "c4", name: "search", params: {}, providerExecuted: true }
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
              name: "sql",
              isFailure: false,
              result: 1,
              modelOutput: [{ type: "text", text: "one" }]
            },
            { type: "tool-approval-response", approvalId: "a1", approved: true }
          ]
        },
        { role: "assistant", content: "Blue." }
      ])
    ).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        thinking: "Hmm.",
        content: "Let me look.",
        tool_calls: [
          { id: "c1", type: "function", function: { name: "weather", arguments: { city: "Bern" } } },
          { id: "c2", type: "function", function: { name: "now", arguments: {} } },
          { id: "c3", type: "function", function: { name: "sql", arguments: { input: "select 1" } } }
        ]
      },
      { role: "tool", tool_name: "weather", tool_call_id: "c1", content: '{"sky":"blue"}' },
      { role: "tool", tool_name: "now", tool_call_id: "c2", content: "no clock" },
      { role: "tool", tool_name: "sql", tool_call_id: "c3", content: "one" },
      { role: "assistant", content: "Blue." }
    ]))
})

describe("tools", () => {
  const names = (request: Omit<LlmRequest, "prompt">) =>
    (
      body({ prompt: "Hi", toolkit, ...request }) as { tools?: ReadonlyArray<{ function: { name: string } }> }
    ).tools?.map((tool) => tool.function.name)

  it("are functions with plain JSON Schema, strict or not", () => {
    const { tools } = body({ prompt: "Hi", toolkit }) as {
      tools: ReadonlyArray<{ type: string; function: Record<string, unknown> }>
    }
    expect(tools).toMatchObject([
      {
        type: "function",
        function: {
          name: "weather",
          description: "The weather of a city",
          parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
        }
      },
      { type: "function", function: { name: "now", parameters: { type: "object" } } }
    ])
    for (const tool of tools) expect(tool.function).not.toHaveProperty("strict")
  })

  it("a choice is made by leaving tools out", () => {
    expect(names({})).toEqual(["weather", "now"])
    expect(names({ toolChoice: "auto" })).toEqual(["weather", "now"])
    expect(names({ toolChoice: "none" })).toBeUndefined()
    expect(names({ toolChoice: { oneOf: ["now"] } })).toEqual(["now"])
    expect(names({ toolChoice: { mode: "auto", oneOf: ["now", "weather"] } })).toEqual(["weather", "now"])
  })

  it.each(["required", { tool: "now" }, { mode: "required", oneOf: ["now"] }] as const)(
    "a call cannot be required: %j",
    (toolChoice) => {
      const error = failure({ prompt: "Hi", toolkit, toolChoice })
      expect(error).toMatchObject({ _tag: "Unsupported", feature: "a toolChoice that requires a call" })
      expect(error.message).toMatch(/oneOf/)
    }
  )
})

describe("response format", () => {
  const schema = Schema.Struct({ name: Schema.String, age: Schema.optionalKey(Schema.Finite) })

  it("of a schema is plain JSON Schema, closed to other fields", () =>
    expect(body({ prompt: "Hi", responseFormat: { type: "json-schema", schema, name: "person" } })["format"]).toEqual({
      type: "object",
      properties: { name: { type: "string" }, age: { type: "number" } },
      required: ["name"],
      additionalProperties: false
    }))

  it("has its definitions with it", () => {
    const Name = Schema.String.annotate({ identifier: "Name" })
    const pair = Schema.Struct({ first: Name, second: Name })
    expect(body({ prompt: "Hi", responseFormat: { type: "json-schema", schema: pair } })["format"]).toMatchObject({
      properties: { first: { $ref: "#/$defs/Name" }, second: { $ref: "#/$defs/Name" } },
      $defs: { Name: { type: "string" } }
    })
  })

  it("of JSON Schema is sent as it is", () => {
    const plain = { type: "object", properties: { a: { type: "string" } } }
    expect(body({ prompt: "Hi", responseFormat: { type: "json-schema", schema: plain } })["format"]).toEqual(plain)
  })

  it("may be of any type", () =>
    expect(
      body({ prompt: "Hi", responseFormat: { type: "json-schema", schema: Schema.Array(Schema.String) } })["format"]
    ).toMatchObject({ type: "array", items: { type: "string" } }))

  it("of any JSON, of text", () => {
    expect(body({ prompt: "Hi", responseFormat: { type: "json" } })["format"]).toBe("json")
    expect(body({ prompt: "Hi", responseFormat: { type: "text" } })).not.toHaveProperty("format")
  })

  it.effect("of Llm.object is the schema that it asks for", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const events: Llm.Llm["Service"]["events"] = (request) => {
        seen.push(body(request)["format"])
        return Stream.make(
          { _tag: "TextDelta", text: '{"name":"Ada"}' },
          { _tag: "Finished", reason: "stop", usage: { source: "estimated" } }
        )
      }
      const ask = Llm.object(Schema.Struct({ name: Schema.String }))("Who?")
      expect(yield* Effect.provideService(ask, Llm.Llm, { events })).toEqual({ name: "Ada" })
      expect(seen).toMatchObject([{ type: "object", properties: { name: { type: "string" } }, required: ["name"] }])
    })
  )
})

describeBadInput(OllamaChat.encode)

describe("what Ollama has no place for", () => {
  const assistantFile = Prompt.fromMessages([
    Prompt.assistantMessage({ content: [Prompt.filePart({ mediaType: "image/png", data: "AQID" })] })
  ])
  const resultFile = Prompt.fromMessages([
    Prompt.toolMessage({
      content: [
        Prompt.toolResultPart({
          id: "c1",
          name: "draw",
          isFailure: false,
          providerExecuted: false,
          result: null,
          modelOutput: [Prompt.filePart({ mediaType: "image/png", data: "AQID" })]
        })
      ]
    })
  ])
  const provided = Toolkit.make(
    Tool.providerDefined({ id: "openai.web_search", customName: "Search", providerName: "web_search" })()
  )

  it.each([
    [{ prompt: file("application/pdf") }, /a file of type application\/pdf/],
    [{ prompt: file("audio/wav") }, /a file of type audio\/wav/],
    [{ prompt: file("image/png", "https://example.com/a.png") }, /an image by URL\. Fetch it/],
    [{ prompt: file("image/png", new URL("http://example.com/a.png")) }, /an image by URL/],
    [{ prompt: assistantFile }, /assistant's message/],
    [{ prompt: resultFile }, /tool's result/],
    [{ prompt: "Hi", reasoning: "minimal" }, /"minimal".*"low"/],
    [{ prompt: "Hi", toolkit: provided }, /own tool/]
  ])("Unsupported: %#", (request, message) => {
    const error = failure(request)
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(message)
  })
})
