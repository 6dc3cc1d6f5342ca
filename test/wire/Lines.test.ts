import * as Framing from "effect-rill/wire/Framing"
import { Lines } from "effect-rill/wire/Lines"
import { afterEach, describe, expect, it, vi } from "vitest"

afterEach(() => void vi.restoreAllMocks())

const linesOf = (pieces: ReadonlyArray<string>, cr = true): ReadonlyArray<string> => {
  const lines = new Lines(cr)
  const out: Array<string> = []
  for (const piece of pieces) {
    lines.feed(piece)
    for (let line = lines.next(); line !== undefined; line = lines.next()) out.push(line)
  }
  const rest = lines.rest()
  return rest === undefined ? out : [...out, `${rest} (rest)`]
}

describe("Lines", () => {
  const text = "a\nbc\r\n\r\nd\re\r\r\nf\n\rg\u2028h\n\nlast"
  const whole = ["a", "bc", "", "d", "e", "", "f", "", "g\u2028h", "", "last (rest)"]

  it("end with LF, CRLF or CR", () => expect(linesOf([text])).toEqual(whole))

  it("are the same wherever the text is cut, twice", () => {
    for (let i = 0; i <= text.length; i++) {
      for (let j = i; j <= text.length; j++) {
        expect(linesOf([text.slice(0, i), text.slice(i, j), text.slice(j)]), `cut at ${i} and ${j}`).toEqual(whole)
      }
    }
  })

  it("of NDJSON end with LF only", () => expect(linesOf(["a\rb\r\nc\n"], false)).toEqual(["a\rb\r", "c"]))
})

// Law 10: linear. Characters looked at, not time, so that a noisy machine does not matter.
describe("a line of 1 MB in pieces of 200", () => {
  const frame = { event: "", data: "", value: undefined }
  const work = (make: () => Framing.Framing, pieces: ReadonlyArray<string>): number => {
    let characters = 0
    const indexOf = vi.spyOn(String.prototype, "indexOf").mockImplementation(function (this: string, search, from = 0) {
      characters += this.length - from
      // oxlint-disable-next-line unicorn/prefer-includes, unicorn/prefer-string-starts-ends-with
      return from >= this.length ? -1 : searchFrom(this, search, from)
    })
    const join = vi.spyOn(Array.prototype, "join").mockImplementation(function (this: ReadonlyArray<string>) {
      let joined = ""
      for (const piece of this) joined += piece
      characters += joined.length
      return joined
    })
    const framing = make()
    let found = 0
    for (const piece of pieces) {
      framing.feed(piece)
      while (framing.next(frame)) found++
    }
    indexOf.mockRestore()
    join.mockRestore()
    expect(found).toBe(1)
    expect(frame.data.length).toBe(1_000_000)
    return characters
  }
  const searchFrom = (text: string, search: string, from: number): number => {
    const code = search.charCodeAt(0)
    for (let i = from; i < text.length; i++) if (text.charCodeAt(i) === code) return i
    return -1
  }
  const body = "x".repeat(1_000_000)
  const cut = (text: string) => text.match(/[\s\S]{1,200}/g)!

  it.each([
    ["SSE", Framing.sse, `data: ${body}\n\n`],
    ["NDJSON", Framing.ndjson, `${body}\n`]
  ])("of %s is looked at no more than three times as often as in one piece", (_, make, text) => {
    const inOne = work(make, [text])
    expect(work(make, cut(text))).toBeLessThan(3 * inOne)
  })
})
