/**
 * Everything that is emitted, searched for keys, secret headers, prompts and answers: errors in every form
 * that they can be shown in, logs, spans, metrics, what goes to a terminal, cassettes and a receiver of
 * telemetry; for every provider and every way in which a server gives away what it was sent.
 */
import { inspect } from "node:util"
import { NodeServices } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import { LlmError } from "effect-rill/LlmError"
import * as Telemetry from "effect-rill/policy/Telemetry"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import * as Cassette from "effect-rill/testing/Cassette"
import type { Dialect, Turn } from "effect-rill/testing/Dialect"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { afterAll } from "vitest"
import { rill } from "./cli/Rill.ts"
import * as ChatServer from "./support/ChatServer.ts"
import { observing, within } from "./support/observing.ts"
import * as OtlpReceiver from "./support/OtlpReceiver.ts"

const { chunk, linger, reset, status } = FaultyWire

// Not of the form that is found by itself, and with what JSON, URLs and HTML spell otherwise.
const key = 'Zq9Key/with+odd="chars"\\77'
const header = "Hdr8-secret/value;11"
const prompt = 'Umbrella "prompt" naïve / of\nseveral lines'
const system = "Parasol system rule"
const answer = "Lighthouse answer words"

/** What must be nowhere, in every spelling that something may bring it in. */
const spellings = (text: string): ReadonlyArray<string> => {
  const json = JSON.stringify(text).slice(1, -1)
  const ascii = json.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
  const base64 = Buffer.from(text).toString("base64")
  return [text, json, ascii, json.replaceAll("/", "\\/"), encodeURIComponent(text), base64.replace(/=+$/, "")]
}
const forbidden = [key, header, prompt, system, answer].flatMap((text) => spellings(text))
// And what is left of them where they are taken apart.
const traces = ["Zq9Key", "odd=", "Hdr8", "Umbrella", "naïve", "Parasol", "Lighthouse"]

const search = (what: string, text: string): void => {
  for (const word of [...forbidden, ...traces]) {
    const at = text.indexOf(word)
    if (at !== -1) throw new Error(`${what} has ${word}: …${text.slice(Math.max(0, at - 80), at + 80)}…`)
  }
}

type Make = Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>
const apiKey = Redacted.make(key)
const headers = { "x-secret": Redacted.make(header) }
const model = "model-1"

const providers: ReadonlyArray<readonly [string, Make, Dialect]> = [
  ["openai chat", OpenAi.make({ model, apiKey, headers, api: "chat" }), OpenAiChat.dialect],
  ["openai responses", OpenAi.make({ model, apiKey, headers, api: "responses" }), OpenAiResponses.dialect],
  ["anthropic", Anthropic.make({ model, apiKey, headers }), AnthropicMessages.dialect],
  ["google", Google.make({ model, apiKey, headers }), GoogleGemini.dialect],
  ["azure", AzureOpenAi.make({ model, apiKey, headers, resourceName: "res", api: "chat" }), OpenAiChat.dialect],
  [
    "azure, a token",
    AzureOpenAi.make({ model, token: Effect.succeed(apiKey), headers, resourceName: "res" }),
    OpenAiResponses.dialect
  ],
  ["ollama", Ollama.make({ model, headers: { ...headers, authorization: apiKey } }), OllamaChat.dialect],
  ["groq", OpenAiCompatible.make({ preset: "groq", model, apiKey, headers }), OpenAiChat.dialect]
]

const turn: Turn = {
  parts: [{ type: "text", deltas: [answer, ` ${answer}`] }],
  finish: "stop",
  usage: { inputTokens: 3, outputTokens: 2 }
}

const everything = `${key} ${header} ${prompt} ${system}`

/** JSON as others write it: Python with what is not ASCII escaped, PHP with slashes escaped. */
const python = (value: unknown): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, (u) => `\\u${u.charCodeAt(0).toString(16).padStart(4, "0")}`)
const php = (value: unknown): string => python(value).replaceAll("/", "\\/")
/** Each character by its number: JSON as nobody writes it. */
const numbered = (text: string): string =>
  [...text].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")

interface Fault {
  readonly name: string
  readonly exchange: (dialect: Dialect) => FaultyWire.Exchange | undefined
  /** Whether it is a failure. Default true. */
  readonly fails?: boolean
}

const good = (dialect: Dialect): FaultyWire.Step => status(200, { "content-type": dialect.contentType })
const frames = (dialect: Dialect) => dialect.answer(turn)!.frames.map((frame) => chunk(frame))
const bad = (code: number, body: string, type = "application/json", more = {}): FaultyWire.Exchange => [
  status(code, { "content-type": type, "x-request-id": `req-1 ${key}`, ...more }),
  chunk(body)
]
const error = (message: string, code?: string) => ({ error: { message, type: "made_up", code: code ?? null } })

const faults: ReadonlyArray<Fault> = [
  {
    name: "a good answer",
    exchange: (dialect) => {
      const { frames, semanticEnd, usage, wireEnd } = dialect.answer(turn)!
      return [
        good(dialect),
        ...[...frames, semanticEnd, usage, wireEnd].flatMap((frame) => (frame === undefined ? [] : [chunk(frame)]))
      ]
    },
    fails: false
  },
  ...[400, 401, 403, 404, 429, 500].map((code): Fault => ({
    name: `HTTP ${code} that quotes all that it was sent`,
    exchange: (dialect) => bad(code, dialect.failure({ message: `You sent ${everything}` }))
  })),
  ...Object.entries({ python, php }).map(([name, write]): Fault => ({
    name: `as ${name} writes it`,
    exchange: () => bad(401, write(error(`Incorrect key: ${everything}`, `code ${key}`)))
  })),
  {
    name: "a key that is spelled by numbers",
    exchange: () => bad(401, `{"error":{"message":"Incorrect key: ${numbered(key)}","code":"${numbered(key)}"}}`)
  },
  { name: "a long quotation", exchange: () => bad(400, JSON.stringify(error(`${"x".repeat(900)} ${everything}`))) },
  {
    name: "the request's headers",
    exchange: () => bad(400, JSON.stringify({ headers: { authorization: `Bearer ${key}` } }))
  },
  {
    name: "a list of problems",
    exchange: () => bad(422, JSON.stringify({ detail: [{ loc: ["body"], msg: `bad ${everything}`, input: prompt }] }))
  },
  { name: "plain text", exchange: () => bad(401, `Bad key ${everything}`, "text/plain") },
  { name: "a page", exchange: () => bad(502, `<html><body>${everything}</body></html>`, "text/html") },
  {
    name: "a page with a good status",
    exchange: () => bad(200, `<html><body>${everything}</body></html>`, "text/html")
  },
  { name: "JSON with a good status", exchange: () => bad(200, JSON.stringify({ said: answer, to: everything })) },
  {
    name: "JSON that is cut",
    exchange: () => bad(200, JSON.stringify({ said: answer, to: everything }).split("Hdr8")[0]!)
  },
  { name: "an error with a good status", exchange: () => bad(200, JSON.stringify(error(everything))) },
  {
    name: "a stream of another protocol",
    exchange: (dialect) => {
      const other = dialect.contentType.includes("ndjson") ? OpenAiChat.dialect : OllamaChat.dialect
      return [status(200, { "content-type": "text/plain" }), ...frames(other)]
    }
  },
  ...[301, 302, 303, 307, 308].map((code): Fault => ({
    name: `a redirect, ${code}`,
    exchange: () =>
      bad(code, everything, "text/plain", {
        location: `https://other.example/${encodeURIComponent(key)}?key=${encodeURIComponent(key)}`
      })
  })),
  { name: "a redirect to nowhere", exchange: () => bad(307, "", "text/plain", { location: `http://[${key}` }) },
  { name: "no connection", exchange: () => [reset("ECONNREFUSED")] },
  { name: "a reset", exchange: (dialect) => [good(dialect), ...frames(dialect), reset()] },
  { name: "an end in the middle", exchange: (dialect) => [good(dialect), ...frames(dialect)] },
  {
    name: "an error in the stream, first",
    exchange: (dialect) => dialect.error && [good(dialect), chunk(dialect.error(`You sent ${everything}`)), linger]
  },
  {
    name: "an error in the stream, after words",
    exchange: (dialect) =>
      dialect.error && [good(dialect), ...frames(dialect), chunk(dialect.error(`You sent ${everything}`)), linger]
  },
  {
    name: "a broken frame with all of it",
    exchange: (dialect) => [
      good(dialect),
      ...frames(dialect),
      chunk(dialect.contentType.includes("ndjson") ? `{"a": ${everything}\n` : `data: {"a": ${everything}\n\n`),
      linger
    ]
  },
  {
    name: "a frame of another kind",
    exchange: (dialect) => [
      good(dialect),
      chunk(
        dialect.contentType.includes("ndjson")
          ? `[${JSON.stringify(everything)}]\n`
          : `data: [${JSON.stringify(everything)}]\n\n`
      )
    ]
  },
  { name: "a reader who leaves", exchange: (dialect) => [good(dialect), ...frames(dialect), linger], fails: false }
]

const shown = (value: unknown): string => inspect(value, { depth: 20, showHidden: true, getters: true })

/** All forms in which a failure can be shown. */
const formsOf = (exit: Exit.Exit<unknown, unknown>): Record<string, string> => {
  if (Exit.isSuccess(exit)) return {}
  const cause = exit.cause
  const squashed = Cause.squash(cause)
  const forms: Record<string, string> = {
    "Cause.pretty": Cause.pretty(cause),
    "the exit as JSON": JSON.stringify(exit),
    "the exit, inspected": shown(exit),
    "the exit as a string": String(exit),
    "the error as a string": String(squashed),
    "the error as JSON": JSON.stringify(squashed),
    "the error, inspected": shown(squashed),
    "the error's stack": String((squashed as Error).stack)
  }
  if (squashed instanceof LlmError) {
    forms["the error by its schema"] = JSON.stringify(Schema.encodeSync(LlmError)(squashed))
  }
  return forms
}

let cells = 0

const run = Effect.fnUntraced(function* (make: Make, exchange: FaultyWire.Exchange, leaves: boolean) {
  const observed = observing()
  const logged: Array<string> = []
  const logger = Layer.mergeAll(
    Logger.layer(
      [Logger.formatSimple, Logger.formatLogFmt, Logger.formatJson, Logger.map(Logger.formatStructured, shown)].map(
        (format) => Logger.map(format, (line) => void logged.push(line))
      )
    ),
    Layer.succeed(References.MinimumLogLevel, "All")
  )
  const { client, wire } = yield* FaultyWire.make([exchange])
  const llm = Telemetry.attach(yield* Effect.provideService(make, HttpClient.HttpClient, client), {})
  const text = Llm.text(llm.events({ prompt, system }))
  const read = Effect.gen(function* () {
    yield* Effect.logTrace("before")
    const exit = yield* Effect.exit(Stream.runDrain(leaves ? Stream.take(text, 1) : text))
    if (Exit.isFailure(exit)) yield* Effect.logError("it failed", exit.cause)
    return yield* exit
  }).pipe(Effect.withSpan("mine"), Effect.withLogSpan("mine"), Effect.provide(logger))
  const fiber = yield* Effect.forkChild(
    Effect.provideService(within(observed, read), EventStream.Settling, Duration.zero)
  )
  yield* TestClock.adjust("1 minute")
  const exit = yield* Fiber.await(fiber)
  return { exit, observed, logged, requests: yield* wire.requests }
})

/** What goes to the terminal of the process, for as long as the tests run. */
const terminal: Array<string> = []
const writes = [process.stdout, process.stderr].map((output) => {
  const write = output.write.bind(output)
  output.write = (chunk: string | Uint8Array, ...rest: ReadonlyArray<never>) => {
    terminal.push(String(chunk))
    return write(chunk, ...rest)
  }
  return () => (output.write = write)
})
afterAll(() => {
  for (const restore of writes) restore()
})

describe.each(providers)("%s", (_, make, dialect) => {
  it.effect.each(faults.map((fault) => [fault.name, fault] as const))("%s", ([name, { exchange, fails = true }]) =>
    Effect.gen(function* () {
      const answered = exchange(dialect)
      if (answered === undefined) return
      const { exit, logged, observed, requests } = yield* run(make, answered, name === "a reader who leaves")
      cells++
      // All of it was sent, and what should fail has failed: there was something to find.
      const [sent] = requests
      expect(JSON.stringify(sent!.headers)).toContain(JSON.stringify(key).slice(1, -1))
      expect(JSON.stringify(sent!.headers)).toContain(header)
      expect(sent!.body).toContain("Umbrella")
      expect([name, Exit.isFailure(exit)]).toEqual([name, fails])
      expect(observed.spans.map(({ ends }) => ends)).toEqual([1, 1, 1])

      for (const [form, text] of Object.entries(formsOf(exit))) search(form, text)
      for (const line of logged) search("a log", line)
      expect(logged.length).toBeGreaterThanOrEqual(4)
      for (const span of observed.spans) {
        // The span of the program itself has the error as it is.
        search(`the span ${span.name}`, shown([span.name, span.attributes, span.events, span.status, span.links]))
        if (span.status._tag === "Ended")
          for (const [form, text] of Object.entries(formsOf(span.status.exit))) search(`${span.name}: ${form}`, text)
      }
      search("the metrics", shown(observed.snapshot()))
      search("the terminal", terminal.join(""))
    })
  )
})

it("the matrix is whole", () => {
  expect(cells).toBeGreaterThan(250)
})

describe("what is kept elsewhere", () => {
  it.effect.each(
    faults.filter(({ name }) => !name.startsWith("no connection")).map((fault) => [fault.name, fault] as const)
  )("a cassette has no key: %s", ([, { exchange }]) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const path = `${yield* fs.makeTempDirectoryScoped()}/cassette.json`
      const [, make, dialect] = providers[0]!
      const { client } = yield* FaultyWire.make([exchange(dialect)!])
      const asked = Effect.gen(function* () {
        const llm = yield* make
        const fiber = yield* Effect.forkChild(
          Effect.provideService(
            Stream.runDrain(Stream.take(llm.events({ prompt }), 2)),
            EventStream.Settling,
            Duration.zero
          )
        )
        yield* TestClock.adjust("1 minute")
        yield* Fiber.await(fiber)
      })
      yield* Effect.scoped(
        Effect.provide(asked, Cassette.record(path).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client))))
      )
      const file = yield* fs.readFileString(path)
      for (const word of [key, header].flatMap((text) => spellings(text))) expect(file).not.toContain(word)
      expect(file).not.toMatch(/Zq9Key|Hdr8/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it("a receiver of spans, metrics and logs gets none of it", async () => {
    const receiver = await OtlpReceiver.start()
    const server = await ChatServer.start([
      ChatServer.answer(answer, answer),
      ChatServer.failure(401, {}, { message: everything }),
      [ChatServer.role, ChatServer.text(answer), { data: error(everything) }],
      [ChatServer.role, ChatServer.text(answer), "reset"]
    ])
    try {
      const exporter = Otlp.layer({ baseUrl: receiver.url, resource: { serviceName: "test" } }).pipe(
        Layer.provide(OtlpSerialization.layerJson)
      )
      const live = OpenAi.layer({ model, apiKey, headers, baseUrl: server.baseUrl, api: "chat" })
      const program = Effect.gen(function* () {
        for (let i = 0; i < 4; i++) {
          const exit = yield* Effect.exit(Llm.run({ prompt, system }).pipe(Effect.withSpan("mine")))
          expect(Exit.isFailure(exit)).toBe(i > 0)
          if (Exit.isFailure(exit)) yield* Effect.logError("it failed", exit.cause)
        }
        yield* (yield* OtlpExporter.Flusher).flush
      })
      await Effect.runPromise(
        program.pipe(
          Effect.provide(Layer.mergeAll(live, exporter)),
          Effect.provide(FetchHttpClient.layer),
          Effect.provideService(Metric.MetricRegistry, new Map()),
          Effect.provideService(References.MinimumLogLevel, "All")
        )
      )
      expect(receiver.spans.filter(({ name }) => name === "chat model-1")).toHaveLength(4)
      expect(receiver.text()).toContain("it failed")
      search("what the receiver got", receiver.text())
    } finally {
      await server.stop()
      await receiver.stop()
    }
  })

  it("the command tells none of it on its standard error", async () => {
    const server = await ChatServer.start([ChatServer.failure(401, {}, { message: `You sent ${key} ${prompt}` })])
    try {
      const { code, stderr, stdout } = await rill(["--model", "openai/model-1", prompt], {
        env: { OPENAI_API_KEY: key, OPENAI_BASE_URL: server.baseUrl }
      })
      expect(server.requests).not.toEqual([])
      expect(code).not.toBe(0)
      expect(stderr).not.toBe("")
      search("the command", stderr + stdout)
    } finally {
      await server.stop()
    }
  })
})
