/** Answers as web responses and streams: over a real server, read by clients of others, and left at every point. */
import { getEventListeners } from "node:events"
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from "ai"
import * as Rill from "effect-rill/promise/Rill"
import { EventSource } from "eventsource"
import OpenAI from "openai"
import { afterEach, assert, describe, expect, it, vi } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"
import * as FetchServer from "../support/FetchServer.ts"

const { answer, done, failure, finish, gate, pause, reasoning, refusal, text, toolCall, usage } = ChatServer

const client = (server: ChatServer.ChatServer, options: Rill.OpenAiOptions = {}) =>
  Rill.fromOpenAi("gpt-test", { apiKey: "sk-secret-1", baseUrl: server.baseUrl, retries: false, ...options })

const tools = { add: Rill.tool({ run: () => "3" }) }

const calling: ReadonlyArray<ChatServer.Step> = [
  toolCall(0, "{}", "call_1", "add"),
  finish("tool_calls"),
  usage(7, 3),
  done
]

const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  assert.fail("it was not rejected")
}

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const items: Array<A> = []
  for await (const item of iterable) items.push(item)
  return items
}

/** What no promise may leave behind. */
const unhandled: Array<unknown> = []
process.on("unhandledRejection", (error) => unhandled.push(error))
afterEach(async () => {
  await new Promise(setImmediate)
  expect(unhandled.splice(0)).toEqual([])
})

const held = [text("a"), text("b"), "hold"] as const

describe("toResponse", () => {
  const bodies: ReadonlyArray<
    readonly [
      name: string,
      of: (rill: Rill.Rill) => Rill.AnswerStream<unknown>,
      options: Rill.ResponseOptions,
      type: string,
      body: string | RegExp
    ]
  > = [
    ["text", (rill) => rill.stream("x"), { format: "text" }, "text/plain; charset=utf-8", "Once upon"],
    ["text of events", (rill) => rill.events("x"), { format: "text" }, "text/plain; charset=utf-8", "Once upon"],
    [
      "sse, the default",
      (rill) => rill.stream("x"),
      {},
      "text/event-stream; charset=utf-8",
      "id: 1\ndata: Once\n\nid: 2\ndata:  upon\n\nevent: done\ndata: [DONE]\n\n"
    ],
    [
      "sse of events",
      (rill) => rill.events("x"),
      { format: "sse" },
      "text/event-stream; charset=utf-8",
      /^id: 1\ndata: \{"_tag":"Started".*\n\nid: 2\ndata: \{"_tag":"TextDelta","text":"Once"\}\n\n.*"Finished".*event: done/s
    ],
    [
      "ndjson",
      (rill) => rill.stream("x"),
      { format: "ndjson" },
      "application/x-ndjson; charset=utf-8",
      '{"_tag":"TextDelta","text":"Once"}\n{"_tag":"TextDelta","text":" upon"}\n'
    ],
    [
      "openai",
      (rill) => rill.events("x"),
      { format: "openai", model: "house" },
      "text/event-stream; charset=utf-8",
      /"model":"house".*"content":"Once".*"prompt_tokens":7.*\[DONE\]/s
    ],
    [
      "ui-messages",
      (rill) => rill.events("x"),
      { format: "ui-messages", messageId: "m1" },
      "text/event-stream; charset=utf-8",
      /"type":"start","messageId":"m1".*"delta":"Once".*"type":"finish"/s
    ]
  ]

  it.each(bodies)("%s", async (_, of, options, type, body) => {
    await using server = await ChatServer.start([answer("Once", " upon")])
    await using rill = client(server)
    const response = await of(rill).toResponse({ ...options, headers: { "x-mine": "1" } })
    expect([response.status, response.headers.get("content-type"), response.headers.get("x-mine")]).toEqual([
      200,
      type,
      "1"
    ])
    expect(response.headers.get("cache-control")).toBe("no-cache, no-transform")
    const written = await response.text()
    if (typeof body === "string") expect(written).toBe(body)
    else expect(written).toMatch(body)
    expect(server.requests.length).toBe(1)
    expect(await server.requests[0]!.ended).toBe("completed")
  })

  it("an agent's run: its answer as text, its events else", async () => {
    const script = [[reasoning("hm"), ...calling], answer("It is ", "3.")]
    await using server = await ChatServer.start((request) => script[request.index % 2]!)
    await using rill = client(server)
    const agent = rill.agent({ tools })
    expect(await (await agent.stream("1 + 2?").toResponse({ format: "text" })).text()).toBe("It is 3.")
    const lines = (await (await agent.stream("1 + 2?").toResponse({ format: "ndjson" })).text()).trimEnd().split("\n")
    const events = lines.map((line) => JSON.parse(line) as { _tag: string; state?: unknown })
    expect(events.map(({ _tag }) => _tag)).toEqual([
      "StepStarted",
      "Token",
      "Thought",
      "Action",
      "Observation",
      "StepFinished",
      "StepStarted",
      "Token",
      "Token",
      "StepFinished",
      "Final"
    ])
    // The conversation, the system's prompt included, is the server's own.
    expect(events.some(({ state }) => state !== undefined)).toBe(false)
    const session = agent.session()
    expect(await (await session.stream("1 + 2?").toResponse({ format: "text" })).text()).toBe("It is 3.")
    expect(session.history.length).toBe(4)
  })

  it("what fails before it says anything is a status", async () => {
    await using server = await ChatServer.start([
      failure(429, { "retry-after": "7" }, { message: "slow down sk-secret-1" }),
      failure(401),
      [refusal("no"), finish(), done]
    ])
    await using rill = client(server)
    const limited = await rill.stream("x").toResponse()
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "7"])
    const body = await limited.text()
    expect(JSON.parse(body)).toMatchObject({ error: { reason: "RateLimited", isRetryable: true, retryAfter: 7 } })
    expect(body).not.toContain("secret")
    expect((await rill.events("x").toResponse({ format: "text" })).status).toBe(502)
    // A text's refusal is a failure; as an event it is one.
    expect((await rill.events("x").toResponse({ format: "text" })).status).toBe(422)
    expect(await (await rill.events("x").toResponse()).text()).toContain('"Refusal"')
  })

  it("what fails later is told as the format has it; a text is broken off", async () => {
    const read = gate()
    await using server = await ChatServer.start(() => [text("Once"), pause(read.opened), "reset"])
    await using rill = client(server)
    const sse = await rill.stream("x").toResponse()
    const broken = await rill.stream("x").toResponse({ format: "text" })
    const reader = broken.body!.getReader()
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("Once")
    read.open()
    expect(await sse.text()).toMatch(/data: Once\n\nevent: error\ndata: \{"_tag":"Failed","error":\{"reason":"Disc/)
    const error = await rejection(reader.read())
    assert.instanceOf(error, Rill.RillError)
    expect([error.reason, error.emitted]).toEqual(["Disconnected", 4])
    expect(error.stack!.split("\n")[1]).toContain("response.test.ts")
    expect(error.stack).not.toContain("promise/internal")
  })

  it("callbacks are called, and the end told once", async () => {
    await using server = await ChatServer.start([answer("a", "b"), [...held]])
    const log: Array<string> = []
    await using rill = client(server, {
      callbacks: { onToken: (text) => log.push(text), onEnd: ({ status }) => log.push(status) }
    })
    await (await rill.stream("x").toResponse()).text()
    expect(log).toEqual(["a", "b", "complete"])
    await (await rill.stream("x").toResponse()).body!.cancel()
    // Told before the body's cancel is over.
    expect(log.slice(3).at(-1)).toBe("stopped")
  })

  it("what a callback throws is a 500 that tells nothing, and is logged", async () => {
    const logged = vi.spyOn(console, "log").mockImplementation(() => {})
    await using server = await ChatServer.start([answer("a")])
    await using rill = client(server, {
      callbacks: {
        onToken() {
          throw new Error("mine, with details")
        }
      }
    })
    const response = await rill.stream("x").toResponse()
    const body = await response.text()
    expect([response.status, JSON.parse(body)]).toMatchObject([500, { error: { reason: "Internal" } }])
    expect(body).not.toContain("details")
    expect(JSON.stringify(logged.mock.calls)).toContain("mine, with details")
    logged.mockRestore()
  })

  it("silence is a 200 after a while, with heartbeats", async () => {
    const first = gate()
    await using server = await ChatServer.start([[pause(first.opened), ...answer("a")]])
    await using rill = client(server)
    const response = await rill.stream("x").toResponse({ firstEvent: 0, heartbeat: "1 millis" })
    expect(response.status).toBe(200)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await reader.read()).value).toBe(":\n\n")
    expect((await reader.read()).value).toBe(":\n\n")
    first.open()
    let rest = ""
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) rest += piece.value
    expect(rest.replaceAll(":\n\n", "")).toBe("id: 1\ndata: a\n\nevent: done\ndata: [DONE]\n\n")
  })

  it("silence of a text: no piece is empty", async () => {
    const first = gate()
    await using server = await ChatServer.start([[pause(first.opened), ...answer("a")]])
    await using rill = client(server)
    const response = await rill.stream("x").toResponse({ format: "text", firstEvent: 0, heartbeat: false })
    expect(response.status).toBe(200)
    first.open()
    const pieces = await collect(response.body as unknown as AsyncIterable<Uint8Array>)
    expect(pieces.map(({ length }) => length)).toEqual([1])
  })

  it.each([
    [{ format: "xml" }, 'there is no format "xml". There are: sse, text, ndjson, openai, ui-messages.'],
    [{ heartbeat: "soon" }, '`heartbeat` is no duration. Give one such as "10 seconds", or a number of milliseconds.'],
    [
      { firstEvent: Number.NaN },
      '`firstEvent` is no duration. Give one such as "10 seconds", or a number of milliseconds.'
    ]
  ])("%j is refused", async (options, message) => {
    await using server = await ChatServer.start([answer("a")])
    await using rill = client(server)
    const base: Rill.ResponseOptions = {}
    const given = Object.assign(base, options)
    expect(await rejection(rill.stream("x").toResponse(given))).toEqual(new TypeError(message))
    expect(server.requests).toEqual([])
  })
})

describe("one answer is one run", () => {
  const ways: ReadonlyArray<(answer: Rill.AnswerStream<string>) => Promise<unknown>> = [
    (answer) => collect(answer),
    async (answer) => collect(answer.toReadableStream() as unknown as AsyncIterable<string>),
    async (answer) => (await answer.toResponse({ format: "text" })).text()
  ]
  it("whatever reads it after another meets an error, and asks nothing", async () => {
    await using server = await ChatServer.start([answer("a")])
    await using rill = client(server)
    for (const first of ways) {
      for (const second of ways) {
        const asked = server.requests.length
        const stream = rill.stream("x")
        // oxlint-disable-next-line no-await-in-loop
        await first(stream)
        // oxlint-disable-next-line no-await-in-loop
        const error = await rejection(second(stream))
        assert.instanceOf(error, TypeError)
        expect(error.message).toContain("one answer is one run of the model")
        expect(server.requests.length).toBe(asked + 1)
      }
    }
  })

  it("its ways to be read may be taken off it", async () => {
    await using server = await ChatServer.start([answer("a")])
    await using rill = client(server)
    const { toResponse } = rill.stream("x")
    const { toReadableStream } = rill.stream("x")
    expect(await (await toResponse({ format: "text" })).text()).toBe("a")
    expect(await collect(toReadableStream() as unknown as AsyncIterable<string>)).toEqual(["a"])
  })
})

describe("toReadableStream", () => {
  it("nothing is asked before it is read, and nothing read ahead", async () => {
    let told = 0
    const endless = function* (): Generator<ChatServer.Step> {
      for (;;) {
        told++
        yield text("x".repeat(1000))
      }
    }
    await using server = await ChatServer.start(() => endless())
    await using rill = client(server)
    const idle = rill.stream("x").toReadableStream()
    // A request that was sent would have come by then; one that comes later is not noticed.
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(server.requests.length).toBe(0)
    await idle.cancel()

    const stream = rill.stream("x").toReadableStream()
    const reader = stream.getReader()
    expect((await reader.read()).value).toBe("x".repeat(1000))
    expect(server.requests.length).toBe(1)
    // The server is held up by the sockets' buffers, whatever it would like to send.
    let before = -1
    while (told !== before) {
      before = told
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(told).toBeLessThan(50_000)
    await reader.cancel()
    expect(await server.requests[0]!.ended).toBe("closed")
    expect(server.requests.length).toBe(1)
  })

  it("pieces of text and events as they are, and its error is the call's", async () => {
    const read = gate()
    await using server = await ChatServer.start([answer("a", "b"), [text("a"), pause(read.opened), "end"]])
    await using rill = client(server)
    const events: Array<Rill.Event> = []
    const reading = rill.events("x").toReadableStream().getReader()
    for (let next = await reading.read(); !next.done; next = await reading.read()) events.push(next.value)
    expect(events.map(({ _tag }) => _tag)).toEqual(["Started", "TextDelta", "TextDelta", "Finished"])
    const reader = rill.stream("x").toReadableStream().getReader()
    expect(await reader.read()).toEqual({ done: false, value: "a" })
    read.open()
    const error = await rejection(reader.read())
    assert.instanceOf(error, Rill.RillError)
    expect(error.reason).toBe("Truncated")
  })

  it("cancel while a piece is waited for closes the connection, and is over when that is", async () => {
    await using server = await ChatServer.start([held])
    const ends: Array<string> = []
    await using rill = client(server, {
      callbacks: {
        async onEnd({ status }) {
          await new Promise(setImmediate)
          ends.push(status)
        }
      }
    })
    const reader = rill.stream("x").toReadableStream().getReader()
    await reader.read()
    await reader.read()
    const pending = reader.read()
    await reader.cancel("enough")
    expect(ends).toEqual(["stopped"])
    expect(await pending).toEqual({ done: true, value: undefined })
    expect(await server.requests[0]!.ended).toBe("closed")
  })

  it("is a body by its bytes", async () => {
    await using server = await ChatServer.start([answer("Grüße", "!")])
    await using rill = client(server)
    const body = rill.stream("x").toReadableStream().pipeThrough(new TextEncoderStream())
    expect(await new Response(body).text()).toBe("Grüße!")
  })
})

describe("stopping", () => {
  const reason = { why: "changed my mind" }

  it("a signal given before: nothing is asked", async () => {
    await using server = await ChatServer.start([answer("a")])
    await using rill = client(server)
    const signal = AbortSignal.abort(reason)
    expect(await rejection(rill.stream("x").toResponse({ signal }))).toBe(reason)
    expect(await rejection(rill.stream("x", { signal }).toResponse())).toBe(reason)
    expect(server.requests).toEqual([])
  })

  it.each(["the request's", "the call's"])("%s signal, before there is a response", async (whose) => {
    await using server = await ChatServer.start([{ before: new Promise(() => {}) }])
    await using rill = client(server)
    const controller = new AbortController()
    const { signal } = controller
    const response =
      whose === "the call's" ? rill.stream("x", { signal }).toResponse() : rill.stream("x").toResponse({ signal })
    const rejected = rejection(response)
    await server.request(0)
    controller.abort(reason)
    expect(await rejected).toBe(reason)
    expect(await server.requests[0]!.ended).toBe("closed")
    expect(getEventListeners(signal, "abort")).toEqual([])
  })

  it.each([true, false])(
    "a signal after it, with a reader that waits: %s; the body never looks whole",
    async (waits) => {
      await using server = await ChatServer.start([held])
      const ends: Array<string> = []
      await using rill = client(server, { callbacks: { onEnd: ({ status }) => void ends.push(status) } })
      const controller = new AbortController()
      const response = await rill.stream("x").toResponse({ format: "text", signal: controller.signal })
      const reader = response.body!.getReader()
      let seen = ""
      // One read or two: what comes together is one piece.
      while (seen !== "ab") seen += new TextDecoder().decode((await reader.read()).value)
      if (waits) {
        const pending = rejection(reader.read())
        controller.abort(reason)
        expect(await pending).toBe(reason)
      } else {
        controller.abort(reason)
        expect(await server.requests[0]!.ended).toBe("closed")
        expect(await rejection(reader.read())).toBe(reason)
      }
      expect(await server.requests[0]!.ended).toBe("closed")
      expect(ends).toEqual(["stopped"])
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
    }
  )

  it("close stops a response that nobody reads, and waits until it has", async () => {
    await using server = await ChatServer.start([held])
    const ends: Array<string> = []
    const rill = client(server, {
      callbacks: {
        async onEnd({ status }) {
          await new Promise(setImmediate)
          ends.push(status)
        }
      }
    })
    const response = await rill.stream("x").toResponse()
    await rill.close()
    expect(ends).toEqual(["stopped"])
    expect(await server.requests[0]!.ended).toBe("closed")
    expect(await rejection(response.text())).toMatchObject({ reason: "Closed" })
    expect(await rejection(rill.stream("x").toResponse())).toMatchObject({ reason: "Closed" })
  })

  it("clients that leave at 100 points leave nothing open", async () => {
    const endless = function* (): Generator<ChatServer.Step> {
      for (;;) {
        yield text("x")
        yield pause(0)
      }
    }
    await using server = await ChatServer.start(() => endless())
    let begun = 0
    let ended = 0
    await using rill = client(server, { callbacks: { onStart: () => void begun++, onEnd: () => void ended++ } })
    const formats = ["sse", "text", "ndjson", "openai", "ui-messages"] as const
    await using site = await FetchServer.start((request) => {
      const format = formats[Number(new URL(request.url).pathname.slice(1)) % formats.length]
      return rill.events("x").toResponse({ format, signal: request.signal })
    })
    const visit = async (at: number) => {
      const leaving = new AbortController()
      // Some leave before there is an answer.
      if (at % 5 === 0) setTimeout(() => leaving.abort(), at / 5)
      try {
        const response = await fetch(`${site.url}/${at}`, { signal: leaving.signal })
        const reader = response.body!.getReader()
        for (let pieces = 0; pieces < at % 17; pieces++) await reader.read() // oxlint-disable-line no-await-in-loop
        leaving.abort()
      } catch (error) {
        if (!leaving.signal.aborted) throw error
      }
    }
    for (let round = 0; round < 10; round++) {
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(Array.from({ length: 10 }, (_, index) => visit(round * 10 + index)))
    }
    await vi.waitFor(() => expect(ended).toBe(begun), 5000)
    await server.quiet()
    expect(server.openAnswers()).toBe(0)
    expect(begun).toBeGreaterThan(50)
    // What a server is told is that its clients have left, and nothing else.
    for (const error of site.errors) expect(String(error)).toMatch(/AbortError|ResponseAborted/)
  })
})

describe("clients of others, over a server of Node", () => {
  const serve = async (
    script: ChatServer.Script,
    handler: (rill: Rill.Rill, path: string, signal: AbortSignal) => Promise<Response>,
    test: (url: string, server: ChatServer.ChatServer) => Promise<void>
  ) => {
    await using server = await ChatServer.start(script)
    await using rill = client(server)
    await using site = await FetchServer.start((request) =>
      handler(rill, new URL(request.url).pathname, request.signal)
    )
    await test(site.url, server)
  }

  it("eventsource", () =>
    serve(
      [answer("Once\n", "upon\r", "\na time")],
      (rill, _, signal) => rill.stream("x").toResponse({ signal }),
      async (url) => {
        const messages: Array<string> = []
        const source = new EventSource(url)
        const end = await new Promise<string>((resolve) => {
          source.addEventListener("message", ({ data }) => messages.push(data))
          source.addEventListener("done", ({ type }) => resolve(type))
          source.addEventListener("error", ({ type }) => resolve(type))
        })
        source.close()
        expect([end, messages.join("")]).toEqual(["done", "Once\nupon\na time"])
      }
    ))

  it("openai", () =>
    serve(
      [[reasoning("hm"), ...answer("Once", " upon")], failure(429)],
      (rill, _, signal) => rill.events("x").toResponse({ format: "openai", signal }),
      async (url) => {
        const openai = new OpenAI({ apiKey: "sk-test", baseURL: url, maxRetries: 0 })
        const completion = await openai.chat.completions
          .stream({ model: "gpt-test", messages: [] })
          .finalChatCompletion()
        expect(completion.choices[0]?.message.content).toBe("Once upon")
        expect(completion.usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 2 })
        await expect(
          openai.chat.completions.create({ model: "gpt-test", messages: [], stream: true })
        ).rejects.toMatchObject({
          status: 429,
          code: "rate_limit_exceeded"
        })
      }
    ))

  it("the AI SDK, of an agent's run", () =>
    serve(
      [calling, answer("It is ", "3.")],
      (rill, _, signal) => rill.agent({ tools }).stream("1 + 2?").toResponse({ format: "ui-messages", signal }),
      async (url) => {
        const transport = new DefaultChatTransport({ api: url })
        const stream = await transport.sendMessages({
          trigger: "submit-message",
          chatId: "c1",
          messageId: undefined,
          messages: [{ id: "u1", role: "user", parts: [{ type: "text", text: "1 + 2?" }] }],
          abortSignal: undefined
        })
        let message: UIMessage | undefined
        for await (const next of readUIMessageStream({ stream })) message = next
        expect(message?.parts.map(({ type }) => type)).toEqual(["step-start", "tool-add", "step-start", "text"])
        expect(message?.parts[1]).toMatchObject({ state: "output-available", output: "3" })
        expect(message?.parts[3]).toMatchObject({ text: "It is 3." })
      }
    ))

  it("fetch rejects the read of a text that was broken off", async () => {
    const read = gate()
    await serve(
      [[text("Once"), pause(read.opened), "reset"]],
      (rill, _, signal) => rill.stream("x").toResponse({ format: "text", signal }),
      async (url) => {
        const response = await fetch(url)
        const reader = response.body!.getReader()
        expect(new TextDecoder().decode((await reader.read()).value)).toBe("Once")
        read.open()
        expect(await rejection(reader.read())).toBeInstanceOf(TypeError)
      }
    )
  })

  it("a client that stops reading stops the model", async () => {
    let told = 0
    const endless = function* (): Generator<ChatServer.Step> {
      for (;;) {
        told++
        yield text("x".repeat(10_000))
      }
    }
    await serve(
      () => endless(),
      (rill, _, signal) => rill.stream("x").toResponse({ format: "text", signal }),
      async (url, server) => {
        const leaving = new AbortController()
        const response = await fetch(url, { signal: leaving.signal })
        await response.body!.getReader().read()
        // Until nothing is written any more.
        let before = -1
        while (told !== before) {
          before = told
          // oxlint-disable-next-line no-await-in-loop
          await new Promise((resolve) => setTimeout(resolve, 200))
        }
        // What the buffers of four sockets hold, and no more: at most some dozen MB.
        expect(told).toBeLessThan(5000)
        leaving.abort()
        expect(await server.requests[0]!.ended).toBe("closed")
      }
    )
  })
})
