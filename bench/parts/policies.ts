/**
 * CPU per token of text with policies, when nothing goes wrong: runs alternate in one process, each reads
 * the same answers from a server in another. The median of their ratios to the plain stream counts; on a
 * machine with other work, the least of each tells more.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Stream from "effect/Stream"
import * as Llm from "../../src/Llm.ts"
import * as Fallback from "../../src/policy/Fallback.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"

const rounds = Number(process.argv[2] ?? 15)
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

const plain = await Effect.runPromise(
  Effect.provide(OpenAi.make({ model: "x", api: "chat", baseUrl }), FetchHttpClient.layer)
)

const contenders: Readonly<Record<string, Llm.Llm["Service"]>> = {
  plain,
  "plain, again": { ...plain },
  "retry, fail": Retry.attach(plain),
  "retry, continue": Retry.attach(plain, { afterOutput: "continue" }),
  fallback: Fallback.make([plain, plain]),
  "fallback of retries, continue": Fallback.make(
    [Retry.attach(plain, { afterOutput: "continue" }), Retry.attach(plain, { afterOutput: "continue" })],
    { afterOutput: "continue" }
  )
}

const read = (llm: Llm.Llm["Service"], model: string): Promise<number> => {
  let characters = 0
  return Effect.runPromise(
    Stream.runForEachArray(Llm.text(llm.events({ prompt: "Hi", model })), (texts) => {
      for (const text of texts) characters += text.length
      return Effect.void
    }).pipe(Effect.map(() => characters))
  )
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const [name, tokens, burst] of [
  ["one event a write", 20_000, 1],
  ["bursts of 50 events", 100_000, 50]
] as const) {
  const model = `${tokens}x${burst}`
  const cost: Record<string, Array<number>> = {}
  let characters: number | undefined
  for (let round = -3; round < rounds; round++) {
    const entries = Object.entries(contenders)
    // Nobody is always first.
    const order = entries.map((_, i) => entries[(i + round + entries.length * 3) % entries.length]!)
    for (const [contender, llm] of order) {
      globalThis.gc?.()
      const before = process.cpuUsage()
      const count = await read(llm, model)
      const { system, user } = process.cpuUsage(before)
      characters ??= count
      if (count !== characters) throw new Error(`${contender} read ${count} characters, not ${characters}`)
      if (round >= 0) (cost[contender] ??= []).push((1000 * (system + user)) / tokens)
    }
  }
  console.log(`\n${name}, ${tokens} tokens, ${rounds} rounds: CPU per token`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost["plain"]![i]!))
    const least = Math.min(...costs)
    const ofLeast = least / Math.min(...cost["plain"]!)
    console.log(
      `  ${contender.padEnd(32)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(2)}×` +
        `  least ${Math.round(least).toString().padStart(6)} ns  ${ofLeast.toFixed(2)}×`
    )
  }
}
child.kill()
