/**
 * What one turn asks of a model.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as JsonSchema from "effect/JsonSchema"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { InvalidRequest } from "./LlmError.ts"

/**
 * How much the model may reason before it answers, least to most. Which ones a model knows is for
 * its provider to say.
 *
 * @category models
 * @since 0.1.0
 */
export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high" | "xhigh"

/**
 * The form of the answer: plain text, any JSON, or JSON of a schema.
 *
 * @category models
 * @since 0.1.0
 */
export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json" }
  | {
      readonly type: "json-schema"
      /** An Effect schema, or a JSON Schema as plain data. */
      readonly schema: Schema.Constraint | JsonSchema.JsonSchema
      /** A name for the provider: letters, digits, `_` and `-`, at most 64. Default `"response"`. */
      readonly name?: string | undefined
      readonly description?: string | undefined
      /** Whether the provider enforces the schema. Default true. */
      readonly strict?: boolean | undefined
    }

/**
 * What one turn asks of a model. Everything but `prompt` is optional; what is left out is left to
 * the provider's defaults. What a provider's API has no field for is refused as `Unsupported`, never
 * dropped.
 *
 * @category models
 * @since 0.1.0
 */
export interface LlmRequest {
  /** A string, messages, or a `Prompt` of `effect/ai`. */
  readonly prompt: Prompt.RawInput
  /** Instructions, put before the prompt's messages. */
  readonly system?: string | undefined
  /** Another model than the layer's. */
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
  readonly reasoning?: ReasoningEffort | undefined
  /** Tools that the model may call. */
  readonly toolkit?: Toolkit.Any | undefined
  readonly toolChoice?: LanguageModel.ToolChoice<string> | undefined
  readonly responseFormat?: ResponseFormat | undefined
  /** Fields merged into the request's body as they are, for what a provider has and this type has not. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined
}

/**
 * What the functions of `Llm` take: a prompt alone, or a whole request.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = Prompt.RawInput | LlmRequest

/**
 * Makes a request of an input.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (input: Input): LlmRequest => (isLlmRequest(input) ? input : { prompt: input })

const isLlmRequest = (input: Input): input is LlmRequest => Predicate.hasProperty(input, "prompt")

/**
 * Checks a request and gives its messages, `system` first, or says what is wrong with it.
 *
 * For protocols: every `encode` begins with it, so that bad input never reaches the network.
 *
 * @category validation
 * @since 0.1.0
 */
export const messages = (request: LlmRequest): Result.Result<ReadonlyArray<Prompt.Message>, InvalidRequest> => {
  for (const [name, low, high, integer] of ranges) {
    const value = request[name]
    if (value === undefined) continue
    if (typeof value !== "number" || !(value >= low && value <= high) || (integer && !Number.isInteger(value))) {
      const kind = integer ? "a whole number" : "a number"
      const range = high === Infinity ? `of at least ${low}` : low === -Infinity ? "" : `from ${low} to ${high}`
      return invalid(`${name} must be ${kind} ${range}`.trimEnd() + `, not ${show(value)}`)
    }
  }
  if (request.model !== undefined && (typeof request.model !== "string" || request.model === "")) {
    return invalid("model must be a non-empty string")
  }
  if (request.system !== undefined && typeof request.system !== "string") {
    return invalid(`system must be a string, not ${show(request.system)}`)
  }
  const { prompt } = request
  if (typeof prompt !== "string" && !Prompt.isPrompt(prompt) && !Predicate.isIterable(prompt)) {
    return invalid(`the prompt must be a string, messages or a Prompt of effect/ai, not ${show(prompt)}`)
  }
  let content: ReadonlyArray<Prompt.Message>
  try {
    content = Prompt.make(prompt).content
  } catch {
    // The schema's own message would quote the messages themselves.
    return invalid(
      "the prompt's messages are not of effect/ai's Prompt: each needs a role (system, user, assistant, tool) and its content"
    )
  }
  if (!content.some((message) => message.role !== "system")) {
    return invalid("the prompt has no message: give it at least one from the user")
  }
  return Result.succeed(request.system === undefined ? content : [systemMessage(request.system), ...content])
}

/**
 * Counts the characters of the text in messages, for an estimate of their tokens.
 *
 * @category validation
 * @since 0.1.0
 */
export const countCharacters = (messages: ReadonlyArray<Prompt.Message>): number => {
  let count = 0
  for (const message of messages) count += charactersOf(message)
  return count
}

/** A conversation is counted again with every turn of it, and results of tools are large. */
const counted = new WeakMap<Prompt.Message, number>()

const charactersOf = (message: Prompt.Message): number => {
  if (message.role === "system") return message.content.length
  const known = counted.get(message)
  if (known !== undefined) return known
  let count = 0
  for (const part of message.content) {
    if (part.type === "text" || part.type === "reasoning") count += part.text.length
    else if (part.type === "tool-call") count += jsonLength(part.params)
    else if (part.type === "tool-result") count += jsonLength(part.result)
  }
  counted.set(message, count)
  return count
}

const systemMessage = (content: string): Prompt.Message => Prompt.makeMessage("system", { content })

const jsonLength = (value: unknown): number => JSON.stringify(value)?.length ?? 0

const invalid = (message: string) => Result.fail(new InvalidRequest({ message }))

const show = (value: unknown): string =>
  typeof value === "number" || value === null || value === undefined ? String(value) : `a value of type ${typeof value}`

const ranges = [
  ["temperature", 0, Infinity, false],
  ["maxTokens", 1, Infinity, true],
  ["topP", 0, 1, false],
  ["seed", Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, true],
  ["frequencyPenalty", -Number.MAX_VALUE, Number.MAX_VALUE, false],
  ["presencePenalty", -Number.MAX_VALUE, Number.MAX_VALUE, false]
] as const
