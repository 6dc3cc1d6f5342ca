/**
 * Recorded error answers of real providers, which are not part of this repository: the variable
 * RILL_RECORDINGS names their folder.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as Llm from "effect-rill/Llm"
import type { Reason } from "effect-rill/LlmError"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as FaultyWire from "effect-rill/testing/FaultyWire"

const folder = process.env["RILL_RECORDINGS"] ?? ""
const apiKey = Redacted.make("sk-recorded-0123456789")

/** How the names of a provider's recordings begin, the provider, and what each of them means. */
const providers: ReadonlyArray<
  readonly [
    prefix: string,
    Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>,
    ReadonlyArray<readonly [name: RegExp, reason: Reason["_tag"], isRetryable: boolean]>
  ]
> = [
  [
    "openai-compatible-azure-",
    AzureOpenAi.make({ model: "grok-4-1-fast", resourceName: "resource-1", apiKey }),
    [[/-auth/, "Authentication", false]]
  ]
]

interface Meta {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

interface Expected {
  readonly message: string
  readonly type?: string
  readonly retryAfterMs?: number
}

const read = <A>(name: string): A => JSON.parse(readFileSync(join(folder, "errors", name), "utf8")) as A

describe.runIf(folder !== "").each(providers)("%s", (prefix, make, meanings) => {
  const names =
    folder === ""
      ? []
      : readdirSync(join(folder, "errors"))
          .filter((name) => name.startsWith(prefix) && name.endsWith(".meta.json"))
          .map((name) => name.slice(0, -".meta.json".length))

  it("has recordings", () => expect(names.length).toBeGreaterThan(0))

  it.effect.each(names)("%s", (name) =>
    Effect.gen(function* () {
      const { headers, status } = read<Meta>(`${name}.meta.json`)
      const { message, retryAfterMs, type } = read<Expected>(`${name}.expected.json`)
      const body = readFileSync(join(folder, "errors", `${name}.body`), "utf8")
      const { client } = yield* FaultyWire.make([[FaultyWire.status(status, headers), FaultyWire.chunk(body)]])
      const llm = yield* Effect.provideService(make, HttpClient.HttpClient, client)
      const error = yield* Effect.flip(Stream.runDrain(llm.events({ prompt: "Hi" })))
      const meaning = meanings.find(([pattern]) => pattern.test(name))
      expect(meaning, `${name} is not in the table`).toBeDefined()
      const [, reason, isRetryable] = meaning!
      expect(error).toMatchObject({ reason: { _tag: reason, status }, phase: "headers", isRetryable })
      expect(error.message).toContain(message.slice(0, 100))
      if (type !== undefined) expect(error.reason).toHaveProperty("code")
      expect(error.retryAfter && Duration.toMillis(error.retryAfter)).toBe(retryAfterMs)
    })
  )
})

it.runIf(folder === "")("recorded errors: not run, since RILL_RECORDINGS names no folder", () => {
  console.warn("RILL_RECORDINGS is not set: the recorded errors of real providers were not read.")
  expect(folder).toBe("")
})
