/**
 * CPU per token of text with policies, when nothing goes wrong: runs alternate in one process, each reads
 * the same answers from a server in another. The median of their ratios to the plain stream counts; on a
 * machine with other work, the least of each tells more.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Otlp from "effect/observability/Otlp"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Stream from "effect/Stream"
import * as Llm from "../../src/Llm.ts"
import * as Budget from "../../src/policy/Budget.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Deadlines from "../../src/policy/Deadlines.ts"
import * as Fallback from "../../src/policy/Fallback.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as RateLimit from "../../src/policy/RateLimit.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as Telemetry from "../../src/policy/Telemetry.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"

const clients = {
  fetch: FetchHttpClient.layer,
  undici: NodeHttpClient.layerUndici,
  http: NodeHttpClient.layerNodeHttp
}
const [rounds = "15", client = "fetch"] = process.argv.slice(2) as [string?, (keyof typeof clients)?]
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

/** Takes what is exported, and sends it nowhere. */
const nowhere = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response())))
)
const otlp = Otlp.layer({ baseUrl: "http://localhost:4318", resource: { serviceName: "bench" } }).pipe(
  Layer.provide(Layer.merge(OtlpSerialization.layerJson, nowhere))
)

const runtime = ManagedRuntime.make(clients[client])
const exporting = ManagedRuntime.make(otlp)
const unobserved = ManagedRuntime.make(Layer.succeed(Telemetry.Enabled, false))
const plain = await runtime.runPromise(OpenAi.make({ model: "x", api: "chat", baseUrl }))

const much = { requests: 1e6, tokens: 1e9 }
const budget = Effect.runSync(Budget.make({ tokens: 1e12 }))
const all = [
  RateLimit.attach(much),
  CircuitBreaker.attach({}),
  Budget.attach(budget),
  Retry.attach({ afterOutput: "continue" }),
  Deadlines.attach({ headers: "30 seconds", idle: "30 seconds", total: "10 minutes" })
].reduce<Llm.Llm["Service"]>((llm, policy) => policy(llm), plain)

interface Contender {
  readonly llm: Llm.Llm["Service"]
  readonly observed?: "not" | "exported"
}

const contenders: Readonly<Record<string, Contender>> = {
  plain: { llm: plain },
  "plain, again": { llm: { ...plain } },
  "without spans and metrics": { llm: plain, observed: "not" },
  "spans and metrics exported": { llm: plain, observed: "exported" },
  deadlines: { llm: Deadlines.attach(plain, { idle: "30 seconds", total: "10 minutes" }) },
  retry: { llm: Retry.attach(plain) },
  "retry, continue": { llm: Retry.attach(plain, { afterOutput: "continue" }) },
  fallback: { llm: Fallback.make([plain, plain]) },
  hedge: { llm: Hedge.make([plain, plain], { after: "10 seconds" }) },
  "rate limit": { llm: RateLimit.attach(plain, much) },
  "circuit breaker": { llm: CircuitBreaker.attach(plain, {}) },
  budget: { llm: Budget.attach(plain, budget) },
  "five of them": { llm: all },
  "and a fallback": { llm: Fallback.make([all, plain], { afterOutput: "continue" }) }
}

const runtimeOf = { not: unobserved, exported: exporting }

const read = ({ llm, observed }: Contender, model: string): Promise<number> => {
  let characters = 0
  return (observed === undefined ? runtime : runtimeOf[observed]).runPromise(
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
  for (let round = -3; round < Number(rounds); round++) {
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
  console.log(`\n${name}, over ${client}, ${tokens} tokens, ${rounds} rounds: CPU per token`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost["plain"]![i]!))
    const least = Math.min(...costs)
    const ofLeast = least / Math.min(...cost["plain"]!)
    console.log(
      `  ${contender.padEnd(28)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(2)}×` +
        `  least ${Math.round(least).toString().padStart(6)} ns  ${ofLeast.toFixed(2)}×`
    )
  }
}
await Promise.all([runtime, exporting, unobserved].map((runtime) => runtime.dispose()))
child.kill()
