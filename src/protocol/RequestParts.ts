/**
 * What the requests of all protocols have in common: tools, the choice of a tool, a tool's result as
 * text. How they are sent is each protocol's own.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import { InvalidRequest, type Unsupported } from "../LlmError.ts"

/**
 * A part of a body. Fields that are undefined are left out by `JSON.stringify`.
 *
 * @category models
 * @since 0.1.0
 */
export type Body = Record<string, unknown>

/**
 * What an encoder gives, or what is wrong with what it was given.
 *
 * @category models
 * @since 0.1.0
 */
export type Encoded<A> = Result.Result<A, InvalidRequest | Unsupported>

/**
 * A tool: its name, what it is for, and its input as JSON Schema.
 *
 * @category models
 * @since 0.1.0
 */
export interface FunctionTool {
  readonly name: string
  readonly description: string | undefined
  readonly parameters: JsonSchema.JsonSchema
  /** Whether the provider is to enforce the schema, where the tool says so. */
  readonly strict: boolean | undefined
}

/**
 * The tools of a toolkit. `schemaOf` is for protocols that have a JSON Schema of their own.
 *
 * @category encoding
 * @since 0.1.0
 */
export const functionTools = (
  toolkit: Toolkit.Any | undefined,
  unsupported: (feature: string) => Result.Result<never, Unsupported>,
  schemaOf: (tool: Tool.Any) => JsonSchema.JsonSchema = (tool) => Tool.getJsonSchema(tool)
): Encoded<ReadonlyArray<FunctionTool>> => {
  const tools: Array<FunctionTool> = []
  for (const tool of Object.values(toolkit?.tools ?? {})) {
    if (Tool.isProviderDefined(tool)) return unsupported(`the provider's own tool ${tool.name}`)
    const parameters = jsonSchema(`the input of the tool ${tool.name}`, () => schemaOf(tool))
    if (Result.isFailure(parameters)) return Result.fail(parameters.failure)
    tools.push({
      name: tool.name,
      description: Tool.getDescription(tool),
      parameters: parameters.success,
      strict: Tool.getStrictMode(tool)
    })
  }
  return Result.succeed(tools)
}

/**
 * A schema's JSON Schema: `effect/ai` throws where it has none in the wanted dialect, such as one whose
 * root is no object where a provider enforces it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const jsonSchema = (
  what: string,
  convert: () => JsonSchema.JsonSchema,
  advice = "Use a struct of types that JSON has"
): Encoded<JsonSchema.JsonSchema> =>
  Result.try({
    try: convert,
    catch: (error) =>
      new InvalidRequest({
        message: `${what} has no JSON Schema that the provider takes: ${error instanceof Error ? error.message : String(error)}. ${advice}.`
      })
  })

/**
 * Which tools may be called: a mode alone, one by name, or some by name.
 *
 * @category models
 * @since 0.1.0
 */
export type Choice =
  | { readonly kind: "mode"; readonly mode: "auto" | "none" | "required" | undefined }
  | { readonly kind: "one"; readonly name: string }
  | { readonly kind: "some"; readonly mode: "auto" | "required"; readonly names: ReadonlyArray<string> }

/**
 * Which tools may be called, checked against those there are.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toolChoice = (
  choice: LanguageModel.ToolChoice<string> | undefined,
  tools: ReadonlyArray<FunctionTool>
): Encoded<Choice> => {
  if (choice === undefined || typeof choice === "string") return Result.succeed({ kind: "mode", mode: choice })
  const names = "tool" in choice ? [choice.tool] : choice.oneOf
  const unknown = names.find((name) => !tools.some((tool) => tool.name === name))
  if (unknown !== undefined) {
    return Result.fail(
      new InvalidRequest({ message: `toolChoice names the tool ${unknown}, which the toolkit does not have.` })
    )
  }
  return Result.succeed(
    "tool" in choice ? { kind: "one", name: choice.tool } : { kind: "some", mode: choice.mode ?? "auto", names }
  )
}

/**
 * The result of a tool as text: what the tool gave for the model, else the result itself, as JSON
 * where it is not a string. Files are left out.
 *
 * @category encoding
 * @since 0.1.0
 */
export const resultText = (part: Prompt.ToolResultPart): string =>
  part.modelOutput !== undefined
    ? Prompt.toolModelOutputToText(part.modelOutput)
    : typeof part.result === "string"
      ? part.result
      : (JSON.stringify(part.result) ?? "")
