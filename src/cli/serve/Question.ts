/**
 * What is asked on the routes of this server's own: a prompt in the query, or in a JSON body.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { LlmRequest } from "../../LlmRequest.ts"
import { decoding } from "./Body.ts"
import { Input } from "./Input.ts"
import * as Messages from "./Messages.ts"
import { Refusal } from "./Refusal.ts"

/**
 * Reads `?prompt=…`, as `EventSource`, a link and curl can send it. Other parameters are ignored.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromQuery = (query: string): Effect.Effect<LlmRequest, Refusal> =>
  decoding(() => {
    const prompts: Array<string> = []
    for (const pair of query.split("&")) {
      const [name = "", ...value] = pair.split("=")
      if (unescape(name) === "prompt") prompts.push(unescape(value.join("=")))
    }
    const [prompt, ...others] = prompts
    if (prompt === undefined || prompt === "" || others.length > 0) throw noPrompt
    return { prompt }
  })

/** A lenient reader would make other characters of what is wrong. */
const unescape = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll("+", " "))
  } catch {
    throw badEscape
  }
}

const noPrompt = new Refusal({
  reason: "InvalidRequest",
  message: "the query must have one prompt, such as ?prompt=Hello. Longer ones go into a body: see GET /.",
  param: "prompt"
})

const badEscape = new Refusal({
  reason: "InvalidRequest",
  message: "the query must be UTF-8, percent-encoded: a percent sign itself is %25."
})

/**
 * Reads `{ "prompt": … }` or `{ "messages": … }`. Nothing else may be set.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBody = (body: Input): LlmRequest => {
  for (const key of body.keys()) {
    if (key === "prompt" || key === "messages") continue
    throw new Refusal({
      reason: "InvalidRequest",
      message: "the body may have a prompt or messages, and nothing else. For more, take /v1/chat/completions."
    })
  }
  const [prompt, messages] = [body.at("prompt"), body.at("messages")]
  if (prompt.isAbsent === messages.isAbsent) return body.refuse('{"prompt":"Hello"}, or {"messages":[…]}')
  if (prompt.isAbsent) return { prompt: Messages.decode(messages) }
  return { prompt: prompt.string() === "" ? prompt.refuse("a string that is not empty") : prompt.string() }
}
