/** The modules of effect that a program of ours loads at its start: a file that imports them and nothing else. */
import { readFileSync, writeFileSync } from "node:fs"

const imports = /^(?:import|export)\s[^"';]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm

const collect = (file: URL, seen: Set<string>, found: Set<string>): void => {
  if (seen.has(file.href)) return
  seen.add(file.href)
  for (const [, from, bare] of readFileSync(file, "utf8").matchAll(imports)) {
    const specifier = (from ?? bare)!
    if (specifier.startsWith(".")) collect(new URL(specifier, file), seen, found)
    else found.add(specifier)
  }
}

const fileOf = (modules: ReadonlyArray<string>): URL =>
  new URL(`../bare.${modules.at(-1)!.replace("/", ".")}.js`, import.meta.url)

/** Writes it. Sources are read as they were compiled, so that imports of types alone are gone. */
export const write = (modules: ReadonlyArray<string>): void => {
  const found = new Set<string>()
  const seen = new Set<string>()
  for (const module of modules) collect(new URL(`../../src/${module}.js`, import.meta.url), seen, found)
  writeFileSync(fileOf(modules), [...found].map((module) => `import ${JSON.stringify(module)}\n`).join(""))
}

/** Where it was written. */
export const effectModules = (modules: ReadonlyArray<string>): string => fileOf(modules).href
