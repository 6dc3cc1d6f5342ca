/** `OpenAiChunks.completion`: what OpenAI's own client reads of it, and that it says what the chunks say. */
import * as LlmResponse from "effect-rill/LlmResponse"
import * as OpenAiChunks from "effect-rill/delivery/OpenAiChunks"
import type { LlmEvent } from "effect-rill/LlmEvent"
import OpenAI from "openai"
import { describe, expect, it } from "vitest"
import * as answers from "../support/answers.ts"

const now = 1_700_000_000_123

const client = (response: () => Response) =>
  new OpenAI({ apiKey: "sk-test", maxRetries: 0, fetch: () => Promise.resolve(response()) }).chat.completions

/** The completion that OpenAI's client accumulates of the chunks. */
const accumulated = (turn: ReadonlyArray<LlmEvent>) => {
  const data: Array<string> = []
  const encoder = OpenAiChunks.make({ model: "m" }).encoder(now)
  for (const event of turn) encoder.add(event, (chunk) => data.push(chunk))
  encoder.end((chunk) => data.push(chunk))
  const body = data.map((chunk) => `data: ${chunk}\n\n`).join("")
  const headers = { "content-type": "text/event-stream" }
  return client(() => new Response(body, { headers }))
    .stream({ model: "m", messages: [] })
    .finalChatCompletion()
}

const whole = (turn: ReadonlyArray<LlmEvent>) => {
  const body = OpenAiChunks.completion(LlmResponse.fromEvents(turn), now, { model: "m" })
  return client(() => Response.json(body)).create({ model: "m", messages: [] })
}

describe("OpenAiChunks.completion", () => {
  it("is what the client makes of the chunks", async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const turn = answers.turn(answers.dice(seed))
      // It throws on an answer that was cut by its limit or a filter.
      if (turn.some((event) => event._tag === "Finished" && !["stop", "tool-calls"].includes(event.reason))) continue
      const [a, b] = [await whole(turn), await accumulated(turn)]
      expect({ id: a.id, created: a.created, model: a.model, usage: a.usage }).toEqual({
        id: b.id,
        created: b.created,
        model: b.model,
        usage: b.usage
      })
      const [ours, theirs] = [a.choices[0]!, b.choices[0]!]
      expect(ours.finish_reason).toBe(theirs.finish_reason)
      expect(ours.message.content ?? "").toBe(theirs.message.content ?? "")
      expect(ours.message.refusal ?? "").toBe(theirs.message.refusal ?? "")
      const calls = (message: typeof ours.message) =>
        (message.tool_calls ?? []).map((call) =>
          call.type === "function" ? [call.id, call.function.name, JSON.parse(call.function.arguments)] : call
        )
      expect(calls(ours.message)).toEqual(calls(theirs.message))
    }
  })

  it("of an answer that does not tell its id, model or usage", () => {
    const response = LlmResponse.fromEvents([
      { _tag: "Source", sourceType: "url", url: "https://example.com" },
      { _tag: "Source", sourceType: "document", title: "no place" },
      { _tag: "ReasoningDelta", text: "hm" },
      { _tag: "Refusal", text: "no" },
      { _tag: "Finished", reason: "content-filter", usage: { source: "exact" } }
    ])
    expect(OpenAiChunks.completion(response, now)).toEqual({
      id: `chatcmpl-${now.toString(36)}`,
      object: "chat.completion",
      created: 1_700_000_000,
      model: "unknown",
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: null,
            refusal: "no",
            reasoning_content: "hm",
            annotations: [
              {
                type: "url_citation",
                url_citation: { url: "https://example.com", title: "", start_index: 0, end_index: 0 }
              }
            ]
          },
          logprobs: null,
          finish_reason: "content_filter"
        }
      ]
    })
  })
})
