/** The README tells what is: its TypeScript is the examples', its commands exist, its links lead somewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import * as LlmError from "effect-rill/LlmError"
import * as Presets from "effect-rill/provider/openAiCompatible/Presets"

const root = fileURLToPath(new URL("../", import.meta.url))
const read = (path: string): string => readFileSync(root + path, "utf8")
const readme = read("README.md")
const fences = (language: string): ReadonlyArray<string> =>
  [...readme.matchAll(new RegExp("^```" + language + "\\n([\\s\\S]*?)^```", "gm"))].map(([, code]) => code!)

describe("the README", () => {
  it("has no TypeScript but the examples'", () => {
    const examples = readdirSync(`${root}examples`).map((name) => read(`examples/${name}`))
    expect(fences("ts").length).toBeGreaterThan(4)
    for (const fence of fences("ts")) expect(examples).toContain(fence)
  })

  it("has the two commands, and CI runs the second as it stands", () => {
    const commands = fences("sh").flatMap((fence) => fence.trim().split("\n"))
    expect(commands).toContain('npm ci && npm start -- "Tell me a story"')
    expect(commands).toContain("npm ci && npm test")
    expect(read(".ci/run").split("\n")).toContain("npm ci && npm test")
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
    for (const command of commands) {
      for (const [, script] of command.matchAll(/npm (?:run )?(start|test|check|build|examples)\b/g)) {
        expect(scripts).toHaveProperty([script!])
      }
    }
  })

  it("links to what is there", () => {
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)]
      .map(([, link]) => link!)
      .filter((link) => !link.startsWith("http"))
    expect(links.length).toBeGreaterThan(4)
    const headings = [...readme.matchAll(/^#+ (.*)$/gm)].map(
      ([, title]) => `#${title!.toLowerCase().replace(/ /g, "-")}`
    )
    for (const link of links) {
      if (link.startsWith("#")) expect(headings).toContain(link)
      else expect(existsSync(root + link), link).toBe(true)
    }
  })

  it("names every reason of an error", () => {
    const reasons = LlmError.Reason.members.map((member) => member.fields._tag.schema.literal)
    expect(reasons.length).toBeGreaterThan(15)
    for (const reason of reasons) expect(readme).toContain(`\`${reason}\``)
  })
})

describe("the README's providers", () => {
  it("are those there are, each preset with its variable", () => {
    for (const [name, { keyVariable }] of Object.entries(Presets.presets)) {
      const row = readme.split("\n").find((line) => line.startsWith("|") && line.includes(`\`${name}\``))
      expect(row, name).toContain(`\`${keyVariable}\``)
    }
    const providers = readdirSync(`${root}src/provider`).filter((name) => /^(?!Http|Providers)[A-Z]\w+\.ts$/.test(name))
    expect(providers.length).toBeGreaterThan(5)
    for (const name of providers) expect(readme).toContain(`| \`${name.replace(".ts", "")}\` |`)
  })
})
