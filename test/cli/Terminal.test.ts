/** What depends on a terminal, which a test's processes do not have: with a `Stdio` made up for it. */
import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { systemError } from "effect/PlatformError"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Output from "../../src/cli/Output.ts"
import * as Screen from "../../src/cli/Screen.ts"
import * as Spinner from "../../src/cli/Spinner.ts"

const terminal: Screen.Screen = {
  stdinIsTerminal: true,
  stdoutIsTerminal: true,
  stderrIsTerminal: true,
  color: false,
  animate: true
}
const pipe: Screen.Screen = { ...terminal, stdoutIsTerminal: false }

/** Collects what is written, byte for byte. */
const recorder = () => {
  const written: Array<Uint8Array> = []
  const sink = () =>
    Sink.forEach((piece: string | Uint8Array) =>
      Effect.sync(() => void written.push(typeof piece === "string" ? new TextEncoder().encode(piece) : piece))
    )
  return { sink, text: () => Buffer.concat(written).toString("utf8") }
}

const stdio = (impl: Parameters<typeof Stdio.layerTest>[0]) => Effect.provide(Stdio.layerTest(impl))

const deliver = (screen: Screen.Screen, text: Stream.Stream<string, string>) =>
  Effect.gen(function* () {
    const out = recorder()
    const exit = yield* Effect.flatMap(Output.standard(screen), (output) => output(text)).pipe(
      Effect.exit,
      stdio({ stdout: out.sink })
    )
    return { exit: exit._tag, text: out.text() }
  })

const pieces = (...pieces: ReadonlyArray<string>) => Stream.fromIterable(pieces, { chunkSize: 1 })

describe("standard output", () => {
  it.effect("loses on a terminal what would drive it, and nothing in a pipe", () =>
    Effect.gen(function* () {
      const text = pieces("a\x1b[3", "1mb\x9b0mc\r\n", "d\te\n")
      expect((yield* deliver(terminal, text)).text).toBe("abc\nd\te\n")
      expect((yield* deliver(pipe, text)).text).toBe("a\x1b[31mb\x9b0mc\r\nd\te\n")
    })
  )

  it.effect.each([
    ["a\n", "a\n"],
    ["a", "a\n"],
    ["a\x1b[0m", "a\n"],
    ["", ""]
  ] as const)("ends %j on a terminal with one line feed", ([text, shown]) =>
    Effect.gen(function* () {
      expect((yield* deliver(terminal, pieces(text))).text).toBe(shown)
      expect((yield* deliver(pipe, pieces(text))).text).toBe(text)
    })
  )

  it.effect("ends a line that a failure cut, too", () =>
    Effect.gen(function* () {
      const broken = Stream.concat(pieces("half"), Stream.fail("cut"))
      expect(yield* deliver(terminal, broken)).toEqual({ exit: "Failure", text: "half\n" })
      expect(yield* deliver(pipe, broken)).toEqual({ exit: "Failure", text: "half" })
    })
  )

  it.effect("joins characters that come in two halves", () =>
    Effect.gen(function* () {
      expect((yield* deliver(pipe, pieces("a\ud83c", "\udf75b", "\ud83c", "\udf75"))).text).toBe("a🍵b🍵")
      expect((yield* deliver(pipe, pieces("a\ud83c"))).text).toBe("a\ufffd")
    })
  )

  it.effect("takes no more from the model than is read", () =>
    Effect.gen(function* () {
      let taken = 0
      const gate = Latch.makeUnsafe(false)
      const model = Stream.tap(Stream.fromIterable(Array.from({ length: 1000 }, String), { chunkSize: 1 }), () =>
        Effect.sync(() => taken++)
      )
      const fiber = yield* Effect.flatMap(Output.standard(pipe), (output) => output(model)).pipe(
        stdio({ stdout: () => Sink.forEach(() => gate.await) }),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      expect(taken).toBeLessThan(5)
      yield* gate.open
      yield* Fiber.join(fiber)
      expect(taken).toBe(1000)
    })
  )

  it.effect("tells a broken pipe from a full disk", () =>
    Effect.gen(function* () {
      const failing = (code: string) =>
        Effect.flatMap(Output.standard(pipe), (output) => output(pieces("a"))).pipe(
          Effect.flip,
          stdio({
            stdout: () =>
              Sink.fail(
                systemError({
                  module: "Stdio",
                  method: "stdout",
                  _tag: "Unknown",
                  cause: Object.assign(new Error(code), { code })
                })
              )
          })
        )
      expect((yield* failing("EPIPE"))._tag).toBe("BrokenPipe")
      const full = yield* failing("ENOSPC")
      expect(full._tag).toBe("Failed")
      expect(full.message).toBe("cannot write to standard output: no space is left (ENOSPC).")
    })
  )
})

describe("Screen", () => {
  const look = (env: Record<string, string>, stderrIsTerminal = true) =>
    Screen.make.pipe(
      stdio({ stderrIsTerminal: Effect.succeed(stderrIsTerminal) }),
      Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
    )

  it.effect.each([
    [{}, true, true, true],
    [{}, false, false, false],
    [{ NO_COLOR: "1" }, true, false, true],
    [{ NO_COLOR: "" }, true, true, true],
    [{ NO_COLOR: "1", FORCE_COLOR: "1" }, true, false, true],
    [{ FORCE_COLOR: "1" }, false, true, false],
    [{ FORCE_COLOR: "0" }, false, false, false],
    [{ TERM: "dumb" }, true, false, false]
  ] as const)("%j on a terminal (%s): colour %s, animation %s", ([env, isTerminal, color, animate]) =>
    Effect.gen(function* () {
      expect(yield* look(env, isTerminal)).toMatchObject({ color, animate })
    })
  )

  it.effect("says one line, whatever it is given", () =>
    Effect.gen(function* () {
      const err = recorder()
      yield* Screen.say(pipe, "error", "two\nlines \x1b[31mand\x1b[0m colour").pipe(stdio({ stderr: err.sink }))
      yield* Screen.say({ ...pipe, color: true }, "error", "red").pipe(stdio({ stderr: err.sink }))
      expect(err.text()).toBe("rill: two lines and colour\n\x1b[31mrill:\x1b[0m red\n")
    })
  )
})

describe("Spinner", () => {
  it.effect("turns until it is stopped, and leaves nothing", () =>
    Effect.gen(function* () {
      const err = recorder()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const spinner = yield* Spinner.start(terminal, "openai/\x1b[31mtest")
          yield* TestClock.adjust("200 millis")
          expect(err.text()).toBe("\r\x1b[K⠋ openai/test\r\x1b[K⠙ openai/test\r\x1b[K⠹ openai/test")
          spinner.label("think\x1b[0ming")
          yield* TestClock.adjust("3 seconds")
          expect(err.text()).toMatch(/ thinking · 3 s$/)
          yield* spinner.stop
          yield* spinner.stop
          const stopped = err.text()
          expect(stopped.endsWith("\r\x1b[K")).toBe(true)
          yield* TestClock.adjust("3 seconds")
          expect(err.text()).toBe(stopped)
        })
      ).pipe(stdio({ stderr: err.sink }))
    })
  )

  it.effect("is cleared when it is interrupted", () =>
    Effect.gen(function* () {
      const err = recorder()
      const fiber = yield* Effect.scoped(Effect.andThen(Spinner.start(terminal, "x"), Effect.never)).pipe(
        stdio({ stderr: err.sink }),
        Effect.forkChild
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(err.text().endsWith("\r\x1b[K")).toBe(true)
    })
  )

  it.effect("is not there without a terminal", () =>
    Effect.gen(function* () {
      const err = recorder()
      yield* Effect.scoped(
        Effect.andThen(Spinner.start({ ...terminal, animate: false }, "x"), TestClock.adjust("1 second"))
      ).pipe(stdio({ stderr: err.sink }))
      expect(err.text()).toBe("")
    })
  )
})
