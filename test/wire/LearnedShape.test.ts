import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as LearnedShape from "effect-rill/wire/LearnedShape"
import { afterEach, describe, expect, it, vi } from "vitest"
import { fractions } from "../support/random.ts"

const parse = JSON.parse

const inFull = (line: string): unknown => {
  try {
    return parse(line)
  } catch {
    return undefined
  }
}

/** Parses lines both ways; values must be the same, keys in the same order, and stay so. */
const agree = (lines: ReadonlyArray<string>): void => {
  const learned = new LearnedShape.LearnedShape()
  const values = lines.map((line) => {
    const value = learned.parse(line)
    expect(value, line).toEqual(inFull(line))
    return { value, text: JSON.stringify(value), line }
  })
  for (const { line, text, value } of values) {
    expect(JSON.stringify(value), line).toBe(text)
    expect(text, line).toBe(JSON.stringify(inFull(line)))
  }
}

afterEach(() => void vi.restoreAllMocks())

const chat = (i: number, delta: string): string =>
  `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"choices":[{"index":0,"delta":{"content":${delta}},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"${"x".repeat(i % 7)}"}`
const responses = (i: number, delta: string): string =>
  `{"type":"response.output_text.delta","sequence_number":${i},"item_id":"msg_1","output_index":0,"delta":${delta}}`
const padded = (i: number, delta: string): string =>
  ` { "type" : "content_block_delta" , "index" : ${i % 3} , "delta" : { "text" : ${delta} } } ${" ".repeat(i % 2)}`
const unevenlyPadded = (i: number, delta: string): string =>
  `{"type":"content_block_delta","delta":{"text":${delta}}${" ".repeat((i + 2) % 5)}}${" ".repeat((i + 1) % 3)}`

describe("both paths agree", () => {
  const folder = fileURLToPath(new URL("../fixtures/openai-chat/", import.meta.url))

  it.each(readdirSync(folder).filter((name) => name.endsWith(".sse")))("on the lines of %s", (name) => {
    const lines = readFileSync(folder + name, "utf8").split(/\r\n|\r|\n/)
    agree(lines.map((line) => line.replace(/^data: ?/, "")))
  })

  const hostile = [
    '"plain"',
    '""',
    '"a \\"quote\\""',
    '"back\\\\slash"',
    '"\\u0041"',
    '"\\ud83d"',
    '"tab\there"',
    '"line\nhere"',
    '"\u2028 and \ud83d\ude00 and \udc00 alone"',
    '"x","delta":"y"',
    '"x"}',
    '"unfinished',
    '"bad \\x escape"',
    '"\\u12"',
    '"ends in a backslash\\',
    '"\\"',
    '"\\n\\t\\/\\b\\f\\r\\\\"',
    '"tab after \\n\tescape"',
    "x",
    "null",
    "true",
    "0",
    "-0",
    "01",
    "1.50",
    "1e400",
    "12345678901234567890",
    "-",
    "[]",
    "{}",
    '["a"]',
    '{"content":"b"}',
    '"__proto__"'
  ]

  it.each([1, 2, 3, 4, 5, 6, 7, 8])("on generated and hostile envelopes, seed %i", (seed) => {
    const next = fractions(seed)
    const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(next() * from.length)]!
    const lines: Array<string> = []
    for (let i = 0; i < 1500; i++) {
      const envelope =
        next() < 0.8 ? [chat, responses, padded][Math.floor(i / 50) % 3]! : pick([chat, responses, padded])
      let line = envelope(i, next() < 0.6 ? JSON.stringify(` word ${i}`) : pick(hostile))
      if (next() < 0.1) {
        // Something else than a scalar changes.
        const at = Math.floor(next() * line.length)
        line =
          line.slice(0, at) + pick(["", '"', "\\", ",", "}", "{", "0", " ", "\u0000"]) + line.slice(at + pick([0, 1]))
      }
      if (next() < 0.02) line = line.slice(0, Math.floor(next() * line.length))
      lines.push(line)
    }
    agree(lines)
  })

  it("on arrays, also where one ends as an object does", () => {
    agree(['["a"]', '["b"]', '["c"]', '["d"}', '["e"]'])
  })

  it("on keys that repeat, are escaped or are __proto__", () => {
    const lines = (key: string) => [1, 2, 3, 4].map((i) => `{"a":"${i}",${key}:"${i * 10}","b":{"c":"${i}"}}`)
    agree([1, 2, 3, 4].map((i) => `{"a":"${i}","b":"${i * 10}","b":"same"}`))
    for (const key of ['"a"', '"\\u0061"', '"__proto__"', '"constructor"', '"0"', '""']) agree(lines(key))
    for (const line of lines('"__proto__"')) new LearnedShape.LearnedShape().parse(line)
    expect(({} as Record<string, unknown>)["a"]).toBeUndefined()
  })

  it("on numbers of every form where a whole number was learned", () => {
    const forms = [
      "1",
      "2",
      "3",
      "0",
      "007",
      "00",
      "-1",
      "-0",
      "1.5",
      "1e3",
      "1E+2",
      "999999999999999",
      "9007199254740993",
      "",
      "0x1",
      "1_0"
    ]
    agree(forms.map((form) => `{"n":${form},"m":"a"}`))
    agree(forms.map((form, i) => `{"n":${form},"m":"${i}"}`))
  })

  it("on nesting too deep to learn", () => {
    const deep = (i: number) => "[".repeat(500) + `"${i}"` + "]".repeat(500)
    agree([deep(1), deep(2), deep(3)])
  })
})

describe("the shape is used", () => {
  const countParses = (lines: ReadonlyArray<string>): number => {
    const spy = vi.spyOn(JSON, "parse")
    const learned = new LearnedShape.LearnedShape()
    for (const line of lines) learned.parse(line)
    return spy.mock.calls.length
  }
  const words = Array.from({ length: 500 }, (_, i) => JSON.stringify(` word ${i}`))

  it("and a string with escapes is parsed alone", () => {
    const spy = vi.spyOn(JSON, "parse")
    const learned = new LearnedShape.LearnedShape()
    for (let i = 0; i < 100; i++) learned.parse(chat(i, JSON.stringify(`\n"${i}"`)))
    const parsed = spy.mock.calls.slice(20).map(([text]) => text.length)
    expect(Math.max(...parsed)).toBeLessThan(20)
  })

  it.each([
    ["chat", chat],
    ["responses", responses],
    ["padded", padded],
    ["differently padded", unevenlyPadded]
  ])("for almost every line of a %s stream", (_, envelope) => {
    expect(countParses(words.map((word, i) => envelope(i, word)))).toBeLessThan(10)
  })

  it("for several kinds of line in turn", () => {
    const lines = words.flatMap((word, i) => [chat(i, word), responses(i, word), padded(i, word)])
    expect(countParses(lines)).toBeLessThan(60)
  })

  it("for what varied in other lines than the last two", () => {
    const line = (a: number, b: string) => `{"a":"${a}","b":"${b}"}`
    expect(countParses([line(1, "x"), line(2, "x"), line(2, "y")])).toBe(3)
    vi.restoreAllMocks()
    expect(countParses([line(1, "x"), line(2, "x"), line(2, "y"), line(3, "z")])).toBe(3)
  })

  it("and lines that never repeat are scanned for a while only", () => {
    const lines = words.map((word, i) => `{"key${i}":${word}}`)
    const spy = vi.spyOn(String.prototype, "charCodeAt")
    const learned = new LearnedShape.LearnedShape()
    for (const line of lines) learned.parse(line)
    expect(spy.mock.calls.length).toBeLessThan(64 * 200)
  })
})
