import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as LlmError from "effect-rill/LlmError"

const error = new LlmError.LlmError({
  reason: new LlmError.RateLimited({ message: "too fast.", status: 429, code: "rate_limit_exceeded" }),
  provider: "openai",
  model: "gpt-test",
  phase: "headers",
  emitted: 0,
  usage: { source: "estimated", inputTokens: 3 },
  requestId: "req_1",
  retryAfter: Duration.millis(1500)
})

describe("LlmError", () => {
  it("is an Error whose message says who, what, how long to wait, and which request", () => {
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe("openai/gpt-test: RateLimited: too fast. Before the next try, wait 2 s. (request req_1)")
  })

  it.effect("is caught by its tag, and its reasons by theirs", () =>
    Effect.gen(function* () {
      const failing: Effect.Effect<string, LlmError.LlmError> = Effect.fail(error)
      const reason = yield* failing.pipe(
        Effect.catchReason("LlmError", "RateLimited", (reason) => Effect.succeed(`status ${reason.status}`))
      )
      expect(reason).toBe("status 429")
      const stream = Stream.fail(error).pipe(Stream.catchTag("LlmError", (e) => Stream.succeed(e.provider)))
      expect(yield* Stream.mkString(stream)).toBe("openai")
    })
  )

  it.effect("survives JSON", () =>
    Effect.gen(function* () {
      const codec = Schema.toCodecJson(LlmError.LlmError)
      const json = JSON.stringify(yield* Schema.encodeEffect(codec)(error))
      const back = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(json))
      expect(LlmError.isLlmError(back)).toBe(true)
      expect(back).toMatchObject({ reason: { _tag: "RateLimited", status: 429 }, requestId: "req_1", emitted: 0 })
      expect(back.message).toBe(error.message)
      expect(Duration.toMillis(back.retryAfter!)).toBe(1500)
    })
  )

  it.effect("survives JSON with the path of an invalid output", () =>
    Effect.gen(function* () {
      const codec = Schema.toCodecJson(LlmError.LlmError)
      const reason = new LlmError.InvalidOutput({ message: "not so", path: ["steps", 1, "text"] })
      const error = new LlmError.LlmError({ reason, provider: "p", phase: "mid-output", emitted: 9 })
      const back = yield* Schema.decodeUnknownEffect(codec)(
        JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(error)))
      )
      expect(back.reason).toBeInstanceOf(LlmError.InvalidOutput)
      expect(back.reason).toMatchObject({ path: ["steps", 1, "text"] })
      expect(back.message).toBe("p: InvalidOutput: not so")
    })
  )

  it.each([
    [new LlmError.Unreachable({ message: "x" }), true],
    [new LlmError.Disconnected({ message: "x" }), true],
    [new LlmError.Truncated({ message: "x" }), true],
    [new LlmError.Malformed({ message: "x" }), false],
    [new LlmError.InvalidOutput({ message: "x", path: [] }), false],
    [new LlmError.InvalidRequest({ message: "x" }), false]
  ])("$0._tag is retryable: $1, unless the provider says otherwise", (reason, retryable) => {
    const fields = { reason, provider: "p", phase: "mid-output", emitted: 0 } as const
    expect(new LlmError.LlmError(fields).isRetryable).toBe(retryable)
    expect(new LlmError.LlmError({ ...fields, shouldRetry: !retryable }).isRetryable).toBe(!retryable)
  })
})
