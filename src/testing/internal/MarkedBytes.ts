/**
 * Bytes with marks at which they were cut, which stay where they are while parts are replaced.
 *
 * Held as a string of one character a byte: regular expressions find what a cut goes through, and
 * what is no UTF-8 stays as it is.
 *
 * @internal
 */
export interface Edit {
  readonly start: number
  readonly end: number
  /** What takes the place, in characters of one byte. */
  readonly bytes: string
}

export class MarkedBytes {
  bytes: string
  private marks: Array<number>

  constructor(chunks: ReadonlyArray<Uint8Array>) {
    this.bytes = chunks.map(toBinary).join("")
    this.marks = []
    let at = 0
    for (const chunk of chunks) this.marks.push((at += chunk.length))
  }

  /** Replaces parts: edits in their order, none within another. */
  edit(edits: Iterable<Edit>): void {
    const out: Array<string> = []
    const marks: Array<number> = []
    let length = 0
    let from = 0
    let next = 0
    // Marks up to a place in the bytes as they were, where what replaces them begins at `length`.
    const mark = (until: number, most: number) => {
      for (; next < this.marks.length && this.marks[next]! <= until; next++) {
        marks.push(length + Math.min(this.marks[next]! - from, most))
      }
    }
    const copy = (until: number) => {
      mark(until, Infinity)
      out.push(this.bytes.slice(from, until))
      length += until - from
      from = until
    }
    for (const { bytes, end, start } of edits) {
      copy(start)
      // A cut through what is replaced cuts through what replaces it.
      mark(end - 1, bytes.length)
      out.push(bytes)
      length += bytes.length
      from = end
    }
    copy(this.bytes.length)
    this.bytes = out.join("")
    this.marks = marks
  }

  replace(pattern: RegExp, by: (match: RegExpExecArray) => Edit): void {
    const edits = [...this.bytes.matchAll(pattern)].map(by)
    if (edits.length > 0) this.edit(edits)
  }

  /** The chunks, without those of which nothing is left. */
  chunks(): ReadonlyArray<Uint8Array<ArrayBuffer>> {
    const out: Array<Uint8Array<ArrayBuffer>> = []
    let from = 0
    for (const mark of this.marks) {
      if (mark > from) out.push(fromBinary(this.bytes.slice(from, mark)))
      from = mark
    }
    return out
  }
}

export const fromBinary = (binary: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(binary, (character) => character.charCodeAt(0))

export const toBinary = (bytes: Uint8Array): string => {
  const out: Array<string> = []
  // An argument list has a limit.
  for (let at = 0; at < bytes.length; at += 8192) out.push(String.fromCharCode(...bytes.subarray(at, at + 8192)))
  return out.join("")
}

/** Text in characters of one byte each. */
export const utf8 = (text: string): string => toBinary(new TextEncoder().encode(text))

/** The text of bytes, or `undefined` where they are not UTF-8. */
export const toText = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
