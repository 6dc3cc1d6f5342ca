/**
 * What ends a run of the command badly.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { PlatformError } from "effect/PlatformError"
import type { LlmError } from "../LlmError.ts"

/**
 * The command was called in a way that makes no sense. Exit code 2.
 *
 * @category errors
 * @since 0.1.0
 */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

/**
 * Something that was asked for cannot be done: a file, a key, a port. Exit code 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class Failed extends Data.TaggedError("Failed")<{ readonly message: string }> {}

/**
 * Whoever reads standard output has read enough, as in `rill … | head`. Exit code 0.
 *
 * @category errors
 * @since 0.1.0
 */
export class BrokenPipe extends Data.TaggedError("BrokenPipe")<{}> {}

/**
 * All of them.
 *
 * @category models
 * @since 0.1.0
 */
export type Failure = UsageError | Failed | BrokenPipe | LlmError

/**
 * The system's code of a platform error, such as `ENOENT`.
 *
 * @category getters
 * @since 0.1.0
 */
export const systemCode = (error: PlatformError): string | undefined => {
  const { cause } = error.reason
  const code = typeof cause === "object" && cause !== null ? (cause as { readonly code?: unknown }).code : undefined
  return typeof code === "string" ? code : undefined
}

/**
 * Says in a few words why the system refused.
 *
 * @category getters
 * @since 0.1.0
 */
export const why = (error: PlatformError): string => {
  const code = systemCode(error)
  return code === undefined ? error.reason._tag : `${words[code] ?? "the system refused"} (${code})`
}

const words: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOENT: "there is no such folder",
  ENOTDIR: "a part of its path is not a folder",
  EISDIR: "it is a folder",
  ENOSPC: "no space is left",
  EDQUOT: "the quota is used up",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many files are open"
}
