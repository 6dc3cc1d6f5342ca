/**
 * Where text stands: at the start of a line, in a code fence, in JSON. Markers count in prose only.
 */
import * as PartialJson from "../../PartialJson.ts"

/** Follows the text of a thought or an answer, word by word. */
export class ReActProse {
  /** White space that has come and is not told yet: it may be the last. */
  blank = ""
  atLineStart = true
  /** No white space before the first word of the line. */
  isFlush = true
  /** In the middle of a word. */
  inWord = false
  /** No word has come yet. */
  isEmpty = true
  private sentenceEnded = false
  /** The line so far, if it may open or close a fence. */
  private fenceLine: string | undefined
  private fence = ""
  private json: PartialJson.PartialJson | undefined

  /** What comes is put after `separator`, without the white space that it begins with. */
  begin(separator: string, atLineStart: boolean): void {
    this.blank = separator
    this.atLineStart = atLineStart
    this.isFlush = atLineStart
    this.inWord = false
    this.isEmpty = true
    this.sentenceEnded = false
    this.fenceLine = undefined
    this.fence = ""
    this.json = undefined
  }

  space(c: string): void {
    this.inWord = false
    if (!this.isEmpty) this.blank += c
    if (c !== "\n") {
      this.isFlush = false
      return
    }
    this.atLineStart = true
    this.isFlush = true
    const [, run = "", rest = "`"] = fenceLine.exec(this.fenceLine ?? "") ?? []
    this.fenceLine = undefined
    if (rest.includes("`")) return
    if (this.fence === "") this.fence = run
    else if (run.startsWith(this.fence) && rest.trim() === "") this.fence = ""
  }

  /** Takes a piece of a line, and gives what can be told now: white space at its end is kept. */
  write(piece: string): string {
    let end = piece.length
    while (end > 0 && isSpace(piece[end - 1]!)) end--
    const word = piece.slice(0, end)
    const text = this.blank + word
    if (this.fenceLine !== undefined) this.fenceLine += text
    else if (this.atLineStart && (word.startsWith("`") || word.startsWith("~"))) this.fenceLine = word
    if (this.isEmpty && (word.startsWith("{") || word.startsWith("["))) this.json = PartialJson.make()
    if (this.json !== undefined) {
      this.json.push(text)
      if (this.json.isWhole) this.json = undefined
    }
    this.blank = piece.slice(word.length)
    this.isEmpty = false
    this.atLineStart = false
    this.inWord = this.blank === ""
    this.sentenceEnded = sentenceEnd.test(word.slice(-1))
    return text
  }

  /** Whether a marker may begin here, and whether in the middle of a line. */
  get place(): "line" | "sentence" | undefined {
    if (this.inWord || this.fence !== "" || this.json !== undefined) return undefined
    return this.atLineStart ? "line" : this.sentenceEnded ? "sentence" : undefined
  }
}

/** White space: it parts words, and is held back. */
export const isSpace = (c: string): boolean => c <= " " || c === "\u00a0" || c === "\u3000" || c === "\ufeff"

const fenceLine = /^(`{3,}|~{3,})(.*)$/
const sentenceEnd = /[.!?:;)"'。！？]/
