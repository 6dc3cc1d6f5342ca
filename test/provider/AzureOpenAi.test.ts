import { afterEach, describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Llm from "effect-rill/Llm"
import type * as LlmError from "effect-rill/LlmError"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as ChatServer from "../support/ChatServer.ts"

const key = "azure-test-0123456789abcdef"

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
  options: Partial<AzureOpenAi.Settings> = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  AzureOpenAi.layer({
    model: "my-deployment",
    baseUrl: server.url,
    ...(options.token === undefined ? { apiKey: Redacted.make(key) } : undefined),
    ...options
  }).pipe(Layer.provide(client))

const failureOf = (
  server: { readonly url: string },
  options?: Partial<AzureOpenAi.Settings>
): Effect.Effect<LlmError.LlmError, unknown> => Llm.run("Hi").pipe(Effect.provide(layer(server, options)), Effect.flip)

describe("a request", () => {
  // https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle, and /reference for the API of before.
  it.effect.each([
    [{}, "/openai/v1/responses", "my-deployment"],
    [{ api: "chat" }, "/openai/v1/chat/completions", "my-deployment"],
    [{ apiVersion: "preview" }, "/openai/v1/responses?api-version=preview", "my-deployment"],
    [{ api: "chat", apiVersion: "preview" }, "/openai/v1/chat/completions?api-version=preview", "my-deployment"],
    [
      { apiVersion: "2024-10-21" },
      "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21",
      "my-deployment"
    ],
    [
      { apiVersion: "2024-10-21", model: "a b/c" },
      "/openai/deployments/a%20b%2Fc/chat/completions?api-version=2024-10-21",
      "a b/c"
    ],
    [
      { api: "responses", apiVersion: "2025-04-01-preview" },
      "/openai/responses?api-version=2025-04-01-preview",
      "my-deployment"
    ]
  ] as const)("of %j goes to %s", ([options, path, model]) =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("Hello", ", ", "world")])
      const response = yield* Llm.run({ prompt: "Hi", system: "Be brief." }).pipe(
        Effect.provide(layer(server, { headers: { "x-a": "b" }, ...options }))
      )
      expect(response).toMatchObject({ text: "Hello, world", provider: "azure-openai", usage: { source: "exact" } })
      const [request] = server.requests
      expect(request).toMatchObject({ method: "POST", path, headers: { "api-key": key, "x-a": "b" } })
      expect(request!.headers.authorization).toBeUndefined()
      expect(request!.body["model"]).toBe(model)
      expect(request!.messages).toEqual([
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hi" }
      ])
    })
  )

  it.effect("may name another deployment, in its URL too", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* Llm.run({ prompt: "Hi", model: "other" }).pipe(Effect.provide(layer(server, { apiVersion: "2024-10-21" })))
      expect(server.requests[0]).toMatchObject({
        path: "/openai/deployments/other/chat/completions?api-version=2024-10-21",
        body: { model: "other" }
      })
    })
  )

  it.effect.each(["", "/", "/openai", "/openai/", "/openai/v1", "/openai/v1/"])(
    "goes to the same place, if the base URL ends with %j",
    (end) =>
      Effect.gen(function* () {
        const server = yield* start([ChatServer.answer("ok")])
        yield* Llm.run("Hi").pipe(Effect.provide(layer({ url: `${server.url}/gateway${end}` })))
        expect(server.requests[0]!.path).toBe("/gateway/openai/v1/responses")
      })
  )

  it.effect("goes to the resource of a name", () =>
    Effect.gen(function* () {
      const sent: Array<string> = []
      const wire = FaultyWire.layer(({ url }) => {
        sent.push(url)
        return [FaultyWire.reset()]
      })
      const named = AzureOpenAi.layer({
        model: "my-deployment",
        resourceName: "my-resource",
        apiKey: Redacted.make(key)
      })
      yield* Effect.exit(Llm.run("Hi")).pipe(Effect.provide(named.pipe(Layer.provide(wire))))
      expect(sent).toEqual(["https://my-resource.openai.azure.com/openai/v1/responses"])
    })
  )
})

describe("bad options are InvalidRequest, and nothing is sent", () => {
  it.effect.each([
    ['{"resourceName":"a.example.com/"}', /letters, digits and hyphens/],
    ['{"resourceName":""}', /give one of them/],
    ["{}", /give one of them/],
    ['{"resourceName":"my-resource","api":"completions"}', /api must be "responses" or "chat", not "completions"/],
    ['{"baseUrl":"my-resource"}', /not an http or https URL/]
  ] as const)("%s", ([json, message]) =>
    Effect.gen(function* () {
      const place: AzureOpenAi.Place = JSON.parse(json)
      const wire = FaultyWire.layer([])
      const bad = AzureOpenAi.layer({ model: "my-deployment", apiKey: Redacted.make(key), ...place })
      const error = yield* Effect.flip(Llm.run("Hi")).pipe(Effect.provide(bad.pipe(Layer.provide(wire))))
      expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" }, phase: "request", provider: "azure-openai" })
      expect(error.reason.message).toMatch(message)
    })
  )
})

describe("tokens", () => {
  it.effect("are sent as bearer tokens, in the place of a key", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* Llm.run("Hi").pipe(
        Effect.provide(layer(server, { token: Redacted.make("token-0123"), apiKey: Redacted.make(key) }))
      )
      expect(server.requests[0]!.headers).toMatchObject({ authorization: "Bearer token-0123" })
      expect(server.requests[0]!.headers["api-key"]).toBeUndefined()
    })
  )

  it.effect("are asked for with every request, not before, and quoted by no error", () =>
    Effect.gen(function* () {
      let count = 0
      const token = Effect.sync(() => Redacted.make(`token-number-${++count}`))
      const server = yield* start((request) =>
        ChatServer.failure(401, {}, { message: `${request.headers.authorization} is expired` })
      )
      const provided = layer(server, { token })
      const [first, second] = yield* Effect.all([Effect.flip(Llm.run("Hi")), Effect.flip(Llm.run("Hi"))]).pipe(
        Effect.provide(provided)
      )
      expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
        "Bearer token-number-1",
        "Bearer token-number-2"
      ])
      for (const error of [first, second]) {
        expect(error.reason).toMatchObject({ _tag: "Authentication", status: 401 })
        expect(JSON.stringify(error)).not.toContain("token-number")
      }
    })
  )

  it.effect("that cannot be had are Authentication, before anything is sent", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const error = yield* failureOf(server, { token: Effect.fail(new Error(`no token for ${key}`)) })
      expect(error).toMatchObject({ reason: { _tag: "Authentication" }, phase: "request", isRetryable: false })
      expect(error.message).toMatch(/token failed/)
      expect(JSON.stringify(error)).not.toContain(key)
      expect(server.requests).toEqual([])
    })
  )
})

describe.each(["responses", "chat"] as const)("errors of %s", (api) => {
  it.effect("a prompt that the content filter keeps out is ContentFiltered", () =>
    Effect.gen(function* () {
      // https://learn.microsoft.com/azure/foundry/openai/concepts/content-filter
      const server = yield* start([
        ChatServer.failure(
          400,
          { "apim-request-id": "azure-1" },
          {
            message: "The response was filtered due to the prompt triggering the content management policy.",
            code: "content_filter",
            param: "prompt",
            status: 400,
            innererror: {
              code: "ResponsibleAIPolicyViolation",
              content_filter_result: { violence: { filtered: true, severity: "high" } }
            }
          }
        )
      ])
      const error = yield* failureOf(server, { api })
      expect(error).toMatchObject({
        reason: { _tag: "ContentFiltered", status: 400, code: "content_filter" },
        provider: "azure-openai",
        model: "my-deployment",
        isRetryable: false
      })
    })
  )

  it.effect("an answer that it cuts is ContentFiltered too", () =>
    Effect.gen(function* () {
      const server = yield* start([
        [
          ChatServer.role,
          ChatServer.text("He"),
          ChatServer.finish("content_filter"),
          ChatServer.usage(7, 1),
          ChatServer.done
        ]
      ])
      expect(yield* failureOf(server, { api })).toMatchObject({
        reason: { _tag: "ContentFiltered" },
        usage: { outputTokens: 1 }
      })
    })
  )

  it.effect("a deployment that is not there says what a deployment is", () =>
    Effect.gen(function* () {
      const message = "The API deployment for this resource does not exist."
      const server = yield* start([ChatServer.failure(404, {}, { message, code: "DeploymentNotFound" })])
      const error = yield* failureOf(server, { api })
      expect(error.reason).toMatchObject({ _tag: "NotFound", status: 404, code: "DeploymentNotFound" })
      expect(error.message).toMatch(/name of the deployment/)
    })
  )

  it.effect("another URL that is not there, a wrong key and a limit are what they are elsewhere", () =>
    Effect.gen(function* () {
      const server = yield* start([
        ChatServer.failure(404, {}, { message: "Resource not found", code: "404" }),
        ChatServer.failure(401, {}, { message: `Access denied due to invalid subscription key ${key}.`, code: "401" }),
        ChatServer.failure(
          429,
          { "retry-after": "1", "retry-after-ms": "250" },
          { message: "Requests have exceeded call rate limit. Please retry after 1 second.", code: "429" }
        )
      ])
      const notFound = yield* failureOf(server, { api })
      expect(notFound.reason).toMatchObject({ _tag: "NotFound", status: 404 })
      expect(notFound.message).not.toMatch(/deployment,/)
      const denied = yield* failureOf(server, { api })
      expect(denied.reason).toMatchObject({ _tag: "Authentication", code: "401" })
      expect(JSON.stringify(denied)).not.toContain(key)
      const limited = yield* failureOf(server, { api })
      expect(limited.reason._tag).toBe("RateLimited")
      expect(limited.retryAfter && Duration.toMillis(limited.retryAfter)).toBe(250)
    })
  )
})

it.effect("api-key is redacted where the caller's own client logs its requests", () =>
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
    yield* Llm.run("Hi").pipe(
      Effect.provide(layer(server, {}, logging)),
      Effect.provide(Logger.layer([Logger.map(Logger.formatJson, (line) => void logged.push(line))]))
    )
    expect(logged.join()).toContain("api-key")
    expect(logged.join()).not.toContain(key)
  })
)

it.effect("an answer's first chunk, which tells of the prompt's filter alone, is no answer yet", () =>
  Effect.gen(function* () {
    const filtered = { prompt_filter_results: [{ prompt_index: 0, content_filter_results: {} }] }
    const server = yield* start([
      [{ data: { id: "", object: "", model: "", choices: [], ...filtered } }, ...ChatServer.answer("Hello")]
    ])
    const response = yield* Llm.run("Hi").pipe(Effect.provide(layer(server, { api: "chat" })))
    expect(response).toMatchObject({ text: "Hello", finishReason: "stop" })
  })
)

describe("layerConfig", () => {
  const run = (env: Record<string, string>, options: Partial<AzureOpenAi.Settings> & Partial<AzureOpenAi.Place> = {}) =>
    Llm.run("Hi").pipe(
      Effect.provide(
        AzureOpenAi.layerConfig({ model: "my-deployment", ...options }).pipe(Layer.provide(FetchHttpClient.layer))
      ),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )

  it.effect("reads AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY and OPENAI_API_VERSION", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const env = {
        AZURE_OPENAI_ENDPOINT: `${server.url}/`,
        AZURE_OPENAI_API_KEY: key,
        AZURE_OPENAI_AD_TOKEN: "not-sent"
      }
      yield* run({ ...env, OPENAI_API_VERSION: "2024-10-21" })
      yield* run({ ...env, OPENAI_API_VERSION: "" })
      expect(server.requests.map(({ path }) => path)).toEqual([
        "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21",
        "/openai/v1/responses"
      ])
      for (const { headers } of server.requests) {
        expect(headers["api-key"]).toBe(key)
        expect(headers.authorization).toBeUndefined()
      }
    })
  )

  it.effect("reads AZURE_OPENAI_AD_TOKEN where there is no key", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const env = { AZURE_OPENAI_ENDPOINT: server.url, AZURE_OPENAI_API_KEY: "", AZURE_OPENAI_AD_TOKEN: "token-0123" }
      yield* run(env)
      expect(server.requests[0]!.headers).toMatchObject({ authorization: "Bearer token-0123" })
    })
  )

  it.effect("needs no key in the environment where there is one in the options", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      yield* run({ AZURE_OPENAI_ENDPOINT: server.url }, { apiKey: Redacted.make(key) })
      yield* run({ AZURE_OPENAI_ENDPOINT: server.url }, { token: Effect.succeed(Redacted.make("token-0123")) })
      expect(server.requests.map(({ headers }) => headers["api-key"] ?? headers.authorization)).toEqual([
        key,
        "Bearer token-0123"
      ])
    })
  )

  it.effect("options win", () =>
    Effect.gen(function* () {
      const server = yield* start([ChatServer.answer("ok")])
      const env = {
        AZURE_OPENAI_ENDPOINT: "http://127.0.0.1:1",
        AZURE_OPENAI_API_KEY: "of-the-environment",
        OPENAI_API_VERSION: "2024-10-21"
      }
      yield* run(env, { baseUrl: server.url, apiKey: Redacted.make(key), apiVersion: "preview" })
      yield* run(env, { baseUrl: server.url, token: Redacted.make("token-0123") })
      expect(server.requests.map(({ headers, path }) => [path, headers["api-key"], headers.authorization])).toEqual([
        ["/openai/v1/responses?api-version=preview", key, undefined],
        ["/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21", undefined, "Bearer token-0123"]
      ])
      const error = yield* Effect.flip(run({ AZURE_OPENAI_API_KEY: key }, { resourceName: "no such name" }))
      expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" } })
    })
  )

  it.effect.each([
    [{ AZURE_OPENAI_ENDPOINT: "http://127.0.0.1:1" }, "AZURE_OPENAI_API_KEY"],
    [{ AZURE_OPENAI_API_KEY: key }, "AZURE_OPENAI_ENDPOINT"]
  ] as const)("without what it needs is a ConfigError that names the variable: %j", ([env, name]) =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(run(env))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain(name)
    })
  )
})
