/**
 * Finds secrets in bytes, however they are spelled: as they are, and as base64, each character as it
 * is, as JSON escapes it (once, or in JSON within JSON), as a URL or a form encodes it, as HTML does.
 *
 * By hand, since a regular expression of all the spellings of a long key takes seconds to compile.
 *
 * @internal
 */
import * as Base64 from "effect/encoding/Base64"
import { concealed } from "../../wire/Concealment.ts"
import { type Edit, utf8 } from "./MarkedBytes.ts"

/** The characters that stand for each character of a secret, but for escapes: `+` and `-` in base64. */
type Needle = ReadonlyArray<string>

export class Spellings {
  private readonly needles: ReadonlyArray<Needle>
  /** What a secret may begin with. */
  private readonly begins: ReadonlySet<string>

  constructor(secrets: Iterable<string>) {
    this.needles = [...secrets].flatMap(needlesOf)
    this.begins = new Set(this.needles.flatMap((needle) => [...needle[0]!, "\\", "%", "&"]))
  }

  /** The places, in their order; of several at one place the longest. */
  *find(bytes: string): Generator<Edit> {
    if (this.needles.length === 0) return
    for (let start = 0; start < bytes.length;) {
      const end = this.begins.has(bytes[start]!) ? this.endOf(bytes, start) : start
      if (end === start) {
        start++
        continue
      }
      yield { start, end, bytes: concealed }
      start = end
    }
  }

  private endOf(bytes: string, start: number): number {
    let longest = start
    for (const needle of this.needles) {
      // A spelling may be read in several ways: `%2525` is `%`, `%25` or `%2525`.
      let ends = new Set([start])
      for (let i = 0; i < needle.length && ends.size > 0; i++) {
        const next = new Set<number>()
        for (const at of ends) for (const character of needle[i]!) addEnds(bytes, at, character, next)
        ends = next
      }
      for (const end of ends) longest = Math.max(longest, end)
    }
    return longest
  }
}

/** So deep may JSON be in JSON, with a backslash more than doubled each time, and URLs in URLs. */
const maxBackslashes = 16
const maxPercents = 4

/** Adds the places at which a spelling of the character that begins here may end. */
const addEnds = (bytes: string, start: number, character: string, ends: Set<number>): void => {
  const first = bytes[start]
  if (first === character || (first === "+" && character === " ")) ends.add(start + 1)
  if (first === "\\") {
    for (let at = start; bytes[at] === "\\" && at - start < maxBackslashes; at++) {
      if (bytes[at + 1] === character) ends.add(at + 2)
      else if (bytes.startsWith("u00", at + 1) && isHex(bytes, at + 4, character)) ends.add(at + 6)
    }
  } else if (first === "%") {
    for (let at = start + 1; at - start <= 2 * maxPercents + 1; at += 2) {
      if (isHex(bytes, at, character)) ends.add(at + 2)
      if (!bytes.startsWith("25", at)) break
    }
  } else if (first === "&") {
    entity.lastIndex = start
    const [whole, decimal, hexadecimal, name] = entity.exec(bytes) ?? [""]
    const code = decimal !== undefined ? Number(decimal) : hexadecimal !== undefined ? parseInt(hexadecimal, 16) : -1
    if (whole !== "" && (code === character.charCodeAt(0) || names[name ?? ""] === character)) {
      ends.add(start + whole.length)
    }
  }
}

const isHex = (bytes: string, at: number, character: string): boolean => {
  const digits = bytes.slice(at, at + 2)
  return /^[0-9a-fA-F]{2}$/.test(digits) && parseInt(digits, 16) === character.charCodeAt(0)
}

const entity = /&(?:#(\d{1,4})|#[xX]([0-9a-fA-F]{1,4})|([a-z]{2,4}));/y

const names: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const needlesOf = (secret: string): ReadonlyArray<Needle> => [Array.from(utf8(secret)), ...inBase64(secret)]

/**
 * What is always the same in base64 of a text that contains the secret: it depends on where among the
 * groups of three bytes the secret begins, and its ends mix with what is around it.
 */
const inBase64 = (secret: string): ReadonlyArray<Needle> =>
  [0, 2, 3].map((mixed, offset) => {
    const bytes = new TextEncoder().encode(" ".repeat(offset) + secret)
    const core = Base64.encode(bytes).slice(mixed, Math.floor((bytes.length * 8) / 6))
    // The alphabet of URLs has other letters for two of the 64.
    return Array.from(core, (letter) => (letter === "+" ? "+-" : letter === "/" ? "/_" : letter))
  })
