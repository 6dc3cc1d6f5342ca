/**
 * JSON as it comes: a parser that takes text in pieces, shows the value so far, and forgives what
 * models get wrong.
 *
 * ```ts
 * const json = PartialJson.make()
 * json.push('{"title":"A small str')
 * json.value // { title: "A small str" }
 * json.push('eam","tags":["water"')
 * json.value // { title: "A small stream", tags: ["water"] }
 * ```
 *
 * For a text that is JSON the value at the end is that of `JSON.parse`, however the text was cut, with
 * one exception: what is nested deeper than {@link maxDepth} is `null`. For any other text:
 *
 * - Words before the value are skipped, a Markdown fence among them, and so is all that comes after it.
 *   In the middle of a line a bracket begins a value only if what follows it may be JSON.
 * - An escape that JSON does not have is kept as written, backslash and all, but for `\'`, which is `'`.
 *   Line breaks and control characters in a string are kept.
 * - A comma too many, a comma that is missing, a key without a value and a bracket that closes nothing
 *   are passed over. A bracket closes all that was opened inside.
 * - Keys need no quotes, and strings and keys may have single ones.
 * - `True`, `False` and `None` are `true`, `false` and `null`; `NaN`, `Infinity` and `undefined` are
 *   `null`, as `JSON.stringify` has it; `+1`, `.5`, `1.` and `01` are numbers. Any other bare word is a
 *   string, up to a comma, a closing bracket or the end of the line.
 * - At the end, what is open is closed. A number or literal that is not whole is left out.
 *
 * Nothing here throws or recurses. Time and memory are linear in the text.
 *
 * @since 0.1.0
 */

/**
 * A parser of one value.
 *
 * @category models
 * @since 0.1.0
 */
export interface PartialJson {
  /** Reads on. Tells whether the value has changed. */
  readonly push: (text: string) => boolean
  /**
   * The value so far, or `undefined` before there is any. One tree, which grows: keep no part of it
   * over a `push`, and change nothing in it.
   *
   * Strings are shown as far as they have come, never with half a surrogate pair; numbers and literals
   * once they are whole, since `1` is not yet `12`; keys with the beginning of their value.
   *
   * A string that is read anew after each piece of it is copied each time, as JavaScript's strings are.
   */
  readonly value: unknown
  /** Whether the value has come whole: nothing that is pushed now belongs to it. */
  readonly isWhole: boolean
  /** Whether a string, or a key in quotes, is open. */
  readonly isInString: boolean
  /** Closes what is open and gives the value. More text is ignored. */
  readonly end: () => unknown
}

/**
 * How deep arrays and objects may be nested. Deeper ones are read over, and `null` is in their place, so
 * that a hostile text cannot exhaust the stack of those who read the value.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDepth = 512

/**
 * Makes a parser.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): PartialJson => new Parser()

/**
 * The value of a whole text: that of `JSON.parse` if it takes the text, else what this module makes of it.
 * `undefined` if there is no value in it.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string): unknown => {
  const parser = make()
  parser.push(text)
  return parser.end()
}

/**
 * - `outside`: before the value, or after one that is no array or object.
 * - `candidate`: after a bracket in the middle of a line of words.
 * - `value`, `key`, `colon`, `comma`: one of these, or what closes, is next.
 * - `string`, `escape`, `word`: inside one.
 * - `deep`: inside of what is nested too deep.
 * - `done`: nothing more is read.
 */
type State =
  | "outside"
  | "candidate"
  | "value"
  | "key"
  | "colon"
  | "comma"
  | "string"
  | "escape"
  | "word"
  | "deep"
  | "done"

type Container = Array<unknown> | Record<string, unknown>

class Parser implements PartialJson {
  private state: State = "outside"
  private root: unknown = undefined
  /** The open containers, outermost first. */
  private readonly open: Array<Container> = []
  private openArrays = 0
  /** The key of the last value of the innermost object. */
  private name = ""
  private changed = false

  /** `outside`: nothing but white space has come at all, or in this line. */
  private atStart = true
  private atLineStart = true
  private bracket = 0

  /** The string, key or word that is being read. */
  private readonly text = new Growing()
  private ofKey = false
  private quote = 0
  /** An escape so far, without its backslash. */
  private escaped = ""
  /** A high surrogate waits here for its other half. */
  private held = ""
  private spaced = false
  /** The tree's copy of the open string is older than `text`. */
  private behind = false

  private depth = 0
  private deepQuote = 0
  private deepEscape = false

  push(text: string): boolean {
    this.changed = false
    let at = 0
    while (at < text.length) at = this.step(text, at)
    return this.changed
  }

  get value(): unknown {
    if (this.behind) {
      this.replace(this.text.read())
      this.behind = false
    }
    return this.root
  }

  get isWhole(): boolean {
    return this.state === "done" || (this.state === "outside" && this.root !== undefined)
  }

  get isInString(): boolean {
    return this.state === "string" || this.state === "escape" || (this.state === "deep" && this.deepQuote !== 0)
  }

  end(): unknown {
    if (this.state === "word" && !this.ofKey) {
      const value = strict(this.text.read())
      if (value !== undefined) this.add(value)
    }
    this.state = "done"
    return this.value
  }

  /** Reads at least one character, or changes the state to one that will. */
  private step(text: string, at: number): number {
    const c = text.charCodeAt(at)
    switch (this.state) {
      case "string":
        return this.readString(text, at)
      case "escape":
        return this.readEscape(text, at, c)
      case "word":
        return this.open.length === 0 ? this.readRootWord(text, at) : this.readWord(text, at)
      case "deep":
        return this.readDeep(text, at)
      case "outside":
        return this.readOutside(at, c)
      case "candidate":
        if (isSpace(c)) return at + 1
        if (mayFollow(this.bracket, c)) this.begin(this.bracket)
        else this.state = "outside"
        return at
      case "value":
        if (c === quotation || c === apostrophe) this.beginString(c, false)
        else if (c === brace || c === square) this.begin(c)
        else if (c === braceEnd || c === squareEnd) this.close(c)
        else if (c === comma) this.state = this.next()
        else if (!isSpace(c) && c !== colon) return this.beginWord(at, false)
        return at + 1
      case "key":
        if (c === quotation || c === apostrophe) this.beginString(c, true)
        else if (c === braceEnd || c === squareEnd) this.close(c)
        else if (!isSpace(c) && c !== comma && c !== colon && c !== brace && c !== square) {
          return this.beginWord(at, true)
        }
        return at + 1
      case "colon":
        if (c === braceEnd || c === squareEnd) this.close(c)
        else if (c === comma) this.state = "key"
        else if (!isSpace(c)) {
          this.state = "value"
          // Where the colon is missing, this is the value.
          return c === colon ? at + 1 : at
        }
        return at + 1
      case "comma":
        if (c === braceEnd || c === squareEnd) this.close(c)
        else if (!isSpace(c) && c !== colon) {
          this.state = this.next()
          return c === comma ? at + 1 : at
        }
        return at + 1
      case "done":
        return text.length
    }
  }

  // ---------------------------------------------------------------------------
  // the tree
  // ---------------------------------------------------------------------------

  private next(): State {
    return Array.isArray(this.open[this.open.length - 1]) ? "value" : "key"
  }

  private add(value: unknown): void {
    this.changed = true
    const top = this.open[this.open.length - 1]
    if (top === undefined) this.root = value
    else if (Array.isArray(top)) top.push(value)
    else setOwn(top, this.name, value)
  }

  /** The value last added is this one now. */
  private replace(value: unknown): void {
    const top = this.open[this.open.length - 1]
    if (top === undefined) this.root = value
    else if (Array.isArray(top)) top[top.length - 1] = value
    else setOwn(top, this.name, value)
  }

  private begin(bracket: number): void {
    if (this.open.length === maxDepth) {
      this.add(null)
      this.state = "deep"
      this.depth = 1
      return
    }
    const container: Container = bracket === square ? [] : {}
    this.add(container)
    this.open.push(container)
    if (bracket === square) this.openArrays++
    this.state = this.next()
  }

  private close(bracket: number): void {
    const isArray = bracket === squareEnd
    if ((isArray ? this.openArrays : this.open.length - this.openArrays) === 0) return
    for (;;) {
      const closed = Array.isArray(this.open.pop())
      if (closed) this.openArrays--
      if (closed === isArray) break
    }
    this.state = this.open.length === 0 ? "done" : "comma"
  }

  private complete(): void {
    this.state = this.open.length === 0 ? "outside" : "comma"
  }

  // ---------------------------------------------------------------------------
  // around the value
  // ---------------------------------------------------------------------------

  private readOutside(at: number, c: number): number {
    if (c === brace || c === square) {
      this.bracket = c
      if (this.atLineStart) this.begin(c)
      else this.state = "candidate"
    } else if (c === lineFeed) {
      this.atLineStart = true
    } else if (!isSpace(c)) {
      const first = this.atStart
      this.atStart = false
      this.atLineStart = false
      if (first && c === quotation) this.beginString(c, false)
      else if (first && isRootWord(c)) return this.beginWord(at, false)
    }
    return at + 1
  }

  /** A word alone is a value only if it is JSON; else it is the first of the words before the value. */
  private readRootWord(text: string, from: number): number {
    let at = from
    while (at < text.length && isRootWord(text.charCodeAt(at))) at++
    this.text.append(text.slice(from, at))
    if (at < text.length) {
      const value = strict(this.text.read())
      if (value !== undefined) this.add(value)
      this.state = "outside"
    }
    return at
  }

  // ---------------------------------------------------------------------------
  // strings
  // ---------------------------------------------------------------------------

  private beginString(quote: number, ofKey: boolean): void {
    this.state = "string"
    this.quote = quote
    this.ofKey = ofKey
    this.text.clear()
    if (!ofKey) this.add("")
  }

  private readString(text: string, from: number): number {
    const { quote } = this
    let at = from
    while (at < text.length) {
      const c = text.charCodeAt(at)
      if (c === quote || c === backslash) break
      at++
    }
    if (at > from) this.write(text.slice(from, at))
    if (at === text.length) return at
    if (text.charCodeAt(at) === backslash) {
      this.escaped = ""
      this.state = "escape"
    } else {
      this.endString()
    }
    return at + 1
  }

  private readEscape(text: string, at: number, c: number): number {
    if (this.escaped === "") {
      if (c === letterU) {
        this.escaped = "u"
        return at + 1
      }
      const meant = escapes.get(c)
      this.write(meant ?? "\\")
      this.state = "string"
      return meant === undefined ? at : at + 1
    }
    if (!isHex(c)) {
      this.write(`\\${this.escaped}`)
      this.state = "string"
      return at
    }
    this.escaped += text[at]
    if (this.escaped.length === 5) {
      this.write(String.fromCharCode(Number.parseInt(this.escaped.slice(1), 16)))
      this.state = "string"
    }
    return at + 1
  }

  private write(piece: string): void {
    const text = this.held + piece
    const last = text.charCodeAt(text.length - 1)
    const isHalf = last >= 0xd800 && last <= 0xdbff
    this.held = isHalf ? text.slice(-1) : ""
    const whole = isHalf ? text.slice(0, -1) : text
    if (whole === "") return
    this.text.append(whole)
    if (this.ofKey) return
    this.behind = true
    this.changed = true
  }

  private endString(): void {
    if (this.held !== "") {
      // Half a pair is what this string ends with.
      this.text.append(this.held)
      this.held = ""
      this.changed = true
    }
    if (this.ofKey) {
      this.name = this.text.read()
      this.state = "colon"
    } else {
      this.replace(this.text.read())
      this.behind = false
      this.complete()
    }
  }

  // ---------------------------------------------------------------------------
  // numbers, literals and other words without quotes
  // ---------------------------------------------------------------------------

  private beginWord(at: number, ofKey: boolean): number {
    this.state = "word"
    this.ofKey = ofKey
    this.spaced = false
    this.text.clear()
    return at
  }

  private readWord(text: string, from: number): number {
    let at = from
    while (at < text.length) {
      const c = text.charCodeAt(at)
      if (c === comma || c === braceEnd || c === squareEnd) break
      if (this.ofKey ? c === colon : c === lineFeed || c === carriageReturn) break
      // Once, or a text of many words would be read as often as it has words.
      if (!this.ofKey && !this.spaced && isSpace(c)) {
        this.spaced = true
        this.text.append(text.slice(from, at))
        const value = lenient(this.text.read())
        if (typeof value !== "string") {
          this.add(value)
          this.complete()
        }
        return at
      }
      at++
    }
    this.text.append(text.slice(from, at))
    if (at === text.length) return at
    const word = this.text.read().trim()
    if (this.ofKey) {
      this.name = word
      this.state = "colon"
    } else {
      this.add(lenient(word))
      this.complete()
    }
    return at
  }

  // ---------------------------------------------------------------------------
  // too deep
  // ---------------------------------------------------------------------------

  private readDeep(text: string, from: number): number {
    let at = from
    while (at < text.length) {
      const c = text.charCodeAt(at++)
      if (this.deepQuote !== 0) {
        if (this.deepEscape) this.deepEscape = false
        else if (c === backslash) this.deepEscape = true
        else if (c === this.deepQuote) this.deepQuote = 0
      } else if (c === quotation) this.deepQuote = c
      else if (c === brace || c === square) this.depth++
      else if ((c === braceEnd || c === squareEnd) && --this.depth === 0) {
        this.complete()
        break
      }
    }
    return at
  }
}

/**
 * A string that grows in small pieces. Engines keep `a + b` as a node of a tree until it is looked into: a
 * megabyte that comes by characters would be a million nodes. So pieces are joined 1024 characters at a
 * time, and only what is not joined yet is such a tree.
 */
class Growing {
  private head = ""
  private tail = ""
  private pieces: Array<string> = []

  append(piece: string): void {
    this.tail += piece
    this.pieces.push(piece)
    if (this.tail.length < 1024) return
    this.head += this.pieces.join("")
    this.tail = ""
    this.pieces = []
  }

  read(): string {
    return this.head + this.tail
  }

  clear(): void {
    this.head = ""
    this.tail = ""
    this.pieces = []
  }
}

/** As `JSON.parse` does: `__proto__` is a key like any other, and no way to a prototype. */
const setOwn = (object: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else {
    object[key] = value
  }
}

/** The value of a number or literal of JSON. */
const strict = (word: string): unknown => {
  if (word === "true") return true
  if (word === "false") return false
  if (word === "null") return null
  return jsonNumber.test(word) ? Number(word) : undefined
}

const lenient = (word: string): unknown => {
  const value = strict(word)
  if (value !== undefined) return value
  const meant = literals.get(word)
  if (meant !== undefined) return meant
  return looseNumber.test(word) ? Number(word) : word
}

const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const looseNumber = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

const literals: ReadonlyMap<string, boolean | null> = new Map([
  ["True", true],
  ["False", false],
  ["None", null],
  ["undefined", null],
  ["NaN", null],
  ["Infinity", null],
  ["+Infinity", null],
  ["-Infinity", null]
])

const lineFeed = 0x0a
const carriageReturn = 0x0d
const quotation = 0x22
const apostrophe = 0x27
const comma = 0x2c
const colon = 0x3a
const square = 0x5b
const backslash = 0x5c
const squareEnd = 0x5d
const letterU = 0x75
const brace = 0x7b
const braceEnd = 0x7d

const escapes: ReadonlyMap<number, string> = new Map(
  Object.entries({ '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", "'": "'" }).map(
    ([letter, meant]) => [letter.charCodeAt(0), meant]
  )
)

/** White space of JSON, the other control characters, the no-break space and the byte order mark. */
const isSpace = (c: number): boolean => c <= 0x20 || c === 0xa0 || c === 0xfeff

const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39

const isHex = (c: number): boolean => isDigit(c) || (c >= 0x41 && c <= 0x46) || (c >= 0x61 && c <= 0x66)

/** A character of a number or literal: `-+.0-9a-zA-Z`. */
const isRootWord = (c: number): boolean =>
  isDigit(c) || c === 0x2b || c === 0x2d || c === 0x2e || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a)

/** Whether a value may begin with this bracket and this character, so that `[note` and `{name}` are words. */
const mayFollow = (bracket: number, c: number): boolean =>
  c === quotation ||
  c === apostrophe ||
  (bracket === brace ? c === braceEnd : c === squareEnd || c === brace || c === square || c === 0x2d || isDigit(c))
