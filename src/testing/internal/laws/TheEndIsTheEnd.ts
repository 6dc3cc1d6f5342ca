/**
 * Law 3: after the wire end the stream completes and the connection is released, even if the peer keeps
 * the body open.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimClosed,
  claimSame,
  good,
  type Law,
  play,
  story,
  turn,
  whole,
  withWireEnd
} from "../Trial.ts"

export const law: Law = {
  number: 3,
  title: "The end is the end",
  checks: [
    {
      title: "the wire end completes an answer at once, though the body stays open",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* withWireEnd(yield* answerOf(subject, turn([story])))
        const run = yield* play(subject, good(subject, whole(answer), FaultyWire.linger), "50 millis")
        yield* claimSame(run.state, "completed", "the answer, 50 ms after its end,")
        yield* claimClosed(run, "after its end")
      })
    },
    {
      title: "nothing after the wire end is told",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* withWireEnd(yield* answerOf(subject, turn([story])))
        const frames = [...whole(answer), ...answer.frames, subject.dialect.malformed]
        const together = yield* play(subject, good(subject, [frames.join("")]))
        const apart = yield* play(subject, good(subject, frames))
        for (const { error, state, text } of [together, apart]) {
          yield* claimSame([state, text], ["completed", story.deltas.join("")], error?.message ?? "the answer")
        }
      })
    },
    {
      title: "a connection that breaks after the wire end changes nothing",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* withWireEnd(yield* answerOf(subject, turn([story])))
        const { error, state } = yield* play(subject, good(subject, whole(answer), FaultyWire.reset()))
        yield* claimSame(state, "completed", error?.message ?? "the answer")
      })
    },
    {
      title: "a failure in the stream releases the connection, though the body stays open",
      run: Effect.fnUntraced(function* (subject) {
        const frames = [...(yield* answerOf(subject, turn([story]))).frames, subject.dialect.malformed]
        const run = yield* play(subject, good(subject, frames, FaultyWire.linger))
        yield* claimSame(run.state, "failed", "the answer")
        yield* claimClosed(run, "after a failure")
      })
    },
    {
      title: "a bad status fails within 5 s and releases the connection, though its body never ends",
      run: Effect.fnUntraced(function* (subject) {
        const run = yield* play(subject, [FaultyWire.status(500), FaultyWire.linger], "5 seconds")
        yield* claimSame(run.error?.reason._tag ?? run.state, "ProviderFailed", "the answer, 5 s after its head,")
        yield* claimClosed(run, "after a bad status")
      })
    },
    {
      title: "each connection is ended once",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        for (const end of [FaultyWire.eof, FaultyWire.linger, FaultyWire.reset()]) {
          const run = yield* play(subject, good(subject, whole(answer), end), "50 millis")
          const ends = (yield* run.wire.trace).filter(({ what }) => what !== "Read" && what !== "Answered")
          yield* claim(ends.length === 2, () => `of a connection came: ${ends.map(({ what }) => what).join(", ")}`)
        }
      })
    }
  ]
}
