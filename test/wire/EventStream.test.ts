import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as EventStream from "effect-rill/wire/EventStream"
import { bytes, decodeBytes } from "../support/decodeBytes.ts"

const delta = (content: string): string =>
  `data: {"choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}}}]}\n\n`
const finish = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n`
const usage = `data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n`
const done = "data: [DONE]\n\n"

const tags = (events: ReadonlyArray<LlmEvent>) => events.map((event) => event._tag)

/** A body that sends pieces and then stays open. */
const heldOpen = (...pieces: ReadonlyArray<string>) =>
  Stream.concat(Stream.fromIterable(pieces.map(bytes), { chunkSize: 1 }), Stream.never)

const decode = <E>(body: Stream.Stream<Uint8Array, E>) => decodeBytes(OpenAiChat.protocol, body)

// Laws 1 and 3.
describe("the end", () => {
  it.effect("[DONE] completes at once, though the peer keeps the body open and no clock moves", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode(heldOpen(delta("Hi"), finish, usage, done))
      expect(error).toBeUndefined()
      expect(tags(events)).toEqual(["Started", "TextDelta", "Finished"])
    })
  )

  it.live("what ends the body after [DONE] is read, so that its connection can serve the next request", () =>
    Effect.gen(function* () {
      const pieces = [bytes(delta("Hi") + finish + done), bytes(": bye\n\n"), bytes("\n")]
      // It would wait for ten minutes if the rest was not asked for.
      const { error, events } = yield* decodeBytes(OpenAiChat.protocol, pieces).pipe(
        Effect.provideService(EventStream.Settling, Duration.minutes(10))
      )
      expect(error).toBeUndefined()
      expect(tags(events)).toEqual(["Started", "TextDelta", "Finished"])
    })
  )

  it.effect("nothing after [DONE] is decoded", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode(
        Stream.make(bytes(delta("Hi") + finish + done + delta("more") + "data: {bad\n\n"))
      )
      expect(error).toBeUndefined()
      expect(tags(events)).toEqual(["Started", "TextDelta", "Finished"])
    })
  )

  it.effect("a finish reason alone completes after the grace of 1 s, with the usage that came within it", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(decode(heldOpen(delta("Hi"), finish, usage)))
      yield* TestClock.adjust("999 millis")
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 millis")
      const { error, events } = yield* Fiber.join(fiber)
      expect(error).toBeUndefined()
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "stop", usage: { outputTokens: 5 } })
    })
  )

  it.effect("the grace is not begun anew by what comes within it", () =>
    Effect.gen(function* () {
      const ticks = Stream.fromEffect(Effect.as(Effect.sleep("400 millis"), bytes(": ping\n\n"))).pipe(Stream.forever)
      const fiber = yield* Effect.forkChild(decode(Stream.concat(Stream.make(bytes(delta("Hi") + finish)), ticks)))
      yield* TestClock.adjust("1 second")
      const { error, events } = yield* Fiber.join(fiber)
      expect(error).toBeUndefined()
      expect(tags(events)).toEqual(["Started", "TextDelta", "Finished"])
    })
  )

  it.effect("an error within the grace fails", () =>
    Effect.gen(function* () {
      const late = Stream.fromEffect(
        Effect.as(Effect.sleep("500 millis"), bytes('data: {"error":{"message":"x"}}\n\n'))
      )
      const fiber = yield* Effect.forkChild(decode(Stream.concat(Stream.make(bytes(delta("Hi") + finish)), late)))
      yield* TestClock.adjust("500 millis")
      const { error } = yield* Fiber.join(fiber)
      expect(error?.reason._tag).toBe("ProviderFailed")
    })
  )

  it.effect("no end, no grace: a stalled answer waits", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(decode(heldOpen(delta("Hi"))))
      yield* TestClock.adjust("1 hour")
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(fiber)
    })
  )
})

// Law 2.
describe("failures", () => {
  it.effect("what was decoded before a failure is delivered before it", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode(
        Stream.make(bytes(delta("a") + delta("b") + "data: {bad\n\n" + delta("c")))
      )
      expect(tags(events)).toEqual(["Started", "TextDelta", "TextDelta"])
      expect(error).toMatchObject({
        reason: { _tag: "Malformed" },
        phase: "mid-output",
        emitted: 2,
        usage: { source: "estimated" }
      })
    })
  )

  it.effect("a defect of the body is a defect, an interruption an interruption", () =>
    Effect.gen(function* () {
      const died = yield* Effect.exit(decode(Stream.concat(Stream.make(bytes(delta("a"))), Stream.die("boom"))))
      expect(Exit.isFailure(died) && Cause.hasDies(died.cause)).toBe(true)
      const body = Stream.concat(Stream.make(bytes(delta("a"))), Stream.fromEffect(Effect.interrupt))
      const interrupted = yield* Effect.exit(decode(body))
      expect(Exit.isFailure(interrupted) && Cause.hasInterruptsOnly(interrupted.cause)).toBe(true)
    })
  )

  it.effect("an event beyond the limit is Malformed, whether its end comes or not", () =>
    Effect.gen(function* () {
      for (const end of ["", "\n\n"]) {
        const body = [
          bytes(delta("a")),
          ...Array.from({ length: 50 }, () => bytes(`data: ${"x".repeat(100)}\n`)),
          bytes(end)
        ]
        const { error } = yield* decodeBytes(OpenAiChat.protocol, body, { maxEventLength: 1000 })
        expect(error).toMatchObject({
          reason: { _tag: "Malformed", message: expect.stringContaining("1000 bytes") }
        })
      }
      const whole = yield* decodeBytes(OpenAiChat.protocol, [bytes(delta("x".repeat(2000)) + finish + done)], {
        maxEventLength: 1000
      })
      expect(whole.error?.reason._tag).toBe("Malformed")
      expect(whole.events).toEqual([])
      const line = [bytes("data: "), ...Array.from({ length: 50 }, () => bytes("x".repeat(100)))]
      const { error } = yield* decodeBytes(OpenAiChat.protocol, line, { maxEventLength: 1000 })
      expect(error?.reason._tag).toBe("Malformed")
    })
  )
})

// Law 6.
describe("backpressure", () => {
  it.effect("nothing is read that was not asked for", () =>
    Effect.gen(function* () {
      let read = 0
      const body = Stream.fromIterable(
        (function* () {
          for (;;) {
            read++
            yield bytes(delta(`${read}`))
          }
        })(),
        { chunkSize: 1 }
      )
      const queue = yield* Queue.bounded<string>(2)
      const fiber = yield* decodeBytesTo(body, queue).pipe(Effect.forkChild)
      yield* Effect.forEach([1, 2, 3], () => Queue.take(queue))
      yield* TestClock.adjust("1 minute")
      // Three taken, two queued, one on its way, and the one that brought Started.
      expect(read).toBeLessThan(8)
      yield* Fiber.interrupt(fiber)
    })
  )
})

const decodeBytesTo = (body: Stream.Stream<Uint8Array>, queue: Queue.Queue<string>) =>
  decodeBytes(OpenAiChat.protocol, body, {
    onEvent: (event) => (event._tag === "TextDelta" ? Queue.offer(queue, event.text) : Effect.void)
  })

// Law 10.
describe("linear", () => {
  it.effect("every byte is parsed once, whatever the pieces", () =>
    Effect.gen(function* () {
      const original = JSON.parse
      let parsed = 0
      JSON.parse = ((text: string) => {
        parsed += text.length
        return original(text)
      }) as typeof JSON.parse
      try {
        // Every line is of another shape, so that all are parsed in full.
        const text =
          Array.from({ length: 2000 }, (_, i) => delta("x").replace("index", `index${i}`)).join("") + finish + done
        const body = bytes(text)
        const pieces = Array.from({ length: Math.ceil(body.length / 200) }, (_, i) =>
          body.subarray(i * 200, i * 200 + 200)
        )
        const { error } = yield* decodeBytes(OpenAiChat.protocol, pieces)
        expect(error).toBeUndefined()
        expect(parsed).toBeLessThan(text.length)
        expect(parsed).toBeGreaterThan(text.length * 0.5)
      } finally {
        JSON.parse = original
      }
    })
  )
})
