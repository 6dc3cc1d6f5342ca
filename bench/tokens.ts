/**
 * CPU per token of text, ours and the peers', side by side: runs alternate in one process, each reads
 * the same answers from a server in another, and the median of their ratios counts, since machines
 * are noisy.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Llm from "../src/Llm.ts"
import * as OpenAi from "../src/provider/OpenAi.ts"
import * as Rill from "../src/promise/Rill.ts"
import { createParser } from "eventsource-parser"
import OpenAI from "openai"

const rounds = Number(process.argv[2] ?? 15)
const child = fork(fileURLToPath(new URL("./Server.ts", import.meta.url)))
const [baseUrl] = (await once(child, "message")) as [string]

const runtime = ManagedRuntime.make(
  OpenAi.layer({ model: "x", api: "chat", baseUrl }).pipe(Layer.provide(FetchHttpClient.layer))
)
const rill = Rill.fromOpenAi("x", { api: "chat", baseUrl })
const openai = new OpenAI({ baseURL: baseUrl, apiKey: "sk-none" })

/** Each reads an answer and gives its number of characters. */
const contenders: Readonly<Record<string, (model: string) => Promise<number>>> = {
  "fetch + eventsource-parser + JSON.parse": async (model) => {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer sk-none" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], stream: true })
    })
    let characters = 0
    const parser = createParser({
      onEvent: ({ data }) => {
        if (data !== "[DONE]") characters += JSON.parse(data).choices[0]?.delta.content?.length ?? 0
      }
    })
    const utf8 = new TextDecoder()
    for await (const bytes of response.body!) parser.feed(utf8.decode(bytes, { stream: true }))
    return characters
  },
  "rill: Llm.stream": (model) =>
    runtime.runPromise(
      Stream.runFold(
        Llm.stream({ prompt: "Hi", model }),
        () => 0,
        (sum, text) => sum + text.length
      )
    ),
  "rill: Llm.stream, by arrays": (model) => {
    let characters = 0
    return runtime.runPromise(
      Stream.runForEachArray(Llm.stream({ prompt: "Hi", model }), (texts) => {
        for (const text of texts) characters += text.length
        return Effect.void
      }).pipe(Effect.map(() => characters))
    )
  },
  "rill: AsyncIterable": async (model) => {
    let characters = 0
    for await (const text of rill.stream({ prompt: "Hi", model })) characters += text.length
    return characters
  },
  openai: async (model) => {
    let characters = 0
    const stream = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: "Hi" }],
      stream: true
    })
    for await (const chunk of stream) characters += chunk.choices[0]?.delta.content?.length ?? 0
    return characters
  }
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const [hand] = Object.keys(contenders) as [string]

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
    for (const [contender, read] of order) {
      globalThis.gc?.()
      const before = process.cpuUsage()
      const read_ = await read(model)
      const { system, user } = process.cpuUsage(before)
      characters ??= read_
      if (read_ !== characters) throw new Error(`${contender} read ${read_} characters, not ${characters}`)
      if (round >= 0) (cost[contender] ??= []).push((1000 * (system + user)) / tokens)
    }
  }
  console.log(`\n${name}, ${tokens} tokens, ${rounds} rounds: CPU per token, median`)
  for (const [contender, costs] of Object.entries(cost)) {
    const ratio = median(costs.map((ns, i) => ns / cost[hand]![i]!))
    console.log(
      `  ${contender.padEnd(42)} ${Math.round(median(costs)).toString().padStart(6)} ns  ${ratio.toFixed(2)}×`
    )
  }
}
await rill.close()
await runtime.dispose()
child.kill()
