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
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type * as LlmError from "effect-rill/LlmError"
import * as Google from "effect-rill/provider/Google"
import * as ChatServer from "../support/ChatServer.ts"

const key = "AIzaTest-0123456789abcdef"

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
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))

const layer = (
  server: { readonly url: string },
  options: Partial<Google.Options> = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  Google.layer({ model: "gemini-2.5-flash", apiKey: Redacted.make(key), baseUrl: server.url, ...options }).pipe(
    Layer.provide(client)
  )

const failureOf = (
  server: { readonly url: string },
  options: Partial<Google.Options> = {}
): Effect.Effect<LlmError.LlmError, unknown> => Llm.run("Hi").pipe(Effect.provide(layer(server, options)), Effect.flip)

const chunk = (value: unknown): ChatServer.Step => ({ raw: `data: ${JSON.stringify(value)}\r\n\r\n` })
const answer = (...pieces: ReadonlyArray<string>): ReadonlyArray<ChatServer.Step> => [
  ...pieces.map((text) => chunk({ candidates: [{ content: { parts: [{ text }], role: "model" } }] })),
  chunk({
    candidates: [{ finishReason: "STOP" }],
    usageMetadata: { promptTokenCount: 7, candidatesTokenCount: pieces.length }
  })
]

const failure = (status: number, error: unknown, headers: Record<string, string> = {}): ChatServer.Answer => ({
  status,
  headers: { "content-type": "application/json; charset=UTF-8", ...headers },
  steps: [{ raw: JSON.stringify({ error }) }]
})

const path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"

describe.each(clients)("over %s", (_, client) => {
  it.effect("a request is what the API documents, its key in a header, and its answer a stream", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("Hello", ", ", "world")])
      const text = yield* Llm.stream({ prompt: "Hi", system: "Be brief.", temperature: 0.5 }).pipe(
        Stream.runCollect,
        Effect.provide(layer(server, { headers: { "x-goog-user-project": "p" } }, client))
      )
      expect(text.join("")).toBe("Hello, world")
      expect(server.requests[0]).toMatchObject({
        method: "POST",
        path,
        headers: {
          "x-goog-api-key": key,
          "x-goog-user-project": "p",
          accept: "text/event-stream",
          "content-type": "application/json"
        },
        body: {
          contents: [{ role: "user", parts: [{ text: "Hi" }] }],
          systemInstruction: { parts: [{ text: "Be brief." }] },
          generationConfig: { temperature: 0.5 }
        }
      })
      expect(server.requests[0]!.headers["authorization"]).toBeUndefined()
    })
  )

  it.effect("the key goes to no other origin", () =>
    Effect.gen(function* () {
      const other = yield* start([answer("stolen")])
      const server = yield* start([{ status: 307, headers: { location: `${other.url}${path}` } }])
      const error = yield* Llm.run("Hi").pipe(Effect.provide(layer(server, {}, client)), Effect.flip)
      expect(error.reason).toMatchObject({ _tag: "InvalidRequest", message: expect.stringContaining(other.url) })
      expect(other.requests).toEqual([])
    })
  )
})

describe("the URL", () => {
  const pathOf = (options: Partial<Google.Options>, model?: string) =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      const baseUrl = server.url + (options.baseUrl ?? "")
      yield* Llm.run({ prompt: "Hi", model }).pipe(Effect.provide(layer(server, { ...options, baseUrl })))
      return server.requests[0]!.path
    })

  it.effect.each([
    ["gemini-3-pro", "/v1beta/models/gemini-3-pro"],
    ["models/gemini-3-pro", "/v1beta/models/gemini-3-pro"],
    ["tunedModels/mine-1", "/v1beta/tunedModels/mine-1"],
    ["endpoints/123", "/v1beta/endpoints/123"],
    // Whatever a model is called, it does not leave its place.
    ["../../v1/files", "/v1beta/models/..%2F..%2Fv1%2Ffiles"],
    ["tunedModels/../../x", "/v1beta/tunedModels/..%2F..%2Fx"],
    ["..", "/v1beta/models/.."],
    ["%2e%2e/x", "/v1beta/models/%252e%252e%2Fx"],
    ["a?key=b#c", "/v1beta/models/a%3Fkey%3Db%23c"],
    ["a:generateContent", "/v1beta/models/a%3AgenerateContent"],
    ["a\nb\ud800", "/v1beta/models/a%0Ab%EF%BF%BD"]
  ])("of the model %j", ([model, expected]) =>
    Effect.gen(function* () {
      const wanted = `${expected}:streamGenerateContent?alt=sse`
      expect(yield* pathOf({ model })).toBe(wanted)
      // The request's model wins.
      expect(yield* pathOf({ model: "other" }, model)).toBe(wanted)
    })
  )

  it.effect.each([
    ["", "/v1beta"],
    ["/", "/v1beta"],
    ["/v1beta/", "/v1beta"],
    ["/v1", "/v1"],
    ["/proxy/v1beta", "/proxy/v1beta"],
    ["/v1/projects/p/locations/l/publishers/google", "/v1/projects/p/locations/l/publishers/google"]
  ])("of the base %j", ([baseUrl, expected]) =>
    Effect.gen(function* () {
      expect(yield* pathOf({ baseUrl })).toBe(`${expected}/models/gemini-2.5-flash:streamGenerateContent?alt=sse`)
    })
  )
})

it.effect("Vertex AI has a token in place of the key", () =>
  Effect.gen(function* () {
    const token = "ya29.token-0123456789"
    const server = yield* start([
      answer("ok"),
      failure(401, { code: 401, message: `Bad token ${token}.`, status: "UNAUTHENTICATED" })
    ])
    const vertex = { apiKey: undefined, headers: { authorization: Redacted.make(`Bearer ${token}`) } }
    yield* Llm.run("Hi").pipe(Effect.provide(layer(server, vertex)))
    expect(server.requests[0]!.headers).toMatchObject({ authorization: `Bearer ${token}` })
    expect(server.requests[0]!.headers["x-goog-api-key"]).toBeUndefined()
    const error = yield* failureOf(server, vertex)
    expect(error.reason._tag).toBe("Authentication")
    expect(error.message).not.toContain(token)
  })
)

it.effect("an object is asked for by its schema", () =>
  Effect.gen(function* () {
    const server = yield* start([answer('{"city":', '"Bern"}')])
    const value = yield* Llm.object(Schema.Struct({ city: Schema.String }))("Where?").pipe(
      Effect.provide(layer(server))
    )
    expect(value).toEqual({ city: "Bern" })
    expect(server.requests[0]!.body["generationConfig"]).toMatchObject({
      responseMimeType: "application/json",
      responseJsonSchema: { type: "object", properties: { city: { type: "string" } } }
    })
  })
)

describe("an answer", () => {
  it.effect("that was blocked fails the views as ContentFiltered", () =>
    Effect.gen(function* () {
      const blocked = chunk({ promptFeedback: { blockReason: "SAFETY" }, usageMetadata: { promptTokenCount: 7 } })
      const server = yield* start([[blocked]])
      expect(yield* failureOf(server)).toMatchObject({ reason: { _tag: "ContentFiltered" }, usage: { inputTokens: 7 } })
    })
  )

  it.effect("ends with its body, and waits for nothing", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      // The test's clock stands still: a wait would not end.
      expect((yield* Llm.run("Hi").pipe(Effect.provide(layer(server)))).text).toBe("ok")
    })
  )

  it.effect("may fail in the stream, with a delay", () =>
    Effect.gen(function* () {
      const error = {
        code: 429,
        message: `Too fast for ${key}.`,
        status: "RESOURCE_EXHAUSTED",
        details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2.5s" }]
      }
      const [first] = answer("Once")
      const server = yield* start([[first!, chunk({ error })]])
      const failed = yield* failureOf(server)
      expect(failed).toMatchObject({ reason: { _tag: "RateLimited", status: 429 }, phase: "mid-output", emitted: 4 })
      expect(failed.retryAfter && Duration.toMillis(failed.retryAfter)).toBe(2500)
      expect(failed.message).not.toContain(key)
      // The same, as the JSON array that is sent to those who ask for no event stream.
      const array: ChatServer.Answer = {
        headers: { "content-type": "application/json" },
        steps: [{ raw: JSON.stringify([{ error }]) }]
      }
      const whole = yield* failureOf(yield* start([array]))
      expect(whole).toMatchObject({ reason: { _tag: "RateLimited", status: 429 }, phase: "before-output" })
      expect(whole.retryAfter && Duration.toMillis(whole.retryAfter)).toBe(2500)
    })
  )
})

describe("errors with a status", () => {
  const info = (reason: string) => ({ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason })
  const retry = (retryDelay: string) => ({ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay })
  const quota = (quotaId: string, quotaValue = "10") => ({
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    violations: [{ quotaId, quotaValue }]
  })
  const invalid = { status: "INVALID_ARGUMENT" }
  const exhausted = {
    status: "RESOURCE_EXHAUSTED",
    message: "You exceeded your current quota, please check your plan."
  }

  it.effect.each([
    [400, { ...invalid, message: "Bad field." }, "InvalidRequest", false],
    [400, { ...invalid, message: "API key not valid.", details: [info("API_KEY_INVALID")] }, "Authentication", false],
    [400, { ...invalid, message: "API key expired. Please renew the API key." }, "Authentication", false],
    [401, { status: "UNAUTHENTICATED", message: "No." }, "Authentication", false],
    [401, { status: "UNAUTHENTICATED", details: [info("ACCESS_TOKEN_EXPIRED")] }, "Authentication", false],
    [403, { status: "PERMISSION_DENIED", message: "No." }, "PermissionDenied", false],
    [403, { status: "PERMISSION_DENIED", details: [info("SERVICE_DISABLED")] }, "PermissionDenied", false],
    [
      403,
      { status: "PERMISSION_DENIED", message: "Your API key was reported as leaked. Please use another API key." },
      "Authentication",
      false
    ],
    [
      403,
      { status: "PERMISSION_DENIED", message: "Method doesn't allow unregistered callers. Please use API Key." },
      "Authentication",
      false
    ],
    [404, { status: "NOT_FOUND", message: "models/x is not found for API version v1beta." }, "NotFound", false],
    [
      400,
      { ...invalid, message: "The input token count (9) exceeds the maximum number of tokens allowed (8)." },
      "ContextTooLong",
      false
    ],
    [
      400,
      {
        ...invalid,
        message: "Unable to submit request because the input token count is 9 but the model only supports up to 8."
      },
      "ContextTooLong",
      false
    ],
    [400, { ...invalid, message: "Request payload size exceeds the limit: 20971520 bytes." }, "ContextTooLong", false],
    [
      400,
      { status: "FAILED_PRECONDITION", message: "User location is not supported for the API use." },
      "PermissionDenied",
      false
    ],
    [400, { status: "FAILED_PRECONDITION", message: "The file is not in an ACTIVE state." }, "InvalidRequest", false],
    [429, { ...exhausted, details: [quota("GenerateRequestsPerMinutePerProject")] }, "RateLimited", true],
    [429, { ...exhausted, details: [quota("GenerateRequestsPerDayPerProject")] }, "QuotaExhausted", false],
    [429, { ...exhausted, details: [quota("InputTokensPerMinute", "0")] }, "QuotaExhausted", false],
    [429, { ...exhausted, message: "Quota exceeded for metric: x, limit: 0, model: y" }, "QuotaExhausted", false],
    [
      429,
      { ...exhausted, message: "Quota exceeded for metric: input_token_count, limit: 1000000" },
      "RateLimited",
      true
    ],
    [429, { status: "RESOURCE_EXHAUSTED", message: "Your prepayment credits are depleted." }, "QuotaExhausted", false],
    [
      429,
      { status: "RESOURCE_EXHAUSTED", message: "Resource exhausted. Please try again later." },
      "RateLimited",
      true
    ],
    [
      429,
      { status: "RESOURCE_EXHAUSTED", message: "Quota exceeded for input token count, limit: 1000000" },
      "RateLimited",
      true
    ],
    [499, { status: "CANCELLED", message: "x" }, "ProviderFailed", true],
    [500, { status: "INTERNAL", message: "x" }, "ProviderFailed", true],
    [503, { status: "UNAVAILABLE", message: "The model is overloaded." }, "Overloaded", true],
    [504, { status: "DEADLINE_EXCEEDED", message: "x" }, "ProviderFailed", true],
    [501, { status: "SOMETHING_NEW", message: "x" }, "ProviderFailed", true]
  ] as const)("%i %j is %s", ([status, error, tag, retryable]) =>
    Effect.gen(function* () {
      const server = yield* start([failure(status, { code: status, ...error })])
      const failed = yield* failureOf(server)
      expect(failed).toMatchObject({
        reason: { _tag: tag, status },
        provider: "google",
        model: "gemini-2.5-flash",
        phase: "headers",
        isRetryable: retryable
      })
      if ("message" in error) expect(failed.message).toContain(error.message)
    })
  )

  it.effect("have Google's own code", () =>
    Effect.gen(function* () {
      const server = yield* start([
        failure(400, { ...invalid, message: "x", details: [info("API_KEY_INVALID")] }),
        failure(503, { status: "UNAVAILABLE", message: "x" })
      ])
      expect((yield* failureOf(server)).reason).toMatchObject({ code: "API_KEY_INVALID" })
      expect((yield* failureOf(server)).reason).toMatchObject({ code: "UNAVAILABLE" })
    })
  )

  it.effect.each([
    [{ ...exhausted, details: [retry("34.07s")] }, {}, 34_070],
    [{ ...exhausted, details: [quota("PerMinute"), retry("48s")] }, { "retry-after": "9" }, 48_000],
    [{ ...exhausted, details: [retry("0s")] }, {}, 0],
    [{ ...exhausted, details: [retry("16.1s")] }, {}, 16_100],
    [{ ...exhausted, message: "Please retry in 48.9399s." }, {}, 48_940],
    [{ status: "UNAVAILABLE", message: "x", details: [retry("1.5s")] }, {}, 1500],
    [{ ...exhausted, details: [retry("soon")] }, { "retry-after": "9" }, 9000],
    [exhausted, { "retry-after": "9" }, 9000],
    [exhausted, {}, undefined],
    // Seconds do not bring back a quota of a day.
    [{ ...exhausted, details: [quota("RequestsPerDay"), retry("48s")] }, {}, undefined]
  ] as const)("the delay of %j, %j", ([error, headers, milliseconds]) =>
    Effect.gen(function* () {
      const failed = yield* failureOf(yield* start([failure(429, error, headers)]))
      expect(failed.retryAfter && Duration.toMillis(failed.retryAfter)).toBe(milliseconds)
    })
  )

  it.effect("quote no key", () =>
    Effect.gen(function* () {
      const server = yield* start([failure(400, { ...invalid, message: `API key not valid: ${key}.` })])
      const failed = yield* failureOf(server)
      expect(JSON.stringify(failed) + String(failed)).not.toContain(key)
      expect(failed.reason._tag).toBe("Authentication")
    })
  )

  it.effect("as an array, and of a proxy", () =>
    Effect.gen(function* () {
      const server = yield* start([
        {
          status: 404,
          steps: [{ raw: JSON.stringify([{ error: { code: 404, message: "No.", status: "NOT_FOUND" } }]) }]
        },
        { status: 502, steps: [{ raw: "<html>Bad gateway</html>" }] }
      ])
      expect((yield* failureOf(server)).reason).toMatchObject({ _tag: "NotFound", code: "NOT_FOUND" })
      expect((yield* failureOf(server)).reason._tag).toBe("Overloaded")
    })
  )
})

describe("layerConfig", () => {
  const run = (env: Record<string, string>, options: Partial<Google.Options> = {}) =>
    Llm.run("Hi").pipe(
      Effect.provide(
        Google.layerConfig({ model: "gemini-2.5-flash", ...options }).pipe(Layer.provide(FetchHttpClient.layer))
      ),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )

  it.effect.each([
    [{ GEMINI_API_KEY: "gemini-key" }, "gemini-key"],
    [{ GOOGLE_API_KEY: "google-key" }, "google-key"],
    // As Google's own libraries do.
    [{ GEMINI_API_KEY: "gemini-key", GOOGLE_API_KEY: "google-key" }, "google-key"],
    [{ GEMINI_API_KEY: "gemini-key", GOOGLE_API_KEY: " " }, "gemini-key"]
  ] as const)("reads the key from %j", ([env, expected]) =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      yield* run({ ...env, GOOGLE_GEMINI_BASE_URL: `${server.url}/` })
      expect(server.requests[0]).toMatchObject({ path, headers: { "x-goog-api-key": expected } })
    })
  )

  it.effect("options win, and empty variables count as not set", () =>
    Effect.gen(function* () {
      const server = yield* start([answer("ok")])
      yield* run(
        { GOOGLE_GEMINI_BASE_URL: "", GOOGLE_API_KEY: "x" },
        { apiKey: Redacted.make("mine"), baseUrl: server.url }
      )
      expect(server.requests[0]).toMatchObject({ path, headers: { "x-goog-api-key": "mine" } })
    })
  )

  it.effect("without a key is a ConfigError that names the variable", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(run({}))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("GEMINI_API_KEY")
    })
  )
})
