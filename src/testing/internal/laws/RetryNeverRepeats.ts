/**
 * Law 9: a provider leaves trying again to policies, and tells them what they need: whether it can help,
 * how long to wait, and what had been delivered. Under a retry, its answer is told once.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as LlmResponse from "../../../LlmResponse.ts"
import * as Retry from "../../../policy/Retry.ts"
import type { Answer } from "../../Dialect.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  type Check,
  claim,
  claimClosed,
  claimSame,
  errorOf,
  good,
  type Law,
  outcome,
  pass,
  play,
  type Running,
  start,
  story,
  type Subject,
  turn,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 9,
  title: "Retry never repeats",
  checks: [
    {
      title: "a request is sent once, however it fails",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const failures = [
          failing(subject, 429, { "retry-after": "1" }),
          failing(subject, 503),
          [FaultyWire.reset("ECONNREFUSED")],
          good(subject, [], FaultyWire.reset()),
          good(subject, answer.frames, FaultyWire.reset())
        ]
        for (const exchange of failures) {
          const { wire } = yield* play(subject, exchange, "1 hour")
          yield* claimSame((yield* wire.requests).length, 1, "the number of requests")
        }
      })
    },
    delay("in seconds", { "retry-after": "2" }, 2000),
    delay("as an HTTP date", { "retry-after": "Thu, 01 Jan 1970 00:00:03 GMT" }, 3000),
    delay("in retry-after-ms, which wins", { "retry-after": "9", "retry-after-ms": "1500" }, 1500),
    delay("in a spelling that means nothing", { "retry-after": "soon" }, undefined),
    ...[
      { status: 400, retryable: false },
      { status: 401, retryable: false },
      { status: 404, retryable: false },
      { status: 429, retryable: true },
      { status: 500, retryable: true },
      { status: 503, retryable: true }
    ].map(({ retryable, status }): Check => ({
      title: `HTTP ${status} is ${retryable ? "" : "not "}worth another try`,
      run: Effect.fnUntraced(function* (subject) {
        const { error } = yield* play(subject, failing(subject, status))
        yield* claimSame(error?.isRetryable, retryable, "isRetryable")
      })
    })),
    {
      title: "a broken connection and a truncated answer are worth another try",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([story]))
        for (const end of [FaultyWire.reset(), FaultyWire.eof]) {
          const { error } = yield* play(subject, good(subject, frames, end))
          yield* claimSame(error?.isRetryable, true, `isRetryable of ${error?.reason._tag}`)
        }
      })
    },
    {
      title: "an error says how many characters had been delivered before it",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([story]))
        for (let count = 0; count <= frames.length; count++) {
          const { error, text } = yield* play(
            subject,
            good(subject, [...frames.slice(0, count), yield* errorOf(subject)])
          )
          yield* claimSame(
            [error?.emitted, error?.phase],
            [text.length, text === "" ? "before-output" : "mid-output"],
            `an error after ${count} frames`
          )
        }
      })
    },
    {
      title: "a retry asks again after the delay that was asked for, and tells the answer once",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const refused = failing(subject, 429, { "retry-after": "2" })
        const running = yield* start(retried(subject), [refused, good(subject, whole(answer))])
        yield* pass(running, "1999 millis")
        yield* claimSame((yield* running.wire.requests).length, 1, "the number of requests before the delay is over")
        yield* pass(running, "1 millis")
        const { events, state, text } = yield* outcome(running)
        yield* claimSame(state, "completed", "the answer, when the delay is over,")
        yield* claimSame(events[0]?._tag, "AttemptFailed", "what is told first")
        yield* claimSame(text, told, "the text")
        yield* claimClosed(running, "after a retry")
      })
    },
    {
      title: "after the first output a retry fails, unless told otherwise",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        for (const { frames, text } of yield* cuts(subject, answer)) {
          const exchanges = [good(subject, frames, FaultyWire.reset()), good(subject, whole(answer))]
          const running = yield* start(retried(subject), exchanges)
          yield* pass(running, "1 minute")
          const got = yield* outcome(running)
          yield* claimSame(
            [got.state, got.text, (yield* running.wire.requests).length],
            ["failed", text, 1],
            `the outcome, the text and the requests of an answer that breaks off after ${frames.length} frames`
          )
        }
      })
    },
    {
      title: "a retry that restarts comes to the answer once, wherever the first was cut",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        for (const { frames } of yield* cuts(subject, answer)) {
          const exchanges = [good(subject, frames, FaultyWire.reset()), good(subject, whole(answer))]
          const running = yield* start(retried(subject, "restart"), exchanges)
          yield* claimComesTo(running, `restarted after ${frames.length} frames`)
        }
      })
    },
    {
      title: "a retry that goes on shows the model its text, and comes to the answer once",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        for (const { frames, text } of yield* cuts(subject, answer)) {
          // What is missing, as a model says that goes on, and all of it, as one does that begins again.
          for (const rest of [told.slice(text.length), told]) {
            const going = yield* answerOf(subject, turn([{ type: "text", deltas: rest === "" ? [] : [rest] }]))
            const exchanges = [good(subject, frames, FaultyWire.reset()), good(subject, whole(going))]
            const running = yield* start(retried(subject, "continue"), exchanges)
            yield* claimComesTo(running, `gone on with after ${frames.length} frames`)
            const asked = (yield* running.wire.requests)[1]?.body ?? ""
            yield* claim(says(asked, text.trim()), () => `the second request does not have the text so far in it`)
          }
        }
      })
    }
  ]
}

const told = story.deltas.join("")

/** Under a retry, which waits for nothing but what the provider asks for. */
const retried = (subject: Subject, afterOutput?: Retry.AfterOutput): Subject => ({
  ...subject,
  make: Effect.map(subject.make, Retry.attach({ schedule: Schedule.recurs(1), afterOutput }))
})

/** The beginnings of an answer of which some text has come, and that text. */
const cuts = Effect.fnUntraced(function* (subject: Subject, { frames }: Answer) {
  const found: Array<{ readonly frames: ReadonlyArray<string>; readonly text: string }> = []
  for (let count = 1; count <= frames.length; count++) {
    const begun = frames.slice(0, count)
    const { text } = yield* play(subject, good(subject, begun, FaultyWire.reset()))
    if (text !== "") found.push({ frames: begun, text })
  }
  yield* claim(found.length > 0, () => "no text was told of answers that break off")
  return found
})

const claimComesTo = Effect.fnUntraced(function* (running: Running, how: string) {
  const { error, events, state } = yield* outcome(running)
  const { text } = LlmResponse.fromEvents(events)
  yield* claimSame([state, text], ["completed", told], `an answer that is ${how}${error ? ` (${error.message})` : ""}`)
  yield* claimClosed(running, `after an answer that is ${how}`)
})

/** Whether a body has this text in one of its strings. */
const says = (body: string, text: string): boolean => body.includes(JSON.stringify(text).slice(1, -1))

const failing = (
  { dialect }: Subject,
  status: number,
  headers: Readonly<Record<string, string>> = {}
): FaultyWire.Exchange => [
  FaultyWire.status(status, headers),
  FaultyWire.chunk(dialect.failure({ message: "made-up failure" }))
]

function delay(how: string, headers: Readonly<Record<string, string>>, expected: number | undefined): Check {
  return {
    title: `a delay ${how} is ${expected === undefined ? "none" : "read"}`,
    run: Effect.fnUntraced(function* (subject) {
      const { error } = yield* play(subject, failing(subject, 429, headers))
      const { retryAfter } = error ?? {}
      yield* claimSame(retryAfter && Duration.toMillis(retryAfter), expected, "retryAfter, in milliseconds,")
    })
  }
}
