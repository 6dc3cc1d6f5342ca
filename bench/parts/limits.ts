/**
 * What a rate limit and a circuit breaker cost per token when nothing goes wrong: CPU per token of text,
 * beside the plain stream. Runs alternate in one process, each reads the same answers from a server in
 * another, and the median of their ratios counts.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Stream from "effect/Stream"
import * as Llm from "../../src/Llm.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"

const rounds = Number(process.argv[2] ?? 31)
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

const plain = await Effect.runPromise(
  Effect.provide(OpenAi.make({ model: "x", api: "chat", baseUrl }), FetchHttpClient.layer)
)
const limits = { requests: 1e6, tokens: 1e9, concurrency: 8 }
const contenders: Readonly<Record<string, Llm.Llm["Service"]>> = {
  plain,
  RateLimit: RateLimit.attach(plain, limits),
  "RateLimit, requests alone": RateLimit.attach(plain, { requests: 1e6 }),
  CircuitBreaker: CircuitBreaker.attach(plain),
  both: CircuitBreaker.attach(RateLimit.attach(plain, limits))
}

const read = (llm: Llm.Llm["Service"], model: string) =>
  Effect.runPromise(
    Stream.runFold(
      Llm.text(llm.events({ prompt: "Hi", model })),
      () => 0,
      (sum, text) => sum + text.length
    )
  )

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const [name, tokens, burst] of [
  ["one event a write", 20_000, 1],
  ["bursts of 50 events", 100_000, 50]
] as const) {
  const model = `${tokens}x${burst}`
  const cost: Record<string, Array<number>> = {}
  const entries = Object.entries(contenders)
  for (let round = -5; round < rounds; round++) {
    // Nobody is always first.
    const order = entries.map((_, i) => entries[(i + round + entries.length * 5) % entries.length]!)
    for (const [contender, llm] of order) {
      globalThis.gc?.()
      const before = process.cpuUsage()
      // Each waits for the one before it: they are measured apart.
      // oxlint-disable-next-line no-await-in-loop
      await read(llm, model)
      const { system, user } = process.cpuUsage(before)
      if (round >= 0) (cost[contender] ??= []).push((1000 * (system + user)) / tokens)
    }
  }
  console.log(`\n${name}, ${tokens} tokens, ${rounds} rounds: CPU per token, median`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost["plain"]![i]!))
    console.log(
      `  ${contender.padEnd(28)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(3)}×`
    )
  }
}
child.kill()
