/**
 * Bytes in chunks to lines of text.
 *
 * @since 0.1.0
 */

import type { Template } from "./Template.ts"

/**
 * Cuts bytes that come in chunks into lines.
 *
 * Only whole lines are decoded, each once: no UTF-8 sequence has a line's end in it, so that no state
 * is carried from chunk to chunk. Bytes of an unfinished line are kept as they came, so that a long
 * line costs the same however it is cut.
 *
 * @category models
 * @since 0.1.0
 */
export class Lines {
  /** Whether CR and CRLF end a line, as in SSE, or only LF, as in NDJSON. */
  private readonly cr: boolean
  /** The BOM is stripped by hand: a decoder would do it at the head of every chunk. */
  private readonly utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
  private text = ""
  /** Where the next line begins in the text at hand. */
  position = 0
  /** Ends of lines: -1 where there is no more, otherwise looked for when the position has passed them. */
  private nextLf = -1
  private nextCr = -1
  private begun = false
  private skipLf = false
  private pending: Array<Uint8Array> = []
  /** Bytes of the unfinished line so far. */
  pendingLength = 0

  constructor(cr: boolean) {
    this.cr = cr
  }

  /** Takes the next chunk. The lines of the one before must have been read with {@link next}. */
  feed(chunk: Uint8Array): void {
    const end = this.lastLineEnd(chunk)
    if (end === 0) {
      this.setText("")
      this.hold(chunk)
      return
    }
    const lines = end === chunk.length ? chunk : chunk.subarray(0, end)
    if (this.pending.length === 0) this.setText(this.utf8.decode(lines))
    else {
      this.pending.push(lines)
      this.setText(this.utf8.decode(this.takePending(end)))
    }
    if (end < chunk.length) this.hold(chunk.subarray(end))
  }

  /** The next whole line without its end, or `undefined` when the chunk has no more. */
  next(): string | undefined {
    const { position, text } = this
    if (this.nextLf !== -1 && this.nextLf < position) this.nextLf = text.indexOf("\n", position)
    if (this.nextCr !== -1 && this.nextCr < position) this.nextCr = text.indexOf("\r", position)
    const { nextCr: cr, nextLf: lf } = this
    if (lf === -1 && cr === -1) return undefined
    if (cr === -1 || (lf !== -1 && lf < cr)) {
      this.position = lf + 1
      return text.slice(position, lf)
    }
    this.position = cr + 1
    if (lf === cr + 1) this.position++
    else if (this.position === text.length) this.skipLf = true
    return text.slice(position, cr)
  }

  /** The text from a position to the next line. */
  since(position: number): string {
    return this.text.slice(position, this.position)
  }

  /** Skips the lines of a frame that matches the template, if there is one, and not too long a one. */
  skip(template: Template, maxLength: number): boolean {
    const end = template.match(this.text, this.position)
    if (end === -1 || end - this.position > maxLength) return false
    this.position = end
    return true
  }

  /** At the end of input: the last line, where it has no end. */
  rest(): string | undefined {
    if (this.pendingLength === 0) return undefined
    this.setText(this.utf8.decode(this.takePending(0)))
    const line = this.text.slice(this.position)
    this.setText("")
    return line
  }

  private setText(text: string): void {
    this.text = text
    this.position = 0
    this.nextLf = this.nextCr = -1
    if (text === "") return
    if (!this.begun) {
      this.begun = true
      if (text.charCodeAt(0) === BOM) this.position = 1
    } else if (this.skipLf && text.charCodeAt(0) === LF) this.position = 1
    this.skipLf = false
    this.nextLf = -2
    if (this.cr) this.nextCr = text.indexOf("\r", this.position)
  }

  private hold(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.pending.push(chunk)
    this.pendingLength += chunk.length
  }

  /** The held bytes in one array, `more` of them not yet counted. */
  private takePending(more: number): Uint8Array {
    const { pending } = this
    const whole = pending.length === 1 ? pending[0]! : concat(pending, this.pendingLength + more)
    this.pending = []
    this.pendingLength = 0
    return whole
  }

  /** The index after the last line's end. Searched from the end, where it mostly is. */
  private lastLineEnd(chunk: Uint8Array): number {
    for (let i = chunk.length - 1; i >= 0; i--) {
      const byte = chunk[i]!
      if (byte === LF || (byte === CR && this.cr)) return i + 1
    }
    return 0
  }
}

/**
 * Joins chunks of a known total length.
 *
 * @category constructors
 * @since 0.1.0
 */
export const concat = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const whole = new Uint8Array(length)
  let position = 0
  for (const chunk of chunks) {
    whole.set(chunk, position)
    position += chunk.length
  }
  return whole
}

const LF = 0x0a
const CR = 0x0d
const BOM = 0xfeff
