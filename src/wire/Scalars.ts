/**
 * The scalars of a line of JSON, by their places in its text and in its value.
 *
 * @since 0.1.0
 */
import type { Path } from "./Decoder.ts"
import { closingQuote, endOfNumber, QUOTE } from "./JsonText.ts"

/**
 * A string, a number or a literal.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scalar {
  readonly place: Place
  /** Of the scalar's text; inside the quotes, for a string. */
  readonly start: number
  readonly end: number
  /** A number is a whole one, see `endOfNumber`. */
  readonly kind: "string" | "number" | "other"
}

/**
 * Where a value is: under which key of what.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  readonly of: Place | undefined
  readonly key: string | number
}

/**
 * The keys that lead to a place.
 *
 * @category getters
 * @since 0.1.0
 */
export const pathOf = (place: Place): Path => {
  const path = [place.key]
  for (let { of } = place; of !== undefined; of = of.of) path.unshift(of.key)
  return path
}

/**
 * Whether two values have the same keys all through, in the same order, and scalars of the same types.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isAlike = (a: unknown, b: unknown): boolean => {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) {
    return typeof a === typeof b && (a === null) === (b === null)
  }
  const keys = Object.keys(a)
  const others = Object.keys(b)
  if (keys.length !== others.length || Array.isArray(a) !== Array.isArray(b)) return false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key !== others[i] || !isAlike((a as Json)[key], (b as Json)[key])) return false
  }
  return true
}

type Json = Readonly<Record<string, unknown>>

/**
 * Finds the scalars of a line whose value is known. Of lines with a key that is escaped, repeated or a number
 * none are told: their values cannot be told by path.
 *
 * @category scanning
 * @since 0.1.0
 */
export const scan = (line: string, value: object): ReadonlyArray<Scalar> | undefined => {
  const scanner = new Scanner(line)
  return scanner.value(value, undefined, 0) ? scanner.scalars : undefined
}

const maxDepth = 16

class Scanner {
  readonly scalars: Array<Scalar> = []
  private readonly line: string
  private position = 0

  constructor(line: string) {
    this.line = line
  }

  value(value: unknown, place: Place | undefined, depth: number): boolean {
    if (typeof value === "object" && value !== null) return depth < maxDepth && this.container(value, place, depth + 1)
    return place !== undefined && this.scalar(typeof value === "string", place)
  }

  private container(value: object, of: Place | undefined, depth: number): boolean {
    const isArray = Array.isArray(value)
    const keys = Object.keys(value)
    this.next()
    for (let i = 0; i < keys.length; i++) {
      // A comma.
      if (i > 0) this.next()
      const key = keys[i]!
      if (!isArray && !this.key(key)) return false
      if (!this.value((value as Json)[key], { of, key: isArray ? i : key }, depth)) return false
    }
    const end = this.next()
    return end === (isArray ? 0x5d : 0x7d)
  }

  private key(key: string): boolean {
    if (this.next() !== QUOTE) return false
    const { line, position } = this
    const end = position + key.length
    if (line.slice(position, end) !== key || line.charCodeAt(end) !== QUOTE) return false
    this.position = end + 1
    // A colon.
    this.next()
    return true
  }

  private scalar(isString: boolean, place: Place): boolean {
    const { line } = this
    this.skipSpace()
    if (isString) {
      const start = this.position + 1
      const end = closingQuote(line, start)
      this.scalars.push({ place, start, end, kind: "string" })
      this.position = end + 1
      return true
    }
    const start = this.position
    while (this.position < line.length && !scalarEnd.has(line.charCodeAt(this.position))) this.position++
    const end = this.position
    this.scalars.push({ place, start, end, kind: endOfNumber(line, start) === end ? "number" : "other" })
    return true
  }

  /** The next character that is not white space. */
  private next(): number {
    this.skipSpace()
    return this.line.charCodeAt(this.position++)
  }

  private skipSpace(): void {
    while (this.line.charCodeAt(this.position) <= 0x20) this.position++
  }
}

const scalarEnd: ReadonlySet<number> = new Set([0x2c, 0x5d, 0x7d, 0x20, 0x0a, 0x0d, 0x09])
