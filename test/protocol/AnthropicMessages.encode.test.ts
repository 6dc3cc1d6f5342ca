import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as LlmObject from "effect-rill/LlmObject"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import * as AnthropicModels from "effect-rill/protocol/AnthropicModels"
import * as Anthropic from "effect-rill/provider/Anthropic"
import { describeBadInput, encoding, file, toolkit } from "../support/describeEncode.ts"

const { body: bodyOf, failure } = encoding(AnthropicMessages.encode)

const body = (request: LlmRequest, model = "claude-haiku-4-5") => bodyOf(request, model)

const messages = (prompt: Prompt.RawInput): unknown => body({ prompt })["messages"]

const user = (content: unknown) => [{ role: "user", content }]

const options = (anthropic: Readonly<Record<string, Schema.Json>>) => ({ options: { anthropic } })

const ephemeral = { type: "ephemeral" }

describe("a request", () => {
  it("of a prompt alone asks for a stream of as many tokens as the model has, and for nothing else", () =>
    expect(body({ prompt: "Hi" })).toEqual({
      model: "claude-haiku-4-5",
      max_tokens: 64_000,
      messages: user("Hi"),
      stream: true
    }))

  it("has every setting under Anthropic's name", () =>
    expect(
      body({
        prompt: "Hi",
        system: "Be brief.",
        model: "claude-opus-5",
        temperature: 0,
        maxTokens: 16,
        topP: 0.9,
        stop: ["END", "STOP"],
        reasoning: "low",
        extra: { metadata: { user_id: "u" }, service_tier: "auto", cache_control: ephemeral }
      })
    ).toEqual({
      model: "claude-opus-5",
      max_tokens: 16,
      system: "Be brief.",
      messages: user("Hi"),
      temperature: 0,
      top_p: 0.9,
      stop_sequences: ["END", "STOP"],
      thinking: { type: "adaptive", display: "summarized" },
      output_config: { effort: "low" },
      metadata: { user_id: "u" },
      service_tier: "auto",
      cache_control: ephemeral,
      stream: true
    }))

  it("with one stop sequence sends a list", () =>
    expect(body({ prompt: "Hi", stop: "END" })["stop_sequences"]).toEqual(["END"]))

  it.each(["seed", "frequencyPenalty", "presencePenalty"] as const)("with %s is refused", (setting) => {
    expect(failure({ prompt: "Hi", [setting]: 1 })).toMatchObject({ _tag: "Unsupported", feature: setting })
    expect(failure({ prompt: "Hi", [setting]: 1 }).message).toMatch(/Leave it out/)
  })

  it("counts the prompt's characters", () => {
    const encoded = AnthropicMessages.encode({ prompt: "four", system: "five." }, "m")
    expect(Result.getOrThrow(encoded).inputCharacters).toBe(9)
  })
})

describe("max_tokens", () => {
  it.each([
    ["claude-instant-1.2", 4096],
    ["claude-2.1", 4096],
    ["claude-3-opus-20240229", 4096],
    ["claude-3-haiku-20240307", 4096],
    ["claude-3-5-sonnet-20241022", 8192],
    ["claude-3-5-haiku-latest", 8192],
    ["claude-3-7-sonnet-20250219", 64_000],
    ["claude-opus-4-20250514", 32_000],
    ["claude-opus-4@20250514", 32_000],
    ["us.anthropic.claude-opus-4-1-20250805-v1:0", 32_000],
    ["claude-sonnet-4-20250514", 64_000],
    ["claude-sonnet-4-5-20250929", 64_000],
    ["claude-opus-4-5-20251101", 64_000],
    ["anthropic/claude-opus-4.6", 128_000],
    ["claude-sonnet-4-6", 128_000],
    ["claude-fable-5-1", 128_000],
    ["claude-mythos-preview", 128_000],
    ["deepseek-chat", 8192]
  ])("of %s is %i, unless told otherwise", (model, tokens) => {
    expect(body({ prompt: "Hi" }, model)["max_tokens"]).toBe(tokens)
    expect(body({ prompt: "Hi", maxTokens: 7 }, model)["max_tokens"]).toBe(7)
  })

  it("of a name with a date and no version is as of the latest", () => {
    expect(AnthropicModels.parse("claude-mythos-20260401")).toEqual({ family: "mythos", version: Infinity })
    expect(AnthropicModels.parse("gpt-5")).toEqual({ family: undefined, version: undefined })
  })

  it("is the layer's where the request has none", () => {
    const { encode } = AnthropicMessages.make({ maxTokens: 500 })
    const tokens = (request: LlmRequest) => encoding(encode).body(request)["max_tokens"]
    expect([tokens({ prompt: "Hi" }), tokens({ prompt: "Hi", maxTokens: 7 })]).toEqual([500, 7])
    const wrong = encoding(AnthropicMessages.make({ maxTokens: 0.5 }).encode).failure({ prompt: "Hi" })
    expect(wrong).toMatchObject({ _tag: "InvalidRequest", message: expect.stringContaining("maxTokens") })
  })
})

describe("extra", () => {
  it("has the last word, but the answer stays a stream", () =>
    expect(
      body({ prompt: "Hi", temperature: 1, extra: { stream: false, temperature: 2, max_tokens: 9, top_k: 3 } })
    ).toEqual({
      model: "claude-haiku-4-5",
      max_tokens: 9,
      messages: user("Hi"),
      temperature: 2,
      top_k: 3,
      stream: true
    }))

  it("thinking, output_config and tool_choice are laid over ours", () =>
    expect(
      body(
        {
          prompt: "Hi",
          reasoning: "high",
          toolkit,
          toolChoice: "required",
          extra: {
            thinking: { display: "omitted" },
            output_config: { effort: "max", task_budget: { type: "tokens", total: 9 } },
            tool_choice: { disable_parallel_tool_use: true }
          }
        },
        "claude-opus-5"
      )
    ).toMatchObject({
      thinking: { type: "adaptive", display: "omitted" },
      output_config: { effort: "max", task_budget: { type: "tokens", total: 9 } },
      tool_choice: { type: "any", disable_parallel_tool_use: true }
    }))

  it("tool_choice without ours is auto; what is no object replaces ours", () => {
    const choice = (tool_choice: unknown) => body({ prompt: "Hi", toolkit, extra: { tool_choice } })["tool_choice"]
    expect(choice({ disable_parallel_tool_use: true })).toEqual({ type: "auto", disable_parallel_tool_use: true })
    expect(choice(null)).toBeNull()
  })

  it("tools are added to ours", () => {
    const search = { type: "web_search_20250305", name: "web_search" }
    expect(body({ prompt: "Hi", extra: { tools: [search] } })["tools"]).toEqual([search])
    expect(body({ prompt: "Hi", toolkit, extra: { tools: [search] } })["tools"]).toHaveLength(3)
  })
})

describe("instructions", () => {
  it("are apart, all of them, in their order", () =>
    expect(
      body({
        system: "One.",
        prompt: [
          { role: "system", content: "Two." },
          { role: "user", content: "Hi" },
          { role: "system", content: " \n" },
          { role: "system", content: "Three." },
          { role: "user", content: "Ho" }
        ]
      })
    ).toMatchObject({
      system: [
        { type: "text", text: "One." },
        { type: "text", text: "Two." },
        { type: "text", text: "Three." }
      ],
      messages: user([
        { type: "text", text: "Hi" },
        { type: "text", text: "Ho" }
      ])
    }))

  it("stay where they are if they say so", () =>
    expect(
      body({
        prompt: [
          { role: "system", content: "First.", ...options({ inPlace: true }) },
          { role: "user", content: "Hi" },
          { role: "system", content: "Now in French.", ...options({ inPlace: true }) }
        ]
      })
    ).toEqual({
      model: "claude-haiku-4-5",
      max_tokens: 64_000,
      system: "First.",
      messages: [...user("Hi"), { role: "system", content: "Now in French." }],
      stream: true
    }))
})

describe("messages", () => {
  const turn = (content: ReadonlyArray<Prompt.AssistantMessagePart>, anthropic = {}) =>
    Prompt.assistantMessage({ content, ...options(anthropic) })
  const call = (id: string, more = {}) =>
    Prompt.toolCallPart({ id, name: "weather", params: { city: "Bern" }, providerExecuted: false, ...more })
  const result = (id: string, value: unknown, more = {}) =>
    Prompt.toolResultPart({ id, name: "weather", isFailure: false, result: value, providerExecuted: false, ...more })
  const said = (text: string) => Prompt.userMessage({ content: [Prompt.textPart({ text })] })
  const results = (...content: ReadonlyArray<Prompt.ToolResultPart>) => Prompt.toolMessage({ content })

  it("take turns, results of tools first", () =>
    expect(
      messages(
        Prompt.fromMessages([
          said("Weather?"),
          turn([Prompt.textPart({ text: "I look." }), call("toolu_a")]),
          turn([call("toolu_b")]),
          said("Quick!"),
          results(result("toolu_a", "sunny")),
          results(result("toolu_b", { degrees: 7 }), result("toolu_c", "no such city", { isFailure: true })),
          said("And?")
        ])
      )
    ).toEqual([
      { role: "user", content: "Weather?" },
      {
        role: "assistant",
        content: [
          { type: "text", text: "I look." },
          { type: "tool_use", id: "toolu_a", name: "weather", input: { city: "Bern" } },
          { type: "tool_use", id: "toolu_b", name: "weather", input: { city: "Bern" } }
        ]
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "toolu_a", content: "sunny" },
          { type: "tool_result", tool_use_id: "toolu_b", content: '{"degrees":7}' },
          { type: "tool_result", tool_use_id: "toolu_c", content: "no such city", is_error: true },
          { type: "text", text: "Quick!" },
          { type: "text", text: "And?" }
        ]
      }
    ]))

  it("without a visible character are left out", () => {
    const prompt = Prompt.fromMessages([
      said("Hi"),
      turn([Prompt.textPart({ text: "" })]),
      Prompt.userMessage({ content: [Prompt.textPart({ text: "\n" }), Prompt.textPart({ text: "Ho" })] })
    ])
    expect(messages(prompt)).toEqual(
      user([
        { type: "text", text: "Hi" },
        { type: "text", text: "Ho" }
      ])
    )
    expect(failure({ prompt: Prompt.fromMessages([said(" ")]) })).toMatchObject({ _tag: "InvalidRequest" })
  })

  it("of the assistant at the end, which the model goes on from, end with a visible character", () => {
    const start = turn([Prompt.textPart({ text: "The answer is \n" })])
    const content = (...more: ReadonlyArray<Prompt.Message>) =>
      (messages(Prompt.fromMessages([said("Hi"), start, ...more])) as ReadonlyArray<{ content: unknown }>)[1]?.content
    expect(content()).toBe("The answer is")
    expect(content(said("Ho"))).toBe("The answer is \n")
  })

  it("with results that have text and images, none, or that tools of the provider gave", () => {
    const image = Prompt.filePart({ mediaType: "image/png", data: "AQID" })
    const output = (...modelOutput: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>) =>
      messages(Prompt.fromMessages([results(result("t", { big: 1 }, { modelOutput }))]))
    expect(output(Prompt.textPart({ text: "A map:" }), image)).toEqual(
      user([
        {
          type: "tool_result",
          tool_use_id: "t",
          content: [
            { type: "text", text: "A map:" },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "AQID" } }
          ]
        }
      ])
    )
    expect(output(Prompt.textPart({ text: "" }))).toEqual(user([{ type: "tool_result", tool_use_id: "t" }]))
    expect(messages(Prompt.fromMessages([said("Hi"), results(result("t", 1, { providerExecuted: true }))]))).toEqual(
      user("Hi")
    )
  })

  it("with what other providers gave", () =>
    expect(
      messages(
        Prompt.fromMessages([
          said("Hi"),
          turn([
            Prompt.reasoningPart({ text: "Hm.", options: { openai: { encryptedContent: "x" } } }),
            call("a.b|c:1"),
            call("run", { providerExecuted: true })
          ]),
          results(result("a.b|c:1", null))
        ])
      )
    ).toEqual([
      ...user("Hi"),
      {
        role: "assistant",
        content: [{ type: "tool_use", id: "a_b_c_1", name: "weather", input: { city: "Bern" } }]
      },
      ...user([{ type: "tool_result", tool_use_id: "a_b_c_1", content: "null" }])
    ]))

  it("with a file of the assistant are refused", () =>
    expect(
      failure({ prompt: Prompt.fromMessages([turn([Prompt.filePart({ mediaType: "image/png", data: "AQID" })])]) })
    ).toMatchObject({ _tag: "Unsupported" }))

  describe("marked for the cache", () => {
    it("mark their last block, parts their own, instructions theirs", () => {
      const hour = { type: "ephemeral", ttl: "1h" }
      expect(
        body({
          prompt: Prompt.fromMessages([
            Prompt.systemMessage({ content: "Long.", ...options({ cacheControl: hour }) }),
            Prompt.userMessage({
              content: [
                Prompt.textPart({ text: "A", ...options({ cacheControl: true }) }),
                Prompt.textPart({ text: "B" }),
                Prompt.filePart({ mediaType: "image/png", data: "AQID" })
              ],
              ...options({ cacheControl: hour })
            }),
            turn(
              [Prompt.textPart({ text: "C" }), Prompt.reasoningPart({ text: "Hm.", ...options({ signature: "s" }) })],
              { cacheControl: true }
            ),
            results(result("t", "x", options({ cacheControl: true })), result("u", "y", options({ cacheControl: 1 })))
          ])
        })
      ).toMatchObject({
        system: [{ type: "text", text: "Long.", cache_control: hour }],
        messages: [
          {
            content: [{ text: "A", cache_control: ephemeral }, { text: "B" }, { type: "image", cache_control: hour }]
          },
          {
            content: [
              { text: "C", cache_control: ephemeral },
              { type: "thinking", thinking: "Hm.", signature: "s" }
            ]
          },
          {
            content: [
              { tool_use_id: "t", cache_control: ephemeral },
              { tool_use_id: "u", content: "y" }
            ]
          }
        ]
      })
    })

    it("a mark of a message that has but thinking marks nothing", () => {
      const thought = [Prompt.reasoningPart({ text: "Hm.", ...options({ signature: "s" }) })]
      const prompt = Prompt.fromMessages([
        Prompt.userMessage({ content: [Prompt.textPart({ text: "A" })] }),
        Prompt.assistantMessage({ content: thought, ...options({ cacheControl: true }) })
      ])
      const [, turn] = messages(prompt) as ReadonlyArray<unknown>
      expect(turn).toEqual({
        role: "assistant",
        content: [{ type: "thinking", thinking: "Hm.", signature: "s" }]
      })
    })

    it("a mark of a part wins over its message's; what has none has none", () => {
      const content = [Prompt.textPart({ text: "A", ...options({ cacheControl: { type: "ephemeral", ttl: "5m" } }) })]
      const prompt = Prompt.fromMessages([Prompt.userMessage({ content, ...options({ cacheControl: true }) })])
      expect(messages(prompt)).toEqual(
        user([{ type: "text", text: "A", cache_control: { type: "ephemeral", ttl: "5m" } }])
      )
      expect(JSON.stringify(body({ prompt: "Hi", toolkit }))).not.toContain("cache_control")
    })
  })
})

describe("files", () => {
  const sent = (...args: Parameters<typeof file>) => {
    const [message] = messages(file(...args)) as ReadonlyArray<{ content: ReadonlyArray<unknown> }>
    return message?.content[0]
  }

  it.each([
    ["image/png", "AQID", { type: "base64", media_type: "image/png", data: "AQID" }],
    ["image/*", new Uint8Array([1, 2, 3]), { type: "base64", media_type: "image/jpeg", data: "AQID" }],
    ["image/webp", "data:image/webp;base64,AQID", { type: "base64", media_type: "image/webp", data: "AQID" }],
    ["image/svg+xml", new URL("https://a.example/x"), { type: "url", url: "https://a.example/x" }],
    ["image/gif", "https://a.example/x.gif", { type: "url", url: "https://a.example/x.gif" }],
    ["image/png", "file_011CNha8iCJcU1wXNR6q4V8w", { type: "file", file_id: "file_011CNha8iCJcU1wXNR6q4V8w" }]
  ] as const)("%s %s", (mediaType, data, source) => expect(sent(mediaType, data)).toEqual({ type: "image", source }))

  it.each([
    ["application/pdf", "AQID", { type: "base64", media_type: "application/pdf", data: "AQID" }],
    ["application/pdf", "https://a.example/x.pdf", { type: "url", url: "https://a.example/x.pdf" }],
    ["application/pdf", "file_1", { type: "file", file_id: "file_1" }],
    ["text/plain", "R3LDvMOfZQ==", { type: "text", media_type: "text/plain", data: "Grüße" }],
    ["text/csv", new TextEncoder().encode("a,b"), { type: "text", media_type: "text/plain", data: "a,b" }],
    ["text/plain", "data:text/plain,a%20b", { type: "text", media_type: "text/plain", data: "a b" }],
    ["text/markdown", "# Not base64!", { type: "text", media_type: "text/plain", data: "# Not base64!" }],
    ["application/json", "e30=", { type: "text", media_type: "text/plain", data: "{}" }],
    ["text/plain", "file_2", { type: "file", file_id: "file_2" }]
  ] as const)("%s %s", (mediaType, data, source) => expect(sent(mediaType, data)).toEqual({ type: "document", source }))

  it("have a title, a context, citations, a mark", () => {
    expect(sent("application/pdf", "AQID", { fileName: "report.pdf" })).toMatchObject({ title: "report.pdf" })
    expect(
      sent("application/pdf", "AQID", {
        fileName: "report.pdf",
        ...options({ title: "Report", context: "Of 2026.", citations: true, cacheControl: true })
      })
    ).toEqual({
      type: "document",
      source: { type: "base64", media_type: "application/pdf", data: "AQID" },
      title: "Report",
      context: "Of 2026.",
      citations: { enabled: true },
      cache_control: ephemeral
    })
  })

  it("of other types are for the code execution tool, if uploaded", () =>
    expect(sent("application/vnd.ms-excel", "file_3")).toEqual({ type: "container_upload", file_id: "file_3" }))

  it.each([
    ["image/tiff", "AQID", /JPEG, PNG/],
    ["text/plain", "https://a.example/x.txt", /fetch it/],
    ["video/mp4", "AQID", /upload it/],
    ["audio/wav", "https://a.example/x.wav", /upload it/]
  ])("%s %s is refused, and says what to do", (mediaType, data, message) => {
    const error = failure({ prompt: file(mediaType, data) })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(message)
  })
})

describe("tools", () => {
  it("have their input as JSON Schema, enforced where they are strict, and their marks", () => {
    const Save = Tool.make("save", {
      description: "Saves",
      parameters: Schema.Struct({ name: Schema.String.check(Schema.isMinLength(2)) }),
      success: Schema.String
    }).annotate(Anthropic.CacheControl, { type: "ephemeral", ttl: "1h" })
    const Marked = Tool.make("marked", { success: Schema.String }).annotate(Anthropic.CacheControl, true)
    const tools = body({ prompt: "Hi", toolkit: Toolkit.merge(toolkit, Toolkit.make(Save, Marked)) })["tools"]
    expect(tools).toMatchObject([
      {
        name: "weather",
        description: "The weather of a city",
        input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] }
      },
      { name: "now", strict: true, input_schema: { type: "object", additionalProperties: false } },
      {
        name: "save",
        input_schema: { properties: { name: { type: "string" } } },
        cache_control: { type: "ephemeral", ttl: "1h" }
      },
      { name: "marked", cache_control: ephemeral }
    ])
    expect(JSON.stringify(tools)).toContain('"minLength":1')
    const strict = Toolkit.make(Save.annotate(Tool.Strict, true))
    expect(JSON.stringify(body({ prompt: "Hi", toolkit: strict })["tools"])).not.toContain('"minLength":1')
  })

  it.each([
    [undefined, undefined],
    ["auto", { type: "auto" }],
    ["required", { type: "any" }],
    ["none", { type: "none" }],
    [{ tool: "now" }, { type: "tool", name: "now" }],
    [{ oneOf: ["now"] }, { type: "auto" }],
    [{ oneOf: ["now"], mode: "required" }, { type: "any" }]
  ] as const)("choice %j is %j", (toolChoice, expected) => {
    const sent = body({ prompt: "Hi", toolkit, toolChoice })
    expect(sent["tool_choice"]).toEqual(expected)
    const names = (sent["tools"] as ReadonlyArray<{ name: string }>).map(({ name }) => name)
    expect(names).toEqual(typeof toolChoice === "object" && "oneOf" in toolChoice ? ["now"] : ["weather", "now"])
  })

  it("choice without tools is not sent", () =>
    expect(body({ prompt: "Hi", toolChoice: "none" })).not.toHaveProperty("tool_choice"))

  it.each([
    [undefined, { type: "auto", disable_parallel_tool_use: true }],
    ["required", { type: "any", disable_parallel_tool_use: true }],
    [{ tool: "now" }, { type: "tool", name: "now", disable_parallel_tool_use: true }],
    ["none", { type: "none" }]
  ] as const)("one at a time, choice %j", (toolChoice, expected) => {
    const { body } = encoding(AnthropicMessages.make({ parallelToolCalls: false }).encode)
    expect(body({ prompt: "Hi", toolkit, toolChoice })["tool_choice"]).toEqual(expected)
    expect(body({ prompt: "Hi" })).not.toHaveProperty("tool_choice")
  })

  it("of the provider are given in extra", () => {
    const search = Tool.providerDefined({
      id: "anthropic.web_search",
      customName: "Search",
      providerName: "web_search",
      args: Schema.Struct({})
    })
    const error = failure({ prompt: "Hi", toolkit: Toolkit.make(search({})) })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(/extra\.tools/)
  })
})

describe("reasoning", () => {
  const sent = (reasoning: NonNullable<LlmRequest["reasoning"]>, model: string, maxTokens?: number) => {
    const { output_config, thinking } = body({ prompt: "Hi", reasoning, maxTokens }, model)
    return { thinking, output_config }
  }
  const adaptive = { type: "adaptive", display: "summarized" }

  it.each([
    ["minimal", "claude-opus-5", "low"],
    ["low", "claude-sonnet-5", "low"],
    ["medium", "claude-opus-4-6", "medium"],
    ["high", "claude-mythos-preview", "high"],
    ["xhigh", "claude-opus-4-7", "xhigh"],
    ["xhigh", "claude-sonnet-4-6", "max"]
  ] as const)("%s of %s is effort %s", (reasoning, model, effort) =>
    expect(sent(reasoning, model)).toEqual({ thinking: adaptive, output_config: { effort } })
  )

  it.each([
    ["minimal", "claude-haiku-4-5", undefined, 1024],
    ["low", "claude-3-7-sonnet-20250219", undefined, 2048],
    ["medium", "claude-opus-4-20250514", undefined, 8192],
    ["high", "claude-opus-4-5", undefined, 16_384],
    ["xhigh", "claude-sonnet-4-5", undefined, 32_000],
    ["xhigh", "claude-sonnet-4-5", 64_001, 32_000],
    ["xhigh", "claude-sonnet-4-5", 100_000, 32_768],
    ["high", "claude-haiku-4-5", 1500, 1024],
    ["high", "deepseek-reasoner", 4096, 2048]
  ] as const)("%s of %s within %s tokens is a budget of %i", (reasoning, model, maxTokens, budget_tokens) =>
    expect(sent(reasoning, model, maxTokens)).toEqual({ thinking: { type: "enabled", budget_tokens } })
  )

  it("none turns it off, where the model can", () => {
    const off = { thinking: { type: "disabled" } }
    expect(sent("none", "claude-opus-5")).toEqual(off)
    expect(sent("none", "claude-haiku-4-5")).toEqual(off)
    expect(sent("none", "claude-3-haiku-20240307")).toEqual({})
  })

  it.each([
    [{ reasoning: "none", model: "claude-fable-5" }, "Unsupported", /always thinks.*"minimal"/],
    [{ reasoning: "none", model: "claude-mythos-5-1" }, "Unsupported", /always thinks/],
    [{ reasoning: "low", model: "claude-3-5-sonnet-20241022" }, "Unsupported", /Claude 3.7/],
    [{ reasoning: "low", model: "claude-haiku-4-5", maxTokens: 1024 }, "InvalidRequest", /more than 1024, not 1024/]
  ])("%j is %s", (request, tag, message) => {
    const error = failure({ prompt: "Hi", ...request })
    expect(error._tag).toBe(tag)
    expect(error.message).toMatch(message)
  })
})

describe("the form of the answer", () => {
  it("is a schema that Anthropic enforces, of the same shape", () => {
    const Recipe = Schema.Struct({
      title: Schema.String.check(Schema.isMinLength(1)),
      steps: Schema.Array(Schema.Struct({ minutes: Schema.optional(Schema.Finite) }))
    })
    const { output_config } = body({ prompt: "Hi", responseFormat: { type: "json-schema", schema: Recipe } })
    expect(output_config).toMatchObject({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          required: ["title", "steps"],
          additionalProperties: false,
          properties: {
            steps: { type: "array", items: { type: "object", additionalProperties: false } }
          }
        }
      }
    })
    expect(output_config).not.toHaveProperty("format.name")
  })

  it("of what Llm.object asks for, with the effort", () => {
    const { responseFormat } = Result.getOrThrow(LlmObject.make(Schema.Array(Schema.String)))
    expect(body({ prompt: "Hi", responseFormat, reasoning: "low" }, "claude-opus-5")["output_config"]).toMatchObject({
      effort: "low",
      format: { schema: { type: "object", properties: { value: { type: "array" } }, additionalProperties: false } }
    })
  })

  it("says what Anthropic does not enforce in descriptions", () => {
    const schema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        age: { type: "integer", description: "In years", minimum: 0, maximum: 150 },
        tags: { type: "array", minItems: 1, maxItems: 3, items: { type: "string", format: "color" } },
        pair: { type: "array", minItems: 2, items: { $ref: "#/$defs/Day" } },
        one: { oneOf: [{ type: "string", format: "uuid" }, { type: "null" }] },
        kind: { const: "a", default: "a", title: "Kind" },
        minimum: { type: "string", pattern: "^a" }
      },
      required: ["age"],
      additionalProperties: { type: "string" },
      $defs: { Day: { type: "object", properties: { on: { type: "string", format: "date" } } } }
    }
    expect(body({ prompt: "Hi", responseFormat: { type: "json-schema", schema } })["output_config"]).toEqual({
      format: {
        type: "json_schema",
        schema: {
          type: "object",
          properties: {
            age: { type: "integer", description: "In years\n\n{minimum: 0, maximum: 150}" },
            tags: {
              type: "array",
              minItems: 1,
              items: { type: "string", description: '{format: "color"}' },
              description: "{maxItems: 3}"
            },
            pair: { type: "array", items: { $ref: "#/$defs/Day" }, description: "{minItems: 2}" },
            one: { anyOf: [{ type: "string", format: "uuid" }, { type: "null" }] },
            kind: { const: "a", default: "a", title: "Kind" },
            minimum: { type: "string", pattern: "^a" }
          },
          required: ["age"],
          additionalProperties: false,
          $defs: {
            Day: {
              type: "object",
              properties: { on: { type: "string", format: "date" } },
              additionalProperties: false
            }
          }
        }
      }
    })
  })

  it("is text unless asked for", () =>
    expect(body({ prompt: "Hi", responseFormat: { type: "text" } })).not.toHaveProperty("output_config"))

  it.each([
    [{ type: "json" }, /give a schema/],
    [{ type: "json-schema", schema: {}, strict: false }, /name all of its fields.*"text"/]
  ])("%j is refused, and says what to do", (responseFormat, message) => {
    const error = failure({ prompt: "Hi", responseFormat })
    expect(error._tag).toBe("Unsupported")
    expect(error.message).toMatch(message)
  })
})

describeBadInput(AnthropicMessages.encode)
