/** What is said over one connection, by real clients. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Prompt from "effect/ai/Prompt"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Agent from "effect-rill/agent/Agent"
import type * as EventJson from "effect-rill/delivery/EventJson"
import * as WebSocket from "effect-rill/delivery/WebSocket"
import * as WebSocketFrame from "effect-rill/delivery/WebSocketFrame"
import * as Llm from "effect-rill/Llm"
import { RateLimited } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import * as Http from "node:http"
import { describe, expect, it, vi } from "vitest"
import * as Scripted from "../support/scriptedLlm.ts"
import * as SocketServer from "../support/SocketServer.ts"
import { gate } from "../support/ChatServer.ts"

// Real sockets on a machine that may be busy.
vi.setConfig({ testTimeout: 20_000 })
const poll = <A>(read: () => A) => expect.poll(read, { timeout: 10_000 })

const { connect, connectBare, connectGlobal } = SocketServer

const textOf = (prompt: Prompt.Prompt): string =>
  prompt.content
    .flatMap((message) => (message.role === "user" ? message.content : []))
    .map((part) => (part.type === "text" ? part.text : ""))
    .join("")

/** A server whose answers are made by this. */
const answering = (
  answer: WebSocket.Answer<never>,
  limits: WebSocket.Limits = {},
  options: SocketServer.Options = {}
) => SocketServer.start(WebSocket.handler({ ...limits, answer }), Layer.empty, options)

/** Answers by what is asked: `hold` never ends, `die` dies, `fail` fails, all else is said again by words. */
const parrot =
  (log: Array<string> = []): WebSocket.Answer<never> =>
  ({ id, prompt }) => {
    const text = textOf(prompt)
    const end =
      text === "hold"
        ? Stream.never
        : text === "die"
          ? Stream.die(new Error("secret of the server"))
          : text === "fail"
            ? Stream.fail(Scripted.llmError(new RateLimited({ message: "too many", status: 429 })))
            : Stream.make(Scripted.finished)
    return Stream.fromIterable(text.match(/\S+\s*/g) ?? [""]).pipe(
      Stream.map(Scripted.token),
      Stream.concat(end),
      Stream.onExit((exit) => Effect.sync(() => void log.push(`${id} ${exit._tag}`)))
    )
  }

describe("a prompt", () => {
  const model = ScriptedLlm.layer(() => [
    ScriptedLlm.start({ id: "answer_1", model: "m" }),
    ScriptedLlm.reasoning("Hm"),
    ScriptedLlm.text("Once", " upon", " é 😀"),
    ScriptedLlm.usage({ inputTokens: 7, outputTokens: 3 })
  ])

  it.each([
    ["ws", connect],
    ["Node's WebSocket", connectGlobal]
  ] as const)("is answered token by token to %s, then done", async (_, connect) => {
    await using server = await SocketServer.start(WebSocket.handler(), model)
    const { close, inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "Tell me a story" })
    const usage = { source: "exact", inputTokens: 7, outputTokens: 3 }
    await inbox.last("a")
    expect(inbox.frames).toEqual([
      { type: "event", id: "a", event: { _tag: "Started", id: "answer_1", provider: "scripted", model: "m" } },
      { type: "event", id: "a", event: { _tag: "ReasoningDelta", text: "Hm" } },
      { type: "token", id: "a", text: "Once" },
      { type: "token", id: "a", text: " upon" },
      { type: "token", id: "a", text: " é 😀" },
      { type: "event", id: "a", event: { _tag: "Finished", reason: "stop", usage } },
      { type: "done", id: "a", reason: "stop", usage }
    ])
    close()
    expect(await inbox.code()).toBe(1005)
  })

  it("asks the model nothing but itself, whatever else a client sends", async () => {
    const requests: Array<LlmRequest> = []
    const model = Layer.succeed(Llm.Llm, {
      events: (request: LlmRequest) => {
        requests.push(request)
        return Scripted.arrays([[Scripted.token("x"), Scripted.finished]])
      }
    })
    await using server = await SocketServer.start(WebSocket.handler(), model)
    const { inbox, send } = await connect(server)
    const messages = [
      { role: "user", content: [{ type: "text", text: "Hi", model: "dear" }] },
      { role: "assistant", content: [{ type: "text", text: "Hello" }] },
      { role: "user", content: "Again" }
    ]
    const more = { model: "dear", system: "obey", extra: { a: 1 }, temperature: 2, toolkit: {}, headers: {} }
    send({ type: "prompt", id: "a", prompt: messages, ...more })
    await inbox.last("a")
    expect(requests.length).toBe(1)
    expect(Object.keys(requests[0]!)).toEqual(["prompt"])
    const { prompt } = requests[0]!
    expect(Prompt.isPrompt(prompt)).toBe(true)
    expect((prompt as Prompt.Prompt).content.map(({ role }) => role)).toEqual(["user", "assistant", "user"])
    expect(textOf(prompt as Prompt.Prompt)).toBe("HiAgain")
    expect(JSON.stringify(prompt)).not.toContain("dear")
  })

  it("may be answered by an agent", async () => {
    const toolkit = Toolkit.make(
      Tool.make("search", { parameters: Schema.Struct({ topic: Schema.String }), success: Schema.String })
    )
    const agent = Agent.make({ toolkit, system: "a secret instruction" })
    const services = Layer.mergeAll(
      toolkit.toLayer({ search: ({ topic }) => Effect.succeed(`${topic}: 3 pages`) }),
      ScriptedLlm.layer([
        [ScriptedLlm.text("I look it up."), ScriptedLlm.toolCall("search", { topic: "tea" }, { id: "c" })],
        ["Tea", " is a plant."]
      ])
    )
    await using server = await SocketServer.start(
      WebSocket.handler({ answer: ({ prompt }) => agent.stream(prompt) }),
      services
    )
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "What is tea?" })
    const done = await inbox.last("a")
    expect(inbox.frames.filter(({ type }) => type === "token")).toEqual([
      { type: "token", id: "a", text: "I look it up.", step: 1 },
      { type: "token", id: "a", text: "Tea", step: 2 },
      { type: "token", id: "a", text: " is a plant.", step: 2 }
    ])
    const events = inbox.frames.flatMap((frame) =>
      frame.type === "event" ? [frame.event as { readonly _tag: string; readonly usage?: unknown }] : []
    )
    expect(events.map(({ _tag }) => _tag).join(" ")).toBe(
      "StepStarted Thought Action Observation StepFinished StepStarted StepFinished Final"
    )
    expect(done).toEqual({ type: "done", id: "a", reason: "stop", usage: events.at(-1)!.usage })
    expect(JSON.stringify(inbox.frames)).not.toContain("a secret instruction")
  })

  it("may be answered by text alone, and is told an estimate then", async () => {
    await using server = await answering(() => Stream.make("12345678", "90"))
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "1234" })
    expect(await inbox.last("a")).toEqual({
      type: "done",
      id: "a",
      reason: "other",
      usage: { source: "estimated", inputTokens: 1, outputTokens: 3 }
    })
    expect(inbox.text("a")).toBe("1234567890")
  })

  it("of an agent tells thoughts as events, and in the end what all of the run used", async () => {
    const usage = { source: "exact", inputTokens: 70, outputTokens: 30 } as const
    const state = Prompt.make("secret")
    await using server = await answering(() =>
      Stream.make<Array<EventJson.Event>>(
        { _tag: "Token", content: "Hm", step: 1, phase: "thought" },
        { _tag: "Token", content: "Tea", step: 1, phase: "answer" },
        { _tag: "StepFinished", step: 1, outcome: "answered", reason: "length", usage: Scripted.usage, state },
        { _tag: "Final", content: "Tea", usage, steps: 1 }
      )
    )
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "x" })
    expect(await inbox.last("a")).toEqual({ type: "done", id: "a", reason: "length", usage })
    expect(inbox.text("a")).toBe("Tea")
    expect(inbox.frames[0]).toMatchObject({ type: "event", event: { _tag: "Token", phase: "thought" } })
    expect(JSON.stringify(inbox.frames)).not.toContain("secret")
  })

  it("of several turns is told what they used together", async () => {
    await using server = await answering(() =>
      Stream.make<Array<LlmEvent>>(Scripted.token("a"), Scripted.finished, Scripted.token("b"), Scripted.finished)
    )
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "x" })
    expect(await inbox.last("a")).toMatchObject({ usage: { source: "exact", inputTokens: 14, outputTokens: 6 } })
  })
})

describe("several prompts", () => {
  it("interleave on one connection, each under its own id and in its own order", async () => {
    const ids = ["a", "b", "c", 'd"\n😀']
    const gates = ids.map(() => Array.from({ length: 20 }, gate))
    await using server = await answering(({ id }) => {
      const index = ids.indexOf(id)
      return Stream.fromIterable(gates[index]!).pipe(
        Stream.mapEffect(({ opened }) => Effect.promise(() => opened)),
        Stream.zipWithIndex,
        Stream.map(([, i]) => `${index}:${i} `)
      )
    })
    const { inbox, send } = await connect(server)
    for (const id of ids) send({ type: "prompt", id, prompt: "go" })
    for (let i = 0; i < 20; i++) {
      for (let k = 0; k < ids.length; k++) {
        const index = (k + i) % ids.length
        gates[index]![i]!.open()
        await inbox.until(() => inbox.text(ids[index]!).includes(`${index}:${i} `))
      }
    }
    for (const [index, id] of ids.entries()) {
      expect(await inbox.last(id)).toMatchObject({ type: "done" })
      expect(inbox.text(id)).toBe(Array.from({ length: 20 }, (_, i) => `${index}:${i} `).join(""))
    }
    const order = inbox.frames.map(({ id }) => id)
    expect(order.slice(0, 8)).toEqual([...ids, ...ids.slice(1), ids[0]])
  })

  it("are as many as may, and no two of one id", async () => {
    await using server = await answering(parrot(), { maxPrompts: 2 })
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "hold" })
    send({ type: "prompt", id: "a", prompt: "no" })
    send({ type: "prompt", id: "b", prompt: "hold" })
    send({ type: "prompt", id: "c", prompt: "no" })
    expect(await inbox.last("c")).toEqual({
      type: "error",
      id: "c",
      final: true,
      error: {
        reason: "TooManyPrompts",
        message: "2 prompts of this connection are running, as many as may. Ask again when one has ended.",
        isRetryable: true
      }
    })
    expect(inbox.of("a").find(({ type }) => type === "error")).toMatchObject({
      final: false,
      error: { reason: "DuplicateId", isRetryable: false }
    })
    send({ type: "stop", id: "a" })
    expect(await inbox.last("a")).toMatchObject({ type: "done", reason: "stopped" })
    // Its id and its place are free again.
    send({ type: "prompt", id: "a", prompt: "once more" })
    await inbox.until(() => inbox.of("a").filter(({ type }) => type === "done").length === 2)
    expect(inbox.text("a")).toBe("holdonce more")
    expect(inbox.text("b")).toBe("hold")
  })

  it("end each for itself: by an error of the model, or by a defect that only the log tells of", async () => {
    await using server = await answering(parrot())
    const { inbox, send } = await connect(server)
    for (const text of ["hold", "fail", "die"]) send({ type: "prompt", id: text, prompt: text })
    expect(await inbox.last("fail")).toEqual({
      type: "error",
      id: "fail",
      final: true,
      error: {
        reason: "RateLimited",
        message: "test: RateLimited: too many",
        isRetryable: true,
        provider: "test",
        phase: "mid-output",
        emitted: 0
      }
    })
    expect(await inbox.last("die")).toMatchObject({ type: "error", error: { reason: "Internal" } })
    expect(JSON.stringify(inbox.frames)).not.toContain("secret")
    expect(server.errors.join()).toContain("secret of the server")
    expect(server.errors.length).toBe(1)
    // What came before the end was delivered, and the third goes on.
    expect([inbox.text("fail"), inbox.text("die"), inbox.text("hold")]).toEqual(["fail", "die", "hold"])
    send({ type: "stop", id: "hold" })
    expect(await inbox.last("hold")).toMatchObject({ reason: "stopped" })
  })

  it("end each for itself where an event is no JSON", async () => {
    await using server = await answering(({ id }) =>
      Stream.make<[LlmEvent]>({ _tag: "ToolCalled", id, name: "f", input: id === "big" ? 1n : 1 })
    )
    const { inbox, send } = await connect(server)
    for (const id of ["big", "small"]) send({ type: "prompt", id, prompt: "x" })
    expect(await inbox.last("big")).toMatchObject({ type: "error", error: { reason: "Internal" } })
    expect(await inbox.last("small")).toMatchObject({ type: "done" })
  })

  it("end each for itself where making the answer throws", async () => {
    await using server = await answering(({ id }) => {
      if (id === "throw") throw new Error("made-up")
      return Stream.make(id)
    })
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "throw", prompt: "x" })
    send({ type: "prompt", id: "b", prompt: "x" })
    expect(await inbox.last("throw")).toMatchObject({ type: "error", error: { reason: "Internal" } })
    expect(await inbox.last("b")).toMatchObject({ type: "done" })
  })
})

describe("stop", () => {
  it("closes upstream, then says so, with what was used by then", async () => {
    const log: Array<string> = []
    await using server = await answering(({ id, prompt }) =>
      Stream.concat(Stream.make(Scripted.token(textOf(prompt))), Stream.never).pipe(
        Stream.ensuring(
          Effect.andThen(
            // On real sockets: long enough for the second stop to come meanwhile.
            Effect.sleep(20),
            Effect.sync(() => void log.push(`closed ${id}`))
          )
        )
      )
    )
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "12345678" })
    send({ type: "prompt", id: "b", prompt: "other" })
    await inbox.until(() => inbox.text("a") !== "" && inbox.text("b") !== "")
    send({ type: "stop", id: "a" })
    send({ type: "stop", id: "a" })
    const usage = { source: "estimated", inputTokens: 2, outputTokens: 2 }
    expect(await inbox.last("a")).toEqual({ type: "done", id: "a", reason: "stopped", usage })
    expect(log).toEqual(["closed a"])
    // The second found it running still, or not any more: never a second end.
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(inbox.of("a").filter(({ type }) => type === "done").length).toBe(1)
    expect(inbox.of("b").some(({ type }) => type === "done")).toBe(false)
  })

  it("of what is not running ends nothing", async () => {
    await using server = await answering(parrot())
    const { inbox, send } = await connect(server)
    send({ type: "stop", id: "a" })
    await inbox.until(({ frames }) => frames.length > 0)
    expect(inbox.frames[0]).toEqual({
      type: "error",
      id: "a",
      final: false,
      error: {
        reason: "NotRunning",
        message: "no prompt of this id is running, or not any more.",
        isRetryable: false
      }
    })
    send({ type: "prompt", id: "a", prompt: "fine" })
    expect(await inbox.last("a")).toMatchObject({ type: "done" })
    send({ type: "stop", id: "a" })
    await inbox.until(({ frames }) => frames.at(-1)?.type === "error")
    expect(inbox.frames.at(-1)).toMatchObject({ id: "a", error: { reason: "NotRunning" } })
  })
})

describe("a frame that cannot be read", () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
  const long = "x".repeat(129)
  it.each([
    ["nothing", "", undefined, "NotJson", false],
    ["no JSON", "{oops secret", undefined, "NotJson", false],
    ["JSON with more behind it", `{"type":"stop","id":"s"} x`, undefined, "NotJson", false],
    ["a number", "1", undefined, "BadFrame", false],
    ["null", "null", undefined, "BadFrame", false],
    ["an array", `[{"type":"stop","id":"x"}]`, undefined, "BadFrame", false],
    ["no type", { id: "x" }, "x", "BadFrame", true],
    ["another type", { type: "secret", id: "x" }, "x", "BadFrame", true],
    ["no id", { type: "prompt", prompt: "secret" }, undefined, "BadFrame", false],
    ["an id that is no string", { type: "stop", id: 1 }, undefined, "BadFrame", false],
    ["an empty id", { type: "stop", id: "" }, undefined, "BadFrame", false],
    ["a long id", { type: "stop", id: long }, undefined, "BadFrame", false],
    ["no prompt", { type: "prompt", id: "x" }, "x", "BadFrame", true],
    ["a prompt that is a number", { type: "prompt", id: "x", prompt: 1 }, "x", "BadFrame", true],
    ["a message of no role", { type: "prompt", id: "x", prompt: [{ content: "secret" }] }, "x", "BadFrame", true],
    [
      "a message of no known role",
      { type: "prompt", id: "x", prompt: [{ role: "secret", content: "secret" }] },
      "x",
      "BadFrame",
      true
    ],
    [
      "what is wrong, with the id of a prompt that runs",
      { type: "prompt", id: "held", prompt: 1 },
      "held",
      "BadFrame",
      false
    ],
    ["a prompt nested too deeply", `{"type":"prompt","id":"x","prompt":${deep}}`, "x", "BadFrame", true],
    [
      "options nested too deeply",
      `{"type":"prompt","id":"x","prompt":[{"role":"user","content":"hi","options":{"a":{"b":${deep}}}}]}`,
      "x",
      undefined,
      true
    ]
  ] as const)("%s is refused, and nothing else is lost", async (_, bad, id, reason, final) => {
    await using server = await answering(parrot())
    const { inbox, send } = await connect(server)
    send({ type: "prompt", id: "held", prompt: "hold" })
    await inbox.until(() => inbox.text("held") === "hold")
    send(bad)
    if (reason === undefined) {
      // It fits the schema: it is for the model's protocol to refuse it.
      expect(await inbox.last("x")).toMatchObject({ type: "done" })
    } else {
      await inbox.until(({ frames }) => frames.length === 2)
      const refusal = inbox.frames[1]!
      expect(refusal).toMatchObject({ type: "error", final, error: { reason, isRetryable: false } })
      expect(refusal.id).toBe(id)
      expect(JSON.stringify(refusal)).not.toContain("secret")
    }
    send({ type: "prompt", id: "next", prompt: "all well" })
    expect(await inbox.last("next")).toMatchObject({ type: "done" })
    send({ type: "stop", id: "held" })
    expect(await inbox.last("held")).toMatchObject({ reason: "stopped" })
    expect(inbox.closed).toBeUndefined()
    expect(server.errors).toEqual([])
  })

  it("says what is expected", async () => {
    await using server = await answering(parrot())
    const { inbox, send } = await connect(server)
    for (const bad of ["x", "1", { type: "stop" }, { type: "prompt", id: "a" }]) send(bad)
    await inbox.until(({ frames }) => frames.length === 4)
    expect(inbox.frames.map((frame) => (frame.type === "error" ? frame.error.message : ""))).toEqual([
      `a frame is JSON, such as {"type":"prompt","id":"1","prompt":"Hello"}.`,
      `a frame is an object whose "type" is "prompt" or "stop", such as {"type":"prompt","id":"1","prompt":"Hello"}.`,
      `"id" must be a string of 1 to 128 characters.`,
      `"prompt" must be a string, or messages as effect/ai's Prompt encodes them: each a role (system, user, assistant, tool) and its content.`
    ])
  })

  it("of binary data closes with 1003, and its prompts' upstreams", async () => {
    const log: Array<string> = []
    await using server = await answering(parrot(log))
    const { inbox, send, socket } = await connect(server)
    send({ type: "prompt", id: "a", prompt: "hold" })
    await inbox.until(() => inbox.text("a") === "hold")
    socket.send(Buffer.from(`{"type":"stop","id":"a"}`))
    expect(await inbox.code()).toBe(1003)
    expect(log).toEqual(["a Failure"])
  })
})

describe("a large frame", () => {
  const maxFrameSize = 1000
  const sized = (bytes: number, filling: string): string => {
    const empty = JSON.stringify({ type: "prompt", id: "a", prompt: "" })
    const count = Math.floor((bytes - empty.length) / Buffer.byteLength(filling))
    const text = filling.repeat(count)
    const rest = bytes - empty.length - Buffer.byteLength(text)
    return JSON.stringify({ type: "prompt", id: "a", prompt: text + "x".repeat(rest) })
  }

  it.each(["x", "é", "€", "😀"])("of %s is read up to the limit, and closes with 1009 beyond", async (filling) => {
    await using server = await answering(() => Stream.make("fine"), { maxFrameSize })
    const fits = await connect(server)
    const text = sized(maxFrameSize, filling)
    expect(Buffer.byteLength(text)).toBe(maxFrameSize)
    fits.send(text)
    expect(await fits.inbox.last("a")).toMatchObject({ type: "done" })
    const large = await connect(server)
    large.send(sized(maxFrameSize + 1, filling))
    expect(await large.inbox.code()).toBe(1009)
    // Others' connections are their own.
    fits.send({ type: "prompt", id: "b", prompt: "x" })
    expect(await fits.inbox.last("b")).toMatchObject({ type: "done" })
  })

  it.each([
    ["in one piece", (bytes: Buffer) => [SocketServer.frame(1, bytes)]],
    [
      "in fragments",
      (bytes: Buffer) => [
        SocketServer.frame(1, bytes.subarray(0, 1000), false),
        ...Array.from({ length: 999 }, (_, i) =>
          SocketServer.frame(0, bytes.subarray(1000 + i * 65_000, 1000 + (i + 1) * 65_000), false)
        )
      ]
    ]
  ])("is not waited for to its end: of 64 MB %s, the server reads little", async (_, cut) => {
    await using server = await answering(() => Stream.make("fine"), { closeTimeout: "100 millis" })
    const { received, socket } = await connectBare(server)
    const [connection] = server.sockets()
    const closed = new Promise((resolve) => socket.on("close", resolve))
    for (const piece of cut(Buffer.alloc(64 * 1024 * 1024, "x"))) socket.write(piece)
    await closed
    expect(connection!.bytesRead).toBeLessThan(4 * 1024 * 1024)
    expect([received()[0], received().readUInt16BE(2)]).toEqual([0x88, 1009])
    await poll(server.fibers).toBe(0)
  })

  it("of many small ones is none", async () => {
    await using server = await answering(parrot(), { maxFrameSize })
    const { inbox, send } = await connect(server)
    for (let i = 0; i < 10_000; i++) send(`{"type":"stop","id":"${"i".repeat(100)}"}`)
    await inbox.until(({ frames }) => frames.length === 10_000)
    expect(inbox.closed).toBeUndefined()
  })
})

it("a message in fragments, with a ping between them, is one message", async () => {
  await using server = await answering(parrot())
  const { received, socket } = await connectBare(server)
  const text = Buffer.from(JSON.stringify({ type: "prompt", id: "a", prompt: "é😀 fine" }))
  for (let i = 0; i < text.length; i++) {
    socket.write(SocketServer.frame(i === 0 ? 1 : 0, text.subarray(i, i + 1), i === text.length - 1))
    if (i === 20) socket.write(SocketServer.frame(9, "ping"))
  }
  await poll(() => received().toString("utf8")).toContain(`"type":"done"`)
  expect(received().toString("utf8")).toContain(`{"type":"token","id":"a","text":"é😀 "}`)
  expect(received().includes(Buffer.from([0x8a, 4, ...Buffer.from("ping")]))).toBe(true)
  socket.destroy()
})

describe("a handshake", () => {
  const refused = async (server: SocketServer.SocketServer, headers: Readonly<Record<string, string>>) => {
    const result = await connect(server, headers).then(
      ({ close }) => {
        close()
        return "open"
      },
      (error: unknown) => String(error)
    )
    return result === "open" ? 101 : Number(/: (\d+)$/.exec(result)?.[1])
  }

  it("of a page of another origin is refused, unless told", async () => {
    await using same = await answering(parrot())
    const host = `127.0.0.1:${same.port}`
    for (const [origin, status, more] of [
      [`http://${host}`, 101, {}],
      [`https://${host}`, 101, {}],
      [`http://127.0.0.1:${same.port + 1}`, 403, {}],
      ["https://evil.example", 403, {}],
      [`http://${host}.evil.example`, 403, {}],
      ["null", 403, {}],
      ["", 403, {}],
      ["https://app.example", 101, { host: "app.example" }],
      ["https://app.example", 101, { host: "app.example:443" }],
      ["http://app.example", 403, { host: "app.example:443" }],
      ["https://APP.example", 101, { host: "app.EXAMPLE" }]
    ] as const) {
      expect([origin, await refused(same, { origin, ...more })]).toEqual([origin, status])
    }
    expect(await refused(same, {})).toBe(101)

    await using listed = await answering(parrot(), { origins: ["https://app.example", "http://localhost:3000"] })
    expect(await refused(listed, { origin: "https://app.example" })).toBe(101)
    expect(await refused(listed, { origin: "http://localhost:3000" })).toBe(101)
    expect(await refused(listed, { origin: "http://localhost:3001" })).toBe(403)
    expect(await refused(listed, { origin: `http://127.0.0.1:${listed.port}` })).toBe(403)
    expect(await refused(listed, {})).toBe(101)

    await using any = await answering(parrot(), { origins: "any" })
    expect(await refused(any, { origin: "https://evil.example" })).toBe(101)
  })

  it("is asked for where there is none", async () => {
    await using server = await answering(parrot())
    const response = await fetch(`http://127.0.0.1:${server.port}/chat`)
    expect([response.status, response.headers.get("upgrade")]).toEqual([426, "websocket"])
    expect(await response.text()).toContain("WebSocket")
  })

  it("to another protocol is none", async () => {
    await using server = await answering(parrot())
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const request = Http.get({ port: server.port, path: "/chat", headers: { connection: "Upgrade", upgrade: "irc" } })
      request.on("response", (response) => resolve(response.resume().statusCode))
      request.on("upgrade", (response) => resolve(response.statusCode))
      request.on("error", reject)
    })
    expect(status).toBe(426)
  })

  it("that is wrong is refused, and nothing is left", async () => {
    await using server = await answering(parrot())
    const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" }
    const status = await new Promise<number | undefined>((resolve) =>
      Http.get(
        { port: server.port, path: "/chat", headers: { ...headers, "sec-websocket-key": "short" } },
        (response) => resolve(response.resume().statusCode)
      )
    )
    expect(status).toBe(400)
    await poll(server.fibers).toBe(0)
    await poll(() => server.sockets().size).toBe(0)
    expect(server.errors).toEqual([])
  })
})

it("a client with Effect writes its frames by the schema", () => {
  const encode = Schema.encodeSync(WebSocketFrame.ClientFrame)
  expect(encode({ type: "stop", id: "a" })).toEqual({ type: "stop", id: "a" })
  const frame = encode({ type: "prompt", id: "a", prompt: Prompt.make("Hi") })
  const decoded = WebSocketFrame.decode(JSON.stringify(frame))
  expect(Result.isSuccess(decoded) && decoded.success.type === "prompt" && textOf(decoded.success.prompt)).toBe("Hi")
})

it("options that make no sense are refused when the handler is made", () => {
  for (const origin of ["app.example", "https://app.example/", "https://app.example/path", "*", ""]) {
    expect(() => WebSocket.handler({ origins: [origin] })).toThrow("an origin is a scheme, a host")
  }
  expect(() => WebSocket.handler({ maxPrompts: 0 })).toThrow("maxPrompts must be a whole number of at least 1, not 0")
  expect(() => WebSocket.handler({ maxFrameSize: Number.NaN })).toThrow("maxFrameSize")
  for (const name of ["pingInterval", "pingTimeout", "slowClientTimeout", "closeTimeout"]) {
    expect(() => WebSocket.handler({ [name]: 0 })).toThrow(`${name} must be longer than no time`)
  }
})
