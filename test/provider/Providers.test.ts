/** The table of providers: in step with what each provider's own `layerConfig` reads. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Llm from "effect-rill/Llm"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import * as Providers from "effect-rill/provider/Providers"
import { describe, expect, it } from "vitest"

type Env = Readonly<Record<string, string>>

const model = "some-model"

/** The one request that a service makes: where to, and with which headers. */
const requestOf = async <E>(layer: Layer.Layer<Llm.Llm, E, HttpClient.HttpClient>, env: Env) => {
  const seen: Array<{ readonly url: string; readonly headers: unknown }> = []
  const fetch: typeof globalThis.fetch = async (input, init) => {
    seen.push({ url: String(input), headers: Object.fromEntries(new Headers(init?.headers)) })
    return new Response("no", { status: 401 })
  }
  await Effect.runPromise(
    Effect.exit(Llm.run("x")).pipe(
      Effect.provide(layer),
      Effect.provide(FetchHttpClient.layer),
      Effect.provideService(FetchHttpClient.Fetch, fetch),
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
    )
  )
  expect(seen).toHaveLength(1)
  return seen[0]
}

const fromTable = (provider: Providers.Provider, env: Env, given: Partial<Providers.Given> = {}) =>
  requestOf(
    Layer.effect(
      Llm.Llm,
      provider.make(
        Providers.settings(provider, { model, ...given }, (name) => env[name]),
        {}
      )
    ),
    env
  )

const both = { OPENAI_API_KEY: "k", OPENAI_BASE_URL: "http://a.test/v1" }
const google = { GOOGLE_API_KEY: "one", GEMINI_API_KEY: "two" }
const endpoint = { AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com/" }

describe("reads what layerConfig reads", () => {
  it.each([
    ["openai", OpenAi.layerConfig({ model }), { OPENAI_API_KEY: "k" }],
    ["openai", OpenAi.layerConfig({ model }), { ...both, OPENAI_ORG_ID: "o", OPENAI_PROJECT_ID: "p" }],
    ["anthropic", Anthropic.layerConfig({ model }), { ANTHROPIC_API_KEY: "k", ANTHROPIC_AUTH_TOKEN: "t" }],
    ["anthropic", Anthropic.layerConfig({ model }), { ANTHROPIC_AUTH_TOKEN: "t" }],
    [
      "anthropic",
      Anthropic.layerConfig({ model }),
      { ANTHROPIC_API_KEY: "k", ANTHROPIC_BASE_URL: "http://a.test/v1/" }
    ],
    ["google", Google.layerConfig({ model }), google],
    [
      "google",
      Google.layerConfig({ model }),
      { GEMINI_API_KEY: "two", GOOGLE_GEMINI_BASE_URL: "http://a.test/proxy/" }
    ],
    ["ollama", Ollama.layerConfig({ model }), {}],
    ["ollama", Ollama.layerConfig({ model }), { OLLAMA_HOST: "0.0.0.0:99", OLLAMA_API_KEY: "k" }],
    [
      "azure",
      AzureOpenAi.layerConfig({ model }),
      { ...endpoint, AZURE_OPENAI_API_KEY: "k", AZURE_OPENAI_AD_TOKEN: "t" }
    ],
    ["azure", AzureOpenAi.layerConfig({ model }), { ...endpoint, AZURE_OPENAI_AD_TOKEN: "t" }],
    ["openrouter", OpenAiCompatible.layerConfig({ model, preset: "openrouter" }), { OPENROUTER_API_KEY: "k" }],
    ["llama.cpp", OpenAiCompatible.layerConfig({ model, preset: "llama.cpp" }), {}],
    ["lmstudio", OpenAiCompatible.layerConfig({ model, preset: "lmstudio" }), { LM_API_TOKEN: "k" }],
    [
      "azure",
      AzureOpenAi.layerConfig({ model }),
      { ...endpoint, AZURE_OPENAI_API_KEY: "k", OPENAI_API_VERSION: "2024-10-21" }
    ]
  ] as ReadonlyArray<readonly [string, Layer.Layer<Llm.Llm, unknown, HttpClient.HttpClient>, Env]>)(
    "%s",
    async (name, layer, env) => {
      const provider = Providers.find(name)!
      expect(await fromTable(provider, env)).toEqual(await requestOf(layer, env))
      // So that whoever lists its variables misses none.
      for (const variable of Object.keys(env)) expect(Providers.variables(provider)).toContain(variable)
    }
  )
})

describe("settings", () => {
  const read = (env: Env) => (name: string) => env[name]

  it("a key or token that is given comes before those that are set", async () => {
    const env = { ANTHROPIC_API_KEY: "k", ANTHROPIC_AUTH_TOKEN: "t" }
    expect(await fromTable(Providers.anthropic, env, { token: "mine" })).toMatchObject({
      headers: { authorization: "Bearer mine" }
    })
    expect((await fromTable(Providers.anthropic, env, { token: "mine" }))?.headers).not.toHaveProperty("x-api-key")
    const given = (await fromTable(Providers.anthropic, env, { apiKey: "mine" }))?.headers
    expect(given).toMatchObject({ "x-api-key": "mine" })
    expect(given).not.toHaveProperty("authorization")
  })

  it("a base URL that is given is taken as it is, and comes before one that is set", async () => {
    const env = { GOOGLE_API_KEY: "k", GOOGLE_GEMINI_BASE_URL: "http://set.test" }
    const request = await fromTable(Providers.google, env, { baseUrl: "http://given.test/v9" })
    expect(request?.url).toMatch(/^http:\/\/given\.test\/v9\/models\//)
  })

  it.each([
    ["openai", {}, {}, true],
    ["openai", { OPENAI_API_KEY: "k" }, {}, false],
    ["openai", { OPENAI_BASE_URL: "http://a.test" }, {}, false],
    ["openai", {}, { baseUrl: "http://a.test" }, false],
    ["openai", {}, { apiKey: "k" }, false],
    ["openai", {}, { headers: { Authorization: "Basic x" } }, false],
    ["openai", {}, { headers: { "x-authorization": "x" } }, true],
    ["anthropic", { ANTHROPIC_AUTH_TOKEN: "t" }, {}, false],
    ["google", { GEMINI_API_KEY: "k" }, {}, false],
    ["ollama", {}, {}, false],
    ["groq", {}, {}, true],
    ["groq", { GROQ_API_KEY: "k" }, {}, false],
    ["vllm", {}, {}, false],
    ["azure", endpoint, {}, true],
    ["azure", {}, { resourceName: "r", token: "t" }, false]
  ] as ReadonlyArray<readonly [string, Env, Partial<Providers.Given>, boolean]>)(
    "%s with %j and %j: whether a key is lacking is %s",
    (name, env, given, lacks) => {
      const provider = Providers.find(name)!
      expect(Providers.lacksKey(provider, Providers.settings(provider, { model, ...given }, read(env)))).toBe(lacks)
    }
  )

  it.each([
    [{}, {}, true],
    [endpoint, {}, false],
    [{}, { baseUrl: "https://b.test" }, false],
    [{}, { resourceName: "r" }, false]
  ] as ReadonlyArray<readonly [Env, Partial<Providers.Given>, boolean]>)(
    "azure with %j and %j: whether a base URL is lacking is %s",
    (env, given, lacks) => {
      const settings = Providers.settings(Providers.azure, { model, ...given }, read(env))
      expect(Providers.lacksBaseUrl(Providers.azure, settings)).toBe(lacks)
    }
  )

  it("a resource that is named comes before an endpoint that is set", async () => {
    const env = { ...endpoint, AZURE_OPENAI_API_KEY: "k" }
    expect((await fromTable(Providers.azure, env, { resourceName: "mine" }))?.url).toMatch(/^https:\/\/mine\./)
  })
})

describe("names", () => {
  it("are what stands before a slash, each once", () => {
    const names = Providers.all.flatMap(({ id, name }) => (id === undefined ? [name] : [name, id]))
    expect(new Set(names).size).toBe(names.length)
    for (const name of names) expect(name).toMatch(/^[a-z][a-z.-]*$/)
    expect(names).not.toContain("offline")
    for (const { models } of Providers.all) expect(models).toMatch(/^https?:\/\//)
  })

  it.each([
    ["openai/gpt-5", "openai", "gpt-5"],
    ["openrouter/meta/llama-4", "openrouter", "meta/llama-4"],
    ["openai/", "openai", ""],
    ["openai", "openai", ""],
    ["/gpt-5", "", "gpt-5"],
    ["", "", ""]
  ])("%s is of %j, and its model %j", (name, provider, model) => {
    expect(Providers.split(name)).toEqual({ provider, model })
  })

  it("are found, those of errors too, and nothing else is", () => {
    expect(Providers.find("azure")).toBe(Providers.azure)
    expect(Providers.find("azure-openai")).toBe(Providers.azure)
    for (const name of ["", "toString", "OpenAI", "offline"]) expect(Providers.find(name)).toBe(undefined)
  })
})
