/** What each format writes, and that it does not matter how an answer is cut. No HTTP. */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AgentEvent } from "effect-rill/agent/AgentEvent"
import * as EventJson from "effect-rill/delivery/EventJson"
import type { Element } from "effect-rill/delivery/Format"
import type * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Ndjson from "effect-rill/delivery/Ndjson"
import * as OpenAiChunks from "effect-rill/delivery/OpenAiChunks"
import * as PlainText from "effect-rill/delivery/PlainText"
import * as Sse from "effect-rill/delivery/Sse"
import * as UiMessages from "effect-rill/delivery/UiMessages"
import { Disconnected, Overloaded } from "effect-rill/LlmError"
import { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import { describe, expect, it } from "vitest"
import * as answers from "../support/answers.ts"
import { bytes, decodeBytes } from "../support/decodeBytes.ts"
import { llmError, usage } from "../support/scriptedLlm.ts"
import { parse } from "../support/serverSentEvents.ts"

const failure = EventJson.failure(llmError(new Disconnected({ message: "cut" })))
const now = Date.parse("2026-01-02T03:04:05.678Z")

/** All that is written of an answer, of arrays of elements; `"end"`, an error or nothing after them. */
const write = <A extends Element>(
  wire: HttpResponse.Wire<A>,
  arrays: ReadonlyArray<ReadonlyArray<A>>,
  ending: "end" | "fail" | "none" = "end"
): string => {
  const writer = wire.writer(now)
  const body = arrays.map((elements) => writer.write(elements)).join("")
  if (ending === "none") return body
  return body + (ending === "end" ? writer.end() : (writer.fail(failure) ?? "(broken off)"))
}

const whole = <A extends Element>(
  wire: HttpResponse.Wire<A>,
  elements: ReadonlyArray<A>,
  ending?: "end" | "fail" | "none"
) => write(wire, [elements], ending)

const text = Sse.wire({ format: Sse.text })
const json = Sse.wire({ format: Sse.json })
const openAi = Sse.wire({ format: Sse.openAi })
const ui = Sse.wire({ format: Sse.uiMessages })

const data = (body: string): ReadonlyArray<string> => parse(body).events.map(({ data }) => data)
const chunks = (body: string): ReadonlyArray<Record<string, unknown>> =>
  data(body)
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data))

describe("cuts do not matter", () => {
  const seeds = Array.from({ length: 200 }, (_, seed) => seed + 1)
  const wires = { json, openAi, ui, ndjson: Ndjson.wire } as const

  it.each(Object.entries(wires))("%s writes the same however the elements are put into arrays", (_, wire) => {
    for (const seed of seeds) {
      const dice = answers.dice(seed)
      const kinds = [answers.turn(dice), answers.run(dice), answers.cut(dice, answers.text(dice))]
      for (const events of kinds as ReadonlyArray<ReadonlyArray<Element>>) {
        const expected = whole(wire, events)
        expect(write(wire, answers.arrays(dice, events))).toBe(expected)
        expect(
          write(
            wire,
            events.map((event) => [event])
          )
        ).toBe(expected)
      }
    }
  })

  it.each([
    ["text", text],
    ["plain text", PlainText.wire]
  ] as const)("%s writes the same however the elements are put into arrays", (_, wire) => {
    for (const seed of seeds) {
      const dice = answers.dice(seed)
      const kinds = [answers.run(dice), answers.cut(dice, answers.text(dice))]
      for (const elements of kinds as ReadonlyArray<ReadonlyArray<string | AgentEvent>>) {
        const expected = whole(wire, elements)
        expect(write(wire, answers.arrays(dice, elements))).toBe(expected)
        expect(
          write(
            wire,
            elements.map((element) => [element])
          )
        ).toBe(expected)
      }
    }
  })

  it("text joins to the text, its line ends as \\n, wherever it was cut", () => {
    for (const seed of seeds) {
      const dice = answers.dice(seed)
      const said = answers.text(dice) + answers.text(dice)
      for (const elements of [answers.cut(dice, said), [said], [...said]]) {
        const { events } = parse(utf8(whole(text, elements)))
        const messages = events.filter(({ event }) => event === "message")
        expect(messages.map(({ data }) => data).join("")).toBe(said.replace(/\r\n?/g, "\n"))
        expect(messages.map(({ id }) => id)).toEqual(messages.map((_, i) => String(i + 1)))
        expect(events.at(-1)).toMatchObject({ event: "done", data: "[DONE]" })
      }
    }
  })

  it("plain text is the text, to the byte, wherever it was cut", () => {
    for (const seed of seeds) {
      const dice = answers.dice(seed)
      const said = answers.text(dice) + answers.text(dice)
      const writer = PlainText.wire.writer(now)
      const pieces = answers.cut(dice, said).map((piece) => Buffer.from(writer.write([piece])))
      expect(Buffer.concat([...pieces, Buffer.from(writer.end())]).toString()).toBe(said)
    }
  })

  it("an agent's text is its answer tokens, a blank line between steps", () => {
    for (const seed of seeds) {
      const run = answers.run(answers.dice(seed))
      const said = answers.textOf(run)
      expect(whole(PlainText.wire, run)).toBe(said)
      const messages = parse(utf8(whole(text, run))).events.filter(({ event }) => event === "message")
      expect(messages.map(({ data }) => data).join("")).toBe(said.replace(/\r\n?/g, "\n"))
      const content = chunks(utf8(whole(openAi, run))).flatMap(({ choices }) =>
        (choices as Array<{ delta: { content?: string } }>).map(({ delta }) => delta.content ?? "")
      )
      expect(content.join("")).toBe(said)
    }
  })
})

/** As a client reads it. */
const utf8 = (body: string): string => Buffer.from(body).toString()

describe("json", () => {
  it("is read back by the schemas, over server-sent events and over NDJSON", () => {
    for (let seed = 1; seed <= 100; seed++) {
      const dice = answers.dice(seed)
      const turn = answers.turn(dice)
      const read = Schema.decodeUnknownSync(Schema.toCodecJson(LlmEvent))
      const messages = parse(utf8(whole(json, turn))).events.filter(({ event }) => event === "message")
      expect(messages.map(({ data }) => read(JSON.parse(data)))).toEqual(turn)
      const lines = utf8(whole(Ndjson.wire, turn)).split("\n")
      expect(lines.pop()).toBe("")
      expect(lines.map((line) => read(JSON.parse(line)))).toEqual(turn)

      const run = answers.run(dice)
      const told = parse(utf8(whole(json, run))).events.filter(({ event }) => event === "message")
      const readRun = Schema.decodeUnknownSync(Schema.toCodecJson(AgentEvent))
      const state = Schema.encodeSync(Schema.toCodecJson(Prompt.Prompt))(Prompt.make([]))
      const again = told.map(({ data }) => {
        const event = JSON.parse(data)
        return readRun(event._tag === "StepFinished" ? { ...event, state } : event)
      })
      expect(again).toEqual(
        run.map((event) => (event._tag === "StepFinished" ? { ...event, state: Prompt.make([]) } : event))
      )
      expect(whole(json, run)).not.toContain("secret")
    }
  })

  it("ends with done, or with the failure as an event of its own", () => {
    const done = parse(whole(json, ["a"]))
    expect(done.events).toEqual([
      { id: "1", event: "message", data: '{"_tag":"TextDelta","text":"a"}' },
      { id: "1", event: "done", data: "[DONE]" }
    ])
    const failed = parse(whole(json, ["a"], "fail"))
    expect(failed.events[1]).toEqual({
      id: "1",
      event: "error",
      data: JSON.stringify({ _tag: "Failed", error: failure })
    })
    expect(failed.events).toHaveLength(2)
  })

  it("as NDJSON has neither ends nor names, and the failure is the last line", () => {
    expect(whole(Ndjson.wire, ["a"])).toBe('{"_tag":"TextDelta","text":"a"}\n')
    const lines = whole(Ndjson.wire, ["a"], "fail").trimEnd().split("\n")
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { _tag: "TextDelta", text: "a" },
      { _tag: "Failed", error: failure }
    ])
  })
})

describe("text", () => {
  it("tells all that came before a failure, what was held back too, and then the failure", () => {
    const { events } = parse(whole(text, ["a", "b\r"], "fail"))
    expect(events.map(({ data, event }) => [event, data])).toEqual([
      ["message", "a"],
      ["message", "b"],
      ["message", "\n"],
      ["error", JSON.stringify({ _tag: "Failed", error: failure })]
    ])
  })

  it("as plain text has no way to tell a failure", () => {
    expect(whole(PlainText.wire, ["a"], "fail")).toBe("a(broken off)")
    expect(whole(PlainText.wire, ["a", "", "b\ud83d"])).toBe("ab\ud83d")
  })

  it("writes nothing for what has no text", () => {
    expect(whole(text, ["", { _tag: "Thought", content: "hm", step: 1 }], "none")).toBe("")
  })
})

describe("the frames of server-sent events", () => {
  it("have one data line a line, ids, and names only where they are not part of the answer", () => {
    expect(whole(text, ["a\r\nb\rc\n", "d"])).toBe(
      "id: 1\ndata: a\ndata: b\ndata: c\ndata: \n\nid: 2\ndata: d\n\nevent: done\ndata: [DONE]\n\n"
    )
  })

  it("have the ids that they are told to have, or none", () => {
    const none = Sse.wire({ format: Sse.text, id: false })
    expect(whole(none, ["a"], "none")).toBe("data: a\n\n")
    const own = Sse.wire({ format: Sse.openAi, id: (number) => `run-${number}` })
    expect(parse(whole(own, ["a"])).events.map(({ id }) => id)).toEqual(["run-1", "run-2", "run-3", "run-4"])
    expect(parse(whole(openAi, ["a"])).events.map(({ id }) => id)).toEqual(["", "", "", ""])
    const broken = Sse.wire({ format: Sse.text, id: () => "a\nb" })
    expect(() => whole(broken, ["a"])).toThrow(/one line/)
  })

  it("begin with retry where it is asked for, in whole milliseconds", () => {
    expect(Sse.wire({ format: Sse.text, retry: "1.5 seconds" }).preamble).toBe("retry: 1500\n\n")
    expect(parse(Sse.wire({ format: Sse.text, retry: 2 }).preamble ?? "").retry).toBe(2)
    expect(text.preamble).toBe("")
  })
})

describe("openai", () => {
  it("is what a client of chat completions takes for the same turn", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const turn = answers.turn(answers.dice(seed))
      const body = whole(openAi, turn)
      const { error, events } = await Effect.runPromise(decodeBytes(OpenAiChat.protocol, [bytes(body)]))
      expect(error).toBeUndefined()
      const [expected, actual] = [LlmResponse.fromEvents(turn), LlmResponse.fromEvents(events)]
      for (const field of ["id", "model", "reasoning", "toolCalls", "finishReason"] as const) {
        expect(actual[field], field).toEqual(expected[field])
      }
      // Cut characters are whole again: JSON keeps their halves.
      for (const field of ["text", "refusal"] as const) expect(actual[field]).toBe(expected[field])
      expect(actual.sources.map(({ url }) => url)).toEqual(expected.sources.map(({ url }) => url))
      const { raw: _, ...counts } = actual.usage
      expect(counts).toEqual(answers.usage)
    }
  })

  it("has OpenAI's own form", () => {
    const turn: ReadonlyArray<LlmEvent> = [
      { _tag: "Started", id: "a1", model: "gpt-test" },
      { _tag: "ReasoningDelta", text: "hm" },
      { _tag: "ReasoningDelta", text: "", metadata: { anthropic: { signature: "s" } } },
      { _tag: "TextDelta", text: "Hi" },
      { _tag: "ToolCallStarted", id: "c", name: "search" },
      { _tag: "ToolCallDelta", id: "c", delta: '{"a":' },
      { _tag: "ToolCallDelta", id: "c", delta: "1}" },
      { _tag: "ToolCalled", id: "c", name: "search", input: { a: 1 } },
      { _tag: "ToolCalled", id: "d", name: "now", input: {} },
      { _tag: "Finished", reason: "tool-calls", usage }
    ]
    const head = { id: "a1", object: "chat.completion.chunk", created: Math.floor(now / 1000), model: "gpt-test" }
    const delta = (delta: object) => ({ ...head, choices: [{ index: 0, delta, finish_reason: null }] })
    const call = (call: object) => delta({ tool_calls: [call] })
    expect(chunks(whole(openAi, turn))).toEqual([
      delta({ role: "assistant", content: "" }),
      delta({ reasoning_content: "hm" }),
      delta({ content: "Hi" }),
      call({ index: 0, id: "c", type: "function", function: { name: "search", arguments: "" } }),
      call({ index: 0, function: { arguments: '{"a":' } }),
      call({ index: 0, function: { arguments: "1}" } }),
      call({ index: 1, id: "d", type: "function", function: { name: "now", arguments: "" } }),
      call({ index: 1, function: { arguments: "{}" } }),
      { ...head, choices: [{ index: 0, delta: {}, finish_reason: "tool_calls" }] },
      { ...head, choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } }
    ])
    expect(data(whole(openAi, turn)).at(-1)).toBe("[DONE]")
  })

  it.each([
    ["stop", "stop"],
    ["length", "length"],
    ["tool-calls", "tool_calls"],
    ["content-filter", "content_filter"],
    ["other", "stop"]
  ] as const)("says %s as %s", (reason, finish_reason) => {
    const last = chunks(whole(openAi, [{ _tag: "Finished", reason, usage: { source: "exact" } }])).at(-1)
    expect(last).toMatchObject({ choices: [{ delta: {}, finish_reason }] })
  })

  it("is whole without events: of strings, of nothing, of an agent", () => {
    const said = chunks(whole(openAi, ["a", "", "b"]))
    expect(said.map(({ choices }) => choices)).toMatchObject([
      [{ delta: { role: "assistant" } }],
      [{ delta: { content: "a" } }],
      [{ delta: { content: "b" } }],
      [{ finish_reason: "stop" }]
    ])
    expect(said[0]).toMatchObject({ id: `chatcmpl-${now.toString(36)}`, model: "unknown" })
    expect(chunks(whole(openAi, []))).toHaveLength(2)
    const run = answers.run(answers.dice(3))
    expect(chunks(whole(openAi, run)).at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 7 } })
    const cut = [
      { _tag: "StepFinished", step: 1, outcome: "answered", reason: "length", usage, state: Prompt.make([]) },
      { _tag: "Final", content: "", usage, steps: 1 }
    ] as const
    expect(chunks(whole(openAi, cut)).at(-2)).toMatchObject({ choices: [{ finish_reason: "length" }] })
  })

  it("takes its model's name and whether usage is told from its options", () => {
    const own = Sse.wire({ format: OpenAiChunks.make({ model: "mine", usage: false }) })
    const turn: ReadonlyArray<LlmEvent> = [
      { _tag: "Started", model: "theirs" },
      { _tag: "Finished", reason: "stop", usage }
    ]
    const said = chunks(whole(own, turn))
    expect(said.map(({ model }) => model)).toEqual(["mine", "mine"])
    expect(said.at(-1)).not.toHaveProperty("usage")
  })

  it("tells an error in OpenAI's form, and no end", () => {
    const body = whole(openAi, ["a"], "fail")
    expect(body).not.toContain("[DONE]")
    expect(chunks(body).at(-1)).toEqual({
      error: { message: failure.message, type: "server_error", param: null, code: "disconnected" }
    })
    const of = (reason: string) => openAi.problem({ ...failure, reason })
    expect(of("RateLimited")).toMatchObject({ error: { type: "rate_limit_error", code: "rate_limit_exceeded" } })
    expect(of("ContextTooLong")).toMatchObject({ error: { code: "context_length_exceeded" } })
    expect(of("ProviderFailed")).toMatchObject({ error: { type: "server_error", code: "provider_failed" } })
  })

  it("cannot take text back: a restart after it is its error, before it nothing", () => {
    const error = llmError(new Overloaded({ message: "full" }))
    const events: ReadonlyArray<LlmEvent> = [
      { _tag: "Started" },
      { _tag: "Restarted", error },
      { _tag: "TextDelta", text: "a" }
    ]
    const writer = openAi.writer(now)
    writer.write(events)
    expect(writer.refused()).toBeUndefined()
    const rest = writer.write([
      { _tag: "Restarted", error },
      { _tag: "TextDelta", text: "never" }
    ])
    expect(writer.refused()).toBe(error)
    expect(rest).not.toContain("never")
  })
})

describe("uiMessages", () => {
  const said = (elements: ReadonlyArray<Element>) => chunks(whole(ui, elements))

  it("opens and closes parts and steps around a turn", () => {
    const metadata = { anthropic: { signature: "s" } }
    expect(
      said([
        { _tag: "Started", id: "a1" },
        { _tag: "ReasoningDelta", text: "hm" },
        { _tag: "ReasoningDelta", text: "", metadata },
        { _tag: "ReasoningDelta", text: "", metadata },
        { _tag: "TextDelta", text: "Hi" },
        { _tag: "Source", sourceType: "url", url: "https://example.com", title: "t" },
        { _tag: "Source", sourceType: "document" },
        { _tag: "TextDelta", text: "!" },
        { _tag: "ToolCallStarted", id: "c", name: "search" },
        { _tag: "ToolCallDelta", id: "c", delta: "{}" },
        { _tag: "ToolCalled", id: "c", name: "search", input: {}, metadata },
        { _tag: "Finished", reason: "tool-calls", usage }
      ])
    ).toEqual([
      { type: "start" },
      { type: "start-step" },
      { type: "reasoning-start", id: "0" },
      { type: "reasoning-delta", id: "0", delta: "hm" },
      { type: "reasoning-end", id: "0", providerMetadata: metadata },
      { type: "reasoning-start", id: "1" },
      { type: "reasoning-end", id: "1", providerMetadata: metadata },
      { type: "text-start", id: "2" },
      { type: "text-delta", id: "2", delta: "Hi" },
      { type: "source-url", sourceId: "0", url: "https://example.com", title: "t" },
      { type: "source-document", sourceId: "1", mediaType: "application/octet-stream", title: "" },
      { type: "text-delta", id: "2", delta: "!" },
      { type: "text-end", id: "2" },
      { type: "tool-input-start", toolCallId: "c", toolName: "search" },
      { type: "tool-input-delta", toolCallId: "c", inputTextDelta: "{}" },
      { type: "tool-input-available", toolCallId: "c", toolName: "search", input: {}, providerMetadata: metadata },
      { type: "finish-step" },
      { type: "finish", finishReason: "tool-calls" }
    ])
  })

  it("tells an agent's steps, calls and results", () => {
    const call = { id: "c", toolName: "search", step: 1 }
    const state = Prompt.make([])
    expect(
      said([
        { _tag: "StepStarted", step: 1 },
        { _tag: "Token", content: "hm", step: 1, phase: "thought" },
        { _tag: "Thought", content: "hm", step: 1 },
        { _tag: "Action", ...call, input: { topic: "a" } },
        { _tag: "Progress", ...call, content: "half" },
        { _tag: "Observation", ...call, content: "whole", isError: false },
        { _tag: "Observation", ...call, id: "d", content: "no", isError: true },
        { _tag: "StepFinished", step: 1, outcome: "acted", reason: "tool-calls", usage, state },
        { _tag: "StepStarted", step: 2 },
        { _tag: "Token", content: "Hi", step: 2, phase: "answer" },
        { _tag: "StepFinished", step: 2, outcome: "answered", reason: "stop", usage, state },
        { _tag: "Final", content: "Hi", usage, steps: 2 }
      ])
    ).toEqual([
      { type: "start" },
      { type: "start-step" },
      { type: "reasoning-start", id: "0" },
      { type: "reasoning-delta", id: "0", delta: "hm" },
      { type: "reasoning-end", id: "0" },
      { type: "tool-input-available", toolCallId: "c", toolName: "search", input: { topic: "a" } },
      { type: "tool-output-available", toolCallId: "c", output: "half", preliminary: true },
      { type: "tool-output-available", toolCallId: "c", output: "whole" },
      { type: "tool-output-error", toolCallId: "d", errorText: "no" },
      { type: "finish-step" },
      { type: "start-step" },
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: "Hi" },
      { type: "text-end", id: "1" },
      { type: "finish-step" },
      { type: "finish", finishReason: "stop" }
    ])
  })

  it("says that the token limit cut an agent's last step", () => {
    const cut = [
      { _tag: "StepStarted", step: 1 },
      { _tag: "StepFinished", step: 1, outcome: "answered", reason: "length", usage, state: Prompt.make([]) },
      { _tag: "Final", content: "", usage, steps: 1 }
    ] as const
    expect(said(cut).at(-1)).toEqual({ type: "finish", finishReason: "length" })
  })

  it("takes back what was said when the answer begins anew", () => {
    const error = llmError(new Overloaded({ message: "full" }))
    expect(
      said([
        { _tag: "Restarted", error },
        { _tag: "TextDelta", text: "a" },
        { _tag: "Restarted", error },
        { _tag: "Started" },
        { _tag: "TextDelta", text: "b" }
      ]).map((chunk) => chunk["type"])
    ).toEqual([
      "start",
      "start-step",
      "text-start",
      "text-delta",
      "reset-step",
      "text-start",
      "text-delta",
      "text-end",
      "finish-step",
      "finish"
    ])
  })

  it("tells an error and no finish; all ends with [DONE]", () => {
    const body = whole(ui, ["a"], "fail")
    expect(chunks(body).at(-1)).toEqual({ type: "error", errorText: failure.message })
    expect(body).not.toContain('"finish"')
    expect(data(body).at(-1)).toBe("[DONE]")
    expect(data(whole(ui, ["a"])).at(-1)).toBe("[DONE]")
    expect(said([]).map((chunk) => chunk["type"])).toEqual(["start", "finish"])
  })

  it("has the id and the metadata that its options give, and its protocol's header", () => {
    const format = UiMessages.make({ messageId: "m1", messageMetadata: (end) => ({ tokens: end.usage.outputTokens }) })
    const own = Sse.wire({ format })
    expect(chunks(whole(own, [{ _tag: "Finished", reason: "length", usage }]))).toEqual([
      { type: "start", messageId: "m1" },
      { type: "finish", finishReason: "length", messageMetadata: { tokens: 3 } }
    ])
    expect(chunks(whole(own, [{ _tag: "Final", content: "", steps: 1, usage }])).at(-1)).toMatchObject({
      messageMetadata: { tokens: 3 }
    })
    expect(own.headers).toEqual({ "x-vercel-ai-ui-message-stream": "v1" })
  })
})
