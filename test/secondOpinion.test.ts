/**
 * A second opinion: a third party's mock server of all our wires. It shares no code with us, and what its
 * authors read in the providers' documentation is not what we read.
 */
import { LLMock } from "@copilotkit/aimock"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const story = 'Once upon a time, é 雨 😀.\n"The end."'
const weather = Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })

const server = new LLMock({ port: 0, chunkSize: 5 })
beforeAll(async () => {
  server
    .onMessage("story", { content: story })
    .onMessage("think", { content: "42", reasoning: "Six times seven." })
    .onMessage("weather", { toolCalls: [{ name: "weather", arguments: '{"city":"Zürich"}', id: "call_1" }] })
    .onMessage("both", { content: "I ask.", toolCalls: [{ name: "weather", arguments: '{"city":"Bern"}' }] })
    .onMessage("limit", { error: { message: "Slow down.", type: "rate_limit_error" }, status: 429, retryAfter: 7 })
    // Without a moment between, its server breaks off before it has sent anything.
    .onMessage("cut", { content: story.repeat(10) }, { truncateAfterChunks: 12, latency: 2 })
  await server.start()
})
afterAll(() => server.stop())

type Make = (url: string) => Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>
const apiKey = Redacted.make("sk-mock-0123456789")

const providers: Readonly<Record<string, Make>> = {
  "openai, responses": (url) => OpenAi.make({ model: "gpt-5-mini", apiKey, baseUrl: `${url}/v1` }),
  "openai, chat": (url) => OpenAi.make({ model: "gpt-4o-mini", api: "chat", apiKey, baseUrl: `${url}/v1` }),
  anthropic: (url) => Anthropic.make({ model: "claude-sonnet-4-5", apiKey, baseUrl: url }),
  ollama: (url) => Ollama.make({ model: "llama3.2", baseUrl: url }),
  "azure, chat": (url) =>
    AzureOpenAi.make({ model: "our-gpt", apiKey, baseUrl: `${url}/openai`, apiVersion: "2024-10-21" }),
  google: (url) => Google.make({ model: "gemini-2.5-flash", apiKey, baseUrl: url })
}

describe.each(Object.entries(providers))("%s", (_, make) => {
  const ask = <A, E>(view: Effect.Effect<A, E, Llm.Llm>): Promise<A> =>
    Effect.runPromise(
      Effect.gen(function* () {
        const llm = yield* make(server.url)
        return yield* Effect.provideService(view, Llm.Llm, llm)
      }).pipe(Effect.provide(FetchHttpClient.layer))
    )

  it("streams text", async () => {
    const pieces = await ask(Stream.runCollect(Llm.stream("Tell me a story")))
    expect(pieces.join("")).toBe(story)
    expect(pieces.length).toBeGreaterThan(3)
  })

  it("has the finish reason and the usage", async () => {
    const { finishReason, usage } = await ask(Llm.run("Tell me a story"))
    expect(finishReason).toBe("stop")
    expect(usage).toMatchObject({ source: "exact", outputTokens: expect.any(Number) })
  })

  it("streams reasoning", async () => {
    const { reasoning, text } = await ask(Llm.run("Please think"))
    expect([reasoning, text]).toEqual(["Six times seven.", "42"])
  })

  it("streams a tool call, and one after text", async () => {
    const toolkit = Toolkit.make(weather)
    const alone = await ask(Llm.run({ prompt: "How is the weather?", toolkit }))
    expect(alone.toolCalls).toMatchObject([{ name: "weather", input: { city: "Zürich" } }])
    expect(alone.finishReason).toBe("tool-calls")
    const both = await ask(Llm.run({ prompt: "Do both", toolkit }))
    expect([both.text, both.toolCalls.map(({ input }) => input)]).toEqual(["I ask.", [{ city: "Bern" }]])
  })

  it("fails as RateLimited, with the delay", async () => {
    const error = await ask(Effect.flip(Llm.run("Is there a limit?")))
    expect(error).toMatchObject({ reason: { _tag: "RateLimited" }, isRetryable: true })
    expect(error.message).toContain("Slow down.")
    expect(error.message).toContain("wait 7 s")
  })

  it("fails where the answer is cut, after what came", async () => {
    const text: Array<string> = []
    const error = await ask(
      Effect.flip(Stream.runForEach(Llm.stream("Be cut"), (piece) => Effect.sync(() => void text.push(piece))))
    )
    expect(["Disconnected", "Truncated"]).toContain(error.reason._tag)
    expect(story.repeat(10).startsWith(text.join(""))).toBe(true)
    expect(text.length).toBeGreaterThan(0)
    expect(error.emitted).toBe(text.join("").length)
  })
})
