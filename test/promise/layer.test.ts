/** A client of any Layer. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import * as LlmError from "effect-rill/LlmError"
import * as OpenAi from "effect-rill/provider/OpenAi"
import { fromLayer } from "effect-rill/promise/FromLayer"
import * as Rill from "effect-rill/promise/Rill"
import { assert, expect, it } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"
import { finished, llmError, token } from "../support/scriptedLlm.ts"

const rillError = async (promise: Promise<unknown>): Promise<Rill.RillError> => {
  try {
    await promise
  } catch (error) {
    assert.instanceOf(error, Rill.RillError)
    return error
  }
  assert.fail("it was not rejected")
}

/** A model whose building and release are counted. */
const counted = (events: Llm.Llm["Service"]["events"]) => {
  const count = { built: 0, released: 0 }
  const layer = Layer.effect(
    Llm.Llm,
    Effect.acquireRelease(
      Effect.sync(() => {
        count.built++
        return Llm.Llm.of({ events })
      }),
      () => Effect.sync(() => void count.released++)
    )
  )
  return { count, layer }
}

it("is built by the first call, once, and released by close", async () => {
  const { count, layer } = counted(() => Stream.make(token("a"), finished))
  const told: Array<string> = []
  const rill = fromLayer(layer, { callbacks: { onToken: (text) => told.push(text) } })
  const unread = rill.stream("x")
  expect(count).toEqual({ built: 0, released: 0 })
  expect((await rill.run("x")).text).toBe("a")
  expect(await (await unread.toResponse({ format: "text" })).text()).toBe("a")
  expect(told).toEqual(["a", "a"])
  expect(count).toEqual({ built: 1, released: 0 })
  await rill.close()
  expect(count).toEqual({ built: 1, released: 1 })
  expect((await rillError(rill.run("x"))).reason).toBe("Closed")
})

it("one that is never used is never built", async () => {
  const { count, layer } = counted(() => Stream.empty)
  await fromLayer(layer).close()
  expect(count).toEqual({ built: 0, released: 0 })
})

it("of a provider, with its own options and other models; retries only where asked", async () => {
  await using server = await ChatServer.start([
    ChatServer.failure(503, { "retry-after-ms": "1" }),
    ChatServer.failure(503, { "retry-after-ms": "1" }),
    ChatServer.answer("a")
  ])
  const layer = OpenAi.layer({
    model: "gpt-test",
    apiKey: Redacted.make("sk-1"),
    baseUrl: server.baseUrl
  }).pipe(Layer.provide(FetchHttpClient.layer))
  await using rill = fromLayer(layer)
  expect((await rillError(rill.run("x"))).reason).toBe("Overloaded")
  await using patient = fromLayer(layer, { retries: 1 })
  expect((await patient.run("x")).text).toBe("a")
  await using other = fromLayer(counted(() => Stream.fail(llmError(new LlmError.Overloaded({ message: "m" })))).layer, {
    fallback: [patient]
  })
  expect((await other.run("x")).text).toBe("a")
  await using impatient = fromLayer(
    OpenAi.layer({ model: "m", apiKey: Redacted.make("k"), baseUrl: "http://127.0.0.1:1" }).pipe(
      Layer.provide(FetchHttpClient.layer)
    ),
    { timeout: -1 }
  )
  expect((await rillError(impatient.run("x"))).reason).toMatch(/DeadlineExceeded|Unreachable/)
})

class NoKey extends Data.TaggedError("NoKey")<{ readonly secret: string }> {}

it("an error of the layer is told by each call, typed, and by nothing else", async () => {
  let built = 0
  const layer = Layer.effect(
    Llm.Llm,
    Effect.suspend(() => {
      built++
      return Effect.fail(new NoKey({ secret: "sk-secret" }))
    })
  )
  const ends: Array<string> = []
  await using rill = fromLayer(layer, { callbacks: { onEnd: ({ status }) => void ends.push(status) } })
  const loop = async () => {
    for await (const _ of rill.stream("x"));
  }
  for (const call of [() => rill.run("x"), loop, () => rill.stream("x").toResponse()]) {
    // oxlint-disable-next-line no-await-in-loop
    const error = await rillError(call())
    expect([error.reason, error.phase, error.isRetryable]).toEqual(["LayerFailed", "request", false])
    expect(error.cause).toBeInstanceOf(NoKey)
    expect(error.message).not.toContain("secret")
    expect(error.stack).toContain("layer.test.ts")
  }
  expect([built, ends]).toEqual([1, []])

  const unreachable = llmError(new LlmError.Unreachable({ message: "no gateway" }))
  await using other = fromLayer(Layer.effect(Llm.Llm, Effect.fail(unreachable)))
  expect((await rillError(other.run("x"))).reason).toBe("Unreachable")
})
