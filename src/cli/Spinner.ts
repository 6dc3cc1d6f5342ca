/**
 * Something that moves while nothing has come yet.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Screen from "./Screen.ts"
import * as TerminalText from "./TerminalText.ts"

/**
 * A spinner that turns.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spinner {
  /** Changes what it says. */
  readonly label: (text: string) => void
  /** Stops it and takes it off the screen. Once is enough. */
  readonly stop: Effect.Effect<void>
}

/**
 * Starts a spinner on standard error, if that is a terminal; it stops with the scope at the latest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fnUntraced(function* (
  screen: Screen.Screen,
  label: string
): Effect.fn.Return<Spinner, never, Scope.Scope | Stdio.Stdio> {
  if (!screen.animate) return { label: () => {}, stop: Effect.void }
  // The name of a model may come from a server.
  let text = TerminalText.line(label)
  const began = yield* Clock.currentTimeMillis
  const draw = (turn: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const seconds = Math.floor((now - began) / 1000)
      const said = seconds < 2 ? text : `${text} · ${seconds} s`
      const mark = frames[turn % frames.length]!
      return Screen.write(
        clear + (screen.color ? `\x1b[36m${mark}\x1b[0m \x1b[2m${fit(said)}\x1b[0m` : `${mark} ${fit(said)}`)
      )
    })
  let turn = 0
  const turning = yield* Effect.suspend(() => draw(turn++)).pipe(
    Effect.andThen(Effect.sleep("80 millis")),
    Effect.forever,
    Effect.ensuring(Screen.write(clear)),
    Effect.forkScoped
  )
  return {
    label: (label) => {
      text = TerminalText.line(label)
    },
    stop: Fiber.interrupt(turning)
  }
})

const frames = Array.from("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

/** Back to the first column, and nothing to the right of it. */
const clear = "\r\x1b[K"

/** What is wider than the screen would leave a line behind at every turn. */
const fit = (text: string): string => {
  const width = (process.stderr.columns || 80) - 4
  return text.length <= width ? text : `${text.slice(0, Math.max(width - 1, 0))}…`
}
