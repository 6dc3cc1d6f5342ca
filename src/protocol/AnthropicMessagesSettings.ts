/**
 * What a request of Anthropic's Messages has beside its conversation: thinking, the form of the answer,
 * tools and the choice among them.
 *
 * @since 0.1.0
 */
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { InvalidRequest } from "../LlmError.ts"
import type * as LlmRequest from "../LlmRequest.ts"
import { unsupported } from "./AnthropicMessagesInput.ts"
import * as Models from "./AnthropicModels.ts"
import { enforced } from "./AnthropicSchema.ts"
import type { Json } from "./Json.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Choice, Encoded, FunctionTool } from "./RequestParts.ts"

/**
 * A mark on a tool: Anthropic's prompt cache holds the tools up to and including it. `true` is for the
 * default of five minutes.
 *
 * ```ts
 * Tool.make("weather", { … }).annotate(Anthropic.CacheControl, { type: "ephemeral", ttl: "1h" })
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const CacheControl = Context.Reference<
  true | { readonly type: "ephemeral"; readonly ttl?: "5m" | "1h" } | undefined
>("effect-rill/protocol/AnthropicMessages/CacheControl", { defaultValue: () => undefined })

/**
 * How the model is told to think.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reasoning {
  readonly thinking: Json
  readonly effort?: string
}

/**
 * Thinking as the model takes it: see `AnthropicMessages.encode`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const reasoning = (
  effort: LlmRequest.ReasoningEffort | undefined,
  known: Models.Model,
  name: string,
  maxTokens: number
): Encoded<Reasoning | undefined> => {
  if (effort === undefined) return Result.succeed(undefined)
  const kind = Models.thinking(known)
  if (effort === "none") {
    if (Models.alwaysThinks(known)) {
      return unsupported(`reasoning "none" with ${name}, which always thinks`, 'ask for "minimal"')
    }
    return Result.succeed(kind === "none" ? undefined : { thinking: { type: "disabled" } })
  }
  if (kind === "none") return unsupported(`reasoning with ${name}`, "take a model of Claude 3.7 or later")
  if (kind === "adaptive") {
    return Result.succeed({
      thinking: { type: "adaptive", display: "summarized" },
      effort: effort === "minimal" ? "low" : effort === "xhigh" && !Models.knowsXhigh(known) ? "max" : effort
    })
  }
  if (maxTokens <= budgets.minimal) {
    return Result.fail(
      new InvalidRequest({
        message: `reasoning with ${name} needs maxTokens of more than ${budgets.minimal}, not ${maxTokens}: thinking counts as part of the answer.`
      })
    )
  }
  const budget_tokens = Math.max(budgets.minimal, Math.min(budgets[effort], Math.floor(maxTokens / 2)))
  return Result.succeed({ thinking: { type: "enabled", budget_tokens } })
}

/** In tokens. The least is the API's own. */
const budgets = { minimal: 1024, low: 2048, medium: 8192, high: 16_384, xhigh: 32_768 } as const

/**
 * The form of an answer.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (asked: LlmRequest.ResponseFormat | undefined): Encoded<Json | undefined> => {
  if (asked === undefined || asked.type === "text") return Result.succeed(undefined)
  if (asked.type === "json") {
    return unsupported("JSON without a schema", 'give a schema (`type: "json-schema"`), or ask for JSON in the prompt')
  }
  if (asked.strict === false) {
    return unsupported(
      "a schema that is not to be enforced, or that leaves a part open",
      'name all of its fields, or ask for the JSON in the prompt, with `responseFormat: { type: "text" }`'
    )
  }
  const { schema } = asked
  const inJson = Schema.isSchema(schema)
    ? RequestParts.jsonSchema("responseFormat", () => Tool.getJsonSchemaFromSchema(schema))
    : Result.succeed(schema)
  return Result.map(inJson, (schema) => ({ type: "json_schema", schema: enforced(schema) }))
}

/**
 * A tool, and its mark for the cache.
 *
 * @category models
 * @since 0.1.0
 */
export interface MarkedTool extends FunctionTool {
  readonly cacheControl: typeof CacheControl.Service
}

/**
 * The tools of a toolkit.
 *
 * @category encoding
 * @since 0.1.0
 */
export const tools = (toolkit: Toolkit.Any | undefined): Encoded<ReadonlyArray<MarkedTool>> =>
  Result.map(
    RequestParts.functionTools(toolkit, (tool) =>
      unsupported(tool, "give it in `extra.tools` as Anthropic documents it")
    ),
    (tools) => {
      const marks = Object.values(toolkit?.tools ?? {}).map((tool) => Context.get(tool.annotations, CacheControl))
      return tools.map(({ description, name, parameters, strict }, index) => ({
        name,
        description,
        parameters,
        strict,
        cacheControl: marks[index]
      }))
    }
  )

/**
 * A tool as the body has it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toBody = ({ cacheControl, description, name, parameters, strict }: MarkedTool): Body => ({
  name,
  description,
  input_schema: strict === true ? enforced(parameters) : parameters,
  strict,
  cache_control: cacheControl === true ? { type: "ephemeral" } : cacheControl
})

/**
 * The choice among tools. Of several, one is as free as the mode says, since only those are sent.
 *
 * @category encoding
 * @since 0.1.0
 */
export const choice = (choice: Choice, parallel: boolean): Json | undefined => {
  const disable_parallel_tool_use = parallel ? undefined : true
  if (choice.kind === "one") return { type: "tool", name: choice.name, disable_parallel_tool_use }
  if (choice.mode === "none") return { type: "none" }
  if (choice.mode === undefined && disable_parallel_tool_use === undefined) return undefined
  return { type: choice.mode === "required" ? "any" : "auto", disable_parallel_tool_use }
}
