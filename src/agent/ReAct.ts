/**
 * The ReAct form: how a model that can only write text asks for a tool, and says what it thinks and answers.
 *
 * ```text
 * Thought: I need the population.
 * Action: search
 * Action Input: {"query": "population of Paris"}
 * ```
 *
 * ```ts
 * const reader = ReAct.makeReader({ isTool: (name) => name === "search" })
 * const said: Array<ReAct.Said> = []
 * reader.push("Thought: I need the popu", said) // false
 * reader.push("lation.\nAction: search(query=\"Paris\")", said) // true: cut the generation off
 * said
 * // Token "I need the popu" · Token "lation." · Thought "I need the population."
 * // Action { name: "search", input: { query: "Paris" } }
 * ```
 *
 * Models write this form in many ways. What is read, however the text is cut:
 *
 * **Markers.** `Thought`, `Action`, `Action Input`, `Observation`, `Final Answer` and `Answer`, in any case,
 * with emphasis, a list's or heading's sign, a number, `_` for the space, a full-width colon: at the start of a
 * line; `Action:` and `Final Answer:`, spelled just so, after a sentence as well. In code fences, in an answer
 * that is JSON, and in `<think>…</think>` they are text. A fence around the whole text is passed over.
 *
 * **Thoughts.** Streamed, without the white space at their ends and before a marker. Text of `<think>` is
 * thought; several thoughts are one, a line break between them.
 *
 * **Answers.** What follows `Final Answer:`, or text with no marker: that is held back to its first line break
 * (and what comes after it) or its 64th character, since words before a marker are a thought. Once streamed,
 * it stays: what `Final Answer:` brings later is added on a new line; an action makes all of it the thought. An
 * answer ends where the exact `Thought:`, `Observation:`, `Action Input:` or `Final Answer:` stands unindented
 * at a line's start, or an `Action:` with the name of a tool.
 *
 * **Actions.** The first counts, and all that comes after it is discarded. The name is compared as written,
 * in lower case, with `_` for spaces, then its first word alone; one that is no tool's is told as it is. The
 * input is
 *
 * - after `Action Input:`, or right after the name: JSON to its closing bracket, fenced or not, as
 *   `PartialJson` reads it; what a fence holds; or one line, its JSON value or else its text;
 * - in `name(…)` or `name[…]`: JSON, or `key=value` pairs, or quoted values, or else the text;
 * - in one JSON object with `action` and `action_input` (or `name` and `arguments`, and the like);
 * - `{}` where there is none, or it is `None`.
 *
 * `Action: None` is no action. `Finish`, `Final Answer` and `Answer` as an action's name are the answer,
 * unless they are tools. An input without its end is never told.
 *
 * Time and memory are linear in the text.
 *
 * @since 0.1.0
 */
import type * as JsonSchema from "effect/JsonSchema"
import * as PartialJson from "../PartialJson.ts"
import * as ReActInput from "./internal/ReActInput.ts"
import { type Kind, ReActMarker } from "./internal/ReActMarker.ts"
import { isSpace, ReActProse } from "./internal/ReActProse.ts"

/**
 * What a model's text says, as it comes.
 *
 * - `Token`: a piece of a thought or of the answer. Never empty, never a piece of a marker.
 * - `Thought`: the thought whole, before the action or the answer: its tokens joined. None if it is blank.
 * - `Action`: the first action, complete. Its input is parsed, or the text where that is no JSON.
 * - `Answer`: the answer whole, at the end: its tokens joined.
 * - `Unreadable`: what was wrong, in words for the model to mend it.
 *
 * @category models
 * @since 0.1.0
 */
export type Said =
  | { readonly _tag: "Token"; readonly text: string; readonly phase: "thought" | "answer" }
  | { readonly _tag: "Thought"; readonly content: string }
  | { readonly _tag: "Action"; readonly name: string; readonly input: unknown }
  | { readonly _tag: "Answer"; readonly content: string }
  | { readonly _tag: "Unreadable"; readonly why: string }

/**
 * A reader of one text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  /**
   * Reads on and adds what it says to `out`. True once nothing more of this text is wanted: cut the
   * generation off.
   */
  readonly push: (text: string, out: Array<Said>) => boolean
  /** The text has come to its end. Exactly one of Action, Answer, Unreadable has been told then, as the last. */
  readonly end: (out: Array<Said>) => void
}

/**
 * Makes a reader.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader = (options: { readonly isTool: (name: string) => boolean }): Reader =>
  new TextReader(options.isTool)

/**
 * The instructions that teach a model the form, for these tools: for the system prompt.
 *
 * @category prompts
 * @since 0.1.0
 */
export const instructions = (
  tools: ReadonlyArray<{
    readonly name: string
    readonly description: string | undefined
    readonly parameters: JsonSchema.JsonSchema
  }>
): string =>
  tools.length === 0
    ? `Answer in this form:

Thought: what you think
Final Answer: your answer to the user

There are no tools.`
    : `You can use these tools:

${tools
  .map(({ description, name, parameters }) => {
    const about = description?.trim().replace(/\s*\n\s*/g, " ")
    return `- ${name}${about ? `: ${about}` : ""}\n  Input, as JSON Schema: ${JSON.stringify(parameters)}`
  })
  .join("\n")}

To use a tool, write exactly this, and then stop:

Thought: what you need to know, and which tool tells it
Action: one of ${tools.map(({ name }) => name).join(", ")}
Action Input: the tool's input, one JSON value that fits its schema

You are then given its result, as "Observation: …". Never write an Observation yourself. Use one tool at a time, as often as you need.

When you know the answer, or need no tool, write:

Thought: why you can answer now
Final Answer: your answer to the user`

/**
 * How an observation is written in the history.
 *
 * @category prompts
 * @since 0.1.0
 */
export const observation = (content: string): string => `Observation: ${content}`

// -----------------------------------------------------------------------------
// reading
// -----------------------------------------------------------------------------

/** How much of a text without a marker is held back, in characters. */
const heldBack = 64

/** How long a name may be, in characters, where it takes a tool's name to make an action of it. */
const longestName = 128

/**
 * - `open`: no marker has come yet. `thought`, `answer`, `reasoning` (inside `<think>`): the text of one.
 * - `skip`: the rest of a line that says nothing.
 * - `name`: after `Action:`. `call`: in the parentheses after the name. `loose`: on the lines after the name.
 * - `input`: after `Action Input:`, before anything. `json`, `line`, `ticks`, `fence`: in an input of that form.
 * - `over`: all has been told.
 */
type Mode =
  | "open"
  | "thought"
  | "answer"
  | "reasoning"
  | "skip"
  | "name"
  | "call"
  | "loose"
  | "input"
  | "json"
  | "line"
  | "ticks"
  | "fence"
  | "over"

class TextReader implements Reader {
  private readonly isTool: (name: string) => boolean
  private mode: Mode = "open"
  private out: Array<Said> = []

  /** The tokens of the answer, and of the thought that is not told whole yet. */
  private told: Record<"thought" | "answer", Array<string>> = { thought: [], answer: [] }
  private phase: "thought" | "answer" = "thought"
  private token = ""

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
  /** The input's characters, and how many backquotes they end with. */
  private raw = ""
  private ticks = 0
  private remark = ""
  private isSpaced = false
  private nesting = new ReActInput.Nesting()
  private json = PartialJson.make()
  /** Outside of prose: nothing but white space has come in this line. */
  private atLineStart = false

  constructor(isTool: (name: string) => boolean) {
    this.isTool = isTool
  }

  push(text: string, out: Array<Said>): boolean {
    this.out = out
    this.readAll(text)
    this.flush()
    return this.mode === "over"
  }

  end(out: Array<Said>): void {
    this.out = out
    if (this.marker !== undefined) {
      if (this.marker.isWhole) this.found(this.marker)
      else this.failed(this.marker)
    }
    if (this.mode !== "over") this.finish()
    this.flush()
  }

  private step(text: string, at: number): number {
    if (this.marker !== undefined) return this.readMarker(this.marker, text, at)
    switch (this.mode) {
      case "open":
      case "thought":
      case "answer":
      case "reasoning":
        return this.readProse(text, at)
      case "json":
        return this.readJson(text, at)
      case "over":
        return text.length
      default: {
        const c = text[at]!
        if (!this.mayBegin(c) || !this.begin(c)) this.read(c)
        return at + 1
      }
    }
  }

  private readAll(text: string): void {
    let at = 0
    while (at < text.length && this.mode !== "over") at = this.step(text, at)
  }

  // ---------------------------------------------------------------------------
  // telling
  // ---------------------------------------------------------------------------

  private tell(phase: "thought" | "answer", text: string): void {
    if (phase !== this.phase) this.flush()
    this.phase = phase
    this.token += text
  }

  private flush(): void {
    if (this.token === "") return
    this.out.push({ _tag: "Token", text: this.token, phase: this.phase })
    this.told[this.phase].push(this.token)
    this.token = ""
  }

  private has(phase: "thought" | "answer"): boolean {
    return this.told[phase].length > 0 || (this.phase === phase && this.token !== "")
  }

  private endThought(): void {
    this.flush()
    const content = this.told.thought.join("")
    this.told.thought = []
    if (content !== "") this.out.push({ _tag: "Thought", content })
  }

  private act(name: string, input: unknown): void {
    if (this.isFinish(name)) return this.answerWith(ReActInput.answerOf(input))
    this.flush()
    if (this.told.answer.length > 0) {
      // What was streamed as an answer turns out to have been a thought.
      const separator = this.told.thought.length > 0 ? ["\n"] : []
      this.told.thought = [...this.told.answer, ...separator, ...this.told.thought]
    }
    this.endThought()
    this.out.push({ _tag: "Action", name, input: input === ReActInput.none ? {} : input })
    this.mode = "over"
  }

  private isFinish(name: string): boolean {
    return ReActInput.isFinish(name) && !this.isTool(name)
  }

  private answerWith(answer: string): void {
    this.endThought()
    if (answer !== "") this.tell("answer", (this.has("answer") ? "\n" : "") + answer)
    this.endAnswer()
  }

  private endAnswer(): void {
    this.flush()
    if (this.told.answer.length === 0) return this.refuse(blankAnswer)
    this.out.push({ _tag: "Answer", content: this.told.answer.join("") })
    this.mode = "over"
  }

  private refuse(why: string): void {
    this.endThought()
    this.out.push({ _tag: "Unreadable", why })
    this.mode = "over"
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
        return this.turn(kind, marker.taken)
      case "reasoning":
        this.mode = "open"
        return this.prose.begin(this.has("thought") ? "\n" : "", true)
      case "name":
        // `Action:` and nothing.
        if (kind === "input") return this.refuse(namelessAction)
        return this.turn(kind, marker.taken)
      case "loose":
        if (kind === "input") return this.beginInput()
        return this.finish()
      case "input":
      case "fence":
        return this.finish()
      default:
        return this.refuse(openInput)
    }
  }

  private readAsText(text: string): void {
    if (this.mode === "json") {
      this.atLineStart = false
      this.json.push(text)
    } else if (this.isProse) {
      this.write(text)
    } else {
      // Not more than a marker's length, and no marker begins inside.
      for (const c of text) {
        this.atLineStart = false
        this.read(c)
      }
    }
  }

  private get isProse(): boolean {
    return this.mode === "open" || this.mode === "thought" || this.mode === "answer" || this.mode === "reasoning"
  }

  /** Whether a marker counts where it stands. */
  private counts(kind: Kind, isExact: boolean): boolean {
    if (this.mode === "reasoning") return kind === "thinkEnd"
    if (this.mode === "json" || this.mode === "call" || this.mode === "fence") return kind === "observation" && isExact
    if (kind === "fence") return this.isWrapped && (this.mode === "thought" || this.mode === "answer")
    if (!this.isProse) {
      return kind !== "think" && kind !== "thinkEnd"
    }
    if (this.markerPlace === "sentence") {
      return isExact && (kind === "action" || (kind === "answer" && this.mode !== "answer"))
    }
    if (this.mode !== "answer" || !this.has("answer")) return true
    if (kind === "action") return true
    return isExact && this.prose.isFlush && kind !== "think" && (kind !== "thinkEnd" || !this.isExplicit)
  }

  /** A marker in prose: what it is the end of, and what it begins. */
  private turn(kind: Kind, taken: string): void {
    if (this.mode === "open") this.settleAsThought()
    const isAnswered = this.mode === "answer" && this.has("answer")
    if (kind === "action") {
      this.doubted = isAnswered ? taken : undefined
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
        return this.has("answer") ? this.endAnswer() : this.refuse(ownObservation)
      case "input":
        return this.refuse(inputAlone)
      case "answer":
        return this.beginAnswer()
      case "thinkEnd":
        if (!isAnswered) this.mode = "open"
        return this.prose.begin(this.has(isAnswered ? "answer" : "thought") ? "\n" : "", true)
      case "thought":
      case "think":
        this.mode = kind === "think" ? "reasoning" : "thought"
        return this.prose.begin(this.has("thought") ? "\n" : "", true)
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
    if (mode !== "open") return this.tell(mode === "answer" ? "answer" : "thought", text)
    this.held += text
    if (this.held.length >= heldBack || isNewLine) this.settleAsAnswer()
  }

  private settleAsAnswer(): void {
    this.endThought()
    const { held } = this
    this.held = ""
    this.mode = "answer"
    this.isExplicit = false
    this.tell("answer", held)
  }

  private settleAsThought(): void {
    const { held } = this
    this.held = ""
    if (this.isWrapper(held)) this.isWrapped = true
    else if (held !== "") this.tell("thought", held)
  }

  private beginAnswer(): void {
    this.endThought()
    this.mode = "answer"
    this.isExplicit = true
    // What stands after `Final Answer:` in its line is the answer, whatever it is.
    this.prose.begin(this.has("answer") ? "\n" : "", false)
  }

  // ---------------------------------------------------------------------------
  // actions
  // ---------------------------------------------------------------------------

  /** Whether a marker may begin with this character, outside of prose and JSON. */
  private mayBegin(c: string): boolean {
    if (!this.atLineStart || isSpace(c)) return false
    switch (this.mode) {
      case "name":
      case "loose":
      case "input":
        return c !== "`" && c !== "<"
      case "call":
        return c === "O" && !this.nesting.isQuoted
      case "fence":
        return c === "O"
      default:
        return false
    }
  }

  private read(c: string): void {
    switch (this.mode) {
      case "name":
        this.readName(c)
        break
      case "call":
        this.readCall(c)
        break
      case "loose":
        this.readLoose(c)
        break
      case "input":
        this.readInput(c)
        break
      case "line":
        if (c === "\n") this.finish()
        else this.raw += c
        break
      case "ticks":
        this.readTicks(c)
        break
      case "fence":
        this.readFence(c)
        break
      case "skip":
        if (c === "\n") this.skipped()
        break
      default:
        // `json` begins in the middle of what was read as text.
        if (this.mode === "json") this.json.push(c)
    }
    if (c === "\n") this.atLineStart = true
    else if (!isSpace(c)) this.atLineStart = false
  }

  private readName(c: string): void {
    if (this.doubted !== undefined) return this.readDoubtedName(c)
    if (c === "{" && (!this.nameBegan || this.written.startsWith("```"))) return this.beginJson(c)
    if (c === "\n") {
      // `json` after a fence's backquotes is no name.
      if (this.nameBegan && !this.written.startsWith("```")) return this.nameEnded("")
      this.written = ""
      this.nameBegan = false
      return
    }
    if (this.nameBegan && (c === "(" || c === "[")) return this.nameEnded(c)
    if (this.nameBegan && c === "{") return this.nameEnded(c)
    if (!this.nameBegan && !isSpace(c) && !"*`\"'[<".includes(c)) this.nameBegan = true
    this.written += c
  }

  private readDoubtedName(c: string): void {
    const isEnd = c === "\n" || c === "(" || c === "[" || c === "{"
    if (!isEnd && this.written.length < longestName) {
      this.written += c
      return
    }
    const name = ReActInput.nameOf(this.written, this.isTool)
    const isAction = this.isTool(name) || (!this.isExplicit && /^[\w.-]+$/.test(name) && this.doubted === "Action:")
    if (!isEnd || !isAction) return this.undoubt(c)
    if (this.isExplicit) return this.endAnswer()
    this.doubted = undefined
    this.nameEnded(c === "\n" ? "" : c)
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

  private nameEnded(c: string): void {
    const marker = inlineInput.exec(this.written)
    const written = marker === null ? this.written : this.written.slice(0, marker.index)
    const name = ReActInput.nameOf(written, this.isTool)
    if (!this.isTool(name) && ReActInput.isNone(name)) {
      this.noneWanted = true
      this.mode = "skip"
      if (c === "") this.skipped()
      return
    }
    this.name = name
    this.raw = ""
    this.remark = ""
    if (marker !== null) {
      this.beginInput()
      return this.readAll(this.written.slice(marker.index + marker[0].length) + (c || "\n"))
    }
    if (c === "{") return this.beginJson(c)
    if (c === "") {
      this.mode = "loose"
      return
    }
    this.isSpaced = this.written.endsWith(" ")
    this.nesting = new ReActInput.Nesting()
    this.nesting.read(c)
    this.mode = "call"
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
      this.mode = "loose"
      return
    }
    if (this.isFinish(this.name!)) return this.answerWith(ReActInput.answerOfCall(inside))
    this.act(this.name!, ReActInput.argumentsOf(inside))
  }

  private readLoose(c: string): void {
    if (this.raw === "" && c === "`") return this.beginTicks()
    if (this.atLineStart && c === "{") return this.beginJson(c)
    if (this.raw !== "" || !isSpace(c)) this.raw += c
  }

  private beginInput(): void {
    if (this.isFinish(this.name!)) return this.beginAnswer()
    this.raw = ""
    this.remark = ""
    this.atLineStart = false
    this.mode = "input"
  }

  private readInput(c: string): void {
    if (isSpace(c)) return
    if (c === "{" || c === "[") return this.beginJson(c)
    if (c === "`") return this.beginTicks()
    this.mode = "line"
    this.raw = c
  }

  private beginTicks(): void {
    this.mode = "ticks"
    this.raw = "`"
  }

  private readTicks(c: string): void {
    if (c === "`") {
      this.raw += c
      return
    }
    const isFence = this.raw.length >= 3
    this.raw = ""
    this.ticks = 0
    this.mode = isFence ? "fence" : "input"
    this.read(c)
  }

  private readFence(c: string): void {
    if ((c === "{" || c === "[") && this.raw.length < 32 && /^\w*\s*$/.test(this.raw)) return this.beginJson(c)
    this.raw += c
    this.ticks = c === "`" ? this.ticks + 1 : 0
    if (this.ticks === 3) this.finish()
  }

  private beginJson(c: string): void {
    this.mode = "json"
    this.json = PartialJson.make()
    this.json.push(c)
    this.atLineStart = false
  }

  private readJson(text: string, from: number): number {
    const { json } = this
    const c = text[from]!
    if (this.atLineStart && c === "O" && !json.isInString) {
      this.marker = new ReActMarker()
      return from
    }
    const line = text.indexOf("\n", from)
    const end = line === -1 ? text.length : line + 1
    if (this.atLineStart) this.atLineStart = false
    json.push(text.slice(from, end))
    if (json.isWhole) this.finishJson()
    else this.atLineStart = line !== -1
    return end
  }

  private finishJson(): void {
    const value = this.json.end()
    if (this.name !== undefined) return this.act(this.name, value)
    const action = ReActInput.actionOf(value)
    if (action === undefined) return this.refuse(namelessAction)
    this.act(ReActInput.nameOf(action.name, this.isTool), action.input)
  }

  private skipped(): void {
    this.mode = "open"
    this.prose.begin(this.has("thought") ? "\n" : "", true)
  }

  /** Nothing more belongs to what is open. */
  private finish(): void {
    switch (this.mode) {
      case "open":
        if (this.held !== "") this.settleAsAnswer()
        if (this.has("answer")) return this.endAnswer()
        return this.refuse(this.noneWanted ? noAction : this.has("thought") ? thoughtAlone : emptyText)
      case "thought":
      case "reasoning":
        if (!this.has("answer")) return this.refuse(thoughtAlone)
        this.endThought()
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
        this.nameEnded("")
        return this.finish()
      }
      case "loose":
        return this.act(this.name!, ReActInput.valueOf(this.raw || this.remark))
      case "input":
        return this.act(this.name!, ReActInput.none)
      case "line":
        return this.act(this.name!, ReActInput.valueOf(this.raw.replace(/`{1,2}\s*$/, "")))
      case "ticks":
        return this.act(this.name!, ReActInput.none)
      case "fence":
        return this.act(this.name!, ReActInput.valueOfFence(this.raw))
      case "json":
      case "call":
        return this.refuse(openInput)
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
