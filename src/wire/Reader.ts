/**
 * Bytes to frames: UTF-8, framing and the parse of each frame's data.
 *
 * @since 0.1.0
 */
import { Malformed } from "../LlmError.ts"
import type { Frame } from "./Decoder.ts"
import * as Framing from "./Framing.ts"
import * as LearnedShape from "./LearnedShape.ts"

/**
 * Reads frames from bytes that come in chunks. What the body is, is told by its first character: some
 * servers answer with JSON where a stream was asked for, and proxies with a page, under any content
 * type.
 *
 * @category models
 * @since 0.1.0
 */
export class Reader {
  /** The beginning of the body, for an error. */
  private head = ""
  private body: "unknown" | "stream" | "document" | "page" = "unknown"
  private framing: Framing.Framing
  private readonly maxEventLength: number
  private readonly utf8 = new TextDecoder()
  private readonly parse = LearnedShape.make()
  private readonly frame: Frame = { event: "", data: "", value: undefined }

  constructor(framing: "sse" | "ndjson", maxEventLength: number) {
    this.framing = framing === "sse" ? Framing.sse() : Framing.ndjson()
    this.body = framing === "sse" ? "unknown" : "stream"
    this.maxEventLength = maxEventLength
  }

  /** Takes a chunk. The frames of the one before must have been read. */
  feed(chunk: Uint8Array): void {
    this.feedText(this.utf8.decode(chunk, { stream: true }))
  }

  /** The next frame that is whole. */
  readonly next = (): Frame | undefined => (this.framing.next(this.frame) ? this.parsed() : undefined)

  /** At the end of input: the frame that was cut off, if there is one. */
  readonly last = (): Frame | undefined => {
    this.feedText(this.utf8.decode())
    return this.next() ?? (this.framing.last(this.frame) ? this.parsed() : undefined)
  }

  /** What is wrong with the stream so far. */
  problem(): Malformed | undefined {
    if (this.framing.held() > this.maxEventLength) {
      return new Malformed({
        message: `an event of the stream is larger than ${this.maxEventLength} characters. The answer was given up to keep memory bounded.`
      })
    }
    return undefined
  }

  /** Whether enough is read of a page, of which there is nothing to decode. */
  get isKnownPage(): boolean {
    return this.body === "page" && this.head.length >= quoted
  }

  get isEmpty(): boolean {
    return this.head === ""
  }

  get isStream(): boolean {
    return this.body === "stream"
  }

  /** The beginning of the body; all of it, if it is a document that has been read. */
  get beginning(): string {
    return this.body === "document" ? this.frame.data : this.head
  }

  private feedText(text: string): void {
    if (this.head.length < quoted) this.head += text.slice(0, quoted - this.head.length)
    if (this.body === "unknown" && !this.recognise(text)) return
    if (this.body !== "page") this.framing.feed(text)
  }

  private recognise(text: string): boolean {
    const first = text.trimStart()[0]
    // Blank lines at the head of a stream mean nothing.
    if (first === undefined) return false
    if (first === "<") this.body = "page"
    else if (first === "{" || first === "[") {
      this.body = "document"
      this.framing = Framing.document()
    } else this.body = "stream"
    return true
  }

  private parsed(): Frame {
    this.frame.value = this.parse(this.frame.data)
    return this.frame
  }
}

/** How much of a body is quoted, in characters. */
const quoted = 200

/**
 * The first 200 characters of a body, on one line, for an error message.
 *
 * @category formatting
 * @since 0.1.0
 */
export const quote = (body: string): string => JSON.stringify(body.trim().slice(0, quoted).replace(/\s+/g, " "))
