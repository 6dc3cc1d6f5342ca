/**
 * An answer as a person sees it: a spinner until it begins, and a line for each thing that goes wrong on its
 * way.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Note } from "./Policies.ts"
import * as Screen from "./Screen.ts"
import * as Spinner from "./Spinner.ts"

/**
 * What is seen of one answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnswerView {
  /** Says that the model thinks. */
  readonly thinking: () => void
  /** Says what has happened, on a line of its own, and waits on. */
  readonly note: (note: Note) => Effect.Effect<void, never, Scope.Scope | Stdio.Stdio>
  /** Takes the spinner away before a piece of the answer is written. */
  readonly show: <E, R>(pieces: Stream.Stream<string, E, R>) => Stream.Stream<string, E, R>
}

/**
 * Begins to wait.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = Effect.fnUntraced(function* (
  screen: Screen.Screen,
  options: {
    /** The model's name. */
    readonly label: string
    /** Whether the answer is written to the same screen as the notes. */
    readonly shared: boolean
  }
): Effect.fn.Return<AnswerView, never, Scope.Scope | Stdio.Stdio> {
  let model = options.label
  let spinner: Spinner.Spinner | undefined = yield* Spinner.start(screen, model)
  /** Whether the cursor is behind a part of a line of the answer. */
  let inLine = false
  const still = Effect.suspend(() => {
    const stop = spinner?.stop ?? Effect.void
    spinner = undefined
    return stop
  })
  return {
    thinking: () => spinner?.label(`${model} is thinking`),
    note: Effect.fnUntraced(function* (note) {
      yield* still
      if (inLine) yield* Screen.write("\n")
      inLine = false
      yield* Screen.note(screen, note)
      model = note.model
      spinner = yield* Spinner.start(screen, model)
    }),
    show: (pieces) =>
      pieces.pipe(
        Stream.mapArrayEffect((texts) => {
          inLine = options.shared && !texts.at(-1)!.endsWith("\n")
          return Effect.as(still, texts)
        }),
        Stream.ensuring(still)
      )
  }
})
