/**
 * Law 9: a provider leaves trying again to policies, and tells them what they need: whether it can help,
 * how long to wait, and what had been delivered.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FaultyWire from "../../FaultyWire.ts"
import { answerOf, type Check, claimSame, errorOf, good, type Law, play, story, type Subject, turn } from "../Trial.ts"

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
    }
  ]
}

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
