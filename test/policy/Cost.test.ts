import * as Cost from "effect-rill/policy/Cost"
import { describe, expect, it } from "vitest"

const price: Cost.Price = { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 }

describe("of", () => {
  it("is the money for a million tokens of each kind", () => {
    expect(Cost.of({ source: "exact", inputTokens: 1_000_000 }, price)).toBe(3)
    expect(Cost.of({ source: "exact", outputTokens: 1_000_000 }, price)).toBe(15)
    expect(Cost.of({ source: "exact", inputTokens: 1000, outputTokens: 100 }, price)).toBeCloseTo(0.0045, 12)
  })

  it("prices what the cache read and wrote by itself, not twice", () => {
    const usage = { source: "exact", inputTokens: 1000, cacheReadTokens: 600, cacheWriteTokens: 300 } as const
    expect(Cost.of(usage, price)).toBeCloseTo((100 * 3 + 600 * 0.3 + 300 * 3.75) / 1e6, 12)
  })

  it("prices the cache as input where it has no price of its own", () => {
    const usage = { source: "exact", inputTokens: 1000, cacheReadTokens: 600, cacheWriteTokens: 300 } as const
    expect(Cost.of(usage, { input: 3, output: 15 })).toBeCloseTo(0.003, 12)
  })

  it("counts reasoning once: it is among the output", () => {
    expect(Cost.of({ source: "exact", outputTokens: 100, reasoningTokens: 80 }, price)).toBeCloseTo(0.0015, 12)
  })

  it("is never less than what the cache costs", () => {
    expect(Cost.of({ source: "exact", inputTokens: 10, cacheReadTokens: 1000 }, price)).toBeCloseTo(0.0003, 12)
    expect(Cost.of({ source: "exact" }, price)).toBe(0)
  })
})

describe("find", () => {
  const [exact, bare, versioned, rest] = [1, 2, 3, 4].map((input) => ({ input, output: 0 })) as [
    Cost.Price,
    Cost.Price,
    Cost.Price,
    Cost.Price
  ]
  const prices: Cost.Prices = {
    "openai/gpt-4o": exact,
    "gpt-4o": bare,
    "gpt-4o-2024-05-13": versioned,
    "ollama/*": rest
  }

  it.each([
    [{ provider: "openai", model: "gpt-4o" }, exact],
    [{ provider: "azure", model: "gpt-4o" }, bare],
    [{ model: "gpt-4o" }, bare],
    [{ provider: "openai", model: "gpt-4o-2024-08-06" }, exact],
    [{ provider: "openai", model: "gpt-4o-2024-05-13" }, versioned],
    [{ provider: "azure", model: "gpt-4o-20240806" }, bare],
    [{ provider: "azure", model: "gpt-4o@20240806" }, bare],
    [{ provider: "azure", model: "gpt-4o-0806" }, bare],
    [{ provider: "azure", model: "gpt-4o-001" }, bare],
    [{ provider: "azure", model: "gpt-4o-latest" }, bare],
    [{ provider: "ollama", model: "llama3.2" }, rest],
    [{ provider: "ollama" }, rest],
    // Another model, not a version of one.
    [{ provider: "openai", model: "gpt-4o-mini" }, undefined],
    [{ provider: "openai", model: "gpt-4o-5" }, undefined],
    [{ provider: "openai" }, undefined],
    [{ model: "toString" }, undefined],
    [{}, undefined]
  ])("%j", (who, price) => {
    expect(Cost.find(prices, who)).toBe(price)
  })

  it("* is for all the rest", () => {
    const all = { ...prices, "*": exact }
    expect(Cost.find(all, { provider: "openai", model: "gpt-4o-mini" })).toBe(exact)
    expect(Cost.find(all, {})).toBe(exact)
    expect(Cost.find(all, { provider: "ollama" })).toBe(rest)
  })
})
