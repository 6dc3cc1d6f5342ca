/**
 * The two ways to write a file: each begins a draft, which is committed or abandoned, once.
 *
 * @internal
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { isPlatformError, type PlatformError } from "effect/PlatformError"
import * as Scope from "effect/Scope"
import type { Reason } from "../FileError.ts"
import { danglingLink, fromPlatform, special } from "./fileReason.ts"

/** What becomes of the part. */
export type OnFailure = "keep" | "remove"

export interface Draft {
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, Reason>
  /** Bytes written by the writes that succeeded. */
  readonly bytes: number
  /** Makes it durable, and the file. */
  readonly commit: Effect.Effect<void, Reason>
  /** Does with the part what is to be done, and tells where it is, if it is kept. */
  readonly abandon: (onFailure: OnFailure) => Effect.Effect<string | undefined>
}

/** An open file that is closed by hand, and never used after that: its number may be another file's by then. */
class OpenFile {
  bytes = 0
  private tried = 0
  private closed = false
  private readonly file: FileSystem.File
  private readonly scope: Scope.Closeable

  constructor(file: FileSystem.File, scope: Scope.Closeable) {
    this.file = file
    this.scope = scope
  }

  write(bytes: Uint8Array): Effect.Effect<void, PlatformError> {
    this.tried += bytes.length
    return Effect.map(this.file.writeAll(bytes), () => void (this.bytes += bytes.length))
  }

  get sync(): Effect.Effect<void, PlatformError> {
    return this.file.sync
  }

  /** Some file systems tell only now that a write did not succeed, and `FileSystem` tells it as a defect. */
  get close(): Effect.Effect<void, PlatformError> {
    return Effect.suspend(() => {
      this.closed = true
      return Effect.catchDefect(Scope.close(this.scope, Exit.void), (defect) =>
        isPlatformError(defect) ? Effect.fail(defect) : Effect.die(defect)
      )
    })
  }

  /**
   * Cuts off what was written past `length` of the bytes written here, unless something else has been
   * appended since `start`: a write that failed may have written a part.
   */
  cut(start: bigint, length: number): Effect.Effect<void, PlatformError> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      return Effect.flatMap(this.file.stat, (info) => {
        const size = ByteSize.toBigInt(info.size) - start
        const ours = size >= BigInt(this.bytes) && size <= BigInt(this.tried)
        return ours && size > BigInt(length) ? this.file.truncate(Number(start) + length) : Effect.void
      })
    })
  }
}

const open = (
  fs: FileSystem.FileSystem,
  path: string,
  options: { readonly flag: FileSystem.OpenFlag; readonly mode?: number }
): Effect.Effect<readonly [FileSystem.File, OpenFile], PlatformError> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const file = yield* Scope.provide(fs.open(path, options), scope)
    return [file, new OpenFile(file, scope)]
  })

/** Writes to a file of another name, which takes the place of the old one when it is complete. */
export const atomic = (fs: FileSystem.FileSystem, path: string): Effect.Effect<Draft, Reason> =>
  Effect.gen(function* () {
    const { info, target } = yield* existing(fs, path)
    // In the same folder, since a rename does not cross file systems; not to be guessed, and made
    // exclusively, since others may be able to write in that folder.
    const temporary = `${target}.${crypto.randomUUID()}.tmp`
    const [, file] = yield* orReason(
      open(fs, temporary, info === undefined ? { flag: "wx" } : { flag: "wx", mode: 0o600 })
    )
    if (info !== undefined) yield* inherit(fs, temporary, info)
    return {
      write: (bytes) => orReason(file.write(bytes)),
      get bytes() {
        return file.bytes
      },
      commit: file.sync.pipe(
        Effect.andThen(file.close),
        Effect.andThen(fs.rename(temporary, target)),
        orReason,
        Effect.andThen(syncFolder(fs, target))
      ),
      abandon: (onFailure) =>
        // If it cannot be cut, closed or moved, then nothing is lost: it stays where it is.
        Effect.ignore(file.cut(0n, file.bytes)).pipe(
          Effect.andThen(Effect.ignore(file.close)),
          Effect.andThen(
            onFailure === "keep" && file.bytes > 0
              ? keep(fs, temporary, target)
              : Effect.as(told(fs.remove(temporary, { force: true }), temporary), undefined)
          )
        )
    }
  })

/** The regular file that is to be replaced, its symbolic links followed, if there is one. */
const existing = (
  fs: FileSystem.FileSystem,
  path: string
): Effect.Effect<{ readonly target: string; readonly info?: FileSystem.File.Info }, Reason> =>
  Effect.gen(function* () {
    const real = yield* found(fs.realPath(path))
    if (real === undefined) {
      if ((yield* found(fs.lstat(path))) === undefined) return { target: path }
      return yield* Effect.fail(danglingLink)
    }
    const info = yield* orReason(fs.stat(real))
    if (info.type !== "File") return yield* Effect.fail(special(info.type))
    // A rename asks for the folder's permission only. Who made a file read-only meant it.
    yield* orReason(fs.access(real, { writable: true }))
    return { target: real, info }
  })

const found = <A>(effect: Effect.Effect<A, PlatformError>): Effect.Effect<A | undefined, Reason> =>
  Effect.catch(orReason(effect), (reason) =>
    reason._tag === "NotFound" ? Effect.succeed(undefined) : Effect.fail(reason)
  )

/**
 * Gives a new file the owner and the permissions of the one that it will replace, as far as this user may.
 * The owner first, since that takes permissions away.
 */
const inherit = (fs: FileSystem.FileSystem, path: string, info: FileSystem.File.Info): Effect.Effect<void> =>
  Effect.gen(function* () {
    const mode = info.mode & 0o777
    const owner = Option.all([info.uid, info.gid])
    const owned = Option.isSome(owner) ? yield* Effect.exit(fs.chown(path, owner.value[0], owner.value[1])) : Exit.void
    // What the old group might do must not be given to another: it gets what everyone gets.
    yield* Effect.ignore(fs.chmod(path, Exit.isSuccess(owned) ? mode : (mode & 0o707) | ((mode & 0o007) << 3)))
  })

/** Keeps a part under a name that no other has. */
const keep = (fs: FileSystem.FileSystem, temporary: string, target: string): Effect.Effect<string> => {
  const to = (name: string) =>
    // A rename replaces what is there, so the name is taken first.
    Effect.scoped(fs.open(name, { flag: "wx" })).pipe(
      Effect.andThen(Effect.tapError(fs.rename(temporary, name), () => Effect.ignore(fs.remove(name)))),
      Effect.as(name)
    )
  return Effect.suspend(() => to(`${target}.partial`)).pipe(
    Effect.catch(() => to(`${target}.${crypto.randomUUID()}.partial`)),
    Effect.catch(() => Effect.succeed(temporary))
  )
}

/** Writes at the end of the file itself. */
export const append = (fs: FileSystem.FileSystem, path: string): Effect.Effect<Draft, Reason> =>
  Effect.gen(function* () {
    const [handle, file] = yield* orReason(open(fs, path, { flag: "a" }))
    const info = yield* orReason(Effect.onError(handle.stat, () => Effect.ignore(file.close)))
    const start = ByteSize.toBigInt(info.size)
    // Devices and pipes have no length to go back to, and no disk to be synced to.
    const regular = info.type === "File"
    return {
      write: (bytes) => orReason(file.write(bytes)),
      get bytes() {
        return file.bytes
      },
      commit: (regular ? file.sync : Effect.void).pipe(
        Effect.andThen(file.close),
        orReason,
        Effect.andThen(regular ? syncFolder(fs, path) : Effect.void)
      ),
      abandon: (onFailure) =>
        (regular ? told(file.cut(start, onFailure === "keep" ? file.bytes : 0), path) : Effect.void).pipe(
          Effect.andThen(Effect.ignore(file.close)),
          Effect.as(onFailure === "keep" && file.bytes > 0 ? path : undefined)
        )
    }
  })

/** A new name is durable when its folder is. Not every system can sync a folder; the file is whole anyhow. */
const syncFolder = (fs: FileSystem.FileSystem, path: string): Effect.Effect<void> =>
  Effect.ignoreCause(Effect.scoped(Effect.flatMap(fs.open(folderOf(path), { flag: "r" }), (folder) => folder.sync)))

/** By "/" alone: where it is another sign, no folder can be synced. */
const folderOf = (path: string): string => {
  const end = path.lastIndexOf("/")
  return end === -1 ? "." : path.slice(0, Math.max(end, 1))
}

/** For what is done after the error that is told. */
const told = (effect: Effect.Effect<void, PlatformError>, path: string): Effect.Effect<void> =>
  Effect.catch(effect, (error) =>
    Effect.logWarning(`${path}: what came of an answer could not be removed: ${fromPlatform(error).message}`)
  )

const orReason = <A>(effect: Effect.Effect<A, PlatformError>): Effect.Effect<A, Reason> =>
  Effect.mapError(effect, fromPlatform)
