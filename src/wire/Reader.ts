/**
 * Bytes to frames: UTF-8, framing and the parse of each frame's data.
 *
 * @since 0.1.0
 */
import { Malformed } from "../LlmError.ts"
import type { Frame, Path } from "./Decoder.ts"
import * as Framing from "./Framing.ts"
import type { KnownShapes } from "./KnownShapes.ts"
import { LearnedShape } from "./LearnedShape.ts"
import type { Template } from "./Template.ts"

/**
 * Reads frames from bytes that come in chunks. What the body is, is told by its first byte: some
 * servers answer with JSON where a stream was asked for, and proxies with a page, under any content
 * type.
 *
 * @category models
 * @since 0.1.0
 */
export class Reader {
  private body: "unknown" | "stream" | "document" | "page" = "unknown"
  private framing: Framing.Framing
  private readonly isNdjson: boolean
  private readonly maxEventLength: number
  private oversized = false
  private readonly lines: LearnedShape
  /** What the next frame is like, if it repeats the last one. */
  private template: Template | undefined
  private readonly frame: Frame = { event: "", data: "", value: undefined }
  /** The first chunks, for an error. */
  private readonly head: Array<Uint8Array> = []
  private headLength = 0

  constructor(framing: "sse" | "ndjson", maxEventLength: number, shapes: KnownShapes | undefined) {
    this.isNdjson = framing === "ndjson"
    this.framing = this.isNdjson ? Framing.ndjson() : Framing.sse()
    this.maxEventLength = maxEventLength
    this.lines = new LearnedShape(shapes)
  }

  /** Takes a chunk. The frames of the one before must have been read. */
  feed(chunk: Uint8Array): void {
    if (this.headLength < headBytes) {
      this.head.push(chunk.slice(0, headBytes))
      this.headLength += chunk.length
    }
    if (this.body === "unknown") this.recognise(chunk)
    if (this.body !== "page") this.framing.feed(chunk)
  }

  /**
   * The next frames, where they repeat the last one, are told by a piece of text at this path alone, from
   * now on; without one, by their values.
   */
  expect(answer: Path | undefined, unread: ReadonlySet<string>): void {
    const { frame, framing } = this
    this.template = answer === undefined ? undefined : this.lines.template(frame.data, framing.text, answer, unread)
  }

  /** The piece of text of the next frame that is whole, if it repeats the last one. */
  repeated(): string | undefined {
    const { template } = this
    return template !== undefined && this.framing.skip(template, this.maxEventLength) ? template.found : undefined
  }

  /** The next frame that is whole. */
  next(): Frame | undefined {
    if (!this.framing.next(this.frame)) return undefined
    // One that came whole, in a single chunk, was never held.
    this.oversized = this.frame.data.length > this.maxEventLength
    return this.oversized ? undefined : this.parsed()
  }

  /** At the end of input: the frame that was cut off, if there is one. */
  last(): Frame | undefined {
    return this.framing.last(this.frame) ? this.parsed() : undefined
  }

  /** What is wrong with the stream so far. */
  problem(): Malformed | undefined {
    return !this.oversized && this.framing.held() <= this.maxEventLength
      ? undefined
      : new Malformed({
          message: `an event of the stream is larger than ${this.maxEventLength} bytes. The answer was given up to keep memory bounded.`
        })
  }

  /** Whether enough is read of a page, of which there is nothing to decode. */
  get isKnownPage(): boolean {
    return this.body === "page" && this.headLength >= headBytes
  }

  get isEmpty(): boolean {
    return this.headLength === 0
  }

  /** Whether the body may be a stream: nothing that has come of it says otherwise. */
  get isStream(): boolean {
    return this.body === "stream" || this.body === "unknown"
  }

  /** Whether the body is lines of objects, the last one cut off: its beginning may be the answer's. */
  get isCut(): boolean {
    return this.isNdjson && this.isStream && this.frame.data !== "" && this.frame.value === undefined
  }

  /** The beginning of the body; all of it, if it is a document that has been read. */
  get beginning(): string {
    if (this.body === "document") return this.frame.data
    const utf8 = new TextDecoder()
    return this.head.map((chunk) => utf8.decode(chunk, { stream: true })).join("")
  }

  private recognise(chunk: Uint8Array): void {
    // Blank lines and a byte order mark at the head of a stream mean nothing.
    const first = chunk.find((byte) => byte > 0x20 && byte !== 0xef && byte !== 0xbb && byte !== 0xbf)
    if (first === undefined) return
    // Each line is an object; what begins with anything else was not written by the provider.
    if (this.isNdjson) this.body = first === 0x7b ? "stream" : "page"
    else if (first === 0x3c) this.body = "page"
    else if (first === 0x7b || first === 0x5b) {
      this.body = "document"
      this.framing = Framing.document()
    } else this.body = "stream"
  }

  private parsed(): Frame {
    this.frame.value = this.lines.parse(this.frame.data)
    return this.frame
  }
}

/** Bytes that hold the characters that are quoted, of four bytes at the most. */
const headBytes = 800
