import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as LlmError from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Rill from "effect-rill/promise/Rill"
import { expect, it } from "vitest"
import { make } from "../../src/promise/internal/client.ts"
import * as plain from "../../src/promise/internal/plain.ts"
import { finished, llmError, token } from "../support/scriptedLlm.ts"

const client = (events: Stream.Stream<LlmEvent, LlmError.LlmError>, callbacks: Rill.Callbacks = {}) =>
  make({ name: "test", llm: Effect.succeed({ events: () => events }) }, { callbacks })

it("what policies tell, with plain errors", async () => {
  const error = llmError(new LlmError.Overloaded({ message: "busy" }))
  const told: Array<unknown> = []
  const events: ReadonlyArray<LlmEvent> = [
    { _tag: "AttemptFailed", attempt: 1, error },
    { _tag: "Switched", from: "one", to: "two", error },
    { _tag: "Restarted", error },
    finished
  ]
  await using rill = client(Stream.fromIterable(events), {
    onRetry: (event) => told.push(event),
    onSwitch: (event) => told.push(event)
  })
  const seen: Array<Rill.Event> = []
  for await (const event of rill.events("x")) seen.push(event)
  expect(seen.map(({ _tag }) => _tag)).toEqual(["AttemptFailed", "Switched", "Restarted", "Finished"])
  expect(told).toEqual(seen.slice(0, 3))
  for (const event of seen) {
    if (!("error" in event)) continue
    expect(event.error).toBeInstanceOf(Rill.RillError)
    expect(event.error.reason).toBe("Overloaded")
  }
})

it("what a reason knows, its error knows", () => {
  const message = "because"
  const cases: ReadonlyArray<readonly [LlmError.Reason, Partial<Rill.RillError>]> = [
    [new LlmError.Unreachable({ message, code: "ENOTFOUND" }), { code: "ENOTFOUND", isRetryable: true }],
    [
      new LlmError.NotFound({ message, status: 404, code: "model_not_found" }),
      { status: 404, code: "model_not_found" }
    ],
    [new LlmError.ContentFiltered({ message, refusal: "no" }), { refusal: "no", isRetryable: false }],
    [new LlmError.DeadlineExceeded({ message, which: "idle" }), { deadline: "idle" }],
    [new LlmError.Unsupported({ message, feature: "audio" }), { feature: "audio" }],
    [new LlmError.Malformed({ message, status: 200 }), { status: 200 }]
  ]
  for (const [reason, fields] of cases) {
    const error = plain.error(llmError(reason))
    expect(error.reason).toBe(reason._tag)
    expect(error.message).toContain(message)
    expect(error).toMatchObject(fields)
  }
  const patient = new LlmError.LlmError({
    reason: new LlmError.RateLimited({ message }),
    provider: "test",
    phase: "headers",
    emitted: 0,
    retryAfter: Duration.seconds(3)
  })
  expect(plain.error(patient).retryAfter).toBe(3000)
  expect(plain.error(patient)).toBe(plain.error(patient))
})

it("tool calls, sources and what a provider wants to see again", async () => {
  const metadata = { test: { signature: "s" } }
  const events: ReadonlyArray<LlmEvent> = [
    { _tag: "ReasoningDelta", text: "hm", metadata },
    { _tag: "Source", sourceType: "url", url: "https://example.com" },
    { _tag: "ToolCalled", id: "1", name: "add", input: { a: 1 }, metadata },
    { ...finished, _tag: "Finished", reason: "tool-calls", usage: { source: "exact" } }
  ]
  await using rill = client(Stream.fromIterable(events))
  const response = await rill.run("x")
  expect(response.toolCalls).toEqual([{ id: "1", name: "add", input: { a: 1 }, metadata }])
  expect(response.sources).toEqual([{ sourceType: "url", url: "https://example.com" }])
  expect(response.message).toEqual({
    role: "assistant",
    content: [
      { type: "reasoning", text: "hm", options: metadata },
      { type: "tool-call", id: "1", name: "add", params: { a: 1 }, options: metadata }
    ]
  })
})

it("nothing is read that is not asked for", async () => {
  let pulled = 0
  const source = Stream.fromIterable(
    Array.from({ length: 100 }, () => token("a")),
    { chunkSize: 10 }
  ).pipe(
    Stream.mapArray((events) => {
      pulled++
      return events
    })
  )
  await using rill = client(source)
  const iterator = rill.stream("x")[Symbol.asyncIterator]()
  await iterator.next()
  await new Promise(setImmediate)
  expect(pulled).toBe(1)
  for (let i = 1; i < 11; i++) {
    // oxlint-disable-next-line no-await-in-loop
    await iterator.next()
  }
  await new Promise(setImmediate)
  expect(pulled).toBe(2)
  await iterator.return?.()
})
