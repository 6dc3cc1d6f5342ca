/**
 * Writes an answer to a file as it comes.
 *
 * ```ts
 * Llm.stream("Tell me a story").pipe(File.write("story.txt")) // Effect<Written, LlmError | FileError, …>
 * Llm.stream("Tell me a story").pipe(File.tee("story.txt"))   // Stream<string, LlmError | FileError, …>
 * ```
 *
 * The text is written in UTF-8, one write for each array of the stream, and an array is asked for when the
 * one before has been written. A character that is cut between two pieces is written whole.
 *
 * **Mode `atomic`**, the default: at the path is the old file, or nothing, until the answer is complete, and
 * then the whole new one, whatever happens in between: an error, an interruption, a process that is killed,
 * a machine that stops. The text is written to `<name>.<random>.tmp` in the same folder, synced to the disk
 * and renamed; the folder is synced where the system can. Of several writers to one path, the last to end wins.
 *
 * - The new file has the permissions and the owner of the old one, as far as this user may give them. Its
 *   hard links, access lists and extended attributes stay with the old one.
 * - A symbolic link stays; the file that it leads to is replaced. A link to nothing is an error.
 * - A file that this user may not write is not replaced, even though its folder would allow it. Nor is a
 *   device or a pipe.
 *
 * **Mode `append`**: the text is added to the end of the file while it comes, which is made if need be, and
 * synced when it is complete. Of several writers to one path, whole pieces alternate. A process that is
 * killed leaves what it has written by then.
 *
 * **On failure or interruption**, also when a reader takes a part and stops, the part is:
 *
 * - `keep`, the default: kept. In mode `atomic` as `<name>.partial`, or, if there is one already, as
 *   `<name>.<random>.partial`; in mode `append` where it is. It is the text that was passed on, in whole
 *   characters, and at most one array more.
 * - `remove`: removed. In mode `append` the file is cut back to what it was, unless another has appended to
 *   it meanwhile.
 *
 * No part is kept of which nothing had come. A process that is killed removes nothing: its `.tmp` stays.
 *
 * A disk that cannot be written to is a {@link FileError.FileError}. What can be known before anything is
 * asked for, such as a missing folder, fails before. One that comes while text is coming stops the answer, and
 * the array that could not be written is not passed on. The stream's own error stays what it is.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { WholeCharacters } from "../policy/internal/wholeCharacters.ts"
import { FileError, type Reason } from "./FileError.ts"
import * as Draft from "./internal/draft.ts"

/**
 * How a file is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * `atomic` (default): the file is the old one until the answer is complete. `append`: the text is added to
   * the file while it comes, for those who watch it.
   */
  readonly mode?: "atomic" | "append"
  /**
   * What becomes of a part: `keep` (default), in mode `atomic` as `<name>.partial`, or `remove`.
   */
  readonly onFailure?: "keep" | "remove"
}

/**
 * What has been written.
 *
 * @category models
 * @since 0.1.0
 */
export interface Written {
  /** The file, as it was named. */
  readonly path: string
  /** Bytes of the answer. In mode `append` the file may have more. */
  readonly bytes: number
}

/**
 * Writes the text to a file and passes it on, each array after it has been written. The end is passed on
 * when the file is complete: a reader that stops before the end leaves a part.
 *
 * Each run of the stream writes the file anew.
 *
 * @category delivery
 * @since 0.1.0
 */
export const tee =
  (path: string, options?: Options) =>
  <E, R>(stream: Stream.Stream<string, E, R>): Stream.Stream<string, E | FileError, R | FileSystem.FileSystem> =>
    through(stream, path, options, () => {})

/**
 * Writes the whole text to a file, and tells what it has written.
 *
 * @category delivery
 * @since 0.1.0
 */
export const write =
  (path: string, options?: Options) =>
  <E, R>(stream: Stream.Stream<string, E, R>): Effect.Effect<Written, E | FileError, R | FileSystem.FileSystem> =>
    Effect.suspend(() => {
      let bytes = 0
      const written = through(stream, path, options, (count) => void (bytes = count))
      return Effect.map(Stream.runDrain(written), () => ({ path, bytes }))
    })

/**
 * The same as a sink, for what takes one, such as `Stream.run`.
 *
 * @category delivery
 * @since 0.1.0
 */
export const sink = (
  path: string,
  options?: Options
): Sink.Sink<Written, string, never, FileError, FileSystem.FileSystem> => Sink.make<string>()(write(path, options))

const through = <E, R>(
  stream: Stream.Stream<string, E, R>,
  path: string,
  options: Options | undefined,
  onComplete: (bytes: number) => void
): Stream.Stream<string, E | FileError, R | FileSystem.FileSystem> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.gen(function* () {
        const writing = yield* Effect.uninterruptible(
          Effect.tap(open(path, options), (writing) => Scope.addFinalizer(scope, writing.abandon))
        )
        // Scopes close backwards: the connection first, then the file, which may take its time.
        const connection = yield* Scope.fork(scope)
        const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), connection)

        const failed = (reason: Reason): Effect.Effect<never, FileError> =>
          Scope.close(connection, Exit.interrupt()).pipe(
            Effect.andThen(writing.abandon),
            Effect.flatMap((kept) => Effect.fail(writing.error(reason, kept)))
          )
        // A write goes on in the system when its fiber is interrupted, and the file must not be closed then.
        const onSuccess = (texts: NonEmptyReadonlyArray<string>) => {
          const write = writing.write(texts)
          return write === undefined
            ? Effect.succeed(texts)
            : Effect.uninterruptible(
                Effect.matchEffect(write, { onFailure: failed, onSuccess: () => Effect.succeed(texts) })
              )
        }
        const onFailure = (cause: Cause.Cause<E | Cause.Done>): Pull.Pull<never, E | FileError> => {
          const complete = Pull.isDoneCause(cause)
          const settle: Effect.Effect<unknown, FileError> = complete
            ? Effect.catch(writing.commit, failed)
            : writing.abandon
          return Scope.close(connection, Pull.doneExitFromCause(cause)).pipe(
            Effect.andThen(settle),
            Effect.uninterruptible,
            Effect.andThen(() => {
              if (complete) onComplete(writing.bytes)
              return Effect.failCause(cause)
            })
          )
        }
        return Effect.matchCauseEffect(pull, { onSuccess, onFailure })
      })
    )
  )

const open = (
  path: string,
  { mode = "atomic", onFailure = "keep" }: Options = {}
): Effect.Effect<Writing, FileError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => (mode === "append" ? Draft.append : Draft.atomic)(fs, path)).pipe(
    Effect.mapBoth({
      onSuccess: (draft) => new Writing(path, draft, onFailure),
      onFailure: (reason) => new FileError({ reason, path, bytes: 0 })
    })
  )

/** One run: text in, bytes to the draft. */
class Writing {
  private settled = false
  private readonly characters = new WholeCharacters()
  private readonly utf8 = new TextEncoder()
  private readonly path: string
  private readonly draft: Draft.Draft
  private readonly onFailure: Draft.OnFailure

  constructor(path: string, draft: Draft.Draft, onFailure: Draft.OnFailure) {
    this.path = path
    this.draft = draft
    this.onFailure = onFailure
  }

  get bytes(): number {
    return this.draft.bytes
  }

  /** `undefined` where there is nothing to write. */
  write(texts: NonEmptyReadonlyArray<string>): Effect.Effect<void, Reason> | undefined {
    return this.writeText(this.characters.take(texts.length === 1 ? texts[0] : texts.join("")))
  }

  private writeText(text: string): Effect.Effect<void, Reason> | undefined {
    return text === "" ? undefined : this.draft.write(this.utf8.encode(text))
  }

  get commit(): Effect.Effect<void, Reason> {
    return Effect.suspend(() => this.writeText(this.characters.rest()) ?? Effect.void).pipe(
      Effect.andThen(this.draft.commit),
      Effect.andThen(Effect.sync(() => void (this.settled = true)))
    )
  }

  /** Tells where the part is, if it is kept. Does nothing once the file is complete or abandoned. */
  get abandon(): Effect.Effect<string | undefined> {
    return Effect.suspend(() => {
      if (this.settled) return Effect.succeed(undefined)
      this.settled = true
      return Effect.uninterruptible(this.draft.abandon(this.onFailure))
    })
  }

  error(reason: Reason, kept: string | undefined): FileError {
    return new FileError({ reason, path: this.path, bytes: this.bytes, ...(kept === undefined ? undefined : { kept }) })
  }
}
