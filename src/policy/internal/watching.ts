/**
 * A policy that stands over one stream: something is done before it begins, sees what passes, and is done
 * when it is over.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"

/** One run of a stream. */
export class Run<out E> {
  /** How the stream ended. `undefined` while it goes on, and where its reader leaves it. */
  exit: Exit.Exit<void, E> | undefined
  /** What is added to it is done once the connection is closed, and before the end is told to the reader. */
  readonly scope: Scope.Closeable
  /** Makes an effect interruptible: a run is begun in one piece but for this. */
  readonly restore: <A, E2, R>(effect: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2, R>

  constructor(scope: Scope.Closeable, restore: Run<E>["restore"]) {
    this.scope = scope
    this.restore = restore
  }

  /** The error that the stream failed with. */
  get error(): E | undefined {
    return this.exit && Option.getOrUndefined(Exit.findErrorOption(this.exit))
  }
}

/** What is done about a run. */
export interface Watch<in A, out E = never, out R = never> {
  /** Looks at an array before it is passed on. `undefined` where there is nothing to wait for. */
  readonly look: (values: NonEmptyReadonlyArray<A>) => Effect.Effect<void, never, R> | undefined
  /** The parent of the spans of what the stream does. */
  readonly span?: Tracer.Span | undefined
  /** Asked before each pull: what the stream fails with in its place. */
  readonly stopped?: (() => E | undefined) | undefined
}

type Pulled<A, E, R> = Pull.Pull<NonEmptyReadonlyArray<A>, E, void, R>

/** Watches each run of a stream. `begin` may refuse it, or have nothing to do with it. */
export const watched = <A, E, R, R2 = never>(
  self: Stream.Stream<A, E, R>,
  begin: (run: Run<E>) => Effect.Effect<Watch<A, E, R2> | undefined, E, R2>
): Stream.Stream<A, E, R | R2> =>
  Stream.fromChannel(
    Channel.fromTransform((_, reader) =>
      Effect.uninterruptibleMask((restore) => {
        // Not a bracket: its finalizer, asked for at every pull, costs as much as all the rest.
        const scope = Scope.forkUnsafe(reader)
        return Effect.onError(open(self, new Run<E>(scope, restore), begin), (cause) =>
          Scope.close(scope, Exit.failCause(cause))
        )
      })
    )
  )

const open = Effect.fnUntraced(function* <A, E, R, R2>(
  self: Stream.Stream<A, E, R>,
  run: Run<E>,
  begin: (run: Run<E>) => Effect.Effect<Watch<A, E, R2> | undefined, E, R2>
): Effect.fn.Return<Pulled<A, E, R | R2>, E, R | R2> {
  const watch = yield* begin(run)
  const inside = <B, E2, R3>(effect: Effect.Effect<B, E2, R3>): Effect.Effect<B, E2, R3> =>
    watch?.span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, watch.span)
  // Scopes close backwards: the connection first, then those who watch it, who may take their time.
  const pull = yield* run.restore(inside(Channel.toPullScoped(Stream.toChannel(self), run.scope)))
  if (watch === undefined) return pull
  const watching = Effect.matchCauseEffect(inside(pull), {
    onSuccess: (values): Pulled<A, E, R2> => {
      const looking = watch.look(values)
      return looking === undefined ? Effect.succeed(values) : Effect.as(looking, values)
    },
    onFailure: (cause: Cause.Cause<E | Cause.Done>): Pulled<A, E, R2> => {
      const exit = Pull.doneExitFromCause(cause) as Exit.Exit<void, E>
      run.exit = exit
      const close = Scope.close(run.scope, exit)
      const ending = Effect.failCause(cause)
      // A defect at the close must not meet the end of the stream in one cause: many readers look for the end
      // alone. Beside a failure, neither is lost.
      return Exit.isSuccess(exit) ? Effect.andThen(close, ending) : Effect.onError(ending, () => close)
    }
  })
  const { stopped } = watch
  if (stopped === undefined) return watching
  return Effect.suspend(() => {
    const error = stopped()
    return error === undefined ? watching : Effect.fail(error)
  })
})
