#!/usr/bin/env node
/**
 * The executable. It imports nothing that an old Node or a missing package could break, so that it can
 * say what is missing.
 *
 * @since 0.1.0
 */
import * as fs from "node:fs"
import * as nodeModule from "node:module"

const floor = [22, 19] as const

const start = async (): Promise<void> => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  if (major < floor[0] || (major === floor[0] && minor < floor[1])) {
    return stop(`Node ${floor.join(".")} or newer is needed; this is ${process.versions.node}.`)
  }
  const manifest = JSON.parse(fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
  // Known without what may be missing, and asked for when something is.
  const [argument, ...others] = process.argv.slice(2)
  if (argument === "--version" && others.length === 0) {
    process.stdout.write(`rill ${manifest.version}\n`)
    return
  }
  // Effect is many modules: compiled once, they start in half the time.
  nodeModule.enableCompileCache()
  try {
    const { main } = await import("./Main.ts")
    main(manifest.version)
  } catch (error) {
    const missing = error instanceof Error ? whatIsMissing(error.message) : undefined
    if (missing === undefined) throw error
    const range = manifest.peerDependencies.effect
    stop(
      missing.whole
        ? `effect and @effect/platform-node are needed, and ${missing.name} is not installed. Run: npm install effect @effect/platform-node`
        : `effect and @effect/platform-node ${range} are needed, and another version is installed. Run: npm install "effect@${range}" "@effect/platform-node@${range}"`
    )
  }
}

/** The package of Effect's that an import did not find: whole, or only a module that other versions lack. */
const whatIsMissing = (message: string): { readonly name: string; readonly whole: boolean } | undefined => {
  const [, name] = /^Cannot find package '(effect|@effect\/[^'/]+)/.exec(message) ?? []
  if (name !== undefined) return { name, whole: true }
  return /^(Cannot find module|Package subpath) .*node_modules[\\/](effect|@effect)[\\/]/.test(message)
    ? { name: "effect", whole: false }
    : undefined
}

const stop = (message: string): void => {
  process.stderr.write(`rill: ${message}\n`)
  process.exitCode = 1
}

await start()
