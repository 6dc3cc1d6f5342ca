import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Model from "../../src/cli/Model.ts"
import * as FakeOllama from "./FakeOllama.ts"

/** Where nothing listens, whatever runs on this machine. */
const nowhere = { OLLAMA_HOST: "127.0.0.1:1" }

const choose = (wanted: string | undefined, env: Record<string, string> = {}, api?: Model.Api) =>
  Model.choose(wanted, api).pipe(
    Effect.scoped,
    Effect.provide(FetchHttpClient.layer),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ...nowhere, ...env })))
  )

const key = { OPENAI_API_KEY: "sk-1" }
const server = { OPENAI_BASE_URL: "http://127.0.0.1:1/v1" }
const anthropic = { ANTHROPIC_API_KEY: "sk-2" }
const google = { GEMINI_API_KEY: "sk-3" }
const azure = { AZURE_OPENAI_API_KEY: "sk-4", AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com" }

describe("Model", () => {
  it.live.each([
    ["nothing", undefined, {}, "offline"],
    ["an empty key", undefined, { OPENAI_API_KEY: " ", OPENAI_BASE_URL: "" }, "offline"],
    ["a key", undefined, key, "openai/gpt-4.1-mini"],
    ["a server without a key", undefined, server, "openai/gpt-4.1-mini"],
    ["another's key", undefined, anthropic, "anthropic/claude-haiku-4-5"],
    ["a token", undefined, { ANTHROPIC_AUTH_TOKEN: "t" }, "anthropic/claude-haiku-4-5"],
    ["a third one's key", undefined, google, "google/gemini-2.5-flash"],
    ["two keys", undefined, { ...google, ...anthropic }, "anthropic/claude-haiku-4-5"],
    ["all keys", undefined, { ...google, ...anthropic, ...azure, ...key }, "openai/gpt-4.1-mini"],
    ["the key of a provider that needs a model's name", undefined, azure, "offline"],
    ["one of a router's", undefined, { OPENROUTER_API_KEY: "k" }, "openrouter/openrouter/auto"],
    ["a key that is there for other reasons", undefined, { GITHUB_TOKEN: "t", HF_TOKEN: "t" }, "offline"],
    ["the key of a server of one's own", undefined, { VLLM_API_KEY: "k" }, "offline"],
    ["a router's model", "openrouter/meta-llama/llama-4", { OPENROUTER_API_KEY: "k" }, "openrouter/meta-llama/llama-4"],
    ["a server of one's own", "llama.cpp/qwen3", {}, "llama.cpp/qwen3"],
    ["offline, with a key", "offline", key, "offline"],
    ["a name", "openai/gpt-5", key, "openai/gpt-5"],
    ["a name with slashes", "openai/meta/llama-4", server, "openai/meta/llama-4"],
    ["another provider", "anthropic/claude-opus-4-5", anthropic, "anthropic/claude-opus-4-5"],
    ["a provider alone", "anthropic", { ...key, ...anthropic }, "anthropic/claude-haiku-4-5"],
    ["one that needs no key", "ollama/qwen3", {}, "ollama/qwen3"],
    ["a deployment", "azure/our-gpt", azure, "azure/our-gpt"],
    ["a provider as errors call it", "azure-openai/our-gpt", azure, "azure/our-gpt"]
  ] as const)("with %s", ([, wanted, env, name]) =>
    Effect.gen(function* () {
      expect((yield* choose(wanted, env)).name).toBe(name)
    })
  )

  it.live("says of the offline one how to ask another", () =>
    Effect.gen(function* () {
      expect((yield* choose(undefined)).note).toMatch(/offline model.*OPENAI_API_KEY.*rill models/)
      expect((yield* choose(undefined, azure)).note).toMatch(/offline model.*--model azure\/NAME/)
      expect((yield* choose(undefined, key)).note).toBe(undefined)
    })
  )

  it.effect.each([
    ["another provider", "mistal/large", "there is no provider mistal. There are: openai, anthropic, google, ollama"],
    ["no provider", "gpt-5", "such as openai/gpt-4.1-mini. There are: openai, anthropic, google, ollama"],
    ["no name", "azure", "name the model too, such as azure/NAME. Its models: https://"],
    ["an empty name", "openai/", "name the model too, such as openai/gpt-4.1-mini"],
    ["an empty text", "", ", offline."]
  ] as const)("refuses %s as bad usage", ([, wanted, words]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(choose(wanted, key))
      expect(error._tag).toBe("UsageError")
      expect(error.message).toContain(`--model ${wanted}: `)
      expect(error.message).toContain(words)
    })
  )

  it.effect.each([
    ["openai/gpt-5", {}, "set OPENAI_API_KEY, set OPENAI_BASE_URL to a server of your own, or take --model offline."],
    ["anthropic", {}, "set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN, set ANTHROPIC_BASE_URL"],
    ["google/gemini-2.5-pro", key, "set GOOGLE_API_KEY or GEMINI_API_KEY, set GOOGLE_GEMINI_BASE_URL"],
    ["groq/llama", {}, "groq/llama needs a key: set GROQ_API_KEY, or take --model offline."],
    ["azure/our-gpt", { AZURE_OPENAI_API_KEY: "k" }, "azure/our-gpt needs its endpoint: set AZURE_OPENAI_ENDPOINT."],
    [
      "azure/our-gpt",
      { AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com" },
      "azure/our-gpt needs a key: set AZURE_OPENAI_API_KEY or AZURE_OPENAI_AD_TOKEN, or take --model offline."
    ]
  ] as const)("says of %s with %j which variable is missing", ([wanted, env, words]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(choose(wanted, env))
      expect(error._tag).toBe("Failed")
      expect(error.message).toContain(words)
    })
  )

  it.live("takes --api where there are two", () =>
    Effect.gen(function* () {
      expect((yield* choose("openai/gpt-5", key, "chat")).name).toBe("openai/gpt-5")
      expect((yield* choose("azure/our-gpt", azure, "chat")).name).toBe("azure/our-gpt")
      expect((yield* choose("offline", {}, "responses")).name).toBe("offline")
      for (const [wanted, env] of [
        ["anthropic", anthropic],
        [undefined, google],
        ["ollama/qwen3", {}]
      ] as const) {
        const error = yield* Effect.flip(choose(wanted, env, "chat"))
        expect(error._tag).toBe("UsageError")
        expect(error.message).toContain("--api chat is for openai and azure")
      }
    })
  )
})

describe("several models", () => {
  const chooseAll = (
    wanted: string | undefined,
    fallbacks: ReadonlyArray<string>,
    env: Record<string, string>,
    api?: Model.Api
  ) =>
    Model.chooseAll(wanted, fallbacks, api).pipe(
      Effect.map((models) => models.map(({ name }) => name)),
      Effect.scoped,
      Effect.provide(FetchHttpClient.layer),
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ...nowhere, ...env })))
    )

  it.live("come in the order of their flags, as --model names them", () =>
    Effect.gen(function* () {
      const env = { ...key, ...anthropic }
      expect(yield* chooseAll(undefined, [], {})).toEqual(["offline"])
      expect(yield* chooseAll("openai/a", ["anthropic", "offline", "openai/b/c"], env)).toEqual([
        "openai/a",
        "anthropic/claude-haiku-4-5",
        "offline",
        "openai/b/c"
      ])
      expect(yield* chooseAll(undefined, ["anthropic/x"], env)).toEqual(["openai/gpt-4.1-mini", "anthropic/x"])
      expect(yield* chooseAll("offline", ["anthropic/x"], env)).toEqual(["offline", "anthropic/x"])
    })
  )

  it.live("have to have one to stand in for", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(chooseAll(undefined, ["groq/x"], { GROQ_API_KEY: "k" }))
      expect(error._tag).toBe("UsageError")
      expect(error.message).toBe(
        "--fallback groq/x: no model is set up that it could stand in for. Name one with --model."
      )
    })
  )

  it.live("take --api where one of them has both", () =>
    Effect.gen(function* () {
      const env = { ...key, ...anthropic }
      expect(yield* chooseAll("openai/a", ["anthropic/x"], env, "chat")).toEqual(["openai/a", "anthropic/x"])
      expect(yield* chooseAll("anthropic/x", ["openai/a"], env, "chat")).toEqual(["anthropic/x", "openai/a"])
      const error = yield* Effect.flip(chooseAll("anthropic/x", ["anthropic/y"], env, "chat"))
      expect(error.message).toContain("--api chat is for openai and azure")
    })
  )

  it.effect.each([
    ["mistal/large", "UsageError", "--fallback mistal/large: there is no provider mistal."],
    ["azure", "UsageError", "--fallback azure: name the model too"],
    ["ollama", "Failed", "--fallback ollama: no Ollama answers."],
    ["anthropic", "Failed", "or leave out --fallback anthropic/claude-haiku-4-5."]
  ] as const)("are checked as the first one is: %s", ([wanted, tag, words]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(chooseAll("openai/a", [wanted], key))
      expect(error._tag).toBe(tag)
      expect(error.message).toContain(words)
    })
  )
})

describe("an Ollama that answers", () => {
  const withOllama = <A, E>(tags: FakeOllama.Tags, use: (ollama: FakeOllama.FakeOllama) => Effect.Effect<A, E>) =>
    Effect.acquireUseRelease(
      Effect.promise(() => FakeOllama.start(tags)),
      use,
      (ollama) => Effect.promise(() => ollama[Symbol.asyncDispose]())
    )

  const old = { name: "old:1b", modified_at: "2025-01-01T00:00:00Z" }
  // Later than the one after it, though not by its letters.
  const recent = { name: "recent:7b", modified_at: "2026-03-01T23:00:00-08:00" }
  const before = { name: "before:3b", modified_at: "2026-03-02T06:00:00Z" }
  const embeds: ReadonlyArray<FakeOllama.Installed> = [
    { name: "nomic-embed-text:latest", modified_at: "2027-01-01T00:00:00Z" },
    { name: "bge-m3", modified_at: "2027-01-01T00:00:00Z" },
    { name: "x", details: { family: "nomic-bert" }, modified_at: "2027-01-01T00:00:00Z" }
  ]

  it.live("is asked where no key is set, for the model that came last, and that is said", () =>
    withOllama([old, recent, before, ...embeds], ({ host, seen }) =>
      Effect.gen(function* () {
        const model = yield* choose(undefined, { OLLAMA_HOST: host })
        expect(model.name).toBe("ollama/recent:7b")
        expect(model.note).toBe(`no model is named: this is ollama/recent:7b, of the Ollama at http://${host}.`)
        expect((yield* choose("ollama", { OLLAMA_HOST: host, OLLAMA_API_KEY: "k" })).name).toBe("ollama/recent:7b")
        expect((yield* choose(undefined, { OLLAMA_HOST: host, GROQ_API_KEY: "k" })).note).toMatch(
          /Ollama at .*\. To ask groq, whose key is set, .*--model groq\/NAME$/
        )
        expect(seen).toEqual([
          ["/api/tags", undefined],
          ["/api/tags", "Bearer k"],
          ["/api/tags", undefined]
        ])
      })
    )
  )

  it.live("is not asked where a key is set, a model named, or the offline one wanted", () =>
    withOllama([old], ({ host, seen }) =>
      Effect.gen(function* () {
        const env = { OLLAMA_HOST: host }
        expect((yield* choose(undefined, { ...env, ...anthropic })).name).toBe("anthropic/claude-haiku-4-5")
        expect((yield* choose("ollama/qwen3", env)).name).toBe("ollama/qwen3")
        expect((yield* choose("offline", env)).name).toBe("offline")
        expect(seen).toEqual([])
      })
    )
  )

  const elsewhere: FakeOllama.Tags = (request, response) =>
    request.url === "/elsewhere"
      ? response.end(JSON.stringify({ models: [old] }))
      : response.writeHead(302, { location: "/elsewhere" }).end()

  it.live.each([
    ["no model", []],
    ["no model that answers", embeds],
    ["something else", ((_, response) => response.end("<html>")) satisfies FakeOllama.Tags],
    ["other JSON", ((_, response) => response.end('{"models":{}}')) satisfies FakeOllama.Tags],
    ["an error", ((_, response) => response.writeHead(500).end('{"models":[{"name":"a"}]}')) satisfies FakeOllama.Tags],
    ["a redirect", elsewhere],
    ["silence", "silent"]
  ] as ReadonlyArray<readonly [string, FakeOllama.Tags]>)("is none with %s", ([, tags]) =>
    withOllama(tags, ({ host }) =>
      Effect.gen(function* () {
        expect((yield* choose(undefined, { OLLAMA_HOST: host })).name).toBe("offline")
        const error = yield* Effect.flip(choose("ollama", { OLLAMA_HOST: host }))
        expect(error._tag).toBe("Failed")
        expect(error.message).toMatch(Array.isArray(tags) ? /ollama pull/ : /ollama serve/)
      })
    )
  )
})
