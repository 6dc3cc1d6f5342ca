/**
 * The body of a request to Gemini.
 *
 * Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent.
 *
 * @since 0.1.0
 */
import * as Tool from "effect/ai/Tool"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type InvalidRequest, Unsupported } from "../LlmError.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as Contents from "./GoogleGeminiContents.ts"
import { isRecord, type Json } from "./Json.ts"
import type { EncodedRequest } from "./Protocol.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"

/**
 * The body of a request.
 *
 * - `system` and all system messages become `systemInstruction`, in their order, wherever in the prompt
 *   they stand: Gemini knows no others, and what was said in the middle holds for the answer to come.
 * - Settings become `generationConfig`. A JSON Schema is sent as it is (`responseJsonSchema`), and is
 *   always enforced; tools have their input's schema as `parametersJsonSchema`, and Gemini has no strict
 *   ones.
 * - A choice among some tools in the mode `auto` sends those tools alone.
 * - Results of tools are `{ output }`, or `{ error }` of those that failed.
 * - A `reasoning` effort becomes a thinking budget of models up to 2.5, and a thinking level of later ones,
 *   as in https://ai.google.dev/gemini-api/docs/openai#thinking, and asks for summaries of the thoughts:
 *
 *   | effort    | budget, in tokens                | level                      |
 *   |-----------|----------------------------------|----------------------------|
 *   | `none`    | 0; `Unsupported` by 2.5 Pro      | `Unsupported`              |
 *   | `minimal` | 1024                             | `MINIMAL`; `LOW` of Pro    |
 *   | `low`     | 1024                             | `LOW`                      |
 *   | `medium`  | 8192                             | `MEDIUM`                   |
 *   | `high`    | 24576                            | `HIGH`                     |
 *   | `xhigh`   | 32768 of 2.5 Pro, else 24576     | `HIGH`                     |
 *
 * `extra` has the last word. Its `generationConfig` and the `thinkingConfig` in it, and its `toolConfig` and
 * the `functionCallingConfig` in it, are laid over ours field by field; its `tools`, such as
 * `[{ googleSearch: {} }]`, are added to ours. What is asked for there alone:
 *
 * - a cache: `{ cachedContent: "cachedContents/…" }`
 * - tool calls in pieces, of Vertex AI: `{ toolConfig: { functionCallingConfig: { streamFunctionCallArguments: true } } }`
 * - tool calls held to their schema: `{ toolConfig: { functionCallingConfig: { mode: "VALIDATED" } } }`
 *
 * Provider options are read under `google`: `videoMetadata` and `mediaResolution` of a file; and of answers,
 * as they came, `thoughtSignature` and `signedText` of reasoning, `thoughtSignature` and `id` of a tool call.
 * Reasoning without a signature is left out. Calls of another provider or model have none, which models
 * since Gemini 3 refuse: they are sent with the one that Google documents for them.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  request: LlmRequest.LlmRequest,
  model: string
): Result.Result<EncodedRequest, InvalidRequest | Unsupported> =>
  Result.gen(function* () {
    const prompt = yield* LlmRequest.messages(request)
    const name = request.model ?? model
    const { generationConfig, toolConfig, tools: more, ...extra } = request.extra ?? {}
    const instructions = prompt.flatMap((message) => (message.role === "system" ? [{ text: message.content }] : []))
    const declared = yield* RequestParts.functionTools(request.toolkit, (tool) =>
      unsupported(tool, "give it in `extra.tools` as Google documents it")
    )
    const { choice, tools } = choose(yield* RequestParts.toolChoice(request.toolChoice, declared), declared)
    const format = yield* encodeFormat(request.responseFormat)
    const thinkingConfig = yield* encodeThinking(request.reasoning, name)
    const body: Body = {
      contents: yield* Contents.encode(prompt, /gemini/.test(name) && !(generation(name) < 3)),
      systemInstruction: instructions.length === 0 ? undefined : { parts: instructions },
      generationConfig: nested(
        {
          temperature: request.temperature,
          maxOutputTokens: request.maxTokens,
          topP: request.topP,
          stopSequences: typeof request.stop === "string" ? [request.stop] : request.stop,
          seed: request.seed,
          frequencyPenalty: request.frequencyPenalty,
          presencePenalty: request.presencePenalty,
          ...format,
          thinkingConfig
        },
        generationConfig,
        "thinkingConfig"
      ),
      tools: add(tools, more),
      toolConfig: nested({ functionCallingConfig: choice }, toolConfig, "functionCallingConfig"),
      ...extra
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

// -----------------------------------------------------------------------------
// extra
// -----------------------------------------------------------------------------

/** Lays fields over ours, and those of one field over those of ours; what is no object replaces them. */
const nested = (ours: Json, theirs: unknown, field: string): unknown => {
  if (theirs !== undefined && !isRecord(theirs)) return theirs
  const all = { ...ours, ...theirs, [field]: over(ours[field], theirs?.[field]) }
  return Object.values(all).some((value) => value !== undefined) ? all : undefined
}

const over = (ours: unknown, theirs: unknown): unknown =>
  theirs === undefined ? ours : isRecord(ours) && isRecord(theirs) ? { ...ours, ...theirs } : theirs

const add = (functions: ReadonlyArray<RequestParts.FunctionTool>, more: unknown): unknown => {
  if (more !== undefined && !Array.isArray(more)) return more
  const functionDeclarations = functions.map(({ description, name, parameters }) => ({
    name,
    description,
    parametersJsonSchema: parameters
  }))
  const all: ReadonlyArray<unknown> = [
    ...(functionDeclarations.length === 0 ? [] : [{ functionDeclarations }]),
    ...(more ?? [])
  ]
  return all.length === 0 ? undefined : all
}

// -----------------------------------------------------------------------------
// tools
// -----------------------------------------------------------------------------

const choose = (choice: RequestParts.Choice, tools: ReadonlyArray<RequestParts.FunctionTool>) => {
  switch (choice.kind) {
    case "mode":
      return { tools, choice: choice.mode && { mode: modes[choice.mode] } }
    case "one":
      return { tools, choice: { mode: modes.required, allowedFunctionNames: [choice.name] } }
    case "some":
      // Gemini takes names of functions with the mode ANY alone.
      return choice.mode === "auto"
        ? { tools: tools.filter(({ name }) => choice.names.includes(name)), choice: { mode: modes.auto } }
        : { tools, choice: { mode: modes.required, allowedFunctionNames: choice.names } }
  }
}

const modes = { auto: "AUTO", none: "NONE", required: "ANY" } as const

// -----------------------------------------------------------------------------
// the answer
// -----------------------------------------------------------------------------

const encodeFormat = (format: LlmRequest.ResponseFormat | undefined): Encoded<Json> => {
  if (format === undefined || format.type === "text") return Result.succeed({})
  const responseMimeType = "application/json"
  if (format.type === "json") return Result.succeed({ responseMimeType })
  const { description, name: title, schema } = format
  const inJson = Schema.isSchema(schema)
    ? RequestParts.jsonSchema("responseFormat", () => Tool.getJsonSchemaFromSchema(schema))
    : Result.succeed(schema)
  return Result.map(inJson, (schema) => ({
    responseMimeType,
    responseJsonSchema: {
      ...(title === undefined ? undefined : { title }),
      ...(description === undefined ? undefined : { description }),
      ...schema
    }
  }))
}

/** The number in a model's name, such as 2.5; `NaN` where it has none, as in `gemini-flash-latest`. */
const generation = (model: string): number => Number(/gemini-(?:[a-z]+-)*(\d+(?:\.\d+)?)/.exec(model)?.[1])

const encodeThinking = (
  effort: LlmRequest.ReasoningEffort | undefined,
  model: string
): Result.Result<Json | undefined, Unsupported> => {
  if (effort === undefined) return Result.succeed(undefined)
  const pro = /-pro\b/.test(model)
  const budget = generation(model) < 3
  if (effort === "none") {
    return budget && !pro
      ? Result.succeed({ thinkingBudget: 0 })
      : unsupported(`an answer of ${model} without reasoning`, 'ask for the least: `reasoning: "minimal"`')
  }
  return Result.succeed({
    ...(budget
      ? { thinkingBudget: effort === "xhigh" && pro ? 32768 : budgets[effort] }
      : { thinkingLevel: effort === "minimal" && pro ? "LOW" : levels[effort] }),
    includeThoughts: true
  })
}

const budgets = { minimal: 1024, low: 1024, medium: 8192, high: 24576, xhigh: 24576 } as const

const levels = { minimal: "MINIMAL", low: "LOW", medium: "MEDIUM", high: "HIGH", xhigh: "HIGH" } as const

const unsupported = (feature: string, instead: string): Result.Result<never, Unsupported> =>
  Result.fail(new Unsupported({ message: `Gemini cannot take ${feature}. Leave it out, or ${instead}.`, feature }))
