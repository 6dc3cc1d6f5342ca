import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Disconnected, type LlmError, Overloaded, Truncated } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import type { LlmUsage } from "effect-rill/LlmUsage"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Hedge from "effect-rill/policy/Hedge"
import * as Retry from "effect-rill/policy/Retry"
import { Meter } from "../../src/policy/internal/Meter.ts"
import { arrays, finished, llmError, service, thought, token, usage } from "../support/scriptedLlm.ts"

const request: LlmRequest = { prompt: "12345678" }
const cut = new Disconnected({ message: "cut" })
const exact = (inputTokens: number, outputTokens: number): LlmUsage => ({ source: "exact", inputTokens, outputTokens })
const estimated = (inputTokens: number, outputTokens: number, more: Partial<LlmUsage> = {}): LlmUsage => ({
  source: "estimated",
  inputTokens,
  outputTokens,
  ...more
})
const failed = (error: LlmError, attempt = 1): LlmEvent => ({ _tag: "AttemptFailed", attempt, error })
const restarted = (error: LlmError): LlmEvent => ({ _tag: "Restarted", error })
const switched = (error: LlmError): LlmEvent => ({ _tag: "Switched", from: "a", to: "b", error })
const refusedBy = (phase: "request" | "headers", usage?: LlmUsage) =>
  llmError(new Overloaded({ message: "busy" }), { phase, ...(usage === undefined ? undefined : { usage }) })
const after = (events: ReadonlyArray<LlmEvent>, of: LlmRequest | undefined = request): Meter => {
  const meter = new Meter(of)
  for (const event of events) meter.see(event)
  return meter
}

describe("Meter", () => {
  describe("counts", () => {
    const told: ReadonlyArray<readonly [string, LlmEvent, LlmUsage, emitted: number]> = [
      ["text", token("12345"), estimated(2, 2), 5],
      ["reasoning, as such too", thought("12345"), estimated(2, 2, { reasoningTokens: 2 }), 0],
      ["a refusal", { _tag: "Refusal", text: "12345" }, estimated(2, 2), 0],
      ["the input of a call", { _tag: "ToolCallDelta", id: "1", delta: "12345" }, estimated(2, 2), 0],
      // Its deltas have told it.
      ["no call twice", { _tag: "ToolCalled", id: "1", name: "long name", input: { a: "long" } }, estimated(2, 0), 0],
      ["nothing of a beginning", { _tag: "Started", provider: "p", model: "m" }, estimated(2, 0), 0]
    ]
    it.each(told)("%s", (_, event, usage, emitted) => {
      const meter = after([event])
      expect(meter.soFar()).toEqual(usage)
      expect(meter.emitted).toBe(emitted)
      expect(Math.ceil(meter.output / 4)).toBe(usage.outputTokens)
    })

    it("the prompt, when it is asked for; nothing for one that is not valid", () => {
      expect(new Meter({ prompt: "1234", system: "12345" }).input).toBe(9)
      expect(new Meter({ prompt: "1234", maxTokens: -1 }).input).toBe(0)
      const unread: LlmRequest = {
        get prompt(): string {
          throw new Error("read")
        }
      }
      expect(after([token("a"), finished], unread).total(undefined)).toEqual(usage)
    })

    it("no prompt where the request is not known", () => {
      const meter = new Meter(undefined)
      meter.see(token("1234"))
      expect(meter.soFar()).toEqual({ source: "estimated", outputTokens: 1 })
      expect(meter.whole(undefined)).toEqual({ source: "estimated", outputTokens: 1 })
    })
  })

  describe("the provider's own count wins", () => {
    const raw = { ...usage, raw: { total: 10 } }

    it("of the end, as it is, and the last one", () => {
      const meter = after([token("1234"), finished, { _tag: "Finished", reason: "stop", usage: raw }])
      expect(meter.total(llmError(cut, { usage: exact(1, 1) }))).toBe(raw)
      expect(meter.whole(undefined)).toBe(raw)
    })

    it("of the error, also where the request was refused", () => {
      expect(after([token("1234")]).total(llmError(cut, { usage }))).toEqual(usage)
      expect(after([]).total(refusedBy("headers", usage))).toEqual(usage)
    })

    it("of all attempts, where the end tells them", () => {
      expect(after([failed(llmError(cut, { usage })), finished]).total(undefined)).toEqual(usage)
    })

    it("what was half told is estimated for who wants the whole, and marked", () => {
      const half = (usage: LlmUsage) => after([token("1234"), { _tag: "Finished", reason: "stop", usage }])
      const input = half({ source: "exact", inputTokens: 30, cacheReadTokens: 3 })
      expect(input.total(undefined)).toEqual({ source: "exact", inputTokens: 30, cacheReadTokens: 3 })
      expect(input.whole(undefined)).toEqual(estimated(30, 1, { cacheReadTokens: 3 }))
      expect(half({ source: "exact", outputTokens: 30 }).whole(undefined)).toEqual(estimated(2, 30))
      expect(after([]).whole(refusedBy("headers", { source: "exact", inputTokens: 5 }))).toEqual(estimated(5, 0))
    })
  })

  describe("a request that was refused", () => {
    it.each(["request", "headers"] as const)("used nothing: in phase %s", (phase) => {
      expect(after([]).total(refusedBy(phase))).toBeUndefined()
      expect(after([]).whole(refusedBy(phase))).toEqual(exact(0, 0))
    })

    it("after attempts that used something: theirs", () => {
      const meter = after([failed(llmError(cut, { usage: exact(5, 1) }))])
      expect(meter.total(refusedBy("headers"))).toEqual(exact(5, 1))
      expect(meter.whole(refusedBy("headers"))).toEqual(exact(5, 1))
    })

    it("and was followed by another attempt leaves what came as it was", () => {
      expect(after([token("1234"), failed(refusedBy("headers")), token("1234")]).soFar()).toEqual(estimated(2, 2))
    })

    it("is not one that began to answer", () => {
      expect(after([]).total(llmError(cut, { phase: "before-output" }))).toEqual(estimated(2, 0))
    })
  })

  describe("attempts that were given up", () => {
    const tell = { AttemptFailed: failed, Restarted: restarted, Switched: switched }

    it.each(Object.entries(tell))("%s: what it tells, once, and what came of it no more", (_, event) => {
      const error = llmError(cut, { usage: exact(5, 1) })
      const events = [token("12345678"), thought("1234"), event(error), token("1234")]
      expect(after(events).soFar()).toEqual(estimated(7, 2))
      expect(after(events).total(undefined)).toEqual(estimated(7, 2))
      expect(after(events).total(llmError(cut))).toEqual(estimated(7, 2))
      expect(after(events).output).toBe(4)
      expect(after(events).emitted).toBe(12)
    })

    it("that do not tell are estimated, each with its prompt", () => {
      const events = [
        token("12345678"),
        restarted(llmError(cut, { emitted: 8 })),
        thought("1234"),
        failed(llmError(cut))
      ]
      expect(after(events).soFar()).toEqual(estimated(6, 3, { reasoningTokens: 1 }))
    })

    it("an error may know of more text than has passed", () => {
      expect(after([token("1234"), failed(llmError(cut, { emitted: 8 }))]).soFar()).toEqual(estimated(4, 2))
      expect(after([token("1234")]).total(llmError(cut, { emitted: 8 }))).toEqual(estimated(2, 2))
      expect(after([token("12345678")]).total(llmError(cut, { emitted: 4 }))).toEqual(estimated(2, 2))
    })

    it("are counted once where two events tell one error, and each where they are two", () => {
      const [one, two] = [llmError(cut, { usage: exact(5, 1) }), llmError(cut, { usage: exact(5, 1) })]
      expect(after([restarted(one), token("1234"), switched(one)]).soFar()).toEqual(estimated(7, 2))
      expect(after([restarted(one), failed(two), switched(one), switched(two)]).soFar()).toEqual(estimated(12, 2))
      const untold = llmError(cut)
      expect(after([restarted(untold), switched(untold)]).soFar()).toEqual(estimated(4, 0))
    })
  })

  describe("policies in policies: an attempt is counted once, by the innermost or by the sum", () => {
    /** Fails after it has told its model, or answers without an end. */
    const model = (...turns: ReadonlyArray<LlmUsage | undefined>) => {
      let turn = 0
      return {
        events: () => {
          const used = turns[turn++]
          const started: LlmEvent = { _tag: "Started", provider: "p" }
          return used === undefined
            ? arrays([[token("1234")]])
            : arrays([[started]], Effect.fail(llmError(new Truncated({ message: "cut" }), { usage: used })))
        }
      }
    }
    const read = Effect.fnUntraced(function* (llm: { events: ReturnType<typeof service>["events"] }) {
      const meter = new Meter(request)
      yield* Stream.runForEach(llm.events(request), (event) => Effect.sync(() => meter.see(event)))
      return meter.soFar()
    })

    it.effect("a retry in a fallback", () =>
      Effect.gen(function* () {
        const retrying = Retry.attach(model(exact(1, 0), exact(20, 0), exact(300, 0)), { schedule: Schedule.recurs(2) })
        expect(yield* read(Fallback.make([retrying, model(undefined)]))).toEqual(estimated(321 + 2, 1))
      })
    )

    it.effect("a fallback in a fallback, whose errors name those that failed before", () =>
      Effect.gen(function* () {
        const inner = Fallback.make([model(exact(1, 0)), model(exact(20, 0))])
        expect(yield* read(Fallback.make([inner, model(exact(300, 0)), model(undefined)]))).toEqual(
          estimated(321 + 2, 1)
        )
      })
    )

    it.effect("a retry in a retry in a fallback", () =>
      Effect.gen(function* () {
        const failing = model(exact(1, 0), exact(20, 0), exact(300, 0), exact(4000, 0))
        const once = { schedule: Schedule.recurs(1) }
        const llm = Fallback.make([Retry.attach(Retry.attach(failing, once), once), model(undefined)])
        expect(yield* read(llm)).toEqual(estimated(4321 + 2, 1))
      })
    )

    it.effect("a hedge in a fallback", () =>
      Effect.gen(function* () {
        const broken = service(
          arrays([[token("1234")]], Effect.fail(llmError(new Truncated({ message: "cut" }), { usage: exact(20, 1) })))
        )
        const hedge = Hedge.make([model(exact(1, 0)), broken], { after: "1 hour" })
        expect(yield* read(Fallback.make([hedge, model(undefined)], { afterOutput: "restart" }))).toEqual(
          estimated(21 + 2, 2)
        )
      })
    )
  })
})
