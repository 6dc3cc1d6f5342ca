import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import { LlmError, Overloaded, RateLimited } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Retry from "effect-rill/policy/Retry"
import * as Telemetry from "effect-rill/policy/Telemetry"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import type { Dialect, Turn } from "effect-rill/testing/Dialect"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { observing, within } from "../support/observing.ts"
import * as Scripted from "../support/scriptedLlm.ts"

const { chunk, linger, pause, status } = FaultyWire
const { arrays, llmError, service, thought, token } = Scripted
const apiKey = Redacted.make("sk-telemetry-0123456789")

type Make = Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>

const openAi = OpenAi.make({ model: "m", apiKey, api: "chat" })

const turn: Turn = {
  parts: [{ type: "text", deltas: ["one", "two", "three"] }],
  finish: "stop",
  usage: { inputTokens: 11, outputTokens: 3 }
}

/** An answer whose head takes 1 s, its first word 1 s more, and its last word another 4 s. */
const slowly = (dialect: Dialect): FaultyWire.Exchange => {
  const answer = dialect.answer(turn)!
  const frames = answer.frames.map((frame) => chunk(frame))
  const rest = [answer.semanticEnd, answer.usage, answer.wireEnd].flatMap((frame) => frame ?? [])
  const first = frames.findIndex((_, i) => answer.frames[i]!.includes("one"))
  return [
    pause("1 second"),
    status(200, { "content-type": dialect.contentType }),
    ...frames.slice(0, first),
    pause("1 second"),
    ...frames.slice(first, -1),
    pause("4 seconds"),
    ...frames.slice(-1),
    ...rest.map((frame) => chunk(frame))
  ]
}

const ask = Effect.fnUntraced(function* (make: Make, exchanges: ReadonlyArray<FaultyWire.Exchange>) {
  const { client } = yield* FaultyWire.make(exchanges)
  return yield* Effect.provideService(make, HttpClient.HttpClient, client)
})

/** Runs while time goes on, and gives how it ended. */
const inTime = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.provideService(effect, EventStream.Settling, Duration.zero))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.await(fiber)
  })

const seconds = Array.from({ length: 14 }, (_, i) => 2 ** i / 100)
const usage = { source: "exact", inputTokens: 7, outputTokens: 3 } as const
const finished: LlmEvent = { _tag: "Finished", reason: "stop", rawReason: "end_turn", usage }
const started: LlmEvent = { _tag: "Started", id: "answer-1", provider: "anthropic", model: "claude-1-20260101" }

interface Expected {
  readonly provider: string
  readonly host: string
  readonly port?: number
  readonly finish: string
  /** What is said to be none. */
  readonly zeros?: Readonly<Record<string, number>>
}

describe("a provider's request", () => {
  it.effect.each<readonly [string, Make, Dialect, Expected]>([
    ["openai chat", openAi, OpenAiChat.dialect, { provider: "openai", host: "api.openai.com", finish: "stop" }],
    [
      "openai responses",
      OpenAi.make({ model: "m", apiKey, api: "responses" }),
      OpenAiResponses.dialect,
      {
        provider: "openai",
        host: "api.openai.com",
        finish: "completed",
        zeros: { "gen_ai.usage.reasoning.output_tokens": 0, "gen_ai.usage.cache_read.input_tokens": 0 }
      }
    ],
    [
      "anthropic",
      Anthropic.make({ model: "m", apiKey }),
      AnthropicMessages.dialect,
      { provider: "anthropic", host: "api.anthropic.com", finish: "end_turn" }
    ],
    [
      "google",
      Google.make({ model: "m", apiKey }),
      GoogleGemini.dialect,
      { provider: "gcp.gemini", host: "generativelanguage.googleapis.com", finish: "STOP" }
    ],
    [
      "azure",
      AzureOpenAi.make({ model: "m", apiKey, resourceName: "res", api: "chat" }),
      OpenAiChat.dialect,
      { provider: "azure.ai.openai", host: "res.openai.azure.com", finish: "stop" }
    ],
    [
      "mistral",
      OpenAiCompatible.make({ preset: "mistral", model: "m", apiKey }),
      OpenAiChat.dialect,
      { provider: "mistral_ai", host: "api.mistral.ai", finish: "stop" }
    ],
    [
      "ollama",
      Ollama.make({ model: "m" }),
      OllamaChat.dialect,
      { provider: "ollama", host: "127.0.0.1", port: 11434, finish: "stop" }
    ]
  ])("%s: its span and its metrics", ([, make, dialect, { finish, host, port = 443, provider, zeros = {} }]) =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(make, [slowly(dialect)])
      yield* inTime(within(observed, Stream.runDrain(llm.events({ prompt: "Hi" }))))
      expect(observed.spans).toHaveLength(1)
      const span = observed.span("chat m")
      expect([span.kind, span.outcome, span.ends, span.milliseconds]).toEqual(["client", "ok", 1, 6000])
      const { "gen_ai.response.id": id, "gen_ai.response.model": model, ...told } = span.all
      expect(told).toEqual({
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": true,
        "server.address": host,
        "server.port": port,
        "gen_ai.response.finish_reasons": [finish],
        "gen_ai.response.time_to_first_chunk": 2,
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 3,
        "rill.usage.source": "exact",
        ...zeros
      })
      expect(id).toEqual(provider === "ollama" ? undefined : expect.any(String))
      expect(model).toEqual(expect.any(String))
      const attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": "m",
        "gen_ai.response.model": model,
        "server.address": host,
        "server.port": String(port)
      }
      const point = (sum: number, boundaries: ReadonlyArray<number>, more = {}) => ({
        attributes: { ...attributes, ...more },
        count: 1,
        sum,
        boundaries
      })
      const tokens = Array.from({ length: 14 }, (_, i) => 4 ** i)
      expect(observed.points("gen_ai.client.operation.duration")).toEqual([point(6, seconds)])
      expect(observed.points("gen_ai.client.operation.time_to_first_chunk")).toEqual([point(2, seconds)])
      expect(observed.points("gen_ai.client.token.usage")).toEqual([
        point(11, tokens, { "gen_ai.token.type": "input" }),
        point(3, tokens, { "gen_ai.token.type": "output" })
      ])
      // 4 s for the two tokens after the first.
      expect(observed.points("rill.client.operation.time_per_output_token")).toEqual([
        point(2, [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5])
      ])
      expect(observed.points("rill.active_streams").map(({ count }) => count)).toEqual([0])
      expect(observed.names()).toEqual([
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.token.usage",
        "rill.active_streams",
        "rill.client.operation.time_per_output_token"
      ])
    })
  )

  it.effect("the boundaries are the conventions'", () =>
    Effect.sync(() => {
      expect(seconds).toEqual([0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92])
    })
  )

  it.effect("units", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [slowly(OpenAiChat.dialect)])
      yield* inTime(within(observed, Stream.runDrain(llm.events({ prompt: "Hi" }))))
      const units = new Map(observed.snapshot().map((metric) => [metric.id, metric.attributes?.["unit"]]))
      expect(Object.fromEntries(units)).toEqual({
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
        "rill.active_streams": "{stream}",
        "rill.client.operation.time_per_output_token": "s"
      })
    })
  )

  it.effect("what is asked for", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [slowly(OpenAiChat.dialect)])
      const request: LlmRequest = {
        prompt: "Hi",
        system: "Be brief",
        model: "other",
        temperature: 0,
        maxTokens: 5,
        topP: 0.5,
        stop: "END",
        seed: 4,
        frequencyPenalty: 0.1,
        presencePenalty: 0.2,
        responseFormat: { type: "json" }
      }
      yield* inTime(within(observed, Stream.runDrain(llm.events(request))))
      const { all } = observed.span("chat other")
      expect(all).toMatchObject({
        "gen_ai.request.model": "other",
        "gen_ai.request.temperature": 0,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.top_p": 0.5,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.request.seed": 4,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.output.type": "json"
      })
      expect(JSON.stringify(all)).not.toMatch(/Be brief|"Hi"/)
    })
  )

  it.effect("all kinds of tokens", () =>
    Effect.gen(function* () {
      const observed = observing()
      const all = { ...usage, reasoningTokens: 2, cacheReadTokens: 4, cacheWriteTokens: 1 }
      const llm = Telemetry.attach(service(arrays([[token("a")], [{ ...finished, usage: all } as LlmEvent]])), {})
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      expect(observed.span("chat").all).toMatchObject({
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 1
      })
    })
  )

  it.effect("a server of one's own has its port, and no path, user or key of its URL is told", () =>
    Effect.gen(function* () {
      const observed = observing()
      const at = (baseUrl: string) =>
        ask(OpenAi.make({ model: "m", baseUrl, api: "chat" }), [[...slowly(OpenAiChat.dialect)]])
      for (const url of [
        "http://127.0.0.1:8080/v1/secret-path?key=sk-secret-1",
        "http://local",
        "https://me:pw@host/v1",
        "no url"
      ]) {
        const llm = yield* at(url)
        yield* inTime(within(observed, Stream.runDrain(llm.events({ prompt: "Hi" }))))
      }
      expect(observed.spans.map(({ all }) => [all["server.address"], all["server.port"]])).toEqual([
        ["127.0.0.1", 8080],
        ["local", 80],
        ["host", 443],
        [undefined, undefined]
      ])
      expect(JSON.stringify(observed.spans.map(({ all, outcome }) => [all, outcome]))).not.toMatch(/secret|pw|\/v1/)
    })
  )

  it.effect("is a child of the span that it is asked in, each time that it is run", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [slowly(OpenAiChat.dialect), slowly(OpenAiChat.dialect)])
      const events = llm.events({ prompt: "Hi" })
      yield* inTime(
        within(observed, Effect.withSpan(Effect.andThen(Stream.runDrain(events), Stream.runDrain(events)), "mine"))
      )
      expect(observed.spans.map(({ ends, name, within }) => [name, within, ends])).toEqual([
        ["mine", undefined, 1],
        ["chat m", "mine", 1],
        ["chat m", "mine", 1]
      ])
    })
  )

  it.effect("none, where it is turned off", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [slowly(OpenAiChat.dialect)])
      const exit = yield* inTime(
        within(
          observed,
          Effect.provideService(Stream.runCollect(llm.events({ prompt: "Hi" })), Telemetry.Enabled, false)
        )
      )
      expect(Exit.isSuccess(exit) && exit.value.length).toBe(5)
      expect([observed.spans, observed.names()]).toEqual([[], []])
    })
  )

  it.effect("can be turned off by a layer", () =>
    Effect.gen(function* () {
      const observed = observing()
      const off = Layer.merge(Scripted.layer(arrays([[finished]])), Layer.succeed(Telemetry.Enabled, false))
      const program = Effect.provide(Llm.run("Hi"), off.pipe(Telemetry.layer({})))
      yield* within(observed, Effect.provideService(program, Telemetry.Enabled, false))
      expect(observed.spans).toEqual([])
    })
  )
})

describe("ends", () => {
  const answer = OpenAiChat.dialect.answer(turn)!
  const head = status(200, { "content-type": "text/event-stream" })
  const frames = answer.frames.map((frame) => chunk(frame))

  it.effect.each<readonly [string, FaultyWire.Exchange, string]>([
    ["a bad status", [status(429, {}), chunk(OpenAiChat.dialect.failure({ message: "slow down" }))], "RateLimited"],
    ["a refused connection", [FaultyWire.reset("ECONNREFUSED")], "Unreachable"],
    ["a reset", [head, ...frames, FaultyWire.reset()], "Disconnected"],
    ["an end in the middle", [head, ...frames], "Truncated"],
    ["an error in the stream", [head, ...frames, chunk(OpenAiChat.dialect.error!("broken"))], "ProviderFailed"],
    ["a broken frame", [head, chunk(OpenAiChat.dialect.malformed)], "Malformed"]
  ])("a failure, by its reason: %s", ([, exchange, type]) =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [exchange])
      const exit = yield* inTime(within(observed, Stream.runDrain(llm.events({ prompt: "abcdefgh" }))))
      const error = Exit.isFailure(exit) ? (Cause.squash(exit.cause) as LlmError) : undefined
      const span = observed.span("chat m")
      expect(span.outcome).toBe(`LlmError: ${error!.message}`)
      expect([span.ends, span.all["error.type"]]).toEqual([1, type])
      const [duration, ...others] = observed.points("gen_ai.client.operation.duration")
      expect(others).toEqual([])
      expect(duration!.attributes["error.type"]).toBe(type)
      expect(observed.points("rill.active_streams").map(({ count }) => count)).toEqual([0])
      expect(observed.points("rill.client.operation.time_per_output_token")).toEqual([])
      // What was used is estimated where it is not told; who refuses a request does not bill for it.
      const used = error!.phase === "request" || error!.phase === "headers" ? undefined : "estimated"
      expect(span.all["rill.usage.source"]).toBe(used)
      expect(observed.points("gen_ai.client.token.usage")).toEqual([])
    })
  )

  it.effect("a failure that tells its usage and its request", () =>
    Effect.gen(function* () {
      const observed = observing()
      const error = new LlmError({
        reason: new Overloaded({ message: "busy" }),
        provider: "test",
        phase: "mid-output",
        emitted: 1,
        usage,
        requestId: "req-1"
      })
      const llm = Telemetry.attach(service(arrays([[token("a")]], Effect.fail(error))), { provider: "test" })
      yield* within(observed, Effect.exit(Stream.runDrain(llm.events({ prompt: "Hi" }))))
      expect(observed.span("chat").all).toMatchObject({
        "gen_ai.usage.input_tokens": 7,
        "rill.usage.source": "exact",
        "rill.request_id": "req-1"
      })
      expect(observed.points("gen_ai.client.token.usage").map(({ sum }) => sum)).toEqual([7, 3])
    })
  )

  it.effect.each([0, 1, 2, 3])("interruption, after %s frames", (count) =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [[...(count === 0 ? [] : [head, ...frames.slice(0, count)]), linger]])
      const fiber = yield* Effect.forkChild(within(observed, Stream.runDrain(llm.events({ prompt: "abcdefgh" }))))
      yield* TestClock.adjust("3 seconds")
      expect(observed.span("chat m").outcome).toBe("open")
      expect(observed.points("rill.active_streams").map((point) => point.count)).toEqual([1])
      yield* Fiber.interrupt(fiber)
      const span = observed.span("chat m")
      expect([span.outcome, span.ends, span.milliseconds]).toEqual(["interrupted", 1, 3000])
      expect(span.all["error.type"]).toBeUndefined()
      expect(span.all).toMatchObject({ "gen_ai.usage.input_tokens": 2, "rill.usage.source": "estimated" })
      expect(span.all["gen_ai.usage.output_tokens"]).toBe([0, 0, 1, 2][count])
      expect(observed.points("gen_ai.client.operation.duration").map(({ sum }) => sum)).toEqual([3])
      expect(observed.points("rill.active_streams").map((point) => point.count)).toEqual([0])
    })
  )

  it.effect("a reader who takes what it wants and leaves", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [[head, ...frames, linger]])
      yield* inTime(within(observed, Stream.runDrain(Stream.take(Llm.text(llm.events({ prompt: "abcdefgh" })), 1))))
      const span = observed.span("chat m")
      expect([span.outcome, span.ends, span.all["error.type"]]).toEqual(["interrupted", 1, undefined])
      expect(observed.points("rill.active_streams").map((point) => point.count)).toEqual([0])
    })
  )

  it.effect("a reader who leaves with the last event has had all of it", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([[token("a"), finished]])), {})
      const whole = Stream.takeUntil(llm.events({ prompt: "Hi" }), (event) => event._tag === "Finished")
      yield* within(observed, Stream.runDrain(whole))
      expect(observed.span("chat").outcome).toBe("ok")
    })
  )

  it.effect("a reader's own failure is not the model's", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([[token("a")], [finished]])), {})
      const failing = Stream.runForEach(llm.events({ prompt: "Hi" }), () => Effect.fail(llmError(busy)))
      yield* within(observed, Effect.exit(failing))
      expect([observed.span("chat").outcome, observed.span("chat").all["error.type"]]).toEqual([
        "interrupted",
        undefined
      ])
    })
  )

  it.effect("a view that fails by a restart", () =>
    Effect.gen(function* () {
      const observed = observing()
      const error = llmError(busy)
      const llm = Telemetry.attach(service(arrays([[token("a")], [{ _tag: "Restarted", error }], [finished]])), {})
      yield* within(observed, Effect.exit(Stream.runDrain(Llm.text(llm.events({ prompt: "Hi" })))))
      expect(observed.span("chat").outcome).toBe(`LlmError: ${error.message}`)
      expect(observed.span("chat").all["error.type"]).toBe("Overloaded")
    })
  )

  it.effect("a defect, of whose words nothing is told", () =>
    Effect.gen(function* () {
      const observed = observing()
      for (const defect of [new TypeError("secret words"), "secret words"]) {
        const llm = Telemetry.attach(service(Stream.die(defect)), {})
        yield* within(observed, Effect.exit(Stream.runDrain(llm.events({ prompt: "Hi" }))))
      }
      expect(observed.spans.map(({ all }) => all["error.type"])).toEqual(["TypeError", "_OTHER"])
      expect(observed.spans.map(({ ends, outcome }) => [ends, outcome])).toEqual([
        [1, expect.stringMatching(/^defect TypeError: (?!.*secret)/)],
        [1, expect.stringMatching(/^defect _OTHER: (?!.*secret)/)]
      ])
    })
  )

  it.effect("a refusal is an answer", () =>
    Effect.gen(function* () {
      const observed = observing()
      const refused: LlmEvent = { _tag: "Finished", reason: "content-filter", usage }
      const llm = Telemetry.attach(service(arrays([[{ _tag: "Refusal", text: "No, my secret" }], [refused]])), {})
      yield* within(observed, Effect.exit(Effect.provideService(Llm.run("Hi"), Llm.Llm, llm)))
      const span = observed.span("chat")
      expect([span.outcome, span.all["gen_ai.response.finish_reasons"]]).toEqual(["ok", ["content_filter"]])
      expect(JSON.stringify(span.all)).not.toContain("secret")
    })
  )

  it.effect("times are none where timing is turned off", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = yield* ask(openAi, [slowly(OpenAiChat.dialect)])
      const events = Stream.runDrain(llm.events({ prompt: "Hi" }))
      yield* inTime(within(observed, Effect.provideService(events, References.TracerTimingEnabled, false)))
      const { status } = observed.span("chat m")
      expect(status).toMatchObject({ startTime: 0n, endTime: 0n })
      expect(observed.points("gen_ai.client.operation.duration").map(({ sum }) => sum)).toEqual([6])
    })
  )
})

const busy = new Overloaded({ message: "busy" })

describe("what is inside", () => {
  it.effect("of a model is in its span, at every pull and in its finalizers; what reads it is not", () =>
    Effect.gen(function* () {
      const observed = observing()
      const names: Array<string> = []
      const where = (what: string) =>
        Effect.withSpan(Effect.void, what).pipe(Effect.tap(() => Effect.sync(() => names.push(what))))
      const events = Stream.fromIterable([token("a"), token("b"), finished], { chunkSize: 1 }).pipe(
        Stream.mapEffect((event) => Effect.as(where("inner"), event)),
        Stream.ensuring(where("finalizer"))
      )
      const llm = Telemetry.attach(service(events), { model: "m" })
      const read = Stream.runForEach(llm.events({ prompt: "Hi" }), () => where("reader"))
      yield* within(observed, Effect.withSpan(read, "mine"))
      const parents = (name: string) => new Set(observed.spans.filter((s) => s.name === name).map((s) => s.within))
      expect(names.filter((name) => name === "inner")).toHaveLength(3)
      expect([parents("inner"), parents("finalizer"), parents("reader")]).toEqual([
        new Set(["chat m"]),
        new Set(["chat m"]),
        new Set(["mine"])
      ])
    })
  )

  it.effect("of a provider's request as well: what gives its key", () =>
    Effect.gen(function* () {
      const observed = observing()
      const key = Effect.withSpan(Effect.succeed(apiKey), "key")
      const llm = yield* ask(AzureOpenAi.make({ model: "m", resourceName: "a", token: key }), [[status(500, {})]])
      yield* inTime(within(observed, Stream.runDrain(llm.events({ prompt: "Hi" }))))
      expect(observed.span("key").within).toBe("chat m")
    })
  )

  it.effect("is released before its end is told", () =>
    Effect.gen(function* () {
      const observed = observing()
      const order: Array<string> = []
      // Held by the scope of the stream, as connections are.
      const held = Stream.unwrap(
        Effect.acquireRelease(Effect.succeed(arrays([[token("a")], [finished]])), () =>
          Effect.sync(() => void order.push(`released, ${observed.spans.at(-1)!.outcome}`))
        )
      )
      const onCost = () => Effect.sync(() => void order.push("cost"))
      const llm = Telemetry.attach(service(held), { cost: () => 1, onCost })
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      yield* within(observed, Stream.runDrain(Stream.take(llm.events({ prompt: "Hi" }), 1)))
      expect(order).toEqual(["released, open", "cost", "released, open", "cost"])
    })
  )
})

describe("content", () => {
  const prompt: LlmRequest["prompt"] = [
    { role: "system", content: "in the history" },
    {
      role: "user",
      content: [
        { type: "text", text: "What is this?" },
        { type: "file", mediaType: "image/png", data: new Uint8Array([1, 2, 3]) },
        { type: "file", mediaType: "application/pdf", data: new URL("https://example.com/a.pdf") }
      ]
    },
    {
      role: "assistant",
      content: [{ type: "tool-call", id: "c1", name: "look", params: { at: 1 }, providerExecuted: false }]
    },
    { role: "tool", content: [{ type: "tool-result", id: "c1", name: "look", isFailure: false, result: "a cat" }] }
  ]
  const events: ReadonlyArray<LlmEvent> = [
    started,
    thought("Hmm"),
    token("A "),
    token("cat"),
    { _tag: "ToolCalled", id: "c2", name: "look", input: { at: 2 } },
    { _tag: "Finished", reason: "tool-calls", usage }
  ]
  const request = { prompt, system: "Be brief" }

  it.effect("only when asked for: not by default", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([events])), {})
      yield* within(observed, Stream.runDrain(llm.events(request)))
      expect(JSON.stringify(observed.span("chat").all)).not.toMatch(/history|What is|cat|Hmm|brief|look/)
    })
  )

  it.effect.each(["reference", "option"])("in the conventions' form, by %s", (by) =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([events])), by === "option" ? { content: true } : {})
      yield* within(
        observed,
        Effect.provideService(Stream.runDrain(llm.events(request)), Telemetry.Content, by === "reference")
      )
      const { all } = observed.span("chat")
      const parsed = (name: string): unknown => JSON.parse(all[name] as string)
      expect(parsed("gen_ai.system_instructions")).toEqual([{ type: "text", content: "Be brief" }])
      expect(parsed("gen_ai.input.messages")).toEqual([
        { role: "system", parts: [{ type: "text", content: "in the history" }] },
        {
          role: "user",
          parts: [
            { type: "text", content: "What is this?" },
            { type: "blob", modality: "image", mime_type: "image/png", content: "" },
            { type: "uri", modality: "document", mime_type: "application/pdf", uri: "https://example.com/a.pdf" }
          ]
        },
        { role: "assistant", parts: [{ type: "tool_call", id: "c1", name: "look", arguments: { at: 1 } }] },
        { role: "tool", parts: [{ type: "tool_call_response", id: "c1", response: "a cat" }] }
      ])
      expect(parsed("gen_ai.output.messages")).toEqual([
        {
          role: "assistant",
          parts: [
            { type: "reasoning", content: "Hmm" },
            { type: "text", content: "A cat" },
            { type: "tool_call", id: "c2", name: "look", arguments: { at: 2 } }
          ],
          finish_reason: "tool_call"
        }
      ])
    })
  )

  it.effect("turned off for one model, where it is on", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([events])), { content: false })
      yield* within(observed, Effect.provideService(Stream.runDrain(llm.events(request)), Telemetry.Content, true))
      expect(observed.span("chat").all).not.toHaveProperty("gen_ai.input.messages")
    })
  )

  it.effect("of an answer that failed: what came of it", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(service(arrays([[token("half")]], Effect.fail(llmError(busy)))), { content: true })
      yield* within(observed, Effect.exit(Stream.runDrain(llm.events({ prompt: "Hi" }))))
      expect(JSON.parse(observed.span("chat").all["gen_ai.output.messages"] as string)).toEqual([
        { role: "assistant", parts: [{ type: "text", content: "half" }], finish_reason: "error" }
      ])
    })
  )
})

describe("a model of one's own", () => {
  it.effect("is internal, and named by what its answer says", () =>
    Effect.gen(function* () {
      const observed = observing()
      const own = Scripted.layer(arrays([[started], [token("a")], [finished]]))
      yield* within(observed, Effect.provide(Llm.run("Hi"), Telemetry.layer(own, {})))
      const span = observed.span("chat")
      expect(span.kind).toBe("internal")
      expect(span.all).toMatchObject({
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.id": "answer-1",
        "gen_ai.response.model": "claude-1-20260101",
        "gen_ai.response.finish_reasons": ["end_turn"]
      })
      expect(observed.points("gen_ai.client.operation.duration").map(({ attributes }) => attributes)).toEqual([
        {
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": "anthropic",
          "gen_ai.response.model": "claude-1-20260101"
        }
      ])
    })
  )

  it.effect("is a client's of the provider that it is said to be of", () =>
    Effect.gen(function* () {
      const observed = observing()
      const options = { provider: "own", model: "m", server: { address: "host", port: 1 } }
      const own = Scripted.layer(arrays([[finished]])).pipe(Telemetry.layer(options))
      yield* within(observed, Effect.provide(Llm.run("Hi"), own))
      const span = observed.span("chat m")
      expect(span.kind).toBe("client")
      expect(span.all).toMatchObject({ "gen_ai.provider.name": "own", "server.address": "host", "server.port": 1 })
    })
  )

  it.effect("one stream, tapped", () =>
    Effect.gen(function* () {
      const observed = observing()
      yield* within(observed, Stream.runDrain(arrays([[finished]]).pipe(Telemetry.tap({ model: "m" }))))
      expect(observed.span("chat m").all["rill.usage.source"]).toBe("exact")
    })
  )
})

/** Goes on to the next at once: what a policy does, and tells. */
const retrying = (first: Llm.Llm["Service"], ...rest: ReadonlyArray<Llm.Llm["Service"]>): Llm.Llm["Service"] => {
  const [second, ...others] = rest
  if (second === undefined) return first
  return {
    events: (request) =>
      Stream.catch(first.events(request), (error: LlmError) => {
        const failed: LlmEvent = { _tag: "AttemptFailed", attempt: 1, error }
        return Stream.concat(Stream.make(failed), retrying(second, ...others).events(request))
      })
  }
}

describe("over a policy", () => {
  const overloaded = llmError(new RateLimited({ message: "slow down" }), { usage })
  const failing = Telemetry.attach(service(arrays([[token("a")]], Effect.fail(overloaded))), {
    provider: "openai",
    model: "first"
  })
  const good = Telemetry.attach(service(arrays([[started], [token("b")], [finished]])), {
    provider: "anthropic",
    model: "second"
  })
  const policy: Llm.Llm["Service"] = {
    events: (request) =>
      failing.events(request).pipe(
        Stream.catch((error: LlmError) =>
          Stream.concat(
            Stream.fromArray<LlmEvent>([
              { _tag: "AttemptFailed", attempt: 1, error },
              { _tag: "Restarted", error },
              { _tag: "Switched", from: "first", to: "second", error }
            ]),
            good.events(request)
          )
        )
      )
  }

  it.effect("is one span, with its attempts inside and what happened as its events", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(policy, {})
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      expect(
        observed.spans.map(({ ends, kind, name, outcome, within }) => [name, kind, within, ends, outcome])
      ).toEqual([
        ["chat", "internal", undefined, 1, "ok"],
        ["chat first", "client", "chat", 1, `LlmError: ${overloaded.message}`],
        ["chat second", "client", "chat", 1, "ok"]
      ])
      const span = observed.span("chat")
      const cause = { "error.type": "RateLimited", "rill.error.message": overloaded.message }
      expect(span.events.map(([name, , attributes]) => [name, attributes])).toEqual([
        ["rill.attempt_failed", { "rill.attempt": 1, ...cause }],
        ["rill.restarted", cause],
        ["rill.switched", { "rill.from": "first", "rill.to": "second", ...cause }]
      ])
      expect(span.all).toMatchObject({
        "rill.attempts": 2,
        "gen_ai.request.model": "first",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.model": "claude-1-20260101"
      })
    })
  )

  it.effect("tells what its attempts used once, however often it is told of them", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(Telemetry.attach(policy, { model: "whole" }), { model: "outermost" })
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      const told = observed.spans.filter(({ all }) => "gen_ai.usage.input_tokens" in all)
      expect(told.map(({ name }) => name)).toEqual(["chat first", "chat second"])
      expect(observed.points("gen_ai.client.token.usage").map(({ sum }) => sum)).toEqual([7, 3, 7, 3])
      expect(observed.points("gen_ai.client.operation.duration")).toHaveLength(2)
      expect(observed.points("rill.retries").map(({ attributes, count }) => [attributes, count])).toEqual([
        [{ "gen_ai.operation.name": "chat", "gen_ai.provider.name": "test", "error.type": "RateLimited" }, 2]
      ])
      expect(observed.points("rill.switches").map(({ count }) => count)).toEqual([1])
      expect(observed.span("chat outermost").events).toHaveLength(3)
      expect(observed.points("rill.active_streams").every(({ count }) => count === 0)).toBe(true)
    })
  )

  it.effect("counts retries and switches also where no span is over the policy", () =>
    Effect.gen(function* () {
      const busy = service(Stream.fail(llmError(new Overloaded({ message: "busy" }), { phase: "headers" })))
      const retried = Retry.attach(busy, { schedule: Schedule.recurs(2) })
      const count = Effect.fnUntraced(function* (isEnabled: boolean) {
        const observed = observing()
        const run = Stream.runDrain(Fallback.make([retried, good]).events({ prompt: "Hi" }))
        yield* within(observed, Effect.provideService(run, Telemetry.Enabled, isEnabled))
        return ["rill.retries", "rill.switches"].map((name) => observed.points(name).map(({ count }) => count))
      })
      expect(yield* count(true)).toEqual([[2], [1]])
      expect(yield* count(false)).toEqual([[], []])
    })
  )

  it.effect("knows its attempts across spans of others", () =>
    Effect.gen(function* () {
      const observed = observing()
      const between: Llm.Llm["Service"] = { events: (request) => Stream.withSpan(good.events(request), "between") }
      const llm = Telemetry.attach(between, { model: "whole" })
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      expect(observed.span("chat second").within).toBe("between")
      expect(observed.points("gen_ai.client.token.usage").map(({ sum }) => sum)).toEqual([7, 3])
    })
  )

  it.effect("an answer is one active stream", () =>
    Effect.gen(function* () {
      const observed = observing()
      const gate = yield* Deferred.make<void>()
      const inner = Telemetry.attach(service(Stream.fromEffect(Deferred.await(gate)).pipe(Stream.drain)), {})
      const llm = Telemetry.attach(inner, { model: "whole" })
      const fiber = yield* Effect.forkChild(within(observed, Stream.runDrain(llm.events({ prompt: "Hi" }))))
      yield* Effect.yieldNow
      const active = () => observed.points("rill.active_streams").reduce((sum, { count }) => sum + count, 0)
      expect(active()).toBe(1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(fiber)
      expect(active()).toBe(0)
    })
  )

  it.effect("nor does it where spans are turned off, and metrics are not", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(policy, {})
      yield* within(observed, Effect.withTracerEnabled(Stream.runDrain(llm.events({ prompt: "Hi" })), false))
      expect(observed.spans).toEqual([])
      expect(observed.points("gen_ai.client.token.usage").map(({ sum }) => sum)).toEqual([7, 3, 7, 3])
    })
  )

  it.effect("gives its attempts its choice of content", () =>
    Effect.gen(function* () {
      const observed = observing()
      const llm = Telemetry.attach(retrying(failing, good), { content: true })
      yield* within(observed, Stream.runDrain(llm.events({ prompt: "Hi" })))
      expect(observed.spans.map(({ all }) => "gen_ai.input.messages" in all)).toEqual([true, true, true])
    })
  )
})

describe("cost", () => {
  const prices = { "anthropic/claude-1": { input: 1_000_000, output: 10_000_000 }, m: { input: 2_000_000, output: 0 } }
  const spending = () => {
    const spent: Array<Telemetry.Spent> = []
    return { spent, onCost: (told: Telemetry.Spent) => Effect.sync(() => void spent.push(told)) }
  }
  const request = { prompt: "abcdefgh" }

  it.effect("by prices: on the span, as a metric, and told", () =>
    Effect.gen(function* () {
      const observed = observing()
      const { onCost, spent } = spending()
      const llm = Telemetry.attach(service(arrays([[started], [token("a")], [finished]])), { model: "m" })
      const run = Stream.runDrain(llm.events(request))
      yield* within(observed, Effect.provideService(run, Telemetry.CostOf, { prices, onCost }))
      const cost = 7 * 1 + 3 * 10
      expect(spent).toEqual([{ cost, usage, provider: "anthropic", model: "claude-1-20260101", request }])
      expect(observed.span("chat m").all["rill.cost"]).toBe(cost)
      expect(observed.points("rill.cost").map(({ sum }) => sum)).toEqual([cost])
    })
  )

  it.effect("of the model that was asked for, where the one that answered is not known", () =>
    Effect.gen(function* () {
      const { onCost, spent } = spending()
      const events = arrays([[{ ...started, model: "other" } as LlmEvent], [finished]])
      const llm = Telemetry.attach(service(events), { model: "m", prices, onCost })
      yield* Stream.runDrain(llm.events(request))
      expect(spent.map(({ cost }) => cost)).toEqual([14])
    })
  )

  it.effect("by a function of one's own; what has no price is not told", () =>
    Effect.gen(function* () {
      const observed = observing()
      const { onCost, spent } = spending()
      const asked: Array<unknown> = []
      const cost: Telemetry.Costs["cost"] = (used, who) => {
        asked.push(used, who)
        return undefined
      }
      const llm = Telemetry.attach(service(arrays([[started], [finished]])), { model: "m", prices, cost, onCost })
      yield* within(observed, Stream.runDrain(llm.events(request)))
      expect(asked).toEqual([
        usage,
        { provider: "anthropic", model: "claude-1-20260101" },
        usage,
        { provider: "anthropic", model: "m" }
      ])
      expect(spent).toEqual([])
      expect(observed.span("chat m").all).not.toHaveProperty("rill.cost")
      expect(observed.names()).not.toContain("rill.cost")
    })
  )

  it.effect("of a failure and of an interruption as well, and not of what was refused", () =>
    Effect.gen(function* () {
      const { onCost, spent } = spending()
      const options = { model: "m", prices, onCost }
      const ends = [
        Effect.fail(llmError(busy, { usage })),
        Effect.fail(llmError(busy, { phase: "mid-output" })),
        Effect.fail(llmError(busy, { phase: "headers" }))
      ]
      for (const end of ends) {
        const llm = Telemetry.attach(service(arrays([[token("abcd")]], end)), options)
        yield* Effect.exit(Stream.runDrain(llm.events(request)))
      }
      const llm = Telemetry.attach(service(arrays([[token("abcd")]], Effect.never)), options)
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events(request)))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      expect(spent.map(({ cost, usage }) => [cost, usage.source])).toEqual([
        [14, "exact"],
        [4, "estimated"],
        [4, "estimated"]
      ])
    })
  )

  it.effect("is told by the attempts, of each its own, by what is given over them", () =>
    Effect.gen(function* () {
      const observed = observing()
      const { onCost, spent } = spending()
      const failing = Telemetry.attach(service(arrays([[token("a")]], Effect.fail(llmError(busy, { usage })))), {})
      const good = Telemetry.attach(service(arrays([[finished]])), {})
      const llm = Telemetry.attach(retrying(failing, good), { cost: ({ inputTokens = 0 }) => inputTokens, onCost })
      yield* within(observed, Stream.runDrain(llm.events(request)))
      expect(spent.map(({ cost }) => cost)).toEqual([7, 7])
      expect(observed.points("rill.cost").map(({ sum }) => sum)).toEqual([14])
    })
  )

  it.effect("a function that throws is a defect, and the span has ended", () =>
    Effect.gen(function* () {
      const observed = observing()
      const cost = () => {
        throw new Error("no price")
      }
      const llm = Telemetry.attach(service(arrays([[token("a")], [finished]])), { cost })
      const exit = yield* within(observed, Effect.exit(Stream.runDrain(llm.events(request))))
      expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
      expect([observed.span("chat").ends, observed.span("chat").outcome]).toEqual([1, "ok"])
      expect(observed.points("rill.active_streams").map((point) => point.count)).toEqual([0])
    })
  )
})
