/**
 * Runs a stream inside of a span.
 *
 * @internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import { watched, type Watch as Watching } from "./watching.ts"

/** Sees a stream pass by. */
export interface Watch<in A, in E> extends Watching<A> {
  readonly span: Tracer.Span
  /** Told once. Gives what there is to wait for, if anything. */
  readonly end: (ending: Ending<E>) => Effect.Effect<void> | undefined
}

/**
 * How a stream ended: well, with a failure, or by its reader, who stopped reading; `exit` is how its scope
 * was closed.
 */
export type Ending<E> =
  | { readonly _tag: "Completed" }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E> }
  | { readonly _tag: "Left"; readonly exit: Exit.Exit<unknown, unknown> }

/** Runs a stream in the span of the watch that `begin` makes for each run, or as it is where it makes none. */
export const spanned = <A, E, R>(
  self: Stream.Stream<A, E, R>,
  begin: Effect.Effect<Watch<A, E> | undefined>
): Stream.Stream<A, E, R> =>
  watched(self, (run) =>
    Effect.flatMap(begin, (watch) => {
      if (watch === undefined) return Effect.undefined
      const end = (exit: Exit.Exit<unknown, unknown>) => watch.end(endingOf(run.exit, exit)) ?? Effect.void
      return Effect.as(Scope.addFinalizerExit(run.scope, end), watch)
    })
  )

const endingOf = <E>(ended: Exit.Exit<void, E> | undefined, exit: Exit.Exit<unknown, unknown>): Ending<E> => {
  if (ended === undefined) return { _tag: "Left", exit }
  return Exit.isSuccess(ended) ? { _tag: "Completed" } : { _tag: "Failed", cause: ended.cause }
}
