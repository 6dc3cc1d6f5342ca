/** Races of random models against a plain account of them: the seed of a failure is in its message. */
import { expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { ContentFiltered, Disconnected, type LlmError, NotFound, Overloaded, Truncated } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Hedge from "effect-rill/policy/Hedge"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { settle } from "../support/agentLaws.ts"
import { random, type Random } from "../support/random.ts"

const { fail, finish, pause, reasoning, refusal, start, text, toolCall, usage } = ScriptedLlm

interface Runner {
  readonly steps: ReadonlyArray<ScriptedLlm.Step>
  /** Milliseconds until it speaks or fails. */
  readonly delay: number
  readonly outcome: "speaks" | "fails" | "refuses"
  /** Whether it breaks off after it has spoken. */
  readonly breaks: boolean
}

const words = (r: Random) => Array.from({ length: 1 + r.below(4) }, () => r.of(["a ", "b", "雨", "😀", "long word "]))
const reasons = [
  new Overloaded({ message: "busy" }),
  new NotFound({ message: "none" }),
  new Disconnected({ message: "cut" }),
  new Truncated({ message: "short" })
]

const runner = (r: Random): Runner => {
  const steps: Array<ScriptedLlm.Step> = []
  let delay = 0
  const wait = () => {
    // No two moments of a race are the same.
    const millis = 1 + r.below(20_000_000) / 1000
    delay += millis
    steps.push(pause(millis))
  }
  if (r.chance(0.9)) wait()
  if (r.chance(0.5)) {
    steps.push(start({ id: String(r.below(1000)) }))
    if (r.chance(0.5)) wait()
  }
  if (r.chance(0.1)) {
    return { steps: [...steps, fail(new ContentFiltered({ message: "no" }))], delay, outcome: "refuses", breaks: false }
  }
  if (r.chance(0.4)) return { steps: [...steps, fail(r.of(reasons))], delay, outcome: "fails", breaks: false }
  steps.push(
    r.of([text(...words(r)), reasoning(...words(r)), refusal("No."), toolCall("t", { n: 1 }), finish("length")])
  )
  if (steps.at(-1)?._tag === "Finish") return { steps, delay, outcome: "speaks", breaks: false }
  for (let more = r.below(4); more > 0; more--) {
    if (r.chance(0.3)) steps.push(pause(r.below(60_000)))
    steps.push(text(...words(r)))
  }
  const breaks = r.chance(0.2)
  if (breaks) steps.push(fail(r.of(reasons)))
  else if (r.chance(0.5)) steps.push(usage({ inputTokens: r.below(50), outputTokens: r.below(50) }))
  return { steps, delay, outcome: "speaks", breaks }
}

interface Account {
  readonly winner: number | undefined
  /** When it is decided. */
  readonly at: number
  readonly asked: number
  readonly failed: ReadonlyArray<number>
}

const account = (runners: ReadonlyArray<Runner>, after: number): Account => {
  const running = new Map([[0, runners[0]!.delay]])
  const failed: Array<number> = []
  let [asked, most, late] = [1, runners.length, after]
  while (true) {
    const [next] = [...running].toSorted(([, a], [, b]) => a - b)
    if (asked < most && (next === undefined || late < next[1])) {
      running.set(asked, late + runners[asked]!.delay)
      asked++
      late += after
      continue
    }
    const [index, at] = next!
    if (runners[index]!.outcome === "speaks") return { winner: index, at, asked, failed }
    running.delete(index)
    failed.push(index)
    if (runners[index]!.outcome === "refuses") most = asked
    if (asked < most) {
      running.set(asked, at + runners[asked]!.delay)
      asked++
      late = at + after
    }
    if (running.size === 0) return { winner: undefined, at, asked, failed }
  }
}

const collect = (stream: Stream.Stream<LlmEvent, LlmError>) =>
  Effect.flatMap(Clock.currentTimeMillis, (begun) => {
    const events: Array<LlmEvent> = []
    let at = -1
    return Stream.runForEach(stream, (event) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (events.length === 0) at = now - begun
        events.push(event)
      })
    ).pipe(
      Effect.exit,
      Effect.flatMap((exit) =>
        Effect.map(Clock.currentTimeMillis, (now) => ({ events, exit, at: events.length === 0 ? now - begun : at }))
      )
    )
  })

const model = (runner: Runner, index: number) =>
  ScriptedLlm.make(() => runner.steps, { provider: `p${index}`, model: "m" })

const seeds = 1500
const outcomes = new Set<string>()

it.effect(
  `${seeds} races are as they should be`,
  () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= seeds; seed++) {
        const r = random(seed)
        const runners = Array.from({ length: 2 + r.below(4) }, () => runner(r))
        const after = r.of([0.5, 3000.5, 10_000.25, 1e9])
        const expected = account(runners, after)
        const [first, ...others] = yield* Effect.forEach(runners, model)
        const models = [first!, ...others] as const
        const fiber = yield* Effect.forkChild(collect(Hedge.make(models, { after }).events({ prompt: "12345678" })))
        const stopAt = r.chance(0.2) ? r.below(40_000) : undefined
        yield* settle
        if (stopAt !== undefined) {
          yield* TestClock.adjust(stopAt)
          yield* Fiber.interrupt(fiber)
        }
        yield* TestClock.adjust("1 day")
        yield* settle
        const runs = (yield* Effect.forEach(models, ({ runs }) => runs)).map((runs) => runs.map(({ state }) => state))
        const about = `seed ${seed}`
        expect(runs.flat(), `${about}: nothing runs`).not.toContain("running")
        if (stopAt !== undefined) continue
        const { at, events, exit } = yield* Fiber.join(fiber)
        const asked = runs.filter(({ length }) => length === 1).length
        expect(asked, `${about}: models asked`).toBe(expected.asked)
        expect(at, `${about}: decided`).toBeCloseTo(expected.at, 3)
        const told = events.flatMap((event) => (event._tag === "AttemptFailed" ? [event.attempt - 1] : []))
        if (expected.winner === undefined) {
          outcomes.add("nobody")
          expect([events, Exit.isFailure(exit)], about).toEqual([[], true])
          continue
        }
        expect(told, `${about}: failures told`).toEqual(expected.failed.filter((index) => index > 0))
        const switched = events.filter(({ _tag }) => _tag === "Switched")
        expect(switched.length, `${about}: switched`).toBe(expected.winner === 0 ? 0 : 1)
        // The answer is that of the winner, alone and whole.
        const own = events.slice(told.length + switched.length)
        const alone = yield* model(runners[expected.winner]!, expected.winner)
        const fiberAlone = yield* Effect.forkChild(collect(alone.events({ prompt: "12345678" })))
        yield* TestClock.adjust("1 day")
        yield* settle
        const wanted = yield* Fiber.join(fiberAlone)
        const withoutUsage = (events: ReadonlyArray<LlmEvent>) =>
          events.map((event) => (event._tag === "Finished" ? { ...event, usage: undefined } : event))
        expect(withoutUsage(own), about).toEqual(withoutUsage(wanted.events))
        expect(LlmResponse.fromEvents(events).text, about).toBe(LlmResponse.fromEvents(wanted.events).text)
        expect(Exit.isSuccess(exit), `${about}: end`).toBe(Exit.isSuccess(wanted.exit))
        if (Exit.isFailure(exit) && Exit.isFailure(wanted.exit)) {
          const [error, errorAlone] = [Cause.squash(exit.cause), Cause.squash(wanted.exit.cause)] as [
            LlmError,
            LlmError
          ]
          expect([error.message, error.emitted], about).toEqual([errorAlone.message, errorAlone.emitted])
        }
        outcomes.add(`${expected.winner} of ${expected.asked}${Exit.isFailure(exit) ? " breaks" : ""}`)
      }
      // The races are of every kind.
      expect(outcomes.size).toBeGreaterThan(20)
    }),
  60_000
)
