/** The input of an action: what comes after its name, a character at a time, until it is whole. */
import * as PartialJson from "../../PartialJson.ts"
import * as ReActInput from "./ReActInput.ts"
import type { Kind } from "./ReActMarker.ts"
import { isSpace } from "./ReActProse.ts"

/**
 * - `Input`: the input is whole. `Call`: it is what stands in the brackets after the name.
 * - `Announced`: `Action Input:` has come.
 * - `Open`: its end did not come.
 */
export type Outcome =
  | { readonly _tag: "Input"; readonly value: unknown }
  | { readonly _tag: "Call"; readonly inside: string }
  | { readonly _tag: "Announced" }
  | { readonly _tag: "Open" }

/**
 * - `loose`: on the lines after the name. `call`: in the brackets after it.
 * - `input`: after `Action Input:`, before anything. `json`, `line`, `ticks`, `fence`: in an input of that form.
 */
type State = "loose" | "call" | "input" | "json" | "line" | "ticks" | "fence"

/** Reads one input. */
export class ReActAction {
  /** What has come of it, once something has. */
  outcome: Outcome | undefined
  private state: State = "loose"
  private raw = ""
  /** How many backquotes `raw` ends with. */
  private ticks = 0
  /** What stood in brackets after the name, and may be no more than a remark. */
  private remark = ""
  private readonly isSpaced: boolean
  private readonly nesting = new ReActInput.Nesting()
  private readonly json = PartialJson.make()
  /** Nothing but white space has come in this line. */
  private atLineStart: boolean

  /** `opening` is what ended the name: a line break or a bracket. `isSpaced`: after a space. */
  constructor(opening: "\n" | "(" | "[" | "{", isSpaced: boolean) {
    this.isSpaced = isSpaced
    this.atLineStart = opening === "\n"
    if (opening === "{") this.beginJson(opening)
    else if (opening !== "\n") {
      this.nesting.read(opening)
      this.state = "call"
    }
  }

  /** `Action Input:` has come. */
  announce(): void {
    this.state = "input"
    this.raw = ""
    this.atLineStart = false
    this.outcome = undefined
  }

  /** Whether a marker may begin with this character. */
  mayBegin(c: string): boolean {
    if (!this.atLineStart || isSpace(c)) return false
    switch (this.state) {
      case "loose":
      case "input":
        return c !== "`" && c !== "<"
      case "call":
        return c === "O" && !this.nesting.isQuoted
      case "json":
        return c === "O" && !this.json.isInString
      case "fence":
        return c === "O"
      case "line":
      case "ticks":
        return false
    }
  }

  /** Whether a marker counts. Inside of an input, only the one that begins fiction does. */
  counts(kind: Kind, isExact: boolean): boolean {
    return this.state === "loose" || this.state === "input"
      ? kind !== "think" && kind !== "thinkEnd"
      : isExact && kind === "observation"
  }

  /** A marker that counts has come. */
  mark(kind: Kind): void {
    if (this.state === "loose" && kind === "input") this.outcome = { _tag: "Announced" }
    else this.end()
  }

  /** What might have been a marker is none. */
  readAsText(text: string): void {
    this.atLineStart = false
    if (this.state === "json") this.json.push(text)
    else for (const c of text) this.readCharacter(c)
  }

  /** Reads at least one character. */
  read(text: string, at: number): number {
    if (this.state === "json") return this.readJson(text, at)
    const c = text[at]!
    this.readCharacter(c)
    if (c === "\n") this.atLineStart = true
    else if (!isSpace(c)) this.atLineStart = false
    return at + 1
  }

  /** Nothing more belongs to it. */
  end(): void {
    switch (this.state) {
      case "loose":
        return this.give(ReActInput.valueOf(this.raw || this.remark))
      case "line":
        return this.give(ReActInput.valueOf(this.raw.replace(/`{1,2}\s*$/, "")))
      case "fence":
        return this.give(ReActInput.valueOfFence(this.raw))
      case "input":
      case "ticks":
        return this.give(ReActInput.none)
      case "json":
      case "call":
        this.outcome = { _tag: "Open" }
    }
  }

  private give(value: unknown): void {
    this.outcome = { _tag: "Input", value }
  }

  private readCharacter(c: string): void {
    switch (this.state) {
      case "loose":
        if (this.raw === "" && c === "`") this.state = "ticks"
        if (this.atLineStart && c === "{") this.beginJson(c)
        else if (this.raw !== "" || !isSpace(c)) this.raw += c
        break
      case "call":
        this.readCall(c)
        break
      case "input":
        this.readInput(c)
        break
      case "line":
        if (c === "\n") this.end()
        else this.raw += c
        break
      case "ticks":
        if (c === "`") this.raw += c
        else {
          this.state = this.raw.length < 3 ? "input" : "fence"
          this.raw = ""
          this.readCharacter(c)
        }
        break
      case "fence":
        this.readFence(c)
        break
      case "json":
        this.json.push(c)
    }
  }

  private readCall(c: string): void {
    this.nesting.read(c)
    if (!this.nesting.isOutside) {
      this.raw += c
      return
    }
    const inside = this.raw
    // `search (the web search)` may have its input yet to come, and so may `search()`.
    if (inside.trim() === "" || (this.isSpaced && !ReActInput.isArguments(inside))) {
      this.remark = inside.trim()
      this.raw = ""
      this.state = "loose"
      return
    }
    this.outcome = { _tag: "Call", inside }
  }

  private readInput(c: string): void {
    if (isSpace(c)) return
    if (c === "{" || c === "[") return this.beginJson(c)
    this.state = c === "`" ? "ticks" : "line"
    this.raw = c
  }

  private readFence(c: string): void {
    // After the word that says what the fence holds, which is not long.
    if ((c === "{" || c === "[") && this.raw.length < 32 && /^\w*\s*$/.test(this.raw)) return this.beginJson(c)
    this.raw += c
    this.ticks = c === "`" ? this.ticks + 1 : 0
    if (this.ticks === 3) this.end()
  }

  private beginJson(c: string): void {
    this.state = "json"
    this.json.push(c)
    this.atLineStart = false
  }

  private readJson(text: string, from: number): number {
    const line = text.indexOf("\n", from)
    const end = line === -1 ? text.length : line + 1
    this.json.push(text.slice(from, end))
    if (this.json.isWhole) this.give(this.json.end())
    this.atLineStart = line !== -1
    return end
  }
}
