/** Reads a few tokens of an endless answer, pauses, and goes on: tells what memory it holds. Run by memory.test.ts. */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import * as OpenAi from "effect-rill/provider/OpenAi"

const [, , baseUrl, api] = process.argv
const layer = OpenAi.layer({ model: "gpt-test", api: api === "chat" ? "chat" : "responses", baseUrl }).pipe(
  Layer.provide(FetchHttpClient.layer)
)
const pauseAt = 1000
const every = 20_000

let characters = 0
let tokens = 0
const held: Array<number> = []
/** What is held, garbage left out. */
const sample = () => {
  globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  held.push(heapUsed + arrayBuffers)
}

await Llm.stream("Hi").pipe(
  Stream.runForEachArray((array) => {
    const before = tokens
    tokens += array.length
    for (const token of array) characters += token.length
    if (before < pauseAt && tokens >= pauseAt) {
      sample()
      process.send?.({ paused: true })
      return Effect.promise(
        () =>
          new Promise<void>((resume) => {
            process.once("message", () => resume())
          })
      )
    }
    if (before % every > tokens % every) sample()
    return Effect.void
  }),
  Effect.provide(layer),
  Effect.runPromise
)
process.send?.({ done: { characters, tokens, held, rss: process.resourceUsage().maxRSS * 1024 } })
process.disconnect()
