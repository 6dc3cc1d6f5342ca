import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { Screen } from "../../src/cli/Screen.ts"
import * as StandardInput from "../../src/cli/StandardInput.ts"

const screen: Screen = {
  stdinIsTerminal: false,
  stdoutIsTerminal: false,
  stderrIsTerminal: false,
  color: false,
  animate: false
}

const read = (
  stdin: Stream.Stream<Uint8Array>,
  options: { optional?: boolean; terminal?: boolean; said?: Array<string | Uint8Array> } = {}
) =>
  StandardInput.read({
    screen: { ...screen, stdinIsTerminal: options.terminal ?? false },
    optional: options.optional ?? true
  }).pipe(
    Effect.provide(
      Stdio.layerTest({ stdin, stderr: () => Sink.forEach((line) => Effect.sync(() => void options.said?.push(line))) })
    )
  )

const bytes = (...texts: ReadonlyArray<string>) => Stream.fromIterable(texts.map((text) => Buffer.from(text)))

describe("StandardInput", () => {
  it.effect.each([
    ["one line", ["notes\n"], "notes"],
    ["several lines", ["\n a\n\nb\r\n\n"], "\n a\n\nb"],
    ["nothing", [], ""],
    ["white space", [" \n\t\n"], ""],
    ["a byte order mark", ["\ufeffnotes"], "notes"]
  ] as const)("reads %s", ([, texts, expected]) =>
    Effect.gen(function* () {
      expect(yield* read(bytes(...texts))).toBe(expected)
    })
  )

  it.effect("joins characters that are cut between reads", () =>
    Effect.gen(function* () {
      const tea = Buffer.from("茶🍵")
      expect(yield* read(Stream.fromIterable(Array.from(tea, (byte) => Uint8Array.of(byte))))).toBe("茶🍵")
    })
  )

  it.effect("leaves a terminal alone", () =>
    Effect.gen(function* () {
      expect(yield* read(Stream.never, { terminal: true })).toBe("")
    })
  )

  it.effect("refuses what is not text, and takes text with a bad byte in it", () =>
    Effect.gen(function* () {
      for (const binary of ["\x89PNG\0\0", "PK\x03\x04"]) {
        const error = yield* Effect.flip(
          read(Stream.make(Buffer.concat([Buffer.from(binary), Buffer.alloc(50, 0xfe)])))
        )
        expect(error._tag).toBe("UsageError")
        expect(error.message).toBe("standard input is not text in UTF-8.")
      }
      expect(yield* read(Stream.make(Buffer.from("a log of many lines with caf\xe9 in it", "latin1")))).toContain(
        "caf\ufffd"
      )
    })
  )

  it.effect("refuses more than any model reads", () =>
    Effect.gen(function* () {
      const mebibyte = Buffer.alloc(1024 * 1024, "a")
      let taken = 0
      const endless = Stream.tap(Stream.forever(Stream.make(mebibyte)), () => Effect.sync(() => taken++))
      const error = yield* Effect.flip(read(endless))
      expect(error._tag).toBe("UsageError")
      expect(taken).toBeLessThan(70)
    })
  )

  it.effect("waits for a pipe that keeps silent, and says so once", () =>
    Effect.gen(function* () {
      const said: Array<string | Uint8Array> = []
      const late = Stream.concat(Stream.fromEffectDrain(Effect.sleep("1 minute")), bytes("late"))
      // Of a prompt alone there is nothing to do without it, socket or not.
      const fiber = yield* Effect.forkChild(read(late, { optional: false, said }))
      yield* TestClock.adjust("2 seconds")
      expect(said).toEqual([])
      yield* TestClock.adjust("30 seconds")
      expect(said).toEqual(["rill: waiting for standard input to end …\n"])
      yield* TestClock.adjust("30 seconds")
      expect(yield* Fiber.join(fiber)).toBe("late")
      expect(said.length).toBe(1)
    })
  )

  it.effect("says nothing of one that has begun to speak", () =>
    Effect.gen(function* () {
      const said: Array<string | Uint8Array> = []
      const slow = Stream.concat(
        bytes("a"),
        Stream.concat(Stream.fromEffectDrain(Effect.sleep("1 minute")), bytes("b"))
      )
      const fiber = yield* Effect.forkChild(read(slow, { said }))
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toBe("ab")
      expect(said).toEqual([])
    })
  )
})
