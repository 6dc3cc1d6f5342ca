/**
 * What the terminal, if there is one, can do, and lines for its reader.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Note } from "./Policies.ts"
import * as TerminalText from "./TerminalText.ts"

/**
 * What the terminal can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Screen {
  readonly stdinIsTerminal: boolean
  readonly stdoutIsTerminal: boolean
  readonly stderrIsTerminal: boolean
  /** Whether standard error may be coloured: a terminal, and none of `NO_COLOR` and `TERM=dumb`. */
  readonly color: boolean
  /** Whether standard error may be drawn over. */
  readonly animate: boolean
}

/**
 * Looks at the streams and at `NO_COLOR` (https://no-color.org), `FORCE_COLOR` and `TERM`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Screen, never, Stdio.Stdio> = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const { force, none, term } = yield* Effect.orDie(environment)
  const stderrIsTerminal = yield* stdio.stderrIsTerminal
  const dumb = term === "dumb"
  return {
    stdinIsTerminal: yield* stdio.stdinIsTerminal,
    stdoutIsTerminal: yield* stdio.stdoutIsTerminal,
    stderrIsTerminal,
    color: !dumb && none === "" && (stderrIsTerminal || !["", "0", "false"].includes(force)),
    animate: stderrIsTerminal && !dumb
  }
})

const variable = (name: string): Config.Config<string> =>
  Config.map(
    Config.option(Config.String(name)),
    Option.getOrElse(() => "")
  )

const environment = Config.all({
  none: variable("NO_COLOR"),
  force: variable("FORCE_COLOR"),
  term: variable("TERM")
})

/**
 * Writes a line to standard error, as the command's own words: `rill: …`.
 *
 * @category writing
 * @since 0.1.0
 */
export const say = (screen: Screen, tone: "error" | "note", text: string): Effect.Effect<void, never, Stdio.Stdio> => {
  const plain = TerminalText.line(text)
  const line = !screen.color
    ? `rill: ${plain}`
    : tone === "error"
      ? `\x1b[31mrill:\x1b[0m ${plain}`
      : `\x1b[2mrill: ${plain}\x1b[0m`
  return write(`${line}\n`)
}

/**
 * Says what has happened on the way to an answer. On a terminal, what is going to be tried again takes one
 * line of it: more may come.
 *
 * @category writing
 * @since 0.1.0
 */
export const note = (screen: Screen, { again, text }: Note): Effect.Effect<void, never, Stdio.Stdio> => {
  const width = (process.stderr.columns || 80) - "rill: ".length
  return say(screen, "note", again && screen.stderrIsTerminal ? TerminalText.fit(TerminalText.line(text), width) : text)
}

/**
 * Writes to standard error. Whether anybody reads it makes no difference to the answer.
 *
 * @category writing
 * @since 0.1.0
 */
export const write = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.make(text), stdio.stderr())))
