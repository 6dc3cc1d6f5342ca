/**
 * A reader of text files below one folder, for a model: nothing outside of it can be read.
 *
 * Refused are absolute paths, `..`, symbolic links anywhere on the way (also those that stay inside), names
 * that begin with a dot (where keys and histories are kept), what is no regular file, what is not text, and
 * what is too large. What has been opened is looked at again before it is read, so that nothing is gained
 * by swapping a folder for a link in between.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import * as FsPromises from "node:fs/promises"
import * as Path from "node:path"
import { Failed } from "./Failure.ts"

/**
 * Why a file is not read. The message is for the model, and speaks of paths as it wrote them.
 *
 * @category errors
 * @since 0.1.0
 */
export class FileError extends Data.TaggedError("FileError")<{
  readonly reason: "Outside" | "Link" | "Hidden" | "Missing" | "NotText" | "TooLarge" | "NoFile" | "Refused" | "Changed"
  readonly message: string
}> {}

/**
 * The largest file, in bytes: about 16,000 tokens.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxBytes = 64 * 1024

/**
 * The most names of a folder that are listed.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxNames = 500

/**
 * Reads below a folder.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileReader {
  /** The text of a file; of a folder, its names, a line each, folders with a `/` at the end. */
  readonly read: (path: string) => Effect.Effect<string, FileError>
}

/**
 * Makes a reader. The folder itself may be a link: where it leads to is found out once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: {
  readonly folder: string
  /** For tests: runs after the path has been looked at, and before it is opened. */
  readonly beforeOpening?: Effect.Effect<void>
}): Effect.fn.Return<FileReader, Failed> {
  const { beforeOpening = Effect.void, folder } = options
  const cannot = (why: string) => new Failed({ message: `--folder ${folder}: ${why}.` })
  const root = yield* Effect.try({
    try: () => Fs.realpathSync(folder),
    catch: (error) =>
      cannot(codeOf(error) === "ENOENT" ? "there is no such folder" : `the system refused (${codeOf(error)})`)
  })
  if (!Fs.statSync(root).isDirectory()) return yield* cannot("it is not a folder")

  const read = Effect.fnUntraced(function* (path: string) {
    const names = yield* namesOf(path)
    const full = Path.join(root, ...names)
    yield* lookAt(root, names, path)
    yield* beforeOpening
    return yield* Effect.acquireUseRelease(
      attempt(path, () => FsPromises.open(full, flags)),
      (file) => attempt(path, () => readOpened(file, full, path)),
      (file) => Effect.promise(() => file.close())
    )
  })
  return { read }
})

/** No link as the last name; no waiting for somebody to write to a pipe. */
const flags = Fs.constants.O_RDONLY | (Fs.constants.O_NOFOLLOW ?? 0) | (Fs.constants.O_NONBLOCK ?? 0)

const isWindows = process.platform === "win32"

const namesOf = (path: string): Effect.Effect<ReadonlyArray<string>, FileError> => {
  if (path.includes("\0")) return Effect.fail(error("Outside", path, "a path has no such character"))
  if (Path.posix.isAbsolute(path) || Path.win32.isAbsolute(path) || (isWindows && path.includes(":"))) {
    return Effect.fail(error("Outside", path, "the path is absolute. Paths begin at the folder, such as notes.txt"))
  }
  const names = path.split(isWindows ? /[\\/]/ : "/").filter((name) => name !== "" && name !== ".")
  if (names.includes("..")) {
    return Effect.fail(error("Outside", path, "“..” is not allowed: nothing outside of the folder can be read"))
  }
  if (names.some((name) => name.startsWith("."))) {
    return Effect.fail(error("Hidden", path, "names that begin with a dot are not read"))
  }
  return Effect.succeed(names)
}

/** Says what is wrong before anything is opened: from the folder down, so that nothing behind a link is touched. */
const lookAt = (root: string, names: ReadonlyArray<string>, path: string): Effect.Effect<void, FileError> =>
  Effect.forEach(
    names,
    (_, index) =>
      attempt(path, async () => {
        if ((await FsPromises.lstat(Path.join(root, ...names.slice(0, index + 1)))).isSymbolicLink()) {
          throw error("Link", path, "it is, or goes through, a symbolic link, and those are not followed")
        }
      }),
    { discard: true }
  )

const readOpened = async (file: FsPromises.FileHandle, full: string, path: string): Promise<string> => {
  const stat = await file.stat()
  if (!stat.isFile() && !stat.isDirectory()) throw error("NoFile", path, "it is neither a file nor a folder")
  if (!(await isAt(file, stat, full))) throw error("Changed", path, "it changed while it was opened")
  return stat.isDirectory() ? list(file, full, path) : readText(file, path)
}

/** Where the system knows the path of what is open, that is the whole truth; elsewhere it is looked up again. */
const isAt = async (file: FsPromises.FileHandle, stat: Fs.Stats, full: string): Promise<boolean> => {
  if (process.platform === "linux") return (await FsPromises.readlink(`/proc/self/fd/${file.fd}`)) === full
  const now = await FsPromises.lstat(await FsPromises.realpath(full))
  const real = await FsPromises.realpath(full)
  return now.ino === stat.ino && now.dev === stat.dev && real.toLowerCase() === full.toLowerCase()
}

const list = async (file: FsPromises.FileHandle, full: string, path: string): Promise<string> => {
  const entries = await FsPromises.readdir(process.platform === "linux" ? `/proc/self/fd/${file.fd}` : full, {
    withFileTypes: true
  })
  const names = entries
    .filter((entry) => (entry.isFile() || entry.isDirectory()) && !entry.name.startsWith("."))
    .map((entry) => `${JSON.stringify(entry.name).slice(1, -1)}${entry.isDirectory() ? "/" : ""}`)
    .toSorted()
  const more = names.length - maxNames
  if (names.length === 0) return `The folder ${path} has no files.`
  return [...names.slice(0, maxNames), ...(more > 0 ? [`… and ${more} more`] : [])].join("\n")
}

const readText = async (file: FsPromises.FileHandle, path: string): Promise<string> => {
  // Not what its length says: it may grow, and some have none.
  const bytes = Buffer.alloc(maxBytes + 1)
  let length = 0
  while (length < bytes.length) {
    // oxlint-disable-next-line eslint/no-await-in-loop -- each goes on where the last one ended
    const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  if (length > maxBytes) throw error("TooLarge", path, `it is larger than ${maxBytes} bytes, which is the most`)
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length))
  } catch {
    throw error("NotText", path, "it is not text in UTF-8")
  }
  if (text.includes("\0")) throw error("NotText", path, "it is not text")
  return text
}

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, FileError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => {
      if (cause instanceof FileError) return cause
      const code = codeOf(cause)
      switch (code) {
        case "ENOENT":
        case "ENOTDIR":
          return error("Missing", path, "there is no such file. Read the folder . to see what there is")
        case "ELOOP":
        case "EMLINK":
          return error("Link", path, "it is a symbolic link, and those are not followed")
        default:
          return error("Refused", path, `the system refused (${code})`)
      }
    }
  })

const error = (reason: FileError["reason"], path: string, why: string): FileError =>
  new FileError({ reason, message: `${path} cannot be read: ${why}.` })

const codeOf = (error: unknown): string => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return typeof code === "string" ? code : "unknown"
}
