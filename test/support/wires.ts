/**
 * What a server tells of an answer, as OpenAI's two APIs put it on the wire. Plain data: it shares no
 * code with what it tests.
 */

/** One thing that an answer tells. */
export type Told =
  | { readonly kind: "role" }
  | { readonly kind: "text" | "reasoning" | "refusal"; readonly text: string }
  /** A fragment of a tool call; `id` and `name` come with the first one. */
  | {
      readonly kind: "tool"
      readonly index: number
      readonly input: string
      readonly id: string | undefined
      readonly name: string | undefined
    }
  | { readonly kind: "finish"; readonly reason: string }
  | { readonly kind: "usage"; readonly input: number; readonly output: number }
  | { readonly kind: "done" }

/** Puts what an answer tells, in its order, on the wire. */
export type Wire = (told: Told) => string

export const frame = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`

/** Chat completions. */
export const chat = (): Wire => {
  const chunk = (choices: ReadonlyArray<unknown>, more = {}) =>
    frame({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1700000000,
      model: "gpt-test",
      choices,
      ...more
    })
  const delta = (delta: unknown, finish: string | null = null) => chunk([{ index: 0, delta, finish_reason: finish }])
  return (told) => {
    switch (told.kind) {
      case "role":
        return delta({ role: "assistant", content: "" })
      case "text":
        return delta({ content: told.text })
      case "reasoning":
        return delta({ reasoning_content: told.text })
      case "refusal":
        return delta({ refusal: told.text })
      case "tool": {
        const { id, index, input, name } = told
        return delta({ tool_calls: [{ index, id, type: "function", function: { name, arguments: input } }] })
      }
      case "finish":
        return delta({}, told.reason)
      case "usage": {
        const { input, output } = told
        return chunk([], { usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output } })
      }
      case "done":
        return frame("[DONE]")
    }
  }
}

interface Item {
  readonly type: string
  readonly id: string
  readonly index: number
  text: string
  readonly call?: { readonly call_id: string; readonly name: string }
}

/** Responses: an item for each run of reasoning, of text and of a refusal, and for each call. */
export const responses = (): Wire => {
  const items: Array<Item> = []
  const calls = new Map<number, Item>()
  let sequence = 0
  let begun = false
  let finish = "stop"
  let usage: unknown = null

  const send = (type: string, more: object): string => {
    const event = { type, sequence_number: sequence++, ...more }
    return `event: ${type}\n${frame(event)}`
  }
  const response = (status: string, more = {}) => ({
    id: "resp_1",
    object: "response",
    created_at: 1700000000,
    status,
    model: "gpt-test",
    output: [],
    error: null,
    incomplete_details: null,
    usage,
    ...more
  })
  const begin = (): string => {
    if (begun) return ""
    begun = true
    const created = { response: response("in_progress") }
    return send("response.created", created) + send("response.in_progress", created)
  }
  /** As it stands at its beginning, or as it is when it is done. */
  const show = ({ call, id, text, type }: Item, done: boolean) => {
    const status = done ? "completed" : "in_progress"
    const written = done && text !== ""
    switch (type) {
      case "function_call":
        return { id, type, status, ...call, arguments: done ? text : "" }
      case "reasoning":
        return { id, type, summary: written ? [{ type: "summary_text", text }] : [] }
      case "refusal":
        return { id, type: "message", status, role: "assistant", content: written ? [{ type, refusal: text }] : [] }
      default: {
        const content = written ? [{ type: "output_text", text, annotations: [] }] : []
        return { id, type, status, role: "assistant", content }
      }
    }
  }
  const add = (type: string, call?: Item["call"]): string => {
    const index = items.length
    const item: Item = { type, id: `item_${index}`, index, text: "", ...(call === undefined ? undefined : { call }) }
    items.push(item)
    return send("response.output_item.added", { output_index: index, item: show(item, false) })
  }
  /** More of an item, which begins where the last one is of another type. */
  const more = (type: string, event: string, delta: string, part: object): string => {
    const opened = begin() + (items.at(-1)?.type === type ? "" : add(type))
    const item = items.at(-1)!
    item.text += delta
    return opened + send(`response.${event}.delta`, { item_id: item.id, output_index: item.index, ...part, delta })
  }

  return (told) => {
    switch (told.kind) {
      case "role":
        return begin()
      case "text":
        return more("message", "output_text", told.text, { content_index: 0, logprobs: [] })
      case "reasoning":
        return more("reasoning", "reasoning_summary_text", told.text, { summary_index: 0 })
      case "refusal":
        return more("refusal", "refusal", told.text, { content_index: 0 })
      case "tool": {
        let opened = begin()
        if (!calls.has(told.index)) {
          opened += add("function_call", { call_id: told.id ?? "", name: told.name ?? "" })
          calls.set(told.index, items.at(-1)!)
        }
        const item = calls.get(told.index)!
        if (told.input === "") return opened
        item.text += told.input
        const fields = { item_id: item.id, output_index: item.index, delta: told.input }
        return opened + send("response.function_call_arguments.delta", fields)
      }
      case "finish":
        finish = told.reason
        return items
          .map((item) => send("response.output_item.done", { output_index: item.index, item: show(item, true) }))
          .join("")
      case "usage": {
        const { input, output } = told
        usage = { input_tokens: input, output_tokens: output, total_tokens: input + output }
        return ""
      }
      case "done": {
        const output = items.map((item) => show(item, true))
        const reason = cuts[finish]
        return (
          begin() +
          (reason === undefined
            ? send("response.completed", { response: response("completed", { output }) })
            : send("response.incomplete", {
                response: response("incomplete", { output, incomplete_details: { reason } })
              }))
        )
      }
    }
  }
}

const cuts: Readonly<Record<string, string>> = { length: "max_output_tokens", content_filter: "content_filter" }
