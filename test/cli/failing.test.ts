/** `--retries`, `--timeout` and `--fallback`: the command as a process, against servers that fail. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import * as FakeOllama from "./FakeOllama.ts"
import { child, finished, rill } from "./Rill.ts"
import * as Server from "./Server.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rill-failing-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** A process takes most of a second to start, and several start at once. */
const patient = { timeout: 60_000 }

const key = "sk-test-NEVER-TO-BE-SEEN"

/** What one request after the other meets; the last again and again. */
const failing = async (...handlers: ReadonlyArray<Server.Handler>) => {
  let turn = 0
  const server = await Server.start((response, seen) =>
    handlers[Math.min(turn++, handlers.length - 1)]!(response, seen)
  )
  return { ...server, env: { OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: key } }
}

/** Comes with the wish to be asked again at once: nobody sleeps here. */
const busy = Server.failure(500, "Out of order", { "retry-after-ms": "1" })
const failed = "openai/gpt-4.1-mini: ProviderFailed: Out of order"

const lines = (text: string): ReadonlyArray<string> => text.trimEnd().split("\n")

const parsed = (text: string) =>
  lines(text).map((line) => JSON.parse(line) as { readonly _tag: string; readonly text?: string })

describe.concurrent("a model that fails", patient, () => {
  it("is tried three times, and each time it is said on standard error", async () => {
    await using server = await failing(busy, busy, Server.answer("Hel", "lo"))
    const { code, stderr, stdout } = await rill(["hi"], { env: server.env })
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello" })
    const [first, second, ...rest] = lines(stderr)
    expect(first!.startsWith(`rill: retrying at once (2 of 3): ${failed}`)).toBe(true)
    expect(second!.startsWith(`rill: retrying at once (3 of 3): ${failed}`)).toBe(true)
    expect(rest).toEqual([])
  })

  it("is tried no more often than --retries says, and then it is the end", async () => {
    await using server = await failing(busy)
    const none = await rill(["--retries", "0", "hi"], { env: server.env })
    expect(none).toMatchObject({ code: 1, stdout: "" })
    expect(none.stderr.startsWith(`rill: ${failed}`)).toBe(true)
    expect(server.seen.length).toBe(1)
    const one = await rill(["--retries", "1", "hi"], { env: server.env })
    expect(one).toMatchObject({ code: 1, stdout: "" })
    expect(lines(one.stderr).length).toBe(2)
    expect(server.seen.length).toBe(3)
  })

  it("is left for the first of the others that answers", async () => {
    await using ollama = await FakeOllama.start([{ name: "qwen3" }])
    await using server = await failing(Server.failure(401, `Incorrect key: ${key}`))
    const { code, stderr, stdout } = await rill(
      ["--fallback", "openai/other", "--fallback", "ollama/qwen3", "--fallback", "offline", "hi"],
      { env: { ...server.env, OLLAMA_HOST: ollama.host } }
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello" })
    const [first, second, ...rest] = lines(stderr)
    expect(first).toMatch(
      /^rill: switched to openai\/other: openai\/gpt-4\.1-mini: Authentication: .* OPENAI_API_KEY\.$/
    )
    expect(second).toMatch(/^rill: switched to ollama\/qwen3: openai\/other: Authentication: /)
    expect(rest).toEqual([])
    expect(stderr).not.toContain("NEVER")
    expect(server.seen.map(({ body }) => body["model"])).toEqual(["gpt-4.1-mini", "other"])
  })

  it("is named in the failure of the last one", async () => {
    await using server = await failing(Server.failure(404, "No such model"), Server.failure(401, "No"))
    const { code, stderr } = await rill(["--fallback", "openai/other", "hi"], { env: server.env })
    expect(code).toBe(1)
    expect(lines(stderr).at(-1)).toMatch(
      /^rill: openai\/other: Authentication: .* The key is read from OPENAI_API_KEY\. Failed before: openai\/gpt-4\.1-mini: NotFound\.$/
    )
  })

  it("may be silent for no longer than --timeout says", async () => {
    await using server = await failing(Server.hold())
    const args = ["--timeout", "0.3", "--retries", "0", "hi"]
    const alone = await rill(args, { env: server.env })
    expect(alone).toMatchObject({ code: 1, stdout: "" })
    expect(alone.stderr).toMatch(/^rill: \S+: DeadlineExceeded: no token came within 0\.3 s .* raise --timeout\./)
    expect(await server.seen[0]!.closed).toBe("by the client")
    const { code, stderr, stdout } = await rill(["--fallback", "offline", ...args], { env: server.env })
    expect(code).toBe(0)
    expect(stdout).toMatch(/“hi[.”]/)
    expect(lines(stderr).length).toBe(1)
    expect(stderr).toMatch(/^rill: switched to offline: \S+: DeadlineExceeded/)
  })

  it("is not waited for after Ctrl-C", async () => {
    await using server = await failing(Server.failure(500, "Out of order", { "retry-after": "25" }))
    const process = child(["hi"], { env: server.env })
    const result = finished(process)
    await new Promise<void>((resolve) => process.stderr!.once("data", () => resolve()))
    process.kill("SIGINT")
    const { code, stderr } = await result
    expect(code).toBe(130)
    expect(stderr).toMatch(/^rill: retrying in 25 s \(2 of 3\): [^\n]*\n$/)
  })

  it("has used what it used, also for one who leaves the attempt after it", async () => {
    await using server = await failing(Server.cut(""), Server.hold("Hi there"))
    const process = child(["--usage", "x".repeat(40)], { env: server.env })
    const result = finished(process)
    await new Promise<void>((resolve) => process.stdout!.once("data", () => resolve()))
    process.kill("SIGINT")
    const { code, stderr, stdout } = await result
    expect([code, stdout.trim()]).toEqual([130, "Hi there"])
    expect(stderr).toContain("retrying")
    expect(stderr).toMatch(/usage: 20 input \+ 2 output tokens/)
  })
})

describe.concurrent("an answer that is cut off", patient, () => {
  it.each([
    ["a pipe", []],
    ["a file", ["--output", path.join(folder, "story.txt")]]
  ] as const)("in the middle stands in %s as it is, and nobody else is asked", async (_, args) => {
    await using server = await failing(Server.cut("Once upon ", "a ti"), Server.answer("me."))
    const { code, stderr, stdout } = await rill([...args, "--fallback", "openai/other", "hi"], { env: server.env })
    const file = args.length === 0 ? stdout : fs.readFileSync(args[1]!, "utf8")
    expect({ code, file }).toEqual({ code: 1, file: "Once upon a ti" })
    expect(lines(stderr).length).toBe(1)
    expect(stderr).toMatch(/^rill: openai\/gpt-4\.1-mini: Disconnected/)
    expect(server.seen.length).toBe(1)
  })

  it("goes on among the events of --json, which tell of it", async () => {
    await using server = await failing(Server.cut("Once upon ", "a ti"), busy, Server.answer("Once upon a time."))
    const { code, stderr, stdout } = await rill(["--json", "--retries", "1", "--fallback", "openai/other", "hi"], {
      env: server.env
    })
    expect(code).toBe(0)
    const events = parsed(stdout)
    expect(events.map(({ text = "" }) => text).join("")).toBe("Once upon a time.")
    expect(events.map(({ _tag }) => _tag).filter((tag) => !/^(Started|TextDelta)$/.test(tag))).toEqual([
      "AttemptFailed",
      "Switched",
      "Finished"
    ])
    expect(events.find(({ _tag }) => _tag === "Switched")).toMatchObject({
      from: "openai/gpt-4.1-mini",
      to: "openai/other",
      error: { _tag: "LlmError", message: expect.stringContaining(failed) }
    })
    expect(lines(stderr).map((line) => line.slice(0, 33))).toEqual([
      expect.stringMatching(/^rill: going on in 0\.\d s \(2 of 2\)/),
      "rill: going on with openai/other:"
    ])
  })
})

describe.concurrent("rill agent", patient, () => {
  const args = ["agent", "--retries", "1", "--fallback", "offline"]

  it("goes on with another model, and stays with it", async () => {
    await using server = await failing(busy)
    const { code, stderr, stdout } = await rill([...args, "What is 2 * 21?"], { env: server.env })
    expect({ code, stdout }).toEqual({ code: 0, stdout: "2 * 21 = 42" })
    const [retry, switched, ...rest] = lines(stderr)
    expect(retry).toMatch(/^rill: retrying at once \(2 of 2\): /)
    expect(switched).toMatch(/^rill: switched to offline: /)
    expect(rest).toEqual(["There is something to compute. I do not do that in my head.", "→ calculator 2 * 21", "← 42"])
    // Two turns of a model.
    expect(server.seen.length).toBe(2)
  })

  it("says so beside the events of --json, which are those of the run", async () => {
    await using server = await failing(busy)
    const { code, stderr, stdout } = await rill([...args, "--json", "What is 2 * 21?"], { env: server.env })
    expect(code).toBe(0)
    expect(lines(stderr).length).toBe(2)
    const events = parsed(stdout)
    expect(events[0]!._tag).toBe("StepStarted")
    expect(events.at(-1)).toMatchObject({ _tag: "Final", content: "2 * 21 = 42" })
  })

  it("keeps its models to --timeout, and says who failed", async () => {
    await using server = await failing(Server.hold())
    const { code, stderr, stdout } = await rill(
      ["agent", "--retries", "0", "--timeout", "300ms", "--fallback", "openai/other", "hi"],
      { env: server.env }
    )
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    const [switched, end, ...rest] = lines(stderr)
    expect(switched).toMatch(/^rill: switched to openai\/other: openai\/gpt-4\.1-mini: DeadlineExceeded/)
    expect(end).toMatch(
      /^rill: openai\/other: .* raise --timeout\..* Failed before: openai\/gpt-4\.1-mini: DeadlineExceeded\.$/
    )
    expect(rest).toEqual([])
  })
})

describe.concurrent("bad usage", patient, () => {
  it.each([
    [["--retries", "-1"], 2, /--retries.*whole number of at least 0, not -1/],
    [["--retries", "x"], 2, /--retries.*whole number of at least 0, not x/],
    [["--retries", "1.5"], 2, /--retries.*whole number of at least 0, not 1\.5/],
    [["--timeout", "0"], 2, /--timeout.*more than 0, such as 30, which is seconds, .*not 0\./],
    [["--timeout", "soon"], 2, /--timeout.*more than 0, .*not soon\./],
    [["--fallback", "nonsense"], 2, /^rill: --fallback nonsense: a provider and its model are wanted/],
    [["--fallback", "mistal/large"], 2, /^rill: --fallback mistal\/large: there is no provider mistal\./],
    [["--fallback", "anthropic/x"], 1, /anthropic\/x needs a key: set ANTHROPIC_API_KEY .*leave out --fallback anth/]
  ] as const)("%j is told before anything is asked", async (flags, expected, message) => {
    await using server = await failing(Server.answer("ok"))
    const { code, stderr, stdout } = await rill([...flags, "hi"], { env: server.env })
    expect({ code, stdout }).toEqual({ code: expected, stdout: "" })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^rill: [^\n]+\n$/)
    expect(server.seen).toEqual([])
  })
})
