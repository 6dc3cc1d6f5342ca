/**
 * What requests of OpenAI's two APIs, chat completions and responses, have in common: files, tools,
 * the choice of a tool, the form of the answer. Each API wraps them its own way.
 *
 * @since 0.1.0
 */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Base64 from "effect/encoding/Base64"
import type * as JsonSchema from "effect/JsonSchema"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { InvalidRequest, Unsupported } from "../LlmError.ts"
import type * as LlmRequest from "../LlmRequest.ts"
import { isRecord } from "./Json.ts"

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
 * A provider option, read under `openai`.
 *
 * @category getters
 * @since 0.1.0
 */
export const option = (of: { readonly options: Prompt.ProviderOptions }, name: string): unknown => {
  const options = of.options["openai"]
  return isRecord(options) ? options[name] : undefined
}

/**
 * Where a file's content is: `url` on the web or as a data URL, `base64` if it is at hand, `id` of a
 * file that was uploaded before.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileSource {
  readonly url: string
  readonly base64: string | undefined
  readonly id: string | undefined
}

/**
 * Reads the source of a file: bytes, a URL, a data URL, base64, or an id such as `file-abc`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const fileSource = ({ data, mediaType }: Prompt.FilePart): FileSource => {
  const url =
    data instanceof URL ? data.href : typeof data === "string" && /^(https?|data):/.test(data) ? data : undefined
  if (url !== undefined) return { url, base64: undefined, id: undefined }
  const base64 = data instanceof Uint8Array ? Base64.encode(data) : String(data)
  return {
    url: `data:${mediaType === "image/*" ? "image/jpeg" : mediaType};base64,${base64}`,
    base64,
    // A hyphen is not of base64's alphabet.
    id: typeof data === "string" && data.startsWith("file-") ? data : undefined
  }
}

/**
 * A tool as both APIs know it.
 *
 * @category models
 * @since 0.1.0
 */
export interface FunctionTool {
  readonly name: string
  readonly description: string | undefined
  readonly parameters: JsonSchema.JsonSchema
  readonly strict: boolean | undefined
}

/**
 * The tools of a toolkit, their input as JSON Schema: where a tool is annotated as strict, in the form
 * that OpenAI enforces.
 *
 * @category encoding
 * @since 0.1.0
 */
export const functionTools = (
  toolkit: Toolkit.Any | undefined,
  unsupported: (feature: string) => Result.Result<never, Unsupported>
): Encoded<ReadonlyArray<FunctionTool>> => {
  const tools: Array<FunctionTool> = []
  for (const tool of Object.values(toolkit?.tools ?? {})) {
    if (Tool.isProviderDefined(tool)) return unsupported(`the provider's own tool ${tool.name}`)
    const strict = Tool.getStrictMode(tool)
    const parameters = inJsonSchema(`the input of the tool ${tool.name}`, () =>
      strict === true
        ? Tool.getJsonSchema(tool, { transformer: OpenAiStructuredOutput.toCodecOpenAI })
        : Tool.getJsonSchema(tool)
    )
    if (Result.isFailure(parameters)) return Result.fail(parameters.failure)
    tools.push({ name: tool.name, description: Tool.getDescription(tool), parameters: parameters.success, strict })
  }
  return Result.succeed(tools)
}

/**
 * Which tools may be called, checked against those there are. How an API refers to one by its name, and
 * how it says that some are allowed, are its own.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toolChoice = (
  choice: LanguageModel.ToolChoice<string> | undefined,
  tools: ReadonlyArray<FunctionTool>,
  forms: {
    readonly one: (name: string) => Body
    readonly some: (allowed: { readonly mode: "auto" | "required"; readonly tools: ReadonlyArray<Body> }) => Body
  }
): Encoded<unknown> => {
  if (choice === undefined || typeof choice === "string") return Result.succeed(choice)
  const named = "tool" in choice ? [choice.tool] : choice.oneOf
  const unknown = named.find((name) => !tools.some((tool) => tool.name === name))
  if (unknown !== undefined) {
    return Result.fail(
      new InvalidRequest({ message: `toolChoice names the tool ${unknown}, which the toolkit does not have.` })
    )
  }
  return Result.succeed(
    "tool" in choice
      ? forms.one(choice.tool)
      : forms.some({ mode: choice.mode ?? "auto", tools: choice.oneOf.map(forms.one) })
  )
}

/**
 * The form of an answer as both APIs know it. A schema is in the form that OpenAI enforces, unless it
 * is not to be enforced.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerFormat =
  | { readonly type: "text" | "json_object" }
  | {
      readonly type: "json_schema"
      readonly name: string
      readonly description: string | undefined
      readonly schema: unknown
      readonly strict: boolean
    }

/**
 * The form of an answer for the request.
 *
 * @category encoding
 * @since 0.1.0
 */
export const answerFormat = (format: LlmRequest.ResponseFormat | undefined): Encoded<AnswerFormat | undefined> => {
  if (format === undefined) return Result.succeed(undefined)
  if (format.type === "text") return Result.succeed({ type: "text" })
  if (format.type === "json") return Result.succeed({ type: "json_object" })
  const { description, name = "response", schema, strict = true } = format
  const inJson = Schema.isSchema(schema)
    ? inJsonSchema("responseFormat", () =>
        Tool.getJsonSchemaFromSchema(schema, strict ? { transformer: OpenAiStructuredOutput.toCodecOpenAI } : {})
      )
    : Result.succeed(schema)
  return Result.map(inJson, (schema) => ({ type: "json_schema", name, description, schema, strict }))
}

/** `effect/ai` throws where a schema has no such form: a date, or, where it is enforced, a root that is no object. */
const inJsonSchema = (what: string, convert: () => JsonSchema.JsonSchema): Encoded<JsonSchema.JsonSchema> =>
  Result.try({
    try: convert,
    catch: (error) =>
      new InvalidRequest({
        message: `${what} has no JSON Schema that OpenAI takes: ${error instanceof Error ? error.message : String(error)}. Use a struct of types that JSON has${what === "responseFormat" ? ", or `Llm.object`, which wraps what is none" : ""}.`
      })
  })

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
