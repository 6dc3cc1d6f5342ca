/** Size of what a program bundles, minified and gzipped, without `effect` and its packages. */
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

const src = fileURLToPath(new URL("../../src/", import.meta.url))
const from = (module: string, ...names: ReadonlyArray<string>): string =>
  `export { ${names.join(", ")} } from ${JSON.stringify(`${src}${module}.ts`)}\n`
const core = from("Llm", "run", "stream")

const programs = {
  "Llm alone": core,
  OpenAi: core + from("provider/OpenAi", "layer"),
  Anthropic: core + from("provider/Anthropic", "layer"),
  Google: core + from("provider/Google", "layer"),
  Ollama: core + from("provider/Ollama", "layer")
}

for (const [name, code] of Object.entries(programs)) {
  const bundle = await rolldown({
    input: "program",
    external: /^@?effect(?:\/|$)/,
    treeshake: { moduleSideEffects: false },
    plugins: [
      {
        name: "program",
        resolveId: (id) => (id === "program" ? id : undefined),
        load: (id) => (id === "program" ? code : undefined)
      }
    ]
  })
  const { output } = await bundle.generate({ minify: true })
  const text = output.map((chunk) => (chunk.type === "chunk" ? chunk.code : "")).join("")
  const kilobytes = (length: number): string => `${(length / 1024).toFixed(1).padStart(6)} KB`
  console.log(`${name.padEnd(12)} ${kilobytes(text.length)} minified, ${kilobytes(gzipSync(text).length)} gzipped`)
}
