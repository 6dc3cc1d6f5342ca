import * as Models from "../../src/cli/Models.ts"
import * as Providers from "../../src/provider/Providers.ts"
import { describe, expect, it } from "vitest"

type Env = Readonly<Record<string, string>>

const endpoint = { AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com" }

describe("a line", () => {
  it.each([
    ["openai", {}, "OPENAI_API_KEY", "not set"],
    ["openai", { OPENAI_API_KEY: "k" }, "OPENAI_API_KEY", "set"],
    ["google", {}, "GOOGLE_API_KEY", "not set"],
    ["google", { GEMINI_API_KEY: "k" }, "GEMINI_API_KEY", "set"],
    ["ollama", {}, "OLLAMA_HOST", "optional"],
    ["ollama", { OLLAMA_HOST: "h" }, "OLLAMA_HOST", "set"],
    ["ollama", { OLLAMA_API_KEY: "k" }, "OLLAMA_API_KEY", "set"],
    ["groq", {}, "GROQ_API_KEY", "not set"],
    ["groq", { GROQ_API_KEY: "k" }, "GROQ_API_KEY", "set"],
    ["vllm", {}, "VLLM_API_KEY", "optional"],
    ["azure", {}, "AZURE_OPENAI_API_KEY", "not set"],
    ["azure", endpoint, "AZURE_OPENAI_API_KEY", "not set"],
    ["azure", { AZURE_OPENAI_AD_TOKEN: "t" }, "AZURE_OPENAI_ENDPOINT", "not set"],
    ["azure", { ...endpoint, AZURE_OPENAI_AD_TOKEN: "t" }, "AZURE_OPENAI_AD_TOKEN", "set"]
  ] as ReadonlyArray<readonly [string, Env, string, string]>)("%s with %j", (name, env, variable, state) => {
    expect(Models.line(Providers.find(name)!, (name) => env[name])).toMatchObject({ provider: name, variable, state })
  })
})

describe("on a terminal", () => {
  const lines = Models.aligned(Providers.all.map((provider) => Models.line(provider, () => undefined)))

  it("they stand in columns, under a heading, and fit", () => {
    expect(lines).toHaveLength(Providers.all.length + 1)
    const [heading, ...rest] = lines
    expect(heading).toMatch(/^PROVIDER {2,}VARIABLE {2,}/)
    const column = heading!.indexOf("VARIABLE")
    for (const line of rest) expect(line.slice(column - 1)).toMatch(/^ [A-Z]/)
    for (const line of lines) {
      expect(line.length).toBeLessThanOrEqual(80)
      expect(line).toBe(line.trimEnd())
      expect(line).not.toMatch(/https:|www\./)
    }
  })
})
