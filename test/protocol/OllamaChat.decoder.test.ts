import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as OllamaChat from "effect-rill/protocol/OllamaChat"
import { bytes, decodeBytes } from "../support/decodeBytes.ts"
import { describeDecoder } from "../support/describeDecoder.ts"
import { encoding } from "../support/describeEncode.ts"

const { decode } = describeDecoder({
  folder: "ollama-chat",
  protocol: OllamaChat.protocol,
  good: [
    "text",
    "crlf",
    "bom",
    "blank-lines",
    "line-separators",
    "no-final-line-end",
    "thinking",
    "tools-with-ids",
    "tools-without-ids"
  ],
  end: '"done":true'
})

const fold = (name: string) => Effect.map(decode(name), ({ events }) => LlmResponse.fromEvents(events))

describe("the same answer", () => {
  it.effect.each(["crlf", "bom", "blank-lines", "no-final-line-end", "after-the-end"])("%s", (name) =>
    Effect.gen(function* () {
      expect(yield* decode(name)).toEqual(yield* decode("text"))
    })
  )
})

describe("tool calls", () => {
  it.effect("come complete, in order, directly before Finished", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-with-ids")
      expect(events.slice(-3)).toMatchObject([
        { _tag: "ToolCalled", id: "call_abc12345", name: "weather", input: { city: "Zürich", days: 3 } },
        { _tag: "ToolCalled", id: "call_def67890", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls", rawReason: "stop" }
      ])
    })
  )

  it.effect("of an answer that the token limit cut do not come", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode("tools-cut-by-length")
      expect(error).toBeUndefined()
      expect(events.map(({ _tag }) => _tag)).not.toContain("ToolCalled")
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "length" })
    })
  )

  it.effect("are calls of their own, each with an id, though their index is the same", () =>
    Effect.gen(function* () {
      const { toolCalls } = yield* fold("tools-without-ids")
      expect(toolCalls.map(({ input }) => input)).toEqual([{ city: "Bern" }, { city: "Basel" }])
      expect(new Set(toolCalls.map(({ id }) => id)).size).toBe(2)
    })
  )

  // A line of a server that gives no ids.
  const call = (time: string | undefined) => ({
    event: "",
    data: "",
    value: {
      created_at: time,
      message: { role: "assistant", content: "", tool_calls: [{ function: { name: "now", arguments: {} } }] },
      done: true
    }
  })
  const idOf = (inputCharacters: number, time?: string): string => {
    const out: Array<LlmEvent> = []
    const state = OllamaChat.decoder.initial({ provider: "test", inputCharacters, conceal: (text) => text })
    OllamaChat.decoder.step(state, call(time), out)
    const started = out.find((event) => event._tag === "ToolCallStarted")
    return started?.id ?? ""
  }

  it("have other ids in another turn: at another time, or of a longer prompt", () => {
    const time = "2026-01-02T10:00:00.123456789-07:00"
    const ids = [idOf(10, time), idOf(10, "2026-01-02T10:00:01Z"), idOf(17, time), idOf(10), idOf(17)]
    expect(new Set(ids).size).toBe(5)
    // What every provider takes: https://platform.openai.com/docs/api-reference/responses asks for 64 at most.
    for (const id of ids) expect(id).toMatch(/^[\w-]{1,64}$/)
  })
})

describe("usage", () => {
  it.effect("is exact where the server counts anything, and has what it counts", () =>
    Effect.gen(function* () {
      expect((yield* fold("text")).usage).toEqual({
        source: "exact",
        inputTokens: 26,
        outputTokens: 7,
        raw: {
          total_duration: 4648158584,
          load_duration: 4071084,
          prompt_eval_count: 26,
          prompt_eval_duration: 439038000,
          eval_count: 7,
          eval_duration: 4196918000
        }
      })
      expect((yield* fold("prompt-cached")).usage).not.toHaveProperty("inputTokens")
      expect((yield* fold("prompt-cached-count")).usage).toMatchObject({ inputTokens: 26, cacheReadTokens: 20 })
      expect((yield* fold("zero-counts")).usage).toMatchObject({ source: "exact", inputTokens: 0, outputTokens: 0 })
      expect((yield* fold("no-usage")).usage.source).toBe("estimated")
    })
  )
})

describe("a body that is no stream", () => {
  it.effect.each(["html-page", "plain-text", "json-other", "json-array"])("is quoted: %s", (name) =>
    Effect.gen(function* () {
      const { error } = yield* decode(name)
      expect(error).toMatchObject({ reason: { _tag: name === "json-other" ? "Truncated" : "Malformed" } })
    })
  )

  it.effect("is known by its beginning, though it does not end", () =>
    Effect.gen(function* () {
      const page = `<html>${"x".repeat(1000)}`
      const { error } = yield* decodeBytes(OllamaChat.protocol, [bytes(page), bytes("\n{}\n")])
      expect(error?.reason).toMatchObject({ _tag: "Malformed", message: expect.stringContaining("<html>") })
    })
  )

  it.effect("is not quoted where it may be the answer: a line that is cut off", () =>
    Effect.gen(function* () {
      const line = '{"model":"m","message":{"role":"assistant","content":"Secret answ'
      for (const declared of [true, false]) {
        for (const text of [line, `\n\n${line}`, `\ufeff${line}`, `{"status":"loading"}\n${line}`]) {
          const { error } = yield* decodeBytes(OllamaChat.protocol, [bytes(text)], { declared })
          expect(error?.reason._tag).toBe("Truncated")
          expect(error?.message).not.toContain("Secret")
        }
      }
    })
  )

  it.effect("may be the whole answer, or an error, with or without a line end, declared or not", () =>
    Effect.gen(function* () {
      const answer = '{"model":"m","message":{"role":"assistant","content":"Hi"},"done":true,"done_reason":"stop"}'
      for (const declared of [true, false]) {
        for (const end of ["", "\n", "\r\n"]) {
          const good = yield* decodeBytes(OllamaChat.protocol, [bytes(answer + end)], { declared })
          expect(LlmResponse.fromEvents(good.events)).toMatchObject({ text: "Hi", finishReason: "stop" })
          const { error } = yield* decodeBytes(OllamaChat.protocol, [bytes(`{"error":"made up"}${end}`)], { declared })
          expect(error).toMatchObject({
            phase: "before-output",
            reason: {
              _tag: "ProviderFailed",
              message: "made up. The fault is on the provider's side: ask again."
            }
          })
        }
      }
    })
  )
})

describe("errors in the stream", () => {
  it.each(["KEY is wrong", "model 'KEY' not found"])("quote no key: %s", (error) => {
    const { decoder } = OllamaChat
    const state = decoder.initial({
      provider: "test",
      inputCharacters: 0,
      conceal: (text) => text.replaceAll("KEY", "…")
    })
    const reason = decoder.step(state, { event: "", data: "", value: { error } }, [])
    expect(reason?.message).toMatch(/…/)
    expect(reason?.message).not.toMatch(/KEY/)
  })
})

describe("a bad status", () => {
  const error = (status: number, message: string) =>
    OllamaChat.protocol.error({
      _tag: "HttpFailure",
      status,
      headers: Headers.empty,
      body: JSON.stringify({ error: message }),
      requestId: undefined,
      retryAfter: undefined,
      shouldRetry: undefined
    })

  it.each([
    [404, 'model "nowt:7b" not found, try pulling it first', "NotFound", /`ollama pull nowt:7b`/],
    [404, "model 'nowt' not found", "NotFound", /`ollama pull nowt`/],
    [404, "model 'nowt' not found.\n", "NotFound", /'nowt' not found\. Pull/],
    [404, "page not found", "NotFound", /base URL/],
    [400, "registry.ollama.ai/library/gemma:2b does not support tools", "Unsupported", /`ollama show`/],
    [400, '"gemma:2b" does not support thinking', "Unsupported", /Leave it out/],
    [400, 'option "stop" must be of type array', "InvalidRequest", /of type array\.$/],
    [400, "the input length exceeds the context length", "ContextTooLong", /`num_ctx`/],
    [400, "the request exceeds the available context size, try increasing it", "ContextTooLong", /`num_ctx`/],
    [401, "unauthorized", "Authentication", /OLLAMA_API_KEY.*`ollama signin`/],
    [401, "invalid api key", "Authentication", /Check the API key/],
    [403, "this model requires a subscription, upgrade for access", "PermissionDenied", /upgrade/],
    [429, "you (ada) have reached your session usage limit, upgrade for higher limits", "QuotaExhausted", /reset/],
    [429, "too many concurrent requests", "RateLimited", /Wait/],
    [500, "model requires more system memory (9.7 GiB) than is available (5.3 GiB)", "Overloaded", /smaller model/],
    [500, "llama runner process has terminated", "ProviderFailed", /ask again/],
    [503, "server busy, please try again. maximum pending requests exceeded", "Overloaded", /Ask again/]
  ])("%i, %s", (status, message, tag, advice) => {
    const reason = error(status, message)
    expect(reason._tag).toBe(tag)
    expect(reason.message).toMatch(advice)
    expect(reason.message.startsWith(message.slice(0, 20))).toBe(true)
    if (tag !== "Unsupported") expect(reason).toMatchObject({ status })
  })

  it("says what is not supported, and cuts words that are too many", () => {
    expect(error(400, "gemma does not support tools")).toMatchObject({ feature: "tools" })
    expect(error(404, `model 'nowt' not found ${"x".repeat(5000)}`).message.length).toBeLessThan(1200)
  })
})

// https://docs.ollama.com/capabilities/tool-calling
describe("a history", () => {
  const { body } = encoding(OllamaChat.encode)

  it.effect("goes back with its thinking, its text and its calls", () =>
    Effect.gen(function* () {
      const { toMessage, toolCalls } = yield* fold("tools-with-ids")
      const results = toolCalls.map(({ id, name }) =>
        Prompt.toolResultPart({ id, name, isFailure: false, providerExecuted: false, result: `of ${name}` })
      )
      const { messages } = body({ prompt: Prompt.fromMessages([toMessage, Prompt.toolMessage({ content: results })]) })
      expect(messages).toEqual([
        {
          role: "assistant",
          content: "",
          thinking: "Two cities.",
          tool_calls: [
            {
              id: "call_abc12345",
              type: "function",
              function: { name: "weather", arguments: { city: "Zürich", days: 3 } }
            },
            { id: "call_def67890", type: "function", function: { name: "now", arguments: {} } }
          ]
        },
        { role: "tool", tool_name: "weather", tool_call_id: "call_abc12345", content: "of weather" },
        { role: "tool", tool_name: "now", tool_call_id: "call_def67890", content: "of now" }
      ])
    })
  )
})
