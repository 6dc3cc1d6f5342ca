/** On a real file system, in a folder of its own. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import * as FileReader from "../../src/cli/FileReader.ts"

const base = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "rill-files-")))
afterAll(() => fs.rmSync(base, { recursive: true }))

const folder = path.join(base, "folder")
const outside = path.join(base, "outside")
for (const name of ["sub/deep", "many", "empty", ".git"]) fs.mkdirSync(path.join(folder, name), { recursive: true })
fs.mkdirSync(outside)
const write = (name: string, content: string | Uint8Array) => fs.writeFileSync(path.join(folder, name), content)
write("notes.txt", "Notes: 雨\n")
write("sub/deep/a.md", "deep")
write("blank", "")
write(".env", "KEY=secret")
write(".git/config", "secret")
write("full", "x".repeat(FileReader.maxBytes))
write("huge", "x".repeat(FileReader.maxBytes + 1))
write("picture", new Uint8Array([0x89, 0x50, 0x4e, 0x47]))
write("zeros", "a\0b")
write("line\nfeed", "")
for (let i = 0; i < FileReader.maxNames + 3; i++) write(`many/${i}`, "")
fs.writeFileSync(path.join(outside, "a.md"), "secret")
fs.writeFileSync(path.join(base, "folder-2"), "secret")
fs.symlinkSync(path.join(outside, "a.md"), path.join(folder, "link"))
fs.symlinkSync(outside, path.join(folder, "way"))
fs.symlinkSync("notes.txt", path.join(folder, "inner"))
fs.symlinkSync("nowhere", path.join(folder, "dangling"))
spawnSync("mkfifo", [path.join(folder, "pipe")])

const read = (name: string, options: Partial<Parameters<typeof FileReader.make>[0]> = {}) =>
  FileReader.make({ folder, ...options }).pipe(
    Effect.flatMap((reader) => reader.read(name)),
    Effect.catchTag("FileError", (error) => Effect.succeed({ [error.reason]: error.message }))
  )

/** Counted where the system tells. */
const openFiles = () => (fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0)

describe("FileReader", () => {
  it.effect.each([
    ["notes.txt", "Notes: 雨\n"],
    ["./sub//deep/a.md", "deep"],
    ["blank", ""],
    ["full", "x".repeat(FileReader.maxBytes)]
  ] as const)("reads %s", ([name, text]) =>
    Effect.gen(function* () {
      expect(yield* read(name)).toBe(text)
    })
  )

  it.effect("lists folders, without links, pipes and what begins with a dot", () =>
    Effect.gen(function* () {
      const names = ["blank", "empty/", "full", "huge", "line\\nfeed", "many/", "notes.txt", "picture", "sub/", "zeros"]
      expect(yield* read(".")).toBe(names.join("\n"))
      expect(yield* read("")).toBe(names.join("\n"))
      expect(yield* read("sub/")).toBe("deep/")
      expect(yield* read("empty")).toBe("The folder empty has no files.")
      const many = (yield* read("many")) as string
      expect(many.split("\n")).toHaveLength(FileReader.maxNames + 1)
      expect(many).toMatch(/\n… and 3 more$/)
    })
  )

  it.effect.each([
    ["../outside/a.md", "Outside"],
    ["sub/../../outside/a.md", "Outside"],
    ["sub/../notes.txt", "Outside"],
    ["..", "Outside"],
    ["../folder-2", "Outside"],
    ["/etc/passwd", "Outside"],
    [path.join(folder, "notes.txt"), "Outside"],
    ["\\\\server\\share", "Outside"],
    ["C:\\notes.txt", "Outside"],
    ["notes.txt\0.md", "Outside"],
    [".env", "Hidden"],
    [".git/config", "Hidden"],
    ["link", "Link"],
    ["way", "Link"],
    ["way/a.md", "Link"],
    ["way/missing", "Link"],
    ["inner", "Link"],
    ["dangling", "Link"],
    ["missing", "Missing"],
    ["notes.txt/a", "Missing"],
    ["huge", "TooLarge"],
    ["picture", "NotText"],
    ["zeros", "NotText"],
    ["pipe", "NoFile"],
    ["x".repeat(300), "Refused"]
  ] as const)("refuses %s: %s", ([name, reason]) =>
    Effect.gen(function* () {
      const told = (yield* read(name)) as Readonly<Record<string, string>>
      expect(Object.keys(told)).toEqual([reason])
      expect(told[reason]!.startsWith(`${name} cannot be read: `)).toBe(true)
      // The model knows the folder as `.`.
      if (!name.startsWith("/")) expect(told[reason]).not.toContain(base)
      expect(told[reason]).not.toContain("secret")
    })
  )

  const swapping = (from: string, to: string) =>
    Effect.sync(() => {
      fs.rmSync(path.join(folder, from), { recursive: true, force: true })
      fs.symlinkSync(to, path.join(folder, from))
    })

  it.effect.each([
    ["a file for a link", "swapped/a.md", "swapped/a.md", path.join(outside, "a.md"), "Link"],
    ["its folder for a link", "swapped/a.md", "swapped", outside, "Changed"],
    ["a folder for a link, and lists it", "swapped", "swapped", outside, "Link"],
    ["a folder above, and lists it", "swapped/in", "swapped", outside, "Changed"]
  ] as const)("is not fooled by who swaps %s", ([, name, from, to, reason]) =>
    Effect.gen(function* () {
      fs.rmSync(path.join(folder, "swapped"), { recursive: true, force: true })
      fs.mkdirSync(path.join(folder, "swapped/in"), { recursive: true })
      fs.mkdirSync(path.join(outside, "in"), { recursive: true })
      write("swapped/a.md", "harmless")
      const before = openFiles()
      const told = yield* read(name, { beforeOpening: swapping(from, to) })
      expect(Object.keys(told)).toEqual([reason])
      expect(openFiles()).toBe(before)
      fs.rmSync(path.join(folder, "swapped"), { recursive: true })
    })
  )

  it.effect("wants a folder, which may be reached by a link", () =>
    Effect.gen(function* () {
      const made = (folder: string) => Effect.flip(FileReader.make({ folder }))
      expect((yield* made(path.join(base, "none"))).message).toMatch(/: there is no such folder\.$/)
      expect((yield* made(path.join(folder, "notes.txt"))).message).toMatch(/: it is not a folder\.$/)
      fs.symlinkSync(folder, path.join(base, "to-folder"))
      expect(yield* read("notes.txt", { folder: path.join(base, "to-folder") })).toBe("Notes: 雨\n")
    })
  )
})
