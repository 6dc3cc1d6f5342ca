import * as Framing from "effect-rill/wire/Framing"
import { Lines } from "effect-rill/wire/Lines"
import { afterEach, describe, expect, it, vi } from "vitest"
import { bytes, pieces } from "../support/decodeBytes.ts"

afterEach(() => void vi.restoreAllMocks())

const linesOf = (pieces: ReadonlyArray<Uint8Array>, cr = true): ReadonlyArray<string> => {
  const lines = new Lines(cr)
  const out: Array<string> = []
  for (const piece of pieces) {
    lines.feed(piece)
    for (let line = lines.next(); line !== undefined; line = lines.next()) out.push(line)
  }
  const rest = lines.rest()
  return rest === undefined ? out : [...out, `${rest} (rest)`]
}

const cutAt = (body: Uint8Array, ...at: ReadonlyArray<number>): ReadonlyArray<Uint8Array> =>
  [0, ...at].map((start, i) => body.subarray(start, at[i] ?? body.length))

describe("Lines", () => {
  const text = bytes("\ufeffa\nbc\r\n\r\nd\re\r\r\nf\n\rg\u2028h é😀\n\n\ufefflast é")
  const whole = ["a", "bc", "", "d", "e", "", "f", "", "g\u2028h é😀", "", "\ufefflast é (rest)"]

  it("end with LF, CRLF or CR", () => expect(linesOf([text])).toEqual(whole))

  it("are the same wherever the bytes are cut, twice", () => {
    for (let i = 0; i <= text.length; i++) {
      for (let j = i; j <= text.length; j++) expect(linesOf(cutAt(text, i, j)), `cut at ${i} and ${j}`).toEqual(whole)
    }
  })

  it("of NDJSON end with LF only", () => expect(linesOf([bytes("a\rb\r\nc\n")], false)).toEqual(["a\rb\r", "c"]))

  it("that are not UTF-8 have replacement characters, the same wherever they are cut", () => {
    const bad = new Uint8Array([0x61, 0xe2, 0x82, 0x0a, 0xf0, 0x9f, 0x0a])
    for (let i = 0; i <= bad.length; i++) expect(linesOf(cutAt(bad, i))).toEqual(["a\ufffd", "\ufffd"])
  })
})

// Law 10: linear. Bytes looked at, not time, so that a noisy machine does not matter.
describe("a line of 1 MB in pieces of 200 bytes", () => {
  const frame = { event: "", data: "", value: undefined }
  const work = (make: () => Framing.Framing, pieces: ReadonlyArray<Uint8Array>): number => {
    let looked = 0
    const decode = TextDecoder.prototype.decode
    vi.spyOn(TextDecoder.prototype, "decode").mockImplementation(function (this: TextDecoder, input, options) {
      looked += (input as Uint8Array).length
      return decode.call(this, input, options)
    })
    const set = Uint8Array.prototype.set
    vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (this: Uint8Array, from, at) {
      looked += from.length
      return set.call(this, from, at)
    })
    const framing = make()
    let found = 0
    for (const piece of pieces) {
      // Each byte is looked at for a line's end.
      looked += piece.length
      framing.feed(piece)
      while (framing.next(frame)) found++
    }
    vi.restoreAllMocks()
    expect(found).toBe(1)
    expect(frame.data.length).toBe(1_000_000)
    return looked
  }
  const body = "x".repeat(1_000_000)

  it.each([
    ["SSE", Framing.sse, bytes(`data: ${body}\n\n`)],
    ["NDJSON", Framing.ndjson, bytes(`${body}\n`)]
  ])("of %s is looked at no more than three times as often as in one piece", (_, make, whole) => {
    expect(
      work(
        make,
        pieces(whole, () => 200)
      )
    ).toBeLessThan(3 * work(make, [whole]))
  })
})
