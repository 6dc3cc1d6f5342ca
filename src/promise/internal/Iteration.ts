import * as Effect from "effect/Effect"
import { Call, type Outcome } from "./Call.ts"

/**
 * Starts a call that gives each array it reads to `deliver`, and waits for it.
 *
 * @internal
 */
export type Begin<A> = (call: Call<void>, deliver: (items: ReadonlyArray<A>) => Effect.Effect<void>) => void

/**
 * Reads a stream as an async iterator.
 *
 * One fiber runs the stream. It is started by the first `next`, hands over an array, and sleeps until
 * the array is used up and more is asked for. So a token costs a promise, and an array, not a token, a
 * turn of the fiber.
 *
 * @internal
 */
export class Iteration<A> implements AsyncIterableIterator<A> {
  private items: ReadonlyArray<A> = []
  private index = 0
  private state: "new" | "running" | "ended" = "new"
  /** Those who have called `next` and have no answer, in their order. */
  private readonly waiting: Array<Waiting<A>> = []
  /** Wakes the fiber. */
  private more: (() => void) | undefined
  /** Why it failed, until someone has been told. */
  private failure: Extract<Outcome<void>, { _tag: "Failed" }> | undefined
  private readonly leaving: Array<() => void> = []
  private readonly call: Call<void>
  private readonly begin: Begin<A>
  private placed = false

  constructor(signals: ReadonlyArray<AbortSignal | undefined>, begin: Begin<A>) {
    this.begin = begin
    this.call = new Call(signals, (outcome) => this.end(outcome))
  }

  /** Notes where the caller called `entry`, in place of where it first asks for more. */
  madeBy(entry: (...args: Array<never>) => unknown): this {
    this.call.madeBy(entry)
    this.placed = true
    return this
  }

  next(): Promise<IteratorResult<A, undefined>> {
    if (this.index < this.items.length && !this.call.isStopped) {
      return Promise.resolve({ done: false, value: this.items[this.index++]! })
    }
    if (this.state === "ended") return this.afterEnd()
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      if (this.state === "new") {
        this.state = "running"
        if (!this.placed) this.call.madeBy(this.next)
        this.begin(this.call, this.deliver)
      } else this.more?.()
    })
  }

  /** Closes the connection, waits until that is done, and gives on what a callback threw at the end. */
  async return(): Promise<IteratorResult<A, undefined>> {
    if (this.state === "new") this.state = "ended"
    if (this.state === "running") {
      await new Promise<void>((resolve) => {
        this.leaving.push(resolve)
        this.call.leave()
      })
    }
    if (this.failure?.byCallback) return this.afterEnd()
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<IteratorResult<A, undefined>> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private readonly deliver = (items: ReadonlyArray<A>): Effect.Effect<void> =>
    Effect.callback((resume) => {
      this.items = items
      this.index = 0
      while (this.index < items.length && this.waiting.length > 0) {
        this.waiting.shift()!.resolve({ done: false, value: items[this.index++]! })
      }
      if (this.waiting.length > 0) {
        resume(Effect.void)
        return
      }
      this.more = () => {
        this.more = undefined
        resume(Effect.void)
      }
    })

  private end(outcome: Outcome<void>): void {
    this.state = "ended"
    this.more = undefined
    this.items = []
    if (outcome._tag === "Failed") this.failure = outcome
    for (const { reject, resolve } of this.waiting.splice(0)) void this.afterEnd().then(resolve, reject)
    for (const left of this.leaving.splice(0)) left()
  }

  private afterEnd(): Promise<IteratorResult<A, undefined>> {
    const { failure } = this
    this.failure = undefined
    return failure === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(failure.error)
  }
}

interface Waiting<A> {
  readonly resolve: (result: IteratorResult<A, undefined>) => void
  readonly reject: (error: unknown) => void
}
