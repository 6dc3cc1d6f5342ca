/**
 * Bytes in chunks to frames: server-sent events, NDJSON, or one JSON document.
 *
 * @since 0.1.0
 */
import type { Frame } from "./Decoder.ts"
import { concat, Lines } from "./Lines.ts"
import type { Template } from "./Template.ts"

/**
 * Finds frames in bytes that come in chunks. `next` fills the frame's `event` and `data`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framing {
  readonly feed: (chunk: Uint8Array) => void
  /** The next whole frame of the chunk that was fed, if there is one. */
  readonly next: (frame: Frame) => boolean
  /** Skips the next frame, if it matches the template and is not longer than that. */
  readonly skip: (template: Template, maxLength: number) => boolean
  /** The text that the last frame was read from, where it came in one piece. */
  readonly text: () => string | undefined
  /** At the end of input: the last frame, where its end was cut off. */
  readonly last: (frame: Frame) => boolean
  /** Bytes held back for an unfinished frame. */
  readonly held: () => number
}

/**
 * Server-sent events, by the WHATWG standard (https://html.spec.whatwg.org/multipage/server-sent-events.html)
 * but for one thing: an event that the end of input cuts off before its blank line counts, since
 * several providers end so. `id` and `retry` are of no use to an answer and are skipped.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sse = (): Framing => {
  const lines = new Lines(true)
  let event = ""
  let data: string | undefined
  /** Whether no line of the next frame has been read. */
  let fresh = true
  /** Where the frame begins in the text at hand; -1 where that has no more of its beginning. */
  let start = -1
  let last = -1

  /** Takes a line; true where it ends an event that has data. */
  const take = (line: string): boolean => {
    if (line === "") {
      if (data !== undefined) return true
      event = ""
      return false
    }
    const field = line.charCodeAt(0)
    if (field === D && isField(line, "data")) {
      const value = fieldValue(line, 4)
      data = data === undefined ? value : data + "\n" + value
    } else if (field === E && isField(line, "event")) {
      event = fieldValue(line, 5)
    }
    return false
  }

  const dispatch = (frame: Frame): boolean => {
    frame.event = event
    frame.data = data!
    event = ""
    data = undefined
    last = start
    return true
  }

  return {
    feed: (chunk) => {
      lines.feed(chunk)
      start = last = -1
    },
    next: (frame) => {
      for (;;) {
        if (fresh) start = lines.position
        const line = lines.next()
        if (line === undefined) return false
        // A blank line ends what had no data too, such as a comment.
        fresh = line === ""
        if (take(line)) return dispatch(frame)
      }
    },
    skip: (template, maxLength) => fresh && lines.skip(template, maxLength),
    text: () => (last === -1 ? undefined : lines.since(last)),
    last: (frame) => {
      const line = lines.rest()
      if (line !== undefined) take(line)
      return data === undefined ? false : dispatch(frame)
    },
    held: () => lines.pendingLength + (data === undefined ? 0 : data.length)
  }
}

const D = 0x64
const E = 0x65
const COLON = 0x3a
const SPACE = 0x20

const isField = (line: string, name: string): boolean =>
  (line.length === name.length || line.charCodeAt(name.length) === COLON) && line.slice(0, name.length) === name

const fieldValue = (line: string, nameLength: number): string =>
  line.slice(line.charCodeAt(nameLength + 1) === SPACE ? nameLength + 2 : nameLength + 1)

/**
 * Newline-delimited JSON: a frame is a line that is not blank.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ndjson = (): Framing => {
  const lines = new Lines(false)
  let start = 0
  return {
    feed: (chunk) => lines.feed(chunk),
    next: (frame) => {
      start = lines.position
      for (let line = lines.next(); line !== undefined; line = lines.next()) {
        if (takeLine(frame, line)) return true
      }
      return false
    },
    skip: (template, maxLength) => lines.skip(template, maxLength),
    text: () => lines.since(start),
    last: (frame) => takeLine(frame, lines.rest()),
    held: () => lines.pendingLength
  }
}

const takeLine = (frame: Frame, line: string | undefined): boolean => {
  if (line === undefined || line.trim() === "") return false
  frame.event = ""
  frame.data = line
  return true
}

/**
 * One document: a single frame, at the end of input. For servers that answer a request for a stream
 * with the whole answer, or with an error, as JSON.
 *
 * @category constructors
 * @since 0.1.0
 */
export const document = (): Framing => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  return {
    feed: (chunk) => {
      chunks.push(chunk)
      length += chunk.length
    },
    next: () => false,
    skip: () => false,
    text: () => undefined,
    last: (frame) => {
      frame.event = ""
      frame.data = new TextDecoder().decode(concat(chunks, length))
      return length > 0
    },
    held: () => length
  }
}
