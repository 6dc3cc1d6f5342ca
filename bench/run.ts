/** Compiles the bench and rill together, as the package is built, and runs it. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))

if (!existsSync(`${here}/node_modules/openai`)) {
  console.error(
    "The bench has packages of its own, to be measured beside. Install them first:\n\n  npm --prefix bench ci"
  )
  process.exit(1)
}

const tsc = createRequire(import.meta.url)
  .resolve("typescript/package.json")
  .replace("package.json", "bin/tsc")
const { status } = spawnSync(process.execPath, [tsc, "-p", `${here}/tsconfig.build.json`], { stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)
await import(pathToFileURL(`${here}/dist/bench/main.js`).href)
