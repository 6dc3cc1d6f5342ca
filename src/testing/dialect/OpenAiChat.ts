/**
 * OpenAI's chat completions, as a server says them: https://platform.openai.com/docs/api-reference/chat-streaming.
 *
 * @since 0.1.0
 */
import type { Dialect, Part, Turn } from "../Dialect.ts"

const event = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

const chunk = (choices: ReadonlyArray<unknown>, usage?: unknown): string =>
  event({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1700000000,
    model: "model-1",
    choices,
    ...(usage === undefined ? undefined : { usage })
  })

const delta = (delta: unknown): string => chunk([{ index: 0, delta, finish_reason: null }])

const tell = (part: Part, index: number): ReadonlyArray<string> => {
  switch (part.type) {
    case "text":
      return part.deltas.map((content) => delta({ content }))
    case "reasoning":
      return part.deltas.map((text) => delta({ reasoning_content: text }))
    case "refusal":
      return part.deltas.map((refusal) => delta({ refusal }))
    case "tool-call":
      return [
        delta({
          tool_calls: [{ index, id: part.id, type: "function", function: { name: part.name, arguments: "" } }]
        }),
        ...part.deltas.map((piece) => delta({ tool_calls: [{ index, function: { arguments: piece } }] }))
      ]
  }
}

const finishReasons: Readonly<Record<Turn["finish"], string>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter"
}

const counts = ({ inputTokens, outputTokens }: NonNullable<Turn["usage"]>) => ({
  prompt_tokens: inputTokens,
  completion_tokens: outputTokens,
  total_tokens: inputTokens + outputTokens
})

/**
 * The dialect of `protocol/OpenAiChat`, and of the many servers that speak the same.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect = {
  contentType: "text/event-stream; charset=utf-8",
  answer: ({ finish, parts, usage }) => {
    const calls = parts.filter((part) => part.type === "tool-call")
    return {
      frames: [
        delta({ role: "assistant", content: "" }),
        ...parts.flatMap((part) => tell(part, part.type === "tool-call" ? calls.indexOf(part) : 0))
      ],
      semanticEnd: chunk([{ index: 0, delta: {}, finish_reason: finishReasons[finish] }]),
      ...(usage === undefined ? undefined : { usage: chunk([], counts(usage)) }),
      wireEnd: "data: [DONE]\n\n"
    }
  },
  error: (message) => event({ error: { message, type: "server_error", code: "server_error" } }),
  keepAlives: [": keep-alive\n\n", delta({}), delta({ content: "" }), chunk([])],
  unknown: event({ object: "chat.completion.moderation", results: [] }),
  malformed: 'data: {"choices":[{"index":0,"delta":{"content":"broken\n\n',
  failure: ({ code, message }) => JSON.stringify({ error: { message, type: "error", param: null, code: code ?? null } })
}
