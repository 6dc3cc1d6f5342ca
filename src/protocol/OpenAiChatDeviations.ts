/**
 * In what a server that speaks chat completions deviates from OpenAI's own, as data.
 *
 * What is not said is as OpenAI has it. Requests are put as the server wants them; what it has no way to
 * be asked for is refused as `Unsupported`. What answers may have that OpenAI's do not is read of every
 * server alike, and no matter of these.
 *
 * @since 0.1.0
 */
import type { ReasoningEffort } from "../LlmRequest.ts"

/**
 * A part of a request that a server does not take.
 *
 * `name` is the name of a message, `json` any JSON as the form of an answer, `json-schema` JSON of a schema.
 *
 * @category models
 * @since 0.1.0
 */
export type Feature =
  | "toolkit"
  | "stop"
  | "seed"
  | "frequencyPenalty"
  | "presencePenalty"
  | "json"
  | "json-schema"
  | "name"

/**
 * Deviations from OpenAI's chat completions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Deviations {
  /** Parts of a request that the server refuses or does not heed. */
  readonly unsupported?: ReadonlyArray<Feature>
  /** The field of the token limit. Default `"max_completion_tokens"`. */
  readonly maxTokens?: "max_tokens" | "max_completion_tokens"
  /** The field of the seed. Default `"seed"`. */
  readonly seed?: "seed" | "random_seed"
  /** Whether usage has to be asked for with `stream_options`. Default true; false where the server tells it anyway. */
  readonly streamOptions?: boolean
  /** Whether there are messages of the role `developer`. Default true; without it they are the system's. */
  readonly developerRole?: boolean
  /** Whether tools have the field `strict`. Default true; without it, a tool's input is checked by its schema alone. */
  readonly strictTools?: boolean
  /** How a choice of tools is said. */
  readonly toolChoice?: {
    /** `"no-tools"`: by sending none. Default `"none"`. */
    readonly none?: "none" | "no-tools"
    /** Default `"required"`. */
    readonly required?: "required" | "any" | "unsupported"
    /** One tool by its name. Default `"function"`. */
    readonly one?: "function" | "unsupported"
    /** Some tools by their names. `"fewer-tools"`: by sending no others. Default `"allowed_tools"`. */
    readonly some?: "allowed_tools" | "fewer-tools"
  }
  /** How any JSON is asked for. `"json_schema"`: by the schema of an object. Default `"json_object"`. */
  readonly json?: "json_object" | "json_schema"
  /**
   * The fields of the body that ask for each effort of reasoning; those that are not there are
   * unsupported. Default: all, as `reasoning_effort`.
   */
  readonly reasoning?: Readonly<Partial<Record<ReasoningEffort, Readonly<Record<string, unknown>>>>>
  /**
   * Where the server wants to see its reasoning again. Default nowhere.
   *
   * - `"reasoning_content"`, `"reasoning"`: as text in this field, beside tool calls.
   * - `"reasoning_details"`: as OpenRouter told it.
   * - `"thinking"`: as a part of the content, as Mistral tells it.
   */
  readonly history?: "reasoning_content" | "reasoning" | "reasoning_details" | "thinking"
  /**
   * How an answer ends. `"input"`: a server that sends neither a finish reason nor `[DONE]`, of which the
   * end of the body must do. An answer that was cut cannot be told from a whole one then.
   */
  readonly end?: "finish_reason" | "input"
}
