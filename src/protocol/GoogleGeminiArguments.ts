/**
 * The input of a tool call that Gemini tells in pieces, each a value and its place, as JSON text that
 * grows.
 *
 * Source: `partialArgs` of
 * https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/Content#functioncall.
 *
 * @since 0.1.0
 */
import { isRecord, type Json } from "./Json.ts"

/**
 * Writes the JSON of an input whose pieces come in the order of their places, as they do.
 *
 * Where they do not, what was written is read again, the pieces are set in it one by one, and
 * {@link Arguments.end} gives the whole.
 *
 * @category models
 * @since 0.1.0
 */
export class Arguments {
  private readonly written: Array<string> = []
  /** The objects and arrays that are open, from the root to the last value. */
  private open: Array<Container> = []
  /** Whether the last value is a string that goes on. */
  private openString = false
  /** What has been set so far, once the pieces have left their order. */
  private tree: unknown = undefined

  /** The JSON text that a piece adds; `undefined` if it is none, or at no place that can be. */
  add(piece: Json): string | undefined {
    const path = parsePath(piece["jsonPath"])
    const value = valueOf(piece)
    if (path === undefined) return undefined
    // A value of a type that is not known yet, or none.
    if (value === undefined) return ""
    const goesOn = piece["willContinue"] === true
    if (this.tree === undefined) {
      const text = this.write(path, value, goesOn)
      if (text !== undefined) {
        this.written.push(text)
        return text
      }
      this.tree = this.written.length === 0 ? {} : JSON.parse(this.written.join("") + this.closing(0))
    }
    return set(this.tree, path, value) ? "" : undefined
  }

  /** The rest of the text, or all of it where what was written is not its beginning. */
  end(): { readonly text: string; readonly whole: boolean } {
    return this.tree === undefined
      ? { text: this.closing(0), whole: false }
      : { text: JSON.stringify(this.tree), whole: true }
  }

  private write(path: Path, value: Value, goesOn: boolean): string | undefined {
    const { open } = this
    const last = path.length - 1
    // How much of the path is open already.
    let depth = 0
    while (depth < open.length && depth <= last && open[depth]!.at === path[depth]) depth++
    if (this.openString && depth === open.length && depth === path.length && typeof value === "string") {
      this.openString = goesOn
      return JSON.stringify(value).slice(1, -1) + (goesOn ? "" : '"')
    }
    // The value would be set again, or in another value.
    if (depth > last || (depth === open.length && depth > 0)) return undefined
    const parent = open[depth]
    if (parent !== undefined && !parent.takes(path[depth]!)) return undefined
    if (path.slice(parent === undefined ? depth : depth + 1).some((key) => typeof key === "number" && key !== 0)) {
      return undefined
    }
    let text = parent === undefined ? "" : this.closing(depth + 1) + ","
    for (let at = depth; at <= last; at++) {
      const key = path[at]!
      const begun = at === depth && parent !== undefined
      if (begun) parent.put(key)
      else {
        text += typeof key === "number" ? "[" : "{"
        open.push(new Container(key))
      }
      if (typeof key === "string") text += `${JSON.stringify(key)}:`
    }
    const json = JSON.stringify(value)
    this.openString = goesOn && typeof value === "string"
    return text + (this.openString ? json.slice(0, -1) : json)
  }

  /** Closes what is open from a depth on. */
  private closing(depth: number): string {
    let text = this.openString ? '"' : ""
    this.openString = false
    while (this.open.length > depth) text += typeof this.open.pop()!.at === "number" ? "]" : "}"
    return text
  }
}

/** An open object or array. */
class Container {
  /** The key or index of its last value. */
  at: Key
  private readonly keys = new Set<Key>()

  constructor(at: Key) {
    this.at = at
    this.keys.add(at)
  }

  takes(key: Key): boolean {
    return (
      typeof key === typeof this.at && (typeof key === "number" ? key === Number(this.at) + 1 : !this.keys.has(key))
    )
  }

  put(key: Key): void {
    this.at = key
    if (typeof key === "string") this.keys.add(key)
  }
}

type Key = string | number
type Path = ReadonlyArray<Key>
type Value = string | number | boolean | null

const valueOf = (piece: Json): Value | undefined => {
  for (const [field, type] of values) if (typeof piece[field] === type) return piece[field] as Value
  return "nullValue" in piece ? null : undefined
}

const values = [
  ["stringValue", "string"],
  ["numberValue", "number"],
  ["boolValue", "boolean"]
] as const

/** Reads a place such as `$.recipe.steps[9]` or `$['a b']` (RFC 9535, names and indices alone). */
const parsePath = (text: unknown): Path | undefined => {
  if (typeof text !== "string" || text[0] !== "$") return undefined
  const path: Array<Key> = []
  segment.lastIndex = 1
  while (segment.lastIndex < text.length) {
    const found = segment.exec(text)
    if (found === null) return undefined
    const [, name, index, single, double] = found
    path.push(index === undefined ? (name ?? (single ?? double!).replace(/\\(.)/g, "$1")) : Number(index))
  }
  // The input itself is an object.
  return typeof path[0] === "string" ? path : undefined
}

const segment = /\.([^.[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/gy

/** Sets a value in a tree, unless there is something else in the way. */
const set = (tree: unknown, path: Path, value: Value): boolean => {
  let at = tree
  for (const [index, key] of path.entries()) {
    if (typeof key === "number" ? !Array.isArray(at) || key > at.length : !isRecord(at)) return false
    const fields = at as Record<Key, unknown>
    const there = Object.hasOwn(fields, key) ? fields[key] : undefined
    if (index === path.length - 1) {
      // A string that goes on.
      put(fields, key, typeof there === "string" && typeof value === "string" ? there + value : value)
    } else if (there === undefined) put(fields, key, typeof path[index + 1] === "number" ? [] : {})
    at = fields[key]
  }
  return true
}

/** As `JSON.parse` does: a field that is called `__proto__` is one like any other. */
const put = (fields: Record<Key, unknown>, key: Key, value: unknown): void => {
  Object.defineProperty(fields, key, { value, writable: true, enumerable: true, configurable: true })
}
