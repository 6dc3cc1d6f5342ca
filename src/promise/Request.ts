/**
 * What is asked of a model, for callers who do not know Effect. Take it from `Rill`.
 *
 * @since 0.1.0
 */
import type { Retries, Timeout } from "./Policies.ts"

/**
 * Options for a provider, under its name: `{ openai: { imageDetail: "low" } }`.
 *
 * @category input
 * @since 0.1.0
 */
export type ProviderOptions = Readonly<Record<string, Json>>

/**
 * What JSON can express.
 *
 * @category input
 * @since 0.1.0
 */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/**
 * Text in a message.
 *
 * @category input
 * @since 0.1.0
 */
export interface TextPart {
  readonly type: "text"
  readonly text: string
  readonly options?: ProviderOptions | undefined
}

/**
 * An image or another file in a message.
 *
 * @category input
 * @since 0.1.0
 */
export interface FilePart {
  readonly type: "file"
  /** Such as `"image/png"`. */
  readonly mediaType: string
  readonly fileName?: string | undefined
  /** The bytes, a URL, or base64. */
  readonly data: Uint8Array | URL | string
  readonly options?: ProviderOptions | undefined
}

/**
 * A model's reasoning, as an answer's `message` holds it.
 *
 * @category input
 * @since 0.1.0
 */
export interface ReasoningPart {
  readonly type: "reasoning"
  readonly text: string
  readonly options?: ProviderOptions | undefined
}

/**
 * A model's call of a tool.
 *
 * @category input
 * @since 0.1.0
 */
export interface ToolCallPart {
  readonly type: "tool-call"
  readonly id: string
  readonly name: string
  readonly params: unknown
  readonly options?: ProviderOptions | undefined
}

/**
 * What a tool gave back.
 *
 * @category input
 * @since 0.1.0
 */
export interface ToolResultPart {
  readonly type: "tool-result"
  /** The id of the call. */
  readonly id: string
  readonly name: string
  readonly isFailure: boolean
  readonly result: unknown
  readonly options?: ProviderOptions | undefined
}

/**
 * A message of a conversation.
 *
 * @category input
 * @since 0.1.0
 */
export type Message =
  | { readonly role: "system"; readonly content: string; readonly options?: ProviderOptions | undefined }
  | {
      readonly role: "user"
      readonly content: string | ReadonlyArray<TextPart | FilePart>
      readonly options?: ProviderOptions | undefined
    }
  | AssistantMessage
  | {
      readonly role: "tool"
      readonly content: ReadonlyArray<ToolResultPart>
      readonly options?: ProviderOptions | undefined
    }

/**
 * What a model said, for the history of a conversation.
 *
 * @category input
 * @since 0.1.0
 */
export interface AssistantMessage {
  readonly role: "assistant"
  readonly content: string | ReadonlyArray<TextPart | FilePart | ReasoningPart | ToolCallPart>
  readonly options?: ProviderOptions | undefined
}

/**
 * The form of the answer: plain text, any JSON, or JSON of a JSON Schema.
 *
 * @category input
 * @since 0.1.0
 */
export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json" }
  | {
      readonly type: "json-schema"
      readonly schema: { readonly [key: string]: unknown }
      /** A name for the provider: letters, digits, `_` and `-`, at most 64. Default `"response"`. */
      readonly name?: string | undefined
      readonly description?: string | undefined
      /** Whether the provider enforces the schema. Default true. */
      readonly strict?: boolean | undefined
    }

/**
 * What is asked of a model. Everything but `prompt` is optional; what is left out is left to the
 * provider's defaults. What a provider's API has no field for is refused as `Unsupported`.
 *
 * @category input
 * @since 0.1.0
 */
export interface Request {
  readonly prompt: string | ReadonlyArray<Message>
  /** Instructions, put before the prompt's messages. */
  readonly system?: string | undefined
  /** Another model than the client's. */
  readonly model?: string | undefined
  readonly temperature?: number | undefined
  /** The most tokens the answer may have. */
  readonly maxTokens?: number | undefined
  /** Nucleus sampling, 0 to 1. */
  readonly topP?: number | undefined
  /** Sequences before which the model stops. */
  readonly stop?: string | ReadonlyArray<string> | undefined
  readonly seed?: number | undefined
  readonly frequencyPenalty?: number | undefined
  readonly presencePenalty?: number | undefined
  /** How much the model may reason before it answers. */
  readonly reasoning?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | undefined
  readonly responseFormat?: ResponseFormat | undefined
  /** Fields merged into the request's body as they are, for what a provider has and this type has not. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A prompt alone, a conversation, or a whole request.
 *
 * @category input
 * @since 0.1.0
 */
export type Input = string | ReadonlyArray<Message> | Request

/**
 * Options of one call.
 *
 * @category input
 * @since 0.1.0
 */
export interface CallOptions {
  /** Aborts the call: it is rejected with the signal's reason, and its connection closed. */
  readonly signal?: AbortSignal | undefined
  /** How long the answer may take; what it does not name is as the client says. */
  readonly timeout?: Timeout | undefined
  /** How often the call is tried again; what it does not name is as the client says. */
  readonly retries?: Retries | undefined
}
