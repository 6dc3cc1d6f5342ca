/**
 * CPU per token of text, of a provider's stream with and without spans and metrics, side by side: runs
 * alternate in one process, each reads the same answers from a server in another, and the median of
 * their ratios counts, since machines are noisy.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
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
import * as Telemetry from "../../src/policy/Telemetry.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"

const rounds = Number(process.argv[2] ?? 15)
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

const model = OpenAi.layer({ model: "x", api: "chat", baseUrl }).pipe(Layer.provide(FetchHttpClient.layer))
/** Takes what is exported, and sends it nowhere. */
const sink = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response())))
)
const otlp = Otlp.layer({ baseUrl: "http://localhost:4318", resource: { serviceName: "bench" } }).pipe(
  Layer.provide(Layer.merge(OtlpSerialization.layerJson, sink))
)

const runtimes = {
  "telemetry off": ManagedRuntime.make(Layer.mergeAll(model, Layer.succeed(Telemetry.Enabled, false))),
  "no tracer installed": ManagedRuntime.make(model),
  "effect's OTLP exporter": ManagedRuntime.make(Layer.mergeAll(model, otlp))
}
const [base] = Object.keys(runtimes) as [string]

const read = (model: string) => {
  let characters = 0
  return Stream.runForEachArray(Llm.stream({ prompt: "Hi", model }), (texts) => {
    for (const text of texts) characters += text.length
    return Effect.void
  }).pipe(Effect.map(() => characters))
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

for (const [name, tokens, burst] of [
  ["one event a write", 20_000, 1],
  ["bursts of 50 events", 100_000, 50]
] as const) {
  const cost: Record<string, Array<number>> = {}
  for (let round = -3; round < rounds; round++) {
    const entries = Object.entries(runtimes)
    // Nobody is always first.
    const order = entries.map((_, i) => entries[(i + round + entries.length * 3) % entries.length]!)
    for (const [contender, runtime] of order) {
      globalThis.gc?.()
      const before = process.cpuUsage()
      await runtime.runPromise(read(`${tokens}x${burst}`))
      const { system, user } = process.cpuUsage(before)
      if (round >= 0) (cost[contender] ??= []).push((1000 * (system + user)) / tokens)
    }
  }
  console.log(`\n${name}, ${tokens} tokens, ${rounds} rounds: CPU per token, median`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost[base]![i]!))
    console.log(
      `  ${contender.padEnd(24)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(3)}×`
    )
  }
}
for (const runtime of Object.values(runtimes)) await runtime.dispose()
child.kill()
