import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as OpenAiResponses from "effect-rill/protocol/OpenAiResponses"
import { bytes, decodeBytes } from "../support/decodeBytes.ts"
import { describeDecoder } from "../support/describeDecoder.ts"
import { encoding } from "../support/describeEncode.ts"

const { decode, read } = describeDecoder({
  folder: "openai-responses",
  protocol: OpenAiResponses.protocol,
  good: [
    "text",
    "tools-parallel",
    "crlf",
    "reasoning-summaries",
    "no-event-lines",
    "ids-change",
    "no-final-blank-line"
  ],
  end: '"status":"completed","model"'
})

const fold = (name: string) => Effect.map(decode(name), ({ events }) => LlmResponse.fromEvents(events))

interface Event {
  readonly type: string
  readonly output_index?: number
  readonly item_id?: string
  readonly item?: { readonly id: string; readonly type: string }
  readonly response?: { readonly output: ReadonlyArray<{ readonly id: string; readonly type: string }> }
}

const conversation = (): ReadonlyArray<Event> =>
  new TextDecoder()
    .decode(read("conversation"))
    .split("\n")
    .filter((line) => line.startsWith("data: "))
    .map((line) => JSON.parse(line.slice(6)) as Event)

const foldOf = (events: ReadonlyArray<Event>) =>
  decodeBytes(OpenAiResponses.protocol, [
    bytes(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(""))
  ]).pipe(
    Effect.map(({ error, events }) => {
      expect(error).toBeUndefined()
      return LlmResponse.fromEvents(events)
    })
  )

/** Gives every event's item an id of its own. */
const rotated = (events: ReadonlyArray<Event>): ReadonlyArray<Event> => {
  let count = 0
  const text = JSON.stringify(events, (key, value: unknown) =>
    (key === "id" || key === "item_id") && !String(value).startsWith("resp") ? `id_${count++}` : value
  )
  return JSON.parse(text) as ReadonlyArray<Event>
}

// What a server leaves out, repeats or numbers its own way changes nothing in what an answer comes to.
describe("items are told once, and whole", () => {
  const without = (pattern: RegExp) => (events: ReadonlyArray<Event>) =>
    events.filter(({ type }) => !pattern.test(type))
  const withoutFields =
    (...fields: ReadonlyArray<string>) =>
    (events: ReadonlyArray<Event>) =>
      JSON.parse(
        JSON.stringify(events, (key, value: unknown) => (fields.includes(key) ? undefined : value))
      ) as ReadonlyArray<Event>
  type Outputs = NonNullable<Event["response"]>["output"]
  const withOutput =
    (change: (output: Outputs) => Outputs) =>
    (events: ReadonlyArray<Event>): ReadonlyArray<Event> =>
      events.map((event) =>
        event.response ? { ...event, response: { ...event.response, output: change(event.response.output) } } : event
      )
  const withoutOutput = withOutput(() => [])
  const outputWithoutReasoning = withOutput((output) => output.filter(({ type }) => type !== "reasoning"))

  const changes: ReadonlyArray<readonly [string, (events: ReadonlyArray<Event>) => ReadonlyArray<Event>]> = [
    ["as it is", (events) => events],
    ["no deltas", without(/delta/)],
    ["no deltas, no parts", without(/delta|part|text\.done/)],
    ["no arguments in whole", without(/arguments\.done/)],
    ["no item.added", without(/item\.added/)],
    ["no item.done", without(/item\.done/)],
    ["no done at all", without(/\.done/)],
    ["items done alone", (events) => withoutOutput(without(/delta|part|\.added|text\.done|arguments/)(events))],
    ["parts done alone", (events) => withoutOutput(without(/delta|item\.done/)(events))],
    ["no output in the end", withoutOutput],
    ["no output in the end, no item.done", (events) => withoutOutput(without(/item\.done/)(events))],
    ["the end alone", without(/^(?!.*(created|completed))/)],
    ["no reasoning in the end", outputWithoutReasoning],
    ["no index", withoutFields("output_index")],
    ["no index, no item.done", (events) => withoutFields("output_index")(without(/item\.done/)(events))],
    ["no ids in events", withoutFields("item_id")],
    [
      "the same index",
      (events) => events.map((event) => ("output_index" in event ? { ...event, output_index: 0 } : event))
    ],
    [
      "the same index, no item.added",
      (events) =>
        without(/item\.added/)(events.map((event) => ("output_index" in event ? { ...event, output_index: 0 } : event)))
    ],
    ["no content or summary index", withoutFields("content_index", "summary_index")]
  ]

  it.effect.each(changes)("%s", ([, change]) =>
    Effect.gen(function* () {
      const whole = yield* fold("conversation")
      expect(whole.text).toBe("Yes.")
      expect(yield* foldOf(change(conversation()))).toEqual(whole)
    })
  )

  it.effect.each([
    ["all of it", (events: ReadonlyArray<Event>) => events],
    ["no reasoning in the end", outputWithoutReasoning],
    ["no item.done", without(/item\.done/)]
  ] as const)("ids that change with every event, %s", ([, change]) =>
    Effect.gen(function* () {
      const { reasoning, text, toolCalls } = yield* foldOf(rotated(change(conversation())))
      expect({ reasoning, text, calls: toolCalls.map(({ id, input }) => ({ id, input })) }).toEqual({
        reasoning: "Hmm.",
        text: "Yes.",
        calls: [
          { id: "call_a", input: { a: 1 } },
          { id: "call_b", input: { b: 2 } }
        ]
      })
    })
  )

  it.effect("ids that change with every event, and a call that only the response itself has", () =>
    Effect.gen(function* () {
      const events = conversation().filter(({ item, item_id }) => item_id !== "fc_2" && item?.id !== "fc_2")
      const { toolCalls } = yield* foldOf(rotated(events))
      expect(toolCalls.map(({ id }) => id)).toEqual(["call_a", "call_b"])
    })
  )

  it.effect("ids that change with every event and no index: by the type of the item", () =>
    Effect.gen(function* () {
      const withoutCall = withOutput((output) => output.filter(({ id }) => id !== "fc_2"))
      const events = withoutFields("output_index")(withoutCall(conversation())).filter(
        ({ item, item_id }) => item_id !== "fc_2" && item?.id !== "fc_2"
      )
      const { reasoning, text, toolCalls } = yield* foldOf(rotated(events))
      expect({ reasoning, text }).toEqual({ reasoning: "Hmm.", text: "Yes." })
      expect(toolCalls).toMatchObject([{ id: "call_a", name: "weather", input: { a: 1 } }])
    })
  )

  it.effect("the text of parts that come in pieces and of those that come whole", () =>
    Effect.gen(function* () {
      expect((yield* fold("parts")).text).toBe("One. Two. Three.")
    })
  )
})

describe("tool calls", () => {
  it.effect("come complete, in order, directly before Finished", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("tools-parallel")
      expect(events.slice(-4)).toMatchObject([
        { _tag: "ToolCalled", id: "call_a", name: "weather", input: { city: "Zürich" } },
        { _tag: "ToolCalled", id: "call_b", name: "time", input: { zone: "UTC" } },
        { _tag: "ToolCalled", id: "call_c", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls", rawReason: "completed" }
      ])
    })
  )

  it.effect.each(["cut-by-length", "cut-for-another-reason"])("of an answer that was cut do not come: %s", (name) =>
    Effect.gen(function* () {
      const { error, events } = yield* decode(name)
      expect(error).toBeUndefined()
      expect(events.some((event) => event._tag === "ToolCallStarted")).toBe(true)
      expect(events.some((event) => event._tag === "ToolCalled")).toBe(false)
    })
  )
})

describe("errors in the stream", () => {
  it.effect("carry the usage that the provider tells", () =>
    Effect.gen(function* () {
      const { error } = yield* decode("failed")
      expect(error?.usage).toMatchObject({ source: "exact", inputTokens: 50, outputTokens: 3 })
      expect(error).toMatchObject({ isRetryable: true, phase: "mid-output", emitted: 2 })
    })
  )

  it.each([
    { type: "error", message: "KEY is wrong" },
    { type: "error", error: { message: "KEY is wrong" } },
    { type: "response.failed", response: { error: { message: "KEY is wrong" } } },
    { error: { message: "KEY is wrong" } }
  ])("quote no key: %j", (value) => {
    const { decoder } = OpenAiResponses
    const state = decoder.initial({ provider: "test", inputCharacters: 0, conceal: (text) => text.replace("KEY", "…") })
    expect(decoder.step(state, { event: "", data: "", value }, [])?.message).toMatch(/^… is wrong\./)
    expect(decoder.step(state, { event: "error", data: "KEY is wrong", value: undefined }, [])?.message).toMatch(/^…/)
  })
})

describe("a history", () => {
  const { body } = encoding(OpenAiResponses.encode)
  const sentBack = (name: string) =>
    Effect.map(fold(name), ({ toMessage }) => body({ prompt: Prompt.fromMessages([toMessage]) })["input"])

  it.effect("has the reasoning that led to each call before it", () =>
    Effect.gen(function* () {
      expect(yield* sentBack("tools-between-reasoning")).toEqual([
        { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "one" },
        { type: "function_call", call_id: "call_a", name: "weather", arguments: '{"city":"Bern"}' },
        { type: "reasoning", id: "rs_2", summary: [], encrypted_content: "two" },
        { type: "function_call", call_id: "call_b", name: "weather", arguments: '{"city":"Basel"}' }
      ])
    })
  )

  it.effect("has the summary in its parts, and the text", () =>
    Effect.gen(function* () {
      expect(yield* sentBack("reasoning-summaries")).toEqual([
        {
          type: "reasoning",
          id: "rs_1",
          summary: [
            { type: "summary_text", text: "**Looking**\n\nFirst." },
            { type: "summary_text", text: "**Then** second." }
          ],
          encrypted_content: "gAAAA-1"
        },
        { role: "assistant", content: "42" }
      ])
    })
  )

  it.effect("has raw reasoning, custom calls and refusals", () =>
    Effect.gen(function* () {
      expect(yield* sentBack("no-event-lines")).toEqual([
        { type: "reasoning", id: "rs_1", summary: [], content: [{ type: "reasoning_text", text: "Count them." }] },
        { role: "assistant", content: "Three." }
      ])
      expect(yield* sentBack("tool-custom")).toEqual([
        { type: "custom_tool_call", call_id: "call_s", name: "sql", input: "42" }
      ])
      expect(yield* sentBack("refusal")).toEqual([{ role: "assistant", content: "I cannot." }])
    })
  )
})

describe("a bad status", () => {
  const error = (status: number, message: string, more = {}) =>
    OpenAiResponses.protocol.error({
      _tag: "HttpFailure",
      status,
      headers: Headers.empty,
      body: JSON.stringify({ error: { message, ...more } }),
      requestId: undefined,
      retryAfter: undefined,
      shouldRetry: undefined
    })

  it.each([
    [404, "Not Found"],
    [404, "Unknown request URL: POST /v1/responses."],
    [405, "Method Not Allowed"]
  ])("%i, %s: the server may speak chat completions alone", (status, message) => {
    expect(error(status, message)).toMatchObject({ _tag: "NotFound", status })
    expect(error(status, message).message).toMatch(/api: "chat"/)
  })

  it.each([
    [404, "The model `gpt-9` does not exist.", { code: "model_not_found" }],
    [404, "Item with id 'rs_1' not found.", {}],
    [404, "Previous response with id 'resp_1' not found.", {}]
  ])("%i, %s: the URL is right", (status, message, more) => {
    expect(error(status, message, more)._tag).toBe("NotFound")
    expect(error(status, message, more).message).not.toMatch(/chat/)
  })

  it("of an organization that may have no summaries says how to go without", () => {
    const reason = error(400, "Your organization must be verified to generate reasoning summaries.", {
      type: "invalid_request_error",
      code: "unsupported_value"
    })
    expect(reason).toMatchObject({ _tag: "InvalidRequest", status: 400, code: "unsupported_value" })
    expect(reason.message).toMatch(/verified.*summary: null/)
  })
})
