/**
 * Law 4: time is measured between tokens. What is no token, such as a keep-alive, is not told; a stall
 * is never taken for an end.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimClosed,
  claimSame,
  good,
  type Law,
  NotApplicable,
  outcome,
  pass,
  play,
  start,
  story,
  type Subject,
  turn,
  weather,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 4,
  title: "Deadlines mean tokens",
  checks: [
    {
      title: "keep-alives and empty deltas between tokens tell nothing",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story, weather]))
        const pings = yield* keepAlives(subject)
        const plain = yield* play(subject, good(subject, whole(answer)))
        const pinged = answer.frames.flatMap((frame) => [frame, ...pings])
        const run = yield* play(subject, good(subject, [...pinged, ...whole(answer).slice(answer.frames.length)]))
        yield* claimSame(run.events, plain.events, "an answer with keep-alives")
      })
    },
    {
      title: "keep-alives without end are no answer, and no end",
      run: Effect.fnUntraced(function* (subject) {
        const pings = yield* keepAlives(subject)
        const steps = Array.from({ length: 200 }, (_, i) => [
          FaultyWire.chunk(pings[i % pings.length]!),
          FaultyWire.pause("10 seconds")
        ])
        const run = yield* play(subject, good(subject, [], ...steps.flat(), FaultyWire.linger), "30 minutes")
        yield* claim(run.state !== "completed", () => "an answer of keep-alives alone is complete")
        const told = run.events.filter(({ _tag }) => _tag !== "Started")
        yield* claimSame(told, [], "what keep-alives tell")
      })
    },
    {
      title: "a stall is never an end: an answer that stops coming waits, or fails as DeadlineExceeded",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const stalls = [
          good(subject, answer.frames, FaultyWire.linger),
          good(subject, [], FaultyWire.linger),
          [FaultyWire.pause("1 day")]
        ]
        for (const exchange of stalls) {
          const { error, state } = yield* play(subject, exchange, "1 hour")
          yield* claim(
            state === "waiting" || error?.reason._tag === "DeadlineExceeded",
            () => `an answer that stalls for an hour is ${error?.reason._tag ?? state}`
          )
        }
      })
    },
    {
      title: "a stalled answer can be stopped, and its connection is closed",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const running = yield* start(subject, [good(subject, answer.frames, FaultyWire.linger)])
        yield* Fiber.interrupt(running.fiber)
        yield* claimClosed(running, "after it was stopped in a stall")
      })
    },
    {
      title: "what has come is told at once, not when more comes",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const frames = whole(answer)
        const slow = frames.flatMap((frame) => [FaultyWire.chunk(frame), FaultyWire.pause("10 seconds")])
        const running = yield* start(subject, [good(subject, [], ...slow)])
        const told: Array<number> = []
        for (let i = 0; i < answer.frames.length; i++) {
          told.push(running.events.filter(({ _tag }) => _tag === "TextDelta").length)
          yield* pass(running, "10 seconds")
        }
        // How many frames begin an answer, and close its parts, is the wire's affair.
        const steps = told.map((count, i) => count - (told[i - 1] ?? 0))
        yield* claimSame(told.at(-1), story.deltas.length, "the number of deltas told when all had come")
        yield* claim(Math.max(...steps) === 1, () => `with each frame came so many deltas: ${steps.join(", ")}`)
        yield* outcome(running)
      })
    },
    {
      title: "a slow answer is the same answer",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const plain = yield* play(subject, good(subject, whole(answer)))
        const slow = answer.frames.flatMap((frame) => [FaultyWire.pause("10 seconds"), FaultyWire.chunk(frame)])
        const end = whole(answer).slice(answer.frames.length).map(FaultyWire.chunk)
        const run = yield* play(subject, good(subject, [], ...slow, ...end), "10 minutes")
        yield* claimSame([run.state, run.events], ["completed", plain.events], "a slow answer")
      })
    },
    {
      title: "frames of a kind that does not exist yet are ignored",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const plain = yield* play(subject, good(subject, whole(answer)))
        const { unknown } = subject.dialect
        const frames = answer.frames.flatMap((frame) => [frame, unknown])
        const run = yield* play(subject, good(subject, [...frames, ...whole(answer).slice(answer.frames.length)]))
        yield* claimSame([run.state, run.events], ["completed", plain.events], "an answer with unknown frames")
      })
    }
  ]
}

const keepAlives = ({ dialect }: Subject): Effect.Effect<ReadonlyArray<string>, NotApplicable> =>
  dialect.keepAlives.length > 0
    ? Effect.succeed(dialect.keepAlives)
    : Effect.fail(new NotApplicable({ message: "this wire has no keep-alives" }))
