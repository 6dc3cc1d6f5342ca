/**
 * What stands between a stream and the response that it is written to.
 *
 * The stream is run by a fiber of its own, so that its reader can do something else while it waits, such as
 * write a heartbeat, without touching the pull. Nothing but the first array is pulled before the reader asks,
 * and nothing is kept but the one array that it asked for.
 *
 * Each resumes the other where it stands, without a turn of the scheduler: what is there at once is handed over
 * at once.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

type Told<A, E> =
  | { readonly _tag: "Elements"; readonly elements: NonEmptyReadonlyArray<A> }
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<void, E> }

export class Handoff<in out A, in out E> {
  private asked = false
  private parked: (() => void) | undefined
  private told: Told<A, E> | undefined
  private waiting: (() => void) | undefined

  /** Asks for the next array, unless it was asked for before. */
  ask(): void {
    if (this.told !== undefined) return
    this.asked = true
    const { parked } = this
    this.parked = undefined
    parked?.()
  }

  /** Waits until there is something to take, or the reader is woken. */
  readonly ready: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.told !== undefined) return resume(Effect.void)
    this.waiting = () => resume(Effect.void)
    return Effect.sync(() => {
      this.waiting = undefined
    })
  })

  /** Whether the reader waits. */
  get isAwaited(): boolean {
    return this.waiting !== undefined
  }

  /** What there is to take. */
  take(): Told<A, E> | undefined {
    const { told } = this
    this.told = undefined
    return told
  }

  wake(): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.()
  }

  /** Runs the stream until its end, or until the scope closes. */
  run<R>(stream: Stream.Stream<A, E, R>): Effect.Effect<void, never, R | Scope.Scope> {
    return Stream.runForEachArray(stream, (elements) => {
      this.asked = false
      this.tell({ _tag: "Elements", elements })
      return this.untilAsked
    }).pipe(
      Effect.onExit((exit) => Effect.sync(() => this.tell({ _tag: "Ended", exit }))),
      Effect.exit,
      Effect.forkScoped,
      Effect.asVoid
    )
  }

  private readonly untilAsked: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.asked) return resume(Effect.void)
    this.parked = () => resume(Effect.void)
    return Effect.sync(() => {
      this.parked = undefined
    })
  })

  private tell(told: Told<A, E>): void {
    this.told = told
    this.wake()
  }
}
