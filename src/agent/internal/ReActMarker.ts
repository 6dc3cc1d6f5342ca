/**
 * The markers of ReAct text, `Thought:` and the like, recognized a character at a time.
 *
 * What counts, at the start of a line: the name in any case, its words parted by a space, `_`, `-` or
 * nothing, with a number after it or none (`Thought 1:`), and a colon, `:` or the full-width `：`. Before it
 * may be what Markdown has for headings, lists, quotations and emphasis (`**Thought:**`, `## Thought`,
 * `1. Thought:`). A heading, and a name in bold, need no colon if the line ends there.
 */

/**
 * `input` is `Action Input`; `think` and `thinkEnd` are the tags `<think>` and `</think>`; `fence` is a line of
 * backquotes, which may be the end of a fence around all of it.
 */
export type Kind = "thought" | "action" | "input" | "observation" | "answer" | "think" | "thinkEnd" | "fence"

const names: ReadonlyMap<string, Kind> = new Map([
  ["thought", "thought"],
  ["thoughts", "thought"],
  ["action", "action"],
  ["action input", "input"],
  ["actioninput", "input"],
  ["observation", "observation"],
  ["final answer", "answer"],
  ["finalanswer", "answer"],
  ["answer", "answer"]
])

const tags: ReadonlyMap<string, Kind> = new Map([
  ["<think>", "think"],
  ["<thinking>", "think"],
  ["</think>", "thinkEnd"],
  ["</thinking>", "thinkEnd"]
])

/** As the instructions spell them. */
const canonical: ReadonlySet<string> = new Set([
  "Thought:",
  "Action:",
  "Action Input:",
  "Observation:",
  "Final Answer:",
  ...tags.keys()
])

/** No marker is longer: what is held back has a bound. */
const longest = 48

/**
 * - `more`: may still be a marker.
 * - `no`: is none; this character has not been taken.
 * - `found`: is one; this character has been taken.
 * - `before`: is one, which ended before this character.
 */
export type Verdict = "more" | "no" | "found" | "before"

/** Reads one candidate. */
export class ReActMarker {
  /** The characters that have been taken. */
  taken = ""
  kind: Kind | undefined
  /** Spelled as in the instructions, to the letter. */
  isExact = false
  private stage: "prefix" | "name" | "closing" | "tag" | "fence" = "prefix"
  private word = ""
  private gap = false
  private isNumbered = false
  private isHeading = false
  private opened = 0
  private closed = 0

  read(c: string): Verdict {
    const verdict = this.taken.length === longest ? "no" : this.decide(c)
    if (verdict === "more" || verdict === "found") this.taken += c
    return verdict
  }

  /** Whether a marker has come whole, if this is the end of the text. */
  get isWhole(): boolean {
    return this.stage === "closing" || this.stage === "fence"
  }

  private decide(c: string): Verdict {
    switch (this.stage) {
      case "tag":
        return this.readTag(c)
      case "fence":
        return c === "\n" ? "before" : c === " " || c === "\t" || c === "\r" ? "more" : "no"
      case "prefix":
        return this.readPrefix(c)
      case "name":
        return this.readName(c)
      case "closing":
        // `**Thought:**`
        if (!isEmphasis(c)) return "before"
        return ++this.closed < this.opened ? "more" : "found"
    }
  }

  private readTag(c: string): Verdict {
    const tag = (this.taken + c).toLowerCase()
    this.kind = tags.get(tag)
    this.isExact = this.kind !== undefined
    if (this.isExact) return "found"
    return beginsOne(tags, tag) ? "more" : "no"
  }

  private readPrefix(c: string): Verdict {
    if (isLetter(c)) {
      this.stage = "name"
      return this.readName(c)
    }
    if (c === "<" && this.taken === "") {
      this.stage = "tag"
      return "more"
    }
    if (isEmphasis(c)) {
      this.opened++
      if (c === "`" && this.taken.endsWith("``")) {
        if (this.taken !== "``") return "no"
        this.kind = "fence"
        this.stage = "fence"
      }
      return "more"
    }
    this.opened = 0
    if (c === "#") this.isHeading = true
    return " \t#>-+•.)".includes(c) || isDigit(c) ? "more" : "no"
  }

  private readName(c: string): Verdict {
    const kind = names.get(this.word)
    if (isLetter(c)) {
      const word = this.word + (this.gap ? " " : "") + c.toLowerCase()
      if (this.isNumbered || this.closed > 0 || !beginsOne(names, word)) return "no"
      this.word = word
      this.gap = false
      return "more"
    }
    if (c === " " || c === "\t" || c === "\r" || c === "-" || (c === "_" && this.opened === 0)) {
      this.gap = true
      return "more"
    }
    if (kind === undefined) return "no"
    if (c === ":" || c === "：") {
      this.kind = kind
      this.isExact = canonical.has(this.taken + c)
      if (this.closed >= this.opened) return "found"
      this.stage = "closing"
      return "more"
    }
    if (isDigit(c)) {
      this.isNumbered = true
      return "more"
    }
    if (isEmphasis(c)) return ++this.closed <= this.opened ? "more" : "no"
    if (c === "\n" && (this.isHeading || (this.opened > 1 && this.closed === this.opened))) {
      this.kind = kind
      return "before"
    }
    return "no"
  }
}

const beginsOne = (of: ReadonlyMap<string, Kind>, text: string): boolean => {
  for (const name of of.keys()) if (name.startsWith(text)) return true
  return false
}

const isLetter = (c: string): boolean => (c >= "a" && c <= "z") || (c >= "A" && c <= "Z")
const isDigit = (c: string): boolean => c >= "0" && c <= "9"
const isEmphasis = (c: string): boolean => c === "*" || c === "_" || c === "`"
