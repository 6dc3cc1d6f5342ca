/**
 * Law 8: a tool is called only when the call is complete and its turn ended well.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { LlmEvent } from "../../../LlmEvent.ts"
import type { Part } from "../../Dialect.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import { answerOf, claim, claimSame, errorOf, good, type Law, play, story, turn, weather, whole } from "../Trial.ts"

const time: Part = { type: "tool-call", id: "call_2", name: "time", deltas: ['{"zone":', '"UTC"}'] }

export const law: Law = {
  number: 8,
  title: "No half tool calls",
  checks: [
    {
      title: "a call comes whole, with its input parsed, directly before Finished",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([weather]))
        const { events } = yield* play(subject, good(subject, whole(answer)))
        const call = events.at(-2)
        yield* claimSame(
          call?._tag === "ToolCalled" ? [call.name, call.input] : call?._tag,
          ["weather", { city: 'Zürich "ZH"', days: 3 }],
          "the event before Finished"
        )
      })
    },
    {
      title: "its start and its deltas come as they are written",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([weather]))
        const { events } = yield* play(subject, good(subject, whole(answer)))
        const started = events.find((event) => event._tag === "ToolCallStarted")
        const deltas = events.flatMap((event) => (event._tag === "ToolCallDelta" ? [event.delta] : []))
        const called = calls(events)[0]
        yield* claimSame(
          [started?.name, started?.id === called?.id, JSON.parse(deltas.join("") || "null")],
          ["weather", true, called?.input],
          "what came before the call"
        )
      })
    },
    {
      title: "calls in parallel keep their own input, and their order",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([weather, time]))
        const { events } = yield* play(subject, good(subject, whole(answer)))
        yield* claimSame(
          calls(events).map(({ input, name }) => [name, input]),
          [
            ["weather", { city: 'Zürich "ZH"', days: 3 }],
            ["time", { zone: "UTC" }]
          ],
          "the calls"
        )
        yield* claim(new Set(calls(events).map(({ id }) => id)).size === 2, () => "two calls have one id")
      })
    },
    {
      title: "a call for which the model writes no input has the input {}",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([{ ...time, deltas: [] }]))
        const { events } = yield* play(subject, good(subject, whole(answer)))
        yield* claimSame(
          calls(events).map(({ input }) => input),
          [{}],
          "the calls' input"
        )
      })
    },
    {
      title: "text beside a call is told too",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story, weather]))
        const { events, text } = yield* play(subject, good(subject, whole(answer)))
        yield* claimSame([text, calls(events).length], [story.deltas.join(""), 1], "text and calls")
      })
    },
    {
      title: "an answer that is cut after any frame calls no tool",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([weather, time]))
        for (let count = 0; count <= frames.length; count++) {
          const { events } = yield* play(subject, good(subject, frames.slice(0, count)))
          yield* claimNone(events, `an answer cut after ${count} frames`)
        }
      })
    },
    {
      title: "an answer whose connection breaks calls no tool",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([weather]))
        const { events } = yield* play(subject, good(subject, frames, FaultyWire.reset()))
        yield* claimNone(events, "an answer whose connection breaks")
      })
    },
    {
      title: "an answer that fails after a call calls no tool",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([weather]))
        const { events } = yield* play(subject, good(subject, [...frames, yield* errorOf(subject)]))
        yield* claimNone(events, "an answer that fails")
      })
    },
    ...(["length", "content-filter"] as const).map(
      (finish) =>
        ({
          title: `an answer that ends by ${finish} calls no tool, not even one that looks whole`,
          run: Effect.fnUntraced(function* (subject) {
            const answer = yield* answerOf(subject, turn([weather], { finish }))
            const { events, state } = yield* play(subject, good(subject, whole(answer)))
            yield* claimSame(state, "completed", "the answer")
            yield* claimNone(events, `an answer that ends by ${finish}`)
          })
        }) satisfies Law["checks"][number]
    )
  ]
}

const calls = (events: ReadonlyArray<LlmEvent>) => events.filter((event) => event._tag === "ToolCalled")

const claimNone = (events: ReadonlyArray<LlmEvent>, what: string) =>
  claim(calls(events).length === 0, () => `${what} calls a tool`)
