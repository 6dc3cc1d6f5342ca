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
import type { Note } from "./Policies.ts"
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
 * What is seen of one run.
 *
 * @category models
 * @since 0.1.0
 */
export interface AgentView {
  /** Gives the text of the answer, and writes thoughts, actions and observations to standard error as they come. */
  readonly show: <R>(
    events: Stream.Stream<AgentEvent, AgentError, R>
  ) => Stream.Stream<string, AgentError, R | Stdio.Stdio | Scope.Scope>
  /** Says what has happened to the model, on a line of its own, and waits on. */
  readonly note: (note: Note) => Effect.Effect<void, never, Stdio.Stdio | Scope.Scope>
}

/**
 * A view of a run that has not begun.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): AgentView => {
  const view = new View(options)
  const { screen } = options
  let label = options.label
  let stop: Effect.Effect<void> = Effect.void
  const still = Effect.suspend(() => {
    const stopping = stop
    stop = Effect.void
    return stopping
  })
  const wait = Effect.suspend(() => Spinner.start(screen, label)).pipe(
    Effect.map((spinner) => {
      stop = spinner.stop
    })
  )
  return {
    note: (note) =>
      Effect.suspend(() => {
        label = note.model
        const end = view.interrupt() ? Screen.write("\n") : Effect.void
        return still.pipe(Effect.andThen(end), Effect.andThen(Screen.note(screen, note)), Effect.andThen(wait))
      }),
    show: (events) =>
      events.pipe(
        Stream.map((event) => view.see(event)),
        Stream.flattenIterable,
        // One at a time: the two outputs may be one screen, and are to be written in order.
        Stream.mapEffect((piece) => {
          switch (piece.to) {
            case "wait":
              return Effect.as(Effect.andThen(still, wait), "")
            case "stderr":
              return Effect.as(Effect.andThen(still, Screen.write(piece.text)), "")
            case "stdout":
              return Effect.as(still, piece.text)
          }
        }),
        Stream.filter((text) => text !== ""),
        Stream.ensuring(still)
      )
  }
}

type Piece = { readonly to: "stdout" | "stderr"; readonly text: string } | { readonly to: "wait" }

class View {
  private readonly options: Options
  /** Text of this step that may be the answer: held, or shown already. */
  private held: Array<string> = []
  /** Where the cursor is: behind a thought or an answer that may go on. */
  private inThought = false
  private inAnswer = false
  /** Whether what is now told as a thought has been seen, above a note. */
  private above = false
  private filter = TerminalText.makeFilter()

  constructor(options: Options) {
    this.options = options
  }

  see(event: AgentEvent): ReadonlyArray<Piece> {
    const { live, screen } = this.options
    switch (event._tag) {
      case "StepStarted":
        this.held = []
        this.above = false
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

  /** A note is going to be written. Whether it would stand behind the beginning of a line. */
  interrupt(): boolean {
    const isBehindAnswer = this.inAnswer && this.options.screen.stderrIsTerminal
    if (!this.inThought && !isBehindAnswer) return false
    this.above = true
    this.inThought = false
    this.inAnswer = false
    return true
  }

  private thought(content: string): ReadonlyArray<Piece> {
    const { live, screen } = this.options
    // It has been seen as it came, on this screen.
    const seen = this.inThought || this.above || (this.inAnswer && live && screen.stderrIsTerminal)
    const end = this.endLine()
    this.above = false
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
    const said = TerminalText.fit(TerminalText.line(text), width - 3)
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
