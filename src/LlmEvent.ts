/**
 * What one turn of a model tells, as tagged data.
 *
 * A turn is `Started`, then any mixture of deltas, then the completed tool calls, then exactly one
 * `Finished`. A turn that fails ends in the stream's error channel instead; there is no error event.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Schema from "effect/Schema"
import { LlmError } from "./LlmError.ts"
import { LlmUsage } from "./LlmUsage.ts"

/**
 * Why a turn ended.
 *
 * - `stop`: the model had said all it wanted, or met a stop sequence.
 * - `length`: the token limit cut the answer.
 * - `tool-calls`: the model waits for the results of its tool calls.
 * - `content-filter`: the provider withheld the rest.
 * - `other`: the provider gave another reason, or none; `rawReason` has it.
 *
 * @category models
 * @since 0.1.0
 */
export const FinishReason = Schema.Literals(["stop", "length", "tool-calls", "content-filter", "other"])

/**
 * Why a turn ended.
 *
 * @category models
 * @since 0.1.0
 */
export type FinishReason = typeof FinishReason.Type

/**
 * Schema of all events, with `cases`, `guards`, `match` and `matchOrElse`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const LlmEvent = Schema.TaggedUnion({
  /** The provider has begun to answer. */
  Started: {
    /** The provider's id of this answer. */
    id: Schema.optionalKey(Schema.String),
    /** The provider's name, such as `"openai"`. */
    provider: Schema.optionalKey(Schema.String),
    /** The model that answers, as the provider names it. */
    model: Schema.optionalKey(Schema.String)
  },
  /** More of the visible text. Never empty. */
  TextDelta: { text: Schema.String },
  /**
   * More of the model's reasoning. `metadata` (thinking signatures and the like) closes the block it
   * belongs to: the next `ReasoningDelta` begins another. With it, and only then, the text may be
   * empty.
   */
  ReasoningDelta: { text: Schema.String, metadata: Schema.optionalKey(Prompt.ProviderOptions) },
  /** More of the words in which the model declines to answer. */
  Refusal: { text: Schema.String },
  /** The model has begun to write a tool call. */
  ToolCallStarted: { id: Schema.String, name: Schema.String },
  /** More of the JSON text of a tool call's input. For display: run tools on `ToolCalled` only. */
  ToolCallDelta: { id: Schema.String, delta: Schema.String },
  /**
   * A complete tool call of a turn that ended well; comes directly before `Finished`.
   * `input` is the parsed JSON, `{}` where the model wrote nothing, and the text itself where the
   * model did not write JSON.
   */
  ToolCalled: {
    id: Schema.String,
    name: Schema.String,
    input: Schema.Unknown,
    metadata: Schema.optionalKey(Prompt.ProviderOptions)
  },
  /** A page or document that the answer cites. */
  Source: {
    sourceType: Schema.Literals(["url", "document"]),
    url: Schema.optionalKey(Schema.String),
    title: Schema.optionalKey(Schema.String)
  },
  /** The turn is complete. Always the last event. */
  Finished: {
    reason: FinishReason,
    /** The provider's own word for the reason, where it gave one. */
    rawReason: Schema.optionalKey(Schema.String),
    usage: LlmUsage,
    metadata: Schema.optionalKey(Prompt.ProviderOptions)
  },
  /**
   * An attempt failed, and a policy follows it with another: told before the wait between them. `attempt`
   * counts from 1. The text so far stands, and the answer goes on from it. What came after the text is
   * void: reasoning, a refusal, and tool calls that had begun, whose ids may come again.
   */
  AttemptFailed: { attempt: Schema.Number, error: LlmError },
  /** An attempt failed, and a policy begins the answer anew: what was delivered is void. */
  Restarted: { error: LlmError },
  /**
   * The model `from` failed, and a policy goes on with the model `to`. What was delivered stands as after
   * `AttemptFailed`, unless a `Restarted` comes directly before.
   */
  Switched: { from: Schema.String, to: Schema.String, error: LlmError }
})

/**
 * One thing that a turn tells.
 *
 * @category models
 * @since 0.1.0
 */
export type LlmEvent = typeof LlmEvent.Type

/**
 * The event of one tag.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<Tag extends LlmEvent["_tag"]> = Extract<LlmEvent, { readonly _tag: Tag }>

/**
 * Folds one event by its tag.
 *
 * ```ts
 * LlmEvent.match(event, { TextDelta: ({ text }) => …, Finished: ({ usage }) => …, … })
 * ```
 *
 * @category matching
 * @since 0.1.0
 */
export const match: typeof LlmEvent.match = LlmEvent.match

/**
 * Type guards by tag: `LlmEvent.guards.TextDelta(event)`.
 *
 * @category guards
 * @since 0.1.0
 */
export const guards: typeof LlmEvent.guards = LlmEvent.guards

/**
 * Whether an event is something that the model says: text, reasoning, a refusal or a tool call. Deadlines
 * wait for these; `Started`, empty deltas and what policies tell are none.
 *
 * @category guards
 * @since 0.1.0
 */
export const isToken = (event: LlmEvent): boolean => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta":
    case "Refusal":
      return event.text !== ""
    case "ToolCallDelta":
      return event.delta !== ""
    case "ToolCallStarted":
    case "ToolCalled":
      return true
    default:
      return false
  }
}
