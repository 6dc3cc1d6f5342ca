/**
 * Where an answer goes: standard output or a file, piece by piece, as fast as it is taken.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { BrokenPipe, Failed, systemCode, why } from "./Failure.ts"
import type { Screen } from "./Screen.ts"
import * as TerminalText from "./TerminalText.ts"

/**
 * Writes all of a text, and succeeds when the last piece has been taken.
 *
 * @category models
 * @since 0.1.0
 */
export type Output = <E, R>(text: Stream.Stream<string, E, R>) => Effect.Effect<void, E | Failed | BrokenPipe, R>

/**
 * Standard output. On a terminal, escape sequences are dropped and the text ends with a line feed,
 * however it ends; into a pipe or a file every character goes as it came.
 *
 * @category outputs
 * @since 0.1.0
 */
export const standard = (screen: Screen): Effect.Effect<Output, never, Stdio.Stdio> =>
  Effect.map(Stdio.Stdio, (stdio) => {
    const sink = Sink.mapError(stdio.stdout(), (error) => writingFailed("standard output", error))
    if (!screen.stdoutIsTerminal) return (text) => Stream.run(encode(text), sink)
    return (text) =>
      Effect.suspend(() => {
        const filter = TerminalText.makeFilter()
        let last = "\n"
        const shown = Stream.map(text, (piece) => {
          const clean = filter(piece)
          last = clean.at(-1) ?? last
          return clean
        })
        return Stream.run(encode(shown), sink).pipe(
          Effect.ensuring(
            Effect.suspend(() => (last === "\n" ? Effect.void : Effect.ignore(Stream.run(Stream.make("\n"), sink))))
          )
        )
      })
  })

/**
 * A file. It is opened at once, so that a path that cannot be written to is known before anything is
 * asked; what is in it is replaced only when the first piece comes, or the text ends without one.
 *
 * @category outputs
 * @since 0.1.0
 */
export const file = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Output, Failed, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const failed = (error: PlatformError) => new Failed({ message: `cannot write to ${path}: ${why(error)}.` })
  // Appending creates a file and leaves one that is there as it is.
  const file = yield* Effect.mapError(fs.open(path, { flag: "a" }), failed)
  const { type } = yield* Effect.mapError(file.stat, failed)
  // Only a regular file has a length: /dev/null and named pipes are written to as they are.
  const empty = yield* Effect.cached(type === "File" ? Effect.mapError(file.truncate(0), failed) : Effect.void)
  return (text) =>
    Stream.runForEachArray(encode(text), (pieces) =>
      Effect.andThen(empty, Effect.mapError(file.writeAll(Buffer.concat(pieces)), failed))
    ).pipe(Effect.andThen(empty))
})

const writingFailed = (what: string, error: PlatformError): Failed | BrokenPipe => {
  const code = systemCode(error)
  return code !== undefined && gone.has(code)
    ? new BrokenPipe()
    : new Failed({ message: `cannot write to ${what}: ${why(error)}.` })
}

/** Nobody reads any more: the pipe is closed (EOF on Windows), or was closed before. */
const gone = new Set(["EPIPE", "EOF", "ERR_STREAM_DESTROYED", "ERR_STREAM_WRITE_AFTER_END"])

/** UTF-8, one buffer for what comes together; a pair of surrogates may come in two pieces. */
const encode = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<Uint8Array, E, R> =>
  Stream.suspend(() => {
    let half = ""
    const encoder = new TextEncoder()
    return text.pipe(
      Stream.mapArray((pieces) => {
        let joined = half + pieces.join("")
        half = /[\ud800-\udbff]$/.test(joined) ? joined.slice(-1) : ""
        if (half !== "") joined = joined.slice(0, -1)
        return [encoder.encode(joined)]
      }),
      Stream.concat(Stream.suspend(() => (half === "" ? Stream.empty : Stream.make(encoder.encode(half)))))
    )
  })
