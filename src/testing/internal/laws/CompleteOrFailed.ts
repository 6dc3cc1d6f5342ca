/**
 * Law 1: a stream succeeds only if the provider's own end came.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  brief,
  claim,
  claimClosed,
  claimSame,
  endOf,
  good,
  type Law,
  orNotApplicable,
  play,
  story,
  turn,
  weather,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 1,
  title: "Complete or failed",
  checks: [
    {
      title: "a whole answer succeeds, with its text as it was sent",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { error, state, text } = yield* play(subject, good(subject, whole(answer)))
        yield* claim(state === "completed", () => `a whole answer is ${state}: ${error?.message ?? "it goes on"}`)
        yield* claimSame(text, story.deltas.join(""), "the text")
      })
    },
    {
      title: "an answer is one Started, its deltas, and one Finished, which is the last",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { events } = yield* play(subject, good(subject, whole(answer)))
        yield* claimSame(
          events.map(({ _tag }) => _tag),
          ["Started", ...story.deltas.map(() => "TextDelta"), "Finished"],
          "the order of events"
        )
      })
    },
    ...(["stop", "length", "content-filter"] as const).map(
      (finish) =>
        ({
          title: `an answer that ends by ${finish} is complete, and says so`,
          run: Effect.fnUntraced(function* (subject) {
            const answer = yield* answerOf(subject, turn([story], { finish }))
            const { events, state } = yield* play(subject, good(subject, whole(answer)))
            yield* claim(state === "completed", () => `the answer is ${state}`)
            const last = events.at(-1)
            yield* claimSame(last?._tag === "Finished" ? last.reason : last?._tag, finish, "the finish reason")
          })
        }) satisfies Law["checks"][number]
    ),
    {
      title: "an answer without any text is complete, and empty",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([]))
        const { error, state, text } = yield* play(subject, good(subject, whole(answer)))
        yield* claimSame([state, text], ["completed", ""], `an answer of nothing (${error?.message ?? "no error"})`)
      })
    },
    {
      title: "a body that ends before the provider's last word, at any byte, is Truncated",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn(brief))
        const bytes = new TextEncoder().encode(answer.frames.join(""))
        for (let at = 0; at <= bytes.length; at++) {
          const { error, state } = yield* play(subject, good(subject, [bytes.subarray(0, at)]))
          yield* claimSame(error?.reason._tag ?? state, "Truncated", `an answer cut after ${at} bytes`)
        }
      })
    },
    {
      title: "a body that ends within the provider's last word is Truncated, or complete with a Finished",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn(brief))
        const start = answer.frames.join("")
        const end = endOf(answer).join("")
        for (let at = 0; at < end.length; at++) {
          const { error, events, state } = yield* play(subject, good(subject, [start + end.slice(0, at)]))
          const complete = state === "completed" && events.at(-1)?._tag === "Finished"
          yield* claim(
            complete || error?.reason._tag === "Truncated",
            () => `an answer cut ${at} characters into its end is ${error?.reason._tag ?? state}`
          )
        }
      })
    },
    {
      title: "no body at all is a failure",
      run: Effect.fnUntraced(function* (subject) {
        const { error, state } = yield* play(subject, good(subject, []))
        yield* claimSame([state, error?.phase], ["failed", "before-output"], "an empty body")
      })
    },
    {
      title: "the provider's last word, and the end of the body without the wire's, complete the answer",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const end = yield* orNotApplicable(answer.semanticEnd, "the last word is the wire's end")
        const { error, state, text } = yield* play(subject, good(subject, [...answer.frames, end]))
        yield* claimSame([state, text], ["completed", story.deltas.join("")], error?.message ?? "the answer")
      })
    },
    {
      title: "the provider's last word alone completes the answer within 1 s, though the body stays open",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const end = yield* orNotApplicable(answer.semanticEnd, "the last word is the wire's end")
        const exchange = good(subject, [...answer.frames, end], FaultyWire.linger)
        const run = yield* play(subject, exchange, "1 second")
        yield* claimSame(run.state, "completed", "the answer, 1 s after its last word,")
        yield* claimClosed(run, "after its end")
      })
    },
    {
      title: "usage that comes within 1 s of the last word is read",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const end = yield* orNotApplicable(answer.semanticEnd, "the last word is the wire's end")
        const usage = yield* orNotApplicable(answer.usage, "usage does not come after the last word")
        const exchange = good(
          subject,
          [...answer.frames, end],
          FaultyWire.pause("900 millis"),
          FaultyWire.chunk(usage),
          FaultyWire.linger
        )
        const { events, state } = yield* play(subject, exchange, "1 second")
        const last = events.at(-1)
        yield* claimSame(
          [state, last?._tag === "Finished" ? last.usage.outputTokens : undefined],
          ["completed", 7],
          "an answer whose usage comes 900 ms after its last word"
        )
      })
    },
    {
      title: "a tool call ends its turn with tool-calls",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([weather]))
        const { events, state } = yield* play(subject, good(subject, whole(answer)))
        const last = events.at(-1)
        yield* claimSame(
          [state, last?._tag === "Finished" ? last.reason : last?._tag],
          ["completed", "tool-calls"],
          "a turn with a tool call"
        )
      })
    }
  ]
}
