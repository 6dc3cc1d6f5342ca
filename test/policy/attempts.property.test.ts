/**
 * Whatever the policies, and wherever attempts are cut: the fold of the events has the text once. Random
 * answers, cuts and models that go on as models do; the seed of a failure is in its message.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Llm } from "effect-rill/Llm"
import { Disconnected, Overloaded, Truncated } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Retry from "effect-rill/policy/Retry"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { plea } from "../../src/policy/internal/goingOn.ts"
import { random, type Random } from "../support/random.ts"

const { fail, reasoning, text, toolCall, usage } = ScriptedLlm

/** Words that differ in their first three letters, so that only what is repeated looks so. */
const answerOf = (r: Random): string => {
  const base = 36 * 10
  let answer = r.chance(0.1) ? "\n\n" : ""
  for (let i = 0, count = 1 + r.below(r.chance(0.1) ? 300 : 30); i < count; i++) {
    const rest = r.of(["ab", "xyz", "é", "雨天晴れ", "😀", "👩‍👩‍👧", "-", "…", "qrstuvw"])
    answer += (base + 37 * i).toString(36) + rest + String.fromCodePoint(0x4e00 + r.below(20_000))
    answer += r.of([" ", " ", " ", ", ", "\n", "\n\n", "  "])
  }
  return r.chance(0.5) ? answer.trimEnd() : answer
}

const letters = /[\p{L}\p{N}]/gu
const lettersIn = (text: string) => text.match(letters)?.length ?? 0

/** From where a model says the text again that it has been shown: places that a reader would call words. */
const repeatedFrom = (r: Random, shown: string, isPrefilled: boolean): number => {
  const kind = r.below(4)
  if (kind === 0) return shown.length
  if (kind === 1) return isPrefilled && lettersIn(shown) < 3 ? shown.length : 0
  const places = [...shown.matchAll(/(?<![\p{L}\p{N}])[a-z0-9]/gu)]
    .map(({ index }) => index)
    .filter((place) => lettersIn(shown.slice(place)) >= 3 && (!isPrefilled || shown.length - place >= 20))
    .filter((place) => shown.length - place < 1000)
  return places.length === 0 ? shown.length : r.of(places)
}

/** What a model has been shown of its answer. */
const shownTo = (request: LlmRequest): { readonly text: string; readonly isPrefilled: boolean } => {
  const messages = Prompt.make(request.prompt).content
  const last = messages.at(-1)!
  const of = (message: Prompt.Message | undefined) =>
    message?.role === "assistant" ? message.content.map((part) => (part.type === "text" ? part.text : "")).join("") : ""
  if (last.role === "assistant") return { text: of(last), isPrefilled: true }
  const isAsked = ScriptedLlm.userText(request) === plea
  return { text: isAsked ? of(messages.at(-2)) : "", isPrefilled: false }
}

const pieces = (r: Random, whole: string): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (let at = 0; at < whole.length;) {
    const size = 1 + r.below(r.chance(0.3) ? 40 : 8)
    out.push(whole.slice(at, at + size))
    at += size
  }
  return out
}

const call = { n: 1 }

interface Told {
  readonly answer: string
  readonly hasCall: boolean
  /** How many attempts have been made, each of which reports 10 input tokens. */
  attempts: number
}

/** A model that gives the answer, or goes on with it, and is cut off now and then. */
const model = (r: Random, told: Told, share: number) =>
  ScriptedLlm.make((request) => {
    told.attempts++
    const steps: Array<ScriptedLlm.Step> = [usage({ inputTokens: 10, outputTokens: 1 })]
    const { isPrefilled, text: shown } = shownTo(request)
    expect(
      told.answer.startsWith(shown),
      `${JSON.stringify(shown)} of ${JSON.stringify(told.answer)} in ${JSON.stringify(request.prompt)}`
    ).toBe(true)
    const from = shown === "" ? 0 : repeatedFrom(r, shown, isPrefilled)
    if (r.chance(0.3)) steps.push(reasoning("I think", " so"))
    // Before all of it again, and only there, models like to begin a line.
    const lead = shown.trim() !== "" && lettersIn(shown) >= 3 && from === 0 && r.chance(0.3) ? "\n" : ""
    for (const piece of pieces(r, lead + told.answer.slice(from))) steps.push(text(piece))
    if (told.hasCall) steps.push(toolCall("search", call, { id: "call_0", pieces: 3 }))
    if (!r.chance(share)) return steps
    const message = "cut"
    const reason = r.of([new Disconnected({ message }), new Truncated({ message }), new Overloaded({ message })])
    return [...steps.slice(0, 1 + (r.chance(0.3) ? 0 : r.below(steps.length))), fail(reason)]
  }).pipe(Effect.map((llm): Llm["Service"] => (r.chance(0.4) ? { ...llm, prefill: (request) => request } : llm)))

const modes = ["fail", "continue", "restart"] as const

/** Retry, fallback, and either in the other. */
const policies = (r: Random, told: Told, mode: (() => Retry.AfterOutput) | Retry.AfterOutput) => {
  const afterOutput = () => (typeof mode === "string" ? mode : mode())
  const make = (depth: number): Effect.Effect<Llm["Service"]> => {
    if (depth === 0) return model(r, told, 0.6)
    if (r.chance(0.5)) {
      const options = { schedule: Schedule.recurs(1 + r.below(3)), afterOutput: afterOutput() }
      return Effect.map(make(depth - 1), Retry.attach(options))
    }
    const options = { afterOutput: afterOutput() }
    return Effect.map(Effect.all([make(depth - 1), make(depth - 1)]), (llms) => Fallback.make(llms, options))
  }
  return make(1 + r.below(3))
}

const check = Effect.fnUntraced(function* (
  seed: number,
  mode: (r: Random) => (() => Retry.AfterOutput) | Retry.AfterOutput
) {
  const r = random(seed)
  const told: Told = { answer: answerOf(r), hasCall: r.chance(0.3), attempts: 0 }
  const llm = yield* policies(r, told, mode(r))
  const events: Array<LlmEvent> = []
  const exit = yield* Effect.exit(
    Stream.runForEach(llm.events({ prompt: "Hi" }), (event) => Effect.sync(() => void events.push(event)))
  )
  const response = LlmResponse.fromEvents(events)
  if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) return yield* Effect.failCause(exit.cause)
  const failed = Exit.findErrorOption(exit)
  if (failed._tag === "None") {
    expect(response.text).toBe(told.answer)
    expect(response.toolCalls.map(({ input, name }) => ({ input, name }))).toEqual(
      told.hasCall ? [{ input: call, name: "search" }] : []
    )
    expect(events.filter(({ _tag }) => _tag === "Finished")).toHaveLength(1)
    expect(response.usage.inputTokens).toBe(10 * told.attempts)
    expect(response.usage.source).toBe("exact")
  } else {
    expect(told.answer.startsWith(response.text), "what came before the failure is a part of the answer").toBe(true)
    expect(failed.value.emitted).toBe(response.text.length)
    expect(response.toolCalls).toEqual([])
  }
  expect(events.every((event) => event._tag !== "TextDelta" || event.text !== "")).toBe(true)
  return { events, isGood: failed._tag === "None", reason: response.finishReason }
})

const shown = (seed: number) => (error: unknown) => {
  throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
}

describe("folding the events never yields text twice", () => {
  const all: ReadonlyArray<readonly [string, (r: Random) => (() => Retry.AfterOutput) | Retry.AfterOutput]> = [
    ["fail", () => "fail"],
    ["continue", () => "continue"],
    ["restart", () => "restart"],
    ["each its own", (r) => () => r.of(modes)]
  ]
  for (const [name, mode] of all) {
    it.effect(
      `after output: ${name}`,
      () =>
        Effect.gen(function* () {
          const seen = { good: 0, bad: 0, restarted: 0, switched: 0, retried: 0, "gone on": 0 }
          for (let seed = 1; seed <= 1000; seed++) {
            const { events, isGood } = yield* Effect.tapDefect(check(seed, mode), (error) =>
              Effect.sync(() => shown(seed)(error))
            )
            seen[isGood ? "good" : "bad"]++
            const text = events.findIndex(({ _tag }) => _tag === "TextDelta")
            for (const [at, { _tag }] of events.entries()) {
              if (_tag === "Restarted") seen.restarted++
              if (_tag === "Switched") seen.switched++
              if (_tag === "AttemptFailed") seen.retried++
              if (_tag === "AttemptFailed" && text !== -1 && text < at) seen["gone on"]++
            }
          }
          // The runs have shown what there is to be seen.
          expect(seen.good).toBeGreaterThan(150)
          expect(seen.bad).toBeGreaterThan(50)
          expect(seen.switched).toBeGreaterThan(100)
          expect(seen.retried).toBeGreaterThan(100)
          if (name === "fail") expect([seen.restarted, seen["gone on"]]).toEqual([0, 0])
          if (name !== "fail") expect(seen.restarted).toBeGreaterThan(name === "continue" ? 10 : 50)
          if (name === "continue") expect(seen["gone on"]).toBeGreaterThan(100)
        }),
      60_000
    )
  }
})
