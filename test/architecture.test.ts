/** The house: which folders of src may import which. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, posix, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

const src = fileURLToPath(new URL("../src/", import.meta.url))

const data = new Set(["LlmUsage", "LlmRequest", "LlmEvent", "LlmError", "LlmResponse", "LlmObject", "PartialJson"])

/** What a room may import besides itself and the data modules. */
const arrows: Readonly<Record<string, ReadonlyArray<string>>> = {
  data: [],
  Llm: [],
  wire: [],
  // The forms that it fills in: types only, see below.
  protocol: ["wire"],
  // Each provider keeps the deadlines that are in force.
  provider: ["policy", "protocol", "wire", "Llm"],
  // Whose watchdog sits at the source.
  policy: ["wire", "Llm"],
  bridge: ["Llm"],
  agent: ["policy", "Llm"],
  delivery: ["agent", "policy", "Llm"],
  promise: ["delivery", "agent", "policy", "provider", "protocol", "wire", "Llm"],
  testing: ["policy", "protocol", "wire", "Llm"],
  cli: ["promise", "testing", "bridge", "delivery", "agent", "policy", "provider", "protocol", "wire", "Llm"]
}

const roomOf = (path: string): string => {
  const [first, ...rest] = path.replace(/\.ts$/, "").split("/")
  return rest.length > 0 ? first! : data.has(first!) ? "data" : first!
}

interface Import {
  readonly of: string
  readonly typeOnly: boolean
  /** Loaded when it is come to, and not with the module. */
  readonly late: boolean
}

const importsOf = (text: string): ReadonlyArray<Import> =>
  [...text.matchAll(/^(?:import|export)\s+(type\s)?[^"';]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map((match) => ({
    of: (match[2] ?? match[3])!,
    typeOnly: match[1] !== undefined,
    late: match[3] !== undefined
  }))

const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => path.replaceAll("\\", "/"))
  .filter((path) => path !== "index.ts")

it.each(files)("%s imports what its room may", (path) => {
  const room = roomOf(path)
  const allowed = arrows[room]
  expect(allowed, `the room ${room} is not in the plan`).toBeDefined()
  for (const { of, typeOnly } of importsOf(readFileSync(src + path, "utf8"))) {
    if (of.startsWith(".")) {
      const target = roomOf(posix.normalize(relative(src, posix.join(src, dirname(path), of)).replaceAll("\\", "/")))
      expect([room, "data", ...allowed!], `${path} imports ${of}`).toContain(target)
      if (room === "protocol" && target === "wire")
        expect(typeOnly, `${path} imports more than types of ${of}`).toBe(true)
      continue
    }
    expect(of, "effect is imported by subpath, for start-up").not.toBe("effect")
    if (room !== "cli") expect(of, "the core runs without Node").not.toMatch(/^(node:|@effect\/platform-node)/)
    if (room !== "cli") expect(of, "the core needs effect alone").toMatch(/^effect\//)
  }
})

/** The files that are loaded with one. */
const loadedWith = (path: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(path)) return seen
  seen.add(path)
  for (const { late, of, typeOnly } of importsOf(readFileSync(src + path, "utf8"))) {
    if (of.startsWith(".") && !late && !typeOnly) loadedWith(posix.join(dirname(path), of), seen)
  }
  return seen
}

it("a plain caller's program starts without what it may never use", () => {
  const loaded = [...loadedWith("promise/Rill.ts")]
  expect(loaded).toContain("promise/internal/client.ts")
  expect(loaded).toContain("policy/Retry.ts")
  expect(loaded.filter((path) => path.startsWith("agent/"))).toEqual(["agent/AgentError.ts"])
  expect(loaded.filter((path) => path.startsWith("delivery/"))).toEqual([])
  expect(loaded.filter((path) => /^provider\/[^/]+\.ts$/.test(path))).toEqual(["provider/Providers.ts"])
  expect(loaded).not.toContain("promise/internal/object.ts")
})

it("what is internal is closed to users", () => {
  const { exports } = JSON.parse(readFileSync(`${src}../package.json`, "utf8")) as { exports: Record<string, unknown> }
  const internal = new Set(
    files.filter((path) => path.includes("internal/")).map((path) => path.replace(/internal\/.*/, "internal"))
  )
  expect(internal.size).toBeGreaterThan(0)
  // A pattern of exports has one star only, which takes what lies deeper along: each is named.
  for (const folder of internal) expect(exports[`./${folder}/*`], folder).toBeNull()
})

it("index.ts has namespaces and nothing else", () => {
  const lines = readFileSync(`${src}index.ts`, "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .split("\n")
    .filter((line) => line.trim() !== "")
  for (const line of lines) expect(line).toMatch(/^export \* as [A-Z]\w+ from "\.\/[\w/]+\.ts"$/)
})
