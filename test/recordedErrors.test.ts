/**
 * Recorded errors of real providers, which are not part of this repository: the variable
 * RILL_RECORDINGS names their folder.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type * as Llm from "effect-rill/Llm"
import type { Reason } from "effect-rill/LlmError"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"

const folder = join(process.env["RILL_RECORDINGS"] ?? "", "errors")
const isThere = process.env["RILL_RECORDINGS"] !== undefined && existsSync(folder)

type Make = Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>

const apiKey = Redacted.make("key-0123456789")

/** Which errors are whose, by the beginning of their names: the longest that fits. */
const providers: Readonly<Record<string, Make>> = {
  "openai-compatible-azure-": AzureOpenAi.make({ model: "deployment-1", resourceName: "resource-1", apiKey })
}

/** What each means: a line an error. */
const meanings: Readonly<Record<string, Reason["_tag"]>> = {
  "openai-compatible-azure-401-rb-err-azure_grok-4-1-fast-non-reasoning-auth.0": "Authentication"
}

interface Meta {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

interface Expected {
  readonly message: string
  readonly retryAfterMs?: number
}

const makeFor = (name: string): Make | undefined => {
  const fitting = Object.keys(providers).filter((prefix) => name.startsWith(prefix))
  return providers[fitting.toSorted((a, b) => b.length - a.length)[0] ?? ""]
}

const read = (name: string) => readFileSync(join(folder, name), "utf8")

describe.runIf(isThere)("recorded errors", () => {
  const names = isThere
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".meta.json"))
        .map((name) => name.slice(0, -".meta.json".length))
        .filter((name) => makeFor(name) !== undefined)
    : []

  it("are all in the table", () => expect(Object.keys(meanings).toSorted()).toEqual(names.toSorted()))

  it.each(names)("%s", async (name) => {
    const meta = JSON.parse(read(`${name}.meta.json`)) as Meta
    const expected = JSON.parse(read(`${name}.expected.json`)) as Expected
    const { client } = await Effect.runPromise(
      FaultyWire.make([[FaultyWire.status(meta.status, meta.headers), FaultyWire.chunk(read(`${name}.body`))]])
    )
    const error = await Effect.runPromise(
      Effect.flatMap(makeFor(name)!, (llm) => Effect.flip(Stream.runDrain(llm.events({ prompt: "Hi" })))).pipe(
        Effect.provideService(HttpClient.HttpClient, client)
      )
    )
    expect(error.reason._tag).toBe(meanings[name])
    expect(error.phase).toBe("headers")
    expect(error.message).toContain(expected.message.slice(0, 100))
    expect(error.retryAfter && Duration.toMillis(error.retryAfter)).toBe(expected.retryAfterMs)
  })
})

it.runIf(!isThere)("recorded errors: not run, since RILL_RECORDINGS names no folder", () => {
  console.warn("RILL_RECORDINGS is not set: the recorded errors of real providers were not read.")
  expect(isThere).toBe(false)
})
