/**
 * OpenAI Chat Completions, which many other providers speak as well.
 *
 * Source: https://platform.openai.com/docs/api-reference/chat and /chat-streaming.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { type InvalidRequest, Overloaded, type Reason, type Unsupported } from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder, Frame } from "../wire/Decoder.ts"
import { fromHttpFailure, fromReport, inBand, notOfThisProtocol, retryAfterInWords } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import type { Deviations } from "./OpenAiChatDeviations.ts"
import * as OpenAiChatMessages from "./OpenAiChatMessages.ts"
import * as OpenAiChatSettings from "./OpenAiChatSettings.ts"
import * as OpenAiReasoningDetails from "./OpenAiReasoningDetails.ts"
import type { EncodedRequest, Protocol } from "./Protocol.ts"
import type { Body } from "./RequestParts.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

/**
 * The body of a request.
 *
 * Provider options are read under `openai`: `role: "developer"` of a system message, `name` of a
 * message, `imageDetail` of a file. Reasoning in the history is left out, since OpenAI's chat completions
 * have no place for it, unless the deviations say where the server wants it.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (
  request: LlmRequest.LlmRequest,
  model: string,
  deviations: Deviations = {}
): Result.Result<EncodedRequest, InvalidRequest | Unsupported> =>
  Result.gen(function* () {
    const prompt = yield* LlmRequest.messages(request)
    yield* OpenAiChatSettings.check(request, deviations)
    const messages = yield* OpenAiChatMessages.encode(prompt, deviations)
    const { choice, tools } = yield* OpenAiChatSettings.tools(request, deviations)
    const body: Body = {
      model: request.model ?? model,
      messages,
      temperature: request.temperature,
      [deviations.maxTokens ?? "max_completion_tokens"]: request.maxTokens,
      top_p: request.topP,
      stop: request.stop,
      [deviations.seed ?? "seed"]: request.seed,
      frequency_penalty: request.frequencyPenalty,
      presence_penalty: request.presencePenalty,
      ...(yield* OpenAiChatSettings.reasoning(request.reasoning, deviations)),
      tools: tools.length === 0 ? undefined : tools.map((tool) => ({ type: "function", function: tool })),
      tool_choice: choice,
      response_format: yield* OpenAiChatSettings.responseFormat(request.responseFormat, deviations),
      stream_options: deviations.streamOptions === false ? undefined : { include_usage: true },
      ...request.extra,
      stream: true
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

// -----------------------------------------------------------------------------
// decoder
// -----------------------------------------------------------------------------

/**
 * The state of a turn: the tool calls are found by index, else by id.
 *
 * @category decoding
 * @since 0.1.0
 */
export interface State extends Turn.Turn {
  readonly byIndex: Map<number, Turn.OpenToolCall>
  readonly byId: Map<string, Turn.OpenToolCall>
  /** The pages that were told: servers that list them do so in every chunk. */
  readonly pages: Set<string>
  reasoningDetails: OpenAiReasoningDetails.Details | undefined
}

/**
 * Chunks to events. The semantic end is a `finish_reason`, the wire end `[DONE]`.
 *
 * A server that answers with the whole completion as one JSON document is read as well.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decoder: Decoder<State> = {
  initial: (context) => ({
    ...Turn.make(context),
    byIndex: new Map(),
    byId: new Map(),
    pages: new Set(),
    reasoningDetails: undefined
  }),
  isWireEnd: (frame) => frame.data.trim() === "[DONE]",
  step: (state, frame, out) => {
    const chunk = frame.value
    if (!isRecord(chunk)) return stepOther(state, frame)
    const { choices } = chunk
    // An error may come beside choices, and after a finish reason.
    if (isPresent(chunk["error"]) || frame.event === "error") return inBand(chunk, state.context.conceal)
    if (!Array.isArray(choices)) {
      if (isRecord(chunk["usage"])) state.usage = readUsage(chunk["usage"])
      // Servers send events of their own beside the protocol's; what is not an answer is not read.
      return undefined
    }
    if (!state.started) Turn.start(state, out, { id: text(chunk["id"]), model: text(chunk["model"]) })
    for (const choice of choices) {
      // Of several answers (`n`), the first.
      if (!isRecord(choice) || (choice["index"] !== undefined && choice["index"] !== 0)) continue
      const reason = stepChoice(state, choice, out)
      if (reason !== undefined) return reason
    }
    if (isPresent(chunk["search_results"]) || isPresent(chunk["citations"])) stepPages(state, chunk, out)
    const usage = chunk["usage"] ?? (isRecord(chunk["x_groq"]) ? chunk["x_groq"]["usage"] : undefined)
    if (isRecord(usage)) state.usage = readUsage(usage)
    return undefined
  },
  end: (state, out) => {
    if (state.reasoningDetails !== undefined) {
      const details = OpenAiReasoningDetails.whole(state.reasoningDetails)
      state.metadata = { openrouter: { reasoning_details: details } }
    }
    Turn.finish(state, out)
    return undefined
  },
  told: Turn.told,
  repeats: {
    textIn: (chunk) => (isRecord(chunk) && isPlain(chunk) ? ["choices", 0, "delta", "content"] : undefined),
    unread: new Set(["id", "created", "model", "obfuscation", "system_fingerprint"]),
    tell: Turn.text
  }
}

/** Whether a chunk has a piece of text, and nothing else that is read. */
const isPlain = (chunk: Json): boolean => {
  const { choices, usage, x_groq } = chunk
  if (!Array.isArray(choices) || choices.length !== 1 || isRecord(usage) || isRecord(x_groq)) return false
  if (isPresent(chunk["error"]) || isPresent(chunk["search_results"]) || isPresent(chunk["citations"])) return false
  const choice: unknown = choices[0]
  if (!isRecord(choice) || isPresent(choice["error"]) || isRecord(choice["usage"])) return false
  const { delta, finish_reason, index } = choice
  if ((index !== undefined && index !== 0) || (finish_reason !== "" && isPresent(finish_reason))) return false
  if (!isRecord(delta) || typeof delta["content"] !== "string") return false
  return Object.entries(delta).every(([key, value]) => key === "content" || key === "role" || isNothing(value))
}

const isNothing = (value: unknown): boolean =>
  !isPresent(value) || value === "" || (Array.isArray(value) && value.length === 0)

const stepOther = (state: State, frame: Frame): Reason | undefined => {
  if (decoder.isWireEnd(frame)) {
    state.started = true
    state.end = "wire"
    return undefined
  }
  if (frame.event === "error") return fromReport({ message: state.context.conceal(frame.data) })
  return notOfThisProtocol(frame, "a chunk of a chat completion")
}

const stepChoice = (state: State, choice: Json, out: Array<LlmEvent>): Reason | undefined => {
  if (isPresent(choice["error"])) return inBand(choice, state.context.conceal)
  // `message` is the whole answer of a server that does not stream. Beside a delta it repeats it.
  const delta = choice["delta"] ?? choice["message"]
  if (isRecord(delta)) stepDelta(state, delta, out)
  // Moonshot has it here as well.
  if (isRecord(choice["usage"])) state.usage = readUsage(choice["usage"])
  const finish = choice["finish_reason"]
  if (typeof finish === "string" && finish !== "") {
    const failed = failures[finish]
    if (failed !== undefined) return failed()
    state.rawReason = finish
    state.reason = finishReasons[finish] ?? "other"
    if (state.end === "none") state.end = "semantic"
  }
  return undefined
}

/** OpenAI's, and those of other servers. */
const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  end_turn: "stop",
  eos: "stop",
  eos_token: "stop",
  stop_sequence: "stop",
  length: "length",
  max_tokens: "length",
  model_length: "length",
  model_context_window_exceeded: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter",
  sensitive: "content-filter"
}

const endedWithAnError = () => fromReport({ message: "the provider ended the answer with an error" })

/** Reasons that say that the answer is not whole: OpenRouter's and Mistral's, Zhipu's, SGLang's, DeepSeek's. */
const failures: Readonly<Record<string, () => Reason>> = {
  error: endedWithAnError,
  network_error: endedWithAnError,
  abort: endedWithAnError,
  insufficient_system_resource: () =>
    new Overloaded({ message: "the provider broke off the answer for lack of resources. Ask again in a while." })
}

const stepDelta = (state: State, delta: Json, out: Array<LlmEvent>): void => {
  // OpenAI's own chunks have neither; DeepSeek, Groq and most others one of them.
  const reasoning = delta["reasoning_content"] ?? delta["reasoning"]
  if (typeof reasoning === "string") Turn.reasoning(state, out, reasoning)
  const details = delta["reasoning_details"]
  if (Array.isArray(details) && details.length > 0) {
    state.reasoningDetails ??= OpenAiReasoningDetails.make()
    OpenAiReasoningDetails.add(state.reasoningDetails, details)
  }
  const { content } = delta
  if (typeof content === "string") Turn.text(state, out, content)
  else if (Array.isArray(content)) stepParts(state, content, out)
  if (typeof delta["refusal"] === "string") Turn.refusal(state, out, delta["refusal"])
  for (const call of records(delta["tool_calls"])) stepToolCall(state, call, out)
  for (const { url_citation } of records(delta["annotations"])) {
    if (isRecord(url_citation)) Turn.source(out, "url", url_citation["url"], url_citation["title"])
  }
}

/** Perplexity and xAI list the pages of their search: with titles, or their URLs alone, or both. */
const stepPages = (state: State, chunk: Json, out: Array<LlmEvent>): void => {
  for (const { title, url } of records(chunk["search_results"])) stepPage(state, url, title, out)
  if (Array.isArray(chunk["citations"])) for (const url of chunk["citations"]) stepPage(state, url, undefined, out)
}

const stepPage = (state: State, url: unknown, title: unknown, out: Array<LlmEvent>): void => {
  if (typeof url !== "string" || url === "" || state.pages.has(url)) return
  state.pages.add(url)
  Turn.source(out, "url", url, title)
}

/** Mistral's reasoning models send content as parts. */
const stepParts = (state: State, parts: ReadonlyArray<unknown>, out: Array<LlmEvent>): void => {
  for (const part of parts) {
    if (!isRecord(part)) continue
    if (typeof part["text"] === "string") Turn.text(state, out, part["text"])
    const { thinking } = part
    if (typeof thinking === "string") Turn.reasoning(state, out, thinking)
    else if (Array.isArray(thinking)) {
      for (const piece of thinking) {
        if (isRecord(piece) && typeof piece["text"] === "string") Turn.reasoning(state, out, piece["text"])
      }
    }
  }
}

const stepToolCall = (state: State, fragment: Json, out: Array<LlmEvent>): void => {
  const id = text(fragment["id"]) ?? ""
  const fn = isRecord(fragment["function"]) ? fragment["function"] : {}
  const name = text(fn["name"]) ?? ""
  const input = fn["arguments"]
  Turn.continueToolCall(
    state,
    out,
    findToolCall(state, fragment["index"], id, name),
    name,
    typeof input === "string" ? input : isPresent(input) ? JSON.stringify(input) : ""
  )
}

/**
 * The call a fragment belongs to: by index, else by id, else the last one. Some servers give every
 * call the index 0, so a named fragment with an id of its own is a call of its own.
 */
const findToolCall = (state: State, index: unknown, id: string, name: string): Turn.OpenToolCall => {
  const known = id === "" ? undefined : state.byId.get(id)
  const found =
    known ?? (typeof index === "number" ? state.byIndex.get(index) : id === "" ? state.toolCalls.at(-1) : undefined)
  if (found !== undefined && (known !== undefined || id === "" || name === "" || found.id === id)) return found
  const call = Turn.openToolCall(state, id)
  if (typeof index === "number") state.byIndex.set(index, call)
  if (id !== "") state.byId.set(id, call)
  return call
}

const readUsage = (raw: Json): LlmUsage.LlmUsage => {
  const input = isRecord(raw["prompt_tokens_details"]) ? raw["prompt_tokens_details"] : {}
  const output = isRecord(raw["completion_tokens_details"]) ? raw["completion_tokens_details"] : {}
  return LlmUsage.exact(raw, {
    inputTokens: raw["prompt_tokens"],
    outputTokens: raw["completion_tokens"],
    // Perplexity, DeepSeek and Moonshot have names or places of their own for these.
    reasoningTokens: output["reasoning_tokens"] ?? raw["reasoning_tokens"],
    cacheReadTokens: input["cached_tokens"] ?? raw["prompt_cache_hit_tokens"] ?? raw["cached_tokens"],
    cacheWriteTokens: input["cache_write_tokens"]
  })
}

// -----------------------------------------------------------------------------
// protocol
// -----------------------------------------------------------------------------

/**
 * The protocol of a server that deviates from OpenAI's.
 *
 * @category protocols
 * @since 0.1.0
 */
export const make = (deviations: Deviations): Protocol<State> => ({
  framing: "sse",
  encode: (request, model) => encode(request, model, deviations),
  decoder: deviations.end === "input" ? { ...decoder, endsWithInput: true } : decoder,
  error: fromHttpFailure,
  retryAfter: retryAfterInWords
})

/**
 * The protocol as OpenAI has it.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<State> = make({})
