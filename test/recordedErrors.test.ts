/**
 * Recorded error answers of real providers, which are not part of this repository: the variable
 * RILL_RECORDINGS names their folder. A provider takes a line at the end.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Headers from "effect/http/Headers"
import type { Reason } from "effect-rill/LlmError"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as OpenAiResponses from "effect-rill/protocol/OpenAiResponses"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import * as GoogleGemini from "effect-rill/protocol/GoogleGemini"
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
  readonly code?: string | number
  readonly type?: string
  readonly retryAfterMs?: number
}

/** What each of them means: the first line whose pattern its name fits. */
const reasons: ReadonlyArray<readonly [name: RegExp, reason: Reason["_tag"]]> = [
  [/^gemini-429/, "RateLimited"],
  [/-auth\.|invalid_api_keys/, "Authentication"],
  [/-ctx\./, "ContextTooLong"],
  [/model_name_suggestion|^anthropic-404/, "NotFound"],
  [/-429-/, "RateLimited"],
  [/-400-/, "InvalidRequest"]
]

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
    const expectedReason = reasons.find(([pattern]) => pattern.test(name))
    expect(reason).toMatchObject({ _tag: expectedReason?.[1], status: meta.status })
    // Google's code is the status again; its type says more.
    const code = prefix === "gemini" ? expected.type : (expected.code ?? expected.type)
    if (code !== undefined) expect(reason).toMatchObject({ code: String(code) })
    expect(reason.message).toContain(expected.message.trim().slice(0, 900))
    const retryAfter = protocol.retryAfter?.(failure) ?? failure.retryAfter
    expect(retryAfter && Duration.toMillis(retryAfter)).toBe(expected.retryAfterMs)
  })
}

describe.runIf(existsSync(folder))("recorded errors", () => {
  means("openai-chat", OpenAiChat.protocol)
  means("openai-compatible", OpenAiChat.protocol)
  means("openai-responses", OpenAiResponses.protocol)
  means("anthropic", AnthropicMessages.protocol)
  means("gemini", GoogleGemini.protocol)
})

it.runIf(!existsSync(folder))("recorded errors: not run, since RILL_RECORDINGS names no folder", () => {
  console.warn("RILL_RECORDINGS is not set: the recorded errors of real providers were not read.")
  expect(existsSync(folder)).toBe(false)
})
