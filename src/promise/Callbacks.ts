/**
 * What callers who do not know Effect are told while a call runs. Take it from `Rill`.
 *
 * @since 0.1.0
 */
import type { AttemptFailed, Restarted, Switched } from "./Answer.ts"
import type { RillError, Usage } from "./RillError.ts"

/**
 * How a call ended: the answer is complete; it failed, with what the call is rejected with; or its
 * caller stopped it, by `break`, a signal or `close`.
 *
 * @category callbacks
 * @since 0.1.0
 */
export type End =
  | { readonly status: "complete"; readonly usage: Usage }
  | { readonly status: "failed"; readonly error: unknown; readonly usage: Usage }
  | { readonly status: "stopped"; readonly usage: Usage }

/**
 * A tool that begins to run. Its input is as the model wrote it.
 *
 * @category callbacks
 * @since 0.1.0
 */
export interface ToolStart {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/**
 * How a tool ended: with its output; without one, with what it threw or a `RillError` of why; or it was
 * stopped with its run.
 *
 * @category callbacks
 * @since 0.1.0
 */
export type ToolEnd =
  | { readonly id: string; readonly name: string; readonly status: "complete"; readonly output: unknown }
  | { readonly id: string; readonly name: string; readonly status: "failed"; readonly error: unknown }
  | { readonly id: string; readonly name: string; readonly status: "stopped" }

/**
 * What to do when something happens, in the order it happens. A function that gives a promise is
 * waited for before anything more is read. One that throws or rejects fails the call with what it
 * threw.
 *
 * @category callbacks
 * @since 0.1.0
 */
export interface Callbacks {
  /** A call begins; nothing has been sent. */
  onStart?(): unknown
  /** More of the visible text. */
  onToken?(text: string): unknown
  /** More of the model's reasoning. */
  onReasoning?(text: string): unknown
  /** An agent's tool begins to run. */
  onToolStart?(start: ToolStart): unknown
  /** It has run. Called once for every tool that began. */
  onToolEnd?(end: ToolEnd): unknown
  onRetry?(event: AttemptFailed | Restarted): unknown
  onSwitch?(event: Switched): unknown
  /** The call has failed. Called before `onEnd`. */
  onError?(error: RillError): unknown
  /**
   * The call is over and its connection closed. Called once for every call that began, however it
   * ended.
   */
  onEnd?(end: End): unknown
}
