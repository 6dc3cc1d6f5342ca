import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { KnownShapes, maxKinds } from "effect-rill/wire/KnownShapes"
import { LearnedShape } from "effect-rill/wire/LearnedShape"
import { afterEach, describe, expect, it, vi } from "vitest"
import { random } from "../support/random.ts"

afterEach(() => void vi.restoreAllMocks())

const quoted = JSON.stringify

const chat = (answer: number, piece: string): string =>
  `{"id":"chatcmpl-${answer}","object":"chat.completion.chunk","created":${1_700_000_000 + answer},"choices":[{"index":0,"delta":{"content":${piece}},"finish_reason":null}]}`

/** Reads the lines of one answer; gives how many were parsed in full. */
const read = (known: KnownShapes, lines: ReadonlyArray<string>): number => {
  const learned = new LearnedShape(known)
  const spy = vi.spyOn(JSON, "parse")
  const values = lines.map((line) => learned.parse(line))
  const parsed = spy.mock.calls.filter(([text]) => lines.includes(text)).length
  spy.mockRestore()
  for (const [i, line] of lines.entries()) {
    // In this order of keys, too.
    expect(quoted(values[i])).toBe(quoted(JSON.parse(line)))
  }
  return parsed
}

const words = ['"a"', '" b"', '"line\\n"', '""', '"longer than what is copied"']
const answer = (of: (answer: number, piece: string) => string, number: number) => words.map((word) => of(number, word))

describe("what is an answer's own", () => {
  it("is told by two of them: of a third, no line is parsed", () => {
    const known = new KnownShapes()
    expect(read(known, answer(chat, 1))).toBe(2)
    expect(read(known, answer(chat, 2))).toBe(2)
    for (let i = 3; i < 10; i++) expect(read(known, answer(chat, i))).toBe(0)
  })

  it.each<readonly [string, (i: number) => string]>([
    ["a quote", (i) => quoted(`"${i}"`)],
    ["an escape that need not be one", (i) => `"a\\/${i}"`],
    ["a line break", (i) => quoted(`${i}\n`)],
    ["a large number", (i) => String(99_999_999_999_990 + i)],
    ["a number, then none", (i) => (i % 2 === 0 ? "7" : "1.5")],
    ["a string, then a number", (i) => (i % 2 === 0 ? "7" : '"7"')],
    ["nothing, then a string", (i) => (i % 3 === 0 ? "null" : '"fp"')],
    ["of another length each time", (i) => quoted("x".repeat(i))]
  ])("may be %s", (_, own) => {
    const known = new KnownShapes()
    for (let i = 0; i < 12; i++) {
      read(
        known,
        words.map((word) => `{"own":${own(i)},"text":${word},"other":${own(i + 1)}}`)
      )
    }
  })

  it("may vary from line to line in the next answer", () => {
    const known = new KnownShapes()
    for (let i = 1; i < 5; i++) read(known, answer(chat, i))
    const lines = words.map((word, i) => chat(100 + i, word))
    const find = vi.spyOn(known, "find")
    expect(read(known, lines)).toBe(0)
    // The second line tells that it does, to this answer and to those after it.
    expect(find).toHaveBeenCalledTimes(2)
    expect(read(known, answer(chat, 9))).toBe(0)
    expect(
      read(
        known,
        words.map((word, i) => chat(200 + i, word))
      )
    ).toBe(0)
    expect(find).toHaveBeenCalledTimes(4)
  })

  it("may be spelled as JSON need not spell it", () => {
    const known = new KnownShapes()
    const line = (id: number, word: string) => `{"id":"a\\/${id}","text":${word}}`
    for (const id of [1, 2]) read(known, answer(line, id))
    const find = vi.spyOn(known, "find")
    expect(read(known, answer(line, 3))).toBe(0)
    expect(find).toHaveBeenCalledTimes(2)
  })

  it("is not forgotten where answers agree in it", () => {
    const known = new KnownShapes()
    const of = (id: number, tier: string) => words.map((word) => `{"id":"${id}","tier":"${tier}","text":${word}}`)
    expect(read(known, of(1, "a"))).toBe(2)
    expect(read(known, of(2, "a"))).toBe(2)
    expect(read(known, of(1, "b"))).toBe(2)
    expect(read(known, of(4, "c"))).toBe(0)
  })

  it("is not what varies from line to line, also where it did not in an answer between", () => {
    const known = new KnownShapes()
    const line = (id: number, pad: string, word: string) => `{"id":"${id}","pad":"${pad}","text":"${word}"}`
    read(known, [line(1, "x", "a"), line(1, "xx", "b"), line(1, "xxx", "c")])
    read(known, [line(2, "x", "a"), line(2, "x", "b"), line(2, "x", "c")])
    const first = line(3, "xx", "a")
    const learned = new LearnedShape(known)
    learned.parse(first)
    const template = learned.template(first, () => `${first}\n`, ["text"], new Set(["pad"]))
    const next = `${line(3, "xxxxx", "b")}\n`
    expect(template?.match(next, 0)).toBe(next.length)
    expect(template?.found).toBe("b")
    expect(template?.match(`${line(4, "xxxxx", "b")}\n`, 0)).toBe(-1)
  })

  it("is a part of what is learned on", () => {
    const known = new KnownShapes()
    const line = (id: number, tier: string, word: string) => `{"id":"${id}","tier":"${tier}","text":"${word}"}`
    for (const id of [1, 2]) read(known, [line(id, "x", "a"), line(id, "x", "b")])
    const learned = new LearnedShape(known)
    for (const [tier, word] of [
      ["x", "a"],
      ["y", "b"]
    ] as const) {
      learned.parse(line(3, tier, word))
    }
    const last = line(3, "y", "b")
    const template = learned.template(last, () => `${last}\n`, ["text"], new Set(["tier"]))
    const next = `${line(3, "z", "c")}\n`
    expect(template?.match(next, 0)).toBe(next.length)
  })

  it("is asked for once in an answer", () => {
    const known = new KnownShapes()
    for (const id of [1, 2]) read(known, answer(chat, id))
    const find = vi.spyOn(known, "find")
    read(known, answer(chat, 3))
    expect(find).toHaveBeenCalledTimes(1)
  })

  it("is as it is spelled by lines that were learned, and by no others", () => {
    const known = new KnownShapes()
    for (let i = 1; i < 5; i++) read(known, answer(chat, i))
    const learned = new LearnedShape(known)
    learned.parse(chat(5, '"a"'))
    for (const line of [chat(5, "1"), chat(5, '"x'), chat(5, '"a"').replace("id", "ID"), chat(5, '"a"').slice(0, -1)]) {
      let expected: unknown
      try {
        expected = JSON.parse(line)
      } catch {
        expected = undefined
      }
      expect(learned.parse(line)).toEqual(expected)
    }
  })
})

describe("kinds of line", () => {
  const kind = (name: string) => (answer: number, piece: string) => `{"${name}":${piece},"id":"${answer}"}`

  it(`are known apart, up to ${maxKinds} of them`, () => {
    const known = new KnownShapes()
    const kinds = ["a", "b", "c", "d"].map(kind)
    for (const number of [1, 2]) for (const of of kinds) read(known, answer(of, number))
    for (const of of kinds) expect(read(known, answer(of, 3))).toBe(0)
    // One more takes the place of the oldest.
    for (const number of [4, 5]) read(known, answer(kind("e"), number))
    expect(read(known, answer(kind("e"), 6))).toBe(0)
    expect(read(known, answer(kind("d"), 6))).toBe(0)
    expect(read(known, answer(kind("a"), 6))).toBe(2)
  })

  it("may change, as with a new version of the server", () => {
    const known = new KnownShapes()
    for (let i = 1; i < 4; i++) read(known, answer(chat, i))
    const next = (i: number, piece: string) => chat(i, piece).replace('"choices"', '"tier":"x","choices"')
    expect(read(known, answer(next, 4))).toBe(2)
    read(known, answer(next, 5))
    expect(read(known, answer(next, 6))).toBe(0)
    expect(read(known, answer(chat, 7))).toBe(0)
  })

  it("with more that varies than is worth it are parsed", () => {
    const known = new KnownShapes()
    const many = (i: number, piece: string) =>
      `{${Array.from({ length: 9 }, (_, at) => `"k${at}":"${i}"`).join(",")},"text":${piece}}`
    for (let i = 0; i < 5; i++) expect(read(known, answer(many, i))).toBe(2)
  })

  it.each([1, 2, 3, 4, 5])("that nobody expects are read as they are, seed %i", (seed) => {
    const known = new KnownShapes()
    for (let number = 0; number < 60; number++) {
      const { chance, of } = random(seed * 1000 + number)
      const envelope = of([chat, kind("a"), kind("b"), kind("c"), kind("d"), kind("e")])
      read(
        known,
        Array.from({ length: 12 }, () => {
          const line = envelope(chance(0.1) ? 1 : number, of([...words, "7", "null", "[]", '"\\ud83d"']))
          return chance(0.1) ? line.replace(":", of([" :", ": ", ' : "x", "y" : '])) : line
        })
      )
    }
  })
})

it("what is kept does not hold the texts that it came in", () => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc") as () => void
  const kept = Array.from({ length: 20 }, () => new KnownShapes())
  gc()
  const before = process.memoryUsage().heapUsed
  for (const known of kept) {
    for (const number of [1, 2, 3]) {
      const text = `${answer(chat, number).join("\n")}\n${"x".repeat(1_000_000)}`
      const learned = new LearnedShape(known)
      for (const line of text.split("\n").slice(0, -1)) learned.parse(line)
    }
  }
  gc()
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(5_000_000)
  expect(kept.length).toBe(20)
})
