/** What goes wrong with answers, for every protocol, and a runner that writes down what came of it and when. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Llm from "effect-rill/Llm"
import type { LlmError, Reason } from "effect-rill/LlmError"
import type { LlmEvent, Of } from "effect-rill/LlmEvent"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import type { Answer, Dialect, Turn } from "effect-rill/testing/Dialect"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"

const { chunk, linger, pause, reset, status } = FaultyWire

// -----------------------------------------------------------------------------
// who answers, and what
// -----------------------------------------------------------------------------

export interface Protocol {
  readonly name: string
  readonly make: Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>
  readonly dialect: Dialect
}

const apiKey = Redacted.make("sk-faults-0123456789")
const model = "model-1"

export const protocols: ReadonlyArray<Protocol> = [
  { name: "openai-chat", make: OpenAi.make({ model, apiKey, api: "chat" }), dialect: OpenAiChat.dialect },
  {
    name: "openai-responses",
    make: OpenAi.make({ model, apiKey, api: "responses" }),
    dialect: OpenAiResponses.dialect
  },
  { name: "anthropic-messages", make: Anthropic.make({ model, apiKey }), dialect: AnthropicMessages.dialect },
  { name: "google-gemini", make: Google.make({ model, apiKey }), dialect: GoogleGemini.dialect },
  { name: "ollama-chat", make: Ollama.make({ model }), dialect: OllamaChat.dialect }
]

/** The one after it in the list: who is asked in its place. */
export const nextOf = (protocol: Protocol): Protocol => protocols[(protocols.indexOf(protocol) + 1) % protocols.length]!

export const turns: ReadonlyArray<readonly [string, Turn]> = [
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

/** All frames of an answer. */
export const framesOf = ({ frames, semanticEnd, usage, wireEnd }: Answer): ReadonlyArray<string> => [
  ...frames,
  ...[semanticEnd, usage, wireEnd].filter((frame) => frame !== undefined)
]

/** Frames, each in a chunk, under a good head; then what happens. */
export const answering = (
  { contentType }: Dialect,
  frames: ReadonlyArray<string>,
  ...then: ReadonlyArray<FaultyWire.Step>
): FaultyWire.Exchange => [status(200, { "content-type": contentType }), ...frames.map(chunk), ...then]

/** A bad status, with a body that says so. */
export const refusing = (
  { failure }: Dialect,
  code: number,
  headers: Readonly<Record<string, string>>,
  ...then: ReadonlyArray<FaultyWire.Step>
): FaultyWire.Exchange => [status(code, headers), chunk(failure({ message: "made-up failure" })), ...then]

/** How far an answer has come when the fault happens. */
export type Position = "before the last word" | "after the last word" | "after the end"

export const positionOf = ({ frames, wireEnd }: Answer, count: number, all: number): Position =>
  count === all && wireEnd !== undefined
    ? "after the end"
    : count > frames.length
      ? "after the last word"
      : "before the last word"

// -----------------------------------------------------------------------------
// what goes wrong
// -----------------------------------------------------------------------------

export type Expected = Reason["_tag"] | "complete" | "complete after 1 s"

export interface Fault {
  readonly name: string
  readonly steps: (dialect: Dialect) => ReadonlyArray<FaultyWire.Step>
  /** What becomes of an answer without any policy. */
  readonly expected: Readonly<Record<Position, Expected>>
}

const cycled = <A>(all: ReadonlyArray<A>, count: number): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => all[i % all.length]!)

export const faults: ReadonlyArray<Fault> = [
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
    steps: ({ keepAlives }) => cycled(keepAlives, 4).flatMap((frame) => [pause("10 millis"), chunk(frame)]),
    expected: {
      "before the last word": "Truncated",
      "after the last word": "complete",
      "after the end": "complete"
    }
  },
  {
    name: "keep-alives come, and nothing else",
    // Some within the grace after the last word, and then until every deadline has passed.
    steps: ({ keepAlives }) =>
      cycled(keepAlives, 20).flatMap((frame, i) => [pause(i < 4 ? "300 millis" : "9 seconds"), chunk(frame)]),
    expected: {
      "before the last word": "DeadlineExceeded",
      "after the last word": "complete after 1 s",
      "after the end": "complete"
    }
  }
]

// -----------------------------------------------------------------------------
// what comes of it
// -----------------------------------------------------------------------------

export interface Run {
  readonly events: ReadonlyArray<LlmEvent>
  /** Nothing where it has not ended. */
  readonly exit: Exit.Exit<void, LlmError> | undefined
  readonly error: LlmError | undefined
  /** Milliseconds on the clock that went by before the end. */
  readonly took: number
  /** Connections that were left. */
  readonly open: number
  /** Those that were open when a policy told of a failure, each time. */
  readonly openWhenTold: ReadonlyArray<number>
  readonly requests: ReadonlyArray<FaultyWire.Request>
  /**
   * What happened, in its order: each request after the first (`asked`), what a policy tells, and the end.
   * `+500` is how many milliseconds after what is before it. `Restarted, Switched` tell of one failure.
   */
  readonly timeline: string
}

/** Delays without jitter. */
const middle: typeof Random.Random.Service = { nextIntUnsafe: () => 0, nextDoubleUnsafe: () => 0.5 }

type PolicyEvent = Of<"AttemptFailed" | "Restarted" | "Switched">

export const isPolicys = (event: LlmEvent): event is PolicyEvent =>
  event._tag === "AttemptFailed" || event._tag === "Restarted" || event._tag === "Switched"

class Timeline {
  private readonly entries: Array<string> = []
  private last: number
  private lastError: LlmError | undefined

  constructor(startedAt: number) {
    this.last = startedAt
  }

  add(at: number, what: string): void {
    this.entries.push(at > this.last ? `+${at - this.last} ${what}` : what)
    this.last = at
  }

  event(at: number, event: PolicyEvent): void {
    const { error } = event
    this.add(at, error === this.lastError ? event._tag : `${error.reason._tag} ${event._tag}`)
    this.lastError = error
  }

  toString(): string {
    return this.entries.join(", ")
  }
}

/** All runs so far. */
export const counted = { runs: 0 }

/**
 * Runs an answer on a clock of its own, until it ends or ten minutes have gone by, when it is interrupted: by
 * then every deadline of three attempts has passed.
 */
export const run = (
  make: Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>,
  script: (request: FaultyWire.Request) => FaultyWire.Exchange
): Effect.Effect<Run> =>
  Effect.gen(function* () {
    counted.runs++
    const clock = yield* Clock.Clock
    const startedAt = clock.currentTimeMillisUnsafe()
    const timeline = new Timeline(startedAt)
    const { client, wire } = yield* FaultyWire.make((request) => {
      if (request.index > 0) timeline.add(clock.currentTimeMillisUnsafe(), "asked")
      return script(request)
    })
    const llm = yield* Effect.provideService(make, HttpClient.HttpClient, client)
    const events: Array<LlmEvent> = []
    const openWhenTold: Array<number> = []
    const fiber = yield* llm.events({ prompt: "Hi" }).pipe(
      Stream.runForEach((event) =>
        Effect.map(wire.open, (open) => {
          events.push(event)
          if (!isPolicys(event)) return
          openWhenTold.push(open)
          timeline.event(clock.currentTimeMillisUnsafe(), event)
        })
      ),
      Effect.exit,
      Effect.map((exit) => ({ exit, at: clock.currentTimeMillisUnsafe() })),
      Effect.provideService(EventStream.Settling, Duration.zero),
      Effect.provideService(Random.Random, middle),
      Effect.forkChild
    )
    // Everything that needs no time happens first: fibers take turns, until nothing moves.
    for (let still = 0, moved = 0; still < 10 && fiber.pollUnsafe() === undefined; still++) {
      yield* Effect.yieldNow
      const now = (yield* wire.trace).length + events.length
      if (now !== moved) still = 0
      moved = now
    }
    yield* TestClock.adjust("10 minutes")
    const ended = fiber.pollUnsafe()
    const { at, exit } =
      ended !== undefined && Exit.isSuccess(ended)
        ? ended.value
        : { exit: undefined, at: clock.currentTimeMillisUnsafe() }
    yield* Fiber.interrupt(fiber)
    const found = exit === undefined ? undefined : Exit.findErrorOption(exit)
    const error = found?._tag === "Some" ? found.value : undefined
    timeline.add(
      at,
      exit === undefined ? "nothing" : Exit.isSuccess(exit) ? "whole" : (error?.reason._tag ?? String(exit))
    )
    return {
      events,
      exit,
      error,
      took: at - startedAt,
      open: yield* wire.open,
      openWhenTold,
      requests: yield* wire.requests,
      timeline: timeline.toString()
    }
  }).pipe(Effect.provide(TestClock.layer()))
