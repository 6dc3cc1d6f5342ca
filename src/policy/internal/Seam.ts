/**
 * Where an answer that was cut off goes on: cuts from the continued text what it repeats of the text before.
 *
 * A model that is asked to go on may begin with the last words again, with the last paragraph, or with the
 * whole answer. The longest beginning of the continuation that is an end of the text before is a repetition
 * if it can hardly be chance: see {@link Ask}. Text is held back only while it may become one, so the
 * look-ahead is never longer than what is repeated.
 *
 * Not noticed: a repetition that begins further back than `window` characters and not at the very beginning,
 * one in other words, and one after an introduction such as "Sure, here is the rest:".
 *
 * @internal
 */

/**
 * How the model was asked to go on, which says what a repetition looks like.
 *
 * - `"message"`: by a message, after which models do repeat. A repetition is all of the text, or begins
 *   where a word does and has at least 3 letters or digits, so that `hel` and `lo` stay `hello`; or is long.
 * - `"prefill"`: from its own last message, where a repetition means that it was not understood. It is all
 *   of the text and has at least 3 letters or digits, or it is long.
 *
 * Long is 16 characters with at least 3 letters or digits: a row of dashes may well go on.
 */
export type Ask = "message" | "prefill"

/** How far back from the end a repetition may begin, in characters; all of the text, whatever its length. */
export const window = 1024

const long = 16
const enoughLetters = 3

export class Seam {
  /** What has come and may be a repetition. */
  private held = ""
  /** How much of `held` is known to be one. */
  private cut = 0
  /** Places in the text before at which the continuation would begin, were it all of it a repetition. */
  private places: Array<number>
  /** Those that count after white space, which the continuation begins with and the text has not. */
  private placesAfterSpace: Array<number>
  private isLeading = true
  private readonly before: string

  /** @param unsent how many of the last characters of `before` the model was not shown: it may say them again */
  constructor(before: string, ask: Ask, unsent: number) {
    this.before = before
    const { after, raw } = candidates(before, ask, unsent)
    this.places = raw
    this.placesAfterSpace = after
  }

  /** Adds text. What is certain to be new is returned, once: then the seam is closed. */
  push(text: string): string | undefined {
    const from = this.held.length
    this.held += text
    for (let i = 0; i < text.length; i++) {
      // Of `held` this would join its pieces each time.
      const character = text[i]!
      const at = from + i
      if (this.isLeading && !isSpace(character)) {
        this.isLeading = false
        if (at > 0) for (const place of this.placesAfterSpace) this.places.push(place - at)
      }
      if (this.places.length > 0) this.places = this.places.filter((place) => this.matches(place, at, character))
      if (this.places.length > 0 || (this.isLeading && at < window && this.placesAfterSpace.length > 0)) continue
      return this.end()
    }
    return undefined
  }

  /** Whether text has come of which it is not known whether it is new. */
  get isHolding(): boolean {
    return this.held !== ""
  }

  /** No more text comes: what is left of the held. */
  end(): string {
    const rest = this.held.slice(this.cut)
    this.held = ""
    return rest
  }

  /** Whether the continuation up to `at` still may repeat the text from `place`; notes where it has done so. */
  private matches(place: number, at: number, character: string): boolean {
    const { before } = this
    if (before[place + at] !== character) return false
    if (place + at + 1 < before.length) return true
    this.cut = at + 1
    return false
  }
}

/** Where a repetition may begin, and where one that follows white space of its own. */
const candidates = (before: string, ask: Ask, unsent: number) => {
  const raw: Array<number> = []
  const after: Array<number> = []
  // The white space at the beginning need not be part of a repetition.
  const first = before.length - before.trimStart().length
  let letters = 0
  const add = (place: number): void => {
    const length = before.length - place
    const isLong = length >= long && letters >= enoughLetters
    const isAll = (place === 0 || place === first) && (ask === "message" || letters >= enoughLetters)
    const isWords = ask === "message" && letters >= enoughLetters && beginsWord(before, place)
    if (isLong || isAll || isWords || length <= unsent) raw.push(place)
    if ((isLong || isAll) && !isSpace(before[place]!)) after.push(place)
  }
  const nearest = Math.max(0, before.length - window)
  for (let place = before.length - 1; place >= nearest; place--) {
    if (letter.test(before[place]!)) letters++
    add(place)
  }
  for (const place of first === 0 ? [0] : [0, first]) {
    if (place < nearest) {
      letters = enoughLetters
      add(place)
    }
  }
  return { raw, after }
}

/** Half of a character beyond the basic plane counts as a letter: scripts are there, and emoji. */
const letter = /[\p{L}\p{N}\uD800-\uDBFF]/u
/** Scripts that put no spaces between words: each of their characters may begin one. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\uD800-\uDBFF]/u

const beginsWord = (text: string, at: number): boolean => {
  const character = text[at]!
  if (!letter.test(character)) return false
  return at === 0 || unspaced.test(character) || !letter.test(text[at - 1]!)
}

const isSpace = (character: string): boolean => character.trim() === ""
