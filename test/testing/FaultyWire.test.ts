import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as FaultyWire from "effect-rill/testing/FaultyWire"

const { chunk, eof, linger, pause, reset, status } = FaultyWire

const get = HttpClientRequest.post("http://localhost/x?y=1").pipe(
  HttpClientRequest.setHeader("x-a", "b"),
  HttpClientRequest.bodyText("hello")
)

/** What a client reads of one exchange: its chunks, each with the time it came at, and the end. */
const read = (exchange: FaultyWire.Exchange) =>
  Effect.gen(function* () {
    const { client, wire } = yield* FaultyWire.make([exchange])
    const chunks: Array<string> = []
    const fiber = yield* client.execute(get).pipe(
      Effect.flatMap((response) =>
        Effect.as(
          Stream.runForEach(response.stream, (bytes) =>
            Effect.sync(() => chunks.push(new TextDecoder().decode(bytes)))
          ),
          response
        )
      ),
      Effect.forkChild
    )
    return { chunks, fiber, wire, what: Effect.map(wire.trace, (trace) => trace.map(({ at, what }) => [at, what])) }
  })

describe("a wire", () => {
  it.effect("plays its script: a head, chunks as they are cut, an end", () =>
    Effect.gen(function* () {
      const { chunks, fiber, wire } = yield* read([
        status(201, { "x-b": "c" }),
        chunk("one"),
        chunk(new Uint8Array([0x74, 0x77, 0x6f])),
        eof,
        chunk("never")
      ])
      const response = yield* Fiber.join(fiber)
      expect([response.status, response.headers["x-b"], response.headers["content-type"]]).toEqual([
        201,
        "c",
        "text/event-stream"
      ])
      expect(chunks).toEqual(["one", "two"])
      expect(yield* wire.trace).toEqual([
        { at: 0, request: 0, what: "Requested" },
        { at: 0, request: 0, what: "Answered" },
        { at: 0, request: 0, what: "Read", bytes: 3 },
        { at: 0, request: 0, what: "Read", bytes: 3 },
        { at: 0, request: 0, what: "Ended" }
      ])
      expect(yield* wire.requests).toMatchObject([
        {
          index: 0,
          method: "POST",
          url: "http://localhost/x?y=1",
          headers: { "x-a": "b", "content-type": "text/plain", "content-length": "5" },
          body: "hello"
        }
      ])
    })
  )

  it.effect("has a good head and an end, where its script says neither", () =>
    Effect.gen(function* () {
      const { chunks, fiber, what } = yield* read([chunk("one")])
      const response = yield* Fiber.join(fiber)
      expect([response.status, response.headers["content-type"], chunks]).toEqual([200, "text/event-stream", ["one"]])
      expect((yield* what).at(-1)).toEqual([0, "Ended"])
    })
  )

  it.effect("pauses on the clock, before the head and in the body", () =>
    Effect.gen(function* () {
      const { fiber, what } = yield* read([pause("2 seconds"), status(200), chunk("one"), pause(500), chunk("two")])
      yield* TestClock.adjust("1999 millis")
      expect(yield* what).toEqual([[0, "Requested"]])
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      expect(yield* what).toEqual([
        [0, "Requested"],
        [2000, "Answered"],
        [2000, "Read"],
        [2500, "Read"],
        [2500, "Ended"]
      ])
    })
  )

  it.effect("a pause that its reader gave up goes on for the rest of its time", () =>
    Effect.gen(function* () {
      const { client } = yield* FaultyWire.make([[chunk("one"), pause("3 seconds"), chunk("two")]])
      const { stream } = yield* client.execute(get)
      const pulls = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const pull = yield* Stream.toPull(stream)
            yield* pull
            const early = yield* Effect.timeoutOption(pull, "1 second")
            const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
            yield* pull
            return [early._tag, before, yield* Effect.clockWith((clock) => clock.currentTimeMillis)]
          })
        )
      )
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(pulls)).toEqual(["None", 1000, 3000])
    })
  )

  it.effect("resets before the head and in the body, with the system's code", () =>
    Effect.gen(function* () {
      for (const exchange of [[reset("ECONNREFUSED")], [pause(0), reset("ECONNREFUSED")]]) {
        const { fiber, what } = yield* read(exchange)
        const error = yield* Effect.flip(Fiber.join(fiber))
        expect(error.reason).toMatchObject({ _tag: "TransportError", cause: { code: "ECONNREFUSED" } })
        expect(yield* what).toEqual([
          [0, "Requested"],
          [0, "Reset"]
        ])
      }
      const { chunks, fiber, what } = yield* read([chunk("one"), reset()])
      const error = yield* Effect.flip(Fiber.join(fiber))
      expect(error.reason).toMatchObject({ _tag: "DecodeError", cause: { code: "ECONNRESET" } })
      expect(chunks).toEqual(["one"])
      expect((yield* what).at(-1)).toEqual([0, "Reset"])
    })
  )

  it.effect("lingers until its client closes, which is told once", () =>
    Effect.gen(function* () {
      const { fiber, what, wire } = yield* read([chunk("one"), linger])
      yield* TestClock.adjust("1 day")
      expect([fiber.pollUnsafe(), yield* wire.open]).toEqual([undefined, 1])
      yield* Fiber.interrupt(fiber)
      expect((yield* what).slice(3)).toEqual([[86_400_000, "Closed"]])
      expect(yield* wire.open).toBe(0)
    })
  )

  it.effect("is closed by the scope of its request, read or not", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* FaultyWire.make([[status(500), linger]])
      yield* Effect.scoped(HttpClient.withScope(client).execute(get))
      expect(yield* wire.open).toBe(0)
      expect((yield* wire.trace).map(({ what }) => what)).toEqual(["Requested", "Answered", "Closed"])
    })
  )

  it.effect("reads nothing that is not asked for", () =>
    Effect.gen(function* () {
      const { client, wire } = yield* FaultyWire.make([[chunk("one"), chunk("two"), chunk("three")]])
      const { stream } = yield* client.execute(get)
      yield* Stream.runDrain(Stream.take(stream, 1))
      expect((yield* wire.trace).map(({ what }) => what)).toEqual(["Requested", "Answered", "Read", "Closed"])
    })
  )

  it.effect("answers in the order of the requests, or as a function says", () =>
    Effect.gen(function* () {
      const inOrder = yield* FaultyWire.make([[chunk("a")], [chunk("b")]])
      const texts = Effect.forEach([0, 1], () => Effect.flatMap(inOrder.client.execute(get), ({ text }) => text))
      expect(yield* texts).toEqual(["a", "b"])
      const asked = yield* FaultyWire.make(({ body, index }) => [chunk(`${index}: ${body}`)])
      const answers = Effect.forEach([0, 1], () => Effect.flatMap(asked.client.execute(get), ({ text }) => text))
      expect(yield* answers).toEqual(["0: hello", "1: hello"])
    })
  )

  it.effect("dies of a request that its script does not have, and of a status in the middle", () =>
    Effect.gen(function* () {
      const { client } = yield* FaultyWire.make([[chunk("one")]])
      yield* client.execute(get)
      const exit = yield* Effect.exit(client.execute(get))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain("request 2, and its script has 1")
      const { fiber } = yield* read([chunk("one"), status(200)])
      const second = yield* Fiber.await(fiber)
      expect(Exit.isFailure(second) && Cause.pretty(second.cause)).toContain("a status after the head")
    })
  )
})

describe("cuts", () => {
  const sizes = (exchange: FaultyWire.Exchange) =>
    exchange.map((step) => (step._tag === "Chunk" ? step.bytes.length : step._tag))
  const text = (exchange: FaultyWire.Exchange) =>
    exchange.map((step) => (step._tag === "Chunk" ? new TextDecoder("latin1").decode(step.bytes) : "|")).join("")

  const exchange = [status(200), chunk("abcd"), chunk("efg"), pause(1), chunk("hi"), eof]

  it("keep what is sent, and its pauses, and cut what lies between", () => {
    expect(sizes(FaultyWire.cutEvery(exchange, 3))).toEqual(["Status", 3, 3, 1, "Pause", 2, "Eof"])
    expect(sizes(FaultyWire.cutEvery(exchange, Infinity))).toEqual(["Status", 7, "Pause", 2, "Eof"])
    expect(sizes(FaultyWire.cutAt(exchange, 5))).toEqual(["Status", 5, 2, "Pause", 2, "Eof"])
    expect(sizes(FaultyWire.cutAt(exchange, 1))).toEqual(["Status", 1, 6, "Pause", 2, "Eof"])
    expect(sizes(FaultyWire.cutAt(exchange, 0))).toEqual(["Status", 7, "Pause", 2, "Eof"])
    expect(sizes(FaultyWire.cutAt(exchange, 7))).toEqual(["Status", 7, "Pause", 2, "Eof"])
    for (let seed = 0; seed < 50; seed++) {
      expect(text(FaultyWire.cutBySeed(exchange, seed, 3)).replaceAll("|", "")).toBe("abcdefghi")
    }
  })

  it("by a seed are the same for the same seed, and others for others", () => {
    const long = [chunk("x".repeat(1000))]
    const cut = (seed: number) => sizes(FaultyWire.cutBySeed(long, seed)).join()
    expect(cut(7)).toBe(cut(7))
    expect(new Set(Array.from({ length: 20 }, (_, seed) => cut(seed))).size).toBe(20)
    // As it was when this was written: a trace may be quoted in a bug report.
    expect(sizes(FaultyWire.cutBySeed(long, 1)).slice(0, 5)).toEqual([41, 1, 34, 63, 62])
    const every = sizes(FaultyWire.cutBySeed(long, 3, 5))
    expect([Math.min(...every.map(Number).slice(0, -1)), Math.max(...every.map(Number))]).toEqual([1, 5])
  })
})

describe("under a provider", () => {
  const hello = 'data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}\n\n'

  it.effect("a Layer in the place of a client's: same seed, same trace", () =>
    Effect.gen(function* () {
      const exchange = [chunk(hello), pause("30 seconds"), chunk(hello), reset()]
      const trace = Effect.gen(function* () {
        const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        const fiber = yield* Effect.forkChild(Effect.flip(Stream.runDrain(Llm.stream("Hi"))))
        yield* TestClock.adjust("30 seconds")
        const error = yield* Fiber.join(fiber)
        const wire = yield* FaultyWire.FaultyWire
        return {
          reason: error.reason._tag,
          emitted: error.emitted,
          trace: (yield* wire.trace).map(({ at, bytes, what }) => ({ at: at - before, what, bytes }))
        }
      })
      const once = (seed: number) =>
        Effect.provide(
          trace,
          OpenAi.layer({ model: "gpt-test", api: "chat", apiKey: Redacted.make("sk-0123456789") }).pipe(
            Layer.provideMerge(FaultyWire.layer([FaultyWire.cutBySeed(exchange, seed)]))
          )
        )
      const first = yield* once(1)
      expect(first).toMatchObject({ reason: "Disconnected", emitted: 10 })
      expect(first.trace.at(-1)).toEqual({ at: 30_000, what: "Reset" })
      expect(yield* once(1)).toEqual(first)
      expect((yield* once(2)).trace).not.toEqual(first.trace)
    })
  )
})
