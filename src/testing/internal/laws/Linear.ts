/**
 * Law 10: work grows with the bytes received. It is counted, not timed: how much is parsed and decoded,
 * and how much is told.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as FaultyWire from "../../FaultyWire.ts"
import { answerOf, claim, claimSame, good, type Law, play, turn, whole } from "../Trial.ts"

const words = Array.from({ length: 3000 }, (_, i) => `word${i} `)
const long = turn([{ type: "text", deltas: words }])
const input = ["[", ...words.map((word) => JSON.stringify(word) + ","), '""]']
const call = turn([{ type: "tool-call", id: "call_1", name: "save", deltas: input }])

export const law: Law = {
  number: 10,
  title: "Linear",
  checks: [
    {
      title: "each delta is told once, and no event repeats what came before",
      run: Effect.fnUntraced(function* (subject) {
        const frames = whole(yield* answerOf(subject, long))
        const { events, text } = yield* play(subject, good(subject, frames))
        yield* claim(
          text === words.join(""),
          () => `the text has ${text.length} characters, and ${words.join("").length} were sent`
        )
        yield* claim(
          events.length <= words.length + 8,
          () => `${words.length} deltas were told in ${events.length} events`
        )
        const largest = Math.max(
          ...events.map((event) => (event._tag === "Finished" ? 0 : JSON.stringify(event).length))
        )
        yield* claim(largest < 1000, () => `an event has ${largest} characters`)
      })
    },
    {
      title: "no text is parsed twice, whatever the chunks",
      run: Effect.fnUntraced(function* (subject) {
        const exchange = good(subject, whole(yield* answerOf(subject, long)))
        for (const cut of [exchange, FaultyWire.cutEvery(exchange, 50)]) {
          const { parsed, sent } = yield* counting(cut, play(subject, cut))
          yield* claim(parsed <= 1.5 * sent, () => `${parsed} characters were parsed of ${sent} bytes`)
        }
      })
    },
    {
      title: "no byte is decoded twice, even of one long frame in small chunks",
      run: Effect.fnUntraced(function* (subject) {
        const one = turn([{ type: "text", deltas: [words.join("")] }])
        const exchange = FaultyWire.cutEvery(good(subject, whole(yield* answerOf(subject, one))), 20)
        const { decoded, parsed, sent } = yield* counting(exchange, play(subject, exchange))
        yield* claim(decoded <= 1.5 * sent, () => `${decoded} bytes were decoded of ${sent}`)
        yield* claim(parsed <= 1.5 * sent, () => `${parsed} characters were parsed of ${sent} bytes`)
      })
    },
    {
      title: "a tool call's input is parsed once, not at each delta",
      run: Effect.fnUntraced(function* (subject) {
        const exchange = good(subject, whole(yield* answerOf(subject, call)))
        const { outcome, parsed, sent } = yield* counting(exchange, play(subject, exchange))
        const called = outcome.events.at(-2)
        yield* claimSame(called?._tag, "ToolCalled", "the event before Finished")
        yield* claim(parsed <= 2 * sent, () => `${parsed} characters were parsed of ${sent} bytes`)
      })
    }
  ]
}

/** Counts the characters and bytes that pass through the platform's own parsers. */
const counting = <A, E>(exchange: FaultyWire.Exchange, run: Effect.Effect<A, E>) => {
  const sent = exchange.reduce((sum, step) => sum + (step._tag === "Chunk" ? step.bytes.length : 0), 0)
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      const { parse } = JSON
      const { decode } = TextDecoder.prototype
      const counts = { parsed: 0, decoded: 0 }
      JSON.parse = (text, reviver) => {
        counts.parsed += text.length
        return parse(text, reviver)
      }
      TextDecoder.prototype.decode = function (bytes, options) {
        counts.decoded += bytes?.byteLength ?? 0
        return decode.call(this, bytes, options)
      }
      return { parse, decode, counts }
    }),
    ({ counts }) => Effect.map(run, (outcome) => ({ ...counts, sent, outcome })),
    ({ decode, parse }) =>
      Effect.sync(() => {
        JSON.parse = parse
        TextDecoder.prototype.decode = decode
      })
  )
}
