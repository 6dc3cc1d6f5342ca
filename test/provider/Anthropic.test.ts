import { NodeHttpClient } from "@effect/platform-node"
import { afterEach, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type * as LlmError from "effect-rill/LlmError"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Anthropic from "effect-rill/provider/Anthropic"
import { dialect } from "effect-rill/testing/dialect/AnthropicMessages"
import * as ChatServer from "../support/ChatServer.ts"

const key = "sk-ant-api03-0123456789abcdef"

const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["fetch", FetchHttpClient.layer],
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp]
]

const open: Array<ChatServer.ChatServer> = []
const start = (script: ChatServer.Script) =>
  Effect.promise(async () => {
    const server = await ChatServer.start(script)
    open.push(server)
    return server
  })
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.stop()))
})

/** A good answer of these pieces, a frame a step. */
const answer = (...deltas: ReadonlyArray<string>): ReadonlyArray<ChatServer.Step> => {
  const { frames, semanticEnd, wireEnd } = dialect.answer({
    parts: [{ type: "text", deltas }],
    finish: "stop",
    usage: { inputTokens: 11, outputTokens: 7 }
  })!
  return [...frames, semanticEnd!, wireEnd!].map((raw) => ({ raw }))
}

const failure = (
  status: number,
  error: { readonly type: string; readonly message: string },
  headers: Readonly<Record<string, string>> = {}
): ChatServer.Answer => ({
  status,
  headers: { "content-type": "application/json", "request-id": "req_1", ...headers },
  steps: [{ raw: JSON.stringify({ type: "error", error, request_id: "req_1" }) }]
})

const layer = (
  server: { readonly url: string },
  options: Partial<Anthropic.Options> = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  Anthropic.layer({ model: "claude-test", apiKey: Redacted.make(key), baseUrl: server.url, ...options }).pipe(
    Layer.provide(client)
  )

const failureOf = (
  server: { readonly url: string },
  options: Partial<Anthropic.Options> = {},
  client?: Layer.Layer<HttpClient.HttpClient>
): Effect.Effect<LlmError.LlmError, unknown> =>
  Llm.run("Hi").pipe(Effect.provide(layer(server, options, client)), Effect.flip)

describe.each(clients)("over %s", (_, client) => {
  it.effect("a request is what the API documents, and its answer a stream", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("Hello", ", ", "world")])
      const text = yield* Llm.stream({ prompt: "Hi", system: "Be brief.", temperature: 0.5 }).pipe(
        Stream.runCollect,
        Effect.provide(layer(server, { betas: ["files-api-2025-04-14", "b"], maxTokens: 9 }, client))
      )
      expect(text.join("")).toBe("Hello, world")
      const [request] = server.requests
      expect(request).toMatchObject({
        method: "POST",
        path: "/v1/messages",
        headers: {
          "x-api-key": key,
          accept: "text/event-stream",
          "content-type": "application/json",
          "anthropic-version": "2023-06-01",
          "anthropic-beta": "files-api-2025-04-14,b"
        }
      })
      expect(request!.headers.authorization).toBeUndefined()
      expect(request!.body).toEqual({
        model: "claude-test",
        max_tokens: 9,
        system: "Be brief.",
        messages: [{ role: "user", content: "Hi" }],
        temperature: 0.5,
        stream: true
      })
    })
  )

  it.effect("the key goes to no other origin", () =>
    Effect.gen(function* () {
      const other = yield* start([answer("stolen")])
      const server = yield* start([{ status: 307, headers: { location: `${other.url}/v1/messages` } }])
      const error = yield* failureOf(server, {}, client)
      expect(error.reason).toMatchObject({ _tag: "InvalidRequest", message: expect.stringContaining(other.url) })
      expect(other.requests).toEqual([])
    })
  )

  // Laws 3 and 5.
  it.effect("the wire end, take and an error in the stream close upstream", () =>
    Effect.gen(function* () {
      const server = yield* start([
        [...answer("ok"), "hold"],
        [...answer("a", "b").slice(0, 4), "hold"],
        [...answer("a").slice(0, 3), { raw: dialect.error!("made-up failure") }, "hold"]
      ])
      const provided = Effect.provide(layer(server, {}, client))
      expect((yield* Llm.run("Hi").pipe(provided)).text).toBe("ok")
      expect(yield* Llm.stream("Hi").pipe(Stream.take(2), Stream.mkString, provided)).toBe("ab")
      expect(yield* failureOf(server, {}, client)).toMatchObject({
        reason: { _tag: "ProviderFailed" },
        phase: "mid-output",
        emitted: 1,
        requestId: "req_2"
      })
      for (const request of server.requests) expect(yield* Effect.promise(() => request.ended)).toBe("closed")
    })
  )
})

it.effect("a refusal is an event, and a failure of every view", () =>
  Effect.gen(function* () {
    const refused = { stop_reason: "refusal", stop_details: { type: "refusal", explanation: "Blocked by policy." } }
    const steps = [
      answer("x")[0]!,
      { data: { type: "message_delta", delta: refused, usage: { output_tokens: 1 } } },
      { data: { type: "message_stop" } }
    ]
    const server = yield* start([steps])
    const events = yield* Llm.events("Hi").pipe(Stream.runCollect, Effect.provide(layer(server)))
    expect(LlmResponse.fromEvents(events)).toMatchObject({ finishReason: "content-filter" })
    const error = yield* failureOf(server)
    expect(error.reason).toMatchObject({ _tag: "ContentFiltered", refusal: "Blocked by policy." })
    expect(error.message).not.toContain("Blocked by policy.")
  })
)

it.effect("an answer in one JSON document is read", () =>
  Effect.gen(function* () {
    const message = {
      type: "message",
      id: "msg_1",
      model: "m",
      content: [{ type: "text", text: "Hello" }],
      stop_reason: "end_turn",
      usage: { input_tokens: 1, output_tokens: 2 }
    }
    const server = yield* start([
      { headers: { "content-type": "application/json" }, steps: [{ raw: JSON.stringify(message) }] }
    ])
    const response = yield* Llm.run("Hi").pipe(Effect.provide(layer(server)))
    expect(response).toMatchObject({ text: "Hello", finishReason: "stop", usage: { source: "exact", outputTokens: 2 } })
  })
)

describe("the URL", () => {
  it.effect.each(["", "/", "/v1", "/v1/"])("of a base that ends with %j", (end) =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      yield* Llm.run("Hi").pipe(Effect.provide(layer({ url: `${server.url}/proxy${end}` })))
      expect(server.requests[0]!.path).toBe("/proxy/v1/messages")
    })
  )
})

describe("errors with a status", () => {
  it.effect.each([
    [400, "invalid_request_error", "InvalidRequest", false],
    [401, "authentication_error", "Authentication", false],
    [403, "permission_error", "PermissionDenied", false],
    [404, "not_found_error", "NotFound", false],
    [413, "request_too_large", "ContextTooLong", false],
    [429, "rate_limit_error", "RateLimited", true],
    [500, "api_error", "ProviderFailed", true],
    [529, "overloaded_error", "Overloaded", true]
  ] as const)("%i %s", ([status, type, reason, isRetryable]) =>
    Effect.gen(function* () {
      const headers = { "retry-after": "7", "x-request-id": "" }
      const server = yield* start([failure(status, { type, message: `made-up, of ${key}` }, headers)])
      const error = yield* failureOf(server)
      expect(error).toMatchObject({
        reason: { _tag: reason, status, code: type },
        provider: "anthropic",
        model: "claude-test",
        phase: "headers",
        requestId: "req_1",
        isRetryable
      })
      expect(error.message).toContain("made-up, of <redacted>")
      expect(JSON.stringify(error) + String(error.stack)).not.toContain(key)
      expect(error.retryAfter && Duration.toSeconds(error.retryAfter)).toBe(7)
    })
  )

  it.effect("x-should-retry wins", () =>
    Effect.gen(function* () {
      const server = yield* start([
        failure(500, { type: "api_error", message: "No" }, { "x-should-retry": "false" }),
        failure(400, { type: "invalid_request_error", message: "No" }, { "x-should-retry": "true" })
      ])
      expect([(yield* failureOf(server)).isRetryable, (yield* failureOf(server)).isRetryable]).toEqual([false, true])
    })
  )
})

describe("keys", () => {
  it.effect("that a stream quotes are not quoted by us", () =>
    Effect.gen(function* () {
      const server = yield* start([
        [{ data: { type: "error", error: { type: "authentication_error", message: `${key} is wrong` } } }],
        [{ raw: `event: error\ndata: ${key} is wrong\n\n` }]
      ])
      for (const reason of ["Authentication", "ProviderFailed"]) {
        const error = yield* failureOf(server)
        expect(error.reason).toMatchObject({ _tag: reason, message: expect.stringContaining("<redacted> is wrong") })
        expect(JSON.stringify(error) + String(error.stack)).not.toContain(key)
      }
    })
  )

  it.effect("may be a token, which is sent where there is no key", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const authToken = Redacted.make("token-0123456789")
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { apiKey: undefined, authToken })))
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { authToken })))
      yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { apiKey: undefined, betas: [] })))
      expect(
        server.requests.map(({ headers }) => [headers.authorization, headers["x-api-key"], headers["anthropic-beta"]])
      ).toEqual([
        ["Bearer token-0123456789", undefined, undefined],
        [undefined, key, undefined],
        [undefined, undefined, undefined]
      ])
    })
  )
})

describe("layerConfig", () => {
  const run = (
    env: Record<string, string>,
    options: Partial<Anthropic.Options> = {},
    provider = ConfigProvider.fromEnv({ env })
  ) =>
    Llm.run("Hi").pipe(
      Effect.provide(
        Anthropic.layerConfig({ model: "claude-test", ...options }).pipe(Layer.provide(FetchHttpClient.layer))
      ),
      Effect.provideService(ConfigProvider.ConfigProvider, provider)
    )
  const credentials = (server: ChatServer.ChatServer) =>
    server.requests.map(({ headers }) => headers["x-api-key"] ?? headers.authorization)

  it.effect("reads ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN and ANTHROPIC_BASE_URL", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const base = { ANTHROPIC_BASE_URL: `${server.url}/` }
      yield* run({ ...base, ANTHROPIC_API_KEY: key })
      yield* run({ ...base, ANTHROPIC_API_KEY: key, ANTHROPIC_AUTH_TOKEN: "token" })
      yield* run({ ...base, ANTHROPIC_AUTH_TOKEN: "token" })
      yield* run({ ...base, ANTHROPIC_API_KEY: "", ANTHROPIC_AUTH_TOKEN: "token" })
      expect(credentials(server)).toEqual([key, key, "Bearer token", "Bearer token"])
    })
  )

  it.effect("options win, and empty variables count as not set", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const env = { ANTHROPIC_API_KEY: "sk-env", ANTHROPIC_AUTH_TOKEN: "", ANTHROPIC_BASE_URL: "" }
      yield* run(env, { apiKey: Redacted.make("sk-option"), baseUrl: server.url })
      yield* run(env, { authToken: Redacted.make("token-option"), baseUrl: server.url })
      yield* run(env, { baseUrl: server.url })
      // Other sources of configuration tell an empty value as it is.
      yield* run({}, { baseUrl: server.url }, ConfigProvider.fromUnknown(env))
      const token = { ANTHROPIC_API_KEY: "", ANTHROPIC_AUTH_TOKEN: "token-env" }
      yield* run({}, { baseUrl: server.url }, ConfigProvider.fromUnknown(token))
      expect(credentials(server)).toEqual(["sk-option", "Bearer token-option", "sk-env", "sk-env", "Bearer token-env"])
    })
  )

  it.effect.each([{}, { ANTHROPIC_API_KEY: "" }, { ANTHROPIC_AUTH_TOKEN: "" }])(
    "without a key is a ConfigError that names the variable: %j",
    (env) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(run(env))
        expect(Exit.isFailure(exit) && String(exit.cause)).toContain("ANTHROPIC_API_KEY")
      })
  )
})
