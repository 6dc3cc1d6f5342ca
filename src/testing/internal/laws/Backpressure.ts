/**
 * Law 6: nothing is read that was not asked for.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimSame,
  connect,
  good,
  type Law,
  outcome,
  pass,
  type Running,
  start,
  turn,
  whole
} from "../Trial.ts"

/** A few buffers, in chunks: what a stream may read ahead of its consumer. */
const ahead = 16

const long = turn([{ type: "text", deltas: Array.from({ length: 2000 }, (_, i) => `word ${i} `) }])

export const law: Law = {
  number: 6,
  title: "Backpressure everywhere",
  checks: [
    {
      title: "nothing is sent before a stream is run",
      run: Effect.fnUntraced(function* (subject) {
        const { llm, wire } = yield* connect(subject, () => good(subject, []))
        llm.events({ prompt: "Hi" }).pipe(Stream.map((event) => event._tag))
        yield* claimSame((yield* wire.requests).length, 0, "the number of requests")
      })
    },
    {
      title: "a consumer that pauses stops the reading",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, long)
        const running = yield* start(
          subject,
          [good(subject, whole(answer))],
          Stream.tap((event) => (event._tag === "TextDelta" ? Effect.never : Effect.void))
        )
        yield* pass(running, "1 minute")
        yield* claimAhead(running, 1)
        yield* outcome(running)
      })
    },
    {
      title: "a slow consumer is read for at its own pace",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, long)
        const running = yield* start(
          subject,
          [good(subject, whole(answer))],
          Stream.tap(() => Effect.sleep("1 second"))
        )
        for (let seconds = 10; seconds <= 50; seconds += 10) {
          yield* pass(running, "10 seconds")
          yield* claimAhead(running, seconds)
        }
        yield* outcome(running)
      })
    },
    {
      title: "an answer longer than any buffer comes whole to a consumer that keeps pausing",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, long)
        const running = yield* start(
          subject,
          [good(subject, [whole(answer).join("")])].map((exchange) => FaultyWire.cutEvery(exchange, 4096)),
          Stream.tap(() => Effect.sleep("1 millis"))
        )
        yield* pass(running, "5 seconds")
        const { state, text } = yield* outcome(running)
        yield* claimSame(state, "completed", "the answer")
        const expected = long.parts.flatMap((part) => part.deltas).join("")
        yield* claim(text === expected, () => `${text.length} of ${expected.length} characters came`)
      })
    }
  ]
}

const claimAhead = Effect.fnUntraced(function* ({ wire }: Running, consumed: number) {
  const reads = (yield* wire.trace).filter(({ what }) => what === "Read").length
  yield* claim(
    reads <= consumed + ahead,
    () => `${reads} chunks of an event each were read for a consumer that took ${consumed} events`
  )
})
