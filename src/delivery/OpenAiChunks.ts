/**
 * An answer as OpenAI's stream of chat completion chunks, for clients that speak nothing else
 * (https://platform.openai.com/docs/api-reference/chat-streaming).
 *
 * @since 0.1.0
 */
import type * as LlmEvent from "../LlmEvent.ts"
import type { LlmError } from "../LlmError.ts"
import type { LlmResponse, Source } from "../LlmResponse.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import type { Failure } from "./EventJson.ts"
import type { Element, Encoder, Format, Put } from "./Format.ts"
import { AnswerText } from "./internal/answerText.ts"

/**
 * Options of the format.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The model's name in the chunks. Default: what the provider says it is, or `"unknown"`. */
  readonly model?: string | undefined
  /**
   * Whether usage is told, in a last chunk without choices. Default true. OpenAI does so only where it is asked
   * to by `stream_options.include_usage`, since old clients take the first choice of every chunk.
   */
  readonly usage?: boolean | undefined
}

/**
 * Makes the format. What it says, and what it does not:
 *
 * - Reasoning is `reasoning_content`, as DeepSeek and vLLM have it. A thinking signature has no place.
 * - A tool call's deltas are told as they come, before the call is known to be complete; a client must wait for
 *   `finish_reason`. Of an agent only the text and the thoughts are told: its tools have been run.
 * - A URL that is cited is an annotation; a document has no place.
 * - `Restarted`, after text, ends the answer with the error that caused it: text cannot be taken back.
 * - An error is `{ "error": { message, type, param, code } }`, without `[DONE]`: OpenAI's own client throws it.
 *   `code` is OpenAI's where it has one, else the reason's tag in snake case.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Format<Element> => ({
  encoder: (now) => new Chunks(options, now),
  problem,
  numbered: false
})

/**
 * A whole answer as OpenAI's chat completion object, for clients that do not ask for a stream
 * (https://platform.openai.com/docs/api-reference/chat/object). It says what the chunks say. `now` is in
 * milliseconds since 1970.
 *
 * @category converting
 * @since 0.1.0
 */
export const completion = (response: LlmResponse, now: number, options: Omit<Options, "usage"> = {}): object => {
  const { finishReason, reasoning, refusal, sources, text, toolCalls } = response
  const usage = usageOf(response.usage)
  const annotations = sources.flatMap((source) => annotation(source) ?? [])
  const calls = toolCalls.map(({ id, input, name }) => ({
    id,
    type: "function",
    function: { name, arguments: inputText(input) }
  }))
  return {
    id: response.id ?? idOf(now),
    object: "chat.completion",
    created: Math.floor(now / 1000),
    model: options.model ?? response.model ?? "unknown",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: text === "" && (calls.length > 0 || refusal !== "") ? null : text,
          refusal: refusal === "" ? null : refusal,
          ...(reasoning === "" ? undefined : { reasoning_content: reasoning }),
          ...(calls.length === 0 ? undefined : { tool_calls: calls }),
          ...(annotations.length === 0 ? undefined : { annotations })
        },
        logprobs: null,
        finish_reason: finishReasons[finishReason]
      }
    ],
    ...(usage === undefined ? undefined : { usage })
  }
}

class Chunks implements Encoder<Element> {
  private readonly options: Options
  private readonly created: number
  private readonly answer = new AnswerText()
  private readonly calls = new Map<string, { readonly index: number; told: boolean }>()
  /** All of a chunk before its delta, once the answer has begun. */
  private head: string | undefined
  /** Whether anything was said that cannot be taken back. */
  private said = false
  private reason: LlmEvent.FinishReason = "stop"
  private usage: LlmUsage | undefined

  constructor(options: Options, now: number) {
    this.options = options
    this.created = now
  }

  add(element: Element, put: Put): LlmError | undefined {
    if (typeof element === "string") {
      this.content(this.answer.of(element), put)
      return undefined
    }
    switch (element._tag) {
      case "Started":
        this.start(element, put)
        break
      case "TextDelta":
        this.content(element.text, put)
        break
      case "ReasoningDelta":
        this.reasoning(element.text, put)
        break
      case "Refusal":
        this.delta(`{"refusal":${JSON.stringify(element.text)}}`, put)
        break
      case "ToolCallStarted":
        this.call(element, put)
        break
      case "ToolCallDelta":
        this.input(element.id, element.delta, put)
        break
      case "ToolCalled":
        this.called(element, put)
        break
      case "Source":
        this.source(element, put)
        break
      case "Finished":
        this.reason = element.reason
        this.usage = element.usage
        break
      case "Restarted":
        return this.said ? element.error : undefined
      case "Token":
        if (element.phase === "thought") this.reasoning(element.content, put)
        else this.content(this.answer.of(element), put)
        break
      case "StepStarted":
        this.answer.of(element)
        break
      case "StepFinished":
        this.reason = element.reason === "length" ? "length" : "stop"
        break
      case "Final":
        this.usage = element.usage
        break
      // Told by their tokens, or with no place in this format.
      case "AttemptFailed":
      case "Switched":
      case "Thought":
      case "Action":
      case "Progress":
      case "Observation":
        break
    }
    return undefined
  }

  end(put: Put): void {
    const head = this.begin({}, put)
    put(`${head}[{"index":0,"delta":{},"finish_reason":"${finishReasons[this.reason]}"}]}`)
    const usage = this.options.usage === false || this.usage === undefined ? undefined : usageOf(this.usage)
    if (usage !== undefined) put(`${head}[],"usage":${JSON.stringify(usage)}}`)
    put("[DONE]")
  }

  fail(failure: Failure, put: Put): void {
    put(JSON.stringify(problem(failure)))
  }

  private content(text: string, put: Put): void {
    if (text !== "") this.delta(`{"content":${JSON.stringify(text)}}`, put)
  }

  private reasoning(text: string, put: Put): void {
    if (text !== "") this.delta(`{"reasoning_content":${JSON.stringify(text)}}`, put)
  }

  private call({ id, name }: { readonly id: string; readonly name: string }, put: Put): void {
    if (this.calls.has(id)) return
    const index = this.calls.size
    this.calls.set(id, { index, told: false })
    const call = { index, id, type: "function", function: { name, arguments: "" } }
    this.delta(`{"tool_calls":[${JSON.stringify(call)}]}`, put)
  }

  private input(id: string, text: string, put: Put): void {
    const call = this.calls.get(id)
    if (call === undefined) return
    call.told = true
    this.delta(`{"tool_calls":[{"index":${call.index},"function":{"arguments":${JSON.stringify(text)}}}]}`, put)
  }

  /** What its deltas have not told: some providers send a call whole. */
  private called(event: LlmEvent.Of<"ToolCalled">, put: Put): void {
    this.call(event, put)
    if (this.calls.get(event.id)!.told) return
    this.input(event.id, inputText(event.input), put)
  }

  private source(event: LlmEvent.Of<"Source">, put: Put): void {
    const told = annotation(event)
    if (told !== undefined) this.delta(`{"annotations":[${JSON.stringify(told)}]}`, put)
  }

  private delta(delta: string, put: Put): void {
    put(`${this.begin({}, put)}[{"index":0,"delta":${delta},"finish_reason":null}]}`)
    this.said = true
  }

  private start(started: Omit<LlmEvent.Of<"Started">, "_tag">, put: Put): void {
    this.begin(started, put)
  }

  private begin(started: Omit<LlmEvent.Of<"Started">, "_tag">, put: Put): string {
    if (this.head !== undefined) return this.head
    const id = started.id ?? idOf(this.created)
    const model = this.options.model ?? started.model ?? "unknown"
    const chunk = { id, object: "chat.completion.chunk", created: Math.floor(this.created / 1000), model }
    this.head = `${JSON.stringify(chunk).slice(0, -1)},"choices":`
    put(`${this.head}[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}`)
    return this.head
  }
}

const idOf = (now: number): string => `chatcmpl-${now.toString(36)}`

const inputText = (input: unknown): string => (typeof input === "string" ? input : JSON.stringify(input))

const annotation = ({ sourceType, title, url }: Source): object | undefined =>
  sourceType !== "url" || url === undefined
    ? undefined
    : // Where in the text it is cited is not known.
      { type: "url_citation", url_citation: { url, title: title ?? "", start_index: 0, end_index: 0 } }

const finishReasons: Readonly<Record<LlmEvent.FinishReason, string>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
  // OpenAI has no word for it.
  other: "stop"
}

const usageOf = (usage: LlmUsage): object | undefined => {
  const { cacheReadTokens, inputTokens, outputTokens, reasoningTokens } = usage
  if (inputTokens === undefined && outputTokens === undefined) return undefined
  const [input, output] = [inputTokens ?? 0, outputTokens ?? 0]
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    ...(cacheReadTokens === undefined ? undefined : { prompt_tokens_details: { cached_tokens: cacheReadTokens } }),
    ...(reasoningTokens === undefined
      ? undefined
      : { completion_tokens_details: { reasoning_tokens: reasoningTokens } })
  }
}

const problem = ({ message, reason }: Failure): object => {
  const [type, code] = errors[reason] ?? ["server_error", snakeCase(reason)]
  return { error: { message, type, param: null, code } }
}

const snakeCase = (tag: string): string => tag.replace(/(?!^)[A-Z]/g, "_$&").toLowerCase()

/** Types and codes of https://platform.openai.com/docs/guides/error-codes, as far as it has them. */
const errors: Readonly<Record<string, readonly [type: string, code: string]>> = {
  InvalidRequest: ["invalid_request_error", "invalid_request"],
  Unsupported: ["invalid_request_error", "unsupported"],
  ContextTooLong: ["invalid_request_error", "context_length_exceeded"],
  ContentFiltered: ["invalid_request_error", "content_filter"],
  QuotaExhausted: ["insufficient_quota", "insufficient_quota"],
  RateLimited: ["rate_limit_error", "rate_limit_exceeded"]
}

/**
 * The format with its defaults.
 *
 * @category formats
 * @since 0.1.0
 */
export const openAi: Format<Element> = make()
