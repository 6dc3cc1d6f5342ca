/**
 * `POST /v1/chat/completions`: what OpenAI's clients send
 * (https://platform.openai.com/docs/api-reference/chat/create).
 *
 * The `model` that a client names is not looked at, since there is one: its name is in the answer. Fields that are
 * not known here are ignored, as OpenAI-compatible servers do; those that are known and would change the answer are
 * refused.
 *
 * @since 0.1.0
 */
import type { LlmRequest, ResponseFormat } from "../../LlmRequest.ts"
import type { Input } from "./Input.ts"
import * as Messages from "./Messages.ts"

/**
 * What a client asks for.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChatCompletion {
  readonly request: LlmRequest
  readonly stream: boolean
  /** Whether a stream tells its usage, in a chunk of its own. */
  readonly usage: boolean
}

/**
 * Reads a request.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (body: Input): ChatCompletion => {
  body.record()
  for (const [name, what] of Object.entries(unsupported)) {
    if (!body.at(name).isIdle) return body.at(name).unsupported(what)
  }
  if ((body.at("n").optional((n) => n.integer(1)) ?? 1) !== 1)
    return body.at("n").unsupported("there is one answer here")
  const number = (name: string, low: number, high: number) => body.at(name).optional((field) => field.number(low, high))
  const limit = (name: string) => body.at(name).optional((field) => field.integer(1))
  return {
    request: defined({
      prompt: Messages.decode(body.at("messages")),
      temperature: number("temperature", 0, 2),
      topP: number("top_p", 0, 1),
      frequencyPenalty: number("frequency_penalty", -2, 2),
      presencePenalty: number("presence_penalty", -2, 2),
      maxTokens: limit("max_completion_tokens") ?? limit("max_tokens"),
      seed: body.at("seed").optional((seed) => seed.integer(Number.MIN_SAFE_INTEGER)),
      stop: body.at("stop").optional(stop),
      reasoning: body
        .at("reasoning_effort")
        .optional((effort) => effort.oneOf("none", "minimal", "low", "medium", "high", "xhigh")),
      responseFormat: body.at("response_format").optional(responseFormat)
    }),
    stream: body.at("stream").optional((stream) => stream.boolean()) ?? false,
    usage: body.at("stream_options").optional(includeUsage) ?? false
  }
}

const noTools = "tools are not served here"

/** Known, and not to be had: of each, what to tell. */
const unsupported: Readonly<Record<string, string>> = {
  tools: noTools,
  functions: noTools,
  logprobs: "probabilities are not told here",
  top_logprobs: "probabilities are not told here",
  logit_bias: "there is no bias here",
  audio: "the answer is text here",
  prediction: "there is no prediction here",
  web_search_options: "there is no search here"
}

const stop = (input: Input): string | ReadonlyArray<string> =>
  input.isString ? input.string() : input.list().map((sequence) => sequence.string())

const includeUsage = (input: Input): boolean | undefined => {
  input.record()
  return input.at("include_usage").optional((include) => include.boolean())
}

const responseFormat = (input: Input): ResponseFormat => {
  input.record()
  switch (input.at("type").oneOf("text", "json_object", "json_schema")) {
    case "text":
      return { type: "text" }
    case "json_object":
      return { type: "json" }
    case "json_schema": {
      const given = input.at("json_schema")
      return {
        type: "json-schema",
        schema: { ...given.at("schema").record() },
        name: given.at("name").optional((name) => name.string()),
        description: given.at("description").optional((description) => description.string()),
        strict: given.at("strict").optional((strict) => strict.boolean()) ?? false
      }
    }
  }
}

/** Without the fields that nobody set. */
const defined = (request: LlmRequest): LlmRequest => ({
  ...Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined)),
  prompt: request.prompt
})
