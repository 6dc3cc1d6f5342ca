/**
 * Runs a stream inside of a span.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
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

/** What a source tells of itself. */
export interface Tell<in A, in E> {
  /** Sees values before they are given out. */
  readonly look: (values: NonEmptyReadonlyArray<A>) => void
  /** Closes what was opened and ends the span. Run before the end, or the failure, is given out. */
  readonly end: (exit: Exit.Exit<void, E>) => Effect.Effect<void>
}

/**
 * Makes a stream that runs inside of a span and tells of itself what `spanned` would have to look at from
 * outside, pull by pull. It is opened by its first pull, in a scope and, while it is, in the span.
 */
export const source = <A, E>(
  begin: Effect.Effect<Watch<A, E> | undefined>,
  open: (tell: Tell<A, E>) => Effect.Effect<Pull.Pull<NonEmptyReadonlyArray<A>, E>, E, Scope.Scope>
): Stream.Stream<A, E> =>
  Stream.fromChannel(
    Channel.fromTransform((_, reader) =>
      Effect.sync(() => {
        let pull: Pull.Pull<NonEmptyReadonlyArray<A>, E> = Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const watch = yield* begin
            const scope = Scope.forkUnsafe(reader)
            let ended: Exit.Exit<void, E> | undefined
            const end = (exit: Exit.Exit<void, E>) => {
              ended = exit
              return Scope.close(scope, exit)
            }
            if (watch !== undefined) {
              yield* Scope.addFinalizerExit(scope, (exit) => watch.end(endingOf(ended, exit)) ?? Effect.void)
            }
            const look = (values: NonEmptyReadonlyArray<A>): void => void watch?.look(values)
            const opening = Scope.provide(open({ look, end }), scope)
            const inside = watch === undefined ? opening : Effect.provideService(opening, Tracer.ParentSpan, watch.span)
            pull = yield* Effect.onError(restore(inside), (cause) => end(Exit.failCause(cause)))
            return yield* restore(pull)
          })
        )
        return Effect.suspend(() => pull)
      })
    )
  )

const endingOf = <E>(ended: Exit.Exit<void, E> | undefined, exit: Exit.Exit<unknown, unknown>): Ending<E> => {
  if (ended === undefined) return { _tag: "Left", exit }
  return Exit.isSuccess(ended) ? { _tag: "Completed" } : { _tag: "Failed", cause: ended.cause }
}
