/** Writes a file, as a process of its own: told on standard input, and telling how it went as JSON. */
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as File from "effect-rill/delivery/File"
import * as watchedFileSystem from "./watchedFileSystem.ts"

export interface Job {
  readonly path: string
  readonly options: File.Options
  readonly arrays: ReadonlyArray<string>
  /** Becomes this user before it writes. */
  readonly user?: number
  /** Kills itself at the operation of this number: before it, or once the system has been asked for it. */
  readonly kill?: readonly [at: number, when: "before" | "during"]
}

export interface Told {
  readonly written?: File.Written
  readonly error?: {
    readonly tag: string
    readonly message: string
    readonly code?: string
    readonly bytes: number
    readonly kept?: string
  }
  readonly passedOn: number
  readonly closed: number
  readonly operations: ReadonlyArray<string>
  /** The folder's files and what is in them. */
  readonly files: Readonly<Record<string, string>>
}

const job = JSON.parse(fs.readFileSync(0, "utf8")) as Job
const operations: Array<string> = []
const die = Effect.sync(() => void process.kill(process.pid, "SIGKILL"))
const around: watchedFileSystem.Around = (operation, effect) =>
  Effect.suspend(() => {
    operations.push(operation)
    if (operations.length - 1 !== job.kill?.[0]) return effect
    return job.kill[1] === "before"
      ? Effect.andThen(die, Effect.never)
      : Effect.andThen(Effect.forkChild(effect, { startImmediately: true }), Effect.andThen(die, Effect.never))
  })

let passedOn = 0
let closed = 0
const text = Stream.fromIterable(job.arrays, { chunkSize: 1 }).pipe(
  Stream.ensuring(Effect.sync(() => void closed++)),
  File.tee(job.path, job.options),
  Stream.tap(() => Effect.sync(() => void passedOn++))
)
const tell = (told: Pick<Told, "error" | "written">) =>
  Effect.sync(() => {
    const folder = dirname(job.path)
    const names = fs.existsSync(folder) ? fs.readdirSync(folder) : []
    const files = Object.fromEntries(
      names
        .filter((name) => fs.statSync(join(folder, name)).isFile())
        .map((name) => [name, fs.readFileSync(join(folder, name), "utf8")])
    )
    const all: Told = { ...told, passedOn, closed, operations, files }
    process.stdout.write(JSON.stringify(all))
  })

const program = Stream.runDrain(text).pipe(
  Effect.matchEffect({
    onSuccess: () => tell({ written: { path: job.path, bytes: Buffer.byteLength(job.arrays.join("")) } }),
    onFailure: ({ bytes, kept, message, reason }) =>
      tell({
        error: {
          tag: reason._tag,
          message,
          bytes,
          ...(reason.code === undefined ? undefined : { code: reason.code }),
          ...(kept === undefined ? undefined : { kept })
        }
      })
  }),
  Effect.provide(watchedFileSystem.layer(around))
)

// All modules are loaded by now: the other user need not be able to read them.
if (job.user !== undefined) process.setuid!(job.user)
await Effect.runPromise(program)
