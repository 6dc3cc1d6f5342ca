/**
 * Ollama's chat, as a server says it: https://docs.ollama.com/api/chat.
 *
 * @since 0.1.0
 */
import type { Dialect, Part, Turn } from "../Dialect.ts"

const line = (value: unknown): string => `${JSON.stringify(value)}\n`

const chunk = (message: Readonly<Record<string, unknown>>, end: Readonly<Record<string, unknown>> = {}): string =>
  line({
    model: "model-1",
    created_at: "2025-10-26T17:15:24.097767Z",
    message: { role: "assistant", content: "", ...message },
    done: false,
    ...end
  })

/** A call comes whole, in one line: its pieces are joined. */
const tell = (part: Part, index: number): ReadonlyArray<string> => {
  switch (part.type) {
    case "text":
      return part.deltas.map((content) => chunk({ content }))
    case "reasoning":
      return part.deltas.map((thinking) => chunk({ thinking }))
    case "refusal":
      return []
    case "tool-call":
      return [
        chunk({
          tool_calls: [
            {
              id: part.id,
              function: { index, name: part.name, arguments: JSON.parse(part.deltas.join("") || "{}") }
            }
          ]
        })
      ]
  }
}

const counts = ({ inputTokens, outputTokens }: NonNullable<Turn["usage"]>) => ({
  total_duration: 174560334,
  prompt_eval_count: inputTokens,
  eval_count: outputTokens
})

/**
 * The dialect of `protocol/OllamaChat`. It has no refusals and no filter.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect = {
  contentType: "application/x-ndjson",
  answer: ({ finish, parts, usage }) => {
    if (finish === "content-filter" || parts.some((part) => part.type === "refusal")) return undefined
    const calls = parts.filter((part) => part.type === "tool-call")
    return {
      frames: parts.flatMap((part) => tell(part, part.type === "tool-call" ? calls.indexOf(part) : 0)),
      wireEnd: chunk(
        {},
        {
          done: true,
          done_reason: finish === "length" ? "length" : "stop",
          ...(usage === undefined ? undefined : counts(usage))
        }
      )
    }
  },
  error: (message) => line({ error: message }),
  keepAlives: ["\n", chunk({})],
  unknown: line({ status: "loading model" }),
  malformed: '{"model":"model-1","message":{"role":"assistant","content":"broken\n',
  failure: ({ message }) => JSON.stringify({ error: message })
}
