/**
 * How a provider would say something: what the contract suite needs to know of a wire to make answers
 * for it, good ones and bad ones.
 *
 * @since 0.1.0
 */
import type { FinishReason } from "../LlmEvent.ts"

/**
 * The pieces in which a part of an answer is told, each a delta. A tool call's are pieces of its JSON.
 *
 * @category models
 * @since 0.1.0
 */
export type Part =
  | { readonly type: "text" | "reasoning" | "refusal"; readonly deltas: ReadonlyArray<string> }
  | {
      readonly type: "tool-call"
      readonly id: string
      readonly name: string
      readonly deltas: ReadonlyArray<string>
    }

/**
 * What an answer says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly parts: ReadonlyArray<Part>
  readonly finish: Exclude<FinishReason, "other">
  /** Token counts to report, unless the answer is to report none. */
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number } | undefined
}

/**
 * An answer as it is sent. Each string is one whole frame, with its framing: an event and the blank line
 * after it, or a line of NDJSON and its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  /** Everything up to the provider's last word on the answer: its beginning and its deltas. */
  readonly frames: ReadonlyArray<string>
  /** The frame with the finish reason, where that comes before the wire end and apart from it. */
  readonly semanticEnd?: string
  /** The frame with the usage, where that comes after the semantic end and before the wire end. */
  readonly usage?: string
  /**
   * The frame that ends the stream; the finish reason and the usage too, where they have no frame of their
   * own. Left out where the stream has no end but that of the body.
   */
  readonly wireEnd?: string
}

/**
 * A wire, as far as the contract suite has to know it.
 *
 * What a wire cannot express is left out, or `undefined`; the checks that need it do not apply.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialect {
  /** The content type of a good answer. */
  readonly contentType: string
  readonly answer: (turn: Turn) => Answer | undefined
  /** A frame that reports an error inside a stream. */
  readonly error?: ((message: string) => string) | undefined
  /** Frames that may come anywhere and mean nothing: comments, pings, empty deltas. */
  readonly keepAlives: ReadonlyArray<string>
  /** A well-formed frame of a kind that does not exist yet: providers add some without notice. */
  readonly unknown: string
  /** A frame whose data is broken. */
  readonly malformed: string
  /** The body of an answer with a bad status. */
  readonly failure: (error: { readonly message: string; readonly code?: string | undefined }) => string
}
