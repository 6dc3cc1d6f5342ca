import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import { LlmError, Overloaded } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"

const usage = { source: "exact", inputTokens: 3, outputTokens: 5 } as const
const started: LlmEvent = { _tag: "Started", provider: "test", model: "m" }
const text = (text: string): LlmEvent => ({ _tag: "TextDelta", text })
const refusal = (text: string): LlmEvent => ({ _tag: "Refusal", text })
const finished = (reason: "stop" | "length" | "content-filter" = "stop"): LlmEvent => ({
  _tag: "Finished",
  reason,
  usage
})
const failed = new LlmError({
  reason: new Overloaded({ message: "too busy" }),
  provider: "test",
  phase: "mid-output",
  emitted: 3
})

const scripted = (events: ReadonlyArray<LlmEvent>, error?: LlmError) =>
  Layer.succeed(Llm.Llm, {
    events: () => Stream.concat(Stream.fromIterable(events), error === undefined ? Stream.empty : Stream.fail(error))
  })

const collected = (events: ReadonlyArray<LlmEvent>, error?: LlmError) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const failure = yield* Llm.stream("Hi").pipe(
      Stream.runForEach((text) => Effect.sync(() => seen.push(text))),
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(error)),
      Effect.provide(scripted(events, error))
    )
    return [seen.join("|"), failure?.reason._tag, failure] as const
  })

describe("stream", () => {
  it.effect("gives the text and nothing else", () =>
    Effect.gen(function* () {
      const events = [started, { _tag: "ReasoningDelta", text: "hm" } as const, text("a"), text("b"), finished()]
      expect(yield* collected(events)).toEqual(["a|b", undefined, undefined])
    })
  )

  it.effect("of an answer that the token limit cut succeeds", () =>
    Effect.gen(function* () {
      expect((yield* collected([started, text("a"), finished("length")]))[1]).toBeUndefined()
    })
  )

  // Law 2: in every view, the text alone included.
  it.effect("fails as the events do, after what came before", () =>
    Effect.gen(function* () {
      expect((yield* collected([started, text("a")], failed)).slice(0, 2)).toEqual(["a", "Overloaded"])
    })
  )

  it.effect("fails on a refusal, with its words and its usage, but not in its message", () =>
    Effect.gen(function* () {
      const [seen, tag, error] = yield* collected([started, text("a"), refusal("I can"), refusal("not."), finished()])
      expect([seen, tag]).toEqual(["a", "ContentFiltered"])
      expect(error).toMatchObject({
        reason: { refusal: "I cannot." },
        provider: "test",
        model: "m",
        phase: "mid-output",
        emitted: 1,
        usage,
        isRetryable: false
      })
      expect(error!.message).not.toContain("I cannot.")
    })
  )

  it.effect("fails on a content filter", () =>
    Effect.gen(function* () {
      expect((yield* collected([started, text("a"), finished("content-filter")])).slice(0, 2)).toEqual([
        "a",
        "ContentFiltered"
      ])
    })
  )

  it.effect("fails when an answer is begun anew after text was delivered, and not before", () =>
    Effect.gen(function* () {
      const restarted: LlmEvent = { _tag: "Restarted", error: failed }
      expect((yield* collected([started, text("a"), restarted, text("b"), finished()])).slice(0, 2)).toEqual([
        "a",
        "Overloaded"
      ])
      expect((yield* collected([started, restarted, text("b"), finished()])).slice(0, 2)).toEqual(["b", undefined])
    })
  )
})

describe("run", () => {
  const run = (events: ReadonlyArray<LlmEvent>, error?: LlmError) =>
    Llm.run("Hi").pipe(Effect.provide(scripted(events, error)))

  it.effect("gives the whole of the turn", () =>
    Effect.gen(function* () {
      const response = yield* run([started, text("a"), text("b"), finished()])
      expect(response).toMatchObject({ text: "ab", finishReason: "stop", usage, provider: "test", model: "m" })
    })
  )

  it.effect("fails as the events do, on a refusal and on a content filter", () =>
    Effect.gen(function* () {
      const tags = yield* Effect.forEach(
        [run([started], failed), run([refusal("no"), finished()]), run([finished("content-filter")])],
        (effect) => Effect.map(Effect.flip(effect), (error) => error.reason._tag)
      )
      expect(tags).toEqual(["Overloaded", "ContentFiltered", "ContentFiltered"])
    })
  )

  it.effect("of an answer begun anew is the new one", () =>
    Effect.gen(function* () {
      const response = yield* run([started, text("a"), { _tag: "Restarted", error: failed }, text("b"), finished()])
      expect(response.text).toBe("b")
    })
  )
})

describe("input", () => {
  it.effect.each([
    ["Hi", { prompt: "Hi" }],
    [[{ role: "user", content: "Hi" }], { prompt: [{ role: "user", content: "Hi" }] }],
    [
      { prompt: "Hi", temperature: 1 },
      { prompt: "Hi", temperature: 1 }
    ]
  ] as ReadonlyArray<readonly [Parameters<typeof Llm.run>[0], LlmRequest]>)("%j", ([input, request]) =>
    Effect.gen(function* () {
      const seen: Array<LlmRequest> = []
      const layer = Layer.succeed(Llm.Llm, {
        events: (request) => {
          seen.push(request)
          return Stream.make(finished())
        }
      })
      yield* Llm.run(input).pipe(Effect.provide(layer))
      expect(seen).toEqual([request])
    })
  )
})
