import { describe, expect, it } from "@effect/vitest"
import { type Ask, Seam, window } from "../../src/policy/internal/Seam.ts"

/** What is delivered of a continuation that comes in pieces of this many characters. */
const deliver = (before: string, after: string, ask: Ask, unsent = 0, size = after.length || 1) => {
  const seam = new Seam(before, ask, unsent)
  let out = ""
  for (let at = 0; at < after.length; at += size) {
    const text = seam.push(after.slice(at, at + size))
    if (text === undefined) continue
    out += text + after.slice(at + size)
    return out
  }
  return out + seam.end()
}

const fox = "The quick brown fox"
const paragraphs = "One two three.\n\nFour five six seven eight"

const cases: ReadonlyArray<
  readonly [name: string, before: string, after: string, message: string, prefill: string, unsent?: number]
> = [
  ["nothing is repeated", fox, " jumps", " jumps", " jumps"],
  ["inside a word", "hel", "lo", "lo", "lo"],
  ["letters that double by chance", "The ll", "lama", "lama", "lama"],
  ["the last word", fox, "fox jumps", " jumps", "fox jumps"],
  ["the last words", fox, "brown fox jumps", " jumps", "brown fox jumps"],
  ["the last words, which are many", paragraphs, "Four five six seven eight nine", " nine", " nine"],
  ["a long end that begins in a word", fox, "he quick brown fox jumps", " jumps", " jumps"],
  ["16 characters are long", "The quick brown fox", " quick brown fox jumps", " jumps", " jumps"],
  ["15 are not", "The quick brown fox", "quick brown fox jumps", " jumps", "quick brown fox jumps"],
  ["a short end that begins in a word", "I like foxes", "oxes", "oxes", "oxes"],
  ["a word whose beginning was the end", "The hel", "hello", "lo", "hello"],
  ["a word of fewer than three letters", "It is", "is so", "is so", "is so"],
  ["all of it", fox, `${fox} jumps`, " jumps", " jumps"],
  ["all of it, which is little", "I", "I think", " think", "I think"],
  ["all of it, which is no word", "- ", "- one", "one", "- one"],
  ["all of it and nothing more", fox, fox, "", ""],
  ["all of it after white space", fox, `\n\n${fox} jumps`, " jumps", " jumps"],
  ["a long end after white space", paragraphs, "\nFour five six seven eight nine", " nine", " nine"],
  ["the last word after white space, which may be said twice", "It is very", " very good", " very good", " very good"],
  ["white space alone", fox, " \n", " \n", " \n"],
  ["the beginning of an end", fox, "brown", "brown", "brown"],
  ["the longest of several", "no no no no no", "no no no no no, no", ", no", ", no"],
  [
    "another text that begins in the same way",
    fox,
    "The quick brown dog",
    "The quick brown dog",
    "The quick brown dog"
  ],
  ["a row of dashes goes on", "-".repeat(40), "-".repeat(20), "-".repeat(20), "-".repeat(20)],
  ["the last words without spaces between", "今日は雨です", "雨ですね", "ね", "雨ですね"],
  ["two such characters", "今日は雨です", "ですね", "ですね", "ですね"],
  ["white space that was not sent", `${fox} \n`, " \njumps", " \njumps", "jumps", 2],
  ["part of it", `${fox}\n\n`, "\njumps", "\njumps", "jumps", 2],
  ["less of it than comes", `${fox}\n`, "\n\njumps", "\n\njumps", "\njumps", 1],
  ["half of a character that was not sent", `${fox} \ud83d`, "\ud83d\ude00", "\ude00", "\ude00", 1]
]

describe("Seam", () => {
  for (const [name, before, after, message, prefill, unsent = 0] of cases) {
    it(name, () => {
      for (const size of [1, 2, 3, 7, after.length]) {
        // White space is kept back only from what is prefilled.
        const ofMessage = before.endsWith("\ud83d") ? unsent : 0
        expect(deliver(before, after, "message", ofMessage, size), `message, by ${size}`).toBe(message)
        expect(deliver(before, after, "prefill", unsent, size), `prefill, by ${size}`).toBe(prefill)
      }
    })
  }

  it("holds back no more than may be a repetition", () => {
    const seam = new Seam(fox, "message", 0)
    expect(seam.push("br")).toBeUndefined()
    expect(seam.isHolding).toBe(true)
    expect(seam.push("ead and")).toBe("bread and")
    expect(seam.isHolding).toBe(false)
    expect(new Seam(fox, "message", 0).push("x")).toBe("x")
  })

  it("finds no end that begins further back than its window, but all of the text", () => {
    const words = Array.from({ length: 1000 }, (_, i) => `w${i}`).join(" ")
    const near = words.lastIndexOf(" ", words.length - window + 1) + 1
    const far = words.lastIndexOf(" ", words.length - window - 8) + 1
    const inside = words.indexOf(" ", words.length - window) + 1
    expect(deliver(words, `${words.slice(inside)}!`, "message", 0, 5)).toBe("!")
    expect(deliver(words, `${words.slice(far)}!`, "message", 0, 5)).toBe(`${words.slice(far)}!`)
    expect(near).toBeLessThan(words.length - window + 8)
    expect(deliver(words, `${words}!`, "message", 0, 5)).toBe("!")
  })

  it("white space without end is not held", () => {
    const seam = new Seam(fox, "message", 0)
    expect(seam.push(" ".repeat(window))).toBeUndefined()
    expect(seam.push(" ")).toBe(" ".repeat(window + 1))
  })

  it("is linear: a long answer that begins anew in small deltas", () => {
    // A quadratic one would not be done in the time of a test.
    const text = Array.from({ length: 500_000 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(3)).join(" ")
    expect(deliver(text, `${text}!`, "message", 0, 3)).toBe("!")
  })
})
