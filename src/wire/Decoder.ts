/**
 * What the wire asks of a protocol: a pure step from frames to events.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { Reason } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { LlmUsage } from "../LlmUsage.ts"

/**
 * One event of an event stream, or one line of NDJSON. The object is reused: it holds until the next
 * frame. `value` is immutable and may be kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Frame {
  /** The SSE event name, or `""`. */
  event: string
  data: string
  /** `data` parsed as JSON, or `undefined` where it is not JSON. */
  value: unknown
}

/**
 * What the wire reads of a decoder's state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** Whether a frame of this protocol has been seen. */
  readonly started: boolean
  /**
   * Which end has come: the provider's last word on the answer (`semantic`), or on the stream (`wire`).
   */
  readonly end: "none" | "semantic" | "wire"
}

/**
 * Turns frames into events. The functions are pure but for the state and the array they are given:
 * no I/O, no Effect, no exceptions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoder<in out S extends Progress> {
  /** The state of a turn that has not begun. */
  readonly initial: (turn: TurnContext) => S
  /** Takes one frame, adds its events to `out`, and returns a reason if the turn has failed. */
  readonly step: (state: S, frame: Frame, out: Array<LlmEvent>) => Reason | undefined
  /**
   * Whether the end of input is a good end of a turn that has begun, for servers that send no other. An
   * answer that was cut passes for a whole one then.
   */
  readonly endsWithInput?: boolean
  /** Whether a frame that is not JSON is this protocol's wire end, such as `[DONE]`. */
  readonly isWireEnd: (frame: Frame) => boolean
  /** Called once, at a good end: adds the complete tool calls and `Finished`. */
  readonly end: (state: S, out: Array<LlmEvent>) => Reason | undefined
  readonly told: (state: S) => Told
  /** Which frames are read without being parsed, once one of them was: `step` does not see them. */
  readonly repeats?: Repeats<S>
}

/**
 * Frames that tell a piece of text and nothing else, as nearly all do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Repeats<in S> {
  /**
   * Where the piece of text is in a value that `step` has just taken: if a next one that differs in this
   * piece alone, and in what is `unread`, would tell its piece, and nothing else of it would matter.
   */
  readonly textIn: (value: unknown) => Path | undefined
  /** Fields of the value itself, of which `step` does not read what scalar they hold. */
  readonly unread: ReadonlySet<string>
  /** Tells a next piece: what `step` would have done. */
  readonly tell: (state: S, out: Array<LlmEvent>, text: string) => void
}

/**
 * A place in a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Path = ReadonlyArray<string | number>

/**
 * What a decoder has told, and been told, so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Told {
  /** Characters of text. */
  readonly emitted: number
  /** Whether anything of the answer was told. */
  readonly output: boolean
  readonly usage: LlmUsage
  /** The delay that an error inside the stream asks for. */
  readonly retryAfter?: Duration.Duration | undefined
}

/**
 * What a decoder is told of the turn it decodes.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnContext {
  /** The provider's name. */
  readonly provider: string
  /** Characters of the prompt, for an estimate of its tokens. */
  readonly inputCharacters: number
  /** Hides keys in a provider's own words, before they become part of an error. */
  readonly conceal: (text: string) => string
}
