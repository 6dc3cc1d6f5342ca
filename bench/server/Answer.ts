/** An answer as each protocol writes it, with all the fields that real ones have. */
import type { Protocol } from "./Plan.ts"

export interface Answer {
  readonly contentType: string
  /** What comes before the first token. */
  readonly head: string
  readonly event: (text: string, index: number) => string
  /** What comes after the last one. Some repeat the whole text. */
  readonly tail: (tokens: number, text: () => string) => string
}

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`
const named = (value: { readonly type: string; readonly [field: string]: unknown }, padding = ""): string =>
  `event: ${value.type}\ndata: ${JSON.stringify(value)}${padding}\n\n`
const obfuscation = (index: number): string => "aB3dEf7hIjKlMn0".slice(0, (index * 5) % 16)

const chunk = (delta: object, finish: string | null) => ({
  id: "chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0",
  object: "chat.completion.chunk",
  created: 1771434740,
  model: "gpt-4o-mini-2024-07-18",
  service_tier: "default",
  system_fingerprint: "fp_e8236260a9",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  usage: null
})

const chat: Answer = {
  contentType: "text/event-stream; charset=utf-8",
  head: data(chunk({ role: "assistant", content: "", refusal: null }, null)),
  event: (content, i) => data({ ...chunk({ content }, null), obfuscation: obfuscation(i) }),
  tail: (tokens) =>
    data(chunk({}, "stop")) +
    data({
      ...chunk({}, null),
      choices: [],
      usage: { prompt_tokens: 9, completion_tokens: tokens, total_tokens: tokens + 9 }
    }) +
    "data: [DONE]\n\n"
}

const itemId = "msg_6859a4b482148819a1a6bb2f5f0f1a2b0be65637a2186412"
const part = (text: string) => ({ type: "output_text", annotations: [], logprobs: [], text })
const item = (status: string, content: ReadonlyArray<unknown>) => ({
  id: itemId,
  type: "message",
  status,
  content,
  role: "assistant"
})
const response = (status: string, output: ReadonlyArray<unknown>, usage: object | null) => ({
  id: "resp_6859a4b3db48819b916963a90b10533a0be65637a2186412",
  object: "response",
  created_at: 1750705331,
  status,
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model: "gpt-4o-2024-08-06",
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  service_tier: "default",
  store: false,
  temperature: 1,
  text: { format: { type: "text" } },
  tool_choice: "auto",
  tools: [],
  top_p: 1,
  truncation: "disabled",
  usage,
  user: null,
  metadata: {}
})

const responses: Answer = {
  contentType: "text/event-stream; charset=utf-8",
  head: [
    { type: "response.created", response: response("in_progress", [], null) },
    { type: "response.in_progress", response: response("in_progress", [], null) },
    { type: "response.output_item.added", output_index: 0, item: item("in_progress", []) },
    {
      type: "response.content_part.added",
      item_id: itemId,
      output_index: 0,
      content_index: 0,
      part: part("")
    }
  ]
    .map((event, i) => named({ ...event, sequence_number: i }))
    .join(""),
  event: (delta, i) =>
    named({
      type: "response.output_text.delta",
      sequence_number: i + 4,
      item_id: itemId,
      output_index: 0,
      content_index: 0,
      delta,
      logprobs: [],
      obfuscation: obfuscation(i)
    }),
  tail: (tokens, whole) => {
    const text = whole()
    const done = item("completed", [part(text)])
    const usage = {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: tokens + 9
    }
    const place = { item_id: itemId, output_index: 0, content_index: 0 }
    return [
      { type: "response.output_text.done", ...place, text, logprobs: [] },
      { type: "response.content_part.done", ...place, part: part(text) },
      { type: "response.output_item.done", output_index: 0, item: done },
      { type: "response.completed", response: response("completed", [done], usage) }
    ]
      .map((event, i) => named({ ...event, sequence_number: tokens + 4 + i }))
      .join("")
  }
}

const anthropic: Answer = {
  contentType: "text/event-stream; charset=utf-8",
  head:
    named({
      type: "message_start",
      message: {
        model: "claude-sonnet-4-6",
        id: "msg_01VYExUoD2gEMU8ZX5j5XBEZ",
        type: "message",
        role: "assistant",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 9, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 1 }
      }
    }) +
    named({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }) +
    named({ type: "ping" }),
  event: (text, i) =>
    named(
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
      // As theirs has it.
      " ".repeat((i * 5) % 16)
    ),
  tail: (tokens) =>
    named({ type: "content_block_stop", index: 0 }) +
    named({
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: tokens }
    }) +
    named({ type: "message_stop" })
}

const line = (content: string, index: number, more: object) =>
  `${JSON.stringify({
    model: "gpt-oss:20b",
    created_at: new Date(1755183188224 + index * 17)
      .toISOString()
      .replace("Z", `${String(index % 1000).padStart(3, "0")}Z`),
    message: { role: "assistant", content },
    ...more
  })}\n`

const ollama: Answer = {
  contentType: "application/x-ndjson",
  head: "",
  event: (text, i) => line(text, i, { done: false }),
  tail: (tokens) =>
    line("", tokens, {
      done: true,
      done_reason: "stop",
      total_duration: 4648158584,
      load_duration: 4071084,
      prompt_eval_count: 9,
      prompt_eval_duration: 439038000,
      eval_count: tokens,
      eval_duration: 4196918000
    })
}

export const answers: Readonly<Record<Protocol, Answer>> = { chat, responses, anthropic, ollama }
