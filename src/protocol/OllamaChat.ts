/**
 * Ollama's own chat API, in newline-delimited JSON.
 *
 * Source: https://docs.ollama.com/api/chat, /api/streaming, /api/errors, and `api/types.go` and
 * `server/routes.go` of https://github.com/ollama/ollama.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  Authentication,
  ContextTooLong,
  type InvalidRequest,
  NotFound,
  Overloaded,
  QuotaExhausted,
  type Reason,
  Unsupported
} from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder } from "../wire/Decoder.ts"
import type { HttpFailure } from "../wire/Http.ts"
import { fromHttpFailure, inBand, notOfThisProtocol, readReport } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import * as Input from "./OllamaChatInput.ts"
import { unsupported } from "./OllamaChatInput.ts"
import type { EncodedRequest, Protocol } from "./Protocol.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded, FunctionTool } from "./RequestParts.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

/**
 * The body of a request.
 *
 * - Settings are `options`: `maxTokens` is `num_predict`, the others have their own names in snake case.
 * - Images are sent by their bytes, beside the text of their message; texts of a user's message are put
 *   on lines of their own. Ollama takes no URLs and no other files.
 * - Tools are sent with plain JSON Schema, as is the schema of the answer, which is `format`. Ollama holds
 *   the answer to it, but does not tell the model of it: say in the prompt that you want JSON.
 * - A choice of tools is made by leaving tools out; a call cannot be required.
 * - `reasoning` is `think`: `"none"` is false, `"low"`, `"medium"` and `"high"` are themselves, `"xhigh"` is
 *   `"max"`, and `"minimal"` is not known. Some models know no levels; where
 *   one of those is refused, say true: `extra: { think: true }`. With neither, models that can think do.
 * - Reasoning in the history goes back as `thinking`.
 *
 * `extra` has the last word, except on `stream`. Its `options` are laid over ours one by one, so that
 * `{ options: { num_ctx: 16384 }, keep_alive: "10m" }` keeps the temperature. A prompt that is longer than
 * `num_ctx` is cut by Ollama without a word, unless `extra` has `truncate: false`.
 *
 * No provider options are read.
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
    const messages: Array<Body> = []
    for (const message of prompt) messages.push(...(yield* Input.encode(message)))
    const all = yield* RequestParts.functionTools(request.toolkit, (tool) =>
      unsupported(tool, "Leave it out, or use that provider.")
    )
    const tools = yield* chooseTools(all, request.toolChoice)
    const think = yield* encodeThink(request.reasoning)
    const { options, ...extra } = request.extra ?? {}
    const body: Body = {
      model: request.model ?? model,
      messages,
      tools: tools.length === 0 ? undefined : tools.map(encodeTool),
      format: encodeFormat(request.responseFormat),
      think,
      options: encodeOptions(request, options),
      ...extra,
      stream: true
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

const chooseTools = (
  tools: ReadonlyArray<FunctionTool>,
  toolChoice: LlmRequest.LlmRequest["toolChoice"]
): Encoded<ReadonlyArray<FunctionTool>> =>
  Result.flatMap(RequestParts.toolChoice(toolChoice, tools), (choice) => {
    if (choice.kind === "one" || choice.mode === "required") {
      return unsupported(
        "a toolChoice that requires a call",
        'Leave the choice to the model, or limit it: `{ mode: "auto", oneOf: […] }`.'
      )
    }
    if (choice.kind === "some") return Result.succeed(tools.filter(({ name }) => choice.names.includes(name)))
    return Result.succeed(choice.mode === "none" ? [] : tools)
  })

/** That a tool is strict says nothing to Ollama. */
const encodeTool = ({ description, name, parameters }: FunctionTool): Body => ({
  type: "function",
  function: { name, description, parameters }
})

const encodeFormat = (format: LlmRequest.ResponseFormat | undefined): unknown => {
  if (format === undefined || format.type === "text") return undefined
  if (format.type === "json") return "json"
  if (!Schema.isSchema(format.schema)) return format.schema
  // What a schema leaves open, the model may fill with fields of its own.
  const { definitions, schema } = Schema.toJsonSchemaDocument(format.schema, { onExcessProperty: "error" })
  return Object.keys(definitions).length === 0 ? schema : { ...schema, $defs: definitions }
}

const encodeThink = (effort: LlmRequest.ReasoningEffort | undefined): Encoded<boolean | string | undefined> => {
  switch (effort) {
    case "none":
      return Result.succeed(false)
    case "minimal":
      return unsupported('the reasoning effort "minimal"', 'Take "low", or "none".')
    case "xhigh":
      return Result.succeed("max")
    default:
      return Result.succeed(effort)
  }
}

const encodeOptions = (request: LlmRequest.LlmRequest, extra: unknown): unknown => {
  if (isPresent(extra) && !isRecord(extra)) return extra
  const options: Body = {
    temperature: request.temperature,
    num_predict: request.maxTokens,
    top_p: request.topP,
    // Older servers refuse a string.
    stop: typeof request.stop === "string" ? [request.stop] : request.stop,
    seed: request.seed,
    frequency_penalty: request.frequencyPenalty,
    presence_penalty: request.presencePenalty,
    ...(isRecord(extra) ? extra : undefined)
  }
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

// -----------------------------------------------------------------------------
// decoder
// -----------------------------------------------------------------------------

/**
 * Lines to events. `done: true` is both the semantic end and the wire end.
 *
 * A server that answers with the whole answer in one line is read as well. Calls come whole, and each is a
 * call of its own: their `index` begins anew with every line in some versions.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decoder: Decoder<Turn.Turn> = {
  initial: Turn.make,
  isWireEnd: () => false,
  step: (state, frame, out) => {
    const line = frame.value
    if (!isRecord(line)) return notOfThisProtocol(frame, "a line of a chat")
    if (isPresent(line["error"]) && line["error"] !== "")
      return meaning(line, inBand(line, state.context.conceal), state.context.conceal)
    const { done, message } = line
    // Servers tell of other things too, such as the loading of a model.
    if (!isRecord(message) && done !== true) return undefined
    Turn.start(state, out, { model: text(line["model"]) })
    if (isRecord(message)) stepMessage(state, line, message, out)
    if (done === true) {
      state.rawReason = text(line["done_reason"])
      state.reason = finishReasons.get(state.rawReason)
      state.usage = readUsage(line)
      state.end = "wire"
    }
    return undefined
  },
  end: (state, out) => {
    Turn.finish(state, out)
    return undefined
  },
  told: Turn.told,
  repeats: {
    textIn: (line) => (isRecord(line) && isPlain(line) ? ["message", "content"] : undefined),
    unread: new Set(["created_at"]),
    tell: Turn.text
  }
}

/** Whether a line has a piece of text, and nothing else that is read. */
const isPlain = ({ done, error, message }: Json): boolean =>
  done !== true &&
  (!isPresent(error) || error === "") &&
  isRecord(message) &&
  typeof message["content"] === "string" &&
  Object.keys(message).every((key) => key === "content" || key === "role")

const finishReasons: ReadonlyMap<string | undefined, FinishReason> = new Map([
  ["stop", "stop"],
  ["length", "length"]
])

const stepMessage = (state: Turn.Turn, line: Json, message: Json, out: Array<LlmEvent>): void => {
  const { content } = message
  // The second is of servers that only speak as Ollama does.
  const thinking = message["thinking"] ?? message["reasoning_content"]
  if (typeof thinking === "string") Turn.reasoning(state, out, thinking)
  if (typeof content === "string") Turn.text(state, out, content)
  for (const json of records(message["tool_calls"])) {
    const fn = isRecord(json["function"]) ? json["function"] : {}
    const input = fn["arguments"]
    Turn.continueToolCall(
      state,
      out,
      Turn.openToolCall(state, text(json["id"]) ?? makeId(state, line)),
      text(fn["name"]) ?? "",
      typeof input === "string" ? input : isPresent(input) ? JSON.stringify(input) : ""
    )
  }
}

/**
 * An id for a call of a server that gives none, as older ones. It has to be another one in every turn of a
 * conversation: a turn has a time of its own, and a prompt that is longer than the last one's.
 */
const makeId = ({ context, toolCalls }: Turn.Turn, line: Json): string => {
  const time = text(line["created_at"])?.replace(/\D/g, "")
  return ["call", ...(time ? [time] : []), context.inputCharacters, toolCalls.length].join("_")
}

/** Counts that are zero are left out by the server, as that of a prompt that is cached whole. */
const readUsage = (line: Json): LlmUsage.LlmUsage | undefined => {
  const counts = {
    inputTokens: line["prompt_eval_count"],
    outputTokens: line["eval_count"],
    cacheReadTokens: line["prompt_eval_cached_count"]
  }
  if (typeof counts.inputTokens !== "number" && typeof counts.outputTokens !== "number") return undefined
  const raw = Object.fromEntries(Object.entries(line).filter(([key]) => /_(count|duration)$/.test(key)))
  return LlmUsage.exact(raw, counts)
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * What an answer with a bad status means. That a model cannot do something, such as calling tools, is
 * `Unsupported`, as for what no model of Ollama can do.
 *
 * @category errors
 * @since 0.1.0
 */
export const error = (failure: HttpFailure): Reason =>
  meaning(parse(failure.body), fromHttpFailure(failure), (words) => words)

/** The meaning of words that are Ollama's own; of others, what they commonly mean. */
const meaning = (body: unknown, common: Reason, conceal: (text: string) => string): Reason => {
  const said = readReport(body)?.message
  if (said === undefined) return common
  const words = conceal(said).slice(0, maxWords).trim().replace(/\.$/, "")
  const status = "status" in common && common.status !== undefined ? { status: common.status } : undefined
  for (const [pattern, make] of meanings) {
    const match = pattern.exec(words)
    if (match !== null) return make((advice) => ({ message: `${words}. ${advice}`, ...status }), match)
  }
  return common
}

const maxWords = 1000

type Make = (
  fields: (advice: string) => { readonly message: string; readonly status?: number },
  match: RegExpExecArray
) => Reason

const meanings: ReadonlyArray<readonly [RegExp, Make]> = [
  [
    /model ["']?([^"'\s]+)["']? not found/i,
    (f, [, name]) =>
      new NotFound(
        f(`Pull it on the server, \`ollama pull ${name}\`, or check its name: \`ollama list\` has them all.`)
      )
  ],
  [
    /does not support (\w+)/i,
    (f, [, feature]) =>
      new Unsupported({
        message: f("Leave it out, or take a model that can: `ollama show` has a model's capabilities.").message,
        feature: feature!
      })
  ],
  [
    /exceeds? the (available )?context (length|size|window)/i,
    (f) =>
      new ContextTooLong(f("Shorten the prompt, or raise `num_ctx` in `extra.options` if the model can take more."))
  ],
  [
    /\busage limit\b/i,
    (f) =>
      new QuotaExhausted(f("Ask again when the limit is reset, raise it, or take a model that runs on your machine."))
  ],
  [
    /^unauthorized$/i,
    (f) =>
      new Authentication(
        f("Check the API key (OLLAMA_API_KEY). For a cloud model through a server of your own: `ollama signin` there.")
      )
  ],
  [
    /more system memory|out of memory|insufficient memory/i,
    (f) => new Overloaded(f("Free memory, or take a smaller model or a smaller `num_ctx`."))
  ]
]

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/**
 * The protocol whole.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<Turn.Turn> = { framing: "ndjson", encode, decoder, error }
