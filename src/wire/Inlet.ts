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
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Watchdog } from "./Watchdog.ts"

/**
 * The side of a consumer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outlet<out A, out E> {
  /** Watches the time that pulls wait. */
  watchdog: Watchdog | undefined
  /** All that has come; waits where nothing has. */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<A>, E>
  /** Takes no more: ends the pull that waits, and those that follow. */
  readonly close: () => void
}

/**
 * Holds what a source has pushed until it is pulled, and wakes the pull that waits for it: once, in the
 * source's own turn, without a promise or a fiber in between. The source keeps it short: it pushes
 * what it was asked for, and pauses.
 *
 * @category models
 * @since 0.1.0
 */
export class Inlet<A, E> implements Outlet<A, E> {
  watchdog: Watchdog | undefined
  private items: Array<A> = []
  private ending: Effect.Effect<never, E | Cause.Done> | undefined
  private waiter: ((effect: Pull.Pull<NonEmptyReadonlyArray<A>, E>) => void) | undefined
  private readonly more: () => void

  /** `more` asks the source to go on; it may push at once or later. */
  constructor(more: () => void) {
    this.more = more
  }

  /** Whether what comes is held, since no pull waits for it. */
  get isAhead(): boolean {
    return this.items.length > 0
  }

  /** More has come. */
  push(items: NonEmptyReadonlyArray<A>): void {
    if (this.ending !== undefined) return
    if (this.waiter === undefined) this.items.push(...items)
    else this.wake(Effect.succeed(items))
  }

  /** Nothing more will come, or is wanted. What came before is pulled before it. */
  end(ending: Effect.Effect<never, E | Cause.Done>): void {
    this.ending ??= ending
    if (this.waiter !== undefined) this.wake(this.ending)
  }

  readonly close = (): void => this.end(Cause.done())

  readonly pull: Pull.Pull<NonEmptyReadonlyArray<A>, E> = Effect.suspend(() => {
    this.watchdog?.check()
    const { items } = this
    if (isNonEmpty(items)) {
      this.items = []
      return Effect.succeed(items)
    }
    return this.ending ?? this.wait
  })

  private readonly wait: Pull.Pull<NonEmptyReadonlyArray<A>, E> = Effect.callback((resume) => {
    this.waiter = resume
    this.watchdog?.begin()
    if (this.waiter !== undefined) this.more()
    return Effect.sync(() => {
      this.waiter = undefined
      this.watchdog?.pause()
    })
  })

  private wake(effect: Pull.Pull<NonEmptyReadonlyArray<A>, E>): void {
    const { waiter } = this
    this.waiter = undefined
    waiter!(effect)
  }
}

/**
 * Pulls a stream through an inlet, for sources that are streams already. Each pull is a fiber of its
 * own, which ends with the scope, at the latest.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = Effect.fnUntraced(function* <A, E>(stream: Stream.Stream<A, E>, scope: Scope.Scope) {
  const pull = yield* Channel.toPullScoped(Stream.toChannel(stream), scope)
  const run = Effect.runForkWith(yield* Effect.context<never>())
  let running: Fiber.Fiber<NonEmptyReadonlyArray<A>, E | Cause.Done> | undefined
  const inlet = new Inlet<A, E>(() => {
    if (running !== undefined) return
    running = run(pull)
    running.addObserver((exit) => {
      running = undefined
      if (Exit.isSuccess(exit)) inlet.push(exit.value)
      else inlet.end(Effect.failCause(exit.cause))
    })
  })
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => (running === undefined ? Effect.void : interrupt(running)))
  )
  return inlet
})

const interrupt = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    fiber.addObserver(() => resume(Effect.void))
    fiber.interruptUnsafe()
  })

const isNonEmpty = <A>(array: ReadonlyArray<A>): array is NonEmptyReadonlyArray<A> => array.length > 0
