import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import { describeDecoder } from "../support/describeDecoder.ts"

const { decode } = describeDecoder({
  folder: "openai-chat",
  protocol: OpenAiChat.protocol,
  good: ["text", "tools-interleaved", "crlf", "reasoning", "no-final-blank-line"],
  end: '"finish_reason":"'
})

// Law 8: no half tool calls.
describe("tool calls", () => {
  const index = (events: ReadonlyArray<LlmEvent>, tag: LlmEvent["_tag"]) => events.findIndex((e) => e._tag === tag)

  it.effect("come complete, in order, directly before Finished", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-interleaved")
      expect(events.slice(-4)).toMatchObject([
        { _tag: "ToolCalled", id: "call_a", name: "weather", input: { city: "Zürich" } },
        { _tag: "ToolCalled", id: "call_b", name: "time", input: { zone: "UTC" } },
        { _tag: "ToolCalled", id: "call_c", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls" }
      ])
      expect(index(events, "ToolCallStarted")).toBeGreaterThan(0)
    })
  )

  it.effect("of an answer that the token limit cut do not come, not even the whole ones", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode("tools-cut-by-length")
      expect(error).toBeUndefined()
      expect(index(events, "ToolCalled")).toBe(-1)
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "length" })
    })
  )

  it.effect("imply the finish reason tool-calls, even if the provider says stop", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-by-id")
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason: "tool-calls", rawReason: "stop" })
      expect(events.filter((e) => e._tag === "ToolCalled").map((e) => e.input)).toEqual([
        { city: "Bern" },
        { city: "Basel" }
      ])
    })
  )
})
