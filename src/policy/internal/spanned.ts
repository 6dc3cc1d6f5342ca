/**
 * Runs a stream inside of a span.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"

/** Sees a stream pass by. */
export interface Watch<in A, in E> {
  /** The parent of what the stream does. */
  readonly span: Tracer.Span
  readonly look: (values: NonEmptyReadonlyArray<A>) => void
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
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.flatMap(begin, (watch) => {
        const channel = Stream.toChannel(self)
        return watch === undefined ? Channel.toPullScoped(channel, scope) : watched(channel, watch, scope)
      })
    )
  )

type Pulled<A, E, R> = Pull.Pull<NonEmptyReadonlyArray<A>, E, void, R>

const watched = Effect.fnUntraced(function* <A, E, R>(
  channel: Channel.Channel<NonEmptyReadonlyArray<A>, E, void, unknown, unknown, unknown, R>,
  watch: Watch<A, E>,
  scope: Scope.Scope
): Effect.fn.Return<Pulled<A, E, R>, never, R> {
  let ended = false
  const end = (ending: Ending<E>): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (ended) return Effect.void
      ended = true
      return watch.end(ending) ?? Effect.void
    })
  // Scopes close backwards: what the stream holds is released before its reader's leaving is told.
  yield* Scope.addFinalizerExit(scope, (exit) => end({ _tag: "Left", exit }))
  const inner = yield* Scope.fork(scope)
  const inside = <B, E2, R2>(effect: Effect.Effect<B, E2, R2>) =>
    Effect.provideService(effect, Tracer.ParentSpan, watch.span)
  const pull: Pulled<A, E, R> = yield* inside(Channel.toPullScoped(channel, inner))
  return Effect.matchCauseEffect(inside(pull), {
    onSuccess: (values): Pulled<A, E, R> => {
      watch.look(values)
      return Effect.succeed(values)
    },
    onFailure: (cause): Pulled<A, E, R> => {
      // A defect of the ending must not meet the end of the stream in one cause: many readers look for it alone.
      const told = Pull.isDoneCause(cause)
        ? Effect.andThen(end({ _tag: "Completed" }), Cause.done())
        : Effect.andThen(end({ _tag: "Failed", cause: cause as Cause.Cause<E> }), Effect.failCause(cause))
      return Effect.andThen(Scope.close(inner, Pull.doneExitFromCause(cause)), told)
    }
  })
})
