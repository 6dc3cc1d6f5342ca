import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Schema from "effect/Schema"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as GoogleGemini from "effect-rill/protocol/GoogleGemini"
import { describeBadInput, encoding, file, toolkit } from "../support/describeEncode.ts"

const { body, failure } = encoding(GoogleGemini.encode)

const contents = (prompt: Prompt.RawInput, model = "gemini-2.5-flash") => body({ prompt }, model)["contents"]
const part = (prompt: Prompt.RawInput) => (contents(prompt) as [{ parts: [unknown] }])[0].parts[0]
const config = (request: Omit<LlmRequest, "prompt">, model = "gemini-2.5-flash") =>
  body({ prompt: "Hi", ...request }, model)["generationConfig"]

const hi = [{ role: "user", parts: [{ text: "Hi" }] }]

describe("a request", () => {
  it("of a prompt alone is its contents", () => expect(body({ prompt: "Hi" })).toEqual({ contents: hi }))

  it("has every setting under Gemini's name, and the model in none", () =>
    expect(
      body({
        prompt: "Hi",
        system: "Be brief.",
        model: "other",
        temperature: 0,
        maxTokens: 16,
        topP: 0.9,
        stop: "END",
        seed: 7,
        frequencyPenalty: 0.1,
        presencePenalty: -0.2,
        extra: { cachedContent: "cachedContents/1", safetySettings: [], generationConfig: { topK: 3, topP: 0.5 } }
      })
    ).toEqual({
      contents: hi,
      systemInstruction: { parts: [{ text: "Be brief." }] },
      generationConfig: {
        temperature: 0,
        maxOutputTokens: 16,
        topP: 0.5,
        topK: 3,
        stopSequences: ["END"],
        seed: 7,
        frequencyPenalty: 0.1,
        presencePenalty: -0.2
      },
      cachedContent: "cachedContents/1",
      safetySettings: []
    }))

  it("has system messages in its instructions, wherever they stand", () =>
    expect(
      body({
        system: "Be brief.",
        prompt: [
          { role: "system", content: "Be kind." },
          { role: "user", content: "Hi" },
          { role: "system", content: "Now in French." }
        ]
      })
    ).toEqual({
      contents: hi,
      systemInstruction: { parts: [{ text: "Be brief." }, { text: "Be kind." }, { text: "Now in French." }] }
    }))

  it("has several stop sequences", () => expect(config({ stop: ["a", "b"] })).toEqual({ stopSequences: ["a", "b"] }))

  it("extra may replace what it is laid over", () => {
    expect(
      body({ prompt: "Hi", temperature: 1, extra: { generationConfig: null, tools: null, toolConfig: 1 } })
    ).toEqual({ contents: hi, generationConfig: null, tools: null, toolConfig: 1 })
    expect(body({ prompt: "Hi", extra: { contents: [] } })).toEqual({ contents: [] })
  })
})

// https://ai.google.dev/gemini-api/docs/openai#thinking
describe("reasoning", () => {
  it.each([
    ["gemini-2.5-flash", "none", { thinkingBudget: 0 }],
    ["gemini-2.5-flash", "minimal", { thinkingBudget: 1024, includeThoughts: true }],
    ["gemini-2.5-flash", "low", { thinkingBudget: 1024, includeThoughts: true }],
    ["models/gemini-2.5-pro", "medium", { thinkingBudget: 8192, includeThoughts: true }],
    ["gemini-2.5-flash-lite", "high", { thinkingBudget: 24576, includeThoughts: true }],
    ["gemini-2.5-flash", "xhigh", { thinkingBudget: 24576, includeThoughts: true }],
    ["gemini-2.5-pro", "xhigh", { thinkingBudget: 32768, includeThoughts: true }],
    ["gemini-robotics-er-1.5-preview", "low", { thinkingBudget: 1024, includeThoughts: true }],
    ["gemini-3-flash-preview", "minimal", { thinkingLevel: "MINIMAL", includeThoughts: true }],
    ["gemini-3.1-pro-preview", "minimal", { thinkingLevel: "LOW", includeThoughts: true }],
    ["gemini-3-pro-preview", "low", { thinkingLevel: "LOW", includeThoughts: true }],
    ["gemini-3.5-flash", "medium", { thinkingLevel: "MEDIUM", includeThoughts: true }],
    ["gemini-10-flash", "high", { thinkingLevel: "HIGH", includeThoughts: true }],
    ["gemini-flash-latest", "xhigh", { thinkingLevel: "HIGH", includeThoughts: true }]
  ] as const)("%s, %s", (model, reasoning, thinkingConfig) =>
    expect(config({ reasoning }, model)).toEqual({ thinkingConfig })
  )

  it.each(["gemini-2.5-pro", "gemini-3-flash-preview", "gemini-pro-latest"])("%s cannot go without", (model) => {
    const error = failure({ prompt: "Hi", model, reasoning: "none" })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toContain('reasoning: "minimal"')
  })

  it("is laid over by extra", () =>
    expect(
      config({ reasoning: "low", extra: { generationConfig: { thinkingConfig: { includeThoughts: false } } } })
    ).toEqual({ thinkingConfig: { thinkingBudget: 1024, includeThoughts: false } }))
})

describe("files", () => {
  const bytes = new Uint8Array([1, 2, 3])
  it.each([
    ["image/png", bytes, { inlineData: { mimeType: "image/png", data: "AQID" } }],
    ["image/*", bytes, { inlineData: { mimeType: "image/jpeg", data: "AQID" } }],
    ["image/*", "data:image/gif;base64,AQID", { inlineData: { mimeType: "image/gif", data: "AQID" } }],
    ["application/pdf", "AQID", { inlineData: { mimeType: "application/pdf", data: "AQID" } }],
    ["audio/wav", "data:audio/wav;base64,AQID", { inlineData: { mimeType: "audio/wav", data: "AQID" } }],
    ["text/plain", "data:text/plain,a%20b,c", { inlineData: { mimeType: "text/plain", data: "YSBiLGM=" } }],
    [
      "image/jpeg",
      new URL("https://example.com/a.jpg"),
      { fileData: { mimeType: "image/jpeg", fileUri: "https://example.com/a.jpg" } }
    ],
    ["video/*", "https://youtu.be/x", { fileData: { fileUri: "https://youtu.be/x" } }],
    ["video/mp4", "gs://bucket/a.mp4", { fileData: { mimeType: "video/mp4", fileUri: "gs://bucket/a.mp4" } }],
    [
      "application/pdf",
      "https://generativelanguage.googleapis.com/v1beta/files/abc",
      {
        fileData: {
          mimeType: "application/pdf",
          fileUri: "https://generativelanguage.googleapis.com/v1beta/files/abc"
        }
      }
    ]
  ] as const)("%s of %o", (mediaType, data, sent) => expect(part(file(mediaType, data))).toEqual(sent))

  it("with what Google has for them alone", () =>
    expect(
      part(
        file("video/mp4", "gs://b/a.mp4", {
          options: { google: { videoMetadata: { fps: 2 }, mediaResolution: { level: "MEDIA_RESOLUTION_LOW" } } }
        })
      )
    ).toEqual({
      fileData: { mimeType: "video/mp4", fileUri: "gs://b/a.mp4" },
      videoMetadata: { fps: 2 },
      mediaResolution: { level: "MEDIA_RESOLUTION_LOW" }
    }))

  it.each([
    ["video/*", bytes],
    ["text/plain", "data:text/plain,%E0%A4%A"],
    ["text/plain", "data:text/plain"]
  ] as const)("that cannot be sent: %s of %o", (mediaType, data) =>
    expect(failure({ prompt: file(mediaType, data) })._tag).toBe("InvalidRequest")
  )

  it("of the model go back as its own", () =>
    expect(
      contents(
        Prompt.fromMessages([
          Prompt.userMessage({ content: [Prompt.textPart({ text: "Draw" })] }),
          Prompt.assistantMessage({ content: [Prompt.filePart({ mediaType: "image/png", data: bytes })] })
        ])
      )
    ).toEqual([
      { role: "user", parts: [{ text: "Draw" }] },
      { role: "model", parts: [{ inlineData: { mimeType: "image/png", data: "AQID" } }] }
    ]))
})

describe("tools", () => {
  const declarations = [
    {
      name: "weather",
      description: "The weather of a city",
      parametersJsonSchema: expect.objectContaining({
        type: "object",
        properties: expect.objectContaining({ city: { type: "string" } }),
        required: ["city"]
      })
    },
    { name: "now", parametersJsonSchema: expect.objectContaining({ type: "object" }) }
  ]
  const tools = (request: Omit<LlmRequest, "prompt">) => {
    const { toolConfig, tools } = body({ prompt: "Hi", toolkit, ...request })
    return { toolConfig, tools }
  }

  it("have their input's schema as JSON Schema", () =>
    expect(tools({})).toEqual({ tools: [{ functionDeclarations: declarations }] }))

  it.each([
    ["auto", { mode: "AUTO" }],
    ["none", { mode: "NONE" }],
    ["required", { mode: "ANY" }],
    [{ tool: "now" }, { mode: "ANY", allowedFunctionNames: ["now"] }],
    [
      { mode: "required", oneOf: ["now", "weather"] },
      { mode: "ANY", allowedFunctionNames: ["now", "weather"] }
    ]
  ] as const)("are chosen by %j", (toolChoice, functionCallingConfig) =>
    expect(tools({ toolChoice })).toEqual({
      tools: [{ functionDeclarations: declarations }],
      toolConfig: { functionCallingConfig }
    })
  )

  it("are sent alone, if the model may choose among some", () =>
    expect(tools({ toolChoice: { oneOf: ["now"] } })).toEqual({
      tools: [{ functionDeclarations: [declarations[1]] }],
      toolConfig: { functionCallingConfig: { mode: "AUTO" } }
    }))

  it("of Google are added, and settings laid over ours", () =>
    expect(
      tools({
        toolChoice: "auto",
        extra: {
          tools: [{ googleSearch: {} }],
          toolConfig: { retrievalConfig: {}, functionCallingConfig: { streamFunctionCallArguments: true } }
        }
      })
    ).toEqual({
      tools: [{ functionDeclarations: declarations }, { googleSearch: {} }],
      toolConfig: { retrievalConfig: {}, functionCallingConfig: { mode: "AUTO", streamFunctionCallArguments: true } }
    }))

  it("that are a provider's own are refused, and say where to put them", () => {
    const Search = Tool.providerDefined({
      id: "google.search",
      customName: "Search",
      providerName: "google_search",
      args: Schema.Struct({})
    })({})
    const error = failure({ prompt: "Hi", toolkit: Toolkit.make(Search) })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toContain("extra.tools")
  })
})

describe("the form of the answer", () => {
  const schema = { type: "object", properties: { a: { $ref: "#/$defs/A" } }, $defs: { A: { type: "string" } } } as const

  it.each([
    [{ type: "text" }, undefined],
    [{ type: "json" }, { responseMimeType: "application/json" }],
    [
      { type: "json-schema", schema },
      { responseMimeType: "application/json", responseJsonSchema: schema }
    ],
    [
      { type: "json-schema", schema, name: "thing", description: "A thing.", strict: false },
      {
        responseMimeType: "application/json",
        responseJsonSchema: { title: "thing", description: "A thing.", ...schema }
      }
    ]
  ] as const)("%j", (responseFormat, sent) => expect(config({ responseFormat })).toEqual(sent))

  it("an Effect schema", () =>
    expect(config({ responseFormat: { type: "json-schema", schema: Schema.Struct({ a: Schema.String }) } })).toEqual({
      responseMimeType: "application/json",
      responseJsonSchema: expect.objectContaining({ type: "object", properties: { a: { type: "string" } } })
    }))
})

describe("a history", () => {
  const call = (id: string, name: string, params: unknown, google?: Prompt.ProviderOptions[string]) =>
    Prompt.toolCallPart({ id, name, params, providerExecuted: false, ...(google && { options: { google } }) })
  const result = (id: string, name: string, result: unknown, more = {}) =>
    Prompt.toolResultPart({ id, name, result, isFailure: false, providerExecuted: false, ...more })
  const asked = Prompt.userMessage({ content: [Prompt.textPart({ text: "Weather?" })] })

  it("has calls and results as the documentation shows them, results in the order of the calls, in one turn", () =>
    expect(
      contents(
        Prompt.fromMessages([
          asked,
          Prompt.assistantMessage({
            content: [
              Prompt.textPart({ text: "" }),
              call("a", "weather", { city: "Bern" }, { thoughtSignature: "c2ln", id: "fc-a" }),
              call("b", "weather", { city: "Basel" }, { id: "fc-b" }),
              call("c", "now", {})
            ]
          }),
          Prompt.toolMessage({ content: [result("c", "now", "no clock", { isFailure: true })] }),
          Prompt.toolMessage({
            content: [result("b", "weather", { sky: "grey" }), result("a", "weather", undefined)]
          }),
          Prompt.userMessage({ content: [Prompt.textPart({ text: "So?" })] })
        ]),
        "gemini-3-pro-preview"
      )
    ).toEqual([
      { role: "user", parts: [{ text: "Weather?" }] },
      {
        role: "model",
        parts: [
          { functionCall: { id: "fc-a", name: "weather", args: { city: "Bern" } }, thoughtSignature: "c2ln" },
          { functionCall: { id: "fc-b", name: "weather", args: { city: "Basel" } } },
          { functionCall: { name: "now", args: {} } }
        ]
      },
      {
        role: "user",
        parts: [
          { functionResponse: { id: "fc-a", name: "weather", response: { output: null } } },
          { functionResponse: { id: "fc-b", name: "weather", response: { output: { sky: "grey" } } } },
          { functionResponse: { name: "now", response: { error: "no clock" } } }
        ]
      },
      { role: "user", parts: [{ text: "So?" }] }
    ]))

  it("has what a tool gave for the model, files too, and results whose call is lost last", () =>
    expect(
      contents(
        Prompt.fromMessages([
          asked,
          Prompt.assistantMessage({ content: [call("a", "shot", {})] }),
          Prompt.toolMessage({
            content: [
              result("lost", "now", 1),
              result("a", "shot", "raw", {
                modelOutput: [
                  Prompt.textPart({ text: "The screen." }),
                  Prompt.filePart({ mediaType: "image/png", data: "AQID" })
                ]
              })
            ]
          })
        ])
      )
    ).toMatchObject([
      {},
      {},
      {
        role: "user",
        parts: [
          {
            functionResponse: {
              name: "shot",
              response: { output: "The screen." },
              parts: [{ inlineData: { mimeType: "image/png", data: "AQID" } }]
            }
          },
          { functionResponse: { name: "now", response: { output: 1 } } }
        ]
      }
    ]))

  // https://ai.google.dev/gemini-api/docs/thought-signatures: models since Gemini 3 refuse calls without one.
  it.each([
    ["gemini-3-flash-preview", "skip_thought_signature_validator"],
    ["gemini-flash-latest", "skip_thought_signature_validator"],
    ["gemini-2.5-flash", undefined],
    ["gemma-3-27b-it", undefined]
  ])("of another provider has calls with the signature that stands for none: %s", (model, thoughtSignature) =>
    expect(
      contents(
        Prompt.fromMessages([
          asked,
          Prompt.assistantMessage({
            content: [
              Prompt.reasoningPart({ text: "Hmm.", options: { openai: { itemId: "rs_1" } } }),
              call("a", "now", {}),
              call("b", "now", {})
            ]
          })
        ]),
        model
      )
    ).toEqual([
      { role: "user", parts: [{ text: "Weather?" }] },
      {
        role: "model",
        parts: [
          { functionCall: { name: "now", args: {} }, ...(thoughtSignature && { thoughtSignature }) },
          { functionCall: { name: "now", args: {} } }
        ]
      }
    ])
  )

  it("leaves out what the model has no use for: turns of nothing, tools that a provider ran", () =>
    expect(
      contents(
        Prompt.fromMessages([
          asked,
          Prompt.assistantMessage({ content: [Prompt.reasoningPart({ text: "Hmm." })] }),
          Prompt.assistantMessage({
            content: [
              Prompt.toolCallPart({ id: "ws", name: "search", params: {}, providerExecuted: true }),
              Prompt.textPart({ text: "Rain." })
            ]
          })
        ])
      )
    ).toEqual([
      { role: "user", parts: [{ text: "Weather?" }] },
      { role: "model", parts: [{ text: "Rain." }] }
    ]))

  it.each([
    [[Prompt.textPart({ text: "Yes." })], 4, [{ text: "Yes.", thoughtSignature: "s" }]],
    [[Prompt.textPart({ text: "Yes." })], 2, [{ text: "Ye" }, { text: "s.", thoughtSignature: "s" }]],
    [[Prompt.textPart({ text: "Yes." })], 0, [{ text: "Yes." }, { text: "", thoughtSignature: "s" }]],
    // Of a text that was changed since.
    [[Prompt.textPart({ text: "Yes." })], 9, [{ text: "Yes." }, { text: "", thoughtSignature: "s" }]],
    [[], 3, [{ text: "", thoughtSignature: "s" }]]
  ] as const)("has the signature of a text: %o, %i characters", (before, signedText, parts) =>
    expect(
      contents(
        Prompt.fromMessages([
          asked,
          Prompt.assistantMessage({
            content: [
              ...before,
              // A thought without a signature, right before: the block has both.
              Prompt.reasoningPart({ text: "Hmm.", options: { google: { thoughtSignature: "s", signedText } } })
            ]
          })
        ])
      )
    ).toEqual([
      { role: "user", parts: [{ text: "Weather?" }] },
      { role: "model", parts }
    ])
  )
})

describeBadInput(GoogleGemini.encode)
