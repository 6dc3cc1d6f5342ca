/** `rill agent` as a process: what it says, where, and with which exit code. */
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import type { ServerResponse } from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { AgentError } from "../../src/agent/AgentError.ts"
import { AgentEvent } from "../../src/agent/AgentEvent.ts"
import * as wires from "../support/wires.ts"
import { child, finished, rill, said } from "./Rill.ts"
import * as Server from "./Server.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rill-agent-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))
fs.writeFileSync(path.join(folder, "notes.md"), "The whale \x1b[31mis\x1b[0m\na mammal.\n")

/** A process takes most of a second to start, and several start at once. */
const patient = { timeout: 60_000 }

const chat = (server: Server.Server) => ({ OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: "sk-test" })
const agent = (server: Server.Server, args: ReadonlyArray<string>) =>
  rill(["agent", "--api", "chat", ...args], { env: chat(server) })

/** Answers one request after the other with text and calls of tools. */
const script = (
  ...turns: ReadonlyArray<{ readonly text?: string; readonly calls?: ReadonlyArray<readonly [string, object]> }>
): Server.Handler => {
  let turn = 0
  return (response: ServerResponse) => {
    const { calls = [], text = "" } = turns[turn++ % turns.length]!
    const tell = wires.chat()
    Server.head(response)
    const all: ReadonlyArray<wires.Told> = [
      { kind: "text", text },
      ...calls.map(([name, input], index): wires.Told => ({
        kind: "tool",
        index,
        id: `call_${turn}_${index}`,
        name,
        input: JSON.stringify(input)
      })),
      { kind: "finish", reason: calls.length > 0 ? "tool_calls" : "stop" },
      { kind: "usage", input: 3, output: 2 },
      { kind: "done" }
    ]
    response.end(all.map(tell).join(""))
  }
}

/** What the tools of a request gave, and its tools' names. */
const observed = (seen: Server.Seen): ReadonlyArray<unknown> =>
  (seen.body["messages"] as ReadonlyArray<{ readonly role: string; readonly content: unknown }>)
    .filter(({ role }) => role === "tool")
    .map(({ content }) => content)
const toolsOf = (seen: Server.Seen): ReadonlyArray<string> =>
  ((seen.body["tools"] ?? []) as ReadonlyArray<{ readonly function: { readonly name: string } }>).map(
    (tool) => tool.function.name
  )

const notice = /^rill: this is the offline model.*\n/

describe.concurrent("with the offline model", patient, () => {
  it.each(["tools", "react"])(
    "researches by script with the strategy %s: the answer alone on stdout",
    async (strategy) => {
      const args = ["agent", "--seed", "3", "--usage", "--strategy", strategy, "--folder", folder]
      const { code, stderr, stdout } = await rill([...args, "Research", "whales", "with notes.md"])
      expect(code).toBe(0)
      expect(stdout).toBe(
        "notes.md: “The whale \x1b[31mis\x1b[0m a mammal. …”\n" +
          "11 shelves of books about “whales” come to 120780 pages, of which I have read none."
      )
      expect(stderr).toMatch(notice)
      expect(stderr.replace(notice, "").split("\n").slice(0, 6)).toEqual([
        "The task names notes.md: I read it first.",
        "→ read_file notes.md",
        "← The whale is a mammal.",
        "How much is there to read about whales? Say, 11 shelves of 36 books, 305 pages each.",
        "→ calculator 11 * 36 * 305",
        "← 120780"
      ])
      expect(stderr).toMatch(/\nrill: usage: \d+ input \+ \d+ output tokens(, estimated)?\n$/)
      expect(stderr).not.toContain("\x1b")
      expect(await rill([...args, "Research whales with notes.md"])).toEqual({ code, stderr, stdout })
    }
  )

  it.each(["tools", "react"])("prints events as lines of JSON with the strategy %s", async (strategy) => {
    const { code, stderr, stdout } = await rill([..."agent --json --strategy".split(" "), strategy, "What is 2 * 21?"])
    expect(code).toBe(0)
    expect(stderr).toMatch(notice)
    expect(stderr.replace(notice, "")).toBe("")
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => Schema.decodeUnknownSync(Schema.toCodecJson(AgentEvent))(JSON.parse(line)))
    expect(events[0]).toEqual({ _tag: "StepStarted", step: 1 })
    expect(events.find(({ _tag }) => _tag === "Action")).toMatchObject({ input: { expression: "2 * 21" } })
    expect(events.find(({ _tag }) => _tag === "Observation")).toMatchObject({ content: "42", isError: false })
    expect(events.at(-1)).toMatchObject({ _tag: "Final", content: "2 * 21 = 42", steps: 2 })
  })

  it("has no tool for files without --folder, and answers with an error that it was told", async () => {
    const { code, stderr, stdout } = await rill(["agent", "1/0 in notes.md"])
    expect({ code, stdout }).toEqual({ code: 0, stdout: "1/0: Division by zero: it has no result." })
    expect(stderr).not.toContain("read_file")
    expect(stderr).toContain("✗ Division by zero")
  })
})

describe.concurrent("with a server", patient, () => {
  it("holds text back in a pipe until it is the answer, and keeps control characters from stderr", async () => {
    await using server = await Server.start(
      script(
        { text: "I \x1b[31mlook.", calls: [["calculator", { expression: "1,0" }]] },
        {
          text: "Again.",
          calls: [
            ["read_file", { path: "notes.md" }],
            ["calculator", { expression: "6*7" }]
          ]
        },
        { text: "4\x1b[1m2" }
      )
    )
    const { code, stderr, stdout } = await agent(server, ["--folder", folder, "--usage", "-s", "Briefly", "--", "-5"])
    expect({ code, stdout }).toEqual({ code: 0, stdout: "4\x1b[1m2" })
    const lines = stderr.split("\n")
    expect(lines[0]).toBe("I look.")
    expect(lines[1]).toBe("→ calculator 1,0")
    expect(lines[2]).toMatch(/^✗ “,” cannot stand after “1”\./)
    expect(lines.slice(3)).toEqual([
      "Again.",
      "→ read_file notes.md",
      "→ calculator 6*7",
      "← The whale is a mammal.",
      "← 42",
      "rill: usage: 9 input + 6 output tokens",
      ""
    ])
    expect(server.seen.map(toolsOf)[0]).toEqual(["calculator", "read_file"])
    expect(server.seen[0]!.body["messages"]).toEqual([
      { role: "system", content: "Briefly" },
      { role: "user", content: "-5" }
    ])
    expect(observed(server.seen[2]!).slice(1)).toEqual([fs.readFileSync(path.join(folder, "notes.md"), "utf8"), "42"])
  })

  it("tells the model of what it may not read, and cuts what is long", async () => {
    await using server = await Server.start(
      script(
        { calls: [["read_file", { path: "../secret" }]] },
        { calls: [["calculator", { expression: "1+".repeat(400) }]] },
        { text: "ok" }
      )
    )
    const { code, stderr } = await agent(server, ["--folder", folder, "go"])
    expect(code).toBe(0)
    expect(observed(server.seen[1]!)[0]).toMatch(/“\.\.” is not allowed/)
    for (const line of stderr.split("\n")) expect(Array.from(line).length).toBeLessThanOrEqual(200)
    expect(stderr).toMatch(/…\n/)
  })

  it("fails at the limit of steps: one paragraph, and with --json a line that decodes", async () => {
    const forever = script({ calls: [["calculator", { expression: "1+1" }]] })
    await using server = await Server.start(forever)
    const plain = await agent(server, ["--max-steps", "2", "go"])
    expect(plain).toMatchObject({ code: 1, stdout: "" })
    expect(plain.stderr).toMatch(/\nrill: no answer within 2 steps\. Raise --max-steps\.\n$/)
    expect(server.seen).toHaveLength(2)
    expect(toolsOf(server.seen[0]!)).toEqual(["calculator"])
    const json = await agent(server, ["--max-steps", "1", "--json", "go"])
    expect(json.code).toBe(1)
    const last = JSON.parse(json.stdout.trimEnd().split("\n").at(-1)!) as { message: string }
    expect(last.message).toMatch(/LimitExceeded/)
    expect(Schema.decodeUnknownSync(Schema.toCodecJson(AgentError))(last)).toMatchObject({
      step: 1,
      reason: { _tag: "LimitExceeded", which: "steps", limit: 1 }
    })
  })

  it("fails as the command does where the model does", async () => {
    await using server = await Server.start(Server.failure(401, "no"))
    const { code, stderr, stdout } = await agent(server, ["go"])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^rill: openai\/\S+: Authentication: .*OPENAI_API_KEY\.\n$/)
  })

  it("closes upstream on Ctrl-C and exits with 130", async () => {
    await using server = await Server.start(Server.hold("Once upon"))
    const process = child("agent --api chat --usage --json hi".split(" "), { env: chat(server) })
    const result = finished(process)
    await said(process, "upon")
    process.kill("SIGINT")
    expect(await result).toMatchObject({ code: 130, stderr: "rill: usage: 1 input + 3 output tokens, estimated\n" })
    expect(await server.seen[0]!.closed).toBe("by the client")
  })

  it("adds standard input, writes to a file, and asks the words that only look like the command", async () => {
    await using server = await Server.start(script({ text: "ok" }))
    const env = chat(server)
    const file = path.join(folder, "answer.txt")
    const args = ["agent", "--api", "chat", "--output", file, "Summarise"]
    expect(await rill(args, { env, stdin: "a\nb\n" })).toEqual({ code: 0, stdout: "", stderr: "" })
    expect(fs.readFileSync(file, "utf8")).toBe("ok")
    for (const words of [["agent smith"], ["my", "agent"], ["--", "agent"], ["agents of change"]]) {
      expect(await rill(["--api", "chat", ...words], { env })).toMatchObject({ code: 0 })
    }
    await agent(server, ["models", "agent"])
    expect(server.seen.map(({ prompt }) => prompt)).toEqual([
      "Summarise\n\na\nb",
      "agent smith",
      "my agent",
      "agent",
      "agents of change",
      "models agent"
    ])
    expect(server.seen.map((seen) => toolsOf(seen).length)).toEqual([1, 0, 0, 0, 0, 1])
  })
})

describe.concurrent("misuse", patient, () => {
  it.each([
    ["no task", ["agent"], 2, /^rill: nothing to do\. Usage: rill agent .*rill -- agent\n$/],
    ["no steps", ["agent", "--max-steps", "0", "go"], 2, /^rill: .*--max-steps.*at least 1/],
    ["flags before it", ["--model", "offline", "agent", "go"], 2, /^rill: flags go after agent: .*-- agent …\n$/],
    ["flags before it, and models", ["--json", "agent", "models"], 2, /^rill: flags go after agent: /],
    ["an unknown strategy", ["agent", "--strategy", "hope", "go"], 2, /^rill: .*--strategy.*"tools" \| "react"/],
    [
      "a folder that is not there",
      ["agent", "--folder", "/none/here", "go"],
      1,
      /^rill: --folder \/none\/here: .*no such/
    ],
    [
      "an unknown provider",
      ["agent", "--model", "nobody/x", "go"],
      2,
      /^rill: --model nobody\/x: there is no provider/
    ],
    ["a word that is nearly it", ["agnet"], 0, /./],
    ["a word that is all but it", ["agen"], 2, /^rill: did you mean rill agent\?/]
  ] as const)("%s", async (_, args, code, stderr) => {
    const result = await rill(args)
    expect(result.stderr).toMatch(stderr)
    expect(result.code).toBe(code)
  })
})
