import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { once } from "node:events"
import * as Net from "node:net"
import * as OpenAiChat from "../../src/protocol/OpenAiChat.ts"
import * as OpenAi from "../../src/provider/OpenAi.ts"
import * as LlmResponse from "../../src/LlmResponse.ts"
import * as OfflineModel from "../../src/cli/OfflineModel.ts"

const fast = { tokensPerSecond: Infinity, latency: 0 }

const ask = (baseUrl: string, body: unknown, init: RequestInit = {}) =>
  Effect.promise(() =>
    fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      ...init
    })
  )

const story = {
  model: "offline",
  messages: [{ role: "user", content: "a dragon" }],
  stream: true,
  stream_options: { include_usage: true },
  seed: 7
}

interface Chunk {
  readonly choices: ReadonlyArray<{ readonly delta: { readonly content?: string }; readonly finish_reason: unknown }>
  readonly usage?: unknown
}

interface Delta {
  readonly content?: string
  readonly tool_calls?: ReadonlyArray<{ readonly function: { readonly name?: string; readonly arguments: string } }>
}

/** The chunks of a body, before its `[DONE]`. */
const chunksOf = (body: string): ReadonlyArray<Chunk> => {
  const data = body
    .trimEnd()
    .split("\n\n")
    .map((event) => event.replace(/^data: /, ""))
  expect(data.pop()).toBe("[DONE]")
  return data.map((json) => JSON.parse(json) as Chunk)
}

/** What all chunks of an answer have in common. */
const envelope = (chunk: Chunk) => ({ ...chunk, choices: undefined, usage: undefined })

describe("OfflineModel", () => {
  it.live("sends the chunks that OpenAI sends", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* OfflineModel.make(fast)
      expect(baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/)
      const response = yield* ask(baseUrl, story)
      expect(response.headers.get("content-type")).toContain("text/event-stream")
      const chunks = chunksOf(yield* Effect.promise(() => response.text()))
      const role = chunks[0]!
      expect(role.choices).toEqual([
        { index: 0, delta: { role: "assistant", content: "", refusal: null }, logprobs: null, finish_reason: null }
      ])
      const content = chunks.slice(1, -2)
      expect(content.length).toBeGreaterThan(100)
      for (const { choices } of content) {
        expect(choices[0]!.delta.content).toMatch(/^\s*\S+$/)
        expect(choices[0]!.finish_reason).toBe(null)
      }
      const [finish, usage] = chunks.slice(-2)
      expect(finish!.choices).toEqual([{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }])
      expect(usage!.choices).toEqual([])
      expect(usage!.usage).toEqual({
        prompt_tokens: 2,
        completion_tokens: content.length,
        total_tokens: content.length + 2
      })
      expect(envelope(role)).toMatchObject({ object: "chat.completion.chunk", model: "offline" })
      for (const chunk of chunks) expect(envelope(chunk)).toEqual(envelope(role))
    })
  )

  it.live("is read by the OpenAi provider, whole, and ends at the token limit", () =>
    Effect.gen(function* () {
      const { active, baseUrl } = yield* OfflineModel.make(fast)
      const llm = yield* OpenAi.make({ model: OfflineModel.model, api: "chat", baseUrl })
      const turn = (request: { seed?: number; maxTokens?: number }) =>
        Effect.map(
          Stream.runCollect(llm.events({ prompt: "Tell me about whales", ...request })),
          LlmResponse.fromEvents
        )
      const whole = yield* turn({ seed: 7 })
      expect(whole.finishReason).toBe("stop")
      expect(whole.text).toContain("whales")
      expect(whole.usage.source).toBe("exact")
      expect((yield* turn({ seed: 7 })).text).toBe(whole.text)
      expect((yield* turn({ seed: 8 })).text).not.toBe(whole.text)
      expect((yield* turn({})).text).not.toBe((yield* turn({})).text)
      const cut = yield* turn({ seed: 7, maxTokens: 5 })
      expect(cut.finishReason).toBe("length")
      expect(cut.text).toBe(
        whole.text
          .split(/(?=\s)/)
          .slice(0, 5)
          .join("")
      )
      expect(cut.usage.outputTokens).toBe(5)
      expect(yield* active).toBe(0)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("calls the tools that it knows, and begins anew with each task", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* OfflineModel.make(fast)
      const tools = [{ type: "function", function: { name: "calculator", parameters: {} } }]
      const told = (messages: ReadonlyArray<object>, more: object = {}) =>
        Effect.map(
          Effect.flatMap(ask(baseUrl, { ...story, tools, messages, ...more }), (response) =>
            Effect.promise(() => response.text())
          ),
          (body) => {
            const choices = chunksOf(body).flatMap(({ choices }) => choices)
            const deltas = choices.map(({ delta }) => delta as Delta)
            const calls = deltas.flatMap(({ tool_calls = [] }) => tool_calls)
            return {
              text: deltas.map(({ content = "" }) => content).join(""),
              name: calls[0]?.function.name,
              input: calls.map((call) => call.function.arguments).join(""),
              finish: choices.at(-1)!.finish_reason
            }
          }
        )
      const task = { role: "user", content: "What is 2 + 3?" }
      const called = { role: "assistant", content: null, tool_calls: [] }
      const result = { role: "tool", tool_call_id: "1", content: "5" }
      const call = { name: "calculator", input: '{"expression":"2 + 3"}', finish: "tool_calls" }
      expect(yield* told([task])).toMatchObject(call)
      const answer = { text: "2 + 3 = 5", name: undefined, finish: "stop" }
      expect(yield* told([task, called, result])).toMatchObject(answer)
      expect(yield* told([task, called, result, { role: "assistant", content: "5" }, task])).toMatchObject(call)
      expect(yield* told([task], { max_tokens: 2 })).toMatchObject({ text: "There is", finish: "length" })
      for (const none of [{ tool_choice: "none" }, { tools: [] }, { tools: [{ function: { name: "other" } }] }]) {
        expect(yield* told([task], none)).toMatchObject({ name: undefined, finish: "stop" })
      }
    })
  )

  it.live.each([
    ["not JSON", "{", 400, null],
    ["no messages", { ...story, messages: [] }, 400, "messages.0"],
    ["a role that does not exist", { ...story, messages: [{ role: "cat", content: "" }] }, 400, "messages.0.role"],
    ["a temperature out of range", { ...story, temperature: 3 }, 400, "temperature"],
    ["a token limit of 0", { ...story, max_completion_tokens: 0 }, 400, "max_completion_tokens"],
    ["another model", { ...story, model: "gpt" }, 404, "model"],
    ["no streaming", { ...story, stream: false }, 400, "stream"]
  ] as const)("refuses %s as OpenAI does", ([, body, status, param]) =>
    Effect.gen(function* () {
      const { baseUrl } = yield* OfflineModel.make(fast)
      const response = yield* ask(baseUrl, body)
      expect(response.status).toBe(status)
      const text = yield* Effect.promise(() => response.text())
      expect(JSON.parse(text).error).toMatchObject({ type: "invalid_request_error", param })
      const failure = { status, headers: {}, body: text } as never
      expect(OpenAiChat.protocol.error(failure)._tag).toBe(status === 404 ? "NotFound" : "InvalidRequest")
    })
  )

  it.live("knows no other address", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* OfflineModel.make(fast)
      const response = yield* Effect.promise(() => fetch(`${baseUrl}/models`))
      expect(response.status).toBe(404)
      expect(yield* Effect.promise(() => response.json())).toMatchObject({ error: { code: "unknown_url" } })
    })
  )

  it.effect("keeps a reader's pace: without time passing, no word comes", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* OfflineModel.make()
      const response = yield* ask(baseUrl, story)
      const reader = response.body!.getReader()
      const utf8 = new TextDecoder()
      let words = 0
      let over = false
      const reading = (async () => {
        for (let read = await reader.read(); !read.done; read = await reader.read()) {
          const text = utf8.decode(read.value, { stream: true })
          words += text.match(/"content":"[^"]/g)?.length ?? 0
          over ||= text.includes("[DONE]")
        }
      })()
      let seconds = 0
      while (!over) {
        // Lets the server write and the reader read, in as many turns as they take.
        for (let turn = 0; turn < 20; turn++)
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        if (seconds === 0) expect(words).toBe(0)
        yield* TestClock.adjust("250 millis")
        seconds += 0.25
      }
      yield* Effect.promise(() => reading)
      expect(words / seconds).toBeGreaterThan(25)
      expect(words / seconds).toBeLessThan(40)
    })
  )

  it.live("stops at once when the reader goes", () =>
    Effect.gen(function* () {
      const { active, baseUrl } = yield* OfflineModel.make({ tokensPerSecond: 1 })
      const abort = new AbortController()
      const response = yield* ask(baseUrl, story, { signal: abort.signal })
      yield* Effect.promise(() => response.body!.getReader().read())
      expect(yield* active).toBe(1)
      abort.abort()
      while ((yield* active) > 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    })
  )

  it.live("closes with its scope, though an answer is being told", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { baseUrl } = yield* OfflineModel.make({ tokensPerSecond: 1 }).pipe(Scope.provide(scope))
      const response = yield* ask(baseUrl, story)
      const reader = response.body!.getReader()
      yield* Effect.promise(() => reader.read())
      // A request that is not all there would keep a server open that waits for it.
      const half = Net.connect(Number(new URL(baseUrl).port), "127.0.0.1")
      const halfClosed = new Promise((resolve) => half.on("close", resolve))
      half.on("error", () => {}).write("POST /v1/chat/completions HTTP/1.1\r\nHo")
      yield* Effect.promise(() => once(half, "connect"))
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => halfClosed)
      const rest = yield* Effect.promise(async () => {
        try {
          while (!(await reader.read()).done);
          return "ended"
        } catch {
          return "broken"
        }
      })
      expect(rest).toBe("broken")
      const refused = yield* Effect.promise(() =>
        fetch(baseUrl).then(
          () => false,
          () => true
        )
      )
      expect(refused).toBe(true)
    })
  )
})
