/**
 * JSON read where it stands in a text, as far as templates and shapes of lines need it.
 *
 * @since 0.1.0
 */

/**
 * From how many characters on V8 does not copy a slice, but keeps all of what it was cut from in memory:
 * 13 (`SlicedString::kMinLength`).
 *
 * @category constants
 * @since 0.1.0
 */
export const maxCopied = 13

/**
 * The code of `"`.
 *
 * @category constants
 * @since 0.1.0
 */
export const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const CLOSE = 0x7d

/**
 * Where a string ends, has its first escape, or a character that it must not have, searched from within it.
 *
 * @category scanning
 * @since 0.1.0
 */
export const endOfPlain = (text: string, start: number): number => {
  let position = start
  let code = text.charCodeAt(position)
  // NaN at the end fails the first comparison.
  while (code >= SPACE && code !== QUOTE && code !== BACKSLASH) code = text.charCodeAt(++position)
  return position
}

/**
 * The index of the quote that ends a string, searched from within it; -1 where there is none.
 *
 * @category scanning
 * @since 0.1.0
 */
export const closingQuote = (text: string, from: number): number => {
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) return i
    if (code === BACKSLASH) i++
  }
  return -1
}

/**
 * Where a whole number ends: digits without sign, leading zero, fraction or exponent, few enough to be exact.
 * Else -1.
 *
 * @category scanning
 * @since 0.1.0
 */
export const endOfNumber = (text: string, start: number): number => {
  let position = start
  for (;;) {
    const digit = text.charCodeAt(position) - 0x30
    if (!(digit >= 0 && digit <= 9)) break
    position++
  }
  const length = position - start
  return length === 0 || length > 15 || (length > 1 && text.charCodeAt(start) === 0x30) ? -1 : position
}

/**
 * Where an object ends of which nothing but the last brace is left, spaces before and after it included; else -1.
 *
 * @category scanning
 * @since 0.1.0
 */
export const endOfPadded = (text: string, start: number): number => {
  let position = start
  while (text.charCodeAt(position) === SPACE) position++
  if (text.charCodeAt(position) !== CLOSE) return -1
  position++
  while (text.charCodeAt(position) === SPACE) position++
  return position
}

/**
 * The value of a JSON string, its quotes included; `undefined` where it is none. It keeps nothing else alive.
 *
 * @category parsing
 * @since 0.1.0
 */
export const stringOf = (json: string): string | undefined => {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === "string" ? value : undefined
  } catch {
    return undefined
  }
}
