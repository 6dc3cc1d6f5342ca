/**
 * The fault matrix: every fault at every frame of an answer, for every protocol, whole and in pieces.
 * The tables below are the expectation; nothing sleeps.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Phase, Reason } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import { afterAll } from "vitest"
import {
  answering,
  counted,
  type Expected,
  faults,
  framesOf,
  positionOf,
  protocols,
  refusing,
  run,
  type Run,
  turns
} from "../support/faults.ts"

const { linger, pause, reset } = FaultyWire

const textOf = (events: ReadonlyArray<LlmEvent>) => LlmResponse.fromEvents(events).text

const check = (cell: string, got: Run, expected: Expected, sound: ReadonlyArray<LlmEvent>) => {
  const { error, events, exit, open, took } = got
  const outcome =
    exit === undefined ? "nothing" : (error?.reason._tag ?? (took >= 1000 ? "complete after 1 s" : "complete"))
  expect(outcome, cell).toBe(expected)
  expect(open, `${cell}: open connections`).toBe(0)
  if (outcome.startsWith("complete")) {
    // Usage may not have come; the rest is all there.
    expect(events.slice(0, -1), cell).toEqual(sound.slice(0, -1))
    expect(events.at(-1), cell).toMatchObject({ _tag: "Finished" })
    return
  }
  expect(sound.slice(0, events.length), `${cell}: what came before`).toEqual(events)
  expect(
    events.filter(({ _tag }) => _tag === "ToolCalled" || _tag === "Finished"),
    cell
  ).toEqual([])
  if (error === undefined) return
  const { emitted, phase, usage } = error
  expect(emitted, cell).toBe(textOf(events).length)
  const output: Phase = events.some(({ _tag }) => _tag !== "Started") ? "mid-output" : "before-output"
  expect(phase, cell).toBe(output)
  expect(usage, cell).toBeDefined()
}

describe.each(protocols)("$name", ({ dialect, make }) => {
  describe.each(turns)("an answer of %s", (_, turn) => {
    const answer = dialect.answer(turn)!
    const all = framesOf(answer)

    it.effect.each(faults)("$name, after every frame", ({ expected, name, steps }) =>
      Effect.gen(function* () {
        const { events: sound } = yield* run(make, () => answering(dialect, all))
        for (let count = 0; count <= all.length; count++) {
          const exchange = answering(dialect, all.slice(0, count), ...steps(dialect))
          const cuts = [exchange, FaultyWire.cutEvery(exchange, 1), FaultyWire.cutBySeed(exchange, count)]
          for (const [index, cut] of cuts.entries()) {
            const cell = `${name} after frame ${count} of ${all.length}, cut ${index}`
            check(cell, yield* run(make, () => cut), expected[positionOf(answer, count, all.length)], sound)
          }
        }
      })
    )
  })

  // ---------------------------------------------------------------------------
  // faults before the stream
  // ---------------------------------------------------------------------------

  const statuses: ReadonlyArray<readonly [number, Reason["_tag"], retryable: boolean]> = [
    [400, "InvalidRequest", false],
    [401, "Authentication", false],
    [402, "QuotaExhausted", false],
    [403, "PermissionDenied", false],
    [404, "NotFound", false],
    [408, "ProviderFailed", true],
    [409, "ProviderFailed", true],
    [413, "ContextTooLong", false],
    [422, "InvalidRequest", false],
    [425, "ProviderFailed", true],
    [429, "RateLimited", true],
    [500, "ProviderFailed", true],
    [502, "Overloaded", true],
    [503, "Overloaded", true],
    [504, "ProviderFailed", true],
    [529, "Overloaded", true]
  ]

  const spellings: ReadonlyArray<readonly [Readonly<Record<string, string>>, milliseconds: number | undefined]> = [
    [{}, undefined],
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1500],
    [{ "retry-after": "Thu, 01 Jan 2099 00:00:10 GMT" }, Date.UTC(2099, 0, 1, 0, 0, 10)],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
    [{ "retry-after-ms": "250" }, 250],
    [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-1" }, undefined]
  ]

  /** How the body of a bad answer ends. */
  const endings: ReadonlyArray<readonly [string, ReadonlyArray<FaultyWire.Step>]> = [
    ["whole", []],
    ["held open", [linger]],
    ["broken off", [reset()]]
  ]

  it.effect.each(statuses)(
    "HTTP %i is %s, with every spelling of its delay and every end of its body",
    ([code, reason, retryable]) =>
      Effect.gen(function* () {
        for (const [ending, steps] of endings) {
          for (const [headers, milliseconds] of spellings) {
            const cell = `HTTP ${code}, ${JSON.stringify(headers)}, ${ending}`
            const { error, exit, open } = yield* run(make, () => refusing(dialect, code, headers, ...steps))
            if (error === undefined) throw new Error(`${cell}: ${String(exit)}`)
            const { isRetryable, phase, reason: got, retryAfter } = error
            expect([got._tag, phase, isRetryable, open], cell).toEqual([reason, "headers", retryable, 0])
            expect(retryAfter && Duration.toMillis(retryAfter), cell).toBe(milliseconds)
          }
        }
      })
  )

  it.effect("no connection is Unreachable; one that never answers is out of time", () =>
    Effect.gen(function* () {
      for (const code of ["ECONNREFUSED", "ENOTFOUND", "ECONNRESET", "ETIMEDOUT"]) {
        const { error } = yield* run(make, () => [reset(code)])
        expect(error).toMatchObject({ phase: "request", reason: { _tag: "Unreachable", code } })
      }
      const { error, open, took } = yield* run(make, () => [pause("1 day")])
      expect(error).toMatchObject({ phase: "request", reason: { which: "first-token" } })
      expect([took, open]).toEqual([120_000, 0])
    })
  )
})

afterAll(() => console.log(`fault matrix, plain: ${counted.runs} runs`))
