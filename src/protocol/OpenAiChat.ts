/**
 * OpenAI Chat Completions, which many other providers speak as well.
 *
 * Source: https://platform.openai.com/docs/api-reference/chat and /chat-streaming.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Result from "effect/Result"
import { type InvalidRequest, type Reason, Unsupported } from "../LlmError.ts"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Decoder, Frame } from "../wire/Decoder.ts"
import { fromHttpFailure, fromReport, inBand, notOfThisProtocol } from "./HttpError.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import * as OpenAiRequest from "./OpenAiRequest.ts"
import { option } from "./OpenAiRequest.ts"
import type { EncodedRequest, Protocol } from "./Protocol.ts"
import * as RequestParts from "./RequestParts.ts"
import type { Body, Encoded } from "./RequestParts.ts"
import * as Turn from "./Turn.ts"

// -----------------------------------------------------------------------------
// encode
// -----------------------------------------------------------------------------

/**
 * The body of a request.
 *
 * Reasoning in the history is left out, since chat completions have no place for it. Provider options
 * are read under `openai`: `role: "developer"` of a system message, `name` of a message,
 * `imageDetail` of a file.
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
    for (const message of prompt) messages.push(...(yield* encodeMessage(message)))
    const tools = yield* OpenAiRequest.functionTools(request.toolkit, unsupported)
    const choice = OpenAiRequest.toolChoice(
      yield* RequestParts.toolChoice(request.toolChoice, tools),
      (name) => ({ type: "function", function: { name } }),
      (allowed) => ({ type: "allowed_tools", allowed_tools: allowed })
    )
    const body: Body = {
      model: request.model ?? model,
      messages,
      temperature: request.temperature,
      max_completion_tokens: request.maxTokens,
      top_p: request.topP,
      stop: request.stop,
      seed: request.seed,
      frequency_penalty: request.frequencyPenalty,
      presence_penalty: request.presencePenalty,
      reasoning_effort: request.reasoning,
      tools: tools.length === 0 ? undefined : tools.map((tool) => ({ type: "function", function: tool })),
      tool_choice: choice,
      response_format: yield* encodeResponseFormat(request.responseFormat),
      stream_options: { include_usage: true },
      ...request.extra,
      stream: true
    }
    return { body, inputCharacters: LlmRequest.countCharacters(prompt) }
  })

const encodeMessage = (message: Prompt.Message): Encoded<ReadonlyArray<Body>> => {
  switch (message.role) {
    case "system":
      return Result.succeed([
        { role: option(message, "role") === "developer" ? "developer" : "system", content: message.content }
      ])
    case "user":
      return Result.gen(function* () {
        const name = option(message, "name")
        const [first, ...others] = message.content
        // Plain text is sent as a string: not every server that speaks this protocol reads arrays.
        if (first?.type === "text" && others.length === 0) return [{ role: "user", name, content: first.text }]
        const content: Array<Body> = []
        for (const part of message.content) {
          content.push(part.type === "text" ? { type: "text", text: part.text } : yield* encodeFile(part))
        }
        return [{ role: "user", name, content }]
      })
    case "assistant":
      return encodeAssistant(message)
    case "tool":
      return encodeToolResults(message)
  }
}

const encodeAssistant = (message: Prompt.AssistantMessage): Encoded<ReadonlyArray<Body>> => {
  const texts: Array<string> = []
  const calls: Array<Body> = []
  for (const part of message.content) {
    if (part.type === "text") texts.push(part.text)
    else if (part.type === "file") return unsupported("a file in an assistant's message")
    else if (part.type === "tool-call" && !part.providerExecuted) {
      calls.push({
        id: part.id,
        type: "function",
        function: { name: part.name, arguments: JSON.stringify(part.params) }
      })
    }
  }
  return Result.succeed([
    {
      role: "assistant",
      name: option(message, "name"),
      content: texts.length === 0 ? (calls.length === 0 ? "" : null) : texts.join(""),
      tool_calls: calls.length === 0 ? undefined : calls
    }
  ])
}

const encodeToolResults = (message: Prompt.ToolMessage): Encoded<ReadonlyArray<Body>> => {
  const results: Array<Body> = []
  for (const part of message.content) {
    if (part.type !== "tool-result") continue
    if (part.modelOutput?.some((part) => part.type === "file")) return unsupported("a file in a tool's result")
    results.push({ role: "tool", tool_call_id: part.id, content: RequestParts.resultText(part) })
  }
  return Result.succeed(results)
}

const encodeFile = (part: Prompt.FilePart): Encoded<Body> => {
  const { mediaType } = part
  const { base64, id, url } = OpenAiRequest.fileSource(part)
  if (mediaType.startsWith("image/")) {
    return Result.succeed({ type: "image_url", image_url: { url, detail: option(part, "imageDetail") } })
  }
  const audio = audioFormats[mediaType]
  if (audio !== undefined) {
    if (base64 === undefined) return unsupported("audio by URL")
    return Result.succeed({ type: "input_audio", input_audio: { data: base64, format: audio } })
  }
  if (mediaType === "application/pdf") {
    if (id !== undefined) return Result.succeed({ type: "file", file: { file_id: id } })
    if (!url.startsWith("data:")) return unsupported("a PDF by URL")
    return Result.succeed({ type: "file", file: { filename: part.fileName ?? "document.pdf", file_data: url } })
  }
  return unsupported(`a file of type ${mediaType}`)
}

const audioFormats: Readonly<Record<string, string>> = {
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/mp3": "mp3",
  "audio/mpeg": "mp3"
}

const encodeResponseFormat = (format: LlmRequest.ResponseFormat | undefined): Encoded<unknown> =>
  Result.map(OpenAiRequest.answerFormat(format), (answer) => {
    if (answer?.type !== "json_schema") return answer
    const { type, ...schema } = answer
    return { type, json_schema: schema }
  })

const unsupported = (feature: string) =>
  Result.fail(
    new Unsupported({
      message: `chat completions cannot take ${feature}. Leave it out, or use another provider.`,
      feature
    })
  )

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
  initial: (context) => ({ ...Turn.make(context), byIndex: new Map(), byId: new Map() }),
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
    const usage = chunk["usage"] ?? (isRecord(chunk["x_groq"]) ? chunk["x_groq"]["usage"] : undefined)
    if (isRecord(usage)) state.usage = readUsage(usage)
    return undefined
  },
  end: (state, out) => {
    Turn.finish(state, out)
    return undefined
  },
  told: Turn.told
}

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
  const finish = choice["finish_reason"]
  if (typeof finish === "string" && finish !== "") {
    if (finish === "error") return fromReport({ message: "the provider ended the answer with an error" })
    state.rawReason = finish
    state.reason = finishReasons[finish] ?? "other"
    if (state.end === "none") state.end = "semantic"
  }
  return undefined
}

const finishReasons: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  end_turn: "stop",
  eos: "stop",
  length: "length",
  max_tokens: "length",
  model_length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter"
}

const stepDelta = (state: State, delta: Json, out: Array<LlmEvent>): void => {
  // OpenAI's own chunks have neither; DeepSeek, Groq and most others one of them.
  const reasoning = delta["reasoning_content"] ?? delta["reasoning"]
  if (typeof reasoning === "string") Turn.reasoning(state, out, reasoning)
  const { content } = delta
  if (typeof content === "string") Turn.text(state, out, content)
  else if (Array.isArray(content)) stepParts(state, content, out)
  if (typeof delta["refusal"] === "string") Turn.refusal(state, out, delta["refusal"])
  for (const call of records(delta["tool_calls"])) stepToolCall(state, call, out)
  for (const { url_citation } of records(delta["annotations"])) {
    if (isRecord(url_citation)) Turn.source(out, "url", url_citation["url"], url_citation["title"])
  }
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
    reasoningTokens: output["reasoning_tokens"],
    // DeepSeek has its own name for it.
    cacheReadTokens: input["cached_tokens"] ?? raw["prompt_cache_hit_tokens"],
    cacheWriteTokens: input["cache_write_tokens"]
  })
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The protocol whole.
 *
 * @category protocols
 * @since 0.1.0
 */
export const protocol: Protocol<State> = { framing: "sse", encode, decoder, error: fromHttpFailure }
