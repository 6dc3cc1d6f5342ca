/** Where a body that comes by events meets pulls: what is told when nobody waits, twice, or too late. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { Disconnected, LlmError } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as EventStream from "effect-rill/wire/EventStream"
import * as Inlet from "effect-rill/wire/Inlet"
import { bytes } from "../support/decodeBytes.ts"

const delta = (content: string) =>
  bytes(`data: {"choices":[{"index":0,"delta":{"content":${JSON.stringify(content)}}}]}\n\n`)
const done = bytes(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`)

const open = Effect.fnUntraced(function* (
  more: Partial<Pick<EventStream.Options<never, string>, "end" | "release">> = {}
) {
  let receiver: Inlet.Receiver<Uint8Array, string> | undefined
  const pull = yield* EventStream.open(
    {
      ...more,
      body: (_, given) => {
        receiver = given
        return Effect.succeed(() => {})
      },
      framing: "sse",
      declared: true,
      decoder: OpenAiChat.protocol.decoder,
      turn: { provider: "test", inputCharacters: 0, conceal: (text) => text },
      notAStream: () => {
        throw new Error("it is a stream")
      },
      bodyFailed: (message: string) => new Disconnected({ message }),
      fail: (reason) => new LlmError({ reason, provider: "test", phase: "mid-output", emitted: 0 })
    },
    yield* Effect.scope
  )
  return { pull, receiver: receiver! }
})

const texts = (events: ReadonlyArray<LlmEvent>) =>
  events.flatMap((event) => (event._tag === "TextDelta" ? event.text : []))

describe("what comes while nobody waits", () => {
  it.effect("is held, all of it", () =>
    Effect.gen(function* () {
      const { pull, receiver } = yield* open()
      expect(receiver.push([delta("a"), delta("b")])).toBe(false)
      expect(receiver.push([delta("c")])).toBe(false)
      expect(texts(yield* pull)).toEqual(["a", "b", "c"])
    })
  )

  it.effect("is given to the next, after one who waited and left", () =>
    Effect.gen(function* () {
      const { pull, receiver } = yield* open()
      const waiting = yield* Effect.forkChild(Effect.timeoutOption(pull, "1 second"))
      yield* TestClock.adjust("1 second")
      expect(Option.isNone(yield* Fiber.join(waiting))).toBe(true)
      expect(receiver.push([delta("a")])).toBe(false)
      expect(texts(yield* pull)).toEqual(["a"])
    })
  )
})

describe("the end of a body", () => {
  it.effect("is the first that is told: sockets tell that they are closed after it", () =>
    Effect.gen(function* () {
      const { pull, receiver } = yield* open()
      receiver.push([delta("a")])
      receiver.end(Inlet.done)
      receiver.end(Effect.fail("closed"))
      yield* pull
      expect((yield* Effect.flip(pull)) as LlmError).toMatchObject({ reason: { _tag: "Truncated" } })
    })
  )

  it.effect("is told to who holds the connection, and a failure is not", () =>
    Effect.gen(function* () {
      let released = 0
      const release = () => void released++
      const failed = yield* open({ release })
      failed.receiver.end(Effect.fail("broken"))
      expect(released).toBe(0)
      const whole = yield* open({ release })
      whole.receiver.push([done])
      whole.receiver.end(Inlet.done)
      expect(released).toBe(1)
    })
  )
})

describe("what is run at the end", () => {
  it.effect("is run to its own, though the reader leaves meanwhile", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      let isRun = false
      const end = () =>
        Deferred.succeed(begun, undefined).pipe(
          Effect.andThen(Deferred.await(gate)),
          Effect.andThen(Effect.sync(() => void (isRun = true)))
        )
      const { pull, receiver } = yield* open({ end })
      receiver.push([delta("a"), done])
      yield* pull
      const last = yield* Effect.forkChild(pull)
      receiver.end(Inlet.done)
      yield* Deferred.await(begun)
      const leaving = yield* Effect.forkChild(Fiber.interrupt(last))
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(leaving)
      expect(isRun).toBe(true)
    }).pipe(Effect.provideService(EventStream.Settling, Duration.zero))
  )

  it.effect("is told of a defect of the body too", () =>
    Effect.gen(function* () {
      const exits: Array<Exit.Exit<void, LlmError>> = []
      const { pull, receiver } = yield* open({ end: (exit) => Effect.sync(() => void exits.push(exit)) })
      receiver.end(Effect.die("boom"))
      const exit = yield* Effect.exit(pull)
      expect(exits.map((exit) => Exit.isFailure(exit) && Cause.hasDies(exit.cause))).toEqual([true])
      expect(Exit.isFailure(exit) && Cause.hasDies(exit.cause)).toBe(true)
    })
  )
})
