/**
 * Where a source that comes by events meets a consumer that pulls.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Watchdog } from "./Watchdog.ts"

/**
 * What a source tells, in its own turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Receiver<in A, in E> {
  /** More has come. Gives whether it is wanted now: else it is held, and the source should pause. */
  readonly push: (items: NonEmptyReadonlyArray<A>) => boolean
  /** Nothing more will come. */
  readonly end: (ending: Effect.Effect<never, E | Cause.Done>) => void
}

/**
 * The end of a source that has told all.
 *
 * @category constants
 * @since 0.1.0
 */
export const done: Effect.Effect<never, Cause.Done> = Cause.done()

/**
 * What a source is asked: to go on. It may push at once or later.
 *
 * @category models
 * @since 0.1.0
 */
export type More = () => void

/**
 * Holds what a source has pushed until it is pulled, and wakes the pull that waits for it: once, in the
 * source's own turn, without a promise or a fiber in between. The source keeps it short: it pushes
 * what it was asked for, and pauses.
 *
 * @category models
 * @since 0.1.0
 */
export class Inlet<A, E> implements Receiver<A, E> {
  /** Asks the source to go on. */
  more: More = () => {}
  /** Watches the time that pulls wait. */
  watchdog: Watchdog | undefined
  private items: Array<A> = []
  private ending: Effect.Effect<never, E | Cause.Done> | undefined
  private waiter: ((effect: Pull.Pull<NonEmptyReadonlyArray<A>, E>) => void) | undefined

  push(items: NonEmptyReadonlyArray<A>): boolean {
    if (this.ending !== undefined) return false
    if (this.waiter === undefined) {
      this.items.push(...items)
      return false
    }
    this.wake(Effect.succeed(items))
    return this.waiter !== undefined
  }

  /** Nothing more will come, or is wanted. What came before is pulled before it. */
  end(ending: Effect.Effect<never, E | Cause.Done>): void {
    this.ending ??= ending
    if (this.waiter !== undefined) this.wake(this.ending)
  }

  /** All that has come; waits where nothing has. */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<A>, E> = Effect.callback((resume) => {
    this.watchdog?.check()
    const { items } = this
    if (isNonEmpty(items)) {
      this.items = []
      return resume(Effect.succeed(items))
    }
    if (this.ending !== undefined) return resume(this.ending)
    this.waiter = resume
    this.watchdog?.begin()
    if (this.waiter !== undefined) this.more()
    return this.leave
  })

  private readonly leave = Effect.sync(() => {
    this.waiter = undefined
    this.watchdog?.pause()
  })

  private wake(effect: Pull.Pull<NonEmptyReadonlyArray<A>, E>): void {
    const { waiter } = this
    this.waiter = undefined
    waiter!(effect)
  }
}

/**
 * Makes a stream a source. Each pull of it is a fiber of its own, which ends with the scope, at the latest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = Effect.fnUntraced(function* <A, E>(
  stream: Stream.Stream<A, E>,
  scope: Scope.Scope,
  receiver: Receiver<A, E>
): Effect.fn.Return<More> {
  const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), scope)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  let running: Fiber.Fiber<NonEmptyReadonlyArray<A>, E | Cause.Done> | undefined
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => (running === undefined ? Effect.void : interrupt(running)))
  )
  let isWanted = false
  let isTurning = false
  const onExit = (exit: Exit.Exit<NonEmptyReadonlyArray<A>, E | Cause.Done>): void => {
    running = undefined
    if (Exit.isFailure(exit)) receiver.end(Pull.isDoneCause(exit.cause) ? done : Effect.failCause(exit.cause))
    else if (receiver.push(exit.value)) more()
  }
  const more: More = () => {
    isWanted = true
    // One who asks from within a pull that had its value at once is served by the loop, not by the stack.
    if (running !== undefined || isTurning) return
    isTurning = true
    while (isWanted && running === undefined) {
      isWanted = false
      running = run(pull)
      running.addObserver(onExit)
    }
    isTurning = false
  }
  return more
})

const interrupt = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    fiber.addObserver(() => resume(Effect.void))
    fiber.interruptUnsafe()
  })

const isNonEmpty = <A>(array: ReadonlyArray<A>): array is NonEmptyReadonlyArray<A> => array.length > 0
