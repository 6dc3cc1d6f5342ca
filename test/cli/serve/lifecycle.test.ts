/** From the port to the exit code: where `rill serve` listens, whom it lets in, what it logs, and how it ends. */
import { once } from "node:events"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import OpenAI from "openai"
import { describe, expect, it } from "vitest"
import { WebSocket } from "ws"
import * as Listening from "../../../src/cli/serve/Listening.ts"
import { rill } from "../Rill.ts"
import * as Server from "../Server.ts"
import * as HttpApp from "../../support/HttpApp.ts"
import * as Serving from "./Serving.ts"

/** A process takes most of a second to start, and several start at once. */
const patient = { timeout: 60_000 }

const key = "sk-test-NEVER-TO-BE-SEEN"
const asking = (server: Server.Server) => ({ OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: key })
const model = ["--model", "openai/test", "--api", "chat"]

const get = (url: string, headers: Record<string, string> = {}, method = "GET") => fetch(url, { headers, method })

describe.concurrent("where it listens", patient, () => {
  it("a port that is taken is an error that says what to do", async () => {
    const taken = Net.createServer().listen(0, "127.0.0.1")
    await once(taken, "listening")
    const { port } = taken.address() as Net.AddressInfo
    const { code, stderr, stdout } = await rill(["serve", "-m", "offline", "--port", String(port)])
    taken.close()
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(new RegExp(`^rill: port ${port} of 127.0.0.1 is taken.*--port ${port + 1}.*--port 0.*\\n$`))
  })

  it("a host that is not this machine's is one too", async () => {
    const { code, stderr } = await rill(["serve", "-m", "offline", "--host", "192.0.2.1", "--port", "0"])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^rill: --host 192\.0\.2\.1 is no address of this machine\./)
  })

  it.each([
    [["--port", "65536"], /port from 0 to 65535/],
    [["--max-body", "0"], /from 1 to 1024/],
    [["--origin", "example.com"], /an origin is a scheme/],
    [["--origin", "*"], /an origin is a scheme/],
    [["--model", "nix/nix"], /there is no provider nix/],
    [["--nix"], /there is no flag --nix/]
  ])("%j is a usage error", async (args, message) => {
    const { code, stderr, stdout } = await rill(["serve", ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toMatch(message)
  })

  it("the word is a subcommand where flags or nothing come after it, and else a word", async () => {
    const asked = await rill(["-m", "offline", "--max-tokens", "2", "--", "serve"])
    expect(asked.code).toBe(0)
    const prompt = await rill(["serve", "tea", "--max-tokens", "2", "--model", "offline", "--usage"])
    expect(prompt).toMatchObject({ code: 0, stderr: expect.stringContaining("2 input + 2 output") })
    expect(await rill(["server"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("did you mean rill serve?")
    })
    expect((await rill(["serve", "--help"])).stdout).toContain("--max-body")
  })

  it("on all interfaces it says who may ask, and answers to any host", async () => {
    await using serving = await Serving.start(["--model", "offline", "--host", "0.0.0.0"])
    expect(serving.url).toBe(`http://127.0.0.1:${serving.port}`)
    expect(serving.stderr()).toMatch(/whoever reaches port \d+ of this machine may ask the model, and you pay\./)
    const { closed } = await Serving.connect(
      serving.port,
      "GET /health HTTP/1.1\r\nhost: my-machine.example\r\nconnection: close\r\n\r\n"
    )
    expect(Serving.parse(await closed).status).toBe(200)
  })

  it("on IPv6 too", async () => {
    await using serving = await Serving.start(["--model", "offline", "--host", "::1"])
    expect(serving.url).toBe(`http://[::1]:${serving.port}`)
    expect((await get(`${serving.url}/health`)).status).toBe(200)
  })
})

describe.concurrent("whom it lets in", patient, () => {
  it("pages of its own and of allowed origins, and no others, on every route", async () => {
    const friend = "http://localhost:3000"
    await using serving = await Serving.start([
      "--model",
      "offline",
      "--origin",
      friend,
      "--origin",
      "https://a.example"
    ])
    const paths = [
      "/",
      "/health",
      "/nix",
      "/text?prompt=Hi",
      "/sse?prompt=Hi",
      "/ndjson?prompt=Hi",
      "/v1/models",
      "/ws"
    ]
    for (const path of paths) {
      for (const origin of ["http://evil.example", "http://localhost:3001", "https://localhost:3000", "null", "x"]) {
        for (const method of ["GET", "POST", "OPTIONS"]) {
          const response = await get(serving.url + path, { origin, "access-control-request-method": "POST" }, method)
          expect({ origin, path, status: response.status }).toEqual({ origin, path, status: 403 })
          expect(response.headers.get("access-control-allow-origin")).toBeNull()
          if (method === "GET")
            expect(await response.json()).toMatchObject({ error: { message: expect.stringContaining("--origin") } })
        }
      }
      // An image, a link, a script: no Origin is sent with them.
      for (const site of ["cross-site", "same-site"]) {
        expect((await get(serving.url + path, { "sec-fetch-site": site })).status).toBe(403)
      }
    }
    for (const headers of [
      {},
      { origin: serving.url },
      { "sec-fetch-site": "none" },
      { "sec-fetch-site": "same-origin" }
    ]) {
      expect((await get(`${serving.url}/health`, headers)).status).toBe(200)
    }
    const allowed = await get(`${serving.url}/health`, { origin: friend, "sec-fetch-site": "same-site" })
    expect(allowed.status).toBe(200)
    expect(allowed.headers.get("access-control-allow-origin")).toBe(friend)
    expect(allowed.headers.get("vary")).toBe("Origin")
    // It may read why it is refused, too.
    expect((await get(`${serving.url}/nix`, { origin: friend })).headers.get("access-control-allow-origin")).toBe(
      friend
    )
    const preflight = await get(
      `${serving.url}/v1/chat/completions`,
      {
        origin: friend,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type"
      },
      "OPTIONS"
    )
    expect(preflight.status).toBe(204)
    expect(Object.fromEntries(preflight.headers)).toMatchObject({
      "access-control-allow-origin": friend,
      "access-control-allow-methods": "POST, OPTIONS",
      "access-control-allow-headers": "authorization,content-type"
    })
    const browser = new OpenAI({
      apiKey: key,
      baseURL: `${serving.url}/v1`,
      defaultHeaders: { origin: friend },
      dangerouslyAllowBrowser: true
    })
    const told = await browser.chat.completions.create({
      model: "x",
      max_tokens: 2,
      messages: [{ role: "user", content: "Hi" }]
    })
    expect(told.choices[0]!.finish_reason).toBe("length")
    for (const [origin, isIn] of [
      ["http://evil.example", false],
      [friend, true],
      [serving.url, true]
    ] as const) {
      const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`, { origin })
      const [response] = await Promise.race([
        once(socket, "open").then(() => [undefined]),
        once(socket, "unexpected-response").then(([, response]) => [response])
      ])
      expect(response?.statusCode).toBe(isIn ? undefined : 403)
      socket.on("error", () => {})
      socket.terminate()
    }
  })

  it("hosts that mean this machine, where only this machine can connect", async () => {
    await using serving = await Serving.start(["--model", "offline"])
    const status = async (host: string) => {
      const { closed } = await Serving.connect(
        serving.port,
        `GET /health HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`
      )
      return Serving.parse(await closed).status
    }
    for (const host of [
      "localhost",
      "LOCALHOST:80",
      "127.0.0.1",
      "127.1.2.3:9",
      "[::1]:1",
      `127.0.0.1:${serving.port}`
    ]) {
      expect([host, await status(host)]).toEqual([host, 200])
    }
    for (const host of [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "192.168.0.1",
      "[::2]",
      "",
      "a b",
      "evil.example/localhost",
      "localhost@evil.example"
    ]) {
      expect([host, await status(host)]).toEqual([host, 403])
    }
    // Rebound, a page is of the same origin as the server.
    const rebound = await Serving.connect(
      serving.port,
      "POST /text HTTP/1.1\r\nhost: evil.example\r\norigin: http://evil.example\r\ncontent-length: 15\r\nconnection: close\r\n\r\n" +
        '{"prompt":"Hi"}'
    )
    expect(Serving.parse(await rebound.closed)).toMatchObject({
      status: 403,
      json: { error: { reason: "ForeignHost" } }
    })
  })
})

describe.concurrent("what the model is asked, and what of it is logged", patient, () => {
  it("what the client may set, and nothing else; no prompt and no key", async () => {
    await using server = await Server.start(Server.answer("Hel", "lo"))
    await using serving = await Serving.start([...model, "--system", "Be brief"], asking(server))
    const completion = await fetch(`${serving.url}/v1/chat/completions?key=QUERY-SECRET`, {
      method: "POST",
      headers: { authorization: "Bearer client-SECRET", "x-extra": "1" },
      body: JSON.stringify({
        model: "gpt-5",
        messages: [
          { role: "system", content: "In French" },
          {
            role: "user",
            content: [
              { type: "text", text: "PROMPT-SECRET" },
              { type: "image_url", image_url: { url: "data:image/png;base64,AAEC" } }
            ]
          }
        ],
        temperature: 0.5,
        top_p: 0.25,
        max_tokens: 9,
        stop: ["x", "y"],
        seed: 7,
        frequency_penalty: 1,
        presence_penalty: -1,
        reasoning_effort: "low",
        response_format: { type: "json_schema", json_schema: { name: "a", schema: { type: "object" } } },
        extra: { leak: true },
        extra_body: { leak: true },
        tools: [],
        logit_bias: null,
        metadata: { leak: true }
      })
    })
    expect(await completion.json()).toMatchObject({
      model: "openai/test",
      usage: { total_tokens: 5 },
      choices: [{ message: { content: "Hello" } }]
    })
    const [{ body, headers }] = server.seen as [Server.Seen]
    expect(body).toMatchObject({
      model: "test",
      messages: [
        { role: "system", content: "Be brief" },
        { role: "system", content: "In French" },
        {
          role: "user",
          content: [{ text: "PROMPT-SECRET" }, { type: "image_url", image_url: { url: "data:image/png;base64,AAEC" } }]
        }
      ],
      temperature: 0.5,
      top_p: 0.25,
      stop: ["x", "y"],
      seed: 7,
      frequency_penalty: 1,
      presence_penalty: -1,
      reasoning_effort: "low",
      response_format: { type: "json_schema", json_schema: { name: "a", schema: { type: "object" } } }
    })
    expect(body["max_completion_tokens"] ?? body["max_tokens"]).toBe(9)
    expect(JSON.stringify(body)).not.toContain("leak")
    expect(headers).toMatchObject({ authorization: `Bearer ${key}` })
    expect(headers).not.toHaveProperty("x-extra")
    await get(`${serving.url}/text?prompt=PROMPT-SECRET`)
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    socket.send(
      JSON.stringify({ type: "prompt", id: "1", prompt: "PROMPT-SECRET", temperature: 2, extra: { leak: true } })
    )
    await new Promise<void>((resolve) => socket.on("message", (data) => String(data).includes('"done"') && resolve()))
    socket.close()
    await HttpApp.until("the connection is logged", () => serving.stderr().includes("/ws"), 20)
    const log = serving.stderr()
    expect(log.split("\n")).toEqual([
      expect.stringMatching(/^rill: POST \/v1\/chat\/completions 200 \d+ ms, 3 input \+ 2 output tokens$/),
      expect.stringMatching(/^rill: GET \/text 200 \d+ ms, 3 input \+ 2 output tokens$/),
      expect.stringMatching(/^rill: GET \/ws 101 \d+ ms, 3 input \+ 2 output tokens$/),
      ""
    ])
    for (const { body } of server.seen) {
      expect(JSON.stringify(body)).toContain("Be brief")
      expect(JSON.stringify(body)).not.toContain("leak")
    }
  })

  it("a model that fails is told as the route has it, and logged by its reason", async () => {
    await using server = await Server.start(Server.failure(429, "slow down", { "retry-after": "7" }))
    await using serving = await Serving.start(model, asking(server))
    for (const path of ["text", "sse", "events", "ndjson"]) {
      const response = await get(`${serving.url}/${path}?prompt=Hi`)
      expect(response.status).toBe(429)
      expect(response.headers.get("retry-after")).toBe("7")
      expect(await response.json()).toMatchObject({ error: { reason: "RateLimited", isRetryable: true } })
    }
    const client = new OpenAI({ apiKey: "x", baseURL: `${serving.url}/v1`, maxRetries: 0 })
    for (const stream of [true, false]) {
      const asked = client.chat.completions.create({ model: "x", stream, messages: [{ role: "user", content: "Hi" }] })
      const error: unknown = await asked.then(
        () => undefined,
        (error: unknown) => error
      )
      expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" })
      expect((error as InstanceType<typeof OpenAI.APIError>).headers!.get("retry-after")).toBe("7")
    }
    await HttpApp.until(
      "six lines",
      () => serving.stderr().match(/ 429 \d+ ms, .*failed: RateLimited\n/g)?.length === 6,
      20
    )
    expect(serving.stderr()).not.toContain(key)
  })

  it("an answer that breaks is never whole, on any route", async () => {
    await using server = await Server.start(Server.cut("one ", "two "))
    await using serving = await Serving.start(model, asking(server))
    await expect(get(`${serving.url}/text?prompt=Hi`).then((response) => response.text())).rejects.toThrow()
    for (const path of ["sse", "events", "ndjson"]) {
      const text = await (await get(`${serving.url}/${path}?prompt=Hi`)).text()
      expect(text).toContain('"_tag":"Failed"')
      expect(text).not.toContain("[DONE]")
    }
    const whole = await fetch(`${serving.url}/v1/chat/completions`, {
      method: "POST",
      body: '{"messages":[{"role":"user","content":"Hi"}]}'
    })
    expect(whole.status).toBe(502)
    await HttpApp.until(
      "five lines",
      () => serving.stderr().match(/failed: (Disconnected|Truncated)/g)?.length === 5,
      20
    )
  })

  it("--quiet logs no request", async () => {
    await using serving = await Serving.start(["--model", "offline", "--quiet"])
    await get(`${serving.url}/health`)
    const { closed } = await Serving.connect(serving.port, "x\r\n\r\n")
    await closed
    expect(serving.stderr()).toMatch(/^rill: this is the offline model\.[^\n]*\n$/)
  })

  it("--max-body lets larger ones in", async () => {
    await using server = await Server.start(Server.answer("ok"))
    await using serving = await Serving.start([...model, "--max-body", "3"], asking(server))
    const ask = (size: number) =>
      fetch(`${serving.url}/text`, { method: "POST", body: JSON.stringify({ prompt: "x".repeat(size) }) })
    expect((await ask(2 * 2 ** 20)).status).toBe(200)
    expect((await ask(3 * 2 ** 20)).status).toBe(413)
  })
})

describe.concurrent("clients that leave, or do not read", patient, () => {
  it("the model is interrupted, on every route", async () => {
    await using server = await Server.start(Server.hold("one "))
    await using serving = await Serving.start(model, asking(server))
    const bodies: Record<string, string> = {
      "/v1/chat/completions": '{"stream":true,"messages":[{"role":"user","content":"Hi"}]}',
      "/api/chat": '{"messages":[{"role":"user","parts":[{"type":"text","text":"Hi"}]}]}'
    }
    for (const path of ["/text", "/sse", "/events", "/ndjson", "/v1/chat/completions", "/api/chat"]) {
      const abort = new AbortController()
      const response = await fetch(serving.url + path, {
        method: "POST",
        body: bodies[path] ?? '{"prompt":"Hi"}',
        signal: abort.signal
      })
      await response.body!.getReader().read()
      abort.abort()
      expect(await server.seen.at(-1)!.closed).toBe("by the client")
    }
    // The whole answer is awaited: nothing has been sent yet.
    const abort = new AbortController()
    const seen = server.seen.length
    const whole = fetch(`${serving.url}/v1/chat/completions`, {
      method: "POST",
      body: '{"messages":[{"role":"user","content":"Hi"}]}',
      signal: abort.signal
    })
    await HttpApp.until("the model is asked", () => server.seen.length === seen + 1, 20)
    abort.abort()
    await expect(whole).rejects.toThrow()
    expect(await server.seen.at(-1)!.closed).toBe("by the client")
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    socket.send('{"type":"prompt","id":"1","prompt":"Hi"}')
    await once(socket, "message")
    socket.terminate()
    await HttpApp.until("the model is asked", () => server.seen.length === seen + 2, 20)
    expect(await server.seen.at(-1)!.closed).toBe("by the client")
    await HttpApp.until("seven lines", () => serving.stderr().split("the client left").length > 7, 20)
  })

  it("who does not read stops the model and nobody else", async () => {
    let written = 0
    await using server = await Server.start(async (response, seen) => {
      if (seen.prompt === "short") return Server.answer("ok")(response, seen)
      Server.head(response)
      const chunk = `data: ${JSON.stringify({ id: "a", model: "m", choices: [{ index: 0, delta: { content: "word ".repeat(2000) } }] })}\n\n`
      while (!response.destroyed) {
        const more = response.write(chunk)
        written += chunk.length
        await new Promise((resolve) =>
          more ? setImmediate(resolve) : response.once("drain", resolve).once("close", resolve)
        )
      }
    })
    await using serving = await Serving.start(model, asking(server))
    const stalled = await Promise.all(
      ["/text", "/sse", "/ndjson"].map((path) =>
        Serving.connect(serving.port, `GET ${path}?prompt=long HTTP/1.1\r\nhost: localhost\r\n\r\n`)
      )
    )
    for (const { socket } of stalled) {
      await once(socket, "data")
      socket.pause()
    }
    // Until nothing is written any more: what the kernel holds is full.
    for (let before = -1; before !== written;) {
      before = written
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    expect(written).toBeLessThan(60e6)
    expect(await (await get(`${serving.url}/text?prompt=short`)).text()).toBe("ok")
    for (const { socket } of stalled) socket.destroy()
    expect(await Promise.all(server.seen.slice(0, 3).map(({ closed }) => closed))).toEqual(
      Array(3).fill("by the client")
    )
  })

  it("more of them than files may be open end nothing", async () => {
    await using serving = await Serving.start(["--model", "offline"], {}, "ulimit -n 64;")
    const sockets = await Promise.all(
      Array.from({ length: 200 }, () => Serving.connect(serving.port, "GET /hea").catch(() => undefined))
    )
    for (const held of sockets) held?.socket.destroy()
    const isWell = async (): Promise<boolean> =>
      get(`${serving.url}/health`).then(
        ({ status }) => status === 200,
        () => false
      )
    let tries = 0
    while (!(await isWell())) expect(++tries).toBeLessThan(1000)
  })

  it("a body that never ends is answered by 408, at its time", async () => {
    const program = Effect.gen(function* () {
      const server = yield* Listening.listen({
        host: "127.0.0.1",
        port: 0,
        log: () => {},
        headersTimeout: 500,
        requestTimeout: 500
      })
      let left = false
      yield* server.serve(
        Effect.onInterrupt(Effect.interruptible(Effect.never), () => Effect.sync(() => void (left = true))).pipe(
          Effect.as(HttpServerResponse.empty())
        )
      )
      if (server.address._tag === "UnixPathAddress") return
      const { port } = server.address
      const { closed, socket } = yield* Effect.promise(() =>
        Serving.connect(port, 'POST /text HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n{"')
      )
      const text = yield* Effect.promise(() => closed)
      socket.destroy()
      expect(Serving.parse(text)).toMatchObject({ status: 408, json: { error: { reason: "Timeout" } } })
      yield* Effect.promise(() => HttpApp.until("the handler is interrupted", () => left === true, 20))
    })
    await Effect.runPromise(Effect.scoped(program))
  })
})

describe.concurrent("how it ends", patient, () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const)("%s ends it at once where nothing runs: exit code %i", async (signal, code) => {
    await using serving = await Serving.start(["--model", "offline"])
    // Neither does a connection that is kept alive for another request keep it, nor a WebSocket.
    await (await get(serving.url)).text()
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    const closed = once(socket, "close")
    const start = performance.now()
    serving.process.kill(signal)
    expect(await serving.exited).toBe(code)
    expect(performance.now() - start).toBeLessThan(4000)
    expect((await closed)[0]).toBe(1001)
  })

  it("answers that are running end well, and new ones are refused", async () => {
    await using serving = await Serving.start(["--model", "offline"], { RILL_OFFLINE_TOKENS_PER_SECOND: "200" })
    const whole = await Serving.reference(serving.url)
    const good = await Serving.good(serving.url)
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    const frames: Array<string> = []
    socket.on("message", (data) => frames.push(JSON.parse(String(data)).type))
    await once(socket, "open")
    const closed = once(socket, "close")
    socket.send('{"type":"prompt","id":"1","prompt":"Hi"}')
    await once(socket, "message")
    const held = await Serving.connect(serving.port, "GET /health HTTP/1.1\r\nhost: localhost\r\n")
    serving.process.kill("SIGTERM")
    await HttpApp.until("it stops", () => serving.stderr().includes("stopping"), 20)
    held.socket.write("\r\n")
    expect(Serving.parse(await held.closed)).toMatchObject({ status: 503, json: { error: { reason: "Stopping" } } })
    held.socket.destroy()
    await expect(get(serving.url)).rejects.toThrow()
    expect(await good.whole()).toBe(whole)
    expect((await closed)[0]).toBe(1001)
    expect(frames.at(-1)).toBe("done")
    // The connection of the good one is kept alive by its client, and keeps nothing.
    const start = performance.now()
    expect(await serving.exited).toBe(143)
    expect(performance.now() - start).toBeLessThan(2500)
  })

  it("answers that go on for too long are broken off, and WebSockets told 1001", async () => {
    await using server = await Server.start(Server.hold("one "))
    await using serving = await Serving.start(model, asking(server))
    const socket = new WebSocket(`${serving.url.replace("http", "ws")}/ws`)
    await once(socket, "open")
    socket.send('{"type":"prompt","id":"1","prompt":"Hi"}')
    const reading = get(`${serving.url}/text?prompt=Hi`).then((response) => response.text())
    reading.catch(() => {})
    await HttpApp.until("the model is asked", () => server.seen.length === 2, 20)
    serving.process.kill("SIGINT")
    const [code] = (await once(socket, "close")) as [number]
    expect(code).toBe(1001)
    await expect(reading).rejects.toThrow()
    expect(await serving.exited).toBe(130)
    expect(await server.seen[0]!.closed).toBe("by the client")
    expect(serving.stderr()).toMatch(/GET \/text 200 \d+ ms, .*, stopped\n/)
  })

  it("a second signal ends it where it stands", async () => {
    await using server = await Server.start(Server.hold("one "))
    await using serving = await Serving.start(model, asking(server))
    const reading = get(`${serving.url}/text?prompt=Hi`).then((response) => response.text())
    reading.catch(() => {})
    await HttpApp.until("the model is asked", () => server.seen.length === 1, 20)
    serving.process.kill("SIGINT")
    await HttpApp.until("it stops", () => serving.stderr().includes("stopping"), 20)
    const start = performance.now()
    serving.process.kill("SIGINT")
    expect(await serving.exited).toBe(130)
    expect(performance.now() - start).toBeLessThan(3000)
  })
})
