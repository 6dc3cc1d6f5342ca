/**
 * Anthropic's Messages, as a server says them: https://platform.claude.com/docs/en/build-with-claude/streaming.
 *
 * @since 0.1.0
 */
import type { Dialect, Part, Turn } from "../Dialect.ts"

const frame = (event: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const tell = (part: Part, index: number): ReadonlyArray<string> => {
  const block = (content_block: unknown, deltas: ReadonlyArray<unknown>) => [
    frame({ type: "content_block_start", index, content_block }),
    ...deltas.map((delta) => frame({ type: "content_block_delta", index, delta })),
    frame({ type: "content_block_stop", index })
  ]
  switch (part.type) {
    case "reasoning":
      return block({ type: "thinking", thinking: "", signature: "" }, [
        ...part.deltas.map((thinking) => ({ type: "thinking_delta", thinking })),
        { type: "signature_delta", signature: `signature-${index}` }
      ])
    case "tool-call":
      return block(
        { type: "tool_use", id: part.id, name: part.name, input: {} },
        ["", ...part.deltas].map((partial_json) => ({ type: "input_json_delta", partial_json }))
      )
    default:
      return block(
        { type: "text", text: "" },
        part.deltas.map((text) => ({ type: "text_delta", text }))
      )
  }
}

const stopReasons: Readonly<Record<Turn["finish"], string>> = {
  stop: "end_turn",
  length: "max_tokens",
  "tool-calls": "tool_use",
  "content-filter": "refusal"
}

const explained = (explanation: string) => ({ type: "refusal", category: null, explanation })

const message = (usage: unknown) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "model-1",
  content: [],
  stop_reason: null,
  stop_sequence: null,
  ...(usage === undefined ? undefined : { usage })
})

/**
 * The dialect of `protocol/AnthropicMessages`, and of the servers that speak the same. The words of a
 * refusal come whole, with the finish reason.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect = {
  contentType: "text/event-stream; charset=utf-8",
  answer: ({ finish, parts, usage }) => {
    const refusal = parts.find((part) => part.type === "refusal")
    const input = usage && { input_tokens: usage.inputTokens }
    return {
      frames: [
        frame({ type: "message_start", message: message(input && { ...input, output_tokens: 1 }) }),
        ...parts.filter((part) => part !== refusal).flatMap(tell)
      ],
      semanticEnd: frame({
        type: "message_delta",
        delta:
          refusal === undefined
            ? { stop_reason: stopReasons[finish], stop_sequence: null }
            : { stop_reason: "refusal", stop_sequence: null, stop_details: explained(refusal.deltas.join("")) },
        ...(usage === undefined ? undefined : { usage: { ...input, output_tokens: usage.outputTokens } })
      }),
      wireEnd: frame({ type: "message_stop" })
    }
  },
  error: (message) => frame({ type: "error", error: { type: "api_error", message } }),
  keepAlives: [": keep-alive\n\n", frame({ type: "ping" })],
  unknown: frame({ type: "hologram_rotated", index: 0, delta: { type: "text_delta", text: "unseen" } }),
  malformed:
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"broken\n\n',
  failure: ({ code, message }) => JSON.stringify({ type: "error", error: { type: code ?? "error", message } })
}
