import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Schema from "effect/Schema"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import { describeDecoder } from "../support/describeDecoder.ts"
import { encoding } from "../support/describeEncode.ts"

const { decode } = describeDecoder({
  folder: "anthropic-messages",
  protocol: AnthropicMessages.protocol,
  good: [
    "text",
    "crlf",
    "no-event-lines",
    "no-final-blank-line",
    "tools-interleaved",
    "thinking",
    "thinking-interrupted",
    "thinking-between-calls",
    "citations",
    "paused",
    "usage",
    "refusal",
    "no-message-stop"
  ],
  end: '"stop_reason":"'
})

const fold = (name: string) =>
  Effect.map(decode(name), ({ error, events }) => {
    expect(error).toBeUndefined()
    return LlmResponse.fromEvents(events)
  })

describe("tool calls", () => {
  it.effect("come complete, in order, directly before Finished", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-interleaved")
      expect(events.slice(-4)).toMatchObject([
        { _tag: "ToolCalled", id: "toolu_a", name: "weather", input: { city: "Zürich" } },
        { _tag: "ToolCalled", id: "toolu_b", name: "time", input: { zone: "UTC" } },
        { _tag: "ToolCalled", id: "toolu_c", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls", rawReason: "tool_use" }
      ])
    })
  )

  it.effect("of an answer that the token limit cut do not come, not even the whole ones", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-cut-by-length")
      expect(events.some(({ _tag }) => _tag === "ToolCallStarted")).toBe(true)
      expect(events.some(({ _tag }) => _tag === "ToolCalled")).toBe(false)
      expect(events.at(-1)).toMatchObject({ reason: "length", rawReason: "max_tokens" })
    })
  )

  it.effect.each([
    ["tools-stop", [{ city: "Bern" }]],
    // Of an answer that ended for an unknown reason, the ones that came whole.
    ["tools-not-whole", [{ city: "Bern" }]],
    ["tools-input-at-start", [{ city: "Bern" }, { city: "Basel" }]],
    ["tools-not-json", ['{"city":Bern}']],
    ["content-at-start", [{ city: "Bern" }]],
    ["json-document", [{ city: "Bern" }, {}]],
    ["provider-and-own-tools", [{ city: "Bern" }]],
    ["paused", []],
    ["no-block-start", []]
  ] as const)("%s: %j", ([name, inputs]) =>
    Effect.gen(function* () {
      const { finishReason, toolCalls } = yield* fold(name)
      expect(toolCalls.map(({ input }) => input)).toEqual(inputs)
      expect(finishReason === "tool-calls").toBe(inputs.length > 0)
    })
  )
})

describe("the end", () => {
  it.effect.each([
    ["text", "stop", "end_turn"],
    ["crlf", "stop", "stop_sequence"],
    ["context-window", "length", "model_context_window_exceeded"],
    ["paused", "other", "pause_turn"],
    ["refusal", "content-filter", "refusal"],
    ["refusal-without-words", "content-filter", "refusal"],
    ["no-stop-reason", "other", undefined]
  ] as const)("%s: %s", ([name, reason, raw]) =>
    Effect.gen(function* () {
      const response = yield* fold(name)
      expect([response.finishReason, response.rawReason]).toEqual([reason, raw])
    })
  )

  it.effect("of a refusal has the provider's words, where it gives some", () =>
    Effect.gen(function* () {
      expect((yield* fold("refusal")).refusal).toBe("This request was blocked.")
      expect(yield* fold("refusal-without-words")).toMatchObject({ refusal: "", text: "Here is " })
    })
  )
})

describe("usage", () => {
  it.effect("is the last of each count, what the cache read and wrote among the input", () =>
    Effect.gen(function* () {
      expect((yield* fold("usage")).usage).toEqual({
        source: "exact",
        inputTokens: 2312,
        outputTokens: 40,
        reasoningTokens: 30,
        cacheReadTokens: 2000,
        cacheWriteTokens: 300,
        raw: {
          input_tokens: 12,
          cache_creation_input_tokens: 300,
          cache_read_input_tokens: 2000,
          output_tokens: 40,
          output_tokens_details: { thinking_tokens: 30 },
          service_tier: "standard"
        }
      })
    })
  )

  it.effect("that only the beginning has is of the input; the output is estimated", () =>
    Effect.gen(function* () {
      const expected = { source: "estimated", inputTokens: 15, cacheReadTokens: 5, outputTokens: 5 }
      expect((yield* fold("usage-at-start-alone")).usage).toMatchObject(expected)
      const { error } = yield* decode("error-overloaded")
      expect(error?.usage).toMatchObject({ source: "estimated", inputTokens: 20, outputTokens: 1 })
    })
  )

  it.effect("that does not come is estimated", () =>
    Effect.gen(function* () {
      expect((yield* fold("no-usage")).usage).toEqual({ source: "estimated", inputTokens: 10, outputTokens: 2 })
    })
  )

  it.effect("of a message that is told twice is of the first", () =>
    Effect.gen(function* () {
      expect(yield* fold("duplicate-start")).toMatchObject({ id: "msg_01", usage: { inputTokens: 10 } })
    })
  )
})

it.effect("sources are what is cited, each once", () =>
  Effect.gen(function* () {
    expect((yield* fold("citations")).sources).toEqual([
      { sourceType: "url", url: "https://a.example/", title: "A" },
      { sourceType: "document", title: "Report" },
      { sourceType: "document" },
      { sourceType: "url", url: "https://c.example/", title: "C" },
      { sourceType: "document", title: "kb-7" }
    ])
  })
)

describe("errors in the stream", () => {
  it.effect.each([
    ["error-overloaded", "Overloaded", { status: 529, code: "overloaded_error" }, "mid-output"],
    ["error-first", "RateLimited", { status: 429 }, "before-output"],
    ["error-after-stop-reason", "ProviderFailed", { status: 500 }, "mid-output"],
    ["error-alone", "NotFound", { status: 404 }, "before-output"],
    ["error-flat", "PermissionDenied", { status: 403 }, "before-output"],
    ["error-plain", "ProviderFailed", {}, "before-output"],
    ["json-error", "Overloaded", { status: 529 }, "before-output"],
    ["malformed", "Malformed", {}, "before-output"]
  ] as const)("%s is %s", ([name, reason, more, phase]) =>
    Effect.gen(function* () {
      const { error } = yield* decode(name)
      expect(error).toMatchObject({ reason: { _tag: reason, ...more }, phase })
    })
  )

  const inBand = (type: string, message: string) => {
    const { decoder } = AnthropicMessages
    const state = decoder.initial({ provider: "test", inputCharacters: 0, conceal: (text) => text.replace("KEY", "…") })
    return decoder.step(state, { event: "", data: "", value: { type: "error", error: { type, message } } }, [])
  }

  it.each([
    ["invalid_request_error", "InvalidRequest"],
    ["authentication_error", "Authentication"],
    ["billing_error", "QuotaExhausted"],
    ["permission_error", "PermissionDenied"],
    ["not_found_error", "NotFound"],
    ["request_too_large", "ContextTooLong"],
    ["rate_limit_error", "RateLimited"],
    ["api_error", "ProviderFailed"],
    ["timeout_error", "ProviderFailed"],
    ["overloaded_error", "Overloaded"],
    ["something_new", "ProviderFailed"]
  ])("%s is %s, and quotes no key", (type, reason) => {
    const error = inBand(type, "KEY is wrong")
    expect(error).toMatchObject({ _tag: reason, code: type })
    expect(error?.message).toMatch(/^… is wrong\./)
  })

  it("in plain text quote no key", () => {
    const { decoder } = AnthropicMessages
    const state = decoder.initial({ provider: "test", inputCharacters: 0, conceal: (text) => text.replace("KEY", "…") })
    expect(decoder.step(state, { event: "error", data: "KEY is wrong", value: undefined }, [])?.message).toMatch(/^…/)
  })
})

describe("a history", () => {
  const { body } = encoding(AnthropicMessages.encode)
  const sentBack = (name: string) =>
    Effect.map(fold(name), ({ toMessage }) => {
      // As it would come from a store.
      const json = JSON.stringify(Schema.encodeSync(Prompt.Prompt)(Prompt.fromMessages([toMessage])))
      const prompt = Schema.decodeUnknownSync(Prompt.Prompt)(JSON.parse(json))
      const user = Prompt.userMessage({ content: [Prompt.textPart({ text: "Hi" })] })
      const messages = body({ prompt: Prompt.fromMessages([user, ...prompt.content]) })["messages"] as ReadonlyArray<{
        readonly content: unknown
      }>
      return messages[1]?.content
    })

  const search = (id: string, query: string) => ({
    type: "server_tool_use",
    id,
    name: "web_search",
    input: { query }
  })
  const results = expect.objectContaining({ type: "web_search_tool_result", tool_use_id: "srvtoolu_1" })
  const call = (id: string, city: string) => ({ type: "tool_use", id, name: "weather", input: { city } })

  it.effect.each([
    [
      "thinking",
      [
        { type: "thinking", thinking: "Let me think.", signature: "EqQB+/sig==" },
        { type: "redacted_thinking", data: "EmwKA+redacted" },
        { type: "text", text: "42" }
      ]
    ],
    [
      // What the signature is for goes back as one.
      "thinking-interrupted",
      [
        { type: "text", text: "Meanwhile. " },
        { type: "thinking", thinking: "One two.", signature: "sig-0" },
        { type: "text", text: "Done." }
      ]
    ],
    [
      "thinking-between-calls",
      [
        { type: "thinking", thinking: "First.", signature: "sig-0" },
        call("toolu_a", "Bern"),
        { type: "thinking", thinking: "Second.", signature: "sig-1" },
        call("toolu_b", "Basel")
      ]
    ],
    [
      "thinking-omitted",
      [
        { type: "thinking", thinking: "", signature: "sig-only" },
        { type: "text", text: "42" }
      ]
    ],
    [
      "thinking-unsigned",
      [
        { type: "thinking", thinking: "Theirs.", signature: "sig-1" },
        { type: "text", text: "42" }
      ]
    ],
    [
      "thinking-at-start",
      [
        { type: "thinking", thinking: "Whole.", signature: "sig-0" },
        { type: "text", text: "Text." }
      ]
    ],
    ["tools-not-json", [{ ...call("toolu_a", ""), input: { INVALID_JSON: '{"city":Bern}' } }]],
    [
      "paused",
      [
        { type: "thinking", thinking: "Search.", signature: "sig-0" },
        { type: "text", text: "One." },
        search("srvtoolu_1", "a"),
        results,
        { type: "thinking", thinking: "More.", signature: "sig-1" },
        { type: "text", text: "Two." },
        search("srvtoolu_2", "b")
      ]
    ],
    [
      "no-block-stop",
      [
        { type: "thinking", thinking: "One.", signature: "sig-0" },
        { type: "text", text: "Two." },
        call("toolu_a", "Bern")
      ]
    ],
    [
      "thinking-among-provider-tools",
      [
        { type: "thinking", thinking: "One.", signature: "sig-0" },
        search("srvtoolu_1", "a"),
        results,
        { type: "thinking", thinking: "Two.", signature: "sig-1" },
        search("srvtoolu_2", "b"),
        expect.objectContaining({ type: "web_search_tool_result", tool_use_id: "srvtoolu_2" }),
        { type: "text", text: "Done." }
      ]
    ],
    [
      "citations",
      [
        { type: "text", text: "I search. " },
        search("srvtoolu_1", "a"),
        results,
        { type: "text", text: "A is so. B too." }
      ]
    ],
    [
      // A call whose result never came is refused by the API.
      "provider-tool-cut",
      [
        { type: "text", text: "One." },
        { type: "server_tool_use", id: "srvtoolu_1", name: "bash_code_execution", input: { command: "ls" } },
        expect.objectContaining({ type: "bash_code_execution_tool_result" })
      ]
    ],
    [
      "provider-and-own-tools",
      [
        { type: "server_tool_use", id: "srvtoolu_1", name: "code_execution", input: { code: "x" } },
        { ...call("toolu_a", "Bern"), caller: { type: "code_execution_20250825", tool_id: "srvtoolu_1" } }
      ]
    ],
    [
      "compaction",
      [
        { type: "compaction", content: "Summary." },
        { type: "text", text: "Go on." }
      ]
    ],
    [
      "fallback",
      [
        { type: "thinking", thinking: "Old.", signature: "sig-0" },
        { type: "text", text: "New." }
      ]
    ],
    // What was refused is not gone on from.
    ["refusal-without-words", "Here is"],
    ["tools-stop", [call("toolu_a", "Bern")]]
  ] as const)("has the blocks of %s as the provider gave them", ([name, blocks]) =>
    Effect.gen(function* () {
      expect(yield* sentBack(name)).toEqual(blocks)
    })
  )
})

describe("a bad status", () => {
  const error = (status: number, type: string, message: string) =>
    AnthropicMessages.protocol.error({
      _tag: "HttpFailure",
      status,
      headers: Headers.empty,
      body: JSON.stringify({ type: "error", error: { type, message }, request_id: "req_1" }),
      requestId: undefined,
      retryAfter: undefined,
      shouldRetry: undefined
    })

  it.each([
    [400, "invalid_request_error", "messages: at least one message is required", "InvalidRequest"],
    [400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "ContextTooLong"],
    [
      400,
      "invalid_request_error",
      "input length and `max_tokens` exceed context limit: 190000 + 64000 > 200000",
      "ContextTooLong"
    ],
    [400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", "QuotaExhausted"],
    [400, "invalid_request_error", "You have reached your specified API usage limits.", "QuotaExhausted"],
    [400, "invalid_request_error", "Output blocked by content filtering policy", "ContentFiltered"],
    [401, "authentication_error", "invalid x-api-key", "Authentication"],
    [402, "billing_error", "There's an issue with your billing.", "QuotaExhausted"],
    [403, "permission_error", "Your API key does not have permission.", "PermissionDenied"],
    [404, "not_found_error", "model: claude-x", "NotFound"],
    [413, "request_too_large", "Request exceeds the maximum allowed number of bytes.", "ContextTooLong"],
    [429, "rate_limit_error", "This request would exceed the rate limit.", "RateLimited"],
    [500, "api_error", "Internal server error", "ProviderFailed"],
    [504, "timeout_error", "Request timed out", "ProviderFailed"],
    [529, "overloaded_error", "Overloaded", "Overloaded"]
  ])("%i %s, %s: %s", (status, type, message, reason) => {
    expect(error(status, type, message)).toMatchObject({ _tag: reason, status, code: type })
    expect(error(status, type, message).message).toContain(message)
  })

  it.each([
    ["max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-x", /`maxTokens`/],
    ["adaptive thinking is not supported on this model", /extra: \{ thinking/],
    ["This model does not support effort level 'xhigh'.", /output_config/],
    ["output_config.format: this model does not support it", /responseFormat: \{ type: "text" \}/],
    ["role 'system' is not supported on this model", /inPlace/]
  ])("%s: says what to do", (message, advice) => {
    const reason = error(400, "invalid_request_error", message)
    expect(reason).toMatchObject({ _tag: "InvalidRequest", status: 400, code: "invalid_request_error" })
    expect(reason.message).toMatch(advice)
  })
})
