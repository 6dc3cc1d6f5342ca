/** Every example runs, as a process of its own, against a server on a loopback port. */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, it } from "vitest"
import * as ChatServer from "./support/ChatServer.ts"

const folder = fileURLToPath(new URL("../examples/", import.meta.url))

interface Expectation {
  readonly script: ChatServer.Script
  readonly check: (result: Result) => void
}
interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly server: ChatServer.ChatServer
  /** Reads a file that the example wrote. */
  readonly file: (name: string) => string
}

const story = ["Once", " upon", " a", " time", "…\n"]
const prompts = (server: ChatServer.ChatServer) => server.requests.map(({ body }) => body.messages)

const expectations: Readonly<Record<string, Expectation>> = {
  "01_quickstart.ts": {
    script: [ChatServer.answer(...story)],
    check: ({ server, stdout }) => {
      expect(stdout).toBe(story.join(""))
      expect(prompts(server)).toEqual([[{ role: "user", content: "Tell me a story" }]])
    }
  },
  "02_async_iterable.ts": {
    // More than it reads, and no end: it must leave.
    script: [[...["One ", "two ", "three ", "four ", "five ", "six "].map(ChatServer.text), "hold"]],
    check: ({ server, stdout }) => {
      expect(stdout).toMatch(/^One two three four five/)
      expect(server.requests[0]!.state).toBe("closed")
    }
  },
  "03_callbacks.ts": {
    script: [ChatServer.answer(...story)],
    check: ({ stderr, stdout }) => {
      expect(stdout).toBe(story.join(""))
      expect(stderr).toMatch(/^took .+\nused 5 tokens \(exact\)\n$/)
    }
  },
  "05_to_file.ts": {
    script: [ChatServer.answer(...story)],
    check: ({ file, stdout }) => {
      expect(stdout).toBe("")
      expect(file("story.txt")).toBe(story.join(""))
    }
  },
  "08_collect.ts": {
    script: [ChatServer.answer("A rill", " is a brook.")],
    check: ({ server, stdout }) => {
      expect(stdout).toBe("A rill is a brook.\nstop, 2 tokens\n")
      expect(server.requests[0]!.body).toMatchObject({ max_completion_tokens: 200 })
    }
  },
  "09_plain_typescript.ts": {
    script: [ChatServer.answer(...story), ChatServer.answer("Be kind.")],
    check: ({ server, stdout }) => {
      expect(stdout).toBe(`${story.join("")}\nBe kind. (1 tokens)\n`)
      expect(server.requests.length).toBe(2)
    }
  }
}

const cleanUp: Array<() => unknown> = []
afterEach(async () => {
  for (const run of cleanUp.splice(0)) await run()
})

const run = async (example: string, script: ChatServer.Script): Promise<Result> => {
  const server = await ChatServer.start(script)
  const cwd = mkdtempSync(join(tmpdir(), "rill-example-"))
  cleanUp.push(server.stop, () => rmSync(cwd, { recursive: true }))
  const child = spawn(process.execPath, ["-C", "rill-source", folder + example], {
    cwd,
    env: { PATH: process.env["PATH"], OPENAI_API_KEY: "sk-example", OPENAI_BASE_URL: server.baseUrl },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
  return { code, stdout, stderr, server, file: (name) => readFileSync(join(cwd, name), "utf8") }
}

describe("examples", () => {
  it("all have an expectation", () => expect(readdirSync(folder).toSorted()).toEqual(Object.keys(expectations)))

  it.each(Object.entries(expectations))("%s", async (example, { check, script }) => {
    const result = await run(example, script)
    expect(result.stderr).not.toMatch(/Error|Warning/)
    expect(result.code, result.stderr).toBe(0)
    check(result)
  })

  it.each(["01_quickstart.ts", "08_collect.ts", "09_plain_typescript.ts"])(
    "%s fails, and says why, where the key is wrong",
    async (example) => {
      const result = await run(example, [ChatServer.failure(401, {}, { code: "invalid_api_key" })])
      expect(result.code).not.toBe(0)
      expect(result.stdout + result.stderr).toMatch(/Authentication|OPENAI_API_KEY/)
      expect(result.stdout + result.stderr).not.toContain("sk-example")
    }
  )
})
