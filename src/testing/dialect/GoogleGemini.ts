/**
 * Google's Gemini, as a server says it: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
 *
 * @since 0.1.0
 */
import type { Dialect, Part, Turn } from "../Dialect.ts"

/** Google's servers end lines with CR and LF. */
const event = (value: unknown): string => `data: ${JSON.stringify(value)}\r\n\r\n`

const chunk = (candidate: unknown, more = {}): string =>
  event({ candidates: [candidate], ...more, modelVersion: "model-1", responseId: "response-1" })

const parts = (...parts: ReadonlyArray<unknown>): string => chunk({ content: { parts, role: "model" }, index: 0 })

/** The wire has no refusals, and tells a call whole, in one part: its input has to be an object. */
const tell = (part: Part): ReadonlyArray<string> | undefined => {
  switch (part.type) {
    case "text":
      return part.deltas.map((text) => parts({ text }))
    case "reasoning":
      return part.deltas.map((text) => parts({ text, thought: true }))
    case "refusal":
      return undefined
    case "tool-call": {
      const { id, name } = part
      return [parts({ functionCall: { id, name, args: JSON.parse(part.deltas.join("") || "{}") as unknown } })]
    }
  }
}

const finishReasons: Readonly<Record<Turn["finish"], string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  // There is none for calls.
  "tool-calls": "STOP",
  "content-filter": "SAFETY"
}

const counts = ({ inputTokens, outputTokens }: NonNullable<Turn["usage"]>) => ({
  usageMetadata: {
    promptTokenCount: inputTokens,
    candidatesTokenCount: outputTokens,
    totalTokenCount: inputTokens + outputTokens
  }
})

/**
 * The dialect of `protocol/GoogleGemini`.
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialect: Dialect = {
  contentType: "text/event-stream",
  answer: (turn) => {
    const frames: Array<string> = []
    for (const part of turn.parts) {
      const told = tell(part)
      if (told === undefined) return undefined
      frames.push(...told)
    }
    const end = { finishReason: finishReasons[turn.finish], index: 0 }
    return { frames, semanticEnd: chunk(end, turn.usage === undefined ? {} : counts(turn.usage)) }
  },
  error: (message) => event({ error: { code: 500, message, status: "INTERNAL" } }),
  keepAlives: [": keep-alive\r\n\r\n", parts({ text: "" }), chunk({ index: 0 }), event({ candidates: [] })],
  unknown: event({ hologram: { rotation: 90 }, responseId: "response-1" }),
  malformed: 'data: {"candidates":[{"content":{"parts":[{"text":"broken\r\n\r\n',
  failure: ({ code, message }) => JSON.stringify({ error: { message, status: code } })
}
