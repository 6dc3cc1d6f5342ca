import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import { cuts, decodeBytes, type Outcome } from "../support/decodeBytes.ts"

const folder = fileURLToPath(new URL("../fixtures/openai-chat/", import.meta.url))
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".sse"))
  .map((name) => name.slice(0, -4))

const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}${name}.sse`))

const decode = (chunks: ReadonlyArray<Uint8Array>, declared = true): Effect.Effect<Outcome> =>
  decodeBytes(OpenAiChat.protocol, chunks, { declared })

/** Deltas run together: the same text in other pieces is the same. */
const summary = ({ error, events }: Outcome) => ({
  events,
  error: error && {
    reason: error.reason._tag,
    message: error.reason.message,
    phase: error.phase,
    emitted: error.emitted
  }
})

describe("fixtures", () => {
  it.effect.each(names)("%s decodes as recorded here", (name) =>
    Effect.gen(function* () {
      const outcome = yield* decode([read(name)], !/^(json|html|plain)/.test(name))
      yield* Effect.promise(() =>
        expect(JSON.stringify(summary(outcome), null, 2) + "\n").toMatchFileSnapshot(`${folder}${name}.expected.json`)
      )
    })
  )

  // Law 7: cuts do not matter.
  it.effect.each(names)("%s cut at every byte, and into pieces, gives the same", (name) =>
    Effect.gen(function* () {
      const body = read(name)
      const whole = summary(yield* decode([body]))
      for (let at = 1; at < body.length; at++) {
        const outcome = yield* decode([body.subarray(0, at), body.subarray(at)])
        expect(summary(outcome), `cut at ${at}`).toEqual(whole)
      }
      for (const [cut, chunks] of cuts(body)) expect(summary(yield* decode(chunks)), cut).toEqual(whole)
    })
  )
})

// Law 1: complete or failed. Every strict beginning of an answer fails as Truncated, or had its end.
describe("truncation", () => {
  it.effect.each(["text", "tools-interleaved", "crlf", "reasoning", "no-final-blank-line"])(
    "%s that stops at any byte is Truncated, or complete",
    (name) =>
      Effect.gen(function* () {
        const body = read(name)
        const whole = yield* decode([body])
        const text = new TextDecoder().decode(body)
        const semanticEnd = text.indexOf('"finish_reason":"')
        for (let at = 0; at < body.length; at++) {
          const { error, events } = yield* decode([body.subarray(0, at)])
          const last = events.at(-1)
          if (error !== undefined) {
            expect(error.reason._tag, `at ${at}`).toBe("Truncated")
            expect(last?._tag).not.toBe("Finished")
            expect(events.some((event) => event._tag === "ToolCalled")).toBe(false)
            // What came was a beginning of what comes.
            expect(whole.events.slice(0, events.length)).toEqual(events)
          } else {
            expect(last?._tag, `at ${at}`).toBe("Finished")
            expect(new TextDecoder().decode(body.subarray(0, at)).length).toBeGreaterThan(semanticEnd)
          }
        }
      })
  )
})

// Law 8: no half tool calls.
describe("tool calls", () => {
  const index = (events: ReadonlyArray<LlmEvent>, tag: LlmEvent["_tag"]) => events.findIndex((e) => e._tag === tag)

  it.effect("come complete, in order, directly before Finished", () =>
    Effect.gen(function* () {
      const { events } = yield* decode([read("tools-interleaved")])
      expect(events.slice(-4)).toMatchObject([
        { _tag: "ToolCalled", id: "call_a", name: "weather", input: { city: "Zürich" } },
        { _tag: "ToolCalled", id: "call_b", name: "time", input: { zone: "UTC" } },
        { _tag: "ToolCalled", id: "call_c", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls" }
      ])
      expect(index(events, "ToolCallStarted")).toBeGreaterThan(0)
    })
  )

  it.effect("of an answer that the token limit cut do not come, not even the whole ones", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode([read("tools-cut-by-length")])
      expect(error).toBeUndefined()
      expect(index(events, "ToolCalled")).toBe(-1)
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "length" })
    })
  )

  it.effect("imply the finish reason tool-calls, even if the provider says stop", () =>
    Effect.gen(function* () {
      const { events } = yield* decode([read("tools-by-id")])
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "tool-calls", rawReason: "stop" })
      expect(events.filter((e) => e._tag === "ToolCalled").map((e) => e.input)).toEqual([
        { city: "Bern" },
        { city: "Basel" }
      ])
    })
  )
})
