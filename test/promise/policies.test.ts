/** Deadlines, retries and fallbacks of clients and of calls, over real sockets. */
import * as Rill from "effect-rill/promise/Rill"
import { afterEach, assert, describe, expect, it, vi } from "vitest"
import { make } from "../../src/promise/internal/client.ts"
import * as ChatServer from "../support/ChatServer.ts"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Deadlines from "effect-rill/policy/Deadlines"
import { finished } from "../support/scriptedLlm.ts"

const { answer, failure, text } = ChatServer

/** A failure that may pass at once. */
const busy = (error: Readonly<Record<string, unknown>> = {}) => failure(503, { "retry-after-ms": "1" }, error)

const client = (server: ChatServer.ChatServer, options: Rill.OpenAiOptions = {}) =>
  Rill.fromOpenAi("gpt-test", { apiKey: "sk-1", baseUrl: server.baseUrl, ...options })

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

afterEach(() => vi.unstubAllEnvs())

describe("retries", () => {
  it("3 tries in all by default, told by onRetry and as events; onEnd once", async () => {
    await using server = await ChatServer.start([busy(), busy(), answer("a"), busy()])
    const log: Array<string> = []
    await using rill = client(server, {
      callbacks: {
        onStart: () => log.push("start"),
        onRetry: (event) => log.push(event._tag === "AttemptFailed" ? `retry ${event.attempt}` : event._tag),
        onError: ({ reason }) => log.push(reason),
        onEnd: ({ status }) => log.push(status)
      }
    })
    expect(await collect(rill.stream("x"))).toEqual(["a"])
    expect(log).toEqual(["start", "retry 1", "retry 2", "complete"])
    expect((await rillError(rill.run("x"))).reason).toBe("Overloaded")
    expect(log.slice(4)).toEqual(["start", "retry 1", "retry 2", "Overloaded", "failed"])
    expect(server.requests.length).toBe(6)
  })

  it("the default waits are about half a second and one", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] })
    try {
      const begun: Array<number> = []
      await using rill = Rill.fromOpenAi("m", {
        apiKey: "k",
        fetch: () => {
          begun.push(performance.now())
          return Promise.resolve(new Response("{}", { status: 503 }))
        }
      })
      const error = rillError(rill.run("x"))
      await vi.advanceTimersByTimeAsync(5000)
      expect((await error).reason).toBe("Overloaded")
      const [first = 0, second = 0, third = 0] = begun
      expect(begun.length).toBe(3)
      expect([second - first >= 400, second - first <= 601]).toEqual([true, true])
      expect([third - second >= 800, third - second <= 1201]).toEqual([true, true])
    } finally {
      vi.useRealTimers()
    }
  })

  const tries: ReadonlyArray<
    readonly [of: Rill.Retries | undefined, call: Rill.Retries | undefined, requests: number]
  > = [
    [false, undefined, 1],
    [0, undefined, 1],
    [1, undefined, 2],
    [4, undefined, 5],
    [{ times: 3 }, undefined, 4],
    [{}, undefined, 3],
    [false, 1, 2],
    [1, false, 1],
    [4, { afterOutput: "continue" }, 5],
    [undefined, 0, 1]
  ]
  it.each(tries)("of the client %j, of the call %j: %i requests", async (retries, asked, requests) => {
    await using server = await ChatServer.start([busy()])
    await using rill = client(server, { retries })
    for (const call of [
      () => rill.run("x", { retries: asked }),
      () => collect(rill.stream("x", { retries: asked })),
      () => rill.agent({ tools: {} }).run("x", { retries: asked }),
      async () => {
        const response = await rill.events("x", { retries: asked }).toResponse()
        expect(response.status).toBe(503)
        throw new Rill.RillError("", {
          reason: "Overloaded",
          provider: "",
          phase: "headers",
          emitted: 0,
          isRetryable: true
        })
      }
    ]) {
      const before = server.requests.length
      // oxlint-disable-next-line no-await-in-loop
      expect((await rillError(call())).reason).toBe("Overloaded")
      expect(server.requests.length - before).toBe(requests)
    }
  })

  it("what cannot succeed is not tried again, nor what asks for too long a wait", async () => {
    await using server = await ChatServer.start([
      failure(401),
      failure(429, { "retry-after": "31" }),
      failure(429, { "retry-after": "2" })
    ])
    await using rill = client(server, {})
    expect((await rillError(rill.run("x"))).reason).toBe("Authentication")
    expect((await rillError(rill.run("x"))).retryAfter).toBe(31_000)
    expect((await rillError(rill.run("x", { retries: { maxDelay: "1 second" } }))).retryAfter).toBe(2000)
    expect(server.requests.length).toBe(3)
  })

  it("after output: fail, continue, restart", async () => {
    const cut = [text("Once upon a time there was a brook "), "end"] as const
    const script: ChatServer.Script = ({ index }) =>
      index % 2 === 0 ? [...cut] : answer("Once upon a time there was a brook ", "that ran.")
    await using server = await ChatServer.start(script)
    await using rill = client(server)
    expect((await rillError(rill.run("x"))).reason).toBe("Truncated")
    expect(server.requests.length).toBe(1)
    await rill.run("x", { retries: false })
    const whole = "Once upon a time there was a brook that ran."
    const goingOn = await collect(rill.stream("x", { retries: { times: 1, afterOutput: "continue", maxDelay: 1 } }))
    expect(goingOn.join("")).toBe(whole)
    expect((await rill.run("x", { retries: { times: 1, afterOutput: "restart", maxDelay: 1 } })).text).toBe(whole)
    const events = await collect(rill.events("x", { retries: { times: 1, afterOutput: "restart", maxDelay: 1 } }))
    const restarted = events.find((event) => event._tag === "Restarted")
    expect(restarted?.error).toBeInstanceOf(Rill.RillError)
  })

  it.each([
    [-1, "`retries` must be a whole number"],
    [1.5, "`retries` must be a whole number"],
    [Number.NaN, "`retries` must be a whole number"],
    [{ times: Infinity }, "`retries` must be a whole number"],
    [{ maxDelay: "soon" }, "`maxDelay` is no duration"],
    [{ maxDelay: Number.NaN }, "`maxDelay` is no duration"],
    [{ afterOutput: "again" }, "`afterOutput` must be"]
  ])("%j is refused", async (given, message) => {
    await using server = await ChatServer.start([answer("a")])
    const retries = given as Rill.Retries
    await using rill = client(server, { retries })
    await using other = client(server)
    for (const call of [rill.run("x"), other.run("x", { retries })]) {
      // oxlint-disable-next-line no-await-in-loop
      const error = await rillError(call)
      expect(error.reason).toBe("InvalidRequest")
      expect(error.message).toContain(message)
    }
    expect(server.requests).toEqual([])
  })
})

describe("timeout", () => {
  /** A model that tells which deadlines it is asked under. */
  const asked = async (of: Rill.Timeout | undefined, call: Rill.Timeout | undefined) => {
    const seen: Array<object> = []
    const llm = {
      events: () =>
        Stream.unwrap(
          Effect.map(Deadlines.Deadlines, (options) => {
            seen.push(options)
            return Stream.succeed(finished)
          })
        )
    }
    await using rill = make({ name: "test", llm: Effect.succeed(llm) }, { timeout: of })
    await rill.run("x", { timeout: call })
    await collect(rill.events("x", { timeout: call }))
    await (await rill.events("x", { timeout: call }).toResponse()).text()
    expect(seen[1]).toEqual(seen[0])
    expect(seen[2]).toEqual(seen[0])
    return seen[0]
  }

  it("a number or a duration is for the whole answer; each part by itself, the call's before the client's", async () => {
    expect(await asked(undefined, undefined)).toEqual({})
    expect(await asked(5000, undefined)).toEqual({ total: 5000 })
    expect(await asked("5 seconds", undefined)).toEqual({ total: "5 seconds" })
    expect(await asked(5000, 1000)).toEqual({ total: 1000 })
    expect(await asked({ idle: 1, firstToken: 2 }, { idle: "3 minutes" })).toEqual({ idle: "3 minutes", firstToken: 2 })
    expect(await asked({ idle: 1 }, 7)).toEqual({ idle: 1, total: 7 })
  })

  it("closes the connection, says which, and is over all tries", async () => {
    await using server = await ChatServer.start([{ before: new Promise(() => {}) }])
    await using rill = client(server, { timeout: { headers: 20 }, retries: false })
    const headers = await rillError(rill.run("x"))
    expect([headers.reason, headers.deadline]).toEqual(["DeadlineExceeded", "headers"])
    const first = await rillError(rill.run("x", { timeout: { headers: "Infinity", firstToken: 20 } }))
    expect(first.deadline).toBe("first-token")
    expect(await server.requests[0]!.ended).toBe("closed")
    expect(await server.requests[1]!.ended).toBe("closed")
    const total = await rillError(
      rill.run("x", { timeout: { headers: 20, total: 250 }, retries: { times: 50, maxDelay: 1 } })
    )
    // One that would begin too late is not begun: then it is the last one's own.
    expect(["total", "headers"]).toContain(total.deadline)
    expect(server.requests.length).toBeGreaterThan(3)
  })

  it("between tokens, but not while the reader takes its time", async () => {
    await using server = await ChatServer.start([[text("a"), "hold"], answer("a", "b")])
    await using rill = client(server, { timeout: { idle: 30 }, retries: false })
    const idle = await rillError(collect(rill.stream("x")))
    expect([idle.deadline, idle.emitted]).toEqual(["idle", 1])
    const stream = rill.stream("x")[Symbol.asyncIterator]()
    await stream.next()
    // The reader's own time, of real clocks: longer than the deadline, which does not count it.
    await new Promise((resolve) => setTimeout(resolve, 80))
    expect(await stream.next()).toMatchObject({ done: false })
  })

  it("what is no duration is refused", async () => {
    await using server = await ChatServer.start([answer("a")])
    const soon: unknown = "soon"
    await using rill = client(server, { timeout: soon as Rill.Duration })
    const error = await rillError(rill.run("x"))
    expect(error.reason).toBe("InvalidRequest")
    expect(error.message).toContain("the deadline `total` is no duration")
    expect(server.requests).toEqual([])
  })
})

describe("fallback", () => {
  it("by name, and of clients with their own options; told by onSwitch", async () => {
    await using first = await ChatServer.start([failure(401)])
    await using second = await ChatServer.start([failure(403)])
    await using third = await ChatServer.start([answer("c")])
    vi.stubEnv("OPENAI_API_KEY", "sk-env")
    vi.stubEnv("OPENAI_BASE_URL", second.baseUrl)
    const told: Array<string> = []
    const others: Array<string> = []
    await using own = Rill.fromOpenAiCompatible("m3", {
      baseUrl: third.baseUrl,
      name: "own",
      apiKey: "sk-own",
      callbacks: { onStart: () => others.push("start") }
    })
    await using rill = client(first, {
      fallback: ["openai/gpt-other", own],
      headers: { "x-mine": "1" },
      callbacks: {
        onSwitch: ({ error, from, to }) => told.push(`${from} > ${to}: ${error.reason}`),
        onEnd: ({ status }) => told.push(status)
      }
    })
    const response = await rill.run({ prompt: "x", model: "gpt-asked", extra: { mine: true } })
    expect([response.text, response.provider]).toEqual(["c", "own"])
    expect(told).toEqual([
      "openai/gpt-asked > openai/gpt-other: Authentication",
      "openai/gpt-other > own/m3: PermissionDenied",
      "complete"
    ])
    expect(others).toEqual([])
    const [a, b, c] = [first.requests[0]!, second.requests[0]!, third.requests[0]!]
    expect([a.body["model"], b.body["model"], c.body["model"]]).toEqual(["gpt-asked", "gpt-other", "m3"])
    expect(b.body).not.toHaveProperty("mine")
    expect([a, b, c].map(({ headers }) => headers["x-mine"])).toEqual(["1", undefined, undefined])
    expect([a, b, c].map(({ headers }) => headers.authorization)).toEqual([
      "Bearer sk-1",
      "Bearer sk-env",
      "Bearer sk-own"
    ])
    // Its own close is its own.
    await own.close()
    expect((await rill.run("x")).text).toBe("c")
  })

  it("each is tried again by itself, as its client says; the last error names the others", async () => {
    await using first = await ChatServer.start([busy()])
    await using second = await ChatServer.start([busy()])
    await using other = client(second, { retries: false })
    await using rill = client(first, { retries: 1, fallback: [other] })
    const error = await rillError(rill.run("x"))
    expect([first.requests.length, second.requests.length]).toEqual([2, 1])
    expect(error.failedBefore).toEqual(["openai/gpt-test: Overloaded"])
    vi.stubEnv("OPENAI_API_KEY", "sk-env")
    vi.stubEnv("OPENAI_BASE_URL", second.baseUrl)
    await using named = client(first, { retries: 1, fallback: ["openai/gpt-other"] })
    await rillError(named.run("x"))
    expect([first.requests.length, second.requests.length]).toEqual([4, 3])
    // A call says it for all.
    await rillError(rill.run("x", { retries: 2 }))
    expect([first.requests.length, second.requests.length]).toEqual([7, 6])
  })

  it("after output as the retries say, and not after a refusal or a request that cannot be", async () => {
    await using first = await ChatServer.start([[text("a"), "end"], failure(400)])
    await using second = await ChatServer.start([answer("b")])
    await using other = client(second)
    await using rill = client(first, { retries: { times: 0, afterOutput: "restart" }, fallback: [other] })
    expect((await rill.run("x")).text).toBe("b")
    expect((await rillError(rill.run("x"))).reason).toBe("InvalidRequest")
    expect(second.requests.length).toBe(1)
  })

  it("what is no model is refused when the client is made", () => {
    const options: Rill.OpenAiOptions = { apiKey: "k" }
    for (const wrong of [{}, null, 7]) {
      const given = Object.assign({ fallback: ["openai/gpt-other", wrong] }, options) as Rill.OpenAiOptions
      expect(() => Rill.fromOpenAi("m", given)).toThrow(
        new TypeError('fallback[1] must be "provider/model", or a client of Rill.')
      )
    }
    expect(() => Rill.fromOpenAi("m", { fallback: ["nobody/m"] })).toThrow(/does not begin with a provider/)
  })
})
