import { afterEach, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type * as LlmError from "effect-rill/LlmError"
import * as Ollama from "effect-rill/provider/Ollama"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as ChatServer from "../support/ChatServer.ts"

const key = "ollama-test-0123456789abcdef"

const open: Array<ChatServer.ChatServer> = []
const start = (script: ChatServer.Script) =>
  Effect.promise(async () => {
    const server = await ChatServer.start(script)
    open.push(server)
    return server
  })
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))

const line = (fields: Readonly<Record<string, unknown>>): ChatServer.Step => ({
  raw: `${JSON.stringify({ model: "llama3.2", created_at: "2026-01-02T10:00:00.1Z", done: false, ...fields })}\n`
})
const text = (content: string) => line({ message: { role: "assistant", content } })
const done = line({
  message: { role: "assistant", content: "" },
  done: true,
  done_reason: "stop",
  prompt_eval_count: 5,
  eval_count: 2
})

/** An answer under the content type that Ollama gives, or another. */
const ndjson = (
  steps: ReadonlyArray<ChatServer.Step>,
  contentType = "application/x-ndjson"
): Exclude<ChatServer.Answer, Iterable<ChatServer.Step> | AsyncIterable<ChatServer.Step>> => ({
  headers: { "content-type": contentType },
  steps
})
const answer = (...pieces: ReadonlyArray<string>) => ndjson([...pieces.map(text), done])

const layer = (server: { readonly url: string }, options: Partial<Ollama.Options> = {}) =>
  Ollama.layer({ model: "llama3.2", baseUrl: server.url, ...options }).pipe(Layer.provide(FetchHttpClient.layer))

const failureOf = (
  server: { readonly url: string },
  options?: Partial<Ollama.Options>
): Effect.Effect<LlmError.LlmError, unknown> => Llm.run("Hi").pipe(Effect.provide(layer(server, options)), Effect.flip)

describe("a request", () => {
  it.effect("is what Ollama documents, and its answer a stream", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("Hello", ", ", "world")])
      const pieces = yield* Llm.stream({ prompt: "Hi", system: "Be brief.", temperature: 0.5, maxTokens: 9 }).pipe(
        Stream.runCollect,
        Effect.provide(layer(server))
      )
      expect(pieces).toEqual(["Hello", ", ", "world"])
      const [request] = server.requests
      expect(request).toMatchObject({
        method: "POST",
        path: "/api/chat",
        headers: { accept: "application/x-ndjson", "content-type": "application/json" }
      })
      expect(request!.headers.authorization).toBeUndefined()
      expect(request!.body).toEqual({
        model: "llama3.2",
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hi" }
        ],
        options: { temperature: 0.5, num_predict: 9 },
        stream: true
      })
    })
  )

  it.effect("has the layer's options, unless it says otherwise itself", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const requests = [
        { prompt: "Hi" },
        { prompt: "Hi", temperature: 1, extra: { keep_alive: "1h", options: { num_ctx: 8192 } } },
        { prompt: "Hi", extra: { options: "mine" } }
      ]
      const options = { keepAlive: "10 minutes", options: { num_ctx: 16384, temperature: 0.2, top_k: 20 } } as const
      yield* Effect.forEach(requests, (request) => Llm.run(request)).pipe(Effect.provide(layer(server, options)))
      expect(server.requests.map(({ body }) => [body["keep_alive"], body["options"]])).toEqual([
        [600, { num_ctx: 16384, temperature: 0.2, top_k: 20 }],
        ["1h", { num_ctx: 8192, temperature: 1, top_k: 20 }],
        [600, "mine"]
      ])
    })
  )

  it.effect.each([
    [0, 0],
    ["1500 millis", 1.5],
    ["Infinity", -1]
  ] as const)("keepAlive %s is %d s", ([keepAlive, seconds]) =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { keepAlive })))
      expect(server.requests[0]!.body["keep_alive"]).toBe(seconds)
    })
  )

  it.effect.each(["", "/", "/api", "/api/"])("goes to the same place, if the base URL ends with %j", (end) =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      yield* Llm.run("Hi").pipe(Effect.provide(layer({ url: `${server.url}/ollama${end}` })))
      expect(server.requests[0]!.path).toBe("/ollama/api/chat")
    })
  )

  it.effect("has the key as a bearer token, and the caller's headers", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const options = { baseUrl: `${server.url}//`, apiKey: Redacted.make(key), headers: { "x-a": "b" } }
      yield* Llm.run({ prompt: "Hi", model: "qwen3" }).pipe(Effect.provide(layer(server, options)))
      expect(server.requests[0]).toMatchObject({
        path: "/api/chat",
        headers: { authorization: `Bearer ${key}`, "x-a": "b" },
        body: { model: "qwen3" }
      })
    })
  )
})

describe("an answer", () => {
  const whole = [text("He"), text("llo"), done]

  it.effect.each(["application/x-ndjson", "application/json; charset=utf-8", "application/json", "text/plain", ""])(
    "is read under the content type %j",
    (contentType) =>
      Effect.gen(function* () {
        const server = yield* start([ndjson(whole, contentType)])
        const response = yield* Llm.run("Hi").pipe(Effect.provide(layer(server)))
        expect(response).toMatchObject({
          text: "Hello",
          finishReason: "stop",
          provider: "ollama",
          model: "llama3.2",
          usage: { source: "exact", inputTokens: 5, outputTokens: 2 }
        })
        expect(response).not.toHaveProperty("id")
      })
  )

  it.effect("ends with done: true, though the server keeps the body open", () =>
    Effect.gen(function* () {
      const server = yield* start([ndjson([...whole, "hold"])])
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server)))
      expect(yield* Effect.promise(() => server.requests[0]!.ended)).toBe("closed")
    })
  )

  it.effect("that breaks off is Disconnected, one that ends before done: true is Truncated", () =>
    Effect.gen(function* () {
      const server = yield* start([
        ndjson([text("He"), ChatServer.pause(20), "reset"]),
        ndjson([text("He"), "end"]),
        ndjson([text("He"), { raw: '{"model":"llama3.2","message":{"content":"llo' }, "end"])
      ])
      for (const tag of ["Disconnected", "Truncated", "Truncated"]) {
        const error = yield* failureOf(server)
        expect(error).toMatchObject({ reason: { _tag: tag }, phase: "mid-output", emitted: 2, isRetryable: true })
        expect(error.message).not.toContain("llo")
      }
    })
  )

  it.effect.each([
    ["text/html", "<html><body>Please sign in</body></html>", "Malformed", /Please sign in/],
    ["application/json", '{"error":"model \'llama3.2\' not found"}', "NotFound", /`ollama pull llama3.2`/],
    ["application/x-ndjson", '{"error":"model \'llama3.2\' not found"}\n', "NotFound", /`ollama pull llama3.2`/],
    ["application/json", '{"status":"fine"}', "Malformed", /it is JSON with the fields "status"/],
    ["application/json", "", "Truncated", /before it began/]
  ] as const)("under HTTP 200 may be none: %s %j", ([contentType, body, tag, message]) =>
    Effect.gen(function* () {
      const server = yield* start([ndjson(body === "" ? [] : [{ raw: body }], contentType)])
      const error = yield* failureOf(server)
      expect(error).toMatchObject({ reason: { _tag: tag }, phase: "before-output", provider: "ollama" })
      expect(error.message).toMatch(message)
    })
  )
})

describe("errors", () => {
  it.effect.each([
    [404, 'model "llama3.2" not found, try pulling it first', "NotFound", false, /`ollama pull llama3.2`/],
    [400, "registry.ollama.ai/library/gemma does not support tools", "Unsupported", false, /`ollama show`/],
    [401, "unauthorized", "Authentication", false, /`ollama signin`/],
    [403, "this model requires a subscription", "PermissionDenied", false, /subscription/],
    [429, "you (ada) have reached your weekly usage limit", "QuotaExhausted", false, /reset/],
    [500, "llama runner process has terminated", "ProviderFailed", true, /terminated/],
    [503, "server busy, please try again. maximum pending requests exceeded", "Overloaded", true, /busy/]
  ] as const)("%i %s", ([status, message, tag, retryable, words]) =>
    Effect.gen(function* () {
      const headers = { "content-type": "application/json; charset=utf-8" }
      const server = yield* start([
        { status, headers, steps: [{ raw: JSON.stringify({ error: `${message}` }) }] },
        {
          status,
          headers,
          steps: [{ raw: JSON.stringify({ error: `${message}`, signin_url: `https://x?key=${key}` }) }]
        }
      ])
      for (const apiKey of [undefined, Redacted.make(key)]) {
        const error = yield* failureOf(server, { apiKey })
        expect(error).toMatchObject({ reason: { _tag: tag }, phase: "headers", isRetryable: retryable })
        expect(error.message).toMatch(words)
        expect(JSON.stringify(error)).not.toContain(key)
      }
    })
  )

  it.effect("a key that the server quotes is not in the error", () =>
    Effect.gen(function* () {
      const quoting = JSON.stringify({ error: `model '${key}' not found` })
      const server = yield* start([
        { status: 404, headers: { "content-type": "application/json" }, steps: [{ raw: quoting }] },
        ndjson([{ raw: `${quoting}\n` }])
      ])
      for (const phase of ["headers", "before-output"]) {
        const error = yield* failureOf(server, { apiKey: Redacted.make(key) })
        expect(error).toMatchObject({ reason: { _tag: "NotFound" }, phase })
        expect(`${error.message} ${JSON.stringify(error)}`).not.toContain(key)
      }
    })
  )

  it.effect("where nothing listens, it is said how to start Ollama", () =>
    Effect.gen(function* () {
      const server = yield* start([])
      yield* Effect.promise(() => server.stop())
      const error = yield* failureOf(server)
      expect(error).toMatchObject({ reason: { _tag: "Unreachable", code: "ECONNREFUSED" }, phase: "request" })
      expect(error.message).toMatch(/nothing listens.*`ollama serve`/)
    })
  )

  it.effect("of the cloud say nothing of that", () =>
    Effect.gen(function* () {
      const wire = FaultyWire.layer([[FaultyWire.reset("ENOTFOUND")], [FaultyWire.status(500)]])
      const options = { model: "gpt-oss:120b", apiKey: Redacted.make(key), baseUrl: Ollama.cloudBaseUrl }
      const cloud = Ollama.layer(options).pipe(Layer.provide(wire))
      const errors = yield* Effect.forEach([1, 2], () => Effect.flip(Llm.run("Hi"))).pipe(Effect.provide(cloud))
      expect(errors.map(({ reason }) => reason._tag)).toEqual(["Unreachable", "ProviderFailed"])
      for (const { message } of errors) expect(message).not.toContain("serve")
    })
  )

  it.effect("a bad base URL is InvalidRequest", () =>
    Effect.gen(function* () {
      expect((yield* failureOf({ url: "localhost:11434" })).reason._tag).toBe("InvalidRequest")
    })
  )
})

describe("layerConfig", () => {
  /** Where a request goes, and with which key. */
  const sentWith = Effect.fnUntraced(function* (env: Record<string, string>, options: Partial<Ollama.Options> = {}) {
    const sent: Array<FaultyWire.Request> = []
    const wire = FaultyWire.layer((request) => {
      sent.push(request)
      return [FaultyWire.reset("ECONNREFUSED")]
    })
    yield* Effect.exit(Llm.run("Hi")).pipe(
      Effect.provide(Ollama.layerConfig({ model: "llama3.2", ...options }).pipe(Layer.provide(wire))),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )
    return { url: sent[0]?.url, authorization: sent[0]?.headers["authorization"] }
  })

  // As in https://github.com/ollama/ollama/blob/main/envconfig/config_test.go.
  it.effect.each([
    [undefined, "http://127.0.0.1:11434/api/chat"],
    ["", "http://127.0.0.1:11434/api/chat"],
    ["1.2.3.4", "http://1.2.3.4:11434/api/chat"],
    ["1.2.3.4:56789", "http://1.2.3.4:56789/api/chat"],
    ["1.2.3.4:56789/", "http://1.2.3.4:56789/api/chat"],
    [":1234", "http://127.0.0.1:1234/api/chat"],
    ["example.com", "http://example.com:11434/api/chat"],
    ["example.com:56789", "http://example.com:56789/api/chat"],
    ["http://1.2.3.4", "http://1.2.3.4/api/chat"],
    ["https://1.2.3.4", "https://1.2.3.4/api/chat"],
    ["https://example.com:8443/ollama/", "https://example.com:8443/ollama/api/chat"],
    ["example.com/ollama", "http://example.com:11434/ollama/api/chat"],
    ['"1.2.3.4"', "http://1.2.3.4:11434/api/chat"],
    [" ' 1.2.3.4 ' ", "http://1.2.3.4:11434/api/chat"],
    ["[::1]", "http://[::1]:11434/api/chat"],
    ["::1", "http://[::1]:11434/api/chat"],
    ["[::1]:1234", "http://[::1]:1234/api/chat"],
    ["0.0.0.0", "http://127.0.0.1:11434/api/chat"],
    ["0.0.0.0:1234", "http://127.0.0.1:1234/api/chat"],
    ["http://0.0.0.0:1234", "http://127.0.0.1:1234/api/chat"],
    ["[::]:1234", "http://[::1]:1234/api/chat"],
    ["::", "http://[::1]:11434/api/chat"],
    ["ollama.com", "https://ollama.com/api/chat"],
    ["https://ollama.com", "https://ollama.com/api/chat"]
  ] as const)("OLLAMA_HOST %j is %s", ([host, url]) =>
    Effect.gen(function* () {
      expect(yield* sentWith(host === undefined ? {} : { OLLAMA_HOST: host })).toEqual({
        url,
        authorization: undefined
      })
    })
  )

  it.effect("OLLAMA_API_KEY is sent; options win, and empty variables count as not set", () =>
    Effect.gen(function* () {
      const env = { OLLAMA_HOST: "example.com", OLLAMA_API_KEY: key }
      expect(yield* sentWith(env)).toMatchObject({ authorization: `Bearer ${key}` })
      const options = { baseUrl: "http://1.2.3.4:5", apiKey: Redacted.make("of-the-options") }
      expect(yield* sentWith(env, options)).toEqual({
        url: "http://1.2.3.4:5/api/chat",
        authorization: "Bearer of-the-options"
      })
      expect(yield* sentWith({ OLLAMA_API_KEY: "" })).toEqual({
        url: "http://127.0.0.1:11434/api/chat",
        authorization: undefined
      })
    })
  )

  it.effect("a host that is none is InvalidRequest", () =>
    Effect.gen(function* () {
      const error = yield* Llm.run("Hi").pipe(
        Effect.provide(Ollama.layerConfig({ model: "llama3.2" }).pipe(Layer.provide(FetchHttpClient.layer))),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({ env: { OLLAMA_HOST: "example.com:port" } })
        ),
        Effect.flip
      )
      expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" } })
    })
  )
})

it.effect("make gives the service", () =>
  Effect.gen(function* () {
    const server = yield* start([answer("ok")])
    const llm = yield* Ollama.make({ model: "llama3.2", baseUrl: server.url }).pipe(
      Effect.provideService(HttpClient.HttpClient, yield* HttpClient.HttpClient)
    )
    const events = yield* Stream.runCollect(llm.events({ prompt: "Hi" }))
    expect(events.map(({ _tag }) => _tag)).toEqual(["Started", "TextDelta", "Finished"])
  }).pipe(Effect.provide(FetchHttpClient.layer))
)
