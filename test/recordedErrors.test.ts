/**
 * Recorded error answers of real providers, which are not part of this repository: the variable
 * RILL_RECORDINGS names their folder. A line in each table for a provider.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import type { Reason } from "effect-rill/LlmError"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import * as GoogleGemini from "effect-rill/protocol/GoogleGemini"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import type { Protocol } from "effect-rill/protocol/Protocol"
import type { Progress } from "effect-rill/wire/Decoder"
import * as Http from "effect-rill/wire/Http"
import { describe, expect, it } from "vitest"

const folder = join(process.env["RILL_RECORDINGS"] ?? "", "errors")

interface Meta {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

interface Expected {
  readonly message: string
  readonly retryAfterMs?: number
}

const reasons: Readonly<Record<string, Reason["_tag"]>> = {
  "anthropic-400-rb-err-anthropic_claude-haiku-4-5-ctx.0": "ContextTooLong",
  "anthropic-401-rb-err-anthropic_claude-haiku-4-5-auth.0": "Authentication",
  "anthropic-404-pyd-count_tokens_error.0": "NotFound",
  "anthropic-404-pyd-model_name_suggestion-anthropic-.0": "NotFound",
  "gemini-429-rb-err-gemini_gemini-2_5-flash-ctx.0": "RateLimited",
  "gemini-429-vercel-retry-info": "RateLimited",
  "gemini-vertex-400-pyd-model_sees_multiple_images-google_vertex-.1": "InvalidRequest",
  "gemini-vertex-400-rb-err-vertexai_gemini-2_5-flash-ctx.1": "ContextTooLong",
  "openai-compatible-azure-401-rb-err-azure_grok-4-1-fast-non-reasoning-auth.0": "Authentication"
}

const means = <S extends Progress>(prefix: string, protocol: Protocol<S>) => {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(prefix)) : []
  const cases = names.filter((name) => name.endsWith(".body")).map((name) => name.slice(0, -".body".length))

  it(`${prefix}: there are recordings`, () => expect(cases.length).toBeGreaterThan(0))

  it.each(cases)("%s", (name) => {
    const read = (end: string) => readFileSync(join(folder, name + end), "utf8")
    const meta = JSON.parse(read(".meta.json")) as Meta
    const expected = JSON.parse(read(".expected.json")) as Expected
    const headers = Headers.fromInput(meta.headers)
    const failure: Http.HttpFailure = {
      _tag: "HttpFailure",
      status: meta.status,
      headers,
      body: read(".body"),
      requestId: undefined,
      retryAfter: Http.retryAfter(headers, 0),
      shouldRetry: undefined
    }
    const reason = protocol.error(failure)
    expect(reason).toMatchObject({ _tag: reasons[name], status: meta.status })
    expect(reason.message).toContain(expected.message.trim().slice(0, 900))
    const retryAfter = protocol.retryAfter?.(failure) ?? failure.retryAfter
    expect(retryAfter && Duration.toMillis(retryAfter)).toBe(expected.retryAfterMs)
  })
}

describe.runIf(existsSync(folder))("recorded errors", () => {
  means("anthropic", AnthropicMessages.protocol)
  means("gemini", GoogleGemini.protocol)
  means("openai-compatible-azure", OpenAiChat.protocol)
})

it.runIf(!existsSync(folder))("recorded errors: not run, since RILL_RECORDINGS names no folder", () => {
  console.warn("RILL_RECORDINGS is not set: the recorded errors of real providers were not read.")
  expect(existsSync(folder)).toBe(false)
})
