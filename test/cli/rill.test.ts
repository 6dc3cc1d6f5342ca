/** The command as a process: what it says, where, and with which exit code. */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { bin, child, finished, rill, said } from "./Rill.ts"
import * as Server from "./Server.ts"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "rill-test-"))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** A process takes most of a second to start, and several start at once. */
const patient = { timeout: 60_000 }

const key = "sk-test-NEVER-TO-BE-SEEN"
const asking = (server: Server.Server) => ({ OPENAI_BASE_URL: server.baseUrl, OPENAI_API_KEY: key })
const version = (
  JSON.parse(fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
).version

describe.concurrent("without a key", patient, () => {
  it("tells a story of the offline model, which says so once", async () => {
    const first = await rill(["--seed", "7", "--usage", "Tell", "me", "about", "whales"])
    expect(first.code).toBe(0)
    expect(first.stdout).toContain("“whales”")
    expect(first.stdout).toMatch(/[.”]$/)
    const [notice, usage, ...rest] = first.stderr.trimEnd().split("\n")
    expect(notice).toMatch(/^rill: .*offline model.*OPENAI_API_KEY/)
    expect(usage).toMatch(/^rill: usage: 4 input \+ \d+ output tokens$/)
    expect(rest).toEqual([])

    const file = path.join(folder, "story.txt")
    fs.writeFileSync(file, "x".repeat(10_000))
    const again = await rill(["--seed", "7", "--output", file, "Tell me about whales"])
    expect(again.code).toBe(0)
    expect(again.stdout).toBe("")
    expect(fs.readFileSync(file, "utf8")).toBe(first.stdout)
  })

  it("prints events as lines of JSON, the last one Finished", async () => {
    const { code, stderr, stdout } = await rill(["--max-tokens", "3", "--model", "offline", "--json", "yes"], {
      env: { OPENAI_API_KEY: key }
    })
    expect(code).toBe(0)
    expect(stdout.endsWith("\n")).toBe(true)
    const events = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { _tag: string; reason?: string })
    expect(events.map(({ _tag }) => _tag)).toEqual(["Started", "TextDelta", "TextDelta", "TextDelta", "Finished"])
    expect(events.at(-1)).toMatchObject({ reason: "length", usage: { source: "exact", outputTokens: 3 } })
    expect(stderr).not.toContain(key)
    // effect/cli would take "yes" for the value of --json.
    expect(stdout).toContain('"inputTokens":1')
  })
})

describe.concurrent("with a server", patient, () => {
  it("sends what the flags say, and the key nowhere else", async () => {
    await using server = await Server.start(Server.answer("\x1b[1mHel", "lo\r"))
    const { code, stderr, stdout } = await rill(
      "-m openai/some/model -s Briefly --temperature 0.5 --max-tokens 9 --usage -- -5 is --cold".split(" "),
      { env: { ...asking(server), OPENAI_ORG_ID: "org-1" } }
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: "\x1b[1mHello\r" })
    expect(stderr).toBe("rill: usage: 3 input + 2 output tokens\n")
    const [{ body, headers, url }] = server.seen as [Server.Seen]
    expect(url).toBe("/v1/responses")
    expect(headers).toMatchObject({ authorization: `Bearer ${key}`, "openai-organization": "org-1" })
    expect(body).toMatchObject({
      model: "some/model",
      instructions: "Briefly",
      input: [{ role: "user", content: "-5 is --cold" }],
      temperature: 0.5,
      max_output_tokens: 9
    })
  })

  it("speaks chat completions with --api chat, which has a seed", async () => {
    await using server = await Server.start(Server.answer("Hello"))
    const asked = ["--seed", "-3", "-s", "Briefly", "--max-tokens", "9", "hi"]
    const refused = await rill(asked, { env: asking(server) })
    expect(refused).toMatchObject({ code: 1, stdout: "" })
    expect(refused.stderr).toMatch(/^rill: openai\/\S+: Unsupported: .*seed.*--api chat.*\n$/)
    expect(server.seen).toEqual([])
    expect(await rill(["--api", "chat", ...asked], { env: asking(server) })).toMatchObject({ code: 0, stdout: "Hello" })
    const [{ body, url }] = server.seen as [Server.Seen]
    expect(url).toBe("/v1/chat/completions")
    expect(body).toMatchObject({
      messages: [
        { role: "system", content: "Briefly" },
        { role: "user", content: "hi" }
      ],
      max_completion_tokens: 9,
      seed: -3
    })
  })

  it("says that a server without Responses may have chat completions", async () => {
    await using server = await Server.start(Server.failure(404, "Not Found"))
    const { code, stderr } = await rill(["hi"], { env: asking(server) })
    expect(code).toBe(1)
    expect(stderr).toMatch(/^rill: openai\/\S+: NotFound: .*--api chat\.\n$/)
  })

  it("needs no key where there is a base URL", async () => {
    await using server = await Server.start(Server.answer("Hello"))
    const { code, stdout } = await rill(["hi"], { env: { OPENAI_BASE_URL: server.baseUrl } })
    expect({ code, stdout }).toEqual({ code: 0, stdout: "Hello" })
    expect(server.seen[0]!.headers.authorization).toBe(undefined)
  })

  it("explains a refused key in one paragraph, and does not repeat it", async () => {
    await using server = await Server.start(Server.failure(401, `Incorrect API key provided: ${key}.`))
    const { code, stderr, stdout } = await rill(["hi"], { env: asking(server) })
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^rill: openai\/\S+: Authentication: .*OPENAI_API_KEY.*\n$/)
    expect(stderr).not.toContain("NEVER")
  })

  it("tells how long to wait, and leaves the file of a request that failed as it was", async () => {
    await using server = await Server.start(Server.failure(429, "Slow down", { "retry-after": "7" }))
    const file = path.join(folder, "precious.txt")
    fs.writeFileSync(file, "precious")
    const { code, stderr, stdout } = await rill(["--retries", "0", "--usage", "-o", file, "hi"], {
      env: asking(server)
    })
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/RateLimited.*wait 7 s/)
    expect(stderr).toMatch(/^rill: usage: 1 input \+ 0 output tokens, estimated$/m)
    expect(fs.readFileSync(file, "utf8")).toBe("precious")
  })

  it("keeps what came of an answer that was cut", async () => {
    await using server = await Server.start(Server.cut("Once upon ", "a ti"))
    const { code, stderr, stdout } = await rill(["--usage", "hi"], { env: asking(server) })
    expect({ code, stdout }).toEqual({ code: 1, stdout: "Once upon a ti" })
    expect(stderr).toMatch(/Disconnected.*Ask again/)
    expect(stderr).toMatch(/usage: 1 input \+ 4 output tokens, estimated/)
  })

  it("ends quietly when nobody reads any more, and closes upstream", async () => {
    await using server = await Server.start(Server.endless)
    const { code, stderr, stdout } = await rill([], {
      env: asking(server),
      shell: "{ $RILL hi; echo code $? >&2; } | head -c 10"
    })
    expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: "code 0\n", stdout: "word word " })
    expect(await server.seen[0]!.closed).toBe("by the client")
  })

  it("closes upstream on Ctrl-C and exits with 130", async () => {
    await using server = await Server.start(Server.hold("Once upon"))
    const process = child(["--usage", "hi"], { env: asking(server) })
    const result = finished(process)
    await said(process, "upon")
    process.kill("SIGINT")
    expect(await result).toEqual({
      code: 130,
      stdout: "Once upon",
      stderr: "rill: usage: 1 input + 3 output tokens, estimated\n"
    })
    expect(await server.seen[0]!.closed).toBe("by the client")
  })

  it("ends the offline model with itself, on SIGTERM with 143", async () => {
    const process = child(["--json", "hi"], { env: { RILL_OFFLINE_TOKENS_PER_SECOND: "0.01" } })
    const result = finished(process)
    await said(process, "Started")
    process.kill("SIGTERM")
    expect((await result).code).toBe(143)
  })
})

describe.concurrent("the prompt", patient, () => {
  const prompts = (server: Server.Server) => server.seen.map(({ prompt }) => prompt)

  it("is the words, standard input, or both", async () => {
    await using server = await Server.start(Server.answer("ok"))
    const env = asking(server)
    await Promise.all([
      rill(["a", "b  c"], { env }),
      rill([], { env, stdin: "from a pipe\n" }),
      rill(["Summarise"], { env, stdin: "# Notes\n\ntea\n" }),
      rill([], { env, shell: "$RILL closed <&-" }),
      rill([], { env, shell: `echo notes >${folder}/notes.md; $RILL file <${folder}/notes.md` })
    ])
    expect(new Set(prompts(server))).toEqual(
      new Set(["a b  c", "from a pipe", "Summarise\n\n# Notes\n\ntea", "closed", "file\n\nnotes"])
    )
  })

  it("does not wait for ever for a socket that was left open", async () => {
    await using server = await Server.start(Server.answer("ok"))
    const process = child(["alone"], { env: asking(server), stdio: "pipe" })
    const { code, stderr, stdout } = await finished(process)
    expect({ code, stdout }).toEqual({ code: 0, stdout: "ok" })
    expect(stderr).toMatch(/^rill: nothing came on standard input .*going on without it/)
    expect(prompts(server)).toEqual(["alone"])
  })

  it("may look like a flag or a subcommand after --", async () => {
    const env = { RILL_OFFLINE_TOKENS_PER_SECOND: "5000" }
    const refused = await rill(["completion"], { env })
    expect(refused).toMatchObject({ code: 2, stdout: "" })
    expect(refused.stderr).toBe("rill: did you mean rill completions? To send it as a prompt: rill -- completion\n")
    const sent = await rill(["--max-tokens", "1", "--", "completion"], { env })
    expect(sent).toMatchObject({ code: 0 })
    expect(sent.stdout).not.toBe("")
    expect(sent.stderr).toContain("--max-tokens")
  })
})

describe.concurrent("bad usage", patient, () => {
  it.each([
    ["nothing to ask", [], /nothing to ask\. Usage: rill/],
    ["an unknown flag", ["--modle", "x", "hi"], /no flag --modle\. Did you mean --model\?/],
    ["an API that there is not", ["--api", "completions", "hi"], /--api.*"responses" \| "chat"/],
    ["a number out of range", ["--temperature", "-1", "hi"], /--temperature.*at least 0/]
  ] as const)("%s exits with 2 and says so", async (_, args, message) => {
    const { code, stderr, stdout } = await rill(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/^rill: [^\n]+\n$/)
  })

  it("knows before it asks that a file cannot be written", async () => {
    await using server = await Server.start(Server.answer("ok"))
    const { code, stderr, stdout } = await rill(["-o", path.join(folder, "no", "file"), "hi"], { env: asking(server) })
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^rill: cannot write to .*file: there is no such folder \(ENOENT\)\.\n$/)
    expect(server.seen).toEqual([])
  })
})

describe.concurrent("about itself", patient, () => {
  it("prints the version of package.json", async () => {
    expect(await rill(["--version"])).toEqual({ code: 0, stdout: `rill ${version}\n`, stderr: "" })
  })

  it("prints help on standard output, uncoloured in a pipe", async () => {
    const { code, stderr, stdout } = await rill(["--help"])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    for (const flag of "model api system temperature max-tokens output json usage seed retries timeout fallback help version".split(
      " "
    )) {
      expect(stdout).toContain(`--${flag}`)
    }
    expect(stdout).not.toContain("\x1b")
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(95)
  })

  it("prints completions that the shell can read, as a subcommand and as a flag", async () => {
    const [subcommand, flag] = await Promise.all([rill(["completions", "bash"]), rill(["--completions", "bash"])])
    expect(subcommand).toMatchObject({ code: 0, stderr: "" })
    expect(subcommand.stdout).toContain("--max-tokens")
    expect(flag.stdout).toBe(subcommand.stdout)
    const checked = spawnSync("bash", ["-n"], { input: subcommand.stdout })
    if (checked.error === undefined) expect(checked.status).toBe(0)
  })
})

describe.concurrent("where something is missing", patient, () => {
  const root = fileURLToPath(new URL("../..", import.meta.url))

  /** A copy of the command without the packages it needs. */
  const copy = (name: string) => {
    const target = path.join(folder, name)
    fs.cpSync(path.join(root, "src"), path.join(target, "src"), { recursive: true })
    fs.copyFileSync(path.join(root, "package.json"), path.join(target, "package.json"))
    return target
  }

  const run = async (args: ReadonlyArray<string>) => {
    return finished(spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] }))
  }

  it("says what to install", async () => {
    const target = copy("bare")
    const script = path.join(target, "src/cli/bin.ts")
    const bare = await run([script, "hi"])
    expect(bare).toMatchObject({ code: 1, stdout: "" })
    expect(bare.stderr).toMatch(/^rill: [^\n]* is not installed\. Run: npm install effect @effect\/platform-node\n$/)
    expect(await run([script, "--version"])).toEqual({ code: 0, stdout: `rill ${version}\n`, stderr: "" })
  })

  it("says which version to install over another one", async () => {
    const target = copy("old")
    for (const name of ["effect", "@effect/platform-node"]) {
      const folder = path.join(target, "node_modules", name)
      fs.mkdirSync(folder, { recursive: true })
      fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name, exports: { ".": "./index.js" } }))
    }
    const old = await run([path.join(target, "src/cli/bin.ts"), "hi"])
    expect(old).toMatchObject({ code: 1, stdout: "" })
    expect(old.stderr).toMatch(/^rill: [^\n]*another version is installed\. Run: npm install "effect@/)
  })

  it("says which Node it needs", async () => {
    const older = 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "22.18.0" } })'
    const result = await run(["--import", `data:text/javascript,${encodeURIComponent(older)}`, bin, "--version"])
    expect(result).toEqual({
      code: 1,
      stdout: "",
      stderr: "rill: Node 22.19 or newer is needed; this is 22.18.0.\n"
    })
  })
})
