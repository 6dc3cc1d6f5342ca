import { describe, expect, it } from "@effect/vitest"
import * as CliError from "effect/cli/CliError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Json from "../../src/cli/Json.ts"
import * as Report from "../../src/cli/Report.ts"
import { Authentication, ContentFiltered, LlmError, RateLimited, type Reason, Unreachable } from "../../src/LlmError.ts"
import type { LlmEvent } from "../../src/LlmEvent.ts"
import { exceeded, none } from "../../src/wire/Limits.ts"

const error = (reason: Reason) =>
  new LlmError({
    reason,
    provider: "openai",
    model: "test",
    phase: "mid-output",
    emitted: 3,
    retryAfter: Duration.seconds(2)
  })

const limited = error(new RateLimited({ message: "slow down.", status: 429 }))

const lines = (events: Stream.Stream<LlmEvent, LlmError>, shown = false) =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const exit = yield* Effect.exit(
      Stream.runForEach(Json.lines(events, shown), (line) => Effect.sync(() => out.push(line)))
    )
    return { out, exit: exit._tag }
  })

describe("Json", () => {
  it.effect("writes the events of policies with their errors, which can be read back", () =>
    Effect.gen(function* () {
      const { out } = yield* lines(Stream.make({ _tag: "AttemptFailed", attempt: 1, error: limited }))
      expect(out.length).toBe(1)
      const event = JSON.parse(out[0]!)
      expect(event).toMatchObject({ _tag: "AttemptFailed", attempt: 1, error: { message: limited.message } })
      const back = Schema.decodeUnknownSync(Schema.toCodecJson(LlmError))(event.error)
      expect(back).toEqual(limited)
    })
  )

  it.effect("ends with the error where the turn fails, and fails", () =>
    Effect.gen(function* () {
      const text: LlmEvent = { _tag: "TextDelta", text: "a\nb" }
      const { exit, out } = yield* lines(Stream.concat(Stream.make(text), Stream.fail(limited)))
      expect(exit).toBe("Failure")
      expect(out.every((line) => /^[^\n]+\n$/.test(line))).toBe(true)
      expect(JSON.parse(out[0]!)).toEqual(text)
      expect(JSON.parse(out[1]!)).toMatchObject({ _tag: "LlmError", reason: { _tag: "RateLimited", status: 429 } })
    })
  )

  it.effect("escapes for a terminal what JSON leaves", () =>
    Effect.gen(function* () {
      const event: LlmEvent = { _tag: "TextDelta", text: "\x1b[0m\x9b0m\x7f" }
      const shown = yield* lines(Stream.make(event), true)
      // oxlint-disable-next-line eslint/no-control-regex -- what must not be there
      expect(shown.out[0]).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
      expect(JSON.parse(shown.out[0]!)).toEqual(event)
      expect((yield* lines(Stream.make(event))).out[0]).toContain("\x9b")
    })
  )
})

describe("Report", () => {
  it("quotes a refusal, and speaks of no function of the library", () => {
    const refused = Report.failure(
      error(new ContentFiltered({ message: "… `reason.refusal` …", refusal: "I would rather not." }))
    )
    expect(refused).toContain("“I would rather not.”")
    const filtered = Report.failure(error(new ContentFiltered({ message: "… `Llm.events` …" })))
    expect(`${refused}${filtered}`).not.toContain("`")
  })

  it("names the models that failed before last, whatever it says of this one", () => {
    const before = "openai/a: RateLimited"
    const failed = (reason: Reason) =>
      Report.failure(new LlmError({ reason, provider: "openai", phase: "headers", emitted: 0, failedBefore: [before] }))
    for (const reason of [
      new Authentication({ message: "no." }),
      new Unreachable({ message: "no." }),
      new ContentFiltered({ message: "no." }),
      new RateLimited({ message: "no." })
    ]) {
      expect(failed(reason).split(` Failed before: ${before}.`)).toEqual([expect.stringContaining(reason._tag), ""])
    }
    expect(failed(new Authentication({ message: "no." }))).toContain("no. The key is read from OPENAI_API_KEY. Failed")
  })

  it.each(["first-token", "idle"] as const)("speaks of a flag for the deadline %s", (which) => {
    const message = Report.failure(error(exceeded({ ...none, firstToken: 1000, idle: 1000 }, which)))
    expect(message).toContain("raise --timeout.")
    expect(message).not.toContain("`")
  })

  it("says which flag was meant", () => {
    const complaint = (option: string, suggestions: ReadonlyArray<string>) =>
      Report.complaint(new CliError.UnrecognizedOption({ option, suggestions, command: ["rill"] }))
    expect(complaint("--modle", ["--model"])).toContain("Did you mean --model?")
    expect(complaint("-5", ["-m", "-s"])).not.toContain("Did you mean")
    expect(complaint("-5", [])).toContain("put -- before the prompt")
  })

  it.each([
    [{ source: "exact", inputTokens: 3, outputTokens: 2 }, "usage: 3 input + 2 output tokens"],
    [{ source: "estimated", inputTokens: 3, outputTokens: 0 }, "usage: 3 input + 0 output tokens, estimated"],
    [
      { source: "exact", inputTokens: 30, cacheReadTokens: 20, outputTokens: 9, reasoningTokens: 4 },
      "usage: 30 input (20 cached) + 9 output (4 reasoning) tokens"
    ],
    [{ source: "exact" }, "usage: not reported"]
  ] as const)("tells usage %j", (usage, line) => {
    expect(Report.usage(usage)).toBe(line)
  })
})
