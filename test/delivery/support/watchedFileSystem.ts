/** The real file system, with something around each of its operations. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { type PlatformError, type SystemErrorTag, systemError } from "effect/PlatformError"
import * as Scope from "effect/Scope"

export type Operation =
  | "realPath"
  | "lstat"
  | "stat"
  | "access"
  | "open"
  | "openFolder"
  | "chown"
  | "chmod"
  | "rename"
  | "remove"
  | "write"
  | "sync"
  | "fstat"
  | "truncate"
  | "close"

export type Around = <A, R>(
  operation: Operation,
  effect: Effect.Effect<A, PlatformError, R>,
  on: { readonly file?: FileSystem.File; readonly bytes?: Uint8Array; readonly path?: string }
) => Effect.Effect<A, PlatformError, R>

export const layer = (around: Around): Layer.Layer<FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => {
      const file = (real: FileSystem.File): FileSystem.File => ({
        [FileSystem.FileTypeId]: FileSystem.FileTypeId,
        stat: around("fstat", real.stat, { file: real }),
        sync: around("sync", real.sync, { file: real }),
        truncate: (length) => around("truncate", real.truncate(length), { file: real }),
        writeAll: (bytes) => around("write", real.writeAll(bytes), { file: real, bytes }),
        write: (bytes) => around("write", real.write(bytes), { file: real, bytes }),
        seek: (offset, from) => real.seek(offset, from),
        read: (buffer, options) => real.read(buffer, options),
        readAlloc: (size, options) => real.readAlloc(size, options)
      })
      const open: FileSystem.FileSystem["open"] = (path, options) =>
        Effect.uninterruptible(
          Effect.gen(function* () {
            const scope = yield* Scope.Scope
            const inner = yield* Scope.make()
            const operation = options?.flag === "r" ? "openFolder" : "open"
            const opened = yield* around(operation, Scope.provide(fs.open(path, options), inner), { path })
            yield* Scope.addFinalizerExit(scope, (exit) =>
              Effect.orDie(around("close", Scope.close(inner, exit), { file: opened, path }))
            )
            return file(opened)
          })
        )
      return {
        ...fs,
        realPath: (path) => around("realPath", fs.realPath(path), { path }),
        lstat: (path) => around("lstat", fs.lstat(path), { path }),
        stat: (path) => around("stat", fs.stat(path), { path }),
        access: (path, options) => around("access", fs.access(path, options), { path }),
        chown: (path, uid, gid) => around("chown", fs.chown(path, uid, gid), { path }),
        chmod: (path, mode) => around("chmod", fs.chmod(path, mode), { path }),
        rename: (from, to) => around("rename", fs.rename(from, to), { path: to }),
        remove: (path, options) => around("remove", fs.remove(path, options), { path }),
        open
      }
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** What the real one gives for a code that the system gave, see its `handleErrnoException`. */
export const errno = (code: string, method = "write"): PlatformError =>
  systemError({
    _tag: tags[code] ?? "Unknown",
    module: "FileSystem",
    method,
    pathOrDescriptor: 3,
    syscall: method,
    cause: Object.assign(new Error(`${code}: the system's words, ${method}`), { code, errno: -1, syscall: method })
  })

const tags: Readonly<Record<string, SystemErrorTag>> = {
  ENOENT: "NotFound",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  EEXIST: "AlreadyExists",
  EISDIR: "BadResource",
  ENOTDIR: "BadResource",
  ELOOP: "BadResource",
  EBUSY: "Busy"
}
