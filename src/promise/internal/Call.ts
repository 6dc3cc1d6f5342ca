import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { RillError } from "../RillError.ts"
import { findThrown } from "./callbacks.ts"
import { failure } from "./agentError.ts"

/**
 * How a call ended: with its value, with an error to throw, or left by its caller.
 *
 * @internal
 */
export type Outcome<A> =
  | { readonly _tag: "Done"; readonly value: A }
  | { readonly _tag: "Failed"; readonly error: unknown; readonly byCallback: boolean }
  | { readonly _tag: "Left" }

/**
 * A call: a fiber, what may stop it, and what that means for its caller.
 *
 * @internal
 */
export class Call<A> {
  private stopped: "left" | { readonly reason: unknown } | undefined
  private fiber: Fiber.Fiber<A, unknown> | undefined
  private origin: { readonly stack?: string } = {}
  private readonly signals: ReadonlyArray<AbortSignal>
  private readonly onEnd: (outcome: Outcome<A>) => void

  constructor(signals: ReadonlyArray<AbortSignal | undefined>, onEnd: (outcome: Outcome<A>) => void) {
    this.signals = signals.filter((signal) => signal !== undefined)
    this.onEnd = onEnd
  }

  /** Notes where the call is made. `entry` is the function that the caller has called. */
  madeBy(entry: (...args: Array<never>) => unknown): this {
    this.origin = {}
    captureStackTrace?.(this.origin, entry)
    return this
  }

  /** Fails the call, which has not begun. */
  refuse(error: unknown): void {
    this.onEnd({ _tag: "Failed", error: this.placed(error), byCallback: false })
  }

  /** Begins, unless the signal has been given. `fork` may run callbacks, and they may stop the call. */
  start(fork: () => Fiber.Fiber<A, unknown>): void {
    const given = this.given
    if (given !== undefined) return this.refuse(given.reason)
    for (const signal of this.signals) signal.addEventListener("abort", this.onAbort)
    this.fiber = fork()
    if (this.stopped !== undefined) this.fiber.interruptUnsafe()
    this.fiber.addObserver((exit) => {
      for (const signal of this.signals) signal.removeEventListener("abort", this.onAbort)
      this.onEnd(this.outcome(exit))
    })
  }

  /** Whether it is being stopped: what it has read and not given out is void. */
  get isStopped(): boolean {
    return this.stopped !== undefined
  }

  /** Stops the call: its caller wants no more of it. */
  leave(): void {
    this.stop("left")
  }

  /** Stops the call: it fails with a reason. */
  abort(reason: unknown): void {
    this.stop({ reason })
  }

  private readonly onAbort = (): void => this.abort(this.given?.reason)

  /** The signal that has been given. */
  private get given(): AbortSignal | undefined {
    return this.signals.find(({ aborted }) => aborted)
  }

  private stop(how: "left" | { readonly reason: unknown }): void {
    if (this.stopped !== undefined) return
    this.stopped = how
    this.fiber?.interruptUnsafe()
  }

  private outcome(exit: Exit.Exit<A, unknown>): Outcome<A> {
    if (Exit.isSuccess(exit)) return { _tag: "Done", value: exit.value }
    const { cause } = exit
    const thrown = findThrown(cause)
    if (thrown !== undefined) return { _tag: "Failed", error: thrown.error, byCallback: true }
    if (this.stopped !== undefined && Cause.hasInterruptsOnly(cause)) {
      return this.stopped === "left"
        ? { _tag: "Left" }
        : { _tag: "Failed", error: this.placed(this.stopped.reason), byCallback: false }
    }
    return { _tag: "Failed", error: this.placed(failure(Cause.squash(cause))), byCallback: false }
  }

  /** An error of ours, with where the call was made. The stack of a fiber would say nothing to its caller. */
  private placed(error: unknown): unknown {
    if (error instanceof RillError) {
      const frames = this.origin.stack?.replace(/^.*\n/, "") ?? ""
      error.stack = `${error.name}: ${error.message}${frames === "" ? "" : `\n${frames}`}`
    }
    return error
  }
}

/** Of V8 and JavaScriptCore. */
const { captureStackTrace } = Error as {
  readonly captureStackTrace?: (target: object, above: (...args: Array<never>) => unknown) => void
}
