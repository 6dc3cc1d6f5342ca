import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Llm } from "effect-rill/Llm"
import { LlmError, Malformed } from "effect-rill/LlmError"
import * as OpenAi from "effect-rill/provider/OpenAi"
import type { Dialect } from "effect-rill/testing/Dialect"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { describe, expect, it, vi } from "vitest"

const whole = "a whole answer succeeds, with its text as it was sent"
const refusal = "a refusal fails the text view, with the model's words"

const make = OpenAi.make({ model: "model-1", api: "chat" })

/** Says the text alone. */
const dialect: Dialect = {
  ...OpenAiChat.dialect,
  answer: (turn) => (turn.parts.every(({ type }) => type === "text") ? OpenAiChat.dialect.answer(turn) : undefined)
}

const mute: LlmContract.Options["make"] = Effect.succeed<Llm["Service"]>({
  events: () =>
    Stream.fail(
      new LlmError({
        reason: new Malformed({ message: "never" }),
        provider: "mute",
        phase: "before-output",
        emitted: 0
      })
    )
})

describe("a report", () => {
  it("says of each check whether it passed, failed or does not apply, and why", async () => {
    const report = await Effect.runPromise(
      LlmContract.run({ name: "mute", make: mute, dialect, only: [whole, refusal] })
    )
    expect(report).toEqual({
      name: "mute",
      results: [
        { law: 1, check: whole, status: "failed", message: "a whole answer is failed: mute: Malformed: never" },
        { law: 2, check: refusal, status: "not-applicable", message: "this wire has no refusal" }
      ]
    })
    const table = LlmContract.table(report).split("\n")
    expect(table[0]).toMatch(/^law {2}mute +passed {2}failed {2}not applicable$/)
    expect(table[1]).toMatch(/^ +1 {2}Complete or failed +0 +1 +0$/)
    expect(table[2]).toMatch(/^ +2 {2}One failure channel +0 +0 +1$/)
    expect(table[12]).toMatch(/^ +all +0 +1 +1$/)
    expect(table.slice(13)).toEqual([`law 1: ${whole}`, "  a whole answer is failed: mute: Malformed: never"])
  })

  it("has a failure where a provider dies, or cannot be made", async () => {
    const dying = Effect.succeed<Llm["Service"]>({ events: () => Stream.die("boom") })
    for (const [make, message] of [
      [dying, /boom/],
      [Effect.fail("no key"), /make failed: no key/]
    ] as const) {
      const { results } = await Effect.runPromise(LlmContract.run({ name: "x", make, dialect, only: [whole] }))
      expect(results).toMatchObject([{ status: "failed", message: expect.stringMatching(message) }])
    }
  })
})

describe("a suite", () => {
  it("is a test for each check, in any framework, and prints the table at its end", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    const names: Array<string> = []
    const tests: Array<() => Promise<void>> = []
    const ends: Array<() => void> = []
    const framework: LlmContract.Framework = {
      describe: (name, body) => {
        names.push(name)
        body()
      },
      it: (name, test) => {
        names.push(name)
        tests.push(test)
      },
      afterAll: (print) => ends.push(print)
    }
    LlmContract.suite(framework, { name: "mine", make, dialect, only: [whole, refusal] })
    LlmContract.suite(framework, { name: "mute", make: mute, dialect, only: [whole] })
    expect(names).toEqual([
      "the laws, kept by mine",
      "1. Complete or failed",
      whole,
      "2. One failure channel",
      refusal,
      "the laws, kept by mute",
      "1. Complete or failed",
      whole
    ])
    const outcomes = await Promise.allSettled(tests.map((test) => test()))
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"])
    for (const end of ends) end()
    expect(log.mock.calls.map(([table]) => String(table).split("\n").slice(12))).toEqual([
      [expect.stringMatching(/all +1 +0 +1$/)],
      [expect.stringMatching(/all +0 +1 +0$/), `law 1: ${whole}`, expect.any(String)]
    ])
    log.mockRestore()
  })
})
