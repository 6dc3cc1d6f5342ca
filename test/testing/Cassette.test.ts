import { NodeHttpClient, NodeServices } from "@effect/platform-node"
import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as Cassette from "effect-rill/testing/Cassette"
import * as ChatServer from "../support/ChatServer.ts"

const { answer, failure, pause, role, text } = ChatServer

// Not of the form that is found by itself.
const key = 'Zq9-key"with/odd+chars=77'

const open: Array<ChatServer.ChatServer> = []
const start = (script: ChatServer.Script) =>
  Effect.promise(async () => {
    const server = await ChatServer.start(script)
    open.push(server)
    return server
  })
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))

const temporary = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  return `${yield* fs.makeTempDirectoryScoped()}/cassettes/story.json`
})
const read = (path: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(path))
const exists = (path: string) => Effect.flatMap(FileSystem.FileSystem, (fs) => fs.exists(path))
const write = (path: string, content: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true })
    yield* fs.writeFileString(path, content)
  })

interface Written {
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: unknown
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly chunks: ReadonlyArray<string | { readonly base64: string }>
    readonly end: string
  }
}
const exchangesOf = (file: string): ReadonlyArray<Written> => JSON.parse(file).exchanges

const promptOf = ({ request }: Written): string =>
  (request.body as { json: { messages: ReadonlyArray<{ content: string }> } }).json.messages[0]!.content

/** A client that fails the test when it is used. */
const noNetwork = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make(() => Effect.die(new Error("the network was used")))
)
const withEnv = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))
const machine = withEnv({})

const model = <E, R>(server: { readonly baseUrl: string }, client: Layer.Layer<HttpClient.HttpClient, E, R>) =>
  OpenAi.layer({ model: "gpt-test", api: "chat", apiKey: Redacted.make(key), baseUrl: server.baseUrl }).pipe(
    Layer.provide(client)
  )

const ask = (prompt: string) =>
  Effect.suspend(() => {
    const events: Array<LlmEvent> = []
    return Llm.events(prompt).pipe(
      Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
      Effect.match({
        onSuccess: () => ({ events, error: undefined }),
        onFailure: ({ emitted, phase, reason, requestId, retryAfter }) => ({
          events,
          error: { emitted, phase, reason, requestId, retryAfter }
        })
      })
    )
  })

/** A client that answers everything with these chunks. */
const answering = (chunks: ReadonlyArray<Uint8Array>, headers: HeadersInit = {}) =>
  HttpClient.make((request) =>
    Effect.sync(() => {
      const body = new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(chunk)
          controller.close()
        }
      })
      return HttpClientResponse.fromWeb(request, new Response(body, { headers }))
    })
  )
const recordedOf = (path: string, client: HttpClient.HttpClient) =>
  Cassette.record(path).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))

/** Runs a program twice, recorded and replayed with the server gone, and gives the file. */
const twice = <A, E>(
  server: ChatServer.ChatServer,
  program: Effect.Effect<A, E, Llm.Llm>,
  options: Cassette.Options = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  Effect.gen(function* () {
    const path = yield* temporary
    const recorded = yield* program.pipe(
      Effect.provide(model(server, Cassette.layer(path, options).pipe(Layer.provide([client, machine]))))
    )
    yield* Effect.promise(() => server.stop())
    const replayed = yield* program.pipe(
      Effect.provide(model(server, Cassette.layer(path, options).pipe(Layer.provide([noNetwork, machine]))))
    )
    assert.deepStrictEqual(replayed, recorded)
    const file = yield* read(path)
    return { path, recorded, file, exchanges: exchangesOf(file) }
  })

const defect = (exit: Exit.Exit<unknown, unknown>): string => {
  assert(Exit.isFailure(exit))
  assert.isTrue(Cause.hasDies(exit.cause))
  return String(Cause.squash(exit.cause))
}

const get = (url: string, headers: Record<string, string> = {}) =>
  Effect.flatMap(HttpClient.HttpClient, (client) =>
    client.execute(HttpClientRequest.get(url).pipe(HttpClientRequest.setHeaders(headers)))
  )

describe("Cassette", () => {
  describe.each([
    ["fetch", FetchHttpClient.layer],
    ["undici", NodeHttpClient.layerUndici]
  ] as const)("over %s", (_, client) => {
    it.effect("an answer is recorded, and replayed with the server gone", () =>
      Effect.gen(function* () {
        const server = yield* start([answer("Hello", ", é", " 漢字"), answer("Bye")])
        const { exchanges, recorded } = yield* twice(server, Effect.all([ask("Hi"), ask("Hi")]), {}, client)
        assert.strictEqual(server.requests.length, 2)
        assert.deepStrictEqual(
          recorded.map(({ events }) =>
            events.flatMap((event) => (event._tag === "TextDelta" ? event.text : [])).join("")
          ),
          ["Hello, é 漢字", "Bye"]
        )
        assert.deepStrictEqual(exchanges[0]!.request, {
          method: "POST",
          url: `${server.baseUrl}/chat/completions`,
          headers: { accept: "text/event-stream", "content-type": "application/json" },
          body: { json: server.requests[0]!.body }
        })
        assert.deepInclude(exchanges[0]!.response, {
          status: 200,
          headers: { "content-type": "text/event-stream; charset=utf-8", "x-request-id": "req_0" }
        })
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a broken body, with its code", () =>
      Effect.gen(function* () {
        // The reset comes once the client has the text.
        const gate = ChatServer.gate()
        const program = Llm.events("Hi").pipe(
          Stream.runForEach((event) => Effect.sync(() => void (event._tag === "TextDelta" && gate.open()))),
          Effect.flip,
          Effect.map(({ emitted, phase, reason }) => ({ emitted, phase, reason }))
        )
        const server = yield* start([[role, text("Once"), pause(gate.opened), "reset"]])
        const { exchanges, recorded } = yield* twice(server, program, {}, client)
        assert.deepInclude(recorded, { emitted: 4, phase: "mid-output" })
        assert.strictEqual(recorded.reason._tag, "Disconnected")
        assert.strictEqual(exchanges[0]!.response.end, "broken")
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a body whose reader left: recording closes the connection, replaying stays open", () =>
      Effect.gen(function* () {
        const server = yield* start([[role, text("one"), "hold"]])
        // Waits for the connection to close, with the server held open.
        const program = Llm.stream("Hi").pipe(
          Stream.take(1),
          Stream.runCollect,
          Effect.tap(() => Effect.promise(() => server.requests[0]!.ended))
        )
        const { exchanges, path } = yield* twice(server, program, {}, client)
        assert.strictEqual(server.requests[0]!.state, "closed")
        assert.strictEqual(exchanges[0]!.response.end, "left")
        const fiber = yield* Stream.runDrain(Llm.stream("Hi")).pipe(
          Effect.provide(model(server, Cassette.replay(path))),
          Effect.forkChild({ startImmediately: true })
        )
        for (let i = 0; i < 20; i++) yield* Effect.yieldNow
        assert.isUndefined(fiber.pollUnsafe())
        yield* Fiber.interrupt(fiber)
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("error statuses, with what the headers say", () =>
      Effect.gen(function* () {
        const server = yield* start([
          failure(429, { "retry-after": "7", "x-ratelimit-limit": "12345678" }),
          failure(401)
        ])
        const { file, recorded } = yield* twice(server, Effect.all([ask("Hi"), ask("Hi")]), {}, client)
        assert.deepStrictEqual(
          recorded.map(({ error }) => error?.reason._tag),
          ["RateLimited", "Authentication"]
        )
        assert.strictEqual(recorded[0].error?.requestId, "req_0")
        assert.isDefined(recorded[0].error?.retryAfter)
        assert.notInclude(file, "ratelimit")
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a redirect, each hop, and no key of its URL", () =>
      Effect.gen(function* () {
        const server = yield* start([
          { status: 307, headers: { location: "/other/path?key=abc&page=2" } },
          answer("ok")
        ])
        const { exchanges, file } = yield* twice(server, ask("Hi"), {}, client)
        assert.strictEqual(exchanges.length, 2)
        assert.strictEqual(exchanges[0]!.response.headers["location"], "/other/path?key=%3Credacted%3E&page=2")
        assert.strictEqual(exchanges[1]!.request.url, `${server.url}/other/path?key=%3Credacted%3E&page=2`)
        assert.notInclude(file, "abc")
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })

  it.effect("as a user writes it", () =>
    Effect.gen(function* () {
      const path = yield* temporary
      const server = yield* start([answer("Once", " upon")])
      const story = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
        Layer.provide(Cassette.layer(path)),
        Layer.provide([FetchHttpClient.layer, NodeServices.layer]),
        Layer.provide(withEnv({ OPENAI_API_KEY: key, OPENAI_BASE_URL: server.baseUrl }))
      )
      const tell = Effect.map(Llm.run("Tell me a story"), ({ text }) => text)
      assert.strictEqual(yield* Effect.provide(tell, story), "Once upon")
      yield* Effect.promise(() => server.stop())
      assert.strictEqual(yield* Effect.provide(tell, story), "Once upon")
    }).pipe(Effect.provide(NodeServices.layer))
  )

  describe("what is recorded", () => {
    it.effect("concurrent requests, in the order in which they were sent", () =>
      Effect.gen(function* () {
        const second = ChatServer.gate()
        const server = yield* start(({ body }) => {
          const [{ content }] = body["messages"] as [{ content: string }]
          return content === "slow" ? { before: second.opened, steps: answer("slow") } : answer("fast")
        })
        const program = Effect.all(
          [
            Effect.map(Llm.run("slow"), ({ text }) => text),
            Effect.promise(() => server.request(0)).pipe(
              Effect.andThen(Llm.run("fast")),
              Effect.tap(Effect.sync(second.open)),
              Effect.map(({ text }) => text)
            )
          ],
          { concurrency: "unbounded" }
        )
        const { exchanges, recorded } = yield* twice(server, program)
        assert.deepStrictEqual(recorded, ["slow", "fast"])
        assert.deepStrictEqual(exchanges.map(promptOf), ["slow", "fast"])
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("chunks as they were cut, also within a character", () =>
      Effect.gen(function* () {
        const bytes = new TextEncoder().encode("a漢b")
        const parts = [bytes.slice(0, 2), bytes.slice(2, 4), bytes.slice(4), Uint8Array.of(0xff, 0xfe)]
        const path = yield* temporary
        const program = Effect.flatMap(get("http://localhost/x"), ({ stream }) => Stream.runCollect(stream))
        const recorded = yield* Effect.provide(program, recordedOf(path, answering(parts)))
        assert.deepStrictEqual(recorded, parts)
        const replayed: Array<ReadonlyArray<Uint8Array>> = []
        yield* Effect.flatMap(get("http://localhost/x"), ({ stream }) =>
          Stream.runForEachArray(stream, (chunks) => Effect.sync(() => void replayed.push(chunks)))
        ).pipe(Effect.provide(Cassette.replay(path)))
        assert.deepStrictEqual(
          replayed.map((chunks) => chunks.map((chunk) => Array.from(chunk))),
          parts.map((part) => [Array.from(part)])
        )
        const { chunks } = exchangesOf(yield* read(path))[0].response
        assert.deepStrictEqual(chunks, [{ base64: "YeY=" }, { base64: "vKI=" }, "b", { base64: "//4=" }])
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("chunks as they came, whatever their reader does to them", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        yield* Effect.flatMap(get("http://localhost/x"), ({ stream }) =>
          Stream.runForEach(stream, (chunk) => Effect.sync(() => void chunk.fill(0)))
        ).pipe(Effect.provide(recordedOf(path, answering([Uint8Array.of(65, 66)]))))
        assert.deepStrictEqual(exchangesOf(yield* read(path))[0]!.response.chunks, ["AB"])
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("text, other bytes and nothing as bodies; a body without an answer's body", () =>
      Effect.gen(function* () {
        const server = yield* start([{ status: 204 }])
        const path = yield* temporary
        const requests = [
          HttpClientRequest.get(server.url),
          HttpClientRequest.post(server.url).pipe(HttpClientRequest.bodyText("plain")),
          HttpClientRequest.post(server.url).pipe(HttpClientRequest.bodyUint8Array(Uint8Array.of(0xff, 1)))
        ]
        const program = Effect.gen(function* () {
          const client = yield* HttpClient.HttpClient
          return yield* Effect.forEach(requests, (request) =>
            Effect.flatMap(client.execute(request), (response) =>
              Effect.map(response.text, (text) => [response.status, text])
            )
          )
        })
        const layer = Cassette.record(path).pipe(Layer.provide(FetchHttpClient.layer))
        assert.deepStrictEqual(yield* Effect.provide(program, layer), [
          [204, ""],
          [204, ""],
          [204, ""]
        ])
        assert.deepStrictEqual(yield* Effect.provide(program, Cassette.replay(path)), [
          [204, ""],
          [204, ""],
          [204, ""]
        ])
        const exchanges = exchangesOf(yield* read(path))
        assert.deepStrictEqual(
          exchanges.map((exchange) => exchange.request.body),
          [undefined, { text: "plain" }, { base64: "/wE=" }]
        )
        assert.deepStrictEqual(
          exchanges.map((exchange) => exchange.response.end),
          ["complete", "complete", "complete"]
        )
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })

  describe("secrets", () => {
    it.effect("a key that the provider quotes, however it is spelled and cut, is in no file", () =>
      Effect.gen(function* () {
        const spellings = [
          key,
          JSON.stringify(key).slice(1, -1),
          JSON.stringify(JSON.stringify(key)).slice(3, -3),
          JSON.stringify(key).slice(1, -1).replaceAll("/", "\\/"),
          encodeURIComponent(key),
          encodeURIComponent(key).replace(/%../g, (escape) => escape.toLowerCase()),
          encodeURIComponent(encodeURIComponent(key)),
          key.replace('"', "&quot;"),
          key.replace('"', "&#34;"),
          Array.from(key, (character) => `\\u00${character.charCodeAt(0).toString(16)}`).join(""),
          ...["", "x", "xy"].flatMap((before) => [
            Buffer.from(`${before}${key}!`).toString("base64"),
            Buffer.from(`${before}${key}!`).toString("base64url"),
            encodeURIComponent(Buffer.from(`${before}${key}?`).toString("base64"))
          ])
        ]
        // What gives each away: what is left of base64's ends tells nothing.
        const marks = spellings.map((spelling) => spelling.slice(6, -6))
        // In comments, since not each is JSON.
        const frame = (spelling: string) => `: before ${spelling} after\n\n`
        const error = JSON.stringify({
          error: { message: `Incorrect API key provided: ${key}.`, code: "invalid_api_key" }
        })
        const whole = Buffer.from(spellings.map(frame).join("") + `data: ${error}\n\n`)
        // Cut every 11 bytes: through every spelling.
        const cuts = Array.from({ length: Math.ceil(whole.length / 11) }, (_, i) => whole.subarray(i * 11, i * 11 + 11))
        const client = answering(cuts, { "content-type": "text/event-stream" })
        const path = yield* temporary
        const program = Effect.map(ask(`my key is ${key} and ${encodeURIComponent(key)}`), ({ error }) => error)
        const server = { baseUrl: "http://localhost/v1" }
        const recorded = yield* Effect.provide(program, model(server, recordedOf(path, client)))
        assert.strictEqual(recorded?.reason._tag, "Authentication")
        const file = yield* read(path)
        const exchanges = exchangesOf(file)
        const body = exchanges[0]!.response.chunks.join("")
        for (const mark of [...marks, "Zq9-key", "odd+chars"]) {
          assert.notInclude(file, mark)
          assert.notInclude(body, mark)
        }
        // All that is not the key is still there, in many chunks.
        assert.strictEqual(body.match(/before [^ ]*<redacted>[^ ]* after/g)?.length, spellings.length)
        assert.isAbove(exchanges[0]!.response.chunks.length, 40)
        assert.deepStrictEqual(promptOf(exchanges[0]!), "my key is <redacted> and <redacted>")
        assert.deepStrictEqual(yield* Effect.provide(program, model(server, Cassette.replay(path))), recorded)
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("in headers, URLs, fields and cookies", () =>
      Effect.gen(function* () {
        const body = JSON.stringify({
          access_token: "given-by-oauth",
          said: [
            "cookie-of-mine acme-organization query-secret1 url-password basic-pass1 user-of-mine",
            "sk-proj-aaaaaaaa org-abcdefghijklmnop1234 tok-in-cookie Key-of-the-client .example.com short"
          ]
        })
        // A client with a key of its own.
        const client = answering(
          [new TextEncoder().encode(body)],
          [
            ["content-type", "application/json"],
            ["set-cookie", "a=b; Domain=.example.com"],
            ["set-cookie", "session=cookie-of-mine; Domain=.example.com"],
            ["openai-organization", "acme-organization"],
            ["cf-ray", "ray-of-somebody"]
          ]
        ).pipe(
          HttpClient.mapRequest((request) =>
            HttpClientRequest.setHeader(HttpClientRequest.appendUrl(request, "/more"), "x-own", "Key-of-the-client")
          )
        )
        const path = yield* temporary
        const program = Effect.flatMap(
          get("http://user-of-mine:url-password@localhost/p?api_key=query-secret1&accessToken=x&page=2", {
            accept: "application/json",
            authorization: `Basic ${Buffer.from("me:basic-pass1").toString("base64")}`,
            cookie: "a=tok-in-cookie; b=short",
            "user-agent": "a test",
            "x-short": "short"
          }),
          ({ json }) => json
        )
        const layer = recordedOf(path, client)
        yield* Effect.provide(program, layer)
        const file = yield* read(path)
        for (const secret of [
          "cookie-of-mine",
          "acme-organization",
          "ray-of-somebody",
          "query-secret1",
          "url-password",
          "user-of-mine",
          "basic-pass1",
          "given-by-oauth",
          "sk-proj",
          "org-abc",
          "tok-in-cookie",
          "Key-of-the-client",
          Buffer.from("me:basic-pass1").toString("base64"),
          "authorization",
          "a test"
        ]) {
          assert.notInclude(file, secret)
        }
        assert.include(file, `http://localhost/p?api_key=%3Credacted%3E&accessToken=%3Credacted%3E&page=2`)
        // Too short to be looked for, and no secret.
        assert.include(file, ".example.com short")
        const replayed = yield* Effect.provide(program, Cassette.replay(path))
        assert.deepInclude(replayed, { access_token: "<redacted>" })
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("what only the user knows, by a function; and another key replays", () =>
      Effect.gen(function* () {
        const server = yield* start([answer("Dear Ann", ", dear"), answer("x")])
        const scrub = (text: string) => text.replaceAll("Ann", "Somebody")
        const program = Effect.map(Llm.run("I am Ann"), ({ text }) => text)
        const path = yield* temporary
        const options = { scrub }
        const layer = Cassette.record(path, options).pipe(Layer.provide(FetchHttpClient.layer))
        assert.strictEqual(yield* Effect.provide(program, model(server, layer)), "Dear Ann, dear")
        assert.notInclude(yield* read(path), "Ann")
        const other = OpenAi.layer({
          model: "gpt-test",
          api: "chat",
          apiKey: Redacted.make("none"),
          baseUrl: server.baseUrl
        }).pipe(Layer.provide(Cassette.replay(path, options)))
        assert.strictEqual(yield* Effect.provide(program, other), "Dear Somebody, dear")
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })

  describe("replaying", () => {
    const exchange = (body: unknown, text: string) => ({
      request: { method: "POST", url: "http://localhost/x", headers: {}, body: { json: body } },
      response: { status: 200, headers: {}, chunks: [text], end: "complete" }
    })
    const cassette = (exchanges: ReadonlyArray<unknown>) => JSON.stringify({ cassette: 1, exchanges })
    const post = (body: string, url = "http://localhost/x") =>
      Effect.flatMap(HttpClient.HttpClient, (client) =>
        client.execute(HttpClientRequest.post(url).pipe(HttpClientRequest.bodyText(body, "application/json")))
      ).pipe(Effect.flatMap(({ text }) => text))

    it.effect("the same requests in their order, each once, whatever the order of keys", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        yield* write(
          path,
          cassette([
            exchange({ a: 1, b: [{ c: 2, d: 3 }] }, "one"),
            exchange({ z: 1 }, "z"),
            exchange({ b: [{ d: 3, c: 2 }], a: 1 }, "two")
          ])
        )
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* Cassette.remaining, 3)
          assert.strictEqual((yield* Cassette.Cassette).mode, "replay")
          assert.strictEqual(yield* post('{"b":[{"d":3,"c":2}],"a":1}'), "one")
          assert.strictEqual(yield* post('{ "a": 1, "b": [{ "c": 2, "d": 3 }] }'), "two")
          assert.strictEqual(yield* Cassette.remaining, 1)
          const message = defect(yield* Effect.exit(post('{"a":1,"b":[{"c":2,"d":3}]}')))
          assert.include(message, `request 3, POST http://localhost/x, is not recorded in ${path} so often: 2 times`)
        }).pipe(Effect.provide(Cassette.replay(path)))
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("what is not recorded is a defect that says where it differs, and not what stands there", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        yield* write(
          path,
          cassette([
            exchange({ other: true, messages: [] }, "x"),
            exchange({ messages: [{ role: "user", content: "secret one" }] }, "x")
          ])
        )
        yield* Effect.gen(function* () {
          const message = defect(yield* Effect.exit(post('{"messages":[{"role":"user","content":"secret two"}]}')))
          assert.include(
            message,
            "The nearest that is, request 2, differs in body.messages[0].content. To record again, delete"
          )
          assert.notInclude(message, "secret")
          const elsewhere = defect(
            yield* Effect.exit(
              post('{"messages":[{"role":"user","content":"secret one"}]}', "http://localhost/y?key=secret")
            )
          )
          assert.include(elsewhere, "differs in the URL (http://localhost/x)")
          assert.notInclude(elsewhere, "secret")
          const many = defect(yield* Effect.exit(post('{"a":1,"b":2,"c":3,"d":4,"messages":[]}')))
          assert.match(many, /differs in body\.other, body\.a, body\.b and 2 more/)
        }).pipe(Effect.provide(Cassette.replay(path)))
        yield* write(path, cassette([]))
        assert.include(defect(yield* Effect.exit(Effect.provide(post("{}"), Cassette.replay(path)))), "nothing is")
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a file that is none is a typed error that says where, and not what", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const failing = Effect.flip(Effect.scoped(Layer.build(Cassette.replay(path))))
        assert.deepInclude(yield* failing, { reason: "Absent", path })
        const cases = [
          ["{", "it is not JSON"],
          ["7", "at its top"],
          ['{"cassette":2}', "another version than 1"],
          [
            cassette([
              { ...exchange({}, "x"), response: { status: "secret", headers: {}, chunks: [], end: "complete" } }
            ]),
            "at exchanges.0.response.status"
          ],
          [
            cassette([
              {
                ...exchange({}, "x"),
                response: { status: 1, headers: {}, chunks: [{ base64: "secret" }], end: "complete" }
              }
            ]),
            "at exchanges.0.response.chunks.0"
          ]
        ] as const
        for (const [content, expected] of cases) {
          yield* write(path, content)
          const error = yield* failing
          assert.strictEqual(error.reason, "Invalid")
          assert.include(error.message, expected)
          assert.include(error.message, path)
          assert.notInclude(error.message, "secret")
        }
        const fs = yield* FileSystem.FileSystem
        yield* fs.remove(path)
        yield* fs.makeDirectory(path)
        assert.deepInclude(yield* failing, { reason: "Unreadable" })
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })

  describe("writing", () => {
    const recording = (path: string, record: typeof Cassette.record = Cassette.record) =>
      record(path).pipe(Layer.provide(FetchHttpClient.layer))
    const files = (path: string) =>
      Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readDirectory(path.slice(0, path.lastIndexOf("/")))).pipe(
        Effect.orElseSucceed(() => [])
      )

    it.effect("in CI nothing is recorded", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const build = (env: Record<string, string>) =>
          Layer.build(Cassette.layer(path).pipe(Layer.provide([noNetwork, withEnv(env)]))).pipe(Effect.scoped)
        for (const CI of ["true", "1", "woodpecker"]) {
          const error = yield* Effect.flip(build({ CI }))
          assert.deepInclude(error, { _tag: "CassetteError", reason: "Absent" })
          assert.include(error.message, "CI is set")
        }
        for (const CI of ["", "0", "false"]) yield* build({ CI })
        yield* build({})
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a program that fails or is interrupted writes nothing, and leaves what there was", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        yield* write(path, "good")
        const server = yield* start([answer("x")])
        const layer = model(server, recording(path))
        yield* Effect.exit(Effect.provide(Effect.andThen(Llm.run("Hi"), Effect.fail("no")), layer))
        const asked = yield* Deferred.make<void>()
        const fiber = yield* Llm.run("Hi").pipe(
          Effect.andThen(Deferred.succeed(asked, undefined)),
          Effect.andThen(Effect.never),
          Effect.provide(layer),
          Effect.forkChild
        )
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* read(path), "good")
        assert.deepStrictEqual(yield* files(path), ["story.json"])
        yield* Effect.provide(Llm.run("Hi"), layer)
        assert.match(yield* read(path), /^\{\n {2}"cassette": 1,[\s\S]*\}\n$/)
        assert.deepStrictEqual(yield* files(path), ["story.json"])
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a file that another has written meanwhile is kept", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const server = yield* start([answer("x")])
        const layer = model(server, Cassette.layer(path).pipe(Layer.provide([FetchHttpClient.layer, machine])))
        yield* Effect.provide(Effect.andThen(Llm.run("Hi"), write(path, "theirs")), layer)
        assert.strictEqual(yield* read(path), "theirs")
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("requests without an answer are left out, and a file of nothing is not written", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const server = yield* start([answer("x")])
        const gone = yield* start([])
        yield* Effect.promise(() => gone.stop())
        const unreachable = Effect.flip(Effect.flatMap(HttpClient.HttpClient, (client) => client.get(gone.url)))
        yield* Effect.provide(unreachable, recording(path))
        assert.isFalse(yield* exists(path))
        yield* Effect.provide(Effect.andThen(unreachable, get(server.url)), recording(path))
        assert.strictEqual(exchangesOf(yield* read(path)).length, 1)
      }).pipe(Effect.provide(NodeServices.layer))
    )

    it.effect("a file that cannot be written is no quiet success, and leaves no half", () =>
      Effect.gen(function* () {
        const path = yield* temporary
        const server = yield* start([answer("x")])
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory(path, { recursive: true })
        const exit = yield* Effect.exit(Effect.provide(get(server.url), recording(path)))
        assert.include(defect(exit), `the cassette ${path} cannot be written`)
        assert.deepStrictEqual(yield* files(path), ["story.json"])
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })
})
