/** Every example is run as it stands, as a process of its own, against a server on loopback. */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from "ai"
import { EventSource } from "eventsource"
import OpenAI from "openai"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import * as ChatServer from "./support/ChatServer.ts"
import * as FetchServer from "./support/FetchServer.ts"

const { answer, done, failure, finish, gate, pause, role, text, toolCall, usage } = ChatServer

const folder = join(import.meta.dirname, "../examples")
let cwd = ""
beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), "rill-examples-"))
})
afterAll(() => rmSync(cwd, { recursive: true }))

interface Result {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
  readonly server: ChatServer.ChatServer
}

/** Runs an example until it ends by itself. */
const run = async (name: string, script: ChatServer.Script, onStdout?: (stdout: string) => void): Promise<Result> => {
  await using server = await ChatServer.start(script)
  const child = spawn(process.execPath, ["-C", "rill-source", join(folder, name)], {
    cwd,
    env: { PATH: process.env["PATH"], OPENAI_API_KEY: "sk-example", OPENAI_BASE_URL: server.baseUrl },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    stdout += piece
    onStdout?.(stdout)
  })
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (stderr += piece))
  const timer = setTimeout(() => child.kill(), 20_000)
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
  clearTimeout(timer)
  await server.quiet()
  return { stdout, stderr, code, server }
}

/** Runs an example that is a server for as long as it is used, and tells it to end. */
const serve = async (
  name: string,
  script: ChatServer.Script,
  use: (url: string, server: ChatServer.ChatServer) => Promise<void>
): Promise<void> => {
  await using server = await ChatServer.start(script)
  const child = spawn(process.execPath, ["-C", "rill-source", join(folder, name)], {
    cwd,
    env: { PATH: process.env["PATH"], OPENAI_API_KEY: "sk-example", OPENAI_BASE_URL: server.baseUrl, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"]
  })
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
  const timer = setTimeout(() => child.kill("SIGKILL"), 40_000)
  let output = ""
  const url = await new Promise<string>((resolve, reject) => {
    const read = (piece: string) => {
      output += piece
      const listening = /Listening on (http:\S+)/.exec(output)
      if (listening !== null) resolve(listening[1]!)
    }
    child.stdout.setEncoding("utf8").on("data", read)
    child.stderr.setEncoding("utf8").on("data", read)
    void ended.then(() => reject(new Error(`${name} ended: ${output}`)))
  })
  try {
    await use(url, server)
    await server.quiet()
  } finally {
    child.kill()
    await ended
    clearTimeout(timer)
  }
}

/** What a good end of an example is: nothing on standard error but what is expected there. */
const ok = ({ code, stderr, stdout }: Result, expected: string, onStderr: RegExp | "" = "") => {
  if (onStderr === "") expect(stderr).toBe("")
  else expect(stderr).toMatch(onStderr)
  expect(stdout).toBe(expected)
  expect(code).toBe(0)
}

const prompt = (server: ChatServer.ChatServer, index = 0): unknown => server.requests[index]?.messages

const examples: Readonly<Record<string, (name: string) => Promise<void>>> = {
  "01_quickstart.ts": async (name) => {
    // The rest is sent once the beginning has been printed.
    const printed = gate()
    const script = [text("Once"), pause(printed.opened), ...answer(" upon", " a time")]
    const result = await run(name, [script], (stdout) => void (stdout === "Once" && printed.open()))
    ok(result, "Once upon a time")
    expect(prompt(result.server)).toEqual([{ role: "user", content: "Tell me a story" }])
    expect(result.server.requests[0]!.headers["authorization"]).toBe("Bearer sk-example")
  },

  "02_async_iterable.ts": async (name) => {
    const result = await run(name, [[text("one two three "), text("four five six "), "hold"]])
    ok(result, "one two three four five six ")
    expect(result.server.requests.map(({ state }) => state)).toEqual(["closed"])
  },

  "03_callbacks.ts": async (name) => {
    ok(await run(name, [answer("Once", " upon")]), "Once upon\n", /^took \d+ ms\nused 2 tokens \(exact\)\n$/)
    const failed = await run(name, [[text("Once"), "end"]])
    expect(failed.stdout).toContain("Once\n")
    expect(failed.stderr).toContain("Truncated")
    expect(failed.stderr).toContain("used 1 tokens (estimated)")
    expect(failed.code).toBe(1)
  },

  "04_agent.ts": async (name) => {
    const result = await run(name, [
      [
        role,
        text("I will "),
        text("look it up."),
        toolCall(0, '{"topic":', "call_1", "search"),
        toolCall(0, '"Python"}'),
        finish("tool_calls"),
        usage(20, 9),
        done
      ],
      answer("Python is ", "a language.")
    ])
    ok(
      result,
      [
        "I will look it up.",
        "Thought: I will look it up.",
        'Action: search {"topic":"Python"}',
        "Observation: Python: 3 pages found",
        "Python is a language.",
        "Final: 2 steps, 38 tokens (exact)",
        ""
      ].join("\n")
    )
    expect(result.server.requests[0]!.text).toContain('"Searches an encyclopedia"')
    expect(result.server.requests[1]!.text).toContain("Python: 3 pages found")
    const failed = await run(name, [failure(429)])
    expect([failed.stderr, failed.code]).toEqual(["No answer: ModelFailed\n", 0])
  },

  "05_to_file.ts": async (name) => {
    const path = join(cwd, "story.txt")
    // The rest is sent once the beginning has been printed, and there is no file by then.
    const printed = gate()
    let early = true
    const script = [text("Once"), pause(printed.opened), ...answer(" upon", " é")]
    const first = await run(name, [script], (stdout) => {
      if (stdout !== "Once") return
      early = existsSync(path)
      printed.open()
    })
    ok(first, "Once upon é")
    expect(early).toBe(false)
    expect(readFileSync(path, "utf8")).toBe("Once upon é")
    const cut = await run(name, [[text("Twice"), "end"]])
    expect(cut.stdout).toMatch(/^Twice.*Truncated/s)
    expect(cut.code).toBe(1)
    expect(readFileSync(path, "utf8")).toBe("Once upon é")
    expect(readFileSync(`${path}.partial`, "utf8")).toBe("Twice")
    rmSync(path)
    mkdirSync(path)
    const refused = await run(name, [answer("Once")])
    ok(refused, "", /^\nNot saved: story\.txt: NotAFile: this is a folder\. Add the name of a file to the path\.\n$/)
    expect(refused.server.requests).toEqual([])
    expect(readdirSync(cwd).filter((name) => name.startsWith("story"))).toEqual(["story.txt", "story.txt.partial"])
  },

  "07_sse.ts": (name) =>
    serve(
      name,
      ({ index }) =>
        index === 3
          ? failure(429, { "retry-after": "2" })
          : index === 4
            ? [text("Once"), "hold"]
            : answer("Once\n", " upon"),
      async (url, server) => {
        const source = new EventSource(`${url}/story?about=snow`)
        const told: Array<string> = []
        source.addEventListener("message", ({ data }) => void told.push(data))
        await new Promise((resolve) => source.addEventListener("done", resolve))
        source.close()
        expect(told).toEqual(["Once\n", " upon"])
        expect(prompt(server)).toEqual([{ role: "user", content: "Tell me a story about snow" }])

        const openai = new OpenAI({ apiKey: "sk-any", baseURL: `${url}/v1`, maxRetries: 0 })
        const { choices, usage } = await openai.chat.completions
          .stream({ model: "any", messages: [{ role: "user", content: "Hi" }] })
          .finalChatCompletion()
        expect([choices[0]?.message.content, usage?.total_tokens]).toEqual(["Once\n upon", 9])
        expect(prompt(server, 1)).toEqual([{ role: "user", content: "Hi" }])

        const send = { trigger: "submit-message", chatId: "c", messageId: undefined, abortSignal: undefined } as const
        const parts: UIMessage["parts"] = [
          { type: "reasoning", text: "hm" },
          { type: "text", text: "Hi" }
        ]
        const messages = [{ id: "u", role: "user" as const, parts }]
        const stream = await new DefaultChatTransport({ api: `${url}/api/chat` }).sendMessages({ ...send, messages })
        expect(prompt(server, 2)).toEqual([{ role: "user", content: "Hi" }])
        let message: UIMessage | undefined
        for await (message of readUIMessageStream({ stream })) continue
        expect(message?.parts).toMatchObject([
          { type: "step-start" },
          { type: "text", text: "Once\n upon", state: "done" }
        ])

        // A provider's refusal is this server's; a client that leaves closes the provider's answer.
        const limited = await fetch(`${url}/story?about=rain`)
        expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "2"])
        const leaving = new AbortController()
        const left = await fetch(`${url}/story?about=rain`, { signal: leaving.signal })
        await left.body!.getReader().read()
        leaving.abort()
        expect(await (await server.request(4)).ended).toBe("closed")

        // What is no request gets an answer of its own, and the model is not asked.
        const post = (path: string, body: string | Uint8Array<ArrayBuffer>) =>
          fetch(url + path, { method: "POST", body, headers: { "content-type": "application/json" } })
        for (const path of ["/v1/chat/completions", "/api/chat"]) {
          expect((await post(path, "{not json")).status).toBe(400)
          expect((await post(path, '{"messages":[{"role":"system","content":"Obey"}]}')).status).toBe(400)
          expect((await post(path, new Uint8Array([0xff, 0xfe]))).status).toBe(400)
          expect((await post(path, JSON.stringify({ messages: "x".repeat(2 ** 21) }))).status).toBe(413)
        }
        expect((await post("/v1/chat/completions", '{"messages":[]}')).status).toBe(400)
        expect((await fetch(`${url}/nowhere`)).status).toBe(404)
        expect((await fetch(`${url}/story`)).status).toBe(400)
        expect((await fetch(`${url}/story?about=rain`, { method: "HEAD" })).ok).toBe(true)
        expect(server.requests.slice(0, 5).map(({ state }) => state)).toEqual([
          "completed",
          "completed",
          "completed",
          "completed",
          "closed"
        ])
      }
    ),
  "06_websocket.ts": async (name) => {
    const long = ["Once ", "there ", "were ", "two ", "rivers"].map(text)
    const result = await run(name, [answer("Once", " upon", " a time"), [...long, "hold"]])
    ok(
      result,
      "Once upon a time\nDone: stop, 3 tokens (exact)\nOnce there were two rivers\nDone: stopped, 7 tokens (estimated)\n"
    )
    expect(prompt(result.server)).toEqual([{ role: "user", content: "Tell me a story" }])
    expect(result.server.requests.map(({ state }) => state)).toEqual(["completed", "closed"])
    const failed = await run(name, [failure(429)])
    ok(failed, "No answer: RateLimited\n")
  },

  "08_collect.ts": async (name) => {
    const result = await run(name, [answer("A small", " stream.")])
    ok(result, "A small stream.\nstop, 2 tokens\n")
    expect(prompt(result.server)).toEqual([
      { role: "system", content: "Answer in one sentence." },
      { role: "user", content: "What is a rill?" }
    ])
    ok(await run(name, [failure(429)]), "", /^Too many requests: try again later\n$/)
  },

  "09_plain_typescript.ts": async (name) => {
    const result = await run(name, [answer("Once", " upon"), answer("Be", " kind.")])
    ok(result, "Once upon\nBe kind. (2 tokens)\n")
    expect(prompt(result.server, 1)).toEqual([{ role: "user", content: "And its moral?" }])
    // Too long for it to wait by itself.
    const limited = await run(name, [failure(429, { "retry-after": "60" })])
    expect([limited.stderr, limited.code]).toEqual(["Too many requests: try again in 60000 ms\n", 1])
    const refused = await run(name, [failure(401)])
    expect([refused.stderr, refused.code]).toEqual(["Set OPENAI_API_KEY to your key\n", 1])
  },

  "11_fallback_and_retry.ts": async (name) => {
    const result = await run(name, [
      failure(503, { "retry-after-ms": "20" }),
      [text("Once upon"), "end"],
      failure(401),
      answer("Once upon", " a time")
    ])
    const told = [
      "trying again after Overloaded",
      "trying again after Truncated",
      "openai/gpt-4.1-nano in place of openai/gpt-4.1-mini after Authentication",
      ""
    ]
    ok(result, "Once upon a time", new RegExp(`^${told.join("\n")}$`))
    expect(result.server.requests.map(({ body }) => body["model"])).toEqual([
      ...Array.from({ length: 3 }, () => "gpt-4.1-mini"),
      "gpt-4.1-nano"
    ])
    expect(JSON.stringify(prompt(result.server, 3))).toContain("Once upon")
    const failed = await run(name, [failure(401)])
    expect(failed.stdout).toContain("Failed before: openai/gpt-4.1-mini: Authentication")
    expect(failed.code).toBe(1)
  },

  "14_structured_output.ts": async (name) => {
    // Each piece is sent once the one before has been printed.
    const [first, second] = [gate(), gate()]
    const script = [
      text('{"title":"T'),
      pause(first.opened),
      text('ea","steps":["Boil '),
      pause(second.opened),
      ...answer('water","Wait"],"minutes":5}')
    ]
    const result = await run(name, [script], (stdout) => {
      if (stdout === "T: 0 steps\n") first.open()
      if (stdout === "T: 0 steps\nTea: 1 steps\n") second.open()
    })
    ok(result, "T: 0 steps\nTea: 1 steps\nTea: 2 steps\nTea takes 5 minutes:\n- Boil water\n- Wait\n")
    // The schema is part of what was asked.
    for (const field of ["title", "minutes", "steps"]) expect(result.server.requests[0]!.text).toContain(`"${field}"`)
    const wrong = await run(name, [answer('{"title":"Tea","steps":["Boil",2],"minutes":5}')])
    expect(wrong.stderr).toMatch(/^No recipe, look at steps\.1: .* at \.steps\[1\], expected string\. .*\n$/)
    expect(wrong.code).toBe(0)
    const cut = await run(name, [[text('{"title":"Tea","steps":["Boil'), "end"]])
    expect(cut.stdout).toMatch(/^Tea: 1 steps\n.*Truncated/)
    expect(cut.code).toBe(1)
  },

  "16_any_provider.ts": async (name) => {
    const result = await run(name, [answer("Once", " upon")])
    ok(result, "Once upon")
    expect(result.server.requests[0]!.body).toMatchObject({ model: "gpt-4.1-mini" })
  },

  "17_plain_agent.ts": async (name) => {
    const result = await run(name, [
      [
        role,
        toolCall(0, '{"topic":', "call_1", "search"),
        toolCall(0, '"Python"}'),
        finish("tool_calls"),
        usage(20, 9),
        done
      ],
      answer("Python is ", "a language."),
      answer("A small stream."),
      answer("A larger one.")
    ])
    const told = [
      'Action: search {"topic":"Python"}',
      "Observation: Python: 3 pages found",
      "Python is a language.",
      "A larger one. (1 step)",
      ""
    ]
    ok(result, told.join("\n"), /^search: complete\n$/)
    expect(result.server.requests[0]!.text).toContain('"topic"')
    expect(JSON.stringify(prompt(result.server, 3))).toContain("A small stream.")
  },

  "18_web_response.ts": async (name) => {
    await using server = await ChatServer.start(({ index }) =>
      index < 3 ? answer("Once", " upon") : [text("Once"), "hold"]
    )
    vi.stubEnv("OPENAI_API_KEY", "sk-example")
    vi.stubEnv("OPENAI_BASE_URL", server.baseUrl)
    const module: { readonly default: { readonly fetch: FetchServer.Handler } } = await import(join(folder, name))
    vi.unstubAllEnvs()
    await using site = await FetchServer.start(module.default.fetch)
    const get = async (path: string) => (await fetch(site.url + path)).text()
    expect(await get("/text")).toBe("Once upon")
    expect(await get("/story?prompt=A%20saga")).toContain("data:  upon\n\nevent: done")
    expect(prompt(server, 1)).toEqual([{ role: "user", content: "A saga" }])
    expect(await get("/api/chat")).toContain('"delta":" upon"')
    expect((await fetch(`${site.url}/`)).status).toBe(404)
    const leaving = new AbortController()
    const response = await fetch(`${site.url}/text`, { signal: leaving.signal })
    await response.body!.getReader().read()
    leaving.abort()
    expect(await server.requests[3]!.ended).toBe("closed")
  },

  "19_plain_object.ts": async (name) => {
    const printed = gate()
    const script = [
      answer('{"title":"Tea","minutes":5,"steps":["Boil water","Wait"]}'),
      [text('{"title":"Cof'), pause(printed.opened), ...answer('fee","minutes":4,"steps":["Grind","Pour"]}')]
    ]
    const result = await run(name, script, (stdout) => void (stdout.includes("Cof: 0 steps\n") && printed.open()))
    ok(result, "Tea takes 5 minutes\nCof: 0 steps\nCoffee: 2 steps\n- Grind\n- Pour\n")
    for (const field of ["title", "minutes", "steps"]) expect(result.server.requests[0]!.text).toContain(`"${field}"`)
  }
}

describe("examples", () => {
  it("each has an expectation here", () => {
    // Examples that are tests themselves are run as such, beside this file.
    const names = readdirSync(folder).filter((name) => !name.endsWith(".test.ts"))
    expect(names.toSorted()).toEqual(Object.keys(examples).toSorted())
  })

  for (const [name, check] of Object.entries(examples)) it(name, { timeout: 60_000 }, () => check(name))
})
