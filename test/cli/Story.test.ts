import { describe, expect, it } from "vitest"
import * as Story from "../../src/cli/Story.ts"

const seeds = Array.from({ length: 500 }, (_, i) => i - 50)

describe("Story", () => {
  it("is the same for the same seed, and another for each other seed", () => {
    const told = (seed: number) => Story.make({ seed, topic: "tea" })
    expect(seeds.map(told)).toEqual(seeds.map(told))
    expect(new Set(seeds.map(told)).size).toBe(seeds.length)
  })

  it("is several whole sentences about the word it is given", () => {
    for (const seed of seeds) {
      const story = Story.make({ seed, topic: "dragon" })
      expect(story).toContain("dragon")
      expect(story.match(/[.!?]/g)!.length).toBeGreaterThan(6)
      expect(story).toMatch(/^[A-Z].*[.”]$/s)
      expect(story).not.toMatch(/undefined|\bnull\b|NaN| {2}|\s[.,;]|\ba (?!one-)[aeiou]/)
    }
  })

  it("comes in words which are the text when joined", () => {
    for (const seed of seeds) {
      const story = Story.make({ seed, topic: "tea" })
      const tokens = Story.tokens(story)
      expect(tokens.join("")).toBe(story)
      expect(tokens.every((token) => /^\s*\S+$/.test(token))).toBe(true)
    }
  })

  it.each([
    ["Tell me a story about a dragon who bakes", "dragon"],
    ["Please summarise:\n\nThe lighthouse at noon", "lighthouse"],
    ["Tell me a story", "story"],
    ["\u001b[31mred", "31mred"],
    ["???", "once"],
    ["", "once"],
    ["一".repeat(100), "一".repeat(24)]
  ])("takes the word of %j", (prompt, topic) => {
    expect(Story.topicOf(prompt)).toBe(topic)
  })
})
