import { afterEach, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type { LlmError } from "effect-rill/LlmError"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import * as Presets from "effect-rill/provider/openAiCompatible/Presets"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as ChatServer from "../support/ChatServer.ts"
import { encoding, toolkit, weatherTurn } from "../support/describeEncode.ts"

const key = "key-0123456789abcdef"
const names = Object.keys(Presets.presets) as ReadonlyArray<Presets.Name>

const open: Array<ChatServer.ChatServer> = []
const start = (script: ChatServer.Script) =>
  Effect.promise(async () => {
    const server = await ChatServer.start(script)
    open.push(server)
    return server
  })
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))

const run = (options: OpenAiCompatible.Options, request: LlmRequest = { prompt: "Hi" }) =>
  Llm.run(request).pipe(Effect.provide(OpenAiCompatible.layer(options).pipe(Layer.provide(FetchHttpClient.layer))))

const failureOf = (options: OpenAiCompatible.Options, request?: LlmRequest): Effect.Effect<LlmError, unknown> =>
  Effect.flip(run(options, request))

describe("the table", () => {
  it("has whom it should", () => {
    expect(names.length).toBe(23)
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length)
  })

  it.each(names)("%s has a URL, the page it comes from, and the variable of its key", (name) => {
    const { baseUrl, keyOptional, keyVariable, page } = Presets.presets[name]
    const url = new URL(baseUrl)
    // What runs on your own machine needs no key; whatever else there is, is encrypted.
    if (url.hostname === "localhost") {
      expect(url.protocol).toBe("http:")
      expect(Number(url.port)).toBeGreaterThan(1023)
      expect(keyOptional).toBe(true)
    } else {
      expect(url.protocol).toBe("https:")
      expect(keyOptional).toBeUndefined()
    }
    expect(baseUrl).not.toMatch(/\/$|chat\/completions|[?#@]/)
    expect(new URL(page).protocol).toBe("https:")
    expect(keyVariable).toMatch(/^[A-Z][A-Z_]+$/)
  })

  it("is plain data", () => expect(JSON.parse(JSON.stringify(Presets.presets))).toEqual(Presets.presets))
})

// -----------------------------------------------------------------------------
// requests
// -----------------------------------------------------------------------------

const messages = [{ role: "user", content: "Hi" }]
const body = (fields: object) => ({ model: "m", messages, stream: true, ...fields })
const withUsage = { stream_options: { include_usage: true } }
const now = (fields: object = {}) => ({
  type: "function",
  function: { name: "now", parameters: expect.any(Object), ...fields }
})
const settings = { prompt: "Hi", maxTokens: 100, temperature: 0.2, topP: 0.9, stop: ["END"] } as const
const sampled = { temperature: 0.2, top_p: 0.9, stop: ["END"] }
const forced = { prompt: "Hi", toolkit, toolChoice: { mode: "required", oneOf: ["now"] } } as const

/** What each provider's pages show, as we send it. */
const requests: Readonly<Record<Presets.Name, ReadonlyArray<readonly [LlmRequest, object]>>> = {
  groq: [
    [
      { ...settings, seed: 7, reasoning: "low" },
      { ...withUsage, ...sampled, max_completion_tokens: 100, seed: 7, reasoning_effort: "low" }
    ],
    [forced, { ...withUsage, tools: [now({ strict: true })], tool_choice: "required" }]
  ],
  together: [
    [
      { ...settings, seed: 7 },
      { ...withUsage, ...sampled, max_tokens: 100, seed: 7 }
    ]
  ],
  mistral: [
    [
      { ...settings, seed: 7, reasoning: "high", presencePenalty: 1 },
      { ...sampled, max_tokens: 100, random_seed: 7, reasoning_effort: "high", presence_penalty: 1 }
    ],
    [forced, { tools: [now({ strict: true })], tool_choice: "any" }]
  ],
  deepseek: [
    [
      { ...settings, reasoning: "high", responseFormat: { type: "json" } },
      {
        ...withUsage,
        ...sampled,
        max_tokens: 100,
        thinking: { type: "enabled" },
        reasoning_effort: "high",
        response_format: { type: "json_object" }
      }
    ],
    [
      { prompt: "Hi", reasoning: "xhigh" },
      { ...withUsage, thinking: { type: "enabled" }, reasoning_effort: "max" }
    ],
    [
      { prompt: "Hi", reasoning: "none" },
      { ...withUsage, thinking: { type: "disabled" } }
    ],
    [forced, { ...withUsage, tools: [now()], tool_choice: "required" }]
  ],
  fireworks: [
    [
      { ...settings, reasoning: "low" },
      { ...withUsage, ...sampled, max_tokens: 100, reasoning_effort: "low" }
    ]
  ],
  perplexity: [
    [
      {
        prompt: "Hi",
        maxTokens: 100,
        presencePenalty: 1,
        extra: { search_mode: "web", search_recency_filter: "month" }
      },
      { max_tokens: 100, presence_penalty: 1, search_mode: "web", search_recency_filter: "month" }
    ]
  ],
  cerebras: [
    [
      { ...settings, seed: 7 },
      { ...withUsage, ...sampled, max_completion_tokens: 100, seed: 7 }
    ]
  ],
  openrouter: [
    [
      { ...settings, reasoning: "high" },
      { ...withUsage, ...sampled, max_tokens: 100, reasoning: { effort: "high" } }
    ],
    [
      { prompt: "Hi", reasoning: "none" },
      { ...withUsage, reasoning: { effort: "none" } }
    ]
  ],
  sambanova: [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  xai: [
    [
      { ...settings, reasoning: "low" },
      { ...withUsage, ...sampled, max_completion_tokens: 100, reasoning_effort: "low" }
    ]
  ],
  nvidia: [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  moonshot: [
    [settings, { ...withUsage, ...sampled, max_completion_tokens: 100 }],
    [
      { prompt: "Hi", reasoning: "none" },
      { ...withUsage, thinking: { type: "disabled" } }
    ],
    [
      { prompt: "Hi", reasoning: "xhigh" },
      { ...withUsage, reasoning_effort: "max" }
    ]
  ],
  zhipu: [
    [
      { ...settings, reasoning: "high" },
      { ...sampled, max_tokens: 100, thinking: { type: "enabled" }, reasoning_effort: "high" }
    ],
    [{ prompt: "Hi", toolkit, toolChoice: "none" }, {}],
    [
      { prompt: "Hi", toolkit, toolChoice: { oneOf: ["now"] } },
      { tools: [now()], tool_choice: "auto" }
    ]
  ],
  dashscope: [
    [
      { ...settings, seed: 7, reasoning: "none" },
      { ...withUsage, ...sampled, max_tokens: 100, seed: 7, enable_thinking: false }
    ]
  ],
  huggingface: [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  "github-models": [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  cohere: [
    [
      { ...settings, frequencyPenalty: 1 },
      { ...withUsage, ...sampled, max_tokens: 100, frequency_penalty: 1 }
    ]
  ],
  vllm: [
    [
      { ...settings, reasoning: "low" },
      { ...withUsage, ...sampled, max_tokens: 100, reasoning_effort: "low" }
    ]
  ],
  sglang: [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  "llama.cpp": [
    [
      { ...settings, reasoning: "high" },
      { ...withUsage, ...sampled, max_tokens: 100, chat_template_kwargs: { reasoning_effort: "high" } }
    ],
    [
      { prompt: "Hi", reasoning: "none" },
      { ...withUsage, chat_template_kwargs: { enable_thinking: false } }
    ]
  ],
  lmstudio: [
    [
      { prompt: "Hi", responseFormat: { type: "json" } },
      {
        ...withUsage,
        response_format: {
          type: "json_schema",
          json_schema: { name: "response", strict: false, schema: { type: "object" } }
        }
      }
    ]
  ],
  localai: [[settings, { ...withUsage, ...sampled, max_tokens: 100 }]],
  litellm: [
    [
      { ...settings, reasoning: "low" },
      { ...withUsage, ...sampled, max_tokens: 100, reasoning_effort: "low" }
    ]
  ]
}

/** What each refuses, and no others. */
const refused: Readonly<Record<string, LlmRequest>> = {
  tools: { prompt: "Hi", toolkit },
  stop: { prompt: "Hi", stop: "a" },
  seed: { prompt: "Hi", seed: 1 },
  penalties: { prompt: "Hi", frequencyPenalty: 1, presencePenalty: 1 },
  "any JSON": { prompt: "Hi", responseFormat: { type: "json" } },
  "a schema": { prompt: "Hi", responseFormat: { type: "json-schema", schema: { type: "object" } } },
  "a call": { prompt: "Hi", toolkit, toolChoice: "required" },
  "one tool": { prompt: "Hi", toolkit, toolChoice: { tool: "now" } },
  "a medium effort": { prompt: "Hi", reasoning: "medium" },
  names: { prompt: [{ role: "user", content: "Hi", options: { openai: { name: "ada" } } }] }
}

const refuses: Readonly<Partial<Record<Presets.Name, ReadonlyArray<string>>>> = {
  groq: ["penalties", "names"],
  mistral: ["names"],
  deepseek: ["seed", "a schema"],
  perplexity: ["tools", "stop", "seed", "any JSON", "a call", "one tool"],
  cerebras: ["penalties"],
  sambanova: ["penalties"],
  moonshot: ["seed", "a call", "one tool", "a medium effort"],
  zhipu: ["seed", "penalties", "a schema", "a call", "one tool", "a medium effort", "names"],
  dashscope: ["penalties", "a call", "a medium effort"]
}

describe.each(names)("requests to %s", (name) => {
  const { body: sent, failure } = encoding(
    OpenAiChat.make({ ...Presets.usual, ...Presets.presets[name].deviations }).encode
  )

  it.each(requests[name])("%#: are what its pages show", (request, expected) =>
    expect(sent(request, "m")).toEqual(body(expected))
  )

  it("are refused for what it does not take, and for nothing else", () => {
    const found = Object.entries(refused).filter(([, request]) => {
      try {
        sent(request)
        return false
      } catch {
        expect(failure(request)._tag).toBe("Unsupported")
        return true
      }
    })
    expect(found.map(([what]) => what)).toEqual(refuses[name] ?? [])
  })
})

/** Where each wants to see its reasoning again, of a turn with calls. */
const histories: Readonly<Partial<Record<Presets.Name, object>>> = {
  groq: { reasoning: "Hm." },
  mistral: {
    content: [
      { type: "thinking", thinking: [{ type: "text", text: "Hm." }] },
      { type: "text", text: "Let me look." }
    ]
  },
  deepseek: { reasoning_content: "Hm." },
  fireworks: { reasoning_content: "Hm." },
  cerebras: { reasoning: "Hm." },
  moonshot: { reasoning_content: "Hm." },
  zhipu: { reasoning_content: "Hm." },
  vllm: { reasoning: "Hm." },
  sglang: { reasoning_content: "Hm." },
  "llama.cpp": { reasoning_content: "Hm." }
}

describe("where requests go", () => {
  it.effect.each(names)("to %s: its URL, its key, or none where none is needed; its reasoning", (preset) =>
    Effect.gen(function* () {
      const { client, wire } = yield* FaultyWire.make(() => [FaultyWire.status(500), FaultyWire.chunk("no")])
      const { baseUrl, keyOptional } = Presets.presets[preset]
      const ask = (apiKey: Redacted.Redacted | undefined) =>
        OpenAiCompatible.make({ preset, model: "m", apiKey }).pipe(
          Effect.flatMap((llm) => Effect.flip(Stream.runDrain(llm.events({ prompt: weatherTurn })))),
          Effect.provideService(HttpClient.HttpClient, client)
        )
      expect(yield* ask(Redacted.make(key))).toMatchObject({ reason: { _tag: "ProviderFailed" }, provider: preset })
      yield* ask(undefined)
      const [first, ...others] = yield* wire.requests
      expect(first).toMatchObject({
        url: `${baseUrl}/chat/completions`,
        headers: { authorization: `Bearer ${key}` }
      })
      expect(others.map(({ headers }) => headers["authorization"])).toEqual(keyOptional === true ? [undefined] : [])
      const { messages } = JSON.parse(first!.body) as { messages: ReadonlyArray<Record<string, unknown>> }
      const { role: _, tool_calls: __, ...turn } = messages.find((message) => "tool_calls" in message)!
      expect(turn).toEqual({ content: "Let me look.", ...histories[preset] })
    })
  )
})

// -----------------------------------------------------------------------------
// over a socket
// -----------------------------------------------------------------------------

describe("over a socket", () => {
  it.effect("a preset elsewhere: its URL, its key, its deviations, its name", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("Hello")])
      const response = yield* run(
        {
          preset: "mistral",
          baseUrl: `${server.baseUrl}//`,
          model: "mistral-small-latest",
          apiKey: Redacted.make(key),
          headers: { "x-extra": "1" }
        },
        { prompt: "Hi", seed: 7, maxTokens: 9 }
      )
      expect(response).toMatchObject({ text: "Hello", provider: "mistral" })
      expect(server.requests[0]).toMatchObject({
        method: "POST",
        path: "/v1/chat/completions",
        headers: { authorization: `Bearer ${key}`, accept: "text/event-stream", "x-extra": "1" }
      })
      expect(server.requests[0]!.body).toEqual({
        model: "mistral-small-latest",
        messages: [{ role: "user", content: "Hi" }],
        random_seed: 7,
        max_tokens: 9,
        stream: true
      })
    })
  )

  it.effect("a plain base URL: no key header, and what is usual", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("Hello")])
      const response = yield* run({ baseUrl: server.baseUrl, model: "mine" }, { prompt: "Hi", maxTokens: 9 })
      expect(response).toMatchObject({ text: "Hello", provider: "openai-compatible" })
      expect(server.requests[0]!.headers.authorization).toBeUndefined()
      expect(server.requests[0]!.body).toMatchObject({ model: "mine", max_tokens: 9, ...withUsage })
    })
  )

  it.effect("a name and deviations of one's own, which win", () =>
    Effect.gen(function* () {
      const server = yield* start([
        [ChatServer.text("Once")],
        [ChatServer.text("Once")],
        ChatServer.failure(401, {}, { message: `Wrong key: ${key}` })
      ])
      const options = {
        baseUrl: server.baseUrl,
        model: "mine",
        name: "cellar",
        apiKey: Redacted.make(key),
        deviations: { end: "input", maxTokens: "max_completion_tokens" }
      } as const
      const response = yield* run(options, { prompt: "Hi", maxTokens: 9 })
      expect(response).toMatchObject({ text: "Once", provider: "cellar" })
      expect(server.requests[0]!.body).toMatchObject({ max_completion_tokens: 9 })
      // By default such an answer is not whole.
      const { deviations: _, ...plain } = options
      expect(yield* failureOf(plain)).toMatchObject({ reason: { _tag: "Truncated" }, provider: "cellar" })
      const error = yield* failureOf(options)
      expect(error).toMatchObject({ reason: { _tag: "Authentication" }, provider: "cellar", model: "mine" })
      expect(JSON.stringify(error) + error.message).not.toContain(key)
    })
  )

  it.effect("deviations of one's own leave the preset's others", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("Hello")])
      yield* run(
        { preset: "mistral", baseUrl: server.baseUrl, model: "m", deviations: { streamOptions: true } },
        { prompt: "Hi", seed: 7 }
      )
      expect(server.requests[0]!.body).toMatchObject({ random_seed: 7, ...withUsage })
    })
  )

  it.effect("a limit's delay, in the words of the error", () =>
    Effect.gen(function* () {
      const message = "Rate limit reached for model `x` on tokens per minute (TPM). Please try again in 7.66s."
      const server = yield* start([
        ChatServer.failure(429, { "x-ratelimit-reset-tokens": "7.66s" }, { message, code: "rate_limit_exceeded" }),
        ChatServer.failure(429, { "retry-after": "8" }, { message }),
        ChatServer.failure(429, { "x-ratelimit-reset-tokens": "7.66s" }, {})
      ])
      const options = { preset: "groq", baseUrl: server.baseUrl, model: "x", apiKey: Redacted.make(key) } as const
      for (const milliseconds of [7660, 8000, undefined]) {
        const error = yield* failureOf(options)
        expect(error).toMatchObject({ reason: { _tag: "RateLimited" }, isRetryable: true })
        expect(error.retryAfter && Duration.toMillis(error.retryAfter)).toBe(milliseconds)
      }
    })
  )
})

describe("keys", () => {
  it.effect.each(names.filter((name) => Presets.presets[name].keyOptional !== true))(
    "%s without one is refused before anything is sent, and says which variable",
    (preset) =>
      Effect.gen(function* () {
        const error = yield* failureOf({ preset, model: "m" })
        expect(error).toMatchObject({ reason: { _tag: "Authentication" }, provider: preset, phase: "request" })
        expect(error.message).toContain(Presets.presets[preset].keyVariable)
      })
  )

  it.effect("may be a proxy's, or a header of the caller's own", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* run({ preset: "groq", model: "m", baseUrl: server.baseUrl })
      expect(server.requests[0]!.headers.authorization).toBeUndefined()
      yield* run({
        preset: "groq",
        model: "m",
        baseUrl: server.baseUrl,
        headers: { Authorization: Redacted.make("Basic dXNlcjpwYXNz") }
      })
      expect(server.requests[1]!.headers.authorization).toBe("Basic dXNlcjpwYXNz")
      // Without a base URL of one's own the header does as well: nothing is refused before it is sent.
      const error = yield* failureOf({ preset: "groq", model: "", headers: { Authorization: "bad\nheader" } })
      expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" } })
    })
  )
})

describe("layerConfig", () => {
  const configured = (env: Record<string, string>, options: OpenAiCompatible.Options) =>
    Llm.run("Hi").pipe(
      Effect.provide(OpenAiCompatible.layerConfig(options).pipe(Layer.provide(FetchHttpClient.layer))),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )

  it.effect.each(names)("reads the variable of %s, which is required where the server is not your own", (preset) =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const { keyOptional, keyVariable } = Presets.presets[preset]
      const options = { preset, model: "m", baseUrl: server.baseUrl }
      yield* configured({ [keyVariable]: key }, options)
      expect(server.requests[0]!.headers.authorization).toBe(`Bearer ${key}`)
      const exit = yield* Effect.exit(configured({}, options))
      if (keyOptional === true) {
        yield* configured({ [keyVariable]: "" }, options)
        expect(server.requests.slice(1).map(({ headers }) => headers.authorization)).toEqual([undefined, undefined])
      } else expect(Exit.isFailure(exit) && String(exit.cause)).toContain(keyVariable)
    })
  )

  it.effect("an option wins, and a plain base URL reads no variable", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const env = { GROQ_API_KEY: "key-of-the-environment", OPENAI_API_KEY: "key-of-another" }
      yield* configured(env, { preset: "groq", model: "m", baseUrl: server.baseUrl, apiKey: Redacted.make(key) })
      yield* configured(env, { model: "m", baseUrl: server.baseUrl })
      expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${key}`, undefined])
    })
  )
})

describe("callers whose types are not checked", () => {
  it.effect.each([
    [{ preset: "grok", model: "m" }, /no preset "grok"\. Give a preset \(groq, together, .*\) or a `baseUrl`/],
    [{ preset: "toString", model: "m" }, /no preset "toString"/],
    [{ preset: "grok", baseUrl: "http://127.0.0.1:1", model: "m" }, /no preset "grok"/],
    [{ model: "m" }, /give a preset \(groq/]
  ] as const)("%j is InvalidRequest", ([options, message]) =>
    Effect.gen(function* () {
      const unchecked = JSON.parse(JSON.stringify(options)) as OpenAiCompatible.Options
      for (const make of [OpenAiCompatible.layer, OpenAiCompatible.layerConfig]) {
        const error = yield* Llm.run("Hi").pipe(
          Effect.provide(make(unchecked).pipe(Layer.provide(FetchHttpClient.layer))),
          Effect.flip
        )
        expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" }, phase: "request" })
        expect(String(error)).toMatch(message)
      }
    })
  )
})
