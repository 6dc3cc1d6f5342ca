/** Clients of others read what is written: curl, eventsource, OpenAI's, the AI SDK's; over Node's server and as a web Response. */
import { spawn } from "node:child_process"
import { DefaultChatTransport, readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Ndjson from "effect-rill/delivery/Ndjson"
import * as PlainText from "effect-rill/delivery/PlainText"
import * as Sse from "effect-rill/delivery/Sse"
import { Disconnected, RateLimited } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import { EventSource } from "eventsource"
import OpenAI from "openai"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as answers from "../support/answers.ts"
import * as HttpApp from "../support/HttpApp.ts"
import { llmError } from "../support/scriptedLlm.ts"

const cut = llmError(new Disconnected({ message: "cut" }))
const limited = llmError(new RateLimited({ message: "too many" }))

type Answer<A> = Stream.Stream<A, HttpResponse.AnswerError>

/** An answer by its name: whole, cut in the middle, or refused before it begins. In arrays of any length. */
const answer = <A>(elements: ReadonlyArray<A>, name: string | undefined, seed: number): Answer<A> => {
  if (name === "refused") return Stream.fail(limited)
  const some = name === "cut" ? elements.slice(0, Math.ceil(elements.length / 2)) : elements
  const arrays = answers.arrays(answers.dice(seed), some)
  const stream = Stream.fromIterable(arrays, { chunkSize: 1 }).pipe(
    // Each in a write of its own.
    Stream.tap(() => Effect.yieldNow),
    Stream.flatMap((array) => Stream.fromArray(array))
  )
  return name === "cut" ? Stream.concat(stream, Stream.fail(cut)) : stream
}

const seeds = Array.from({ length: 20 }, (_, seed) => seed + 1)
const turnOf = (seed: number) => answers.turn(answers.dice(seed))
const runOf = (seed: number) => answers.run(answers.dice(seed))
const textOf = (seed: number) => answers.text(answers.dice(seed)) + answers.text(answers.dice(seed + 1000))
const piecesOf = (seed: number) => answers.cut(answers.dice(seed), textOf(seed))

type Handler = Effect.Effect<HttpServerResponse, never, Scope.Scope>

const handlers: Readonly<Record<string, (seed: number, name: string | undefined) => Handler>> = {
  text: (seed, name) => Sse.response(answer(piecesOf(seed), name, seed), { format: Sse.text, retry: "30 millis" }),
  json: (seed, name) => Sse.response(answer(turnOf(seed), name, seed), { format: Sse.json }),
  openai: (seed, name) => Sse.response(answer(turnOf(seed), name, seed), { format: Sse.openAi }),
  ui: (seed, name) => Sse.response(answer<LlmEvent>(turnOf(seed), name, seed), { format: Sse.uiMessages }),
  agent: (seed, name) => Sse.response(answer<AgentEvent>(runOf(seed), name, seed), { format: Sse.uiMessages }),
  ndjson: (seed, name) => Ndjson.response(answer(turnOf(seed), name, seed)),
  plain: (seed, name) => PlainText.response(answer(piecesOf(seed), name, seed))
}

const respond = (url: string): Handler => {
  const [, format = "", seed = "1", name] = new URL(url, "http://localhost").pathname
    .replace("/chat/completions", "")
    .split("/")
  return handlers[format]!(Number(seed), name)
}

/** The same answers over the server of Node, and as the web Response of `toWeb` behind the same server. */
const web = (make: Handler) =>
  HttpEffect.fromWebHandler((request) => Effect.runPromise(HttpResponse.toWeb(make, { signal: request.signal }))).pipe(
    Effect.orDie
  )

let node: HttpApp.HttpApp
let viaWeb: HttpApp.HttpApp
beforeAll(async () => {
  node = await HttpApp.start(HttpRouter.add("*", "/*", (request) => respond(request.url)))
  viaWeb = await HttpApp.start(HttpRouter.add("*", "/*", (request) => web(respond(request.url))))
})
afterAll(async () => {
  await node[Symbol.asyncDispose]()
  await viaWeb[Symbol.asyncDispose]()
})

describe.each([
  ["Node's server", () => node.url],
  ["a web Response", () => viaWeb.url]
] as const)("over %s", (_, url) => {
  describe("eventsource", () => {
    /** Listens until `done` or `error`, and closes. */
    const listen = (path: string) =>
      new Promise<{
        messages: Array<string>
        ids: Array<string>
        end: string
        data: string | undefined
        status?: number
      }>((resolve) => {
        const messages: Array<string> = []
        const ids: Array<string> = []
        const source = new EventSource(url() + path)
        const end = (event: Event) => {
          source.close()
          const data = "data" in event ? String(event.data) : undefined
          const code = "code" in event && typeof event.code === "number" ? { status: event.code } : {}
          resolve({ messages, ids, end: event.type, data, ...code })
        }
        source.addEventListener("message", ({ data, lastEventId }) => {
          messages.push(data)
          ids.push(lastEventId)
        })
        source.addEventListener("done", end)
        source.addEventListener("error", end)
      })

    it("reads text, its newlines and ids, and the end", async () => {
      for (const seed of seeds) {
        const { data, end, ids, messages } = await listen(`/text/${seed}`)
        expect([end, data]).toEqual(["done", "[DONE]"])
        // NUL and lone halves of characters cannot be in UTF-8 or are left alone by both.
        expect(messages.join("")).toBe(textOf(seed).replace(/\r\n?/g, "\n"))
        expect(ids).toEqual(messages.map((_, index) => String(index + 1)))
      }
    })

    it("reads events as JSON", async () => {
      for (const seed of seeds) {
        const { end, messages } = await listen(`/json/${seed}`)
        expect(end).toBe("done")
        expect(messages.map((data) => JSON.parse(data))).toEqual(turnOf(seed))
      }
    })

    it("is told of an error in the middle by an event with data, and of one before the beginning by a status", async () => {
      const { data, end, messages } = await listen("/json/1/cut")
      expect([end, messages.length > 0]).toEqual(["error", true])
      expect(JSON.parse(data ?? "")).toMatchObject({
        _tag: "Failed",
        error: { reason: "Disconnected", isRetryable: true }
      })
      const refused = await listen("/json/1/refused")
      expect(refused).toEqual({ messages: [], ids: [], end: "error", data: undefined, status: 429 })
    })
  })

  describe("curl -N", () => {
    const curl = (path: string) =>
      new Promise<{ code: number | null; body: string }>((resolve) => {
        const child = spawn("curl", ["-sN", "--max-time", "20", url() + path], { stdio: ["ignore", "pipe", "ignore"] })
        let body = ""
        child.stdout.setEncoding("utf8").on("data", (piece: string) => (body += piece))
        child.on("close", (code) => resolve({ code, body }))
      })

    it("prints a text as it is", async () => {
      for (const seed of [1, 2, 3]) expect(await curl(`/plain/${seed}`)).toEqual({ code: 0, body: textOf(seed) })
    })

    it("exits with 18 where a text is broken off, so that it never looks whole", async () => {
      const { body, code } = await curl("/plain/7/cut")
      expect(code).toBe(18)
      expect(textOf(7).startsWith(body)).toBe(true)
      expect(body).not.toBe("")
    })

    it("prints events and lines", async () => {
      const { body } = await curl("/ndjson/3")
      expect(
        body
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line))
      ).toEqual(turnOf(3))
      expect((await curl("/text/3")).body).toMatch(/^retry: 30\n\nid: 1\ndata: /)
      const failed = await curl("/ndjson/3/cut")
      expect(failed.code).toBe(0)
      expect(JSON.parse(failed.body.trimEnd().split("\n").at(-1)!)).toMatchObject({ _tag: "Failed" })
    })
  })

  describe("openai", () => {
    const client = (path: string) => new OpenAI({ apiKey: "sk-test", baseURL: url() + path, maxRetries: 0 })
    const ask = (path: string) =>
      client(path).chat.completions.create({
        model: "gpt-test",
        stream: true,
        stream_options: { include_usage: true },
        messages: [{ role: "user", content: "Hi" }]
      })

    it("reads text, reasoning, tool calls, refusal, finish reason and usage", async () => {
      for (const seed of seeds) {
        const expected = LlmResponse.fromEvents(turnOf(seed))
        const told = { content: "", reasoning: "", refusal: "", finish: "", tokens: 0 }
        const calls: Array<{ id: string; name: string; arguments: string }> = []
        for await (const chunk of await ask(`/openai/${seed}`)) {
          tokens(chunk.usage?.total_tokens)
          const choice = chunk.choices[0]
          if (choice === undefined) continue
          const { delta } = choice
          told.content += delta.content ?? ""
          told.refusal += delta.refusal ?? ""
          if ("reasoning_content" in delta) told.reasoning += String(delta.reasoning_content)
          told.finish = choice.finish_reason ?? told.finish
          for (const call of delta.tool_calls ?? []) {
            const known = (calls[call.index] ??= { id: call.id ?? "", name: call.function?.name ?? "", arguments: "" })
            known.arguments += call.function?.arguments ?? ""
          }
        }
        function tokens(total: number | undefined) {
          told.tokens = total ?? told.tokens
        }
        const finish = {
          stop: "stop",
          length: "length",
          "tool-calls": "tool_calls",
          "content-filter": "content_filter"
        }
        expect(told).toEqual({
          content: expected.text,
          reasoning: expected.reasoning,
          refusal: expected.refusal,
          finish: finish[expected.finishReason as keyof typeof finish],
          tokens: 18
        })
        expect(calls.map(({ arguments: json, id, name }) => ({ id, name, input: JSON.parse(json) }))).toEqual(
          expected.toolCalls.map(({ id, input, name }) => ({ id, name, input }))
        )
      }
    })

    it("its own accumulation of a stream gives the whole completion", async () => {
      const stream = client("/openai/5").chat.completions.stream({ model: "gpt-test", messages: [] })
      const { choices, usage } = await stream.finalChatCompletion()
      const expected = LlmResponse.fromEvents(turnOf(5))
      expect(choices[0]?.message.content ?? "").toBe(expected.text)
      expect(usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 11 })
    })

    it("throws an error in the middle, and one before the beginning with its status", async () => {
      let chunks = 0
      const reading = async () => {
        for await (const _ of await ask("/openai/4/cut")) chunks++
      }
      await expect(reading()).rejects.toMatchObject({
        name: "Error",
        code: "disconnected",
        type: "server_error",
        message: expect.stringContaining("Disconnected: cut")
      })
      expect(chunks).toBeGreaterThan(0)
      await expect(ask("/openai/4/refused")).rejects.toMatchObject({
        status: 429,
        code: "rate_limit_exceeded",
        type: "rate_limit_error"
      })
    })
  })

  describe("the AI SDK", () => {
    const send = (path: string) =>
      new DefaultChatTransport({ api: url() + path }).sendMessages({
        trigger: "submit-message",
        chatId: "c1",
        messageId: undefined,
        messages: [{ id: "u1", role: "user", parts: [{ type: "text", text: "Hi" }] }],
        abortSignal: undefined
      })

    const read = async (stream: ReadableStream<UIMessageChunk>) => {
      let last: UIMessage | undefined
      const errors: Array<string> = []
      for await (const message of readUIMessageStream({
        stream,
        onError: (error) => void errors.push(String(error))
      })) {
        last = message
      }
      return { parts: last?.parts ?? [], errors }
    }

    it("its transport and its reader make a message of a turn", async () => {
      for (const seed of seeds) {
        const expected = LlmResponse.fromEvents(turnOf(seed))
        const { errors, parts } = await read(await send(`/ui/${seed}`))
        expect(errors).toEqual([])
        const of = (type: string) => parts.flatMap((part) => (part.type === type && "text" in part ? part.text : []))
        expect(of("reasoning").join("")).toBe(expected.reasoning)
        // A refusal is text for it.
        expect(of("text").join("").length).toBe(expected.text.length + expected.refusal.length)
        for (const part of parts) if ("state" in part && !part.type.startsWith("tool-")) expect(part.state).toBe("done")
        const calls = parts.flatMap((part) =>
          "toolCallId" in part
            ? [{ id: part.toolCallId, name: part.type.slice(5), input: part.input, state: part.state }]
            : []
        )
        expect(calls).toEqual(
          expected.toolCalls.map(({ id, input, name }) => ({ id, name, input, state: "input-available" }))
        )
        const urls = parts.flatMap((part) => (part.type === "source-url" ? part.url : []))
        expect(urls).toEqual(expected.sources.map(({ url }) => url))
      }
    })

    it("and of an agent's run, with its steps and what its tools gave", async () => {
      for (const seed of seeds) {
        const run = runOf(seed)
        const { errors, parts } = await read(await send(`/agent/${seed}`))
        expect(errors).toEqual([])
        expect(parts.filter(({ type }) => type === "step-start")).toHaveLength(
          run.filter(({ _tag }) => _tag === "StepStarted").length
        )
        const results = parts.flatMap((part) =>
          "toolCallId" in part
            ? [{ id: part.toolCallId, isError: part.state === "output-error", content: part.output ?? part.errorText }]
            : []
        )
        expect(results).toEqual(
          run.flatMap((event) =>
            event._tag === "Observation" ? [{ id: event.id, isError: event.isError, content: event.content }] : []
          )
        )
        const last = parts.findLast((part) => part.type === "text")
        expect(last?.text).toBe(run.flatMap((event) => (event._tag === "Final" ? event.content : [])).join(""))
      }
    })

    it("is told of an error in the middle, and of one before the beginning by its status", async () => {
      const { errors, parts } = await read(await send("/ui/2/cut"))
      expect(errors).toEqual([expect.stringContaining("Disconnected: cut")])
      expect(parts.length).toBeGreaterThan(0)
      await expect(send("/ui/2/refused")).rejects.toMatchObject({ statusCode: 429 })
    })
  })
})
