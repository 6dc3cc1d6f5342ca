/** Clients of others ask `rill serve`: curl, eventsource, ws, OpenAI's, the AI SDK's; and the lines that it prints. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from "ai"
import { EventSource } from "eventsource"
import OpenAI from "openai"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import { parse } from "../../support/serverSentEvents.ts"
import * as HttpApp from "../../support/HttpApp.ts"
import * as Serving from "./Serving.ts"

/** Ends of the offline model's stories. */
const story = /^[A-Z“][^]*[.”]$/

let serving: Serving.Serving
beforeAll(async () => {
  serving = await Serving.start(["--model", "offline"], { RILL_OFFLINE_TOKENS_PER_SECOND: "2000" })
}, 60_000)
afterAll(() => serving[Symbol.asyncDispose]())

const patient = { timeout: 60_000 }

const shell = async (line: string) => {
  const child = spawn("/bin/sh", ["-c", line], { stdio: ["ignore", "pipe", "pipe"] })
  let [stdout, stderr] = ["", ""]
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text))
  const [code] = (await once(child, "close")) as [number]
  return { code, stdout, stderr }
}

/** The commands of a listing: two spaces before each, more before what goes on. */
const commands = (text: string): ReadonlyArray<string> =>
  text
    .split(/\n(?! {3,})/)
    .filter((line) => line.startsWith("  "))
    .flatMap((block) => block.split(/\n(?= {2}\S)/))
    .map((line) => line.replace(/^ {2}/gm, ""))

describe.concurrent("what it prints", patient, () => {
  it("fits into 80 columns, is what GET / says, and works when it is pasted", async () => {
    const listing = serving.stdout()
    for (const line of listing.split("\n")) expect(line.length, line).toBeLessThanOrEqual(79)
    expect(await (await fetch(serving.url)).text()).toBe(listing.slice(0, -1))
    const lines = commands(listing)
    expect(lines).toHaveLength(8)
    const node = process.execPath
    const results = await Promise.all(
      lines.map((line) => shell(line.replace(/^curl /, "curl -s ").replace(/^node /, `${node} `)))
    )
    for (const [index, { code, stderr }] of results.entries())
      expect({ code, stderr }, lines[index]).toEqual({ code: 0, stderr: "" })
    const [text, sse, events, ndjson, openAi, ui, ws, health] = results.map(({ stdout }) => stdout)
    expect(text).toMatch(story)
    const told = parse(sse!).events
    expect(
      told
        .slice(0, -1)
        .map(({ data }) => data)
        .join("")
    ).toMatch(story)
    expect(told.at(-1)).toMatchObject({ event: "done", data: "[DONE]" })
    expect(parse(events!).events.map(({ data }) => data.slice(0, 18))).toContain('{"_tag":"Finished"')
    expect(JSON.parse(ndjson!.trimEnd().split("\n").at(-1)!)).toMatchObject({ _tag: "Finished", reason: "stop" })
    expect(parse(openAi!).events.at(-1)!.data).toBe("[DONE]")
    expect(parse(ui!).events.at(-2)!.data).toBe('{"type":"finish","finishReason":"stop"}')
    expect(JSON.parse(ws!.trimEnd().split("\n").at(-1)!)).toMatchObject({ type: "done", reason: "stop" })
    expect(JSON.parse(health!)).toEqual({ status: "ok", model: "offline" })
  })

  it("the four routes of its own take a POST too", async () => {
    for (const path of ["text", "sse", "events", "ndjson"]) {
      const body = JSON.stringify(
        path === "sse"
          ? {
              messages: [
                { role: "system", content: "Briefly" },
                { role: "user", content: [{ type: "text", text: "Hi" }] }
              ]
            }
          : { prompt: "Hi" }
      )
      const response = await fetch(`${serving.url}/${path}`, { method: "POST", body })
      expect(response.status).toBe(200)
      expect((await response.text()).length).toBeGreaterThan(200)
    }
  })
})

describe.concurrent("eventsource", patient, () => {
  it("reads the text, and is told to stop when it asks again", async () => {
    const source = new EventSource(`${serving.url}/sse?prompt=Hello%20there`)
    let text = ""
    source.addEventListener("message", ({ data }) => (text += data))
    await new Promise((resolve) => source.addEventListener("done", resolve))
    expect(text).toMatch(story)
    // Its owner did not close it.
    await new Promise<void>((resolve) =>
      source.addEventListener("error", () => source.readyState === EventSource.CLOSED && resolve())
    )
    source.close()
  })

  it("reads events", async () => {
    const source = new EventSource(`${serving.url}/events?prompt=Hello`)
    const tags: Array<string> = []
    source.addEventListener("message", ({ data }) => tags.push(JSON.parse(data)._tag))
    await new Promise((resolve) => source.addEventListener("done", resolve))
    source.close()
    expect(tags[0]).toBe("Started")
    expect(tags.at(-1)).toBe("Finished")
  })
})

describe.concurrent("ws", patient, () => {
  it("asks two prompts at once", async () => {
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    const texts: Record<string, string> = { a: "", b: "" }
    const ends: Array<unknown> = []
    const ended = new Promise<void>((resolve) =>
      socket.on("message", (data) => {
        const frame = JSON.parse(String(data))
        if (frame.type === "token") texts[frame.id] += frame.text
        if (frame.type === "done" || frame.type === "error") ends.push(frame.reason)
        if (ends.length === 2) resolve()
      })
    )
    for (const id of ["a", "b"]) socket.send(JSON.stringify({ type: "prompt", id, prompt: `Tell me about ${id}` }))
    await ended
    socket.close()
    expect(ends).toEqual(["stop", "stop"])
    expect(texts["a"]).toMatch(story)
    expect(texts["b"]).toMatch(story)
    await HttpApp.until(
      "the line of two answers",
      () => /GET \/ws 101 \d+ ms, 2 answers, \d+ input \+ \d+ output tokens\n/.test(serving.stderr()),
      20
    )
  })
})

describe.concurrent("OpenAI's client", patient, () => {
  const client = () => new OpenAI({ apiKey: "sk-test-NEVER", baseURL: `${serving.url}/v1`, maxRetries: 0 })
  const messages = [
    { role: "developer", content: "Briefly" },
    {
      role: "user",
      content: [
        { type: "text", text: "Tell me about " },
        { type: "text", text: "whales" }
      ]
    },
    { role: "assistant", content: "There was a whale." },
    { role: "user", content: "Go on" }
  ] satisfies Array<OpenAI.ChatCompletionMessageParam>

  it("reads a whole answer", async () => {
    const completion = await client().chat.completions.create({
      model: "gpt-whatever",
      seed: 3,
      n: 1,
      user: "me",
      messages
    })
    expect(completion).toMatchObject({ object: "chat.completion", model: "offline" })
    expect(completion.choices).toHaveLength(1)
    expect(completion.choices[0]).toMatchObject({ index: 0, finish_reason: "stop", message: { role: "assistant" } })
    expect(completion.choices[0]!.message.content).toMatch(story)
    expect(completion.usage!.total_tokens).toBeGreaterThan(100)
    expect(completion.created).toBeGreaterThan(1_700_000_000)
  })

  it("reads the same answer as a stream, with its usage where it asks for it", async () => {
    const ask = { model: "any", seed: 3, messages, max_completion_tokens: 20 }
    const whole = await client().chat.completions.create(ask)
    expect(whole.choices[0]!.finish_reason).toBe("length")
    let [text, finish, tokens] = ["", "", 0]
    for await (const chunk of await client().chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true }
    })) {
      expect(chunk.model).toBe("offline")
      text += chunk.choices[0]?.delta.content ?? ""
      finish = chunk.choices[0]?.finish_reason ?? finish
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    expect({ text, finish, tokens }).toEqual({ text: whole.choices[0]!.message.content, finish: "length", tokens: 20 })
    for await (const chunk of await client().chat.completions.create({ ...ask, stream: true })) {
      expect(chunk.usage).toBeUndefined()
    }
  })

  it("lists the model", async () => {
    const ids: Array<string> = []
    for await (const { id } of await client().models.list()) ids.push(id)
    expect(ids).toEqual(["offline"])
  })

  it("is told what is wrong, as OpenAI would", async () => {
    await expect(
      client().chat.completions.create({
        model: "any",
        messages,
        tools: [{ type: "function", function: { name: "search" } }]
      })
    ).rejects.toMatchObject({
      status: 400,
      code: "unsupported_parameter",
      param: "tools",
      type: "invalid_request_error"
    })
    await expect(client().chat.completions.create({ model: "any", messages: [] })).rejects.toMatchObject({
      status: 400,
      param: "messages"
    })
    await expect(client().embeddings.create({ model: "any", input: "x" })).rejects.toMatchObject({
      status: 404,
      code: "unknown_url"
    })
  })
})

describe.concurrent("the AI SDK", patient, () => {
  const transport = () => new DefaultChatTransport({ api: `${serving.url}/api/chat`, body: { temperature: 1 } })
  const send = (messages: Array<UIMessage>) =>
    transport().sendMessages({
      trigger: "submit-message",
      chatId: "c1",
      messageId: undefined,
      messages,
      abortSignal: undefined
    })
  const user: UIMessage = { id: "u1", role: "user", parts: [{ type: "text", text: "Hi" }] }

  it("sends a conversation, its own answers among it, and reads the next one", async () => {
    const messages = [user]
    for (let turn = 0; turn < 2; turn++) {
      let last: UIMessage | undefined
      for await (const message of readUIMessageStream({ stream: await send(messages) })) last = message
      expect(last!.parts.map(({ type }) => type)).toEqual(["step-start", "text"])
      expect(last!.parts[1]).toMatchObject({ state: "done", text: expect.stringMatching(story) })
      messages.push(last!, { ...user, id: `u${turn + 2}` })
    }
  })

  it("is told of what cannot be read by its status", async () => {
    const call = { type: "tool-search", toolCallId: "1", state: "input-available", input: {} } as const
    await expect(send([{ id: "a", role: "assistant", parts: [call] }])).rejects.toMatchObject({ statusCode: 400 })
  })
})
