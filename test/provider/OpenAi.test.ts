import { NodeHttpClient } from "@effect/platform-node"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Llm from "effect-rill/Llm"
import type * as LlmError from "effect-rill/LlmError"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as EventStream from "effect-rill/wire/EventStream"
import { LearnedShape } from "effect-rill/wire/LearnedShape"
import { vi } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"

const key = "sk-test-0123456789abcdef"

const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp]
]

const apis = ["responses", "chat"] as const
const paths = { responses: "/v1/responses", chat: "/v1/chat/completions" } as const

const open: Array<ChatServer.ChatServer> = []
const start = (script: ChatServer.Script) =>
  Effect.promise(async () => {
    const server = await ChatServer.start(script)
    open.push(server)
    return server
  })
afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(open.splice(0).map((server) => server.stop()))
})

const layer = (
  server: { readonly baseUrl: string },
  options: Partial<OpenAi.Options> = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  OpenAi.layer({ model: "gpt-test", apiKey: Redacted.make(key), baseUrl: server.baseUrl, ...options }).pipe(
    Layer.provide(client)
  )

const failureOf = (
  server: { readonly baseUrl: string },
  options: Partial<OpenAi.Options> = {},
  client?: Layer.Layer<HttpClient.HttpClient>
): Effect.Effect<LlmError.LlmError, unknown> =>
  Llm.run("Hi").pipe(Effect.provide(layer(server, options, client)), Effect.flip)

describe.each(apis.flatMap((api) => clients.map(([name, client]) => [api, name, client] as const)))(
  "%s over %s",
  (api, _, client) => {
    it.effect("what its answers have in common is learned once", () =>
      Effect.gen(function* () {
        const words = ["one", "two", "three", "four", "five"]
        const server = yield* start([1, 2, 3, 4].map(() => ChatServer.answer(...words)))
        const spy = vi.spyOn(LearnedShape.prototype, "parse")
        const parsed: Array<number> = []
        yield* Effect.gen(function* () {
          for (const _ of [1, 2, 3, 4]) {
            spy.mockClear()
            expect(yield* Stream.runCollect(Llm.stream("Hi"))).toEqual(words)
            parsed.push(spy.mock.calls.length)
          }
        }).pipe(Effect.provide(layer(server, { api }, client)))
        const [first, , third, fourth] = parsed
        expect([third, fourth]).toEqual([first! - 1, first! - 1])
      })
    )

    it.effect("a request is what the API documents, and its answer a stream", () =>
      Effect.gen(function* () {
        const server = yield* start([ChatServer.answer("Hello", ", ", "world")])
        const text = yield* Llm.stream({ prompt: "Hi", system: "Be brief.", temperature: 0.5, maxTokens: 9 }).pipe(
          Stream.runCollect,
          Effect.provide(
            // What is asked for is an event stream, whatever else is accepted.
            layer(server, { api, organization: "org-1", project: "proj-1", headers: { Accept: "text/plain" } }, client)
          )
        )
        expect(text).toEqual(["Hello", ", ", "world"])
        const [request] = server.requests
        expect(request).toMatchObject({
          method: "POST",
          path: paths[api],
          headers: {
            authorization: `Bearer ${key}`,
            accept: "text/event-stream",
            "content-type": "application/json",
            "openai-organization": "org-1",
            "openai-project": "proj-1"
          }
        })
        expect(request!.messages).toEqual([
          { role: "system", content: "Be brief." },
          { role: "user", content: "Hi" }
        ])
        expect(request!.body).toMatchObject({ model: "gpt-test", temperature: 0.5, stream: true })
      })
    )

    it.effect("the key goes to no other origin, and no trace header to the provider", () =>
      Effect.gen(function* () {
        const other = yield* start([ChatServer.answer("stolen")])
        const server = yield* start([{ status: 307, headers: { location: `${other.url}${paths[api]}?key=1` } }])
        const error = yield* failureOf(
          server,
          { api, headers: { "x-api-key": Redacted.make("other-secret") } },
          client
        ).pipe(Effect.withSpan("outer"))
        expect(error.reason).toMatchObject({ _tag: "InvalidRequest", message: expect.stringContaining(other.url) })
        expect(other.requests).toEqual([])
        const headers = Object.keys(server.requests[0]!.headers)
        expect(headers).toContain("x-api-key")
        expect(headers.filter((name) => /^(traceparent|tracestate|b3|x-b3)/.test(name))).toEqual([])
      })
    )

    it.effect.each([301, 302, 307, 308])(
      "a redirect within the origin is followed, with method and body: %i",
      (status) =>
        Effect.gen(function* () {
          const server = yield* start([{ status, headers: { location: "/other/path" } }, ChatServer.answer("ok")])
          const response = yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { api }, client)))
          expect(response.text).toBe("ok")
          expect(server.requests[1]).toMatchObject({
            method: "POST",
            path: "/other/path",
            headers: { authorization: `Bearer ${key}` }
          })
          expect(server.requests[1]!.body).toEqual(server.requests[0]!.body)
        })
    )

    it.effect("a redirect's own body, which is not read, holds no connection", () =>
      Effect.gen(function* () {
        const server = yield* start([
          { status: 307, headers: { location: "/x" }, steps: [{ raw: "Moved" }, "hold"] },
          ChatServer.answer("ok")
        ])
        yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { api }, client)))
        expect(yield* Effect.promise(() => server.requests[0]!.ended)).toBe("closed")
      })
    )

    it.effect.each([
      ["one to be read with GET", 303, "/x", /GET/],
      ["a loop", 307, paths[api], /more than 5 times/],
      ["nonsense", 307, "http://[", /not a URL/]
    ] as const)("a redirect that is %s is refused", ([, status, location, message]) =>
      Effect.gen(function* () {
        const server = yield* start([{ status, headers: { location } }])
        const error = yield* failureOf(server, { api }, client)
        expect(error.reason._tag).toBe("InvalidRequest")
        expect(error.reason.message).toMatch(message)
      })
    )

    // Law 3.
    it.effect("the wire end ends the stream and the connection, though the server keeps the body open", () =>
      Effect.gen(function* () {
        const server = yield* start([[...ChatServer.answer("ok"), "hold"]])
        const response = yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { api }, client)))
        expect(response.text).toBe("ok")
        expect(yield* Effect.promise(() => server.requests[0]!.ended)).toBe("closed")
      })
    )

    // Law 5.
    it.effect("take closes upstream", () =>
      Effect.gen(function* () {
        const server = yield* start([[ChatServer.text("a"), ChatServer.text("b"), "hold"]])
        const text = yield* Llm.stream("Hi").pipe(
          Stream.take(2),
          Stream.mkString,
          Effect.provide(layer(server, { api }, client))
        )
        expect(text).toBe("ab")
        expect(yield* Effect.promise(() => server.requests[0]!.ended)).toBe("closed")
      })
    )

    it.effect("interruption closes upstream: before the head, before the first token and after it", () =>
      Effect.gen(function* () {
        const gate = ChatServer.gate()
        const server = yield* start([
          { before: gate.opened },
          [ChatServer.role, "hold"],
          [ChatServer.text("a"), "hold"]
        ])
        for (const index of [0, 1, 2]) {
          const fiber = yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { api }, client)), Effect.forkChild)
          const request = yield* Effect.promise(() => server.request(index))
          yield* Fiber.interrupt(fiber)
          expect(yield* Effect.promise(() => request.ended)).toBe("closed")
        }
      })
    )

    it.effect("a reset is Disconnected, a clean end before the wire end is Truncated; both carry what came", () =>
      Effect.gen(function* () {
        const server = yield* start([
          [ChatServer.text("He"), ChatServer.pause(20), "reset"],
          [ChatServer.text("He"), "end"]
        ])
        for (const tag of ["Disconnected", "Truncated"]) {
          const error = yield* failureOf(server, { api }, client)
          expect(error).toMatchObject({ reason: { _tag: tag }, phase: "mid-output", emitted: 2, isRetryable: true })
          expect(error.requestId).toMatch(/^req_/)
          expect(error.usage).toMatchObject({ source: "estimated", outputTokens: 1 })
        }
      })
    )

    it.effect("a server that is not there is Unreachable, and says where", () =>
      Effect.gen(function* () {
        const server = yield* start([])
        yield* Effect.promise(() => server.stop())
        const error = yield* failureOf(server, { api }, client)
        expect(error).toMatchObject({
          reason: { _tag: "Unreachable", code: "ECONNREFUSED" },
          phase: "request",
          isRetryable: true
        })
        expect(error.message).toContain(server.url)
      })
    )
  }
)

// node:http's agent keeps no connections unless its caller says so.
const keepAlive = NodeHttpClient.layerNodeHttpNoAgent.pipe(
  Layer.provide(NodeHttpClient.layerAgentOptions({ keepAlive: true }))
)

describe.each([...clients.slice(0, 2), ["node:http", keepAlive] as const])("over %s", (_, client) => {
  it.effect("connections serve the next request", () =>
    Effect.gen(function* () {
      // The body ends a turn after [DONE], and is waited for, however busy the machine is.
      const steps = [...ChatServer.answer("a", "b"), ChatServer.pause(1)]
      const server = yield* start([steps])
      yield* Effect.repeat(Llm.run("Hi"), { times: 19 }).pipe(
        Effect.provide(layer(server, {}, client)),
        Effect.provideService(EventStream.Settling, Duration.seconds(5))
      )
      expect(server.requests.length).toBe(20)
      // A request that follows at once may come before the last one's socket is free.
      expect(server.connections()).toBeLessThan(4)
    })
  )
})

it.effect.each([
  ["that has come whole aborts nothing", Infinity, false],
  ["that is left aborts its request", 1, true]
] as const)("an answer %s", ([, taken, isAborted]) =>
  Effect.gen(function* () {
    const server = yield* start([[...ChatServer.answer("a", "b")]])
    const signals: Array<AbortSignal> = []
    yield* Stream.runDrain(Stream.take(Llm.stream("Hi"), taken)).pipe(
      Effect.provide(layer(server)),
      Effect.provideService(FetchHttpClient.Fetch, (input, init) => {
        signals.push(init!.signal!)
        return fetch(input, init)
      }),
      Effect.provideService(EventStream.Settling, Duration.seconds(5))
    )
    expect(signals.map(({ aborted }) => aborted)).toEqual([isAborted])
  })
)

it.effect("what a caller says to fetch is kept, but for redirects", () =>
  Effect.gen(function* () {
    const server = yield* start([ChatServer.answer("a")])
    const inits: Array<RequestInit> = []
    yield* Llm.run("Hi").pipe(
      Effect.provide(layer(server)),
      Effect.provideService(FetchHttpClient.RequestInit, { credentials: "include", redirect: "follow" }),
      Effect.provideService(FetchHttpClient.Fetch, (input, init) => {
        inits.push(init!)
        return fetch(input, init)
      })
    )
    expect(inits).toMatchObject([{ credentials: "include", redirect: "manual" }])
  })
)

describe("errors with a status", () => {
  it.effect("say that a server may speak the other API, if there is no such URL", () =>
    Effect.gen(function* () {
      const server = yield* start([{ status: 404, steps: [{ raw: "404 page not found" }] }])
      expect((yield* failureOf(server)).message).toContain('`api: "chat"`')
      expect((yield* failureOf(server, { api: "chat" })).message).not.toContain("api:")
    })
  )

  it.effect.each([
    [400, {}, "InvalidRequest", false],
    [400, { code: "context_length_exceeded" }, "ContextTooLong", false],
    [400, { message: "This model's maximum context length is 10 tokens." }, "ContextTooLong", false],
    [400, { code: "content_filter" }, "ContentFiltered", false],
    [401, { code: "invalid_api_key" }, "Authentication", false],
    [402, {}, "QuotaExhausted", false],
    [403, {}, "PermissionDenied", false],
    [404, { code: "model_not_found" }, "NotFound", false],
    [408, {}, "ProviderFailed", true],
    [413, {}, "ContextTooLong", false],
    [422, {}, "InvalidRequest", false],
    [429, { code: "rate_limit_exceeded" }, "RateLimited", true],
    [429, { code: "insufficient_quota" }, "QuotaExhausted", false],
    [418, {}, "InvalidRequest", false],
    [500, {}, "ProviderFailed", true],
    [503, {}, "Overloaded", true],
    [599, {}, "ProviderFailed", true]
  ] as const)("%j", ([status, fields, tag, retryable]) =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.failure(status, {}, fields)])
      const error = yield* failureOf(server)
      expect(error).toMatchObject({
        reason: { _tag: tag, status },
        phase: "headers",
        emitted: 0,
        isRetryable: retryable
      })
      expect(error.requestId).toBe("req_0")
      if ("message" in fields) expect(error.message).toContain(fields.message)
      if ("code" in fields) expect(error.reason).toMatchObject({ code: fields.code })
    })
  )

  it.effect.each([
    [{ "retry-after": "7" }, 7000],
    [{ "retry-after": "0.5" }, 500],
    [{ "retry-after": new Date(60_000).toUTCString() }, 60_000],
    [{ "retry-after": new Date(0).toUTCString() }, 0],
    [{ "retry-after-ms": "1500" }, 1500],
    [{ "retry-after": "1", "retry-after-ms": "0" }, 0],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-5" }, undefined],
    [{ "retry-after-ms": "NaN", "retry-after": "2" }, 2000],
    [{}, undefined]
  ] as const)("the delay of %j", ([headers, milliseconds]) =>
    Effect.gen(function* () {
      // The test clock stands at 1970-01-01T00:00:00Z.
      const server = yield* start([ChatServer.failure(429, headers)])
      const error = yield* failureOf(server)
      expect(error.retryAfter && Duration.toMillis(error.retryAfter)).toBe(milliseconds)
    })
  )

  it.effect.each([
    ["true", 400, true],
    ["false", 503, false]
  ] as const)("x-should-retry: %s wins", ([header, status, retryable]) =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.failure(status, { "x-should-retry": header })])
      expect((yield* failureOf(server)).isRetryable).toBe(retryable)
    })
  )

  it.effect.each([
    ["a page", "text/html", "<html><body>Bad gateway</body></html>", "Bad gateway"],
    ["plain text", "text/plain", "upstream timed out", "upstream timed out"],
    ["nothing", "text/plain", "", "without a body"],
    ["JSON that is cut", "application/json", '{"error": {"message": "cut sh', "cut sh"],
    ["JSON under another name", "application/octet-stream", '{"error":{"message":"Not today"}}', "Not today"],
    ["another form of JSON", "application/json", '{"detail":"Unprocessable"}', "Unprocessable"]
  ] as const)("with %s for a body", ([, type, body, quoted]) =>
    Effect.gen(function* () {
      const server = yield* start([{ status: 502, headers: { "content-type": type }, steps: [{ raw: body }] }])
      const error = yield* failureOf(server)
      expect(error).toMatchObject({ reason: { _tag: "Overloaded", status: 502 } })
      expect(error.message).toContain(quoted)
    })
  )

  it.effect("a body without end is read to 64 KiB", () =>
    Effect.gen(function* () {
      const flood = (function* () {
        for (;;) yield { raw: "x".repeat(1024) }
      })()
      const server = yield* start([{ status: 500, steps: flood }])
      const error = yield* failureOf(server)
      expect(error.reason._tag).toBe("ProviderFailed")
      expect(error.message.length).toBeLessThan(1000)
      const request = server.requests[0]!
      expect(yield* Effect.promise(() => request.ended)).toBe("closed")
      // What lies in the buffers of two sockets comes on top.
      expect(request.written).toBeLessThan(8 * 1024 * 1024)
    })
  )

  it.effect("a body that stalls is waited for 5 s", () =>
    Effect.gen(function* () {
      const sent = ChatServer.gate()
      const steps = (async function* (): AsyncGenerator<ChatServer.Step> {
        yield { raw: "some of it" }
        sent.open()
        yield "hold"
      })()
      const server = yield* start([{ status: 503, steps }])
      const fiber = yield* Effect.forkChild(failureOf(server))
      yield* Effect.promise(() => sent.opened)
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("5 seconds")
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      expect(yield* Fiber.join(fiber)).toMatchObject({ reason: { _tag: "Overloaded" } })
    })
  )
})

describe("keys", () => {
  it.effect("that a provider quotes are not quoted by us", () =>
    Effect.gen(function* () {
      const message = `Incorrect API key provided: ${key}, or sk-proj-****wxyz. Also other-secret.`
      const server = yield* start([
        ChatServer.failure(401, {}, { message }),
        [{ data: { error: { message } } }],
        [{ raw: `event: error\ndata: ${message}\n\n` }],
        { headers: { "content-type": "application/json" }, steps: [{ raw: JSON.stringify({ error: message }) }] }
      ])
      for (let i = 0; i < 4; i++) {
        const error = yield* failureOf(server, { headers: { "x-api-key": Redacted.make("other-secret") } })
        expect(error.message).toContain("Incorrect API key provided")
        for (const secret of [key, "wxyz", "other-secret"]) {
          expect(JSON.stringify(error) + String(error.stack)).not.toContain(secret)
        }
      }
    })
  )

  it.effect("are in no span, no error and no cause", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          seen.push(span)
          return span
        }
      })
      const server = yield* start([ChatServer.failure(401), [ChatServer.text("a"), "reset"], ChatServer.answer("ok")])
      const headers = Object.fromEntries(
        ["x-api-key", "api-key", "x-goog-api-key"].map((name) => [name, Redacted.make(`secret-of-${name}`)])
      )
      const exits = yield* Effect.forEach([1, 2, 3], () => Effect.exit(Llm.run("Hi"))).pipe(
        Effect.provide(layer(server, { headers })),
        Effect.withTracer(tracer)
      )
      expect(exits.map((exit) => exit._tag)).toEqual(["Failure", "Failure", "Success"])
      expect(server.requests.every((request) => request.headers["x-goog-api-key"] === "secret-of-x-goog-api-key")).toBe(
        true
      )
      const text = yield* Effect.promise(async () => (await import("node:util")).inspect([seen, exits], { depth: 12 }))
      expect(text).not.toContain("secret-of")
      expect(text).not.toContain(key)
    })
  )

  it.effect("are redacted where the caller's own client logs its requests", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const server = yield* start([ChatServer.answer("ok")])
      const logging = Layer.effect(
        HttpClient.HttpClient,
        Effect.map(
          HttpClient.HttpClient,
          HttpClient.tapRequest((request) => Effect.log(request))
        )
      ).pipe(Layer.provide(FetchHttpClient.layer))
      const headers = Object.fromEntries(
        ["x-api-key", "api-key", "x-goog-api-key"].map((name) => [name, Redacted.make(`secret-of-${name}`)])
      )
      yield* Llm.run("Hi").pipe(
        Effect.provide(layer(server, { headers }, logging)),
        Effect.provide(Logger.layer([Logger.map(Logger.formatJson, (line) => void logged.push(line))]))
      )
      expect(logged.join()).toContain("x-goog-api-key")
      expect(logged.join()).not.toMatch(/secret-of|sk-test/)
    })
  )

  it.effect("with a line break at the end are sent without it", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { apiKey: Redacted.make(`${key}\r\n`) })))
      expect(server.requests[0]!.headers.authorization).toBe(`Bearer ${key}`)
    })
  )

  it.effect.each(["", "  ", "sk-a\nsk-b", "sk-schlüssel"])(
    "that cannot be sent are refused before they are: %j",
    (bad) =>
      Effect.gen(function* () {
        const server = yield* start([ChatServer.answer("ok")])
        const error = yield* failureOf(server, { apiKey: Redacted.make(bad) })
        expect(error).toMatchObject({ reason: { _tag: "Authentication" }, phase: "request" })
        expect(server.requests).toEqual([])
        if (bad.trim() !== "") expect(JSON.stringify(error)).not.toContain(bad.slice(0, 4))
      })
  )

  it.effect("may be a header of the caller's own, scheme and all", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const headers = { authorization: Redacted.make("Basic dXNlcjpwYXNz") }
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { apiKey: undefined, headers })))
      expect(server.requests[0]!.headers.authorization).toBe("Basic dXNlcjpwYXNz")
    })
  )

  it.effect("are not needed: a server of one's own gets no authorization header", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { apiKey: undefined })))
      expect(server.requests[0]!.headers.authorization).toBeUndefined()
    })
  )
})

describe("bad input", () => {
  it.effect.each([
    ["ftp://example.com", /not an http or https URL/],
    ["", /not an http or https URL/],
    ["http://user:pass@127.0.0.1:1", /user or password/]
  ] as const)("the base URL %j", ([baseUrl, message]) =>
    Effect.gen(function* () {
      const error = yield* failureOf({ baseUrl })
      expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" }, phase: "request" })
      expect(error.message).toMatch(message)
      expect(error.message).not.toContain("pass@")
    })
  )

  it.effect("a header with a line break, a body that is not JSON", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      expect((yield* failureOf(server, { headers: { "x-a": "b\nc" } })).message).toContain('"x-a"')
      const cycle: Record<string, unknown> = {}
      cycle["self"] = cycle
      for (const extra of [cycle, { big: 1n }]) {
        const error = yield* Llm.run({ prompt: "Hi", extra }).pipe(Effect.provide(layer(server)), Effect.flip)
        expect(error.reason._tag).toBe("InvalidRequest")
      }
      expect(server.requests).toEqual([])
    })
  )
})

describe("layerConfig", () => {
  const run = (env: Record<string, string>, options: Partial<OpenAi.Options> = {}) =>
    Llm.run("Hi").pipe(
      Effect.provide(OpenAi.layerConfig({ model: "gpt-test", ...options }).pipe(Layer.provide(FetchHttpClient.layer))),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )

  it.effect("reads OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID and OPENAI_PROJECT_ID", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* run({
        OPENAI_API_KEY: key,
        OPENAI_BASE_URL: `${server.baseUrl}/`,
        OPENAI_ORG_ID: "org-1",
        OPENAI_PROJECT_ID: "proj-1"
      })
      expect(server.requests[0]).toMatchObject({
        path: "/v1/responses",
        headers: { authorization: `Bearer ${key}`, "openai-organization": "org-1", "openai-project": "proj-1" }
      })
    })
  )

  it.effect("options win, and empty variables count as not set", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* run(
        { OPENAI_BASE_URL: "", OPENAI_ORG_ID: "" },
        { apiKey: Redacted.make("sk-option"), baseUrl: server.baseUrl }
      )
      expect(server.requests[0]!.headers).toMatchObject({ authorization: "Bearer sk-option" })
      expect(server.requests[0]!.headers["openai-organization"]).toBeUndefined()
    })
  )

  it.effect("without a key is a ConfigError that names the variable", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(run({}))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("OPENAI_API_KEY")
    })
  )
})
