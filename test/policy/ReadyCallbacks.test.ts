import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import { PlatformError, systemError } from "effect/PlatformError"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import { Overloaded } from "effect-rill/LlmError"
import * as Callbacks from "effect-rill/policy/Callbacks"
import { arrays, finished, layer, llmError, thought, token, usage } from "../support/scriptedLlm.ts"

const text = (...pieces: ReadonlyArray<string>) => arrays([...pieces.map((piece) => [token(piece)]), [finished]])
const busy = llmError(new Overloaded({ message: "busy" }))

describe("console", () => {
  const terminal = () => {
    const out: Array<string> = []
    const into = (name: string) => () =>
      Sink.forEach((piece: string | Uint8Array) => Effect.sync(() => void out.push(`${name}:${String(piece)}`)))
    return { out, layer: Stdio.layerTest({ stdout: into("out"), stderr: into("err") }) }
  }

  it.effect("writes tokens as they come, and ends the line", () =>
    Effect.gen(function* () {
      const { layer, out } = terminal()
      const callbacks = yield* Effect.provide(Callbacks.console, layer)
      yield* Stream.runDrain(Callbacks.tap(text("Once", " upon", " a time"), callbacks))
      assert.deepStrictEqual(out, ["out:Once", "out: upon", "out: a time", "out:\n"])
      // The text's own last line break is enough; no text, no line.
      yield* Stream.runDrain(Callbacks.tap(text("one\n"), callbacks))
      yield* Stream.runDrain(Callbacks.tap(text(), callbacks))
      assert.deepStrictEqual(out.slice(4), ["out:one\n"])
    })
  )

  it.effect("errors go to standard error, on a line of their own", () =>
    Effect.gen(function* () {
      const { layer, out } = terminal()
      const callbacks = yield* Effect.provide(Callbacks.console, layer)
      yield* Effect.exit(Stream.runDrain(Callbacks.tap(arrays([[token("Once")]], Effect.fail(busy)), callbacks)))
      assert.deepStrictEqual(out, ["out:Once", "out:\n", `err:${busy.message}\n`])
    })
  )

  it.effect("two runs at once do not end each other's lines, and characters stay whole", () =>
    Effect.gen(function* () {
      const { layer, out } = terminal()
      const callbacks = yield* Effect.provide(Callbacks.console, layer)
      const inner = Callbacks.tap(text("inner"), callbacks)
      const outer = Callbacks.tap(text("a", "\ud83d", "\ude00b"), callbacks)
      yield* Stream.runForEachArray(outer, () => Stream.runDrain(Stream.take(inner, 1)))
      assert.deepStrictEqual(
        out.filter((piece) => piece !== "out:inner"),
        ["out:a", "out:\n", "out:\n", "out:\ud83d\ude00b", "out:\n", "out:\n", "out:\n"]
      )
      out.length = 0
      yield* Stream.runDrain(Callbacks.tap(text("\ud83d"), callbacks))
      assert.deepStrictEqual(out, ["out:\ud83d\n"])
    })
  )

  it.effect("an output that cannot be written to is a defect", () =>
    Effect.gen(function* () {
      const broken = systemError({ _tag: "WriteZero", module: "Stdio", method: "stdout" })
      const stdio = Stdio.layerTest({ stdout: () => Sink.fromEffect(Effect.fail(broken)) })
      const callbacks = yield* Effect.provide(Callbacks.console, stdio)
      const exit = yield* Effect.exit(Stream.runDrain(Callbacks.tap(text("a"), callbacks)))
      assert.deepStrictEqual(exit, Exit.die(broken))
    })
  )
})

describe("tokenCounter", () => {
  it.effect("adds up every run, however it ended", () =>
    Effect.gen(function* () {
      const counter = yield* Callbacks.tokenCounter
      const failing = arrays([[token("a")]], Effect.fail(llmError(new Overloaded({ message: "busy" }), { usage })))
      yield* Effect.provide(Llm.run("abcd"), Callbacks.layer(layer(text("abc")), counter.callbacks))
      yield* Effect.exit(Stream.runDrain(Callbacks.tap(failing, counter.callbacks)))
      const stopped = Callbacks.tap(text("abcdefgh", "rest"), counter.callbacks, { prompt: "abcdefghi" })
      yield* Stream.runDrain(Stream.take(stopped, 1))
      assert.deepStrictEqual(yield* counter.totals, {
        runs: 3,
        estimated: 1,
        inputTokens: 7 + 7 + 3,
        outputTokens: 3 + 3 + 2,
        reasoningTokens: 0,
        cacheReadTokens: 0,
        cacheWriteTokens: 0
      })
    })
  )
})

describe("latency", () => {
  const paced = Stream.concat(
    Stream.drain(Stream.fromEffect(Effect.sleep("2 seconds"))),
    Stream.concat(
      arrays([[thought("hm")]]),
      Stream.concat(Stream.drain(Stream.fromEffect(Effect.sleep("500 millis"))), text("Once"))
    )
  )

  it.effect("measures on the Clock", () =>
    Effect.gen(function* () {
      const reports: Array<Callbacks.Latency> = []
      const callbacks = Callbacks.latency((latency) => Effect.sync(() => void reports.push(latency)))
      const one = yield* Effect.forkChild(Stream.runDrain(Callbacks.tap(paced, callbacks)))
      yield* TestClock.adjust("1 second")
      const two = yield* Effect.forkChild(Stream.runDrain(Callbacks.tap(paced, callbacks)))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll([one, two])
      const expected = {
        total: Duration.millis(2500),
        timeToFirstToken: Duration.seconds(2),
        // Three tokens, by the provider's count, in half a second.
        tokensPerSecond: 6
      }
      assert.deepStrictEqual(reports.map(plain), [plain(expected), plain(expected)])
    })
  )

  it.effect("says nothing of what there was not", () =>
    Effect.gen(function* () {
      const reports: Array<Callbacks.Latency> = []
      const callbacks = Callbacks.latency((latency) => Effect.sync(() => void reports.push(latency)))
      yield* Stream.runDrain(Callbacks.tap(text(), callbacks))
      yield* Stream.runDrain(Callbacks.tap(text("all at once"), callbacks))
      assert.deepStrictEqual(reports.map(plain), [
        { total: 0, timeToFirstToken: undefined, tokensPerSecond: undefined },
        { total: 0, timeToFirstToken: 0, tokensPerSecond: undefined }
      ])
    })
  )

  const plain = (latency: Callbacks.Latency) => ({
    total: Duration.toMillis(latency.total),
    timeToFirstToken: latency.timeToFirstToken && Duration.toMillis(latency.timeToFirstToken),
    tokensPerSecond: latency.tokensPerSecond
  })
})

describe("file", () => {
  let folder = ""
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "rill-callbacks-"))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.effect("appends the text as it comes", () =>
    Effect.gen(function* () {
      const path = join(folder, "answer.txt")
      writeFileSync(path, "before: ")
      const seen: Array<string> = []
      const llm = Callbacks.layer(layer(text("Once", " upon \ud83d", "\ude00")), Callbacks.file(path))
      yield* Effect.provide(
        Stream.runForEach(Llm.stream("x"), () => Effect.sync(() => void seen.push(readFileSync(path, "utf8")))),
        llm
      )
      assert.deepStrictEqual(seen, ["before: Once", "before: Once upon ", "before: Once upon \u{1f600}"])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("a file that cannot be opened is an error, when the layer is built", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.scoped(Effect.asVoid(Callbacks.file(join(folder, "missing", "answer.txt"))))
      )
      assert.instanceOf(error, PlatformError)
      assert.strictEqual(error.reason._tag, "NotFound")
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.effect("a write that fails is a defect of the stream", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const file = yield* fs.open(join(folder, "full.txt"), { flag: "a" })
      const full = systemError({ _tag: "WriteZero", module: "FileSystem", method: "writeAll" })
      const callbacks = yield* Effect.provideService(Callbacks.file("any"), FileSystem.FileSystem, {
        ...fs,
        open: () => Effect.succeed({ ...file, writeAll: () => Effect.fail(full) })
      })
      const exit = yield* Effect.exit(Stream.runDrain(Callbacks.tap(text("a"), callbacks)))
      assert.deepStrictEqual(exit, Exit.die(full))
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.effect("a write that has begun is ended before the file is closed, though its fiber is interrupted", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const log: Array<string> = []
      const open = (): ReturnType<typeof fs.open> =>
        Effect.gen(function* () {
          const file = yield* fs.open(join(folder, "slow.txt"), { flag: "a" })
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("close")))
          const writeAll = (bytes: Uint8Array) =>
            Deferred.succeed(begun, undefined).pipe(
              Effect.andThen(Deferred.await(go)),
              Effect.andThen(file.writeAll(bytes)),
              Effect.tap(() => Effect.sync(() => log.push("write")))
            )
          return { ...file, writeAll }
        })
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.flatMap(Callbacks.file("any"), (callbacks) => Stream.runDrain(Callbacks.tap(text("a"), callbacks)))
        ).pipe(Effect.provideService(FileSystem.FileSystem, { ...fs, open }))
      )
      yield* Deferred.await(begun)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Effect.yieldNow
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(log, ["write", "close"])
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
