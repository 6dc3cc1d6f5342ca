/** Each provider, for callers who do not know Effect: against a third party's server of all their wires. */
import { LLMock } from "@copilotkit/aimock"
import * as Rill from "effect-rill/promise/Rill"
import { afterAll, afterEach, assert, beforeAll, describe, expect, it, vi } from "vitest"
import * as Providers from "../../src/provider/Providers.ts"

const server = new LLMock({ port: 0, chunkSize: 5 })
beforeAll(async () => {
  server
    .onMessage("story", { content: "Once upon a time." })
    .onMessage("limit", { error: { message: "Slow down.", type: "rate_limit_error" }, status: 429, retryAfter: 7 })
  await server.start()
})
afterAll(() => server.stop())
afterEach(() => vi.unstubAllEnvs())

/** As if none of the variables were set, but these. */
const environment = (set: Readonly<Record<string, string>> = {}) => {
  for (const provider of Providers.all) {
    for (const variable of Providers.variables(provider)) vi.stubEnv(variable, set[variable] ?? "")
  }
}

const rejection = async (promise: Promise<unknown>): Promise<Rill.RillError> => {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error
  )
  assert.instanceOf(error, Rill.RillError)
  return error
}

interface Case {
  readonly name: string
  readonly id?: string
  /** The base URL of a server at an origin. */
  readonly at: (origin: string) => string
  readonly client: (options: Rill.ClientOptions) => Rill.Rill
  /** As `from` takes it. */
  readonly full: string
  readonly key: string
  readonly place?: string
  /** The header of its key. */
  readonly header: string
}

const apiVersion = "2024-10-21"
const cases: ReadonlyArray<Case> = [
  {
    name: "openai",
    at: (origin) => `${origin}/v1`,
    client: (options) => Rill.fromOpenAi("gpt-5-mini", options),
    full: "openai/gpt-5-mini",
    key: "OPENAI_API_KEY",
    place: "OPENAI_BASE_URL",
    header: "authorization"
  },
  {
    name: "anthropic",
    at: (origin) => origin,
    client: (options) => Rill.fromAnthropic("claude-haiku-4-5", options),
    full: "anthropic/claude-haiku-4-5",
    key: "ANTHROPIC_API_KEY",
    place: "ANTHROPIC_BASE_URL",
    header: "x-api-key"
  },
  {
    name: "google",
    at: (origin) => origin,
    client: (options) => Rill.fromGoogle("gemini-2.5-flash", options),
    full: "google/gemini-2.5-flash",
    key: "GEMINI_API_KEY",
    place: "GOOGLE_GEMINI_BASE_URL",
    header: "x-goog-api-key"
  },
  {
    name: "ollama",
    at: (origin) => origin,
    client: (options) => Rill.fromOllama("llama3.2", options),
    full: "ollama/llama3.2",
    key: "OLLAMA_API_KEY",
    place: "OLLAMA_HOST",
    header: "authorization"
  },
  {
    name: "azure",
    id: "azure-openai",
    at: (origin) => `${origin}/openai`,
    client: (options) => Rill.fromAzureOpenAi("our-gpt", { apiVersion, ...options }),
    full: "azure/our-gpt",
    key: "AZURE_OPENAI_API_KEY",
    place: "AZURE_OPENAI_ENDPOINT",
    header: "api-key"
  },
  {
    name: "groq",
    at: (origin) => `${origin}/v1`,
    client: (options) => Rill.fromOpenAiCompatible("openai/gpt-oss-120b", { preset: "groq", ...options }),
    full: "groq/openai/gpt-oss-120b",
    key: "GROQ_API_KEY",
    header: "authorization"
  }
]

describe.each(cases)("$name", ({ at, client, full, header, id, key, name, place }) => {
  it("streams text and fails as the provider said, with a key that is given", async () => {
    environment()
    await using rill = client({ apiKey: "sk-given", baseUrl: at(server.url) })
    let text = ""
    for await (const piece of rill.stream("Tell me a story")) text += piece
    expect(text).toBe("Once upon a time.")
    expect((await rill.run("Tell me a story")).provider).toBe(id ?? name)
    const error = await rejection(rill.run("Is there a limit?", { retries: false }))
    expect(error).toMatchObject({ reason: "RateLimited", provider: id ?? name, status: 429, retryAfter: 7000 })
  })

  it("is found by its name, with all else from the environment", async () => {
    environment({ [key]: "sk-set", ...(place && { [place]: at(server.url) }), OPENAI_API_VERSION: apiVersion })
    const seen: Array<string | null> = []
    const fetch: typeof globalThis.fetch = (input, init) => {
      seen.push(new Headers(init?.headers).get(header))
      return globalThis.fetch(input, init)
    }
    await using rill = Rill.from(full, { fetch, ...(place === undefined && { baseUrl: at(server.url) }) })
    expect((await rill.run("Tell me a story")).text).toBe("Once upon a time.")
    expect(seen).toEqual([expect.stringContaining("sk-set")])
  })

  it("without a key, says which variable to set", async () => {
    environment({ ...(name === "azure" && { AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com" }) })
    const fetch = vi.fn<typeof globalThis.fetch>(() => Promise.reject(new TypeError("no network")))
    await using rill = client({ fetch })
    const error = await rejection(rill.run("x"))
    if (name === "ollama") return expect(error).toMatchObject({ reason: "Unreachable", provider: name })
    expect(error).toMatchObject({ reason: "Authentication", provider: id ?? name, phase: "request" })
    expect(error.message).toContain(key)
    expect(fetch).not.toHaveBeenCalled()
  })
})

describe("options that one provider has", () => {
  const request = async (make: (fetch: typeof globalThis.fetch) => Rill.Rill) => {
    let seen: { readonly url: string; readonly headers: Headers; readonly body: unknown } | undefined
    await using rill = make(async (input, init) => {
      const body: unknown = JSON.parse(await new Response(init?.body).text())
      seen = { url: String(input), headers: new Headers(init?.headers), body }
      return new Response("no", { status: 400 })
    })
    await rejection(rill.run("x"))
    assert(seen !== undefined)
    return seen
  }

  it("anthropic", async () => {
    environment({ ANTHROPIC_API_KEY: "sk-set" })
    const { body, headers } = await request((fetch) =>
      Rill.fromAnthropic("claude-haiku-4-5", {
        authToken: "mine",
        betas: ["one", "two"],
        maxTokens: 9,
        headers: { "x-a": "1" },
        fetch
      })
    )
    expect(body).toMatchObject({ max_tokens: 9 })
    expect(Object.fromEntries(headers)).toMatchObject({
      authorization: "Bearer mine",
      "anthropic-beta": "one,two",
      "x-a": "1"
    })
    expect(headers.get("x-api-key")).toBe(null)
  })

  it("ollama", async () => {
    environment()
    const { body } = await request((fetch) =>
      Rill.fromOllama("qwen3", { keepAlive: 90_000, options: { num_ctx: 16384 }, fetch })
    )
    expect(body).toMatchObject({ keep_alive: 90, options: { num_ctx: 16384 } })
  })

  it("azure", async () => {
    environment({ AZURE_OPENAI_ENDPOINT: "https://other.openai.azure.com", AZURE_OPENAI_API_KEY: "sk-set" })
    const { headers, url } = await request((fetch) =>
      Rill.fromAzureOpenAi("our-gpt", { resourceName: "mine", token: "t", api: "chat", apiVersion: "preview", fetch })
    )
    expect(url).toBe("https://mine.openai.azure.com/openai/v1/chat/completions?api-version=preview")
    expect([headers.get("authorization"), headers.get("api-key")]).toEqual(["Bearer t", null])
  })

  it("azure without a place", async () => {
    environment({ AZURE_OPENAI_API_KEY: "sk-set" })
    await using rill = Rill.fromAzureOpenAi("our-gpt")
    const error = await rejection(rill.run("x"))
    expect(error.reason).toBe("InvalidRequest")
    expect(error.message).toContain("AZURE_OPENAI_ENDPOINT")
  })
})

describe("fromOpenAiCompatible", () => {
  it("of a base URL", async () => {
    environment({ OPENAI_API_KEY: "sk-set", GROQ_API_KEY: "sk-set" })
    await using rill = Rill.fromOpenAiCompatible("m", { baseUrl: `${server.url}/v1` })
    expect(await rill.run("Tell me a story")).toMatchObject({
      text: "Once upon a time.",
      provider: "openai-compatible"
    })
    let keys: string | null = ""
    const fetch: typeof globalThis.fetch = (input, init) => {
      keys = new Headers(init?.headers).get("authorization")
      return globalThis.fetch(input, init)
    }
    await using named = Rill.fromOpenAiCompatible("m", { baseUrl: `${server.url}/v1`, name: "mine", fetch })
    expect((await rejection(named.run("Is there a limit?", { retries: false }))).provider).toBe("mine")
    expect(keys).toBe(null)
  })

  it("of a preset under another name, which its errors have", async () => {
    environment()
    await using rill = Rill.fromOpenAiCompatible("m", { preset: "groq", name: "fast" })
    expect(await rejection(rill.run("x"))).toMatchObject({ reason: "Authentication", provider: "fast" })
    await using keyed = Rill.fromOpenAiCompatible("m", {
      preset: "groq",
      name: "fast",
      apiKey: "k",
      baseUrl: `${server.url}/v1`
    })
    expect((await keyed.run("Tell me a story")).provider).toBe("fast")
  })

  it("of a server of one's own, without a key", async () => {
    environment()
    const fetch = vi.fn<typeof globalThis.fetch>(() => Promise.resolve(new Response("no", { status: 400 })))
    await using rill = Rill.fromOpenAiCompatible("m", { preset: "vllm", fetch })
    await rejection(rill.run("x"))
    expect(String(fetch.mock.calls[0]![0])).toBe("http://localhost:8000/v1/chat/completions")
  })

  it("of nothing, and of a preset that there is not", async () => {
    const given = (): Rill.OpenAiCompatibleOptions => ({ baseUrl: "http://a.test" })
    await using rill = Rill.fromOpenAiCompatible("m", Object.assign(given(), { baseUrl: undefined }))
    const error = await rejection(rill.run("x"))
    expect(error.reason).toBe("InvalidRequest")
    expect(error.message).toContain("Pass `baseUrl`, or the `preset`")
    const unknown = (): Rill.Rill =>
      Rill.fromOpenAiCompatible("m", Object.assign(given(), JSON.parse('{"preset":"toString"}')))
    expect(unknown).toThrow(TypeError)
    expect(unknown).toThrow(/no preset "toString"\. There are: groq, .*, litellm;/)
  })
})

it("an environment that may not be read has nothing set", async () => {
  const env = new Proxy({}, { get: () => assert.fail("not permitted") })
  vi.stubGlobal("process", { env })
  const rill = Rill.fromAnthropic("m")
  vi.unstubAllGlobals()
  expect(await rejection(rill.run("x"))).toMatchObject({ reason: "Authentication" })
  await rill.close()
})

describe("from", () => {
  it("takes which of OpenAI's APIs is spoken", async () => {
    const urls: Array<string> = []
    const fetch: typeof globalThis.fetch = (input) => {
      urls.push(String(input))
      return Promise.resolve(new Response("no", { status: 400 }))
    }
    await using rill = Rill.from("openai/some/model", { api: "chat", baseUrl: "http://a.test/v1", fetch })
    await rejection(rill.run("x"))
    expect(urls).toEqual(["http://a.test/v1/chat/completions"])
  })

  it.each([
    ["opnai/gpt-5", {}, /"opnai\/gpt-5" does not begin with a provider.*openai, anthropic, google, ollama, azure/],
    ["gpt-5", {}, /"gpt-5" does not begin with a provider, as in "openai\/gpt-4.1-mini"/],
    ["", {}, /"" does not begin with a provider/],
    ["openai", {}, /"openai" names no model, as in "openai\/gpt-4.1-mini"\. Models: https:/],
    ["azure/", {}, /"azure\/" names no model, as in "azure\/NAME"/],
    ["anthropic/claude-haiku-4-5", { api: "chat" }, /api is for .*anthropic/]
  ] as const)("throws at %j", (name, options, message) => {
    expect(() => Rill.from(name, options)).toThrow(TypeError)
    expect(() => Rill.from(name, options)).toThrow(message)
  })
})
