/** Agents for plain TypeScript, over real sockets, on both of OpenAI's wires. */
import { getEventListeners } from "node:events"
import * as Schema from "effect/Schema"
import * as Rill from "effect-rill/promise/Rill"
import { afterEach, assert, describe, expect, it } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"

const { answer, done, finish, gate, text, toolCall, usage } = ChatServer

/** A turn that calls tools: 7 input tokens, 3 output tokens. */
const calls = (
  ...all: ReadonlyArray<readonly [name: string, input: unknown, id?: string]>
): ReadonlyArray<ChatServer.Step> => [
  ChatServer.role,
  ...all.map(([name, input, id], index) => toolCall(index, JSON.stringify(input), id ?? `call_${index}`, name)),
  finish("tool_calls"),
  usage(7, 3),
  done
]

const withServer = async (
  script: ChatServer.Script,
  test: (rill: Rill.Rill, server: ChatServer.ChatServer) => Promise<void>,
  options: Rill.OpenAiOptions = {}
): Promise<void> => {
  await using server = await ChatServer.start(script)
  await using rill = Rill.fromOpenAi("gpt-test", { apiKey: "sk-1", baseUrl: server.baseUrl, ...options })
  await test(rill, server)
}

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const items: Array<A> = []
  for await (const item of iterable) items.push(item)
  return items
}

const rillError = async (promise: Promise<unknown>): Promise<Rill.RillError> => {
  try {
    await promise
  } catch (error) {
    assert.instanceOf(error, Rill.RillError)
    return error
  }
  assert.fail("it was not rejected")
}

/** What no promise may leave behind. */
const unhandled: Array<unknown> = []
process.on("unhandledRejection", (error) => unhandled.push(error))
afterEach(() => {
  expect(unhandled.splice(0)).toEqual([])
})

// -----------------------------------------------------------------------------
// schemas of two libraries: one that tells its JSON Schema, one that does not and takes its time
// -----------------------------------------------------------------------------

const citySchema = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false
}

/** Trims: what a tool gets is what the schema gives. */
const city = {
  "~standard": {
    version: 1,
    vendor: "by-hand",
    validate: (value: unknown): Rill.StandardResult<{ readonly city: string; readonly length: number }> => {
      const { city } = value as { readonly city?: unknown }
      if (typeof city !== "string") return { issues: [{ message: "must be text", path: ["city"] }] }
      return { value: { city: city.trim(), length: city.trim().length } }
    },
    types: undefined as { readonly input: unknown; readonly output: { city: string; length: number } } | undefined,
    jsonSchema: {
      input: ({ target }: { readonly target: string }) => ({
        $schema: `https://json-schema.org/${target}`,
        ...citySchema
      })
    }
  }
} as const

const slowCount = {
  "~standard": {
    version: 1,
    vendor: "slow",
    validate: async (value: unknown): Promise<Rill.StandardResult<{ readonly count: number }>> => {
      await new Promise(setImmediate)
      const { count } = value as { readonly count?: unknown }
      return typeof count === "number"
        ? { value: { count } }
        : { issues: [{ message: "no number", path: [{ key: "count" }, 0] }, { message: "think again" }] }
    },
    types: undefined as { readonly input: unknown; readonly output: { count: number } } | undefined
  }
} as const

const weather = Rill.tool({
  description: "Tells the weather.",
  input: city,
  run: async ({ city, length }) => ({ city, length, sunny: true })
})

const details = { provider: "test", phase: "request", emitted: 0, isRetryable: false } as const

const told = (request: ChatServer.Recorded): string => JSON.stringify(request.messages)

// -----------------------------------------------------------------------------

describe.each(["responses", "chat"] as const)("over %s", (api) => {
  it("a run, as its events in their order", () =>
    withServer(
      [[text("Let me see."), ...calls(["weather", { city: " Oslo " }])], answer("It is", " sunny.")],
      async (rill, server) => {
        const agent = rill.agent({ tools: { weather }, system: "Be brief.", request: { temperature: 0.5 } })
        const events = await collect(agent.stream("How is Oslo?"))
        const state = { state: expect.any(Array), usage: expect.objectContaining({ inputTokens: 7 }) }
        expect(events).toMatchObject([
          { _tag: "StepStarted", step: 1 },
          { _tag: "Token", content: "Let me see.", step: 1, phase: "answer" },
          { _tag: "Thought", content: "Let me see.", step: 1 },
          { _tag: "Action", id: "call_0", toolName: "weather", input: { city: " Oslo " }, step: 1 },
          {
            _tag: "Observation",
            id: "call_0",
            toolName: "weather",
            content: '{"city":"Oslo","length":4,"sunny":true}',
            isError: false,
            step: 1
          },
          { _tag: "StepFinished", step: 1, outcome: "acted", reason: "tool-calls", ...state },
          { _tag: "StepStarted", step: 2 },
          { _tag: "Token", content: "It is", step: 2, phase: "answer" },
          { _tag: "Token", content: " sunny.", step: 2, phase: "answer" },
          { _tag: "StepFinished", step: 2, outcome: "answered", reason: "stop", ...state },
          {
            _tag: "Final",
            content: "It is sunny.",
            usage: { source: "exact", inputTokens: 14, outputTokens: 5 },
            steps: 2
          }
        ])
        // Plain all through.
        expect(JSON.parse(JSON.stringify(events))).toEqual(events)
        const [first, second] = server.requests
        expect(first!.body).toMatchObject({ temperature: 0.5, stream: true })
        expect(first!.messages[0]).toMatchObject({ role: "system", content: "Be brief." })
        expect(JSON.stringify(first!.body["tools"])).toContain(JSON.stringify(citySchema))
        expect(JSON.stringify(first!.body["tools"])).toContain("Tells the weather.")
        expect(told(second!)).toContain(String.raw`{\"city\":\"Oslo\",\"length\":4,\"sunny\":true}`)
      },
      { api }
    ))

  it("a run, as its end, from which another goes on", () =>
    withServer(
      [calls(["weather", { city: "Oslo" }]), answer("Sunny."), answer("Yes.")],
      async (rill, server) => {
        const agent = rill.agent({ tools: { weather } })
        const { content, messages, steps, usage } = await agent.run("How is Oslo?")
        expect([content, steps, usage.inputTokens, usage.outputTokens]).toEqual(["Sunny.", 2, 14, 4])
        expect(messages).toMatchObject([
          { role: "user", content: [{ type: "text", text: "How is Oslo?" }] },
          {
            role: "assistant",
            content: [{ type: "tool-call", id: "call_0", name: "weather", params: { city: "Oslo" } }]
          },
          {
            role: "tool",
            content: [
              {
                type: "tool-result",
                id: "call_0",
                name: "weather",
                isFailure: false,
                result: { city: "Oslo", length: 4, sunny: true }
              }
            ]
          },
          { role: "assistant", content: [{ type: "text", text: "Sunny." }] }
        ])
        expect(JSON.parse(JSON.stringify(messages))).toEqual(messages)
        await agent.run([...messages, { role: "user", content: "Sure?" }])
        expect(told(server.requests[2]!)).toContain("How is Oslo?")
        expect(told(server.requests[2]!)).toContain("call_0")
        expect(told(server.requests[2]!)).toContain("Sure?")
      },
      { api }
    ))
})

describe("tools", () => {
  /** What a tool's single call is observed as, and what the run comes to. */
  const observe = async (
    tool: Rill.Tool,
    input: unknown = {},
    options: Omit<Rill.AgentOptions, "tools"> = {},
    callbacks: Rill.Callbacks = {}
  ) => {
    let events: ReadonlyArray<Rill.AgentEvent> = []
    let error: unknown
    await withServer(
      [calls(["it", input]), answer("Well.")],
      async (rill) => {
        const told: Array<Rill.AgentEvent> = []
        events = told
        try {
          for await (const event of rill.agent({ tools: { it: tool }, ...options }).stream("x")) told.push(event)
        } catch (thrown) {
          error = thrown
        }
      },
      { callbacks }
    )
    const observation = events.find((event) => event._tag === "Observation")
    return { events, error, content: observation?.content, isError: observation?.isError }
  }

  it("what one throws is told to the model", async () => {
    const throws = (error: unknown) => observe(Rill.tool({ run: () => Promise.reject(error) }))
    const sync = Rill.tool({
      run: () => {
        throw new RangeError("too far")
      }
    })
    expect(await throws(new Error("no such city"))).toMatchObject({ content: "no such city", isError: true })
    expect(await throws("out of order")).toMatchObject({ content: "out of order", isError: true })
    expect(await throws(undefined)).toMatchObject({ content: "The tool failed.", isError: true })
    expect(await throws(new TypeError())).toMatchObject({ content: "TypeError", isError: true })
    const { content, error, events } = await observe(sync)
    expect([content, error, events.at(-1)]).toMatchObject(["too far", undefined, { _tag: "Final", content: "Well." }])
  })

  it("what one gives is told as JSON makes of it", async () => {
    const gives = (value: unknown) => observe(Rill.tool({ run: () => value }))
    expect(await gives("text")).toMatchObject({ content: "text", isError: false })
    expect(await gives(undefined)).toMatchObject({ content: "null", isError: false })
    expect(await gives({ at: new Date(0) })).toMatchObject({ content: '{"at":"1970-01-01T00:00:00.000Z"}' })
    const circular: Record<string, unknown> = {}
    circular["self"] = circular
    for (const value of [1n, circular]) {
      const { content, error, isError } = await gives(value)
      expect([isError, error]).toEqual([true, undefined])
      expect(content).toContain("cannot be put as JSON")
    }
  })

  it("an input that does not fit is told, and mended", () =>
    withServer(
      [
        calls(["weather", { city: 7 }, "a"], ["count", { count: "two" }, "b"]),
        calls(["weather", { city: "Oslo" }, "c"], ["count", { count: 2 }, "d"]),
        answer("Done.")
      ],
      async (rill) => {
        const counted: Array<number> = []
        const count = Rill.tool({
          input: slowCount,
          jsonSchema: { type: "object", properties: { count: { type: "number" } } },
          run: ({ count }) => counted.push(count)
        })
        const events = await collect(rill.agent({ tools: { weather, count } }).stream("x"))
        const observations = events.filter((event) => event._tag === "Observation")
        expect(observations.map(({ id, isError }) => [id, isError])).toEqual([
          ["a", true],
          ["b", true],
          ["c", false],
          ["d", false]
        ])
        expect(observations[0]!.content).toContain("city: must be text")
        expect(observations[1]!.content).toContain("count.0: no number; think again")
        expect(counted).toEqual([2])
      }
    ))

  it("may be an object with a method", async () => {
    class Greeting {
      private readonly word = "Hello"
      run() {
        return this.word
      }
    }
    expect(await observe(Rill.tool(new Greeting()))).toMatchObject({ content: "Hello", isError: false })
  })

  it("preliminary results are told as they come", async () => {
    const tool = Rill.tool({
      run: async (_input, { id, progress }) => {
        await progress({ half: id })
        await progress("nearly")
        return "whole"
      }
    })
    const { events } = await observe(tool)
    expect(events.filter(({ _tag }) => _tag === "Progress" || _tag === "Observation")).toMatchObject([
      { _tag: "Progress", content: '{"half":"call_0"}' },
      { _tag: "Progress", content: "nearly" },
      { _tag: "Observation", content: "whole" }
    ])
  })

  it("run when they are approved", async () => {
    const asked: Array<Rill.Approval> = []
    const ran: Array<unknown> = []
    const tool = Rill.tool({
      input: city,
      needsApproval: async ({ city }) => city === "Oslo",
      run: ({ city }) => ran.push(city)
    })
    const approve = (allowed: boolean) => async (call: Rill.Approval) => {
      asked.push(call)
      return allowed
    }
    expect((await observe(tool, { city: "Rome" }, { approve: approve(false) })).isError).toBe(false)
    expect(asked).toEqual([])
    expect((await observe(tool, { city: " Oslo" }, { approve: approve(true) })).isError).toBe(false)
    expect(asked).toEqual([{ id: "call_0", name: "it", input: { city: " Oslo" } }])
    expect((await observe(tool, { city: "Oslo" }, { approve: approve(false) })).isError).toBe(true)
    expect((await observe(tool, { city: "Oslo" })).isError).toBe(true)
    expect((await observe(Rill.tool({ needsApproval: true, run: () => ran.push("no") }))).isError).toBe(true)
    expect(ran).toEqual(["Rome", "Oslo"])
    const boom = new Error("nobody is there")
    const thrown = await observe(tool, { city: "Oslo" }, { approve: () => Promise.reject(boom) })
    expect(thrown.error).toBe(boom)
    // What is another's is given as it is, an error of this library with its own stack.
    const error = new Rill.RillError("x", { ...details, reason: "Closed" })
    const { stack } = error
    expect((await observe(tool, { city: "Oslo" }, { approve: () => Promise.reject(error) })).error).toBe(error)
    expect(error.stack).toBe(stack)
  })

  it("callbacks hear of them", async () => {
    const log: Array<unknown> = []
    const callbacks: Rill.Callbacks = {
      onStart: () => log.push("start"),
      onToken: (text) => log.push(text),
      onToolStart: async (start) => {
        await new Promise(setImmediate)
        log.push(start)
      },
      onToolEnd: (end) => log.push(end),
      onEnd: ({ status }) => log.push(status)
    }
    await observe(weather, { city: "Oslo" }, {}, callbacks)
    expect(log).toEqual([
      "start",
      "complete",
      { id: "call_0", name: "it", input: { city: "Oslo" } },
      { id: "call_0", name: "it", status: "complete", output: { city: "Oslo", length: 4, sunny: true } },
      "start",
      "Well.",
      "complete"
    ])
    const ends: Array<Rill.ToolEnd> = []
    const onToolEnd = (end: Rill.ToolEnd) => ends.push(end)
    const boom = new Error("no such city")
    const throws = Rill.tool({ run: () => Promise.reject(boom) })
    await observe(throws, {}, {}, { onToolEnd })
    await observe(weather, { city: 1 }, {}, { onToolEnd })
    await observe(Rill.tool({ run: () => 1n }), {}, {}, { onToolEnd })
    const [threw, misfit, result] = ends
    expect(threw).toEqual({ id: "call_0", name: "it", status: "failed", error: boom })
    for (const [end, failure] of [
      [misfit, "input"],
      [result, "result"]
    ] as const) {
      assert(end?.status === "failed")
      assert.instanceOf(end.error, Rill.RillError)
      expect(end.error).toMatchObject({ reason: "ToolFailed", tool: { id: "call_0", name: "it", failure } })
    }
  })

  it("what a callback throws, the run is rejected with", async () => {
    const boom = new Error("callback")
    const throwing = () => {
      throw boom
    }
    expect((await observe(weather, { city: "Oslo" }, {}, { onToolStart: throwing })).error).toBe(boom)
    expect((await observe(weather, { city: "Oslo" }, {}, { onToolEnd: throwing })).error).toBe(boom)
  })

  it("are made with a schema of their input, or none", async () => {
    const effect = Schema.Struct({ n: Schema.NumberFromString })
    const both = Schema.toStandardJSONSchemaV1(Schema.toStandardSchemaV1(effect))
    const double = Rill.tool({ input: both, run: ({ n }) => n * 2 })
    expect(double.jsonSchema).toMatchObject({ type: "object", properties: { n: { type: "string" } } })
    expect((await observe(double, { n: "21" })).content).toBe("42")
    expect((await observe(double, { n: [] })).isError).toBe(true)

    expect(weather.jsonSchema).toEqual(citySchema)
    const none = Rill.tool({ run: (input) => input })
    expect(none.jsonSchema).toEqual({ type: "object", properties: {}, additionalProperties: false })
    const unchecked = Rill.tool({ jsonSchema: { type: "object" }, run: (input) => input })
    expect((await observe(unchecked, { a: 1 })).content).toBe('{"a":1}')
    const given = Rill.tool({ input: city, jsonSchema: { type: "object", title: "mine" }, run: () => 0 })
    expect(given.jsonSchema).toEqual({ type: "object", title: "mine" })

    const old = (knows: string, schema: Rill.JsonSchema = { type: "object" }) => ({
      "~standard": {
        ...city["~standard"],
        jsonSchema: {
          input: ({ target }: { readonly target: string }) => {
            if (target !== knows) throw new Error(`no ${target}`)
            return { ...schema, title: target }
          }
        }
      }
    })
    expect(Rill.tool({ input: old("draft-2020-12"), run: () => 0 }).jsonSchema["title"]).toBe("draft-2020-12")
    expect(Rill.tool({ input: old("draft-07"), run: () => 0 }).jsonSchema["title"]).toBe("draft-07")
    const any = {
      "~standard": { ...city["~standard"], jsonSchema: { input: (told: object) => ({ type: "object", ...told }) } }
    }
    expect(Rill.tool({ input: any, run: () => 0 }).jsonSchema).toEqual({ type: "object", target: "draft-2020-12" })
    expect(() => Rill.tool({ input: old("draft-04"), run: () => 0 })).toThrow(
      /by-hand\) cannot tell .* pass `jsonSchema`/
    )
    expect(() => Rill.tool({ input: slowCount, run: () => 0 })).toThrow(
      /slow\) tells no JSON Schema: pass `jsonSchema`/
    )
    expect(() => Rill.tool({ input: old("draft-07", { type: "string" }), run: () => 0 })).toThrow(/must be an object/)
  })

  it("are those that the agent was made with, whatever becomes of the object", () =>
    withServer([calls(["now", {}]), answer("noon")], async (rill, server) => {
      const tools: Record<string, Rill.Tool> = { now: Rill.tool({ description: "The time.", run: () => "12:00" }) }
      const agent = rill.agent({ tools })
      delete tools["now"]
      expect((await agent.run("x")).content).toBe("noon")
      expect(JSON.stringify(server.requests[1]!.body)).toContain("12:00")
    }))

  it("what is no tool is said to be none", () =>
    withServer([answer("x")], async (rill) => {
      const options = { tools: {} }
      Object.assign(options.tools, { mine: { description: "a", run: () => 0 } })
      expect(() => rill.agent(options)).toThrow(/"mine" .*Rill\.tool/)
      expect(() => Rill.tool(Object.assign({ run: () => 0 }, { input: { type: "object" } as never }))).toThrow(
        /must be a Standard Schema/
      )
    }))

  it("a validation that breaks is the program's fault", async () => {
    const boom = new Error("a bug")
    const broken = { "~standard": { ...city["~standard"], validate: () => Promise.reject(boom) } }
    const ends: Array<Rill.ToolEnd> = []
    const onToolEnd = (end: Rill.ToolEnd) => ends.push(end)
    expect((await observe(Rill.tool({ input: broken, run: () => 0 }), {}, {}, { onToolEnd })).error).toBe(boom)
    expect(ends).toEqual([{ id: "call_0", name: "it", status: "failed", error: boom }])
  })
})

describe("stopping", () => {
  /** A tool that never ends by itself, and tells of its signal. */
  const endless = () => {
    const began = gate()
    const aborted = gate()
    let started = 0
    let signalled = 0
    const tool = Rill.tool({
      run: (_input, { signal }) => {
        signal.addEventListener("abort", () => {
          signalled++
          aborted.open()
        })
        started++
        began.open()
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
      }
    })
    return { tool, began: began.opened, aborted: aborted.opened, signalled: () => signalled, started: () => started }
  }
  const script = [calls(["wait", {}]), answer("Never.")]

  it("a signal stops a tool in the middle", () => {
    const ends: Array<string> = []
    return withServer(
      script,
      async (rill, server) => {
        const { aborted, began, signalled, tool } = endless()
        const controller = new AbortController()
        const { signal } = controller
        const agent = rill.agent({ tools: { wait: tool } })
        const boom = new Error("enough")
        const run = agent.run("x", { signal })
        await began
        expect(getEventListeners(signal, "abort").length).toBe(1)
        controller.abort(boom)
        await expect(run).rejects.toBe(boom)
        await aborted
        expect(signalled()).toBe(1)
        expect(getEventListeners(signal, "abort")).toEqual([])
        expect(ends).toEqual(["stopped"])
        expect(server.requests.length).toBe(1)
        await expect(agent.run("x", { signal })).rejects.toBe(boom)
        expect(server.requests.length).toBe(1)
      },
      { callbacks: { onToolEnd: ({ status }) => ends.push(status) } }
    )
  })

  it("a tool that does not listen is not waited for", () =>
    withServer(script, async (rill) => {
      const began = gate()
      const deaf = {
        run() {
          began.open()
          return new Promise(() => {})
        }
      }
      const controller = new AbortController()
      const agent = rill.agent({ tools: { wait: Rill.tool(deaf) } })
      const run = agent.run("x", { signal: controller.signal })
      await began.opened
      controller.abort()
      await expect(run).rejects.toBe(controller.signal.reason)
    }))

  it("leaving the loop stops what has begun, and begins nothing", () =>
    withServer(script, async (rill, server) => {
      const { signalled, started, tool } = endless()
      for await (const event of rill.agent({ tools: { wait: tool } }).stream("x")) if (event._tag === "Action") break
      expect(signalled()).toBe(started())
      await new Promise(setImmediate)
      expect(signalled()).toBe(started())
      expect(server.requests.length).toBe(1)
    }))

  it("leaving while a tool runs aborts its signal", () =>
    withServer(script, async (rill, server) => {
      const { began, signalled, tool } = endless()
      const run = rill.agent({ tools: { wait: tool } }).stream("x")
      const iterator = run[Symbol.asyncIterator]()
      const reading = (async () => {
        while (!(await iterator.next()).done);
      })()
      await began
      expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
      await reading
      expect(signalled()).toBe(1)
      expect(server.requests.length).toBe(1)
    }))

  it("leaving in the middle of a turn closes the connection", () =>
    withServer([[text("a"), "hold"]], async (rill, server) => {
      for await (const event of rill.agent({ tools: { weather } }).stream("x")) if (event._tag === "Token") break
      expect(await (await server.request(0)).ended).toBe("closed")
    }))

  it("close stops runs, and refuses others", () =>
    withServer(script, async (rill) => {
      const { began, signalled, tool } = endless()
      const agent = rill.agent({ tools: { wait: tool } })
      const run = rillError(agent.run("x"))
      await began
      await rill.close()
      expect((await run).reason).toBe("Closed")
      expect(signalled()).toBe(1)
      expect((await rillError(agent.run("x"))).reason).toBe("Closed")
      expect((await rillError(collect(agent.stream("x")))).reason).toBe("Closed")
    }))

  it("a preliminary result that nobody takes rejects nothing", () =>
    withServer(script, async (rill) => {
      const stuck = gate()
      const ended = gate()
      let told = 0
      const tool = Rill.tool({
        run: async (_input, { progress, signal }) => {
          signal.addEventListener("abort", () => ended.open())
          // More than the buffers hold.
          const all = Array.from({ length: 100 }, async () => {
            await progress("more")
            told++
          })
          stuck.open()
          await Promise.all(all)
          await new Promise(() => {})
        }
      })
      const run = rill.agent({ tools: { wait: tool } }).stream("x")
      const iterator = run[Symbol.asyncIterator]()
      while ((await iterator.next()).value?._tag !== "Progress");
      await stuck.opened
      expect(told).toBeLessThan(100)
      await iterator.return?.()
      await ended.opened
      await new Promise(setImmediate)
      expect(told).toBe(100)
    }))

  it("a tool's timeout aborts it, and is told", () => {
    const ends: Array<Rill.ToolEnd> = []
    const onToolEnd = (end: Rill.ToolEnd) => ends.push(end)
    const late = async (rill: Rill.Rill) => {
      const { signalled, tool } = endless()
      const events = await collect(rill.agent({ tools: { wait: tool }, toolTimeout: 5 }).stream("x"))
      expect(events.find(({ _tag }) => _tag === "Observation")).toMatchObject({ isError: true })
      expect(signalled()).toBe(1)
      const [end] = ends
      assert(end?.status === "failed")
      assert.instanceOf(end.error, Rill.RillError)
      expect(end.error).toMatchObject({ reason: "ToolFailed", tool: { id: "call_0", failure: "timeout" } })
    }
    return withServer([calls(["wait", {}]), answer("Late.")], late, { callbacks: { onToolEnd } })
  })
})

describe("sessions", () => {
  it("go on, and keep what ended well", () =>
    withServer(
      [calls(["weather", { city: "Oslo" }]), answer("Sunny."), ChatServer.failure(400), answer("Yes.")],
      async (rill, server) => {
        const session = rill.agent({ tools: { weather } }).session()
        expect(session.history).toEqual([])
        await collect(session.stream("How is Oslo?"))
        expect(session.history.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant"])
        const error = await rillError(session.run("Lost?"))
        expect(error.reason).toBe("InvalidRequest")
        expect(session.history.length).toBe(4)
        const { content, messages } = await session.run("Sure?")
        expect(content).toBe("Yes.")
        expect(session.history).toEqual(messages)
        expect(told(server.requests[3]!)).toContain("How is Oslo?")
        expect(told(server.requests[3]!)).not.toContain("Lost?")
      }
    ))

  it("begin with a history, and trim it", () =>
    withServer([answer("One."), answer("Two.")], async (rill, server) => {
      const trimmed: Array<number> = []
      const session = rill.agent({ tools: { weather } }).session({
        history: [{ role: "user", content: "before" }],
        trim: (history) => {
          trimmed.push(history.length)
          return history.slice(-2)
        }
      })
      await session.run("first")
      expect(trimmed).toEqual([3])
      expect(session.history).toEqual([
        { role: "user", content: [{ type: "text", text: "first" }] },
        { role: "assistant", content: [{ type: "text", text: "One." }] }
      ])
      expect(rill.agent({ tools: {} }).session({ history: [] }).history).toEqual([])
      await session.run("second")
      expect(told(server.requests[0]!)).toContain("before")
      expect(told(server.requests[1]!)).not.toContain("before")
      expect(() => rill.agent({ tools: {} }).session({ history: [{ role: "nobody" } as never] })).toThrow(TypeError)
    }))

  it("keep messages of every kind", () =>
    withServer([answer("x")], async (rill) => {
      const options = { openai: { a: 1 } }
      const history: ReadonlyArray<Rill.Message> = [
        { role: "system", content: "Be brief.", options },
        {
          role: "user",
          content: [
            { type: "text", text: "see", options },
            { type: "file", mediaType: "image/png", fileName: "a.png", data: new Uint8Array([1]), options },
            { type: "file", mediaType: "image/png", data: new URL("https://example.com/b.png") }
          ],
          options
        },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", options },
            { type: "text", text: "a" },
            { type: "file", mediaType: "text/plain", data: "YQ==" },
            { type: "tool-call", id: "1", name: "it", params: { a: 1 }, options }
          ],
          options
        },
        {
          role: "tool",
          content: [{ type: "tool-result", id: "1", name: "it", isFailure: true, result: "no", options }],
          options
        }
      ]
      const session = rill.agent({ tools: {} }).session({ history })
      expect(session.history).toEqual(history)
      expect(session.history[0]).toBe(session.history[0])
    }))

  it("have one run at a time", () =>
    withServer([answer("b")], async (rill) => {
      const session = rill.agent({ tools: { weather } }).session()
      const iterator = session.stream("x")[Symbol.asyncIterator]()
      await iterator.next()
      const error = await rillError(session.run("y"))
      expect(error).toMatchObject({ reason: "SessionBusy", step: 0, isRetryable: false, phase: "request", emitted: 0 })
      await iterator.return?.()
      expect((await session.run("y")).content).toBe("b")
    }))
})

describe("errors", () => {
  const call = calls(["weather", { city: "Secret City" }])

  it("a limit", () =>
    withServer([call], async (rill) => {
      const error = await rillError(rill.agent({ tools: { weather }, maxSteps: 2 }).run("Private question"))
      expect(error).toMatchObject({
        reason: "LimitExceeded",
        limit: { which: "steps", value: 2 },
        provider: "agent",
        step: 2,
        usage: { inputTokens: 14, outputTokens: 6 },
        isRetryable: false
      })
      expect(error.message).toContain("maxSteps")
      expect(error.messages?.map(({ role }) => role)).toEqual(["user", "assistant", "tool", "assistant", "tool"])
      // What a log shows is nothing of the conversation.
      expect(JSON.stringify(error)).not.toMatch(/Secret|Private/)
      expect(Object.keys(error)).not.toContain("messages")
      expect(error.stack).toContain("agent.test.ts")
    }))

  it("a limit that is for an answer", () =>
    withServer([call, answer("So far.")], async (rill) => {
      const agent = rill.agent({ tools: { weather }, maxSteps: 1, onLimit: "answer" })
      expect(await agent.run("x")).toMatchObject({ content: "So far.", steps: 2 })
    }))

  it("a tool", () =>
    withServer([calls(["weather", { city: "Oslo" }, "id_1"])], async (rill) => {
      const boom = new Error("no such city")
      const tools = { weather: Rill.tool({ input: city, run: () => Promise.reject(boom) }) }
      const error = await rillError(collect(rill.agent({ tools, onToolError: "fail" }).stream("x")))
      expect(error).toMatchObject({
        reason: "ToolFailed",
        tool: { id: "id_1", name: "weather", failure: "handler" },
        step: 1
      })
      expect(error.cause).toBe(boom)
      const unknown = await rillError(rill.agent({ tools: {}, onToolError: "fail" }).run("x"))
      expect(unknown.tool).toEqual({ id: "id_1", name: "weather", failure: "unknown" })
      expect("cause" in unknown).toBe(false)
      const misfit = { weather: Rill.tool({ input: slowCount, jsonSchema: { type: "object" }, run: () => 0 }) }
      const bad = await rillError(rill.agent({ tools: misfit, onToolError: "fail" }).run("x"))
      expect(bad.tool?.failure).toBe("input")
      expect("cause" in bad).toBe(false)
    }))

  it("the model", () => {
    const errors: Array<Rill.RillError> = []
    return withServer(
      [call, ChatServer.failure(429, { "retry-after": "2" })],
      async (rill) => {
        const error = await rillError(rill.agent({ tools: { weather } }).run("x"))
        expect(error).toMatchObject({
          reason: "RateLimited",
          provider: "openai",
          status: 429,
          retryAfter: 2000,
          isRetryable: true,
          step: 2
        })
        expect(error.messages?.length).toBe(3)
        expect(errors.length).toBe(1)
        expect(error.cause).toBe(errors[0])
      },
      { callbacks: { onError: (error) => errors.push(error) } }
    )
  })

  it("the model, in the middle of a turn: what was used is of all turns", () =>
    withServer([call, [text("Half"), "end"]], async (rill) => {
      const error = await rillError(collect(rill.agent({ tools: { weather } }).stream("x")))
      assert.instanceOf(error.cause, Rill.RillError)
      expect(error).toMatchObject({ reason: "Truncated", phase: "mid-output", emitted: 4, step: 2 })
      const { inputTokens = 0, outputTokens = 0 } = error.cause.usage ?? {}
      expect(outputTokens).toBeGreaterThan(0)
      expect(error.usage).toMatchObject({ inputTokens: 7 + inputTokens, outputTokens: 3 + outputTokens })
    }))

  it("a text that cannot be read", () =>
    withServer([answer("Thought: hm\nAction: weather\nAction Input: {")], async (rill, server) => {
      const error = await rillError(rill.agent({ tools: { weather }, strategy: "react", maxRepairs: 1 }).run("x"))
      expect(error.reason).toBe("Unreadable")
      expect(server.requests.length).toBe(2)
    }))

  it("options that cannot be", () =>
    withServer([answer("x")], async (rill, server) => {
      const error = await rillError(rill.agent({ tools: { weather }, maxSteps: 0 }).run("x"))
      expect([error.reason, error.step]).toEqual(["InvalidRequest", 0])
      expect(error.message).toContain("maxSteps")
      expect(server.requests).toEqual([])
    }))
})

it("react: tools for models that can only write", () =>
  withServer(
    [answer('Thought: see\nAction: weather\nAction Input: {"city": " Oslo "}\n'), answer("Final Answer: Sunny.")],
    async (rill, server) => {
      const { content } = await rill.agent({ tools: { weather }, strategy: "react" }).run("x")
      expect(content).toBe("Sunny.")
      expect(server.requests[0]!.text).toContain("Tells the weather.")
      expect(server.requests[0]!.body["tools"]).toBeUndefined()
      expect(told(server.requests[1]!)).toContain("sunny")
    }
  ))
