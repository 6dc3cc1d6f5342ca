/** Files of processes that are killed, on disks that are full or can only be read, and of other users. */
import { spawn, spawnSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Job, Told } from "./support/fileProcess.ts"

const program = join(import.meta.dirname, "support/fileProcess.ts")
const node = [process.execPath, "-C", "rill-source", program]

let root = ""
let made = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "rill-disk-"))
  chmodSync(root, 0o755)
})
afterAll(() => rmSync(root, { recursive: true }))
const folder = (): string => {
  const path = join(root, String(made++))
  mkdirSync(path)
  return path
}

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly told: Told | undefined
}

const run = async (job: Job, before: ReadonlyArray<string> = []): Promise<Ended> => {
  const [command, ...args] = [...before, ...node]
  const child = spawn(command!, args, { stdio: "pipe" })
  child.stdin.end(JSON.stringify(job))
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (stdout += piece))
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (stderr += piece))
  const timer = setTimeout(() => child.kill("SIGKILL"), 20_000)
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on("close", (code, signal) => resolve([code, signal]))
  )
  clearTimeout(timer)
  expect(stderr).toBe("")
  if (signal === null) expect(code).toBe(0)
  return { signal, told: stdout === "" ? undefined : (JSON.parse(stdout) as Told) }
}

const told = async (job: Job, before?: ReadonlyArray<string>): Promise<Told> => (await run(job, before)).told!

/** So that cuts fall anywhere, the same on each run. */
const arrays = (seed: number, count: number): ReadonlyArray<string> => {
  let state = seed
  const next = () => (state = (state * 1103515245 + 12345) % 2147483648)
  return Array.from({ length: count }, (_, i) => `${i}é😀`.repeat(1 + (next() % 40_000)))
}

describe.each(["atomic", "append"] as const)("%s: killed", (mode) => {
  it("at each operation, before it and in it, the file is what the docs say", { timeout: 120_000 }, async () => {
    const texts = arrays(7, 3)
    const whole = texts.join("")
    const old = "old\n"
    const job = (path: string): Job => ({ path, options: { mode }, arrays: texts })
    const first = join(folder(), "a.txt")
    writeFileSync(first, old)
    const { operations } = await told(job(first))
    expect(readFileSync(first, "utf8")).toBe(mode === "atomic" ? whole : old + whole)
    expect(operations).toContain("sync")

    const points = operations.flatMap((_, at) => (["before", "during"] as const).map((when) => [at, when] as const))
    const check = async ([at, when]: (typeof points)[number]) => {
      const here = folder()
      const path = join(here, "a.txt")
      writeFileSync(path, old)
      const { signal } = await run({ ...job(path), kill: [at, when] })
      expect(signal).toBe("SIGKILL")
      const text = readFileSync(path)
      const names = readdirSync(here).filter((name) => name !== "a.txt")
      const point = `${when} ${operations[at]} (${at})`
      if (mode === "append") {
        expect(names, point).toEqual([])
        expect(
          Buffer.from(old + whole)
            .subarray(0, text.length)
            .equals(text),
          point
        ).toBe(true)
        const writes = operations.slice(0, at).filter((name) => name === "write").length
        const least = Buffer.byteLength(old + texts.slice(0, writes).join(""))
        expect(text.length, point).toBeGreaterThanOrEqual(least)
        return
      }
      const renamed = operations.indexOf("rename")
      const isNew = text.toString() === whole
      expect(isNew || text.toString() === old, point).toBe(true)
      if (at < renamed || (at === renamed && when === "before")) expect(isNew, point).toBe(false)
      if (at > renamed) expect(isNew, point).toBe(true)
      // What is left is told apart from a part that was kept.
      const opened = operations.indexOf("open")
      if (at > renamed || isNew || at < opened || (at === opened && when === "before")) expect(names, point).toEqual([])
      else if (at > opened) expect(names, point).toEqual([expect.stringMatching(/^a\.txt\.[0-9a-f-]{36}\.tmp$/)])
    }
    // Two at a time.
    const rest = [...points]
    const worker = async () => {
      for (let point = rest.shift(); point !== undefined; point = rest.shift()) await check(point)
    }
    await Promise.all([worker(), worker()])
    expect(made).toBeGreaterThan(points.length)
  })
})

/** Whether this user may mount file systems of its own, which end with the process. */
const mayMount =
  process.platform === "linux" &&
  spawnSync("unshare", ["-rm", "sh", "-c", `mount -t tmpfs tmpfs ${tmpdir()}`], { stdio: "ignore" }).status === 0

const mounted = (script: string, path: string): ReadonlyArray<string> =>
  ["unshare", "-rm", "sh", "-ec", `${script}; exec "$@"`, "sh"].map((word) => word.replaceAll("DISK", path))

describe.runIf(mayMount)("a disk", () => {
  const texts = arrays(11, 4)
  const half = Math.ceil(Buffer.byteLength(texts.slice(0, 3).join("")) / 4096) * 4

  for (const mode of ["atomic", "append"] as const) {
    for (const onFailure of ["keep", "remove"] as const) {
      it(`that is full: ${mode}, ${onFailure}`, async () => {
        const disk = folder()
        // Room for three arrays, and some of the fourth.
        const mount = `mount -t tmpfs -o size=${half + 8}k tmpfs DISK; printf old > DISK/a.txt`
        const path = join(disk, "a.txt")
        const result = await told({ path, options: { mode, onFailure }, arrays: texts }, mounted(mount, disk))
        const part = texts.slice(0, 3).join("")
        const kept = mode === "atomic" ? `${path}.partial` : path
        expect({ ...result.error, message: "" }).toEqual({
          tag: "NoSpace",
          code: "ENOSPC",
          bytes: Buffer.byteLength(part),
          message: "",
          ...(onFailure === "keep" ? { kept } : {})
        })
        expect(result.error!.message).toContain(`${path}: NoSpace: the disk is full. Make room, or write elsewhere.`)
        expect([result.passedOn, result.closed]).toEqual([3, 1])
        const files = mode === "append" ? { "a.txt": `old${part}` } : { "a.txt": "old", "a.txt.partial": part }
        expect(result.files).toEqual(onFailure === "keep" ? files : { "a.txt": "old" })
      })
    }
  }

  it.each(["atomic", "append"] as const)("that can only be read: %s", async (mode) => {
    const disk = folder()
    const mount = "mount -t tmpfs tmpfs DISK; printf old > DISK/a.txt; mount -o remount,ro DISK"
    for (const name of ["a.txt", "b.txt"]) {
      const job: Job = { path: join(disk, name), options: { mode }, arrays: texts }
      const result = await told(job, mounted(mount, disk))
      expect(result.error).toEqual({
        tag: "PermissionDenied",
        code: "EROFS",
        bytes: 0,
        message: `${join(disk, name)}: PermissionDenied: its file system can only be read. Mount it for writing, or write elsewhere.`
      })
      // Nothing was asked of the model.
      expect(result.closed).toBe(0)
      expect(result.files).toEqual({ "a.txt": "old" })
    }
  })
})

describe.runIf(mayMount)("a file that is mounted by itself, as containers do", () => {
  const mount =
    "mount -t tmpfs tmpfs DISK; printf old > DISK/b.txt; touch DISK/a.txt; mount --bind DISK/b.txt DISK/a.txt"

  it("cannot be replaced, which is known at the end: nothing is lost", async () => {
    const disk = folder()
    const path = join(disk, "a.txt")
    const result = await told({ path, options: {}, arrays: ["new"] }, mounted(mount, disk))
    expect(result.error).toMatchObject({ tag: "Busy", code: "EBUSY", bytes: 3, kept: `${path}.partial` })
    expect(result.files).toEqual({ "a.txt": "old", "a.txt.partial": "new", "b.txt": "old" })
  })

  it("can be appended to", async () => {
    const disk = folder()
    const path = join(disk, "a.txt")
    const result = await told({ path, options: { mode: "append" }, arrays: ["new"] }, mounted(mount, disk))
    expect(result.written).toEqual({ path, bytes: 3 })
    expect(result.files).toEqual({ "a.txt": "oldnew", "b.txt": "oldnew" })
  })
})

describe.runIf(mayMount)("a device", () => {
  // Mounted by itself, where no mistake can replace it.
  const job = async (device: string, mode: "atomic" | "append", onFailure: "keep" | "remove" = "keep") => {
    const disk = folder()
    const mount = `mount -t tmpfs tmpfs DISK; touch DISK/a.txt; mount --bind ${device} DISK/a.txt`
    return told({ path: join(disk, "a.txt"), options: { mode, onFailure }, arrays: ["new"] }, mounted(mount, disk))
  }

  it("is not replaced", async () => {
    const { closed, error, files } = await job("/dev/null", "atomic")
    expect([error!.tag, closed, files]).toEqual(["NotAFile", 0, {}])
    expect(error!.message).toMatch(/no regular file \(CharacterDevice\).* Take mode `append`\.$/)
  })

  it("is appended to, though it can be neither synced nor cut", async () => {
    expect((await job("/dev/null", "append")).written?.bytes).toBe(3)
    for (const onFailure of ["keep", "remove"] as const) {
      const { error, passedOn } = await job("/dev/full", "append", onFailure)
      expect([error!.tag, error!.code, error!.bytes, error!.kept, passedOn]).toEqual([
        "NoSpace",
        "ENOSPC",
        0,
        undefined,
        0
      ])
    }
  })
})

/** Permissions are nothing to the superuser. */
const nobody = 65534
const user = process.getuid?.() === 0 ? nobody : undefined

describe.runIf(process.getuid !== undefined).each(["atomic", "append"] as const)("%s: a user who may not", (mode) => {
  const own = (path: string) => user !== undefined && chownSync(path, user, user)

  it("write the file", async () => {
    const here = folder()
    const path = join(here, "a.txt")
    writeFileSync(path, "old")
    chmodSync(path, 0o444)
    own(path)
    own(here)
    const result = await told({ path, options: { mode }, arrays: ["new"], ...(user === undefined ? {} : { user }) })
    expect(result.error).toMatchObject({ tag: "PermissionDenied", code: "EACCES", bytes: 0 })
    expect(result.closed).toBe(0)
    expect(result.files).toEqual({ "a.txt": "old" })
  })

  it("make a file in the folder", async () => {
    const here = folder()
    const path = join(here, "a.txt")
    own(here)
    chmodSync(here, 0o555)
    const result = await told({ path, options: { mode }, arrays: ["new"], ...(user === undefined ? {} : { user }) })
    chmodSync(here, 0o755)
    expect(result.error).toMatchObject({ tag: "PermissionDenied", code: "EACCES", bytes: 0 })
    expect(result.closed).toBe(0)
    expect(existsSync(path)).toBe(false)
  })
})

describe.runIf(user !== undefined)("another's file that this user may write", () => {
  it("is replaced by one of this user, that the old group may not read", async () => {
    const here = folder()
    const path = join(here, "a.txt")
    writeFileSync(path, "old")
    chmodSync(path, 0o662)
    chmodSync(here, 0o777)
    const result = await told({ path, options: {}, arrays: ["new"], user: nobody })
    expect(result.error).toBeUndefined()
    // Everyone might write, nobody but the owner and the group might read.
    expect(spawnSync("stat", ["-c", "%a %u", path]).stdout.toString()).toBe(`622 ${nobody}\n`)
    expect(readFileSync(path, "utf8")).toBe("new")
  })
})
