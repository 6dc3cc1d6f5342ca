/**
 * What a model answers, for callers who do not know Effect. Take it from `Rill`.
 *
 * @since 0.1.0
 */
import type { AssistantMessage, ProviderOptions } from "./Request.ts"
import type { RillError, Usage } from "./RillError.ts"

/**
 * Why an answer ended: the model had said all, the token limit cut it, it waits for the results of
 * tools, the provider withheld the rest, or another reason, which `rawReason` names.
 *
 * @category answers
 * @since 0.1.0
 */
export type FinishReason = "stop" | "length" | "tool-calls" | "content-filter" | "other"

/**
 * A complete tool call.
 *
 * @category answers
 * @since 0.1.0
 */
export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly input: unknown
  readonly metadata?: ProviderOptions
}

/**
 * A page or document that an answer cites.
 *
 * @category answers
 * @since 0.1.0
 */
export interface Source {
  readonly sourceType: "url" | "document"
  readonly url?: string
  readonly title?: string
}

/**
 * The whole of an answer.
 *
 * @category answers
 * @since 0.1.0
 */
export interface Response {
  readonly text: string
  readonly reasoning: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly sources: ReadonlyArray<Source>
  readonly finishReason: FinishReason
  /** The provider's own word for the reason. */
  readonly rawReason?: string
  readonly usage: Usage
  readonly id?: string
  readonly provider?: string
  readonly model?: string
  /** The answer as a message: put it after the prompt's messages to go on with the conversation. */
  readonly message: AssistantMessage
}

/**
 * One thing that an answer tells. `Finished` is the last. The text of a `ReasoningDelta` with metadata
 * may be empty.
 *
 * @category answers
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "Started"; readonly id?: string; readonly provider?: string; readonly model?: string }
  | { readonly _tag: "TextDelta"; readonly text: string }
  | { readonly _tag: "ReasoningDelta"; readonly text: string; readonly metadata?: ProviderOptions }
  | { readonly _tag: "Refusal"; readonly text: string }
  | { readonly _tag: "ToolCallStarted"; readonly id: string; readonly name: string }
  | { readonly _tag: "ToolCallDelta"; readonly id: string; readonly delta: string }
  | ({ readonly _tag: "ToolCalled" } & ToolCall)
  | ({ readonly _tag: "Source" } & Source)
  | {
      readonly _tag: "Finished"
      readonly reason: FinishReason
      readonly rawReason?: string
      readonly usage: Usage
      readonly metadata?: ProviderOptions
    }
  | AttemptFailed
  | Restarted
  | Switched

/**
 * An attempt failed before anything of it was delivered; there will be another.
 *
 * @category answers
 * @since 0.1.0
 */
export interface AttemptFailed {
  readonly _tag: "AttemptFailed"
  readonly attempt: number
  readonly error: RillError
}

/**
 * The answer begins anew: what was delivered before is void.
 *
 * @category answers
 * @since 0.1.0
 */
export interface Restarted {
  readonly _tag: "Restarted"
  readonly error: RillError
}

/**
 * Another model goes on.
 *
 * @category answers
 * @since 0.1.0
 */
export interface Switched {
  readonly _tag: "Switched"
  readonly from: string
  readonly to: string
  readonly error: RillError
}
