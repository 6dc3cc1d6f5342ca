/**
 * What requests of OpenAI's two APIs, chat completions and responses, have in common: files, strict
 * tools, the form of the answer. Each API wraps them its own way.
 *
 * @since 0.1.0
 */
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Unsupported } from "../LlmError.ts"
import type * as LlmRequest from "../LlmRequest.ts"
import { isRecord } from "./Json.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"

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
 * The content of a message. Text alone is sent as a string: not every server that speaks these protocols reads
 * arrays.
 *
 * @category encoding
 * @since 0.1.0
 */
export const content = (
  parts: ReadonlyArray<Prompt.TextPart | Prompt.FilePart>,
  text: (text: string) => Body,
  file: (part: Prompt.FilePart) => Encoded<Body>
): Encoded<unknown> => {
  const [first, ...others] = parts
  if (first?.type === "text" && others.length === 0) return Result.succeed(first.text)
  return Result.gen(function* () {
    const all: Array<Body> = []
    for (const part of parts) all.push(part.type === "text" ? text(part.text) : yield* file(part))
    return all
  })
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
): Encoded<ReadonlyArray<RequestParts.FunctionTool>> =>
  RequestParts.functionTools(toolkit, unsupported, (tool) =>
    Tool.getStrictMode(tool) === true
      ? Tool.getJsonSchema(tool, { transformer: OpenAiStructuredOutput.toCodecOpenAI })
      : Tool.getJsonSchema(tool)
  )

/**
 * How both APIs say which tools may be called. How they refer to one, and how they wrap some, is their own.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toolChoice = (
  choice: RequestParts.Choice,
  one: (name: string) => Body,
  some: (allowed: { readonly mode: "auto" | "required"; readonly tools: ReadonlyArray<Body> }) => Body
): unknown => {
  switch (choice.kind) {
    case "mode":
      return choice.mode
    case "one":
      return one(choice.name)
    case "some":
      return some({ mode: choice.mode, tools: choice.names.map(one) })
  }
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
    ? RequestParts.jsonSchema(
        "responseFormat",
        () => Tool.getJsonSchemaFromSchema(schema, strict ? { transformer: OpenAiStructuredOutput.toCodecOpenAI } : {}),
        "Use a struct of types that JSON has, or `Llm.object`, which wraps what is none"
      )
    : Result.succeed(schema)
  return Result.map(inJson, (schema) => ({ type: "json_schema", name, description, schema, strict }))
}
