import * as LlmUsage from "effect-rill/LlmUsage"
import { expect, it } from "vitest"

const exact = (inputTokens: number, outputTokens: number): LlmUsage.LlmUsage => ({
  source: "exact",
  inputTokens,
  outputTokens,
  raw: { some: "object" }
})

it("counts are added, each where it was told", () => {
  expect(LlmUsage.sum([exact(1, 2), { ...exact(10, 20), reasoningTokens: 5, cacheReadTokens: 7 }])).toEqual({
    source: "exact",
    inputTokens: 11,
    outputTokens: 22,
    reasoningTokens: 5,
    cacheReadTokens: 7
  })
})

it("nothing used is exactly nothing", () => {
  expect(LlmUsage.sum([])).toEqual({ source: "exact", inputTokens: 0, outputTokens: 0 })
})

it("one estimate makes an estimate", () => {
  const estimate = LlmUsage.estimate({ input: 8, output: 4 })
  expect(LlmUsage.sum([exact(1, 2), estimate])).toEqual({ source: "estimated", inputTokens: 3, outputTokens: 3 })
})

it("a count that one of them did not tell makes an estimate: the sum is too small", () => {
  expect(LlmUsage.sum([exact(1, 2), { source: "exact", outputTokens: 3 }])).toEqual({
    source: "estimated",
    inputTokens: 1,
    outputTokens: 5
  })
  // None tells what came in: what came out is exact.
  expect(LlmUsage.sum([{ source: "exact", outputTokens: 3 }])).toEqual({ source: "exact", outputTokens: 3 })
})
