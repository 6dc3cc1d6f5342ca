/** The command as a process, with each provider: against a third party's server of all their wires. */
import { LLMock } from "@copilotkit/aimock"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Providers from "../../src/provider/Providers.ts"
import * as FakeOllama from "./FakeOllama.ts"
import { rill } from "./Rill.ts"

/** A process takes most of a second to start, and several start at once. */
const patient = { timeout: 60_000 }

const secret = "sk-test-NEVER-TO-BE-SEEN"

const server = new LLMock({ port: 0, chunkSize: 5 })
beforeAll(async () => {
  server
    .onMessage("story", { content: "Once upon a time." })
    .onMessage("key", { error: { message: `Not this key: ${secret}`, type: "authentication_error" }, status: 401 })
  await server.start()
})
afterAll(() => server.stop())

const providers = {
  "anthropic/claude-haiku-4-5": () => ({ ANTHROPIC_BASE_URL: server.url, ANTHROPIC_API_KEY: secret }),
  "google/gemini-2.5-flash": () => ({ GOOGLE_GEMINI_BASE_URL: server.url, GEMINI_API_KEY: secret }),
  "ollama/llama3.2": () => ({ OLLAMA_HOST: server.url, OLLAMA_API_KEY: secret }),
  "azure/our-gpt": () => ({
    AZURE_OPENAI_ENDPOINT: server.url,
    AZURE_OPENAI_API_KEY: secret,
    OPENAI_API_VERSION: "2024-10-21"
  }),
  "openai/gpt-5-mini": () => ({ OPENAI_BASE_URL: `${server.url}/v1`, OPENAI_API_KEY: secret })
}

describe.concurrent.each(Object.entries(providers))("--model %s", patient, (model, env) => {
  it("answers, and says which variable the key that is refused came from", async () => {
    const [told, refused] = await Promise.all([
      rill(["--model", model, "Tell me a story"], { env: env() }),
      rill(["--model", model, "Is this the key?"], { env: env() })
    ])
    expect(told).toEqual({ code: 0, stdout: "Once upon a time.", stderr: "" })
    expect(refused).toMatchObject({ code: 1, stdout: "" })
    const variable = Object.keys(env()).find((name) => name.endsWith("_API_KEY"))
    expect(refused.stderr).toMatch(
      new RegExp(`^rill: \\S+: Authentication: .*The key is read from .*${variable}.*\\n$`)
    )
    expect(refused.stderr).not.toContain("NEVER")
  })
})

describe.concurrent("without --model", patient, () => {
  it("asks an Ollama that answers, and says so once", async () => {
    await using ollama = await FakeOllama.start([{ name: "qwen3:8b", modified_at: "2026-01-01T00:00:00Z" }])
    expect(await rill(["hi"], { env: { OLLAMA_HOST: ollama.host } })).toEqual({
      code: 0,
      stdout: "Hello",
      stderr: `rill: no model is named: this is ollama/qwen3:8b, of the Ollama at http://${ollama.host}.\n`
    })
  })
})

describe.concurrent("rill models", patient, () => {
  const env = {
    ANTHROPIC_AUTH_TOKEN: secret,
    GEMINI_API_KEY: secret,
    AZURE_OPENAI_API_KEY: secret,
    OPENAI_API_KEY: " "
  }

  it("prints a line for each provider, of fields between tabs, and no value", async () => {
    const { code, stderr, stdout } = await rill(["models"], { env: { ...env, OLLAMA_HOST: "" } })
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const lines = stdout.trimEnd().split("\n")
    expect(lines.slice(0, 5)).toEqual([
      "openai\tOPENAI_API_KEY\tnot set\tgpt-4.1-mini",
      "anthropic\tANTHROPIC_AUTH_TOKEN\tset\tclaude-haiku-4-5",
      "google\tGEMINI_API_KEY\tset\tgemini-2.5-flash",
      "ollama\tOLLAMA_HOST\toptional\thttps://ollama.com/library",
      "azure\tAZURE_OPENAI_ENDPOINT\tnot set\thttps://ai.azure.com"
    ])
    expect(lines).toHaveLength(Providers.all.length)
    expect(stdout).not.toContain("NEVER")
  })

  it("prints them as JSON", async () => {
    const { code, stdout } = await rill(["models", "--json"], { env })
    expect(code).toBe(0)
    const lines: ReadonlyArray<unknown> = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(lines.slice(1, 2)).toEqual([
      {
        provider: "anthropic",
        variable: "ANTHROPIC_AUTH_TOKEN",
        state: "set",
        defaultModel: "claude-haiku-4-5",
        models: expect.stringMatching(/^https:/)
      }
    ])
    expect(lines).toHaveLength(Providers.all.length)
  })

  it.each([
    ["models of cars", ["models of cars"]],
    ["models of cars", ["models", "of", "cars"]],
    ["models of cars", ["--max-tokens", "9", "models", "of", "cars", "--temperature", "1"]],
    ["models", ["--", "models"]]
  ] as const)("lets %j be a prompt: %j", async (prompt, args) => {
    await using ollama = await FakeOllama.start([{ name: "qwen3:8b" }])
    const { code, stdout } = await rill([...args, "--json"].slice(0, args[0] === "--" ? 2 : undefined), {
      env: { OLLAMA_HOST: ollama.host }
    })
    expect(code).toBe(0)
    expect(stdout).toContain("Hello")
    expect(ollama.prompts).toEqual([prompt])
  })

  it("takes a word that is nearly its name for it", async () => {
    for (const args of [["model"], ["--json", "models"]]) {
      // oxlint-disable-next-line no-await-in-loop
      const { code, stderr } = await rill(args)
      expect(code).toBe(2)
      expect(stderr).toBe(`rill: did you mean rill models? To send it as a prompt: rill -- ${args.at(-1)}\n`)
    }
  })
})
