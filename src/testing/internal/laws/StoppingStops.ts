/**
 * Law 5: whoever stops closes the connection, and nothing is left.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimClosed,
  claimSame,
  connect,
  good,
  type Law,
  pass,
  start,
  story,
  turn,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 5,
  title: "Stopping stops",
  checks: [
    {
      title: "take(1) closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const running = yield* start(subject, [good(subject, answer.frames, FaultyWire.linger)], Stream.take(1))
        yield* claimSame(running.events.length, 1, "the number of events taken")
        yield* claimClosed(running, "after take(1)")
      })
    },
    {
      title: "an interruption in the middle closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const slow = answer.frames.flatMap((frame) => [FaultyWire.chunk(frame), FaultyWire.pause("1 second")])
        const running = yield* start(subject, [good(subject, [], ...slow)])
        yield* pass(running, "2500 millis")
        yield* Fiber.interrupt(running.fiber)
        yield* claimClosed(running, "after an interruption")
      })
    },
    {
      title: "an interruption before the head closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const running = yield* start(subject, [[FaultyWire.pause("1 minute"), ...good(subject, [])]])
        yield* claimSame((yield* running.wire.requests).length, 1, "the number of requests")
        yield* Fiber.interrupt(running.fiber)
        yield* claimClosed(running, "after an interruption before the head")
      })
    },
    {
      title: "an interruption while a bad status's body is read closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const running = yield* start(subject, [[FaultyWire.status(500), FaultyWire.linger]])
        yield* Fiber.interrupt(running.fiber)
        yield* claimClosed(running, "after an interruption")
      })
    },
    {
      title: "a consumer that fails closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const running = yield* start(subject, [good(subject, answer.frames, FaultyWire.linger)], (events) =>
          Stream.mapEffect(events, (event) =>
            event._tag === "TextDelta" ? Effect.fail("enough") : Effect.succeed(event)
          )
        )
        yield* claim(running.fiber.pollUnsafe() !== undefined, () => "the stream goes on after its consumer failed")
        yield* claimClosed(running, "after its consumer failed")
      })
    },
    {
      title: "break in a `for await` closes the connection",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { llm, wire } = yield* connect(subject, [good(subject, answer.frames, FaultyWire.linger)])
        yield* Effect.promise(async () => {
          for await (const _ of Stream.toAsyncIterable(llm.events({ prompt: "Hi" }))) break
        })
        yield* claimSame(yield* wire.open, 0, "the number of open connections after break")
      })
    },
    {
      title: "nothing is read after the consumer has stopped",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const many = Array.from({ length: 100 }, () => answer.frames).flat()
        const running = yield* start(subject, [good(subject, many, FaultyWire.linger)], Stream.take(1))
        const reads = (yield* running.wire.trace).filter(({ what }) => what === "Read").length
        yield* claim(reads <= 16, () => `${reads} chunks were read for one event`)
      })
    },
    {
      title: "a stream that is run again asks again, and ends both",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { llm, wire } = yield* connect(subject, () => good(subject, whole(answer)))
        const events = llm.events({ prompt: "Hi" })
        const first = yield* Effect.exit(Stream.runCollect(events))
        const second = yield* Effect.exit(Stream.runCollect(events))
        yield* claimSame(second, first, "the second run")
        yield* claimSame([(yield* wire.requests).length, yield* wire.open], [2, 0], "requests, and open connections,")
      })
    },
    {
      title: "of a hundred answers at once that are stopped, none leaves a connection",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { llm, wire } = yield* connect(subject, () => good(subject, answer.frames, FaultyWire.linger))
        const events = llm.events({ prompt: "Hi" })
        const all = Effect.forEach(Array.from({ length: 100 }), () => Stream.runDrain(events), {
          concurrency: "unbounded",
          discard: true
        })
        const fiber = yield* Effect.forkChild(all)
        yield* pass({ events: [], fiber, wire }, 0)
        yield* claimSame(yield* wire.open, 100, "the number of open connections")
        yield* Fiber.interrupt(fiber)
        yield* claimSame(yield* wire.open, 0, "the number of open connections after they were stopped")
      })
    }
  ]
}
