/**
 * The fault matrix: every fault at every frame of an answer, for every protocol, whole and in pieces.
 * The tables below are the expectation; nothing sleeps.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import type { LlmError, Phase, Reason } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import type { Dialect, Turn } from "effect-rill/testing/Dialect"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { afterAll } from "vitest"

const { chunk, linger, pause, reset, status } = FaultyWire

type Make = Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>
const apiKey = Redacted.make("sk-faults-0123456789")

const protocols: ReadonlyArray<readonly [string, Make, Dialect]> = [
  ["openai-chat", OpenAi.make({ model: "model-1", apiKey, api: "chat" }), OpenAiChat.dialect],
  ["openai-responses", OpenAi.make({ model: "model-1", apiKey, api: "responses" }), OpenAiResponses.dialect],
  ["anthropic-messages", Anthropic.make({ model: "model-1", apiKey }), AnthropicMessages.dialect],
  ["google-gemini", Google.make({ model: "model-1", apiKey }), GoogleGemini.dialect],
  ["ollama-chat", Ollama.make({ model: "model-1" }), OllamaChat.dialect]
]

const turns: ReadonlyArray<readonly [string, Turn]> = [
  [
    "text",
    {
      parts: [{ type: "text", deltas: ["Once", " upon 雨 ", "a 😀 time."] }],
      finish: "stop",
      usage: { inputTokens: 11, outputTokens: 7 }
    }
  ],
  [
    "reasoning, text and tools",
    {
      parts: [
        { type: "reasoning", deltas: ["Hmm", "."] },
        { type: "text", deltas: ["I ask."] },
        { type: "tool-call", id: "call_1", name: "weather", deltas: ['{"city":', '"Bern"}'] }
      ],
      finish: "tool-calls",
      usage: { inputTokens: 11, outputTokens: 7 }
    }
  ]
]

// -----------------------------------------------------------------------------
// faults in the stream
// -----------------------------------------------------------------------------

/** How far an answer has come when the fault happens. */
type Position = "before the last word" | "after the last word" | "after the end"

type Expected = Reason["_tag"] | "complete" | "complete after 1 s"

const faults: ReadonlyArray<{
  readonly name: string
  readonly steps: (dialect: Dialect) => ReadonlyArray<FaultyWire.Step>
  readonly expected: Readonly<Record<Position, Expected>>
}> = [
  {
    name: "the body ends",
    steps: () => [],
    expected: {
      "before the last word": "Truncated",
      "after the last word": "complete",
      "after the end": "complete"
    }
  },
  {
    name: "the connection breaks",
    steps: () => [reset()],
    expected: {
      "before the last word": "Disconnected",
      "after the last word": "Disconnected",
      "after the end": "complete"
    }
  },
  {
    name: "nothing more comes",
    steps: () => [linger],
    expected: {
      "before the last word": "DeadlineExceeded",
      "after the last word": "complete after 1 s",
      "after the end": "complete"
    }
  },
  {
    name: "the provider reports an error",
    steps: ({ error }) => [chunk(error!("made-up failure")), linger],
    expected: {
      "before the last word": "ProviderFailed",
      "after the last word": "ProviderFailed",
      "after the end": "complete"
    }
  },
  {
    name: "a frame is broken",
    steps: ({ malformed }) => [chunk(malformed), linger],
    expected: {
      "before the last word": "Malformed",
      "after the last word": "Malformed",
      "after the end": "complete"
    }
  },
  {
    name: "keep-alives come, then the body ends",
    steps: ({ keepAlives }) => keepAlives.flatMap((frame) => [pause("10 millis"), chunk(frame)]),
    expected: {
      "before the last word": "Truncated",
      "after the last word": "complete",
      "after the end": "complete"
    }
  },
  {
    name: "keep-alives come, and nothing else",
    steps: ({ keepAlives }) =>
      Array.from({ length: 175 }, (_, i) => [pause("700 millis"), chunk(keepAlives[i % keepAlives.length]!)]).flat(),
    expected: {
      "before the last word": "DeadlineExceeded",
      "after the last word": "complete after 1 s",
      "after the end": "complete"
    }
  }
]

interface Run {
  readonly events: ReadonlyArray<LlmEvent>
  readonly exit: Exit.Exit<void, LlmError> | undefined
  /** Milliseconds on the clock that went by before the end. */
  readonly took: number
  readonly open: number
}

let cells = 0

/** Runs an answer until it ends or two minutes have gone by: by then every deadline has passed. */
const run = Effect.fnUntraced(function* (make: Make, exchange: FaultyWire.Exchange): Effect.fn.Return<Run> {
  cells++
  const { client, wire } = yield* FaultyWire.make([exchange])
  const llm = yield* Effect.provideService(make, HttpClient.HttpClient, client)
  const events: Array<LlmEvent> = []
  const now = Effect.clockWith((clock) => clock.currentTimeMillis)
  const before = yield* now
  const fiber = yield* llm.events({ prompt: "Hi" }).pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.exit,
    Effect.flatMap((exit) => Effect.map(now, (at) => ({ exit, took: at - before }))),
    Effect.provideService(EventStream.Settling, Duration.zero),
    Effect.forkChild
  )
  // Everything that needs no time happens first: fibers take turns, until nothing moves.
  for (let still = 0, moved = 0; still < 10 && fiber.pollUnsafe() === undefined; still++) {
    yield* Effect.yieldNow
    const now = (yield* wire.trace).length
    if (now !== moved) still = 0
    moved = now
  }
  yield* TestClock.adjust("2 minutes")
  const ended = fiber.pollUnsafe()
  const { exit, took } = ended !== undefined && Exit.isSuccess(ended) ? ended.value : { exit: undefined, took: 120_000 }
  fiber.interruptUnsafe()
  yield* Effect.yieldNow
  return { events, exit, took, open: yield* wire.open }
})

const textOf = (events: ReadonlyArray<LlmEvent>) => LlmResponse.fromEvents(events).text

const check = (cell: string, got: Run, expected: Expected, sound: ReadonlyArray<LlmEvent>) => {
  const { events, exit, open, took } = got
  const error = exit !== undefined && Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  const reason = error?._tag === "Some" ? error.value.reason._tag : undefined
  const outcome = exit === undefined ? "nothing" : (reason ?? (took >= 1000 ? "complete after 1 s" : "complete"))
  expect(outcome, cell).toBe(expected)
  expect(open, `${cell}: open connections`).toBe(0)
  if (outcome.startsWith("complete")) {
    // Usage may not have come; the rest is all there.
    expect(events.slice(0, -1), cell).toEqual(sound.slice(0, -1))
    expect(events.at(-1), cell).toMatchObject({ _tag: "Finished" })
    return
  }
  expect(sound.slice(0, events.length), `${cell}: what came before`).toEqual(events)
  expect(
    events.filter(({ _tag }) => _tag === "ToolCalled" || _tag === "Finished"),
    cell
  ).toEqual([])
  if (error?._tag !== "Some") return
  const { emitted, phase, usage } = error.value
  expect(emitted, cell).toBe(textOf(events).length)
  const output: Phase = events.some(({ _tag }) => _tag !== "Started") ? "mid-output" : "before-output"
  expect(phase, cell).toBe(output)
  expect(usage, cell).toBeDefined()
}

describe.each(protocols)("%s", (_, make, dialect) => {
  const head = status(200, { "content-type": dialect.contentType })

  describe.each(turns)("an answer of %s", (_, turn) => {
    const answer = dialect.answer(turn)!
    const { frames, semanticEnd, usage, wireEnd } = answer
    const last = [semanticEnd, usage, wireEnd].filter((frame) => frame !== undefined)
    const all = [...frames, ...last]
    const position = (count: number): Position =>
      count === all.length && wireEnd !== undefined
        ? "after the end"
        : count > frames.length
          ? "after the last word"
          : "before the last word"

    it.effect.each(faults)("$name, after every frame", ({ expected, name, steps }) =>
      Effect.gen(function* () {
        const { events: sound } = yield* run(make, [head, ...all.map(chunk)])
        for (let count = 0; count <= all.length; count++) {
          const exchange = [head, ...all.slice(0, count).map(chunk), ...steps(dialect)]
          const cuts = [exchange, FaultyWire.cutEvery(exchange, 1), FaultyWire.cutBySeed(exchange, count)]
          for (const [index, cut] of cuts.entries()) {
            const cell = `${name} after frame ${count} of ${all.length}, cut ${index}`
            check(cell, yield* run(make, cut), expected[position(count)], sound)
          }
        }
      })
    )
  })

  // ---------------------------------------------------------------------------
  // faults before the stream
  // ---------------------------------------------------------------------------

  const statuses: ReadonlyArray<readonly [number, Reason["_tag"], retryable: boolean]> = [
    [400, "InvalidRequest", false],
    [401, "Authentication", false],
    [402, "QuotaExhausted", false],
    [403, "PermissionDenied", false],
    [404, "NotFound", false],
    [408, "ProviderFailed", true],
    [409, "ProviderFailed", true],
    [413, "ContextTooLong", false],
    [422, "InvalidRequest", false],
    [425, "InvalidRequest", false],
    [429, "RateLimited", true],
    [500, "ProviderFailed", true],
    [502, "Overloaded", true],
    [503, "Overloaded", true],
    [504, "ProviderFailed", true],
    [529, "Overloaded", true]
  ]

  const spellings: ReadonlyArray<readonly [Readonly<Record<string, string>>, milliseconds: number | undefined]> = [
    [{}, undefined],
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1500],
    [{ "retry-after": "Thu, 01 Jan 2099 00:00:10 GMT" }, Date.UTC(2099, 0, 1, 0, 0, 10)],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
    [{ "retry-after-ms": "250" }, 250],
    [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-1" }, undefined]
  ]

  /** How the body of a bad answer ends. */
  const endings: ReadonlyArray<readonly [string, ReadonlyArray<FaultyWire.Step>]> = [
    ["whole", []],
    ["held open", [linger]],
    ["broken off", [reset()]]
  ]

  it.effect.each(statuses)(
    "HTTP %i is %s, with every spelling of its delay and every end of its body",
    ([code, reason, retryable]) =>
      Effect.gen(function* () {
        for (const [ending, steps] of endings) {
          for (const [headers, milliseconds] of spellings) {
            const cell = `HTTP ${code}, ${JSON.stringify(headers)}, ${ending}`
            const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
            const body = chunk(dialect.failure({ message: "made-up failure" }))
            const { exit, open } = yield* run(make, [status(code, headers), body, ...steps])
            const error = exit === undefined ? undefined : Exit.findErrorOption(exit)
            if (error?._tag !== "Some") throw new Error(`${cell}: ${String(exit)}`)
            const { isRetryable, phase, reason: got, retryAfter } = error.value
            expect([got._tag, phase, isRetryable, open], cell).toEqual([reason, "headers", retryable, 0])
            const expected = milliseconds !== undefined && milliseconds > 1e9 ? milliseconds - started : milliseconds
            expect(retryAfter && Duration.toMillis(retryAfter), cell).toBe(expected)
          }
        }
      })
  )

  it.effect("no connection is Unreachable; one that never answers is out of time", () =>
    Effect.gen(function* () {
      for (const code of ["ECONNREFUSED", "ENOTFOUND", "ECONNRESET", "ETIMEDOUT"]) {
        const { exit } = yield* run(make, [reset(code)])
        const error = exit === undefined ? undefined : Exit.findErrorOption(exit)
        expect(error).toMatchObject({ value: { phase: "request", reason: { _tag: "Unreachable", code } } })
      }
      const { exit, open, took } = yield* run(make, [pause("1 day")])
      const error = exit === undefined ? undefined : Exit.findErrorOption(exit)
      expect(error).toMatchObject({ value: { phase: "request", reason: { which: "first-token" } } })
      expect([took, open]).toEqual([120_000, 0])
    })
  )
})

afterAll(() => console.log(`fault matrix: ${cells} runs`))
