/**
 * What `rill` and `rill agent` do alike, before they ask and after.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Stdio from "effect/Stdio"
import type * as LlmUsage from "../LlmUsage.ts"
import { UsageError } from "./Failure.ts"
import * as Model from "./Model.ts"
import type { Options } from "./Options.ts"
import * as Output from "./Output.ts"
import * as Report from "./Report.ts"
import * as Screen from "./Screen.ts"
import * as StandardInput from "./StandardInput.ts"

/**
 * Finds the models, reads what is piped in after the words, and opens the output. `nothing` is what is said
 * where there is nothing to ask.
 *
 * @category running
 * @since 0.1.0
 */
export const begin = Effect.fnUntraced(function* (
  screen: Screen.Screen,
  options: Options,
  words: string,
  nothing: string
) {
  const models = yield* Model.chooseAll(options.model, options.fallbacks, options.api)
  const more = yield* StandardInput.read({ screen, optional: words !== "" })
  const prompt = [words, more].filter((part) => part !== "").join("\n\n")
  if (prompt === "") return yield* new UsageError({ message: nothing })
  const output = options.output === undefined ? yield* Output.standard(screen) : yield* Output.file(options.output)
  const [{ name, note }] = models
  if (note !== undefined) yield* Screen.say(screen, "note", note)
  /** Whether the answer is for a person who watches. */
  const shown = screen.stdoutIsTerminal && options.output === undefined
  return { models, prompt, output, name, shown }
})

/**
 * Says, after the answer, what there is to say of it; what it used also where it failed or was left.
 *
 * @category running
 * @since 0.1.0
 */
export const end =
  (
    screen: Screen.Screen,
    options: Options,
    tally: { readonly isCut: () => boolean; readonly usage: () => LlmUsage.LlmUsage }
  ) =>
  <A, E, R>(answer: Effect.Effect<A, E, R>): Effect.Effect<void, E, R | Stdio.Stdio> =>
    answer.pipe(
      Effect.andThen(
        Effect.suspend(() => (tally.isCut() && !options.json ? Screen.say(screen, "note", cut) : Effect.void))
      ),
      Effect.ensuring(
        Effect.suspend(() => (options.usage ? Screen.say(screen, "note", Report.usage(tally.usage())) : Effect.void))
      )
    )

const cut = "the answer stops where its tokens ran out (--max-tokens, or the model's limit)."
