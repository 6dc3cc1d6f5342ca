import * as Effect from "effect/Effect"
import type { OnText } from "../../Contestant.ts"

/** That the reader wants no more. */
export const stopped = "stopped"

/** All of an array, in order; waits where the reader does. */
export const deliver = (texts: ReadonlyArray<string>, onText: OnText): Effect.Effect<void, typeof stopped> => {
  for (let i = 0; i < texts.length; i++) {
    const wait = onText(texts[i]!)
    if (wait !== undefined) {
      return Effect.flatMap(
        Effect.promise(() => wait),
        (stop) => (stop ? Effect.fail(stopped) : deliver(texts.slice(i + 1), onText))
      )
    }
  }
  return Effect.void
}
