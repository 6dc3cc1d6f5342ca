/** Runs the fault matrix of some policies: each fault after each frame of each answer, for every protocol. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LlmError } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import type { LlmUsage } from "effect-rill/LlmUsage"
import type { Turn } from "effect-rill/testing/Dialect"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import { afterAll } from "vitest"
import {
  answering,
  counted,
  type Fault,
  faults,
  framesOf,
  isPolicys,
  positionOf,
  type Protocol,
  protocols,
  run,
  type Run,
  turns
} from "./faults.ts"
import { faultsByName, filledIn, type Given, type Name, policies, type Policy, tables } from "./faultyPolicies.ts"

/** The text and the calls of an answer, whatever became of it. */
const said = (events: ReadonlyArray<LlmEvent>) => {
  const { finishReason, reasoning, refusal, text, toolCalls } = LlmResponse.fromEvents(events)
  const calls = toolCalls.map(({ id, input, name }) => ({ id, input, name }))
  return { text, reasoning, refusal, calls, finishReason }
}

/** What the reader has been given of an answer. */
const givenBy = (events: ReadonlyArray<LlmEvent>): Given =>
  events.some(({ _tag }) => _tag === "TextDelta")
    ? "text"
    : events.some(({ _tag }) => _tag !== "Started")
      ? "reasoning"
      : "nothing"

const total = (usages: ReadonlyArray<LlmUsage>) => ({
  source: usages.every(({ source }) => source === "exact") ? "exact" : "estimated",
  inputTokens: usages.reduce((sum, { inputTokens = 0 }) => sum + inputTokens, 0),
  outputTokens: usages.reduce((sum, { outputTokens = 0 }) => sum + outputTokens, 0)
})

const usageOf = ({ error, events }: Pick<Run, "error" | "events">): ReadonlyArray<LlmUsage> => {
  const last = events.at(-1)
  const usage = last?._tag === "Finished" ? last.usage : error?.usage
  return usage === undefined ? [] : [usage]
}

/** Errors that events tell of, each once. */
const told = (events: ReadonlyArray<LlmEvent>): ReadonlyArray<LlmError> => [
  ...new Set(events.flatMap((event) => ("error" in event ? [event.error] : [])))
]

/** The answer that goes on from a text: with what is missing of it, or with all of it once more. */
const goingOn = (turn: Turn, text: string, repeats: boolean): Turn => {
  let missing = text.length
  return {
    ...turn,
    parts: turn.parts.flatMap((part) => {
      if (part.type === "reasoning") return []
      if (part.type !== "text" || repeats) return [part]
      const deltas = part.deltas.flatMap((delta) => {
        const rest = delta.slice(Math.max(0, missing))
        missing -= delta.length
        return rest === "" ? [] : [rest]
      })
      return [{ ...part, deltas }]
    })
  }
}

interface Cell {
  readonly title: string
  readonly policy: Policy
  /** The first answer by itself, and the second, whole. */
  readonly first: Run
  readonly sound: Run
  readonly got: Run
  readonly timeline: string
}

const check = ({ first, got, policy, sound, timeline, title }: Cell): void => {
  const { error, events, open, requests } = got
  expect(got.timeline, title).toBe(timeline)
  expect(open, `${title}: open connections`).toBe(0)
  // Those of a hedge are closed, but for the one that has spoken.
  const left = policy === policies.hedge ? 1 : 0
  expect(got.openWhenTold, `${title}: open connections when it is told`).toEqual(got.openWhenTold.map(() => left))
  expect(events.every((event) => event._tag !== "TextDelta" || event.text !== "")).toBe(true)

  // What came before the failure, then what is told of it, then the next answer. A hedge keeps to itself what
  // is said by one that has not spoken.
  const before = policy === policies.hedge && givenBy(first.events) === "nothing" ? [] : first.events
  const at = events.findIndex(isPolicys)
  expect(events.slice(0, before.length), `${title}: what came before`).toEqual(before)
  if (at !== -1) expect(at, `${title}: where the failure is told`).toBe(before.length)
  const after = events.slice(events.findLastIndex(isPolicys) + 1)
  const isContinued = policy.afterOutput === "continue" && givenBy(before) === "text"

  const isSlow = policy === policies.hedge && first.took > 2000
  const [reported = error] = told(events)
  if (first.error !== undefined && !(isSlow && before.length === 0)) {
    if (reported !== error || requests.length === 1) expect(reported, `${title}: the error`).toEqual(first.error)
  }

  if (error === undefined) {
    if (requests.length > 1 && !isContinued) {
      expect(after.slice(0, -1), `${title}: the next answer`).toEqual(sound.events.slice(0, -1))
    }
    expect(said(events), `${title}: all of it, once`).toEqual(said(requests.length > 1 ? sound.events : first.events))
    expect(events.filter(({ _tag }) => _tag === "Finished")).toEqual([events.at(-1)])
    const used =
      requests.length === 1 ? usageOf(first) : [...told(events).flatMap((e) => e.usage ?? []), ...usageOf(sound)]
    expect(usageOf(got)[0], `${title}: usage`).toMatchObject(total(used))
    return
  }
  expect(events.filter(({ _tag }) => _tag === "ToolCalled" || _tag === "Finished")).toEqual([])
  const held = events.slice(events.findLastIndex(({ _tag }) => _tag === "Restarted") + 1)
  expect(error.emitted, `${title}: emitted`).toBe(said(events).text.length)
  expect(error.phase, `${title}: phase`).toBe(
    held.some((event) => event._tag !== "Started" && !isPolicys(event)) ? "mid-output" : "before-output"
  )
}

const shows = (body: string, text: string) => body.includes(JSON.stringify(text).slice(1, -1))

const plainRun = (protocol: Protocol, frames: ReadonlyArray<string>, fault: Fault) =>
  run(protocol.make, () => answering(protocol.dialect, frames, ...fault.steps(protocol.dialect)))

/** All cells of a policy, a protocol, an answer and a fault. */
const cells = (name: Name, protocol: Protocol, turn: Turn, fault: Fault) =>
  Effect.gen(function* () {
    const policy: Policy = policies[name]
    const { all, kind, nothing, something } = faultsByName[fault.name]!
    const answer = protocol.dialect.answer(turn)!
    const frames = framesOf(answer)
    const next = policy.second(protocol)
    const make = policy.make(protocol)
    const sound = yield* run(next.make, () => answering(next.dialect, framesOf(next.dialect.answer(turn)!)))
    const again = yield* plainRun(next, [], fault)
    for (let count = 0; count <= frames.length; count++) {
      const before = frames.slice(0, count)
      const first = yield* plainRun(protocol, before, fault)
      const given = givenBy(first.events)
      const position = positionOf(answer, count, frames.length)
      const expected =
        position === "after the end"
          ? "whole"
          : position === "after the last word"
            ? all
            : given === "nothing"
              ? nothing
              : something
      expect(first.timeline).toBe(expected)
      const text = said(first.events).text
      const apart = answering(protocol.dialect, before, ...fault.steps(protocol.dialect))
      // In one chunk, what is told and what goes wrong come together.
      const faulty = count % 2 === 0 ? apart : FaultyWire.cutEvery(apart, Number.MAX_SAFE_INTEGER)
      const cell = (of: "then sound" | "ever again") =>
        expected.endsWith("whole") ? expected : filledIn(tables[of][kind][name][given], expected, nothing)
      const title = `${fault.name} after frame ${count} of ${frames.length}`

      const isContinued = policy.afterOutput === "continue" && given === "text"
      for (const repeats of isContinued ? [false, true] : [false]) {
        const second = next.dialect.answer(isContinued ? goingOn(turn, text, repeats) : turn)!
        const got = yield* run(make, ({ index }) => (index === 0 ? faulty : answering(next.dialect, framesOf(second))))
        check({ title, policy, first, sound, got, timeline: cell("then sound") })
        const [, asked] = got.requests
        if (asked !== undefined && text !== "") {
          expect(shows(asked.body, text.trimEnd()), `${title}: whether it is shown its text`).toBe(isContinued)
        }
      }

      const failing = answering(next.dialect, [], ...fault.steps(next.dialect))
      const got = yield* run(make, ({ index }) => (index === 0 ? faulty : failing))
      check({ title: `${title}, ever again`, policy, first, sound, got, timeline: cell("ever again") })
      const attempts = [first, ...got.requests.slice(1).map(() => again)]
      if (got.error !== undefined) {
        const { inputTokens, ...used } = total(attempts.flatMap(usageOf))
        expect(got.error.usage, `${title}: usage, ever again`).toMatchObject(
          // The text that is gone on from is sent along.
          isContinued && attempts.length > 1 ? used : { ...used, inputTokens }
        )
      }
    }
  })

/** The matrix of these policies, as tests. */
export const describeFaults = (names: ReadonlyArray<Name>): void => {
  describe.each(names)("%s", (name) => {
    describe.each(protocols)("$name", (protocol) => {
      describe.each(turns)("an answer of %s", (_, turn) => {
        it.effect.each(faults)("$name, after every frame", (fault) => cells(name, protocol, turn, fault), 30_000)
      })
    })
  })
  afterAll(() => console.log(`fault matrix, ${names.join("; ")}: ${counted.runs} runs`))
}
