/** The least request of each protocol, and where the text is in what comes: for those who do it by hand. */
import { apiKey, model, prompt, type Target } from "../../Contestant.ts"
import type { Protocol } from "../../server/Plan.ts"

const messages = [{ role: "user", content: prompt }]

const asked: Readonly<Record<Protocol, { readonly path: string; readonly body: object }>> = {
  chat: {
    path: "/v1/chat/completions",
    body: { model, messages, stream: true, stream_options: { include_usage: true } }
  },
  responses: { path: "/v1/responses", body: { model, input: prompt, stream: true, store: false } },
  anthropic: { path: "/v1/messages", body: { model, messages, max_tokens: 4096, stream: true } },
  ollama: { path: "/api/chat", body: { model, messages, stream: true } }
}

export const requestOf = ({ protocol, url }: Target) => ({
  url: url + asked[protocol].path,
  headers: {
    "content-type": "application/json",
    ...(protocol === "anthropic"
      ? { "x-api-key": apiKey, "anthropic-version": "2023-06-01" }
      : { authorization: `Bearer ${apiKey}` })
  },
  body: JSON.stringify(asked[protocol].body)
})

interface Frame {
  readonly choices?: ReadonlyArray<{ readonly delta: { readonly content?: string } }>
  readonly type?: string
  readonly delta?: string | { readonly text?: string }
  readonly message?: { readonly content: string }
}

/** The text of the data of one event, or of one line. */
export const textOf: Readonly<Record<Protocol, (data: string) => string | undefined>> = {
  chat: (data) => (data === "[DONE]" ? undefined : (JSON.parse(data) as Frame).choices?.[0]?.delta.content),
  responses: (data) => {
    const frame = JSON.parse(data) as Frame
    return frame.type === "response.output_text.delta" ? (frame.delta as string) : undefined
  },
  anthropic: (data) => {
    const frame = JSON.parse(data) as Frame
    return frame.type === "content_block_delta" ? (frame.delta as { readonly text?: string }).text : undefined
  },
  ollama: (data) => (JSON.parse(data) as Frame).message?.content
}
