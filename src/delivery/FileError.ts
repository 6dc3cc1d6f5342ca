/**
 * What can go wrong while an answer is written to a file, as tagged data.
 *
 * There is one error, {@link FileError}; its `reason` says what happened, and it says which file, how much
 * of it had been written, and where that is. No text of the answer is part of any message.
 *
 * ```ts
 * Llm.stream("Tell me a story").pipe(
 *   File.write("stories/one.txt"),
 *   Effect.catchReason("FileError", "NotFound", () => Console.error("Make the folder stories first")))
 * ```
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const reported = {
  /** What happened and what to do about it. */
  message: Schema.String,
  /** The system's code, such as `ENOSPC`, where there is one. */
  code: Schema.optionalKey(Schema.String)
}

/**
 * The folder that the file is to be in does not exist, or the path is a symbolic link to nothing.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", reported) {}

/**
 * The file may not be written or replaced, or nothing may be made in its folder: their permissions forbid
 * it, or they are on a file system that can only be read.
 *
 * @category reasons
 * @since 0.1.0
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", reported) {}

/**
 * The disk is full, the quota is used up, or the file is larger than it may be.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NoSpace extends Schema.TaggedError<NoSpace>()("NoSpace", reported) {}

/**
 * What is at the path is a folder, or, in mode `atomic`, a device, a socket or a named pipe.
 *
 * @category reasons
 * @since 0.1.0
 */
export class NotAFile extends Schema.TaggedError<NotAFile>()("NotAFile", reported) {}

/**
 * No file can have this path: it or its name is too long, its links go round in a circle, or something
 * before the name is not a folder.
 *
 * @category reasons
 * @since 0.1.0
 */
export class InvalidPath extends Schema.TaggedError<InvalidPath>()("InvalidPath", reported) {}

/**
 * The file is in use, or too many files are open. Waiting may help.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Busy extends Schema.TaggedError<Busy>()("Busy", reported) {}

/**
 * The system could not write, for another reason: `code` is what it calls it.
 *
 * @category reasons
 * @since 0.1.0
 */
export class WriteFailed extends Schema.TaggedError<WriteFailed>()("WriteFailed", reported) {}

/**
 * Schema of all reasons.
 *
 * @category reasons
 * @since 0.1.0
 */
export const Reason = Schema.Union([NotFound, PermissionDenied, NoSpace, NotAFile, InvalidPath, Busy, WriteFailed])

/**
 * Why a file could not be written.
 *
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The error of everything that writes an answer to a file.
 *
 * @category errors
 * @since 0.1.0
 */
export class FileError extends Schema.TaggedError<FileError>()("FileError", {
  /** What happened. */
  reason: Reason,
  /** The file, as it was named. */
  path: Schema.String,
  /** Bytes of the answer that had been written. */
  bytes: Schema.Number,
  /** Where these bytes are now, where they have been kept. */
  kept: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    const kept = this.kept === undefined ? "" : ` What had been written (${this.bytes} bytes) is in ${this.kept}.`
    return `${this.path}: ${this.reason._tag}: ${this.reason.message}${kept}`
  }
}

/**
 * Whether a value is a {@link FileError}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFileError: (value: unknown) => value is FileError = Schema.is(FileError)
