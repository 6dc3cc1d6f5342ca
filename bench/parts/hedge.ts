/**
 * CPU per token of what a hedge and a budget cost when nothing goes wrong: plain streams and those under
 * the policies alternate in one process, each reads the same answers from a server in another, and the
 * median of their ratios counts, since machines are noisy.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { Llm } from "../../src/Llm.ts"
import * as Budget from "../../src/policy/Budget.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"

const rounds = Number(process.argv[2] ?? 15)
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

const options = { model: "x", api: "chat", baseUrl, apiKey: Redacted.make("sk-none") } as const
const plain = await Effect.runPromise(Effect.provide(OpenAi.make(options), FetchHttpClient.layer))
const [tokens, money] = await Effect.runPromise(
  Effect.all([
    Budget.make({ tokens: 1e15 }),
    Budget.make({ money: 1e15, prices: { "openai/x": { input: 1, output: 1 } }, overrun: "stop" })
  ])
)

const contenders: Readonly<Record<string, Llm["Service"]>> = {
  plain,
  "plain, again": plain,
  hedge: Hedge.make([plain, plain], { after: "1 minute" }),
  "budget of tokens": Budget.attach(plain, tokens),
  "budget of money, overrun stop": Budget.attach(plain, money),
  "hedge and budget": Budget.attach(Hedge.make([plain, plain], { after: "1 minute" }), tokens)
}

const read = (llm: Llm["Service"], model: string): Promise<number> =>
  Effect.runPromise(
    Stream.runFold(
      llm.events({ prompt: "Hi", model }),
      () => 0,
      (sum, event) => (event._tag === "TextDelta" ? sum + event.text.length : sum)
    )
  )

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const [name, count, burst] of [
  ["one event a write", 20_000, 1],
  ["bursts of 50 events", 100_000, 50]
] as const) {
  const cost: Record<string, Array<number>> = {}
  for (let round = -3; round < rounds; round++) {
    const entries = Object.entries(contenders)
    // Nobody is always first.
    const order = entries.map((_, i) => entries[(i + round + entries.length * 3) % entries.length]!)
    for (const [contender, llm] of order) {
      globalThis.gc?.()
      const before = process.cpuUsage()
      await read(llm, `${count}x${burst}`)
      const { system, user } = process.cpuUsage(before)
      if (round >= 0) (cost[contender] ??= []).push((1000 * (system + user)) / count)
    }
  }
  console.log(`\n${name}, ${count} tokens, ${rounds} rounds: CPU per token, median`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost["plain"]![i]!))
    console.log(
      `  ${contender.padEnd(32)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(2)}×`
    )
  }
}
child.kill()
