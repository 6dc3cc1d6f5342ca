import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Protocol } from "effect-rill/protocol/Protocol"
import type { Progress } from "effect-rill/wire/Decoder"
import { cuts, decodeBytes, type Outcome } from "./decodeBytes.ts"

export interface Fixtures {
  readonly read: (name: string) => Uint8Array
  readonly decode: (name: string) => Effect.Effect<Outcome>
}

/**
 * The laws that hold for every protocol, on its fixtures: they decode as recorded, cuts do not matter,
 * and what is cut off is not complete.
 */
export const describeDecoder = <S extends Progress>(options: {
  /** A folder of `test/fixtures`. */
  readonly folder: string
  readonly protocol: Protocol<S>
  /** Good answers: each is cut off at every byte. */
  readonly good: ReadonlyArray<string>
  /** What an answer has of the protocol's end: no beginning of it without this is complete. */
  readonly end: string
}): Fixtures => {
  const folder = fileURLToPath(new URL(`../fixtures/${options.folder}/`, import.meta.url))
  const extension = `.${options.protocol.framing}`
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(extension))
    .map((name) => name.slice(0, -extension.length))
  const read = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}${name}${extension}`))
  const decode = (chunks: ReadonlyArray<Uint8Array>, declared = true): Effect.Effect<Outcome> =>
    decodeBytes(options.protocol, chunks, { declared })

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
    it.effect.each(options.good)("%s that stops at any byte is Truncated, or complete", (name) =>
      Effect.gen(function* () {
        const body = read(name)
        const whole = yield* decode([body])
        expect(whole.error).toBeUndefined()
        const end = new TextDecoder().decode(body).indexOf(options.end)
        expect(end).toBeGreaterThan(0)
        for (let at = 0; at < body.length; at++) {
          const { error, events } = yield* decode([body.subarray(0, at)])
          const last = events.at(-1)
          if (error !== undefined) {
            expect(error.reason._tag, `at ${at}`).toBe("Truncated")
            expect(last?._tag).not.toBe("Finished")
            // Law 8: no half tool calls.
            expect(events.some((event) => event._tag === "ToolCalled")).toBe(false)
            // What came was a beginning of what comes.
            expect(whole.events.slice(0, events.length)).toEqual(events)
          } else {
            expect(last?._tag, `at ${at}`).toBe("Finished")
            expect(new TextDecoder().decode(body.subarray(0, at)).length).toBeGreaterThan(end)
          }
        }
      })
    )
  })

  return { read, decode: (name) => decode([read(name)]) }
}

const summary = ({ error, events }: Outcome) => ({
  events,
  error: error && {
    reason: error.reason._tag,
    message: error.reason.message,
    phase: error.phase,
    emitted: error.emitted
  }
})
