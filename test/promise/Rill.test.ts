import { getEventListeners } from "node:events"
import * as Rill from "effect-rill/promise/Rill"
import { afterEach, assert, beforeEach, describe, expect, it, vi } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"

const { answer, failure, finish, gate, pause, refusal, text, done } = ChatServer

/** Runs a test against a server that plays a script, and a client of it. */
const withServer = async (
  script: ChatServer.Script,
  test: (rill: Rill.Rill, server: ChatServer.ChatServer) => Promise<void>,
  options: Rill.OpenAiOptions = {}
): Promise<void> => {
  await using server = await ChatServer.start(script)
  await using rill = Rill.fromOpenAi("gpt-test", {
    apiKey: "sk-secret-1",
    baseUrl: server.baseUrl,
    // What fails is to be seen as it is: policies have tests of their own.
    retries: false,
    ...options
  })
  await test(rill, server)
}

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const items: Array<A> = []
  for await (const item of iterable) items.push(item)
  return items
}

/** What a promise is rejected with. */
const rejection = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  assert.fail("it was not rejected")
}

const rillError = async (promise: Promise<unknown>): Promise<Rill.RillError> => {
  const error = await rejection(promise)
  assert.instanceOf(error, Rill.RillError)
  return error
}

/** Callbacks that write what they are told into a log. */
const recorder = () => {
  const log: Array<string> = []
  const ends: Array<Rill.End> = []
  const callbacks: Rill.Callbacks = {
    onStart: () => log.push("start"),
    onToken: (text) => log.push(`token ${text}`),
    onReasoning: (text) => log.push(`reasoning ${text}`),
    onError: (error) => log.push(`error ${error.reason}`),
    onEnd: (end) => {
      ends.push(end)
      log.push(`end ${end.status}`)
    }
  }
  return { log, ends, callbacks }
}

const held = [text("a"), text("b"), "hold"] as const

describe("run", () => {
  it("gives the whole answer as a plain object", () =>
    withServer([[ChatServer.reasoning("hm"), ...answer("Once", " upon")]], async (rill) => {
      const response = await rill.run("Hello")
      expect(response).toEqual({
        text: "Once upon",
        reasoning: "hm",
        toolCalls: [],
        sources: [],
        finishReason: "stop",
        rawReason: "completed",
        usage: {
          source: "exact",
          inputTokens: 7,
          outputTokens: 2,
          raw: { input_tokens: 7, output_tokens: 2, total_tokens: 9 }
        },
        id: "resp_1",
        provider: "openai",
        model: "gpt-test",
        message: {
          role: "assistant",
          content: [
            { type: "reasoning", text: "hm", options: { openai: { itemId: "item_0" } } },
            { type: "text", text: "Once upon" }
          ]
        }
      })
      // Plain all through: what JSON makes of it is the same.
      expect(JSON.parse(JSON.stringify(response))).toEqual(response)
    }))

  it("takes a string, messages, or a request, and an answer's message goes back", () =>
    withServer([answer("Hi")], async (rill, server) => {
      const first = await rill.run("Hello")
      const history: Array<Rill.Message> = [{ role: "user", content: "Hello" }, first.message]
      await rill.run([...history, { role: "user", content: [{ type: "text", text: "Again" }] }])
      await rill.run({
        prompt: "Hello",
        system: "Be brief.",
        model: "gpt-other",
        temperature: 0.5,
        maxTokens: 9,
        extra: { user: "u1" }
      })
      const [a, b, c] = server.requests
      expect(a!.body).toMatchObject({ model: "gpt-test", stream: true })
      expect(a!.messages).toEqual([{ role: "user", content: "Hello" }])
      expect(b!.messages).toEqual([
        { role: "user", content: "Hello" },
        { role: "assistant", content: "Hi" },
        { role: "user", content: "Again" }
      ])
      expect(c!.body).toMatchObject({ model: "gpt-other", temperature: 0.5, max_output_tokens: 9, user: "u1" })
      expect(c!.messages).toEqual([
        { role: "system", content: "Be brief." },
        { role: "user", content: "Hello" }
      ])
    }))

  it("speaks Responses, or chat completions if asked to", () =>
    withServer([answer("Hi")], async (rill, server) => {
      await using chat = Rill.fromOpenAi("gpt-test", { api: "chat", apiKey: "sk-1", baseUrl: server.baseUrl })
      expect((await chat.run({ prompt: "Hello", seed: 7 })).text).toBe("Hi")
      expect((await rill.run("Hello")).text).toBe("Hi")
      await expect(rill.run({ prompt: "Hello", seed: 7 })).rejects.toMatchObject({
        reason: "Unsupported",
        feature: "seed",
        message: expect.stringContaining('`api: "chat"`')
      })
      const options: Rill.OpenAiOptions = { api: "responses", apiKey: "sk-1", baseUrl: server.baseUrl }
      await using mistaken = Rill.fromOpenAi("gpt-test", Object.assign(options, { api: "completions" }))
      await expect(mistaken.run("Hello")).rejects.toMatchObject({
        reason: "InvalidRequest",
        message: expect.stringContaining('api must be "responses" or "chat", not "completions"')
      })
      expect(server.requests.map(({ path }) => path)).toEqual(["/v1/chat/completions", "/v1/responses"])
    }))

  it("several at once", () =>
    withServer(
      (request) => answer(String((request.messages as ReadonlyArray<{ content: string }>)[0]!.content)),
      async (rill) => {
        const names = Array.from({ length: 20 }, (_, i) => `call ${i}`)
        const responses = await Promise.all(names.map((name) => rill.run(name)))
        expect(responses.map(({ text }) => text)).toEqual(names)
      }
    ))
})

describe("stream", () => {
  it("gives text as it comes", async () => {
    const second = gate()
    await withServer([[text("a"), pause(second.opened), ...answer("b")]], async (rill) => {
      const iterator = rill.stream("x")[Symbol.asyncIterator]()
      expect(await iterator.next()).toEqual({ done: false, value: "a" })
      second.open()
      expect(await iterator.next()).toEqual({ done: false, value: "b" })
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
    })
  })

  it("asks when iterated, and once", () =>
    withServer([answer("a", "b")], async (rill, server) => {
      const controller = new AbortController()
      const stream = rill.stream("x", { signal: controller.signal })
      const unused = rill.stream("x", { signal: controller.signal })[Symbol.asyncIterator]()
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
      expect(await collect(stream)).toEqual(["a", "b"])
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
      expect(await rejection(collect(stream))).toEqual(
        new TypeError(
          "this answer has been read, or is being read: one answer is one run of the model. Ask again for another, or tee() the stream of toReadableStream()."
        )
      )
      expect(await collect(rill.stream("x"))).toEqual(["a", "b"])
      expect(server.requests.length).toBe(2)
      // One that never began ends without a request.
      expect(await unused.return?.()).toEqual({ done: true, value: undefined })
      expect(await unused.next()).toEqual({ done: true, value: undefined })
      expect(server.requests.length).toBe(2)
    }))

  it("several requests for the next piece are answered in their order", () =>
    withServer([[text("a"), text("b"), ...answer("c")]], async (rill) => {
      const iterator = rill.stream("x")[Symbol.asyncIterator]()
      const pieces = await Promise.all([1, 2, 3, 4, 5].map(() => iterator.next()))
      expect(pieces.map(({ value }) => value)).toEqual(["a", "b", "c", undefined, undefined])
    }))

  it("fails once, then is over", async () => {
    const read = gate()
    await withServer([[text("a"), pause(read.opened), "reset"]], async (rill) => {
      const iterator = rill.stream("x")[Symbol.asyncIterator]()
      expect(await iterator.next()).toEqual({ done: false, value: "a" })
      read.open()
      const error = await rillError(iterator.next())
      expect([error.reason, error.phase, error.emitted]).toEqual(["Disconnected", "mid-output", 1])
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
      expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
    })
  })
})

describe("events", () => {
  it("are plain objects", () =>
    withServer([answer("a")], async (rill) => {
      const events = await collect(rill.events("x"))
      expect(events.map(({ _tag }) => _tag)).toEqual(["Started", "TextDelta", "Finished"])
      expect(JSON.parse(JSON.stringify(events))).toEqual(events)
    }))

  it("a refusal is an event, where run and stream fail", () =>
    withServer([[refusal("I can"), refusal("not"), finish(), done]], async (rill) => {
      expect((await collect(rill.events("x"))).map(({ _tag }) => _tag)).toEqual([
        "Started",
        "Refusal",
        "Refusal",
        "Finished"
      ])
      for (const call of [rill.run("x"), collect(rill.stream("x"))]) {
        // oxlint-disable-next-line no-await-in-loop
        const error = await rillError(call)
        expect([error.reason, error.refusal]).toEqual(["ContentFiltered", "I cannot"])
      }
    }))
})

describe("leaving", () => {
  it("break closes the connection, once, before the loop is left", async () => {
    const { callbacks, ends, log } = recorder()
    await withServer(
      [held],
      async (rill, server) => {
        for await (const piece of rill.stream("x")) if (piece === "b") break
        // The end has been told, so nothing of the call is left here; the server hears of it soon.
        expect(log).toEqual(["start", "token a", "token b", "end stopped"])
        expect(await server.requests[0]!.ended).toBe("closed")
        expect(ends[0]!.usage).toEqual({ source: "estimated", inputTokens: 1, outputTokens: 1 })
      },
      { callbacks }
    )
  })

  it("an error in the loop closes it too", async () => {
    const { callbacks, log } = recorder()
    await withServer(
      [held],
      async (rill, server) => {
        const mine = new Error("mine")
        const loop = async () => {
          for await (const _ of rill.events("x")) throw mine
        }
        expect(await rejection(loop())).toBe(mine)
        expect(log.at(-1)).toBe("end stopped")
        expect(await server.requests[0]!.ended).toBe("closed")
      },
      { callbacks }
    )
  })

  it("while the next piece is waited for", () =>
    withServer([held], async (rill, server) => {
      const iterator = rill.stream("x")[Symbol.asyncIterator]()
      await iterator.next()
      await iterator.next()
      const pending = iterator.next()
      expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
      expect(await pending).toEqual({ done: true, value: undefined })
      expect(await server.requests[0]!.ended).toBe("closed")
    }))

  it("throw gives the error back when all is closed", () =>
    withServer([held], async (rill, server) => {
      const iterator = rill.stream("x")[Symbol.asyncIterator]()
      await iterator.next()
      const mine = new Error("mine")
      expect(await rejection(iterator.throw!(mine))).toBe(mine)
      expect(await server.requests[0]!.ended).toBe("closed")
    }))
})

describe("AbortSignal", () => {
  const reason = { why: "changed my mind" }

  it("given before: rejects with its reason, and nothing is asked", async () => {
    const { callbacks, log } = recorder()
    await withServer(
      [answer("a")],
      async (rill, server) => {
        const signal = AbortSignal.abort(reason)
        expect(await rejection(rill.run("x", { signal }))).toBe(reason)
        expect(await rejection(collect(rill.stream("x", { signal })))).toBe(reason)
        expect(await rejection(collect(rill.events("x", { signal })))).toBe(reason)
        expect(server.requests).toEqual([])
        expect(log).toEqual([])
      },
      { callbacks }
    )
  })

  it("while the head is waited for", () =>
    withServer([{ before: new Promise(() => {}) }], async (rill, server) => {
      const controller = new AbortController()
      const run = rejection(rill.run("x", { signal: controller.signal }))
      await server.request(0)
      controller.abort(reason)
      expect(await run).toBe(reason)
      expect(await server.requests[0]!.ended).toBe("closed")
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
    }))

  it("while the next piece is waited for", async () => {
    const { callbacks, log } = recorder()
    await withServer(
      [held],
      async (rill, server) => {
        const controller = new AbortController()
        const seen: Array<string> = []
        const loop = async () => {
          for await (const piece of rill.stream("x", { signal: controller.signal })) {
            seen.push(piece)
            if (seen.length === 2) setImmediate(() => controller.abort(reason))
          }
        }
        expect(await rejection(loop())).toBe(reason)
        expect(seen).toEqual(["a", "b"])
        expect(log.at(-1)).toBe("end stopped")
        expect(await server.requests[0]!.ended).toBe("closed")
      },
      { callbacks }
    )
  })

  it("between two pieces, what was read and not asked for is void", () =>
    withServer([[ChatServer.together(...answer("a", "b", "c"))]], async (rill) => {
      const controller = new AbortController()
      const iterator = rill.stream("x", { signal: controller.signal })[Symbol.asyncIterator]()
      await iterator.next()
      controller.abort()
      const [error] = await Promise.all([rejection(iterator.next()), iterator.next()])
      // The reason of an abort without one, as of fetch.
      expect(error).toBe(controller.signal.reason)
      expect((error as DOMException).name).toBe("AbortError")
      expect(await iterator.next()).toEqual({ done: true, value: undefined })
    }))

  it("after the end it means nothing", () =>
    withServer([answer("a")], async (rill) => {
      const controller = new AbortController()
      const { text } = await rill.run("x", { signal: controller.signal })
      controller.abort(reason)
      expect(text).toBe("a")
      expect(getEventListeners(controller.signal, "abort")).toEqual([])
    }))

  for (const name of ["onStart", "onToken"] as const) {
    it(`given by ${name}`, async () => {
      let controller = new AbortController()
      await withServer(
        [held],
        async (rill, server) => {
          // The second time all is built, and the call runs as it is made.
          for (let i = 0; i < 2; i++) {
            controller = new AbortController()
            // oxlint-disable-next-line no-await-in-loop
            expect(await rejection(rill.run("x", { signal: controller.signal }))).toBe(reason)
          }
          await server.quiet()
          expect(server.requests.length).toBe(name === "onStart" ? 0 : 2)
        },
        { callbacks: { [name]: () => controller.abort(reason) } }
      )
    })
  }
})

describe("RillError", () => {
  it("says what, where, and what to do", () =>
    withServer(
      [failure(429, { "retry-after-ms": "1500" }, { code: "rate_limit_exceeded", message: "slow down sk-secret-1" })],
      async (rill) => {
        const error = await rillError(rill.run("Hello"))
        expect({ ...error }).toEqual({
          reason: "RateLimited",
          provider: "openai",
          model: "gpt-test",
          phase: "headers",
          emitted: 0,
          requestId: "req_0",
          isRetryable: true,
          retryAfter: 1500,
          status: 429,
          code: "rate_limit_exceeded"
        })
        expect(error).toBeInstanceOf(Error)
        expect(error.name).toBe("RillError")
        expect(error.message).toContain("RateLimited: slow down")
        expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain("secret")
        // Where the call was made, not where a fiber happened to run.
        expect(error.stack!.split("\n")[1]).toContain("Rill.test.ts")
        expect(error.stack).not.toContain("promise/internal")
      }
    ))

  it("carries what was used and delivered", () =>
    withServer([[text("abcde"), "end"]], async (rill) => {
      const error = await rillError(rill.run("Hello"))
      expect([error.reason, error.phase, error.emitted]).toEqual(["Truncated", "mid-output", 5])
      expect(error.usage).toEqual({ source: "estimated", inputTokens: 2, outputTokens: 2 })
    }))

  it("of a request that is not valid, and of a server that is not there", async () => {
    await withServer([answer("a")], async (rill, server) => {
      expect((await rillError(rill.run({ prompt: "x", temperature: -1 }))).reason).toBe("InvalidRequest")
      expect((await rillError(rill.run([]))).reason).toBe("InvalidRequest")
      expect(server.requests).toEqual([])
    })
    const gone = await ChatServer.start([])
    await gone.stop()
    await using nobody = Rill.fromOpenAi("gpt-test", { apiKey: "k", baseUrl: gone.baseUrl })
    const error = await rillError(nobody.run("x"))
    expect([error.reason, error.code, error.phase]).toEqual(["Unreachable", "ECONNREFUSED", "request"])
  })
})

describe("callbacks", () => {
  it("in order, and the reader after them", async () => {
    const { callbacks, log } = recorder()
    await withServer(
      [[ChatServer.reasoning("hm"), ...answer("a", "b")]],
      async (rill) => {
        for await (const _ of rill.stream("x"));
        expect(log).toEqual(["start", "reasoning hm", "token a", "token b", "end complete"])
      },
      { callbacks }
    )
  })

  it("a promise is waited for", async () => {
    const log: Array<string> = []
    await withServer(
      [[ChatServer.together(...answer("a", "b"))]],
      async (rill) => {
        for await (const piece of rill.stream("x")) log.push(`read ${piece}`)
        expect(log).toEqual(["begin a", "finish a", "begin b", "finish b", "read a", "read b"])
      },
      {
        callbacks: {
          async onToken(text) {
            log.push(`begin ${text}`)
            await new Promise(setImmediate)
            log.push(`finish ${text}`)
          }
        }
      }
    )
  })

  it("keep their `this`", async () => {
    class Counter {
      count = 0
      onToken() {
        this.count++
      }
    }
    const callbacks = new Counter()
    await withServer([answer("a", "b")], async (rill) => void (await rill.run("x")), { callbacks })
    expect(callbacks.count).toBe(2)
  })

  it("are told of the error that the call throws", async () => {
    const { callbacks, ends, log } = recorder()
    let told: unknown
    await withServer(
      [failure(503), [refusal("no"), finish(), done]],
      async (rill) => {
        const error = await rillError(rill.run("x"))
        expect(told).toBe(error)
        expect(ends[0]).toMatchObject({ status: "failed", error })
        // A refusal fails the call, so it is told as a failure.
        const refused = await rillError(rill.run("x"))
        expect(told).toBe(refused)
        expect(log).toEqual(["start", "error Overloaded", "end failed", "start", "error ContentFiltered", "end failed"])
      },
      {
        callbacks: {
          ...callbacks,
          onError(error) {
            told = error
            return callbacks.onError?.(error)
          }
        }
      }
    )
  })

  for (const name of ["onStart", "onToken", "onReasoning", "onError", "onEnd"] as const) {
    for (const how of ["throws", "rejects"] as const) {
      it(`${name} that ${how} rejects the call with the same`, async () => {
        const thrown = { name, how }
        const { callbacks, ends } = recorder()
        const faulty: Rill.Callbacks = {
          ...callbacks,
          [name]: (told: unknown) => {
            if (name === "onEnd") ends.push(told as Rill.End)
            if (how === "throws") throw thrown
            return Promise.reject(thrown)
          }
        }
        const script = [ChatServer.reasoning("hm"), text("a"), ...(name === "onError" ? ["end" as const] : answer())]
        await withServer(
          [script],
          async (rill) => {
            expect(await rejection(rill.run("x"))).toBe(thrown)
            expect(await rejection(collect(rill.stream("x")))).toBe(thrown)
            expect(ends.length).toBe(2)
            const status = name === "onEnd" ? "complete" : "failed"
            expect(ends.map((end) => end.status)).toEqual([status, status])
          },
          { callbacks: faulty }
        )
      })
    }
  }

  it("onEnd that throws after break, and after abort, is heard", async () => {
    const thrown = new Error("at the end")
    const callbacks: Rill.Callbacks = {
      onEnd() {
        throw thrown
      }
    }
    await withServer(
      [held],
      async (rill) => {
        const loop = async () => {
          for await (const _ of rill.stream("x")) break
        }
        expect(await rejection(loop())).toBe(thrown)
        const controller = new AbortController()
        const iterator = rill.stream("x", { signal: controller.signal })[Symbol.asyncIterator]()
        await iterator.next()
        controller.abort()
        expect(await rejection(iterator.return!())).toBe(thrown)
      },
      { callbacks }
    )
  })
})

describe("close", () => {
  it("stops what runs; later calls are refused", async () => {
    const { callbacks, log } = recorder()
    await withServer(
      [held],
      async (rill, server) => {
        const run = rillError(rill.run("x"))
        const iterator = rill.stream("x")[Symbol.asyncIterator]()
        await iterator.next()
        await server.request(1)
        await rill.close()
        expect(log.filter((entry) => entry === "end stopped").length).toBe(2)
        await server.quiet()
        expect(server.requests.map(({ state }) => state)).toEqual(["closed", "closed"])
        expect((await run).reason).toBe("Closed")
        expect((await rillError(iterator.next())).reason).toBe("Closed")
        const later = await rillError(rill.run("x"))
        expect([later.reason, later.message]).toEqual(["Closed", "this client is closed. Make another one."])
        expect((await rillError(collect(rill.stream("x")))).reason).toBe("Closed")
        await rill.close()
        expect(server.requests.length).toBe(2)
      },
      { callbacks }
    )
  })

  it("await using", async () => {
    await using server = await ChatServer.start([held])
    let iterator: AsyncIterator<string>
    {
      await using rill = Rill.fromOpenAi("gpt-test", { baseUrl: server.baseUrl })
      iterator = rill.stream("x")[Symbol.asyncIterator]()
      await iterator.next()
    }
    expect(await server.requests[0]!.ended).toBe("closed")
    expect((await rillError(iterator.next())).reason).toBe("Closed")
  })

  it("waits for the callbacks that are told the end", async () => {
    const finish = gate()
    const log: Array<string> = []
    await withServer(
      [held],
      async (rill) => {
        const iterator = rill.stream("x")[Symbol.asyncIterator]()
        await iterator.next()
        const closed = rill.close().then(() => log.push("closed"))
        await new Promise(setImmediate)
        log.push("finish")
        finish.open()
        await closed
        expect(log).toEqual(["finish", "end", "closed"])
      },
      { callbacks: { onEnd: () => finish.opened.then(() => log.push("end")) } }
    )
  })

  it("a client that was never used", async () => {
    await Rill.fromOpenAi("gpt-test", { apiKey: "k" }).close()
  })
})

describe("options of fromOpenAi", () => {
  beforeEach(() => {
    for (const name of ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"]) vi.stubEnv(name, "")
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    vi.unstubAllGlobals()
  })

  it("from the environment", async () => {
    await using server = await ChatServer.start([answer("a")])
    vi.stubEnv("OPENAI_API_KEY", "sk-env")
    vi.stubEnv("OPENAI_BASE_URL", server.baseUrl)
    vi.stubEnv("OPENAI_ORG_ID", "org-env")
    vi.stubEnv("OPENAI_PROJECT_ID", "proj-env")
    await using rill = Rill.fromOpenAi("gpt-test")
    await rill.run("x")
    await using other = Rill.fromOpenAi("gpt-test", {
      apiKey: "sk-mine",
      organization: "org-mine",
      headers: { "x-a": "1" }
    })
    await other.run("x")
    const headers = server.requests.map((request) => request.headers)
    expect(headers[0]).toMatchObject({
      authorization: "Bearer sk-env",
      "openai-organization": "org-env",
      "openai-project": "proj-env"
    })
    expect(headers[1]).toMatchObject({
      authorization: "Bearer sk-mine",
      "openai-organization": "org-mine",
      "x-a": "1"
    })
  })

  it("without a key: an error at the first call, unless there is a base URL", async () => {
    const { callbacks, log } = recorder()
    const fetch = vi.fn<typeof globalThis.fetch>()
    await using rill = Rill.fromOpenAi("gpt-test", { callbacks, fetch })
    const error = await rillError(rill.run("x"))
    expect([error.reason, error.phase]).toEqual(["Authentication", "request"])
    expect(error.message).toContain("OPENAI_API_KEY")
    expect(fetch).not.toHaveBeenCalled()
    expect(log).toEqual(["start", "error Authentication", "end failed"])

    await using server = await ChatServer.start([answer("a")])
    await using local = Rill.fromOpenAi("gpt-test", { baseUrl: server.baseUrl })
    expect((await local.run("x")).text).toBe("a")
    expect(server.requests[0]!.headers).not.toHaveProperty("authorization")
  })

  it("where there is no process", async () => {
    vi.stubGlobal("process", undefined)
    const rill = Rill.fromOpenAi("gpt-test")
    const outcome = rejection(rill.run("x"))
    vi.unstubAllGlobals()
    expect(await outcome).toMatchObject({ reason: "Authentication" })
    await rill.close()
  })

  it("fetch, and a global one that is replaced later", () =>
    withServer([answer("a")], async (rill, server) => {
      await rill.run("x")
      const asked: Array<string> = []
      const spy: typeof globalThis.fetch = (input, init) => {
        asked.push(String(input))
        return realFetch(input, init)
      }
      const realFetch = globalThis.fetch
      await using own = Rill.fromOpenAi("gpt-test", { baseUrl: server.baseUrl, fetch: spy })
      await own.run("x")
      expect(asked.length).toBe(1)
      vi.stubGlobal("fetch", spy)
      await rill.run("x")
      expect(asked.length).toBe(2)
    }))
})

describe("stopping at random", () => {
  it("leaves no answer open, and tells every end once", async () => {
    const ends = new Map<string, number>()
    let seed = 20_250
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
      return seed % below
    }
    let begun = 0
    const callbacks: Rill.Callbacks = {
      onStart: () => void begun++,
      onEnd: ({ status }) => void ends.set(status, (ends.get(status) ?? 0) + 1)
    }
    const endless = function* (): Generator<ChatServer.Step> {
      while (true) {
        yield text("x")
        yield pause(0)
      }
    }
    await withServer(
      (request) => (request.index % 4 === 0 ? answer("a", "b", "c") : endless()),
      async (rill, server) => {
        const one = async (kind: number, at: number) => {
          const controller = new AbortController()
          const stop = () => controller.abort("stopped")
          if (kind === 0) {
            setTimeout(stop, at)
            await rill
              .run("x", { signal: controller.signal })
              .catch((error: unknown) => assert.strictEqual(error, "stopped"))
            return
          }
          let seen = 0
          try {
            for await (const _ of rill.stream("x", { signal: controller.signal })) {
              if (++seen < at) continue
              if (kind === 1) break
              stop()
            }
          } catch (error) {
            assert.strictEqual(error, "stopped")
          }
        }
        for (let round = 0; round < 10; round++) {
          // Ten at a time.
          // oxlint-disable-next-line no-await-in-loop
          await Promise.all(Array.from({ length: 10 }, () => one(random(3), 1 + random(5))))
        }
        await server.quiet()
        expect(server.openAnswers()).toBe(0)
        expect([...ends.values()].reduce((a, b) => a + b, 0)).toBe(begun)
        expect(ends.get("failed")).toBeUndefined()
        expect(ends.get("stopped")).toBeGreaterThan(50)
      },
      { callbacks }
    )
  })
})
