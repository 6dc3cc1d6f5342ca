import { spawnSync } from "node:child_process"
import * as nfs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import { badArgument, systemError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import * as File from "effect-rill/delivery/File"
import { FileError, isFileError } from "effect-rill/delivery/FileError"
import * as Llm from "effect-rill/Llm"
import { type LlmError, Overloaded } from "effect-rill/LlmError"
import { arrays as events, finished, llmError, service, token } from "../support/scriptedLlm.ts"
import * as watchedFileSystem from "./support/watchedFileSystem.ts"

const { errno } = watchedFileSystem

let folder = ""
const at = (name: string) => join(folder, name)
const put = (name: string, text: string) => nfs.writeFileSync(at(name), text)
/** All files of the folder; a random part of a name is told as "*". */
const files = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    nfs
      .readdirSync(folder)
      .toSorted()
      .map((name) => [
        name.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/, "*"),
        nfs.readFileSync(at(name), "utf8")
      ])
  )
beforeEach(() => {
  folder = nfs.mkdtempSync(join(tmpdir(), "rill-file-"))
})
afterEach(() => nfs.rmSync(folder, { recursive: true }))

/** A stream of these arrays, one pull each. */
const arrays = <E = never>(
  parts: ReadonlyArray<ReadonlyArray<string>>,
  end: Effect.Effect<void, E> = Effect.void
): Stream.Stream<string, E> =>
  Stream.concat(
    Stream.fromIterable(parts, { chunkSize: 1 }).pipe(Stream.flatMap((part) => Stream.fromArray(part))),
    Stream.drain(Stream.fromEffect(end))
  )
const pieces = <E = never>(texts: ReadonlyArray<string>, end?: Effect.Effect<void, E>) =>
  arrays(
    texts.map((text) => [text]),
    end
  )

const busy = llmError(new Overloaded({ message: "busy" }))
const onDisk = Effect.provide(NodeFileSystem.layer)
const drain = <E>(stream: Stream.Stream<string, E, FileSystem.FileSystem>) => onDisk(Stream.runDrain(stream))
const failure = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem>) => onDisk(Effect.flip(effect))

/** The file system, that does something else at one operation, the given time that it comes. */
const instead = (
  operation: watchedFileSystem.Operation,
  error:
    | PlatformError
    | ((on: { readonly file?: FileSystem.File; readonly bytes?: Uint8Array }) => Effect.Effect<never, PlatformError>),
  time = 1
) => {
  const log: Array<string> = []
  let count = 0
  const layer = watchedFileSystem.layer((name, effect, on) =>
    Effect.suspend(() => {
      log.push(name)
      if (name !== operation || ++count !== time) return effect
      return typeof error === "function" ? error(on) : Effect.fail(error)
    })
  )
  return { layer, log }
}

describe("what is written", () => {
  it.effect("the text is passed on as it came, and is in the file at the end, not before", () =>
    Effect.gen(function* () {
      put("story.txt", "old")
      const seen: Array<ReadonlyArray<string>> = []
      const looks: Array<string | undefined> = []
      yield* arrays([["Once", " upon"], [""], [" a time é"]]).pipe(
        File.tee(at("story.txt")),
        Stream.runForEachArray((array) =>
          Effect.sync(() => {
            seen.push(array)
            looks.push(files()["story.txt"])
          })
        ),
        onDisk
      )
      assert.deepStrictEqual(seen, [["Once", " upon"], [""], [" a time é"]])
      assert.deepStrictEqual(looks, ["old", "old", "old"])
      assert.deepStrictEqual(files(), { "story.txt": "Once upon a time é" })
    })
  )

  it.effect("write and sink tell the path and the bytes", () =>
    Effect.gen(function* () {
      const path = at("a.txt")
      assert.deepStrictEqual(yield* onDisk(File.write(path)(pieces(["é", "€"]))), { path, bytes: 5 })
      assert.deepStrictEqual(files(), { "a.txt": "é€" })
      assert.deepStrictEqual(yield* onDisk(Stream.run(pieces(["b"]), File.sink(path))), { path, bytes: 1 })
      assert.deepStrictEqual(files(), { "a.txt": "b" })
      const append = { mode: "append" } as const
      assert.deepStrictEqual(yield* onDisk(File.write(path, append)(pieces(["é", ""]))), { path, bytes: 2 })
      assert.deepStrictEqual(files(), { "a.txt": "bé" })
    })
  )

  it.effect("an empty answer is an empty file", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      assert.strictEqual((yield* onDisk(File.write(at("a.txt"))(Stream.empty))).bytes, 0)
      yield* onDisk(File.write(at("b.txt"), { mode: "append" })(Stream.empty))
      assert.deepStrictEqual(files(), { "a.txt": "", "b.txt": "" })
    })
  )

  it.effect("one write an array, done before the array is passed on and the next is asked for", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const layer = watchedFileSystem.layer((name, effect, { bytes, path }) =>
        Effect.tap(effect, () => {
          const what = bytes
            ? `:${new TextDecoder().decode(bytes)}`
            : name === "openFolder"
              ? `:${path === folder}`
              : ""
          return Effect.sync(() => log.push(`${name}${what}`))
        })
      )
      const source = [["a", "b", "c"], ["d"]].map((array) => {
        const asked = Stream.drain(Stream.fromEffect(Effect.sync(() => log.push("asked"))))
        return Stream.concat(asked, Stream.fromArray(array))
      })
      yield* Stream.concat(source[0]!, source[1]!).pipe(
        Stream.ensuring(Effect.sync(() => log.push("closed"))),
        File.tee(at("a.txt")),
        Stream.runForEachArray((array) => Effect.sync(() => log.push(`passed:${array.join("")}`))),
        Effect.provide(layer)
      )
      assert.deepStrictEqual(
        log.filter((line) => line !== "realPath" && line !== "lstat"),
        ["open", "asked", "write:abc", "passed:abc", "asked", "write:d", "passed:d"].concat(
          // The connection does not wait for the disk; the file is closed before it is renamed.
          ["closed", "sync", "close", "rename", "openFolder:true", "sync", "close"]
        )
      )
    })
  )

  it.effect("pairs that are cut are whole in the file, however the text is cut", () =>
    Effect.gen(function* () {
      const text = "a😀é€\u{10ffff}😀😀z"
      for (let cut = 1; cut < 2 ** (text.length - 1); cut += 7) {
        const parts: Array<Array<string>> = [[]]
        let piece = ""
        for (let i = 0; i < text.length; i++) {
          piece += text[i]
          if (((cut >> i) & 1) === 0) continue
          parts.at(-1)!.push(piece)
          piece = ""
          if (((cut >> (i + 1)) & 1) === 0) parts.push([])
        }
        parts.at(-1)!.push(piece)
        const mode = cut % 2 === 0 ? ("atomic" as const) : ("append" as const)
        const name = `${cut % 50}.${mode}`
        nfs.rmSync(at(name), { force: true })
        const { bytes } = yield* onDisk(File.write(at(name), { mode })(arrays(parts)))
        assert.deepStrictEqual(nfs.readFileSync(at(name)), Buffer.from(text), JSON.stringify(parts))
        assert.strictEqual(bytes, Buffer.byteLength(text))
      }
    })
  )

  it.effect("half a pair at the end is written as what it is encoded to", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* onDisk(File.write(at("a.txt"))(pieces(["a", "\ud83d"])))).bytes, 4)
      assert.deepStrictEqual(files(), { "a.txt": "a\ufffd" })
    })
  )

  it.effect("each run writes the file anew", () =>
    Effect.gen(function* () {
      const stream = File.tee(at("a.txt"))(pieces(["Once", "\ud83d"]))
      yield* drain(stream)
      yield* drain(stream)
      assert.deepStrictEqual(files(), { "a.txt": "Once\ufffd" })
    })
  )

  it.effect("a path relative to the folder of the process", () =>
    Effect.gen(function* () {
      const before = process.cwd()
      process.chdir(folder)
      yield* Effect.ensuring(
        onDisk(File.write("a.txt")(pieces(["a"]))),
        Effect.sync(() => process.chdir(before))
      )
      assert.deepStrictEqual(files(), { "a.txt": "a" })
    })
  )
})

describe("a part", () => {
  const modes = ["atomic", "append"] as const
  const fates = ["keep", "remove"] as const
  const texts = ["One", " two", " thrée", " four"]
  /** What is there when this much has come of it. */
  const expected = (mode: (typeof modes)[number], fate: (typeof fates)[number], part: string) => {
    if (mode === "append") return { "a.txt": fate === "keep" ? `old${part}` : "old" }
    return fate === "keep" && part !== "" ? { "a.txt": "old", "a.txt.partial": part } : { "a.txt": "old" }
  }
  const clear = () => {
    for (const name of nfs.readdirSync(folder)) nfs.rmSync(at(name))
    put("a.txt", "old")
  }

  for (const mode of modes) {
    for (const fate of fates) {
      const options = { mode, onFailure: fate }

      it.effect(`${mode}, ${fate}: the stream's own error stays what it is`, () =>
        Effect.gen(function* () {
          for (let count = 0; count <= texts.length; count++) {
            clear()
            const part = texts.slice(0, count)
            // Half a pair has not come.
            const stream = pieces([...part, "\ud83d"], Effect.fail(busy))
            let now: unknown
            const error = yield* stream.pipe(
              File.tee(at("a.txt"), options),
              Stream.runForEach(() => Effect.void),
              Effect.tapError(() => Effect.sync(() => (now = files()))),
              failure
            )
            assert.strictEqual(error, busy)
            assert.deepStrictEqual(now, expected(mode, fate, part.join("")))
            clear()
            assert.strictEqual(yield* failure(File.write(at("a.txt"), options)(stream)), busy)
            assert.deepStrictEqual(files(), expected(mode, fate, part.join("")))
            clear()
            const exit = yield* onDisk(Effect.exit(Stream.run(stream, File.sink(at("a.txt"), options))))
            assert.deepStrictEqual(exit, Exit.fail(busy))
            assert.deepStrictEqual(files(), expected(mode, fate, part.join("")))
          }
        })
      )

      it.effect(`${mode}, ${fate}: interrupted at every array`, () =>
        Effect.gen(function* () {
          for (let count = 0; count <= texts.length; count++) {
            clear()
            const reached = yield* Deferred.make<void>()
            const order: Array<string> = []
            const part = texts.slice(0, count)
            const hang = Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
            const layer = watchedFileSystem.layer((name, effect) =>
              Effect.ensuring(
                effect,
                Effect.sync(() => name === "close" && order.push("file"))
              )
            )
            const fiber = yield* pieces(part, hang).pipe(
              Stream.ensuring(Effect.sync(() => order.push("connection"))),
              File.write(at("a.txt"), options),
              Effect.provide(layer),
              Effect.forkChild
            )
            yield* Deferred.await(reached)
            yield* Fiber.interrupt(fiber)
            assert.deepStrictEqual(files(), expected(mode, fate, part.join("")))
            assert.deepStrictEqual(order.slice(0, 2), ["connection", "file"])
            assert.strictEqual(order.filter((line) => line === "connection").length, 1)
          }
        })
      )

      it.effect(`${mode}, ${fate}: a reader that stops leaves a part, though it was the last`, () =>
        Effect.gen(function* () {
          for (let count = 1; count <= texts.length; count++) {
            clear()
            yield* drain(pieces(texts).pipe(File.tee(at("a.txt"), options), Stream.take(count)))
            assert.deepStrictEqual(files(), expected(mode, fate, texts.slice(0, count).join("")))
          }
        })
      )

      it.effect(`${mode}, ${fate}: a defect is passed on`, () =>
        Effect.gen(function* () {
          clear()
          const exit = yield* onDisk(Effect.exit(File.write(at("a.txt"), options)(pieces(["One"], Effect.die("bug")))))
          assert.deepStrictEqual(exit, Exit.die("bug"))
          assert.deepStrictEqual(files(), expected(mode, fate, "One"))
        })
      )

      it.effect(`${mode}, ${fate}: a disk that fills up in the middle of a write`, () =>
        Effect.gen(function* () {
          clear()
          const { layer } = instead(
            "write",
            // As the system does it: some of the bytes, in the middle of a character, and then the error.
            ({ bytes, file }) => Effect.andThen(file!.writeAll(bytes!.subarray(0, 5)), Effect.fail(errno("ENOSPC"))),
            3
          )
          let closed = 0
          let now: unknown
          const passedOn: Array<string> = []
          const error = yield* pieces(texts).pipe(
            Stream.ensuring(Effect.sync(() => void closed++)),
            File.tee(at("a.txt"), options),
            Stream.runForEach((text) => Effect.sync(() => passedOn.push(text))),
            Effect.tapError(() => Effect.sync(() => (now = [closed, files()]))),
            Effect.provide(layer),
            Effect.flip
          )
          assert.deepStrictEqual(passedOn, ["One", " two"])
          assert.deepStrictEqual(now, [1, expected(mode, fate, "One two")])
          const kept = mode === "append" ? at("a.txt") : at("a.txt.partial")
          assert.strictEqual(error.reason._tag, "NoSpace")
          assert.deepStrictEqual(
            { path: error.path, bytes: error.bytes, code: error.reason.code, kept: error.kept },
            { path: at("a.txt"), bytes: 7, code: "ENOSPC", kept: fate === "keep" ? kept : undefined }
          )
          assert.strictEqual(
            error.message,
            `${at("a.txt")}: NoSpace: the disk is full. Make room, or write elsewhere.` +
              (fate === "keep" ? ` What had been written (7 bytes) is in ${kept}.` : "")
          )
        })
      )
    }
  }

  it.effect("an older part is not replaced", () =>
    Effect.gen(function* () {
      put("a.txt.partial", "older")
      yield* failure(File.write(at("a.txt"))(pieces(["One"], Effect.fail(busy))))
      assert.deepStrictEqual(files(), { "a.txt.*.partial": "One", "a.txt.partial": "older" })
      // Nor is what a link of that name leads to.
      nfs.rmSync(at("a.txt.partial"))
      nfs.symlinkSync(at("elsewhere"), at("a.txt.partial"))
      yield* failure(File.write(at("a.txt"))(pieces(["One"], Effect.fail(busy))))
      assert.isFalse(nfs.existsSync(at("elsewhere")))
    })
  )

  it.effect("a part that cannot be renamed stays where it is, and nothing else does", () =>
    Effect.gen(function* () {
      const layer = watchedFileSystem.layer((name, effect) =>
        name === "rename" ? Effect.fail(errno("EIO", "rename")) : effect
      )
      const error = yield* Effect.flip(Effect.provide(File.write(at("a.txt"))(pieces(["One"])), layer))
      assert.deepStrictEqual(files(), { "a.txt.*.tmp": "One" })
      assert(isFileError(error))
      assert.strictEqual(error.kept, at(nfs.readdirSync(folder)[0]!))
      assert.strictEqual(error.reason._tag, "WriteFailed")
    })
  )

  it.effect("mode append does not cut off what another has appended", () =>
    Effect.gen(function* () {
      for (const onFailure of fates) {
        clear()
        const other = Effect.sync(() => nfs.appendFileSync(at("a.txt"), "|other|"))
        const stream = pieces(["One"], Effect.andThen(other, Effect.fail(busy)))
        yield* failure(File.write(at("a.txt"), { mode: "append", onFailure })(stream))
        assert.deepStrictEqual(files(), { "a.txt": "oldOne|other|" })
      }
    })
  )

  it.effect("a write that has begun is ended before the file is closed, though its fiber is interrupted", () =>
    Effect.gen(function* () {
      const [begun, go] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const log: Array<string> = []
      const layer = watchedFileSystem.layer((name, effect) =>
        Effect.gen(function* () {
          if (name === "write") {
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(go)
          }
          const result = yield* effect
          log.push(name)
          return result
        })
      )
      const fiber = yield* Effect.forkChild(Effect.provide(File.write(at("a.txt"))(pieces(["One", "two"])), layer))
      yield* Deferred.await(begun)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Effect.yieldNow
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(stopping)
      assert.isTrue(Cause.hasInterrupts(Exit.getCause(yield* Fiber.await(fiber)).pipe(orEmpty)))
      assert.deepStrictEqual(log.slice(log.indexOf("write"), log.indexOf("write") + 3), ["write", "fstat", "close"])
      assert.deepStrictEqual(files(), { "a.txt.partial": "One" })
    })
  )

  it.effect("an answer that is complete is not interrupted while it is saved", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const layer = watchedFileSystem.layer((name, effect) =>
        name === "sync"
          ? Effect.andThen(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(go)), effect)
          : effect
      )
      const fiber = yield* Effect.forkChild(Effect.provide(File.write(at("a.txt"))(pieces(["One"])), layer))
      yield* Deferred.await(begun)
      const stopping = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* Effect.yieldNow
      yield* Deferred.succeed(go, undefined)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(files(), { "a.txt": "One" })
    })
  )

  const orEmpty = <E>(cause: { readonly _tag: string; readonly value?: Cause.Cause<E> }): Cause.Cause<E> =>
    cause.value ?? Cause.empty
})

describe("what is at the path", () => {
  const mode = (name: string) => nfs.statSync(at(name)).mode & 0o777

  it.effect("permissions stay; a new file has the usual ones", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      for (const permissions of [0o600, 0o664, 0o755]) {
        nfs.chmodSync(at("a.txt"), permissions)
        yield* onDisk(File.write(at("a.txt"))(pieces(["new"])))
        assert.strictEqual(mode("a.txt"), permissions)
      }
      put("b.txt", "")
      yield* onDisk(File.write(at("c.txt"))(pieces(["new"])))
      assert.strictEqual(mode("c.txt"), mode("b.txt"))
    })
  )

  it.effect("a part has the permissions that the whole would have", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      nfs.chmodSync(at("a.txt"), 0o600)
      yield* failure(File.write(at("a.txt"))(pieces(["new"], Effect.fail(busy))))
      assert.strictEqual(mode("a.txt.partial"), 0o600)
    })
  )

  it.skipIf(process.getuid?.() !== 0)("the owner stays", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        put("a.txt", "old")
        nfs.chownSync(at("a.txt"), 1234, 2345)
        nfs.chmodSync(at("a.txt"), 0o660)
        yield* onDisk(File.write(at("a.txt"))(pieces(["new"])))
        const { gid, uid } = nfs.statSync(at("a.txt"))
        assert.deepStrictEqual([uid, gid, mode("a.txt")], [1234, 2345, 0o660])
      })
    )
  )

  it.effect("no group is given what the old one might do", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      nfs.chmodSync(at("a.txt"), 0o664)
      const { layer } = instead("chown", errno("EPERM", "chown"))
      yield* Effect.provide(File.write(at("a.txt"))(pieces(["new"])), layer)
      assert.strictEqual(mode("a.txt"), 0o644)
      assert.deepStrictEqual(files(), { "a.txt": "new" })
    })
  )

  it.effect("nobody else may read the text before the permissions are given", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      nfs.chmodSync(at("a.txt"), 0o644)
      let before = 0
      const layer = watchedFileSystem.layer((name, effect) =>
        Effect.suspend(() => {
          if (name === "chown") before = mode(nfs.readdirSync(folder).find((name) => name.endsWith(".tmp"))!)
          return effect
        })
      )
      yield* Effect.provide(File.write(at("a.txt"))(pieces(["new"])), layer)
      assert.strictEqual(before, 0o600)
    })
  )

  it.effect("a symbolic link stays, and what it leads to is replaced", () =>
    Effect.gen(function* () {
      nfs.mkdirSync(at("there"))
      nfs.writeFileSync(at("there/a.txt"), "old")
      nfs.symlinkSync("there/a.txt", at("link"))
      yield* onDisk(File.write(at("link"))(pieces(["new"])))
      assert.strictEqual(nfs.readlinkSync(at("link")), "there/a.txt")
      assert.strictEqual(nfs.readFileSync(at("there/a.txt"), "utf8"), "new")
      yield* failure(File.write(at("link"))(pieces(["part"], Effect.fail(busy))))
      assert.deepStrictEqual(nfs.readdirSync(at("there")).toSorted(), ["a.txt", "a.txt.partial"])
      nfs.rmSync(at("there"), { recursive: true })
    }).pipe(Effect.ensuring(Effect.sync(() => nfs.rmSync(at("link")))))
  )

  it.effect("a hard link keeps the old text", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      nfs.linkSync(at("a.txt"), at("b.txt"))
      yield* onDisk(File.write(at("a.txt"))(pieces(["new"])))
      assert.deepStrictEqual(files(), { "a.txt": "new", "b.txt": "old" })
    })
  )
})

describe("a disk that cannot be written to", () => {
  /** The error of a file, that comes before anything is asked for and changes nothing. */
  const refused = (path: string, options: File.Options = {}) =>
    Effect.gen(function* () {
      let asked = false
      const before = nfs.readdirSync(folder)
      const stream = Stream.fromEffect(Effect.sync(() => ((asked = true), "secret text")))
      const error = yield* failure(File.write(path, options)(stream))
      assert.isFalse(asked)
      assert.deepStrictEqual(nfs.readdirSync(folder), before)
      assert.strictEqual(error.path, path)
      assert.strictEqual(error.bytes, 0)
      assert.isUndefined(error.kept)
      assert.isTrue(error.message.startsWith(`${path}: ${error.reason._tag}: `), error.message)
      assert.notInclude(error.message, "secret")
      return `${error.reason._tag} ${error.reason.code ?? ""}`
    })

  it.effect("missing folder, folder, link to nothing, circle, no folder, too long, no path", () =>
    Effect.gen(function* () {
      put("file", "")
      nfs.mkdirSync(at("folder"))
      nfs.symlinkSync(at("nothing"), at("link"))
      nfs.symlinkSync(at("circle"), at("circle"))
      for (const mode of ["atomic", "append"] as const) {
        const told = (path: string) => refused(path, { mode })
        assert.strictEqual(yield* told(at("missing/a.txt")), "NotFound ENOENT")
        assert.strictEqual(yield* told(at("folder")), `NotAFile ${mode === "append" ? "EISDIR" : ""}`)
        assert.strictEqual(yield* told(at("circle")), "InvalidPath ELOOP")
        assert.strictEqual(yield* told(at("file/a.txt")), "InvalidPath ENOTDIR")
        assert.strictEqual(yield* told(at("x".repeat(256))), "InvalidPath ENAMETOOLONG")
        assert.strictEqual(yield* told(at("nul\0.txt")), "InvalidPath ")
      }
      assert.strictEqual(yield* refused(at("link")), "NotFound ")
      assert.strictEqual(yield* refused(at("x".repeat(230))), "InvalidPath ENAMETOOLONG")
      const before = process.cwd()
      process.chdir(at("folder"))
      yield* Effect.ensuring(
        Effect.map(refused(""), (told) => assert.strictEqual(told, "NotAFile ")),
        Effect.sync(() => process.chdir(before))
      )
      nfs.rmSync(at("circle"))
      nfs.rmSync(at("link"))
      nfs.rmdirSync(at("folder"))
    })
  )

  // Never on a device of the machine's own: were this broken, it would be gone.
  it.effect("a pipe is not replaced, nor what a link leads to that is one", () =>
    Effect.gen(function* () {
      assert.strictEqual(spawnSync("mkfifo", [at("pipe")]).status, 0)
      assert.strictEqual(yield* refused(at("pipe")), "NotAFile ")
      nfs.symlinkSync(at("pipe"), at("link"))
      assert.strictEqual(yield* refused(at("link")), "NotAFile ")
      assert.isTrue(nfs.statSync(at("pipe")).isFIFO())
      nfs.rmSync(at("link"))
      nfs.rmSync(at("pipe"))
    })
  )

  it.effect("a read-only file is not replaced", () =>
    Effect.gen(function* () {
      put("a.txt", "old")
      const { layer, log } = instead("access", errno("EACCES", "access"))
      const error = yield* Effect.flip(Effect.provide(File.write(at("a.txt"))(pieces(["new"])), layer))
      assert.strictEqual(error.reason._tag, "PermissionDenied")
      assert.deepStrictEqual(files(), { "a.txt": "old" })
      assert.notInclude(log, "open")
    })
  )

  it.effect.each([
    ["ENOSPC", "NoSpace"],
    ["EDQUOT", "NoSpace"],
    ["EFBIG", "NoSpace"],
    ["EROFS", "PermissionDenied"],
    ["EPERM", "PermissionDenied"],
    ["EACCES", "PermissionDenied"],
    ["EMFILE", "Busy"],
    ["ENFILE", "Busy"],
    ["EBUSY", "Busy"],
    ["ETXTBSY", "Busy"],
    ["ENXIO", "NotAFile"],
    ["EIO", "WriteFailed"]
  ] as const)("%s is %s", ([code, tag]) =>
    Effect.gen(function* () {
      for (const mode of ["atomic", "append"] as const) {
        for (const operation of ["open", "write", "sync"] as const) {
          const { layer } = instead(operation, errno(code, operation))
          const stream = File.write(at("a.txt"), { mode, onFailure: "remove" })(pieces(["One"]))
          const error = yield* Effect.flip(Effect.provide(stream, layer))
          assert.deepStrictEqual([error.reason._tag, error.reason.code], [tag, code])
          assert.deepStrictEqual(files(), mode === "append" && operation !== "open" ? { "a.txt": "" } : {})
          nfs.rmSync(at("a.txt"), { force: true })
        }
      }
    })
  )

  it.effect("file systems that give no code", () =>
    Effect.gen(function* () {
      const tagged = (tag: "NotFound" | "WriteZero" | "Busy" | "BadResource" | "PermissionDenied") =>
        systemError({ _tag: tag, module: "FileSystem", method: "write" })
      const told: Array<string> = []
      for (const error of [
        ...(["NotFound", "WriteZero", "Busy", "BadResource", "PermissionDenied"] as const).map(tagged),
        badArgument({ module: "FileSystem", method: "write" })
      ]) {
        const { layer } = instead("write", error)
        const { reason } = yield* Effect.flip(Effect.provide(File.write(at("a.txt"))(pieces(["One"])), layer))
        told.push(reason._tag)
      }
      assert.deepStrictEqual(told, ["NotFound", "WriteFailed", "Busy", "NotAFile", "PermissionDenied", "InvalidPath"])
      assert.deepStrictEqual(files(), {})
    })
  )

  for (const operation of ["sync", "close", "rename"] as const) {
    it.effect(`an answer that has come whole and cannot be saved: ${operation}`, () =>
      Effect.gen(function* () {
        put("a.txt", "old")
        const { layer } = instead(operation, errno("EIO", operation))
        const error = yield* Effect.flip(Effect.provide(File.write(at("a.txt"))(pieces(["One", " two"])), layer))
        assert.strictEqual(error.reason._tag, "WriteFailed")
        assert.deepStrictEqual([error.bytes, error.kept], [7, at("a.txt.partial")])
        assert.deepStrictEqual(files(), { "a.txt": "old", "a.txt.partial": "One two" })
      })
    )
  }

  it.effect("a file that has been closed is not used: its number may be another's", () =>
    Effect.gen(function* () {
      const { layer, log } = instead("rename", errno("EIO", "rename"))
      yield* Effect.flip(Effect.provide(File.write(at("a.txt"))(pieces(["One"])), layer))
      const after = log.slice(log.indexOf("rename"))
      assert.notInclude(after, "fstat")
      assert.notInclude(after, "truncate")
      // All that was opened was closed, once.
      assert.strictEqual(log.filter((name) => name === "open").length, log.filter((name) => name === "close").length)
    })
  )

  it.effect("a folder that cannot be synced is not an error: the file is whole", () =>
    Effect.gen(function* () {
      for (const [operation, time] of [
        ["openFolder", 1],
        ["sync", 2],
        ["close", 2]
      ] as const) {
        const { layer, log } = instead(operation, errno("EINVAL", operation), time)
        yield* Effect.provide(File.write(at("a.txt"))(pieces(["One"])), layer)
        assert.include(log, "openFolder")
        assert.deepStrictEqual(files(), { "a.txt": "One" })
      }
    })
  )

  it.effect("the file is closed where its length cannot be known", () =>
    Effect.gen(function* () {
      const { layer, log } = instead("fstat", errno("EIO", "fstat"))
      const error = yield* Effect.flip(
        Effect.provide(File.write(at("a.txt"), { mode: "append" })(pieces(["One"])), layer)
      )
      assert.strictEqual(error.reason._tag, "WriteFailed")
      assert.include(log, "close")
    })
  )

  it.effect("of a part that can be neither cut nor removed, the first error is told", () =>
    Effect.gen(function* () {
      const layer = watchedFileSystem.layer((name, effect) =>
        ["write", "remove", "truncate", "close"].includes(name) ? Effect.fail(errno("EIO", name)) : effect
      )
      for (const mode of ["atomic", "append"] as const) {
        const stream = pieces(["One"])
        const error = yield* Effect.flip(
          Effect.provide(File.write(at("a.txt"), { mode, onFailure: "remove" })(stream), layer)
        )
        assert.strictEqual(error.reason._tag, "WriteFailed")
      }
    })
  )
})

describe("several writers to one path", () => {
  it.effect("what another has put at the temporary name is not written to", () =>
    Effect.gen(function* () {
      const random = vi.spyOn(crypto, "randomUUID").mockReturnValue("0-0-0-0-0")
      for (const old of [false, true]) {
        if (old) put("a.txt", "old")
        put("a.txt.0-0-0-0-0.tmp", "another's")
        const error = yield* failure(File.write(at("a.txt"))(pieces(["new"])))
        assert.deepStrictEqual([error.reason._tag, error.reason.code], ["WriteFailed", "EEXIST"])
        assert.deepStrictEqual(files(), { ...(old ? { "a.txt": "old" } : {}), "a.txt.0-0-0-0-0.tmp": "another's" })
      }
      random.mockRestore()
    })
  )

  it.effect("atomic: whole files only, and nothing left", () =>
    Effect.gen(function* () {
      const writers = 20
      const text = (writer: number) => Array.from({ length: 30 }, () => `${writer},`.repeat(200))
      const whole = new Set(["old", ...Array.from({ length: writers }, (_, i) => text(i).join(""))])
      put("a.txt", "old")
      let ended = false
      let looks = 0
      const look = Effect.gen(function* () {
        while (!ended) {
          assert.isTrue(whole.has(nfs.readFileSync(at("a.txt"), "utf8")))
          looks++
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
      })
      const write = Effect.forEach(
        Array.from({ length: writers }, (_, i) => i),
        (i) => File.write(at("a.txt"))(pieces(text(i))),
        { concurrency: "unbounded" }
      ).pipe(onDisk, Effect.ensuring(Effect.sync(() => (ended = true))))
      yield* Effect.all([write, look], { concurrency: 2 })
      assert.isAbove(looks, 10)
      assert.deepStrictEqual(Object.keys(files()), ["a.txt"])
      whole.delete("old")
      assert.isTrue(whole.has(files()["a.txt"]!))
    })
  )

  it.effect("parts of several do not replace each other", () =>
    Effect.gen(function* () {
      const stop = Effect.fail(busy)
      yield* Effect.forEach(
        Array.from({ length: 10 }, (_, i) => i),
        (i) => failure(File.write(at("a.txt"))(pieces([`part ${i}`], stop))),
        { concurrency: "unbounded" }
      )
      const texts = nfs
        .readdirSync(folder)
        .map((name) => [nfs.readFileSync(at(name), "utf8"), name.endsWith(".partial")])
      assert.deepStrictEqual(
        texts.toSorted(),
        Array.from({ length: 10 }, (_, i) => [`part ${i}`, true])
      )
    })
  )

  it.effect("append: whole pieces alternate", () =>
    Effect.gen(function* () {
      yield* Effect.forEach(
        ["a", "b", "c"],
        (name) =>
          File.write(at("a.txt"), { mode: "append" })(pieces(Array.from({ length: 50 }, () => `${name.repeat(99)}\n`))),
        { concurrency: "unbounded" }
      ).pipe(onDisk)
      const lines = files()["a.txt"]!.trimEnd().split("\n").toSorted()
      assert.deepStrictEqual(
        lines,
        ["a", "b", "c"].flatMap((name) => Array.from({ length: 50 }, () => name.repeat(99)))
      )
    })
  )
})

it.effect("an answer of a model: its error and its need are those of the stream, and the disk's", () =>
  Effect.gen(function* () {
    const toFile: Stream.Stream<string, LlmError | FileError, Llm.Llm | FileSystem.FileSystem> = Llm.stream("Hi").pipe(
      File.tee(at("a.txt"))
    )
    const model = service(events([[token("Once")], [token(" upon")], [finished]]))
    const text = yield* Stream.mkString(Stream.provideService(toFile, Llm.Llm, model)).pipe(onDisk)
    assert.strictEqual(text, "Once upon")
    assert.deepStrictEqual(files(), { "a.txt": "Once upon" })
    const cut = service(events([[token("Once")]], Effect.fail(busy)))
    const caught = yield* Stream.provideService(toFile, Llm.Llm, cut).pipe(
      Stream.runDrain,
      Effect.catchReason("FileError", "NoSpace", () => Effect.void),
      Effect.flip,
      onDisk
    )
    assert.strictEqual(caught, busy)
    assert.deepStrictEqual(files(), { "a.txt": "Once upon", "a.txt.partial": "Once" })
  })
)
