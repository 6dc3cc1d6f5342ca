/**
 * Law 4: time is measured between tokens. What is no token, such as a keep-alive, is not told; a stall
 * is never taken for an end.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { DeadlineExceeded } from "../../../LlmError.ts"
import * as Deadlines from "../../../policy/Deadlines.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimClosed,
  claimSame,
  good,
  type Law,
  NotApplicable,
  type Outcome,
  outcome,
  pass,
  play,
  start,
  story,
  type Subject,
  turn,
  type Violation,
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
      title: "keep-alives without end are no answer, and set no deadline back",
      run: Effect.fnUntraced(function* (subject) {
        const pings = yield* keepAlives(subject)
        const answer = yield* answerOf(subject, turn([story]))
        const steps = Array.from({ length: 50 }, (_, i) => [
          FaultyWire.pause("1 second"),
          FaultyWire.chunk(pings[i % pings.length]!)
        ]).flat()
        const silent = yield* play(subject, good(subject, [], ...steps, FaultyWire.linger), "7 seconds", short)
        yield* claimExceeded(silent, "first-token", "an answer of keep-alives alone, after 7 s")
        const told = silent.events.filter(({ _tag }) => _tag !== "Started")
        yield* claimSame(told, [], "what keep-alives tell")
        const begun = good(subject, answer.frames, ...steps, FaultyWire.linger)
        yield* claimExceeded(
          yield* play(subject, begun, "3 seconds", short),
          "idle",
          "keep-alives after the text, for 3 s"
        )
      })
    },
    {
      title: "a stall is never an end: it fails as DeadlineExceeded, when the caller's deadline passes and not before",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const late = [FaultyWire.pause("4 seconds"), ...good(subject, [], FaultyWire.linger)]
        const stalls: ReadonlyArray<readonly [FaultyWire.Exchange, Duration.Input, DeadlineExceeded["which"], string]> =
          [
            [[FaultyWire.pause("1 day")], "5 seconds", "headers", "a request without a response"],
            [good(subject, [], FaultyWire.linger), "7 seconds", "first-token", "a response without a token"],
            [late, "7 seconds", "first-token", "a response that came late, and has no token"],
            [good(subject, answer.frames, FaultyWire.linger), "3 seconds", "idle", "an answer that stops coming"]
          ]
        for (const [exchange, duration, which, what] of stalls) {
          const before = Duration.subtract(Duration.fromInputUnsafe(duration), Duration.millis(1))
          const early = yield* play(subject, exchange, before, short)
          yield* claim(early.state === "waiting", () => `${what} is ${early.state} before its deadline`)
          yield* claimExceeded(yield* play(subject, exchange, duration, short), which, `${what}, at its deadline`)
        }
      })
    },
    {
      title: "the whole of an answer has a deadline where the caller sets one, however steadily it comes",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const slow = answer.frames.flatMap((frame) => [FaultyWire.chunk(frame), FaultyWire.pause("2 seconds")])
        const run = yield* play(
          subject,
          good(subject, [], ...slow, FaultyWire.linger),
          "5 seconds",
          Deadlines.within({ total: "5 seconds" })
        )
        yield* claimExceeded(run, "total", "an answer that takes longer than it may")
      })
    },
    {
      title: "the time that a consumer takes is its own",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const run = yield* play(subject, good(subject, whole(answer)), "1 hour", (events) =>
          short(events).pipe(Stream.mapEffect((event) => Effect.as(Effect.sleep("10 seconds"), event)))
        )
        yield* claimSame(run.state, "completed", "what becomes of an answer that is read slowly")
      })
    },
    {
      title: "deadlines need not be asked for: a stall fails within two minutes",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const run = yield* play(subject, good(subject, answer.frames, FaultyWire.linger), "2 minutes")
        yield* claimExceeded(run, "idle", "an answer that stops coming")
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

const short = Deadlines.within({ headers: "5 seconds", firstToken: "7 seconds", idle: "3 seconds" })

const claimExceeded = Effect.fnUntraced(function* (
  run: Outcome,
  which: DeadlineExceeded["which"],
  what: string
): Effect.fn.Return<void, Violation> {
  const reason = run.error?.reason
  const got = reason?._tag === "DeadlineExceeded" ? `DeadlineExceeded (${reason.which})` : (reason?._tag ?? run.state)
  yield* claimSame(got, `DeadlineExceeded (${which})`, `what becomes of ${what}`)
  yield* claimClosed(run, `after ${what}`)
})
