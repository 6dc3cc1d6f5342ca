/**
 * Text that may be shown on a terminal: without what would drive it.
 *
 * A model's answer, or a provider's message, may carry escape sequences, of itself or because somebody
 * put them into what it read. On a terminal they could recolour, rename, overwrite, or type.
 *
 * @since 0.1.0
 */

/**
 * Makes a filter for text that comes in pieces. It drops escape sequences whole, also where they are
 * cut between pieces, and all control characters but line feed and tab. A line feed ends any sequence.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeFilter = (): ((piece: string) => string) => {
  let state: State = "text"
  let length = 0
  return (piece) => {
    if (state === "text" && !control.test(piece)) return piece
    let out = ""
    for (const character of piece) {
      const code = character.codePointAt(0)!
      if (state === "csi" && code > 0x9f) state = "text"
      if (code === 0x0a || (state === "text" && !isControl(code))) {
        state = "text"
        out += character
      } else {
        // A sequence that never ends must not swallow the rest of the answer.
        length = state === "text" ? 0 : length + 1
        state = length < maxSequence ? next(state, code) : "text"
      }
    }
    return out
  }
}

/**
 * Makes one line of text: escape sequences and control characters dropped, white space joined.
 *
 * @category filtering
 * @since 0.1.0
 */
export const line = (text: string): string => makeFilter()(text).replace(/\s+/g, " ").trim()

/**
 * Cuts a line to a number of columns.
 *
 * @category filtering
 * @since 0.1.0
 */
export const fit = (text: string, columns: number): string => {
  let width = 0
  let end = 0
  /** Where the cut is, if there is to be one: it leaves room for the sign of it. */
  let cut = 0
  for (const character of text) {
    width += zero.test(character) ? 0 : wide.test(character) ? 2 : 1
    if (width > columns) return `${text.slice(0, cut)}…`
    end += character.length
    if (width < columns) cut = end
  }
  return text
}

/** `text`, or where in an escape sequence we are (ECMA-48): `string` is OSC, DCS and their kin. */
type State = "text" | "escape" | "intermediate" | "csi" | "string" | "string-escape"

const next = (state: State, code: number): State => {
  if (code === 0x1b) return state === "string" ? "string-escape" : "escape"
  // CAN and SUB call a sequence off.
  if (code === 0x18 || code === 0x1a) return "text"
  switch (state) {
    case "text":
      return code === 0x9b ? "csi" : isStringOpener(code) ? "string" : "text"
    case "escape":
      if (code === 0x5b) return "csi"
      if (code === 0x5d || code === 0x50 || code === 0x58 || code === 0x5e || code === 0x5f) return "string"
      return code >= 0x20 && code <= 0x2f ? "intermediate" : "text"
    case "intermediate":
      return code >= 0x20 && code <= 0x2f ? "intermediate" : "text"
    case "csi":
      return code >= 0x40 && code <= 0x7e ? "text" : "csi"
    case "string":
      return code === 0x07 || code === 0x9c ? "text" : "string"
    case "string-escape":
      return code === 0x5c ? "text" : next("escape", code)
  }
}

/** DCS, SOS, OSC, PM and APC as single characters. */
const isStringOpener = (code: number): boolean =>
  code === 0x90 || code === 0x98 || code === 0x9d || code === 0x9e || code === 0x9f

const maxSequence = 4096

/** C0 but for tab and line feed, delete, and C1. */
const isControl = (code: number): boolean =>
  (code < 0x20 && code !== 0x0a && code !== 0x09) || (code >= 0x7f && code <= 0x9f)

// oxlint-disable-next-line eslint/no-control-regex -- control characters are what this is about
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/

const zero = /[\p{Mn}\p{Me}\p{Cf}]/u

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
