/**
 * What the checks of the contract are made of: a provider on a faulty wire, on a clock of its own.
 *
 * @internal
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Llm from "../../Llm.ts"
import { isLlmError, type LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { Answer, Dialect, Part, Turn } from "../Dialect.ts"
import * as FaultyWire from "../FaultyWire.ts"

/** @internal */
export interface Subject {
  readonly make: Effect.Effect<Llm.Llm["Service"], unknown, HttpClient.HttpClient>
  readonly dialect: Dialect
}

/** A provider that does not do what a law says. */
export class Violation extends Data.TaggedError("Violation")<{ readonly message: string }> {}

/** What a check is about cannot be said on this wire. */
export class NotApplicable extends Data.TaggedError("NotApplicable")<{ readonly message: string }> {}

/** @internal */
export type Verdict = Effect.Effect<void, Violation | NotApplicable>

/** @internal */
export interface Check {
  /** What holds. */
  readonly title: string
  readonly run: (subject: Subject) => Verdict
}

/** @internal */
export interface Law {
  readonly number: number
  readonly title: string
  readonly checks: ReadonlyArray<Check>
}

// -----------------------------------------------------------------------------
// claims
// -----------------------------------------------------------------------------

/** @internal */
export const claim = (holds: boolean, otherwise: () => string): Effect.Effect<void, Violation> =>
  holds ? Effect.void : Effect.fail(new Violation({ message: otherwise() }))

/** Plain data that reads the same. */
export const claimSame = (actual: unknown, expected: unknown, what: string): Effect.Effect<void, Violation> => {
  const [got, wanted] = [show(actual), show(expected)]
  return claim(got === wanted, () => `${what} ${differ(got, wanted)}`)
}

const show = (value: unknown): string => JSON.stringify(value) ?? "nothing"

/** The two from shortly before where they part. */
const differ = (got: string, wanted: string): string => {
  let at = 0
  while (at < got.length && got[at] === wanted[at]) at++
  const from = Math.max(0, at - 40)
  const excerpt = (text: string) => `${from > 0 ? "…" : ""}${text.slice(from, from + 160)}`
  return `should be ${excerpt(wanted)} and is ${excerpt(got)}`
}

// -----------------------------------------------------------------------------
// answers
// -----------------------------------------------------------------------------

/** A text whose characters are of one to four bytes, some made of several, and some escaped in JSON. */
export const story: Part = {
  type: "text",
  deltas: ["Once", " upon a time, ", "é 雨 😀 e\u0301 👩‍🚀", '\n"quoted" \\ and\ttabbed', "\u2028 the end."]
}

/** @internal */
export const thought: Part = { type: "reasoning", deltas: ["Let me ", "think: 🤔"] }

/** @internal */
export const weather: Part = {
  type: "tool-call",
  id: "call_1",
  name: "weather",
  deltas: ["{", '"city":"Zür', 'ich \\"ZH\\""', ',"days":3', "}"]
}

/** A few characters of the same kinds, and a call: for checks that run an answer once for each of its bytes. */
export const brief: ReadonlyArray<Part> = [
  { type: "text", deltas: ["é", ' 😀"\n'] },
  { type: "tool-call", id: "call_1", name: "go", deltas: ['{"to":', '"雨"}'] }
]

/** @internal */
export const turn = (parts: ReadonlyArray<Part>, more: Partial<Turn> = {}): Turn => ({
  parts,
  finish: parts.some((part) => part.type === "tool-call") ? "tool-calls" : "stop",
  usage: { inputTokens: 11, outputTokens: 7 },
  ...more
})

/** Everything that an answer sends. */
export const whole = (answer: Answer): ReadonlyArray<string> => [...answer.frames, ...endOf(answer)]

/** What an answer sends from the provider's last word on. */
export const endOf = ({ semanticEnd, usage, wireEnd }: Answer): ReadonlyArray<string> =>
  [semanticEnd, usage, wireEnd].filter((frame) => frame !== undefined)

/** The frame that ends the stream, where there is one. */
export const wireEndOf = ({ wireEnd }: Answer): ReadonlyArray<string> => (wireEnd === undefined ? [] : [wireEnd])

/** An answer with a wire end. */
export const withWireEnd = (answer: Answer): Effect.Effect<Answer, NotApplicable> =>
  Effect.as(orNotApplicable(answer.wireEnd, "this wire has no end but that of the body"), answer)

/** The answer of a turn, unless the wire has no way to say it. */
export const answerOf = ({ dialect }: Pick<Subject, "dialect">, turn: Turn): Effect.Effect<Answer, NotApplicable> => {
  const end = turn.finish === "length" || turn.finish === "content-filter" ? ` that ends by ${turn.finish}` : ""
  const parts = [...new Set(turn.parts.map(({ type }) => type))].join(" and ")
  return orNotApplicable(dialect.answer(turn), `this wire has no ${parts}${end}`)
}

/** @internal */
export const orNotApplicable = <A>(value: A | undefined, message: string): Effect.Effect<A, NotApplicable> =>
  value === undefined ? Effect.fail(new NotApplicable({ message })) : Effect.succeed(value)

/** An error inside the stream, where the wire has one. */
export const errorOf = ({ dialect }: Subject): Effect.Effect<string, NotApplicable> =>
  orNotApplicable(dialect.error?.("made-up failure"), "this wire has no errors inside a stream")

/** Frames, each in a chunk, under a good head; then the end of the body, unless steps say otherwise. */
export const good = (
  { dialect }: Pick<Subject, "dialect">,
  frames: ReadonlyArray<string | Uint8Array>,
  ...then: ReadonlyArray<FaultyWire.Step>
): FaultyWire.Exchange => [
  FaultyWire.status(200, { "content-type": dialect.contentType }),
  ...frames.map(FaultyWire.chunk),
  ...then
]

// -----------------------------------------------------------------------------
// runs
// -----------------------------------------------------------------------------

/** A provider's answer that is under way. */
export interface Running {
  readonly events: ReadonlyArray<LlmEvent>
  readonly fiber: Fiber.Fiber<void, unknown>
  readonly wire: FaultyWire.FaultyWire["Service"]
}

/** What became of an answer. */
export interface Outcome extends Running {
  readonly state: "completed" | "failed" | "waiting"
  readonly error: LlmError | undefined
  readonly text: string
}

type Events<E> = Stream.Stream<LlmEvent, E>

/** The service on a wire. */
export const connect = Effect.fnUntraced(function* (subject: Subject, script: FaultyWire.Script) {
  const { client, wire } = yield* FaultyWire.make(script)
  const llm = yield* subject.make.pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Effect.mapError((error) => new Violation({ message: `make failed: ${String(error)}` }))
  )
  return { llm, wire }
})

/** Begins an answer, and lets it run as far as it can without any time going by. */
export const start = Effect.fnUntraced(function* (
  subject: Subject,
  script: FaultyWire.Script,
  consume: (events: Events<LlmError>) => Events<unknown> = identity
) {
  const { llm, wire } = yield* connect(subject, script)
  const events: Array<LlmEvent> = []
  const fiber = yield* consume(llm.events({ prompt: "Tell me a story" })).pipe(
    Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
    Effect.forkChild
  )
  const running: Running = { events, fiber, wire }
  yield* rest(running)
  return running
})

/** Begins an answer and lets a time go by, on the test's clock. */
export const play = Effect.fnUntraced(function* (
  subject: Subject,
  exchange: FaultyWire.Exchange,
  wait: Duration.Input = 0,
  consume: (events: Events<LlmError>) => Events<unknown> = identity
) {
  const running = yield* start(subject, [exchange], consume)
  if (Duration.toMillis(Duration.fromInputUnsafe(wait)) > 0) yield* pass(running, wait)
  return yield* outcome(running)
})

/** Lets time go by, on the test's clock, and what that wakes run. */
export const pass = (running: Running, time: Duration.Input) => Effect.andThen(TestClock.adjust(time), rest(running))

/** What has become of an answer by now. One that is still under way is stopped. */
export const outcome = Effect.fnUntraced(function* (running: Running): Effect.fn.Return<Outcome, Violation> {
  const { events, fiber } = running
  const exit = fiber.pollUnsafe()
  if (exit === undefined) yield* Fiber.interrupt(fiber)
  const text = events.map((event) => (event._tag === "TextDelta" ? event.text : "")).join("")
  const state = exit === undefined ? "waiting" : Exit.isSuccess(exit) ? "completed" : "failed"
  const error = exit !== undefined && Exit.isFailure(exit) ? Exit.findErrorOption(exit) : undefined
  const value = error?._tag === "Some" ? error.value : undefined
  if (state === "failed" && !isLlmError(value)) {
    return yield* new Violation({ message: `the stream failed with something that is no LlmError: ${String(exit)}` })
  }
  return { ...running, state, text, error: isLlmError(value) ? value : undefined }
})

/** Whether every connection was ended by one side or the other. */
export const claimClosed = ({ wire }: Running, when: string): Effect.Effect<void, Violation> =>
  Effect.flatMap(wire.open, (open) =>
    claim(open === 0, () => `${when}, ${open === 1 ? "the connection was" : `${open} connections were`} not closed`)
  )

/**
 * Lets everything run that needs no time, until nothing moves any more: fibers take turns, and a provider
 * may wait for promises of its own, which take turns of the event loop. How many of those are given to
 * one that does not move says nothing of time.
 */
const rest = ({ events, fiber, wire }: Running): Effect.Effect<void> => {
  let still = 0
  let moved = 0
  const look = Effect.map(wire.trace, (trace) => {
    const now = trace.length + events.length
    still = now === moved ? still + 1 : 0
    moved = now
  })
  return Effect.whileLoop({
    while: () => still < 60 && fiber.pollUnsafe() === undefined,
    body: () => Effect.andThen(still < 40 ? Effect.yieldNow : turnOfTheLoop, look),
    step: () => {}
  })
}

const turnOfTheLoop = Effect.callback<void>((resume) => {
  setTimeout(() => resume(Effect.void), 0)
})
