/**
 * The part of a prompt that comes on standard input, as in `cat notes.md | rill "Summarise"`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { fstatSync } from "node:fs"
import { Failed, UsageError, why } from "./Failure.ts"
import * as Screen from "./Screen.ts"

/**
 * Reads standard input to its end, unless it is a terminal, and gives its text without the final line
 * breaks.
 *
 * It may have been inherited from something that keeps it open and never sends. What to do then turns
 * on what is there:
 *
 * - `/dev/null`, a file, or closed: it ends by itself, at once.
 * - A pipe: a shell made it, for something that may take long to speak (`rill … | rill …`). An answer
 *   that left its text out would be wrong, so it is waited for, and after {@link patience} standard
 *   error says what for and how to do without.
 * - A socket: no shell makes one; programs that start others do (Node's `spawn` among them), and many
 *   never close it. Beside a prompt, what has not begun to come after {@link patience} is left out,
 *   and standard error says so.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function* (options: {
  readonly screen: Screen.Screen
  /** Whether there is a prompt without it. */
  readonly optional: boolean
}): Effect.fn.Return<string, UsageError | Failed, Stdio.Stdio> {
  const { optional, screen } = options
  if (screen.stdinIsTerminal) return ""
  const stdio = yield* Stdio.Stdio
  const chunks: Array<Uint8Array> = []
  let length = 0
  const reading = stdio.stdin.pipe(
    Stream.mapError((error) => new Failed({ message: `cannot read standard input: ${why(error)}.` })),
    Stream.runForEachArray((pieces) => {
      for (const piece of pieces) {
        chunks.push(piece)
        length += piece.length
      }
      return length > maxLength
        ? Effect.fail(new UsageError({ message: "standard input has more than 64 MiB, which no model can read." }))
        : Effect.void
    })
  )
  const impatience = Effect.gen(function* () {
    yield* Effect.sleep(patience)
    if (length > 0) return yield* Effect.never
    if (optional && isSocket()) {
      return yield* Screen.say(
        screen,
        "note",
        `nothing came on standard input in ${patience}: going on without it (</dev/null says at once that there is nothing).`
      )
    }
    yield* Screen.say(
      screen,
      "note",
      `waiting for standard input to end${optional ? " (</dev/null says that there is nothing)" : ""} …`
    )
    return yield* Effect.never
  })
  yield* Effect.raceFirst(reading, impatience)
  const text = new TextDecoder().decode(Buffer.concat(chunks)).replace(/[\r\n]+$/, "")
  if (!isText(text)) return yield* new UsageError({ message: "standard input is not text in UTF-8." })
  return text.trim() === "" ? "" : text
})

/** A picture or an archive is refused; a log with a few bad bytes in it is not. */
const isText = (decoded: string): boolean =>
  !decoded.includes("\0") && (decoded.match(/\ufffd/g)?.length ?? 0) <= decoded.length / 20

/**
 * How long standard input may keep silent before something is said about it.
 *
 * @category constants
 * @since 0.1.0
 */
export const patience = "3 seconds"

const maxLength = 64 * 1024 * 1024

const isSocket = (): boolean => {
  try {
    return fstatSync(0).isSocket()
  } catch {
    return false
  }
}
