/**
 * `Llm.objectStream` and `Llm.object`, a character at a time: that 1 MB costs at most 2.2 times what 0.5 MB
 * does, in CPU; what it takes in memory; and `JSON.parse` once, for scale. Runs alternate, medians count.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Llm from "../../src/Llm.ts"
import type { LlmEvent } from "../../src/LlmEvent.ts"

const rounds = Number(process.argv[2] ?? 11)
const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const Article = Schema.Struct({ title: Schema.String, text: Schema.String })
const Rows = Schema.Struct({
  rows: Schema.Array(Schema.Struct({ id: Schema.Finite, name: Schema.String, ok: Schema.Boolean }))
})

/** Documents of about so many characters. */
const documents = {
  "one long string": (size: number) => JSON.stringify({ title: "T", text: 'Some "words", é.\n'.repeat(size / 20) }),
  "an array of objects": (size: number) =>
    JSON.stringify({ rows: Array.from({ length: size / 40 }, (_, id) => ({ id, name: `name ${id}`, ok: true })) })
}

const finished: LlmEvent = {
  _tag: "Finished",
  reason: "stop",
  usage: { source: "exact", inputTokens: 1, outputTokens: 1 }
}

/** A service that gives each character in an array of its own: the worst that may come. */
const service = (text: string): Llm.Llm["Service"] => {
  const events = function* (): Generator<LlmEvent> {
    for (const character of text) yield { _tag: "TextDelta", text: character }
    yield finished
  }
  return { events: () => Stream.suspend(() => Stream.fromIterable(events(), { chunkSize: 1 })) }
}

let sink: unknown
const views: Readonly<
  Record<string, (schema: Schema.Codec<unknown, unknown>) => Effect.Effect<unknown, unknown, Llm.Llm>>
> = {
  "objectStream, each partial value looked at": (schema) =>
    Stream.runForEachArray(Llm.objectStream(schema)("Hi"), (parts) => {
      sink = Object.values(parts[0].value as object)[0]
      return Effect.void
    }),
  "objectStream, only the last part": (schema) => Stream.runLast(Llm.objectStream(schema)("Hi")),
  object: (schema) => Llm.object(schema)("Hi"),
  "Llm.run, for scale": () => Llm.run("Hi")
}

for (const [name, make] of Object.entries(documents)) {
  const schema: Schema.Codec<unknown, unknown> = name === "one long string" ? Article : Rows
  const [half, whole] = [make(500_000), make(1_000_000)]
  const services = [service(half), service(whole)] as const
  console.log(`\n${name}: ${half.length} and ${whole.length} characters, ${rounds} rounds, medians`)
  for (const [view, read] of Object.entries(views)) {
    const times: [Array<number>, Array<number>] = [[], []]
    const memory: Array<number> = []
    for (let round = -2; round < rounds; round++) {
      for (const size of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        globalThis.gc?.()
        const { heapUsed } = process.memoryUsage()
        const before = process.cpuUsage()
        sink = await Effect.runPromise(Effect.provideService(read(schema), Llm.Llm, services[size]))
        const { system, user } = process.cpuUsage(before)
        if (round < 0) continue
        times[size].push((system + user) / 1000)
        if (size === 1) memory.push((process.memoryUsage().heapUsed - heapUsed) / 1e6)
      }
    }
    const ratio = median(times[1].map((time, i) => time / times[0][i]!))
    console.log(
      `  ${view.padEnd(44)} ${median(times[0]).toFixed(0).padStart(5)} ms ${median(times[1]).toFixed(0).padStart(5)} ms  ${ratio.toFixed(2)}×  ${((median(times[1]) * 1e6) / whole.length).toFixed(0)} ns a character, heap and garbage up to ${Math.max(...memory).toFixed(0)} MB`
    )
  }
  const parses = Array.from({ length: rounds }, () => {
    const before = process.hrtime.bigint()
    sink = JSON.parse(whole)
    return Number(process.hrtime.bigint() - before) / 1e6
  })
  console.log(`  ${"JSON.parse of the whole text, once".padEnd(53)} ${median(parses).toFixed(1)} ms`)
}
if (sink === undefined) throw new Error("nothing was read")
