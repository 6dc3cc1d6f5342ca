/**
 * OpenAI's Responses, as a server says them: https://platform.openai.com/docs/api-reference/responses-streaming.
 *
 * @since 0.1.0
 */
import type { Answer, Dialect, Part, Turn } from "../Dialect.ts"

/** The frames of an answer, each with the number that the API gives it. */
class Frames {
  readonly all: Array<string> = []
  readonly output: Array<unknown> = []

  add(type: string, fields: Readonly<Record<string, unknown>>): void {
    this.all.push(frame({ type, sequence_number: this.all.length, ...fields }))
  }

  /** An item, from its beginning to its end; the deltas between are told with its place and id. */
  item(begun: Item, done: Item, tell: (at: Place) => void): void {
    const output_index = this.output.length
    this.add("response.output_item.added", { output_index, item: { ...begun, status: "in_progress" } })
    tell({ output_index, item_id: begun.id })
    const item = { ...done, status: "completed" }
    this.output.push(item)
    this.add("response.output_item.done", { output_index, item })
  }
}

interface Item {
  readonly id: string
  readonly type: string
  readonly [field: string]: unknown
}

interface Place {
  readonly output_index: number
  readonly item_id: string
}

const frame = (event: { readonly type: string; readonly [field: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const response = (status: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1700000000,
  status,
  model: "model-1",
  output: [],
  usage: null,
  ...fields
})

const answer = ({ finish, parts, usage }: Turn): Answer => {
  const frames = new Frames()
  frames.add("response.created", { response: response("in_progress") })
  frames.add("response.in_progress", { response: response("in_progress") })
  for (const part of parts) tell(frames, part)
  const told = frames.all.slice()
  const reason = incomplete[finish]
  const status = reason === undefined ? "completed" : "incomplete"
  frames.add(`response.${status}`, {
    response: response(status, {
      output: frames.output,
      incomplete_details: reason === undefined ? null : { reason },
      usage: usage === undefined ? null : counts(usage)
    })
  })
  return { frames: told, wireEnd: frames.all.at(-1)! }
}

const incomplete: Readonly<Partial<Record<Turn["finish"], string>>> = {
  length: "max_output_tokens",
  "content-filter": "content_filter"
}

const summary = (text: string) => ({ type: "summary_text", text })

const counts = ({ inputTokens, outputTokens }: NonNullable<Turn["usage"]>) => ({
  input_tokens: inputTokens,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: outputTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: inputTokens + outputTokens
})

const tell = (frames: Frames, part: Part): void => {
  const whole = part.deltas.join("")
  const id = `item_${frames.output.length}`
  switch (part.type) {
    case "text":
    case "refusal": {
      const [name, field] = part.type === "text" ? ["output_text", "text"] : ["refusal", "refusal"]
      const content = (text: string) => ({ type: name, [field]: text, annotations: [] })
      const message = { id, type: "message", role: "assistant" }
      frames.item({ ...message, content: [] }, { ...message, content: [content(whole)] }, (at) => {
        const place = { ...at, content_index: 0 }
        frames.add("response.content_part.added", { ...place, part: content("") })
        for (const delta of part.deltas) frames.add(`response.${name}.delta`, { ...place, delta })
        frames.add(`response.${name}.done`, { ...place, [field]: whole })
        frames.add("response.content_part.done", { ...place, part: content(whole) })
      })
      return
    }
    case "reasoning": {
      const item = { id, type: "reasoning" }
      frames.item({ ...item, summary: [] }, { ...item, summary: [summary(whole)] }, (at) => {
        const place = { ...at, summary_index: 0 }
        frames.add("response.reasoning_summary_part.added", { ...place, part: summary("") })
        for (const delta of part.deltas) frames.add("response.reasoning_summary_text.delta", { ...place, delta })
        frames.add("response.reasoning_summary_text.done", { ...place, text: whole })
        frames.add("response.reasoning_summary_part.done", { ...place, part: summary(whole) })
      })
      return
    }
    case "tool-call": {
      const item = { id, type: "function_call", call_id: part.id, name: part.name }
      frames.item({ ...item, arguments: "" }, { ...item, arguments: whole }, (at) => {
        for (const delta of part.deltas) frames.add("response.function_call_arguments.delta", { ...at, delta })
        frames.add("response.function_call_arguments.done", { ...at, arguments: whole })
      })
    }
  }
}

/**
 * The dialect of `protocol/OpenAiResponses`, and of the servers that speak the same.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect = {
  contentType: "text/event-stream; charset=utf-8",
  answer,
  error: (message) => frame({ type: "error", code: "server_error", message, param: null }),
  keepAlives: [": keep-alive\n\n", frame({ type: "response.queued", response: response("queued") })],
  unknown: frame({ type: "response.hologram.rotated", item_id: "item_0", output_index: 0, delta: "unseen" }),
  malformed: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"broken\n\n',
  failure: ({ code, message }) => JSON.stringify({ error: { message, type: "error", param: null, code: code ?? null } })
}
