/** Reads a text in the ReAct form: what it says is told by `ReAct.Said`, what counts is said in `ReAct`. */
import type { Reader, Said } from "../ReAct.ts"
import { ReActAction } from "./ReActAction.ts"
import * as ReActInput from "./ReActInput.ts"
import { type Kind, ReActMarker } from "./ReActMarker.ts"
import { isSpace, ReActProse } from "./ReActProse.ts"
import { ReActTelling } from "./ReActTelling.ts"

/** How much of a text without a marker is held back, in characters. */
const heldBack = 64

/** How long a name may be, in characters, where it takes a tool's name to make an action of it. */
const longestName = 128

/**
 * - `open`: no marker has come yet. `thought`, `answer`, `reasoning` (inside `<think>`): the text of one.
 * - `skip`: the rest of a line that says nothing.
 * - `name`: after `Action:`. `input`: after the action's name.
 * - `over`: all has been told.
 */
type Mode = "open" | "thought" | "answer" | "reasoning" | "skip" | "name" | "input" | "over"

/** Reads one text. */
export class ReActReader implements Reader {
  private readonly isTool: (name: string) => boolean
  private mode: Mode = "open"
  private readonly telling = new ReActTelling()

  /** The candidate that is being read. */
  private marker: ReActMarker | undefined
  private markerPlace: "line" | "sentence" = "line"
  private readonly prose = new ReActProse()
  /** `open`: what may be a thought or the answer. */
  private held = ""
  /** The answer was announced by a marker. */
  private isExplicit = false
  /** A fence is around the whole text. */
  private isWrapped = false
  /** The action was none. */
  private noneWanted = false

  /** An `Action:` inside of the answer: text again, unless it names a tool. */
  private doubted: string | undefined
  /** The name as it was written; then the one that is meant. */
  private written = ""
  private nameBegan = false
  private name: string | undefined
  private action = new ReActAction("\n", false)
  /** `name`: nothing but white space has come in this line. */
  private atLineStart = false

  constructor(isTool: (name: string) => boolean) {
    this.isTool = isTool
  }

  push(text: string, out: Array<Said>): boolean {
    this.telling.out = out
    this.readAll(text)
    this.telling.flush()
    return this.mode === "over"
  }

  end(out: Array<Said>): void {
    this.telling.out = out
    if (this.marker !== undefined) {
      if (this.marker.isWhole) this.found(this.marker)
      else this.failed(this.marker)
    }
    if (this.mode !== "over") this.finish()
    this.telling.flush()
  }

  private step(text: string, at: number): number {
    if (this.marker !== undefined) return this.readMarker(this.marker, text, at)
    const c = text[at]!
    switch (this.mode) {
      case "open":
      case "thought":
      case "answer":
      case "reasoning":
        return this.readProse(text, at)
      case "skip":
        if (c === "\n") this.skipped()
        return at + 1
      case "name":
        // No name begins like a tag or a fence.
        if (!this.atLineStart || isSpace(c) || c === "<" || c === "`" || !this.begin(c)) this.readName(c)
        return at + 1
      case "input": {
        const { action } = this
        if (action.mayBegin(c) && this.begin(c)) return at + 1
        const end = action.read(text, at)
        this.settle()
        return end
      }
      case "over":
        return text.length
    }
  }

  private readAll(text: string): void {
    let at = 0
    while (at < text.length && this.mode !== "over") at = this.step(text, at)
  }

  // ---------------------------------------------------------------------------
  // telling
  // ---------------------------------------------------------------------------

  private act(name: string, input: unknown): void {
    if (this.isFinish(name)) return this.answerWith(ReActInput.answerOf(input))
    this.telling.action(name, input === ReActInput.none ? {} : input)
    this.mode = "over"
  }

  private isFinish(name: string): boolean {
    return ReActInput.isFinish(name) && !this.isTool(name)
  }

  private answerWith(answer: string): void {
    this.telling.endThought()
    this.telling.tell("answer", answer && this.separator("answer") + answer)
    this.endAnswer()
  }

  private endAnswer(): void {
    if (!this.telling.has("answer")) return this.refuse(blankAnswer)
    this.telling.endAnswer()
    this.mode = "over"
  }

  private refuse(why: string): void {
    this.telling.unreadable(why)
    this.mode = "over"
  }

  /** What is between the pieces of a thought, or of an answer. */
  private separator(phase: "thought" | "answer"): string {
    return this.telling.has(phase) ? "\n" : ""
  }

  // ---------------------------------------------------------------------------
  // markers
  // ---------------------------------------------------------------------------

  /** Whether a candidate begins with this character. */
  private begin(c: string, place: "line" | "sentence" = "line"): boolean {
    const marker = new ReActMarker()
    if (marker.read(c) === "no") return false
    this.marker = marker
    this.markerPlace = place
    return true
  }

  private readMarker(marker: ReActMarker, text: string, at: number): number {
    const verdict = marker.read(text[at]!)
    if (verdict === "no") this.failed(marker)
    else if (verdict !== "more") this.found(marker)
    return verdict === "more" || verdict === "found" ? at + 1 : at
  }

  private failed(marker: ReActMarker): void {
    this.marker = undefined
    this.readAsText(marker.taken)
  }

  private found(marker: ReActMarker): void {
    this.marker = undefined
    const kind = marker.kind!
    if (!this.counts(kind, marker.isExact)) return this.readAsText(marker.taken)
    switch (this.mode) {
      case "open":
      case "thought":
      case "answer":
        return this.turn(marker)
      case "reasoning":
        this.mode = "open"
        return this.prose.begin("", true)
      case "name":
        // `Action:` and nothing.
        if (kind === "input") return this.refuse(namelessAction)
        return this.turn(marker)
      case "input":
        this.action.mark(kind)
        return this.settle()
    }
  }

  private readAsText(text: string): void {
    if (this.isProse) return this.write(text)
    if (this.mode === "input") {
      this.action.readAsText(text)
      return this.settle()
    }
    // The name begins with it, and has no line break in it.
    this.atLineStart = false
    for (const c of text) if (this.mode === "name") this.readName(c)
  }

  private get isProse(): boolean {
    return this.mode === "open" || this.mode === "thought" || this.mode === "answer" || this.mode === "reasoning"
  }

  /** Whether a marker counts where it stands. */
  private counts(kind: Kind, isExact: boolean): boolean {
    if (this.mode === "reasoning") return kind === "thinkEnd"
    if (this.mode === "input") return this.action.counts(kind, isExact)
    if (kind === "fence") return this.isWrapped && (this.mode === "thought" || this.mode === "answer")
    if (!this.isProse) {
      return kind !== "think" && kind !== "thinkEnd"
    }
    if (this.markerPlace === "sentence") {
      return isExact && (kind === "action" || (kind === "answer" && this.mode !== "answer"))
    }
    if (this.mode !== "answer" || !this.telling.has("answer")) return true
    if (kind === "action") return true
    return isExact && this.prose.isFlush && kind !== "think" && (kind !== "thinkEnd" || !this.isExplicit)
  }

  private endProse(): void {
    if (this.mode === "thought" || this.mode === "answer") this.telling.tell(this.phaseOf(this.mode), this.prose.end())
  }

  /** A marker in prose: what it is the end of, and what it begins. */
  private turn(marker: ReActMarker): void {
    const kind = marker.kind!
    if (this.mode === "open") this.settleAsThought()
    else this.endProse()
    const isAnswered = this.mode === "answer" && this.telling.has("answer")
    if (kind === "action") {
      this.doubted = isAnswered ? marker.taken : undefined
      this.written = ""
      this.nameBegan = false
      this.atLineStart = false
      this.mode = "name"
      return
    }
    if (kind === "input" && this.noneWanted) {
      this.mode = "skip"
      return
    }
    if (isAnswered && (this.isExplicit || kind === "observation" || kind === "input")) return this.endAnswer()
    switch (kind) {
      case "observation":
        return this.telling.has("answer") ? this.endAnswer() : this.refuse(ownObservation)
      case "input":
        return this.refuse(inputAlone)
      case "answer":
        return this.beginAnswer(marker.unclosed)
      case "thinkEnd":
        if (!isAnswered) this.mode = "open"
        return this.prose.begin(isAnswered ? "\n" : "", true)
      case "thought":
      case "think":
        this.mode = kind === "think" ? "reasoning" : "thought"
        return this.prose.begin(this.separator("thought"), true, marker.unclosed)
      case "fence":
        return this.finish()
    }
  }

  // ---------------------------------------------------------------------------
  // thoughts and answers
  // ---------------------------------------------------------------------------

  private readProse(text: string, from: number): number {
    const { prose } = this
    const c = text[from]!
    if (isSpace(c)) {
      prose.space(c)
      return from + 1
    }
    if (this.mode === "reasoning") {
      if (c === "<" && this.begin(c)) return from + 1
      const tag = text.indexOf("<", from)
      const at = endOfWord(text, from)
      const end = tag === -1 ? at : Math.min(tag, at)
      this.write(text.slice(from, end))
      return end
    }
    const place = this.placeOf(c)
    if (place !== undefined && this.begin(c, place)) return from + 1
    const end = endOfWord(text, from)
    this.write(text.slice(from, end))
    return end
  }

  /** Where a marker may begin with this character. */
  private placeOf(c: string): "line" | "sentence" | undefined {
    const { mode, prose } = this
    const place =
      prose.place ?? (mode === "open" && prose.atLineStart && this.isWrapper(this.held) ? "line" : undefined)
    if (place !== "sentence") return place
    if (mode === "answer") return c === "A" && !this.isExplicit ? place : undefined
    return c === "A" || c === "F" ? place : undefined
  }

  /** A line that opens a fence, and nothing else: it may be around the whole text. */
  private isWrapper(held: string): boolean {
    return /^(?:```|~~~)\S*$/.test(held)
  }

  private write(piece: string): void {
    const { mode, prose } = this
    const isNewLine = prose.atLineStart && !prose.isEmpty
    const text = prose.write(piece)
    if (mode !== "open") return this.telling.tell(this.phaseOf(mode), text)
    this.held += text
    if (this.held.length >= heldBack || isNewLine) this.settleAsAnswer()
  }

  private phaseOf(mode: Mode): "thought" | "answer" {
    return mode === "answer" ? "answer" : "thought"
  }

  private settleAsAnswer(): void {
    this.telling.endThought()
    const { held } = this
    this.held = ""
    this.mode = "answer"
    this.isExplicit = false
    this.telling.tell("answer", held)
  }

  private settleAsThought(): void {
    const { held } = this
    this.held = ""
    if (this.isWrapper(held)) this.isWrapped = true
    else if (held !== "") this.telling.tell("thought", this.separator("thought") + held)
  }

  private beginAnswer(unclosed: number): void {
    this.telling.endThought()
    this.mode = "answer"
    this.isExplicit = true
    // What stands after `Final Answer:` in its line is the answer, whatever it is.
    this.prose.begin(this.separator("answer"), false, unclosed)
  }

  // ---------------------------------------------------------------------------
  // actions
  // ---------------------------------------------------------------------------

  private readName(c: string): void {
    if (this.doubted !== undefined) return this.readDoubtedName(c)
    if (c === "{" && (!this.nameBegan || this.written.startsWith("```"))) return this.beginInput(c)
    if (c === "\n") {
      this.atLineStart = true
      // `json` after a fence's backquotes is no name.
      if (this.nameBegan && !this.written.startsWith("```")) return this.nameEnded("\n")
      this.written = ""
      this.nameBegan = false
      return
    }
    if (this.nameBegan && (c === "(" || c === "[" || c === "{")) return this.nameEnded(c)
    if (!isSpace(c)) this.atLineStart = false
    if (!this.nameBegan && !isSpace(c) && !"*`\"'[<".includes(c)) this.nameBegan = true
    this.written += c
  }

  private readDoubtedName(c: string): void {
    if (c !== "\n" && c !== "(" && c !== "[" && c !== "{") {
      if (this.written.length === longestName) return this.undoubt(c)
      this.written += c
      return
    }
    const name = ReActInput.nameOf(this.written, this.isTool)
    const mayBeTool = !this.isExplicit && this.doubted === "Action:" && /^[\w.-]+$/.test(name)
    if (!this.isTool(name) && !mayBeTool) return this.undoubt(c)
    if (this.isExplicit) return this.endAnswer()
    this.doubted = undefined
    this.nameEnded(c)
  }

  /** It was text. */
  private undoubt(c: string): void {
    const text = this.doubted! + this.written
    this.doubted = undefined
    this.mode = "answer"
    this.write(text)
    if (isSpace(c)) this.prose.space(c)
    else this.write(c)
  }

  private nameEnded(c: "\n" | "(" | "[" | "{"): void {
    const marker = inlineInput.exec(this.written)
    const written = marker === null ? this.written : this.written.slice(0, marker.index)
    const name = ReActInput.nameOf(written, this.isTool)
    if (!this.isTool(name) && ReActInput.isNone(name)) {
      this.noneWanted = true
      this.mode = "skip"
      if (c === "\n") this.skipped()
      return
    }
    this.name = name
    if (marker === null) return this.beginInput(c)
    this.beginInput("\n")
    this.announced()
    this.readAll(this.written.slice(marker.index + marker[0].length) + c)
  }

  private beginInput(opening: "\n" | "(" | "[" | "{"): void {
    this.action = new ReActAction(opening, this.written.endsWith(" "))
    this.mode = "input"
  }

  private announced(): void {
    // `Action: Final Answer` and `Action Input: It is 42.`
    if (this.name !== undefined && this.isFinish(this.name)) this.beginAnswer(0)
    else this.action.announce()
  }

  /** Tells what has come of the action, if something has. */
  private settle(): void {
    const { name } = this
    const { outcome } = this.action
    switch (outcome?._tag) {
      case undefined:
        return
      case "Announced":
        return this.announced()
      case "Open":
        return this.refuse(openInput)
      case "Call":
        if (name === undefined) return
        return this.isFinish(name)
          ? this.answerWith(ReActInput.answerOfCall(outcome.inside))
          : this.act(name, ReActInput.argumentsOf(outcome.inside))
      case "Input": {
        if (name !== undefined) return this.act(name, outcome.value)
        const action = ReActInput.actionOf(outcome.value)
        if (action === undefined) return this.refuse(namelessAction)
        return this.act(ReActInput.nameOf(action.name, this.isTool), action.input)
      }
    }
  }

  private skipped(): void {
    this.mode = "open"
    this.prose.begin("", true)
  }

  /** Nothing more belongs to what is open. */
  private finish(): void {
    this.endProse()
    switch (this.mode) {
      case "open":
        if (this.held !== "") this.settleAsAnswer()
        if (this.telling.has("answer")) return this.endAnswer()
        return this.refuse(this.noneWanted ? noAction : this.telling.has("thought") ? thoughtAlone : emptyText)
      case "thought":
      case "reasoning":
        if (!this.telling.has("answer")) return this.refuse(thoughtAlone)
        this.telling.endThought()
        return this.endAnswer()
      case "answer":
        return this.endAnswer()
      case "skip":
        this.skipped()
        return this.finish()
      case "name": {
        if (this.doubted !== undefined) {
          this.readDoubtedName("\n")
          return this.finish()
        }
        if (!this.nameBegan) return this.refuse(namelessAction)
        this.nameEnded("\n")
        return this.finish()
      }
      case "input":
        this.action.end()
        this.settle()
        if (!this.isProse) return
        return this.finish()
      case "over":
        return
    }
  }
}

const inlineInput = /action[ _-]?input\s{0,8}[:：]/i

const endOfWord = (text: string, from: number): number => {
  let at = from
  while (at < text.length && !isSpace(text[at]!)) at++
  return at
}

// -----------------------------------------------------------------------------
// what is wrong
// -----------------------------------------------------------------------------

const next = `Write "Action:" with the name of a tool and "Action Input:" with its input as JSON, or "Final Answer:" with your answer.`

const emptyText = `You wrote nothing. ${next}`
const thoughtAlone = `Your Thought was followed by neither an Action nor a Final Answer. ${next}`
const noAction = `You named no tool as your Action, and gave no answer. ${next}`
const namelessAction = `Your Action does not name a tool. ${next}`
const inputAlone = `You wrote an Action Input without an Action before it. ${next}`
const ownObservation = `You wrote an Observation yourself. Observations are given to you, after an Action. ${next}`
const openInput = `The input of your Action is not complete: a bracket or quote is not closed. Write the Action again, with its whole input as JSON.`
const blankAnswer = `Your Final Answer is empty. ${next}`
