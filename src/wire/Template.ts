/**
 * Frames that repeat each other but for their text.
 *
 * Nearly all of an answer's bytes are such frames. Once one has been read in full, those that follow it are
 * told from the text of the body as it stands: no line is cut out of it, nothing is parsed, no value is made.
 *
 * @since 0.1.0
 */
import { closingQuote, endOfNumber, endOfPadded, endOfPlain, maxCopied, QUOTE, stringOf } from "./JsonText.ts"

/**
 * The parts of a frame.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parts {
  /** The text before, between and after the holes, up to the last brace: one more than there are holes. */
  readonly pieces: ReadonlyArray<string>
  /** Whether a hole holds a string, or a whole number. */
  readonly strings: ReadonlyArray<boolean>
  /** Which hole is the piece of the answer: a string. */
  readonly answer: number
  /** What ends the frame after that brace, which spaces may stand around. */
  readonly end: string
}

/**
 * What a frame is made of: the text between its *holes*, and which hole holds the piece of the answer. The
 * others are not read, whatever they hold: numbers of the sequence, times, padding.
 *
 * @category models
 * @since 0.1.0
 */
export class Template {
  /** The piece of the answer in the frame that matched last. */
  found = ""
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Whether such a frame begins at a position: gives where it ends, or -1. Sets {@link found}. */
  match(text: string, start: number): number {
    const { answer, end, pieces, strings } = this.parts
    const first = pieces[0]!
    // Measured: comparing slices costs a third of `startsWith` with a position.
    if (text.slice(start, start + first.length) !== first) return -1
    let position = start + first.length
    for (let i = 0; i < strings.length; i++) {
      const from = position
      if (!strings[i]) {
        position = endOfNumber(text, from)
      } else if (i === answer) {
        position = this.read(text, from)
      } else {
        // The quote is the next piece's. What has escapes, and may be no string at all, does not match.
        position = endOfPlain(text, from)
      }
      if (position === -1) return -1
      const piece = pieces[i + 1]!
      if (text.slice(position, position + piece.length) !== piece) return -1
      position += piece.length
    }
    position = endOfPadded(text, position)
    return position !== -1 && text.slice(position, position + end.length) === end ? position + end.length : -1
  }

  /** Reads the piece of the answer: gives where its quote is, or -1. */
  private read(text: string, start: number): number {
    const position = endOfPlain(text, start)
    const isPlain = text.charCodeAt(position) === QUOTE
    if (isPlain && position - start < maxCopied) {
      this.found = text.slice(start, position)
      return position
    }
    const end = isPlain ? position : closingQuote(text, position)
    const value = end === -1 ? undefined : stringOf(text.slice(start - 1, end + 1))
    if (value === undefined) return -1
    this.found = value
    return end
  }
}
