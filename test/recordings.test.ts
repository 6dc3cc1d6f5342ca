/**
 * Recorded answers of real providers, which are not part of this repository: the variable
 * RILL_RECORDINGS names their folder.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import * as GoogleGemini from "effect-rill/protocol/GoogleGemini"
import * as OllamaChat from "effect-rill/protocol/OllamaChat"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as OpenAiResponses from "effect-rill/protocol/OpenAiResponses"
import type { Protocol } from "effect-rill/protocol/Protocol"
import type { Progress } from "effect-rill/wire/Decoder"
import { describe, expect, it } from "vitest"
import { cuts, decodeBytes, type Outcome } from "./support/decodeBytes.ts"

const folder = process.env["RILL_RECORDINGS"] ?? ""

interface Expected {
  readonly text: string
  readonly reasoning?: string
  readonly refusal?: string
  readonly toolCalls: ReadonlyArray<{ readonly id?: string; readonly name: string; readonly argumentsJson: string }>
  readonly finishReason: string | null
  readonly finishReasonRaw: string | null
  readonly usage: Readonly<Record<string, number>> | null
  readonly error: { readonly message: string } | null
  /** Pages. */
  readonly sources?: ReadonlyArray<{ readonly url: string }>
  readonly tags: ReadonlyArray<string>
}

const check = (provider: string, outcome: Outcome, expected: Expected) => {
  const response = LlmResponse.fromEvents(outcome.events)
  expect(response.text).toBe(expected.text)
  expect(response.reasoning).toBe(expected.reasoning ?? "")
  expect(response.refusal).toBe(expected.refusal ?? "")
  if (expected.error !== null) {
    expect(outcome.error?.message).toContain(expected.error.message.slice(0, 100))
    return
  }
  expect(outcome.error).toBeUndefined()
  expect(response.toolCalls.map(({ id, input, name }) => ({ id, name, input }))).toEqual(
    expected.toolCalls.map(({ argumentsJson, id, name }) => ({
      // Gemini's and Ollama's calls have none of their own.
      id: id ?? expect.any(String),
      name,
      input: expected.tags.includes("args-not-json") ? argumentsJson : JSON.parse(argumentsJson || "{}")
    }))
  )
  const pages = (sources: ReadonlyArray<{ readonly url?: string }>) => new Set(sources.flatMap(({ url }) => url ?? []))
  expect(pages(response.sources)).toEqual(pages(expected.sources ?? []))
  // Each page once, however often it is cited.
  if (provider === "anthropic")
    expect(response.sources.length).toBe(new Set(response.sources.map((source) => JSON.stringify(source))).size)
  const reason = expected.toolCalls.length > 0 ? "tool-calls" : (expected.finishReason ?? "other")
  expect(response.finishReason).toBe(reason)
  expect(response.rawReason).toBe(expected.finishReasonRaw ?? undefined)
  if (expected.usage === null) expect(response.usage.source).toBe("estimated")
  else {
    const { candidatesTokens: _, inputTokensWithCache: __, totalTokens: ___, ...usage } = expected.usage
    expect(response.usage).toMatchObject({ source: "exact", ...usage })
  }
}

/** Tools that Google ran itself, as the stream with their results in it shows, are not for the client to run. */
const ranByGoogle = { toolCalls: [], finishReason: "stop" }

/** Where we judge otherwise than the reader that made `expected.json`, and why. */
const judgedOtherwise: Readonly<Record<string, Partial<Expected>>> = {
  "genai-Tests_sendMessage_multiple_messages_with_server_side_MCP_tools_stream.0.expected.json": ranByGoogle,
  "genai-Tests_server_side_MCP_server_ML_Dev_should_call_server_side_MCP_server-_stream.0.expected.json": ranByGoogle
}

const decodes = <S extends Progress>(provider: string, protocol: Protocol<S>, atLeast = 21) => {
  const dir = join(folder, provider)
  const cases = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith(".expected.json")) : []

  it(`${provider}: the folder has recordings`, () => expect(cases.length).toBeGreaterThanOrEqual(atLeast))

  it.each(cases)(`${provider}/%s`, async (name) => {
    const base = join(dir, name.slice(0, -".expected.json".length))
    const extension = ["sse", "ndjson", "json"].find((extension) => existsSync(`${base}.${extension}`))
    const body = readFileSync(`${base}.${extension}`)
    const expected = {
      ...(JSON.parse(readFileSync(join(dir, name), "utf8")) as Expected),
      ...judgedOtherwise[name]
    }
    let first: Outcome | undefined
    for (const [cut, chunks] of cuts(body)) {
      const outcome = await Effect.runPromise(decodeBytes(protocol, chunks))
      if (first === undefined) {
        check(provider, outcome, expected)
        first = outcome
      } else {
        expect(outcome.events, cut).toEqual(first.events)
        expect(outcome.error?.message, cut).toEqual(first.error?.message)
      }
    }
  })
}

describe.runIf(folder !== "")("recordings", () => {
  decodes("openai-chat", OpenAiChat.protocol)
  decodes("openai-compatible", OpenAiChat.protocol)
  decodes("openai-responses", OpenAiResponses.protocol)
  decodes("anthropic", AnthropicMessages.protocol)
  decodes("gemini", GoogleGemini.protocol)
  decodes("ollama", OllamaChat.protocol, 5)
})

it.runIf(folder === "")("recordings: not run, since RILL_RECORDINGS names no folder", () => {
  console.warn("RILL_RECORDINGS is not set: the recordings of real providers were not decoded.")
  expect(folder).toBe("")
})
