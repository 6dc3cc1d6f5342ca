/**
 * What a request of chat completions asks for beside its messages, where servers differ: tools, reasoning,
 * the form of the answer.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type * as LlmRequest from "../LlmRequest.ts"
import type { Unsupported } from "../LlmError.ts"
import type { Deviations, Feature } from "./OpenAiChatDeviations.ts"
import { unsupported } from "./OpenAiChatMessages.ts"
import * as OpenAiRequest from "./OpenAiRequest.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"

/**
 * Refuses what the server does not take.
 *
 * @category encoding
 * @since 0.1.0
 */
export const check = (request: LlmRequest.LlmRequest, deviations: Deviations): Result.Result<void, Unsupported> => {
  for (const feature of deviations.unsupported ?? []) {
    if (isAskedFor(feature, request)) return unsupported(features[feature], elsewhere[feature])
  }
  return Result.succeed(undefined)
}

const isAskedFor = (feature: Feature, request: LlmRequest.LlmRequest): boolean => {
  switch (feature) {
    case "json":
    case "json-schema":
      return request.responseFormat?.type === feature
    case "toolkit":
      return Object.keys(request.toolkit?.tools ?? {}).length > 0
    case "name":
      // Of a message, and found there.
      return false
    default:
      return request[feature] !== undefined
  }
}

const features: Readonly<Record<Feature, string>> = {
  toolkit: "tools",
  stop: "stop sequences",
  seed: "a seed",
  frequencyPenalty: "a frequency penalty",
  presencePenalty: "a presence penalty",
  json: "JSON without a schema as the form of the answer",
  "json-schema": "a JSON schema as the form of the answer",
  name: "the name of a message"
}

const elsewhere: Readonly<Partial<Record<Feature, string>>> = {
  json: 'Give a schema: `responseFormat: { type: "json-schema", … }`.',
  "json-schema": 'Describe the form in the prompt and ask for `responseFormat: { type: "json" }`.'
}

/**
 * Tools, and which of them may be called.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tools {
  readonly tools: ReadonlyArray<RequestParts.FunctionTool>
  readonly choice: unknown
}

/**
 * The tools of a request and the choice of one, as the server wants them said.
 *
 * @category encoding
 * @since 0.1.0
 */
export const tools = (request: LlmRequest.LlmRequest, deviations: Deviations): Encoded<Tools> => {
  if (request.toolkit === undefined && request.toolChoice === undefined) return noTools
  return Result.gen(function* () {
    const known = yield* OpenAiRequest.functionTools(request.toolkit, unsupported)
    const all =
      deviations.strictTools === false
        ? known.map((tool): RequestParts.FunctionTool => ({ ...tool, strict: undefined }))
        : known
    const choice = yield* RequestParts.toolChoice(request.toolChoice, all)
    const said = deviations.toolChoice ?? {}
    if (choice.kind === "some" && said.some === "fewer-tools") {
      const tools = all.filter(({ name }) => choice.names.includes(name))
      return { tools, choice: yield* encodeMode(choice.mode, said) }
    }
    if (choice.kind === "mode") {
      if (choice.mode === "none" && said.none === "no-tools") return { tools: [], choice: undefined }
      return { tools: all, choice: yield* encodeMode(choice.mode, said) }
    }
    if (choice.kind === "one" && said.one === "unsupported") {
      return yield* unsupported("the choice of one tool", onlyAuto)
    }
    const inWords = OpenAiRequest.toolChoice(
      choice,
      (name) => ({ type: "function", function: { name } }),
      (allowed) => ({ type: "allowed_tools", allowed_tools: allowed })
    )
    return { tools: all, choice: inWords }
  })
}

const noTools: Encoded<Tools> = Result.succeed({ tools: [], choice: undefined })

const encodeMode = (
  mode: "auto" | "none" | "required" | undefined,
  said: NonNullable<Deviations["toolChoice"]>
): Encoded<string | undefined> => {
  if (mode !== "required") return Result.succeed(mode)
  return said.required === "unsupported"
    ? unsupported('the tool choice "required"', onlyAuto)
    : Result.succeed(said.required ?? "required")
}

const onlyAuto = 'Leave the choice to the model (`toolChoice: "auto"`), and ask for the call in the prompt.'

/**
 * The fields that ask for an effort of reasoning.
 *
 * @category encoding
 * @since 0.1.0
 */
export const reasoning = (effort: LlmRequest.ReasoningEffort | undefined, deviations: Deviations): Encoded<Body> => {
  if (effort === undefined) return Result.succeed({})
  const known = deviations.reasoning
  if (known === undefined) return Result.succeed({ reasoning_effort: effort })
  const fields = known[effort]
  return fields === undefined
    ? unsupported(
        `the reasoning effort "${effort}"`,
        `They know ${Object.keys(known).join(", ")}; what else it has goes into \`extra\`.`
      )
    : Result.succeed({ ...fields })
}

/**
 * The form of the answer.
 *
 * @category encoding
 * @since 0.1.0
 */
export const responseFormat = (format: LlmRequest.ResponseFormat | undefined, { json }: Deviations): Encoded<unknown> =>
  Result.map(OpenAiRequest.answerFormat(format), (answer) => {
    if (answer?.type === "json_object" && json === "json_schema") return anyObject
    if (answer?.type !== "json_schema") return answer
    const { type, ...schema } = answer
    return { type, json_schema: schema }
  })

const anyObject: Body = {
  type: "json_schema",
  json_schema: { name: "response", strict: false, schema: { type: "object" } }
}
