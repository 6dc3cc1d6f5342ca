/**
 * Law 7: however the bytes are cut, the events are the same.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { Part } from "../../Dialect.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  brief,
  type Check,
  claimSame,
  errorOf,
  good,
  type Law,
  NotApplicable,
  type Outcome,
  play,
  story,
  type Subject,
  thought,
  turn,
  weather,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 7,
  title: "Cuts do not matter",
  checks: [
    sameAs("in one chunk", (exchange) => [FaultyWire.cutEvery(exchange, Infinity)]),
    sameAs("one byte at a time", (exchange) => [FaultyWire.cutEvery(exchange, 1)]),
    sameAs(
      "cut at every byte, in two",
      (exchange, length) => Array.from({ length }, (_, position) => FaultyWire.cutAt(exchange, position)),
      brief
    ),
    sameAs("in pieces of 2, 3, 7 and 61 bytes", (exchange) =>
      [2, 3, 7, 61].map((size) => FaultyWire.cutEvery(exchange, size))
    ),
    sameAs("cut by twenty seeds", (exchange) =>
      Array.from({ length: 20 }, (_, seed) => FaultyWire.cutBySeed(exchange, seed))
    ),
    sameAs("with empty chunks between", (exchange) => [
      exchange.flatMap((step) => (step._tag === "Chunk" ? [FaultyWire.chunk(""), step, FaultyWire.chunk("")] : [step]))
    ]),
    {
      title: "an answer that fails is the same, and its error too, cut at every byte",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn(brief.slice(0, 1)))
        const exchange = good(subject, [...answer.frames, yield* errorOf(subject)])
        const plain = summary(yield* play(subject, exchange))
        for (let position = 0; position < lengthOf(exchange); position++) {
          const run = yield* play(subject, FaultyWire.cutAt(exchange, position))
          yield* claimSame(summary(run), plain, `an answer that fails, cut at ${position},`)
        }
      })
    },
    sameLines("lines that end with CR LF", /event-stream|ndjson/, (text) => text.replaceAll("\n", "\r\n")),
    // A line of NDJSON ends with LF: https://github.com/ndjson/ndjson-spec.
    sameLines("lines that end with CR", /event-stream/, (text) => text.replaceAll("\n", "\r")),
    sameLines("a byte order mark", /event-stream|ndjson/, (text) => `\ufeff${text}`)
  ]
}

function sameAs(
  how: string,
  cuts: (exchange: FaultyWire.Exchange, length: number) => ReadonlyArray<FaultyWire.Exchange>,
  parts: ReadonlyArray<Part> = [thought, story, weather]
): Check {
  return {
    title: `an answer ${how} gives the same events`,
    run: Effect.fnUntraced(function* (subject) {
      const exchange = yield* sample(subject, parts)
      const plain = summary(yield* play(subject, exchange))
      for (const [index, cut] of cuts(exchange, lengthOf(exchange)).entries()) {
        yield* claimSame(summary(yield* play(subject, cut)), plain, `an answer ${how} (${index})`)
      }
    })
  }
}

/** The same events with other line ends: a matter of wires that are made of lines. */
function sameLines(what: string, wires: RegExp, change: (text: string) => string): Check {
  return {
    title: `${what} ${what.startsWith("a ") ? "changes" : "change"} nothing`,
    run: Effect.fnUntraced(function* (subject) {
      if (!wires.test(subject.dialect.contentType)) {
        return yield* new NotApplicable({ message: `the lines of ${subject.dialect.contentType} have no other ends` })
      }
      const answer = whole(yield* answerOf(subject, turn([story]))).join("")
      // What an answer begins with may not matter; an error at its head does.
      const error = subject.dialect.error?.("made-up failure")
      for (const text of error === undefined ? [answer] : [answer, error]) {
        const plain = summary(yield* play(subject, good(subject, [text])))
        const changed = good(subject, [change(text)])
        for (const exchange of [changed, FaultyWire.cutEvery(changed, 1)]) {
          yield* claimSame(summary(yield* play(subject, exchange)), plain, `an answer with ${what}`)
        }
      }
    })
  }
}

/** An answer of as many of these parts as the wire can say. */
const sample = Effect.fnUntraced(function* ({ dialect }: Subject, parts: ReadonlyArray<Part>) {
  const speakable = parts.filter((part) => dialect.answer(turn([part])) !== undefined)
  return good({ dialect }, whole(yield* answerOf({ dialect }, turn(speakable))))
})

const lengthOf = (exchange: FaultyWire.Exchange): number =>
  exchange.reduce((length, step) => length + (step._tag === "Chunk" ? step.bytes.length : 0), 0)

const summary = ({ error, events, state }: Outcome) => ({ state, events, error: error?.message })
