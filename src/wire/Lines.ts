/**
 * Text in pieces to lines.
 *
 * @since 0.1.0
 */

/**
 * Cuts text that comes in pieces into lines. Each piece is scanned once and an unfinished line is kept
 * in its pieces until it ends, so that a long line costs the same however it is cut.
 *
 * @category models
 * @since 0.1.0
 */
export class Lines {
  /** Whether CR and CRLF end a line, as in SSE, or only LF, as in NDJSON. */
  private readonly cr: boolean
  private text = ""
  private position = 0
  private nextLf = -1
  private nextCr = -1
  private skipLf = false
  private readonly pending: Array<string> = []
  /** Characters of the unfinished line so far. */
  pendingLength = 0

  constructor(cr: boolean) {
    this.cr = cr
  }

  /** Takes the next piece. The piece before must have been read to its end with {@link next}. */
  feed(text: string): void {
    this.text = text
    this.position = 0
    if (this.skipLf && text.length > 0) {
      this.skipLf = false
      if (text.charCodeAt(0) === LF) this.position = 1
    }
    this.nextLf = text.indexOf("\n", this.position)
    this.nextCr = this.cr ? text.indexOf("\r", this.position) : -1
  }

  /** The next whole line without its end, or `undefined` when the piece has no more. */
  next(): string | undefined {
    const { position, text } = this
    const lf = this.nextLf
    const cr = this.nextCr
    if (lf === -1 && cr === -1) {
      if (position < text.length) {
        this.pending.push(position === 0 ? text : text.slice(position))
        this.pendingLength += text.length - position
        this.position = text.length
      }
      return undefined
    }
    let end: number
    if (cr === -1 || (lf !== -1 && lf < cr)) {
      end = lf
      this.position = lf + 1
    } else {
      end = cr
      this.position = cr + 1
      if (lf === cr + 1) this.position++
      else if (this.position === text.length) this.skipLf = true
      this.nextCr = text.indexOf("\r", this.position)
    }
    if (lf !== -1 && lf < this.position) this.nextLf = text.indexOf("\n", this.position)
    const line = text.slice(position, end)
    return this.pending.length === 0 ? line : this.take(line)
  }

  /** The unfinished last line, or `undefined` where the text ended with a line's end. */
  rest(): string | undefined {
    return this.pending.length === 0 ? undefined : this.take("")
  }

  private take(last: string): string {
    const line = this.pending.join("") + last
    this.pending.length = 0
    this.pendingLength = 0
    return line
  }
}

const LF = 0x0a
