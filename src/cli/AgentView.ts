/**
 * An agent's run as a person sees it: the answer on standard output, what leads to it on standard error.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { AgentError } from "../agent/AgentError.ts"
import type { AgentEvent, Of } from "../agent/AgentEvent.ts"
import * as Screen from "./Screen.ts"
import * as Spinner from "./Spinner.ts"
import * as TerminalText from "./TerminalText.ts"

/**
 * How a run is shown.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly screen: Screen.Screen
  /**
   * Whether the answer goes to somebody's eyes. Then it streams, and text that turns out to belong to a call
   * of a tool has been seen as it came. Else the answer is held to the end of its step: what a program reads
   * is the answer and nothing else.
   */
  readonly live: boolean
  /** What the spinner says: the model's name. */
  readonly label: string
}

/**
 * Gives the text of the answer, and writes thoughts, actions and observations to standard error as they come.
 *
 * @category rendering
 * @since 0.1.0
 */
export const show = <R>(
  events: Stream.Stream<AgentEvent, AgentError, R>,
  options: Options
): Stream.Stream<string, AgentError, R | Stdio.Stdio | Scope.Scope> =>
  Stream.suspend(() => {
    const view = new View(options)
    const { label, screen } = options
    let stop: Effect.Effect<void> = Effect.void
    const still = Effect.suspend(() => {
      const stopping = stop
      stop = Effect.void
      return stopping
    })
    return events.pipe(
      Stream.map((event) => view.see(event)),
      Stream.flattenIterable,
      // One at a time: the two outputs may be one screen, and are to be written in order.
      Stream.mapEffect((piece) => {
        switch (piece.to) {
          case "wait":
            return Effect.map(Effect.andThen(still, Spinner.start(screen, label)), (spinner) => {
              stop = spinner.stop
              return ""
            })
          case "stderr":
            return Effect.as(Effect.andThen(still, Screen.write(piece.text)), "")
          case "stdout":
            return Effect.as(still, piece.text)
        }
      }),
      Stream.filter((text) => text !== ""),
      Stream.ensuring(Effect.suspend(() => still))
    )
  })

type Piece = { readonly to: "stdout" | "stderr"; readonly text: string } | { readonly to: "wait" }

class View {
  private readonly options: Options
  /** Text of this step that may be the answer: held, or shown already. */
  private held: Array<string> = []
  /** Where the cursor is: behind a thought or an answer that may go on. */
  private inThought = false
  private inAnswer = false
  private filter = TerminalText.makeFilter()

  constructor(options: Options) {
    this.options = options
  }

  see(event: AgentEvent): ReadonlyArray<Piece> {
    const { live, screen } = this.options
    switch (event._tag) {
      case "StepStarted":
        this.held = []
        return [{ to: "wait" }]
      case "Token":
        if (event.phase === "thought") {
          // In a pipe thoughts are told whole.
          if (!screen.stderrIsTerminal) return []
          const before = this.inThought ? [] : this.endLine()
          if (!this.inThought) this.filter = TerminalText.makeFilter()
          this.inThought = true
          return [...before, stderr(this.dim(this.filter(event.content)))]
        }
        this.held.push(event.content)
        if (!live) return []
        const before = this.inThought ? this.endLine() : []
        this.inAnswer = true
        return [...before, { to: "stdout", text: event.content }]
      case "Thought":
        return this.thought(event.content)
      case "Action":
        return [...this.endLine(), stderr(this.line("→", 36, `${event.toolName} ${inputOf(event)}`))]
      case "Progress":
        return [...this.endLine(), stderr(this.line("…", 2, event.content))]
      case "Observation":
        return [...this.endLine(), stderr(this.line(event.isError ? "✗" : "←", event.isError ? 31 : 36, event.content))]
      case "StepFinished": {
        const pieces: Array<Piece> = []
        if (event.outcome !== "answered") pieces.push(...this.endLine())
        else if (this.inThought) pieces.push(...this.endLine())
        if (event.outcome === "answered" && !live) pieces.push({ to: "stdout", text: this.held.join("") })
        if (event.outcome === "unreadable") {
          pieces.push(stderr(this.line("✗", 31, "the model's text could not be read; it was told so")))
        }
        return pieces
      }
      case "Final":
        return []
    }
  }

  private thought(content: string): ReadonlyArray<Piece> {
    const { live, screen } = this.options
    // It has been seen as it came, on this screen.
    const seen = this.inThought || (this.inAnswer && live && screen.stderrIsTerminal)
    const end = this.endLine()
    if (seen) return end
    const text = TerminalText.makeFilter()(content).trim()
    return text === "" ? end : [...end, stderr(`${this.dim(text)}\n`)]
  }

  private endLine(): ReadonlyArray<Piece> {
    const pieces: ReadonlyArray<Piece> = this.inThought
      ? [stderr("\n")]
      : this.inAnswer
        ? [{ to: "stdout", text: "\n" }]
        : []
    this.inThought = false
    this.inAnswer = false
    return pieces
  }

  private dim(text: string): string {
    return this.options.screen.color && text !== "" ? `\x1b[2m${text}\x1b[0m` : text
  }

  /** One line, not wider than the screen. */
  private line(mark: string, color: number, text: string): string {
    const { screen } = this.options
    const width = screen.stderrIsTerminal ? process.stderr.columns || 80 : 200
    const said = fit(TerminalText.line(text), width - 3)
    return screen.color ? `\x1b[${color}m${mark}\x1b[0m ${said}\n` : `${mark} ${said}\n`
  }
}

const stderr = (text: string): Piece => ({ to: "stderr", text })

/** An input of one field is shown as its value. */
const inputOf = ({ input }: Of<"Action">): string => {
  if (typeof input === "string") return input
  const values = typeof input === "object" && input !== null ? Object.values(input) : []
  return values.length === 1 && typeof values[0] === "string" ? values[0] : (JSON.stringify(input) ?? "")
}

/**
 * Cuts a line to a number of columns.
 *
 * @category rendering
 * @since 0.1.0
 */
export const fit = (text: string, columns: number): string => {
  let width = 0
  let end = 0
  /** Where the cut is, if there is to be one: it leaves room for the sign of it. */
  let cut = 0
  for (const character of text) {
    width += zero.test(character) ? 0 : wide.test(character) ? 2 : 1
    if (width > columns) return `${text.slice(0, cut)}…`
    end += character.length
    if (width < columns) cut = end
  }
  return text
}

const zero = /[\p{Mn}\p{Me}\p{Cf}]/u

const wide =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
