/**
 * What a format is: how an answer is put into messages, whatever carries them.
 *
 * A format is data, and its encoder pure: elements in, messages out. The ones that there are: `Sse.text`,
 * `Sse.json`, `Sse.openAi` and `Sse.uiMessages`.
 *
 * @since 0.1.0
 */
import type { LlmError } from "../LlmError.ts"
import type { Event, Failure } from "./EventJson.ts"

/**
 * What an answer is made of: its text, or events of a turn or of a run of an agent.
 *
 * @category models
 * @since 0.1.0
 */
export type Element = string | Event

/**
 * Puts a message on the wire: its data and, where it is not part of the answer but about it, its name
 * (`done`, `error`).
 *
 * @category models
 * @since 0.1.0
 */
export type Put = (data: string, name?: string) => void

/**
 * One answer on its way into messages. How its elements are cut into arrays does not matter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoder<in A> {
  /** Says one element. An error that is given back is one that the format cannot go on after: the answer ends with it. */
  readonly add: (element: A, put: Put) => LlmError | undefined
  /** Says that the answer is complete. */
  readonly end: (put: Put) => void
  /** Says that the answer failed, and is not complete. */
  readonly fail: (failure: Failure, put: Put) => void
}

/**
 * A format: what an answer is encoded by.
 *
 * @category models
 * @since 0.1.0
 */
export interface Format<in A extends Element = Element> {
  /** Begins an answer. `now` is in milliseconds since 1970. */
  readonly encoder: (now: number) => Encoder<A>
  /** What the body is of an answer that failed before its first event: an object of JSON. */
  readonly problem: (failure: Failure) => object
  /** Headers of the format's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Whether its messages are numbered, where the wire has ids for them. */
  readonly numbered: boolean
}

/**
 * What failed, as this library's own formats tell it.
 *
 * @category failures
 * @since 0.1.0
 */
export const failed = (failure: Failure): string => JSON.stringify({ _tag: "Failed", error: failure })

/**
 * The body of an answer that failed before its first event, as this library's own formats have it:
 * `{ "error": Failure }`.
 *
 * @category failures
 * @since 0.1.0
 */
export const problem = (failure: Failure): object => ({ error: failure })
