import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as GoogleGemini from "effect-rill/protocol/GoogleGemini"
import { Arguments } from "effect-rill/protocol/GoogleGeminiArguments"
import { decodeBytes } from "../support/decodeBytes.ts"
import { describeDecoder } from "../support/describeDecoder.ts"
import { encoding } from "../support/describeEncode.ts"

const { decode, read } = describeDecoder({
  folder: "google-gemini",
  protocol: GoogleGemini.protocol,
  good: ["text", "thoughts", "calls-parallel", "calls-in-pieces", "lf", "no-final-blank-line"],
  end: '"finishReason":"'
})

const fold = (name: string) =>
  Effect.map(decode(name), ({ error, events }) => {
    expect(error).toBeUndefined()
    return LlmResponse.fromEvents(events)
  })

const chunk = (value: object): Uint8Array => new TextEncoder().encode(`data: ${JSON.stringify(value)}\r\n\r\n`)
const calls = (events: ReadonlyArray<LlmEvent>) => events.filter((event) => event._tag === "ToolCalled")
const deltas = (events: ReadonlyArray<LlmEvent>, id: string) =>
  events.map((event) => (event._tag === "ToolCallDelta" && event.id === id ? event.delta : "")).join("")

describe("the end", () => {
  it.effect("is taken back by what comes after it", () =>
    Effect.gen(function* () {
      expect((yield* fold("finish-in-every-chunk")).text).toBe("One, two, three.")
      // Text, a thought, a call, a result of a tool that Google ran: without another end, the answer is cut.
      for (const part of [
        { text: "more" },
        { text: "more", thought: true },
        { functionCall: { name: "now" } },
        { functionResponse: { name: "now" } }
      ]) {
        const end = { candidates: [{ content: { parts: [{ text: "One" }] }, finishReason: "STOP" }] }
        const { error } = yield* decodeBytes(GoogleGemini.protocol, [
          chunk(end),
          chunk({ candidates: [{ content: { parts: [part] } }] })
        ])
        expect(error?.reason._tag, JSON.stringify(part)).toBe("Truncated")
      }
    })
  )

  it.effect("is not taken back by what says nothing", () =>
    Effect.gen(function* () {
      for (const after of [
        { candidates: [{ content: { parts: [{ text: "" }] } }] },
        { candidates: [{ content: { parts: [{ text: "", thoughtSignature: "c2ln" }] } }] },
        { candidates: [{ content: { parts: [{ functionCall: {} }] } }] },
        { candidates: [] },
        { usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 4 } }
      ]) {
        const end = { candidates: [{ content: { parts: [{ text: "One" }] }, finishReason: "STOP" }] }
        const { error } = yield* decodeBytes(GoogleGemini.protocol, [chunk(end), chunk(after)])
        expect(error, JSON.stringify(after)).toBeUndefined()
      }
    })
  )

  it.effect.each([
    ["STOP", "stop"],
    ["MAX_TOKENS", "length"],
    ["SAFETY", "content-filter"],
    ["RECITATION", "content-filter"],
    ["BLOCKLIST", "content-filter"],
    ["PROHIBITED_CONTENT", "content-filter"],
    ["SPII", "content-filter"],
    ["IMAGE_SAFETY", "content-filter"],
    ["LANGUAGE", "other"],
    ["OTHER", "other"],
    ["FUNCTION_CALL", "tool-calls"],
    ["SOMETHING_NEW", "other"]
  ] as const)("%s is %s", ([finishReason, reason]) =>
    Effect.gen(function* () {
      const { events } = yield* decodeBytes(GoogleGemini.protocol, [chunk({ candidates: [{ finishReason }] })])
      expect(events.at(-1)).toMatchObject({ _tag: "Finished", reason, rawReason: finishReason })
    })
  )

  it.effect.each([
    ["MALFORMED_FUNCTION_CALL", "ProviderFailed"],
    ["UNEXPECTED_TOOL_CALL", "ProviderFailed"],
    ["TOO_MANY_TOOL_CALLS", "ProviderFailed"],
    ["MALFORMED_RESPONSE", "ProviderFailed"],
    ["MISSING_THOUGHT_SIGNATURE", "InvalidRequest"]
  ] as const)("%s leaves no answer: %s", ([finishReason, reason]) =>
    Effect.gen(function* () {
      const candidate = { finishReason, finishMessage: "print(secret words)" }
      const { error } = yield* decodeBytes(GoogleGemini.protocol, [
        chunk({ candidates: [candidate], usageMetadata: { promptTokenCount: 5 } })
      ])
      expect(error).toMatchObject({ reason: { _tag: reason, code: finishReason }, usage: { inputTokens: 5 } })
      expect(error?.message).not.toContain("secret")
    })
  )

  it.effect("of a prompt that was blocked is a content filter", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("blocked")
      expect(events.at(-1)).toMatchObject({ reason: "content-filter", rawReason: "PROHIBITED_CONTENT" })
    })
  )
})

describe("tool calls", () => {
  it.effect("come complete, in order, directly before Finished, under ids that no other turn has", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("calls-parallel")
      expect(events.slice(-4)).toMatchObject([
        { _tag: "ToolCalled", id: "fc-1", name: "weather", input: { city: "Bern" } },
        { _tag: "ToolCalled", id: "fc-2", name: "weather", input: { city: "Basel" } },
        { _tag: "ToolCalled", id: "call_r1_2", name: "now", input: {} },
        { _tag: "Finished", reason: "tool-calls", rawReason: "STOP" }
      ])
    })
  )

  it.effect("that come in pieces are JSON as they come", () =>
    Effect.gen(function* () {
      const { events } = yield* decode("calls-in-pieces")
      const input = {
        recipe: {
          name: 'Las"agna\\\n',
          parts: [{ amount: 0.5, fresh: true }, { amount: 2 }],
          grid: [[1, 2], [3]]
        },
        "it's": null,
        "a.b": "é!"
      }
      expect(calls(events)).toMatchObject([
        { name: "cook", input, metadata: { google: { thoughtSignature: "cGM=" } } },
        { name: "now", input: {} },
        { name: "weather", input: { city: "Bern" } }
      ])
      for (const { id, input } of calls(events)) expect(JSON.parse(deltas(events, id) || "{}")).toEqual(input)
      // As soon as it is known.
      expect(events.filter((event) => event._tag === "ToolCallDelta").length).toBeGreaterThan(8)
    })
  )

  it.effect("whose pieces leave their order are put together all the same", () =>
    Effect.gen(function* () {
      const [call] = calls((yield* decode("calls-out-of-order")).events)
      const json = '{"a":{"x":1,"y":2},"b":"one two","__proto__":{"z":false},"list":["l"]}'
      expect(JSON.stringify(call?.input)).toBe(json)
      expect(Object.getPrototypeOf(call?.input)).toBe(Object.prototype)
    })
  )

  it.effect("that end in the middle are Truncated, though the provider says STOP", () =>
    Effect.gen(function* () {
      const { error, events } = yield* decode("call-cut")
      expect(error?.reason._tag).toBe("Truncated")
      expect(calls(events)).toEqual([])
    })
  )

  it.effect.each(["call-cut-by-length", "finish-other"])("of an answer that was cut do not come: %s", (name) =>
    Effect.gen(function* () {
      const { error, events } = yield* decode(name)
      expect(error).toBeUndefined()
      expect(events.some((event) => event._tag === "ToolCallStarted")).toBe(true)
      expect(calls(events)).toEqual([])
    })
  )

  it.effect("that Google ran are not for us to run", () =>
    Effect.gen(function* () {
      const { finishReason, text, toolCalls } = yield* fold("calls-run-by-google")
      expect({ finishReason, text, toolCalls }).toEqual({ finishReason: "stop", text: "It is sunny.", toolCalls: [] })
      const parts = [
        { functionCall: { id: "a", name: "now" } },
        { functionCall: { id: "b", name: "now" } },
        { functionResponse: { id: "b", name: "now" } }
      ]
      const { events } = yield* decodeBytes(GoogleGemini.protocol, [
        chunk({ candidates: [{ content: { parts }, finishReason: "STOP" }] })
      ])
      expect(calls(events).map(({ id }) => id)).toEqual(["a"])
    })
  )
})

describe("pieces of an input", () => {
  /** Every value of a tree with its place, in order, long strings in two pieces. */
  const piecesOf = (value: unknown, path = "$"): ReadonlyArray<Record<string, unknown>> => {
    if (Array.isArray(value)) return value.flatMap((item, index) => piecesOf(item, `${path}[${index}]`))
    if (typeof value === "object" && value !== null) {
      return Object.entries(value).flatMap(([key, item]) => piecesOf(item, `${path}["${key}"]`))
    }
    const at = { jsonPath: path }
    if (typeof value === "number") return [{ ...at, numberValue: value }]
    if (typeof value === "boolean") return [{ ...at, boolValue: value }]
    if (value === null) return [{ ...at, nullValue: null }]
    const text = String(value)
    const half = Math.ceil(text.length / 2)
    return [
      { ...at, stringValue: text.slice(0, half), willContinue: true },
      { ...at, stringValue: text.slice(half) }
    ]
  }

  const trees: ReadonlyArray<object> = [
    { a: 1 },
    { a: "", b: "\ud83d\ude00", c: '"\\' },
    { a: { b: { c: [1, [2, [3]], { d: "x" }] } }, e: null },
    { list: [{ a: 1 }, { a: 2 }, { a: [true, false] }], after: "yes" },
    { a: [[[1]]], b: [["x"], ["y", "z"]] }
  ]

  it.each(trees)("in order: %j", (tree) => {
    const input = new Arguments()
    const written = piecesOf(tree).map((piece) => input.add(piece))
    const { text, whole } = input.end()
    expect(whole).toBe(false)
    expect(JSON.parse(written.join("") + text)).toEqual(tree)
  })

  it.each(trees.slice(2))("in another order: %j", (tree) => {
    const input = new Arguments()
    const groups = Object.entries(tree).map(([key, value]) => piecesOf(value, `$["${key}"]`))
    const pieces = groups.flat()
    // The first piece comes again at the end, and sets the same.
    const { stringValue, ...first } = pieces[0]!
    for (const piece of [...pieces, stringValue === undefined ? first : { ...first, stringValue: "" }]) {
      expect(input.add(piece)).toBeDefined()
    }
    const { text, whole } = input.end()
    expect(whole).toBe(true)
    expect(JSON.parse(text)).toEqual(tree)
  })

  it.each(["", "a", "$", "$a", "$[0]", "$.", "$.a[", "$.a[x]", "$..a", "$.a[1]", "$.a[4294967294]", undefined, 7])(
    "at no place that can be: %j",
    (jsonPath) => expect(new Arguments().add({ jsonPath, numberValue: 1 })).toBeUndefined()
  )

  it("inside another value, or of no value", () => {
    const input = new Arguments()
    expect(input.add({ jsonPath: "$.a", numberValue: 1 })).toBe('{"a":1')
    expect(input.add({ jsonPath: "$.b", dateValue: "1970" })).toBe("")
    expect(input.add({ jsonPath: "$.a.b", numberValue: 1 })).toBeUndefined()
  })

  it("that are many take time in proportion", () => {
    const input = new Arguments()
    let written = ""
    for (let i = 0; i < 20_000; i++) written += input.add({ jsonPath: `$.list[${i}].name`, stringValue: "x" })
    expect(JSON.parse(written + input.end().text).list).toHaveLength(20_000)
  })
})

describe("usage", () => {
  it.effect("is the last object, whole: counts may fall", () =>
    Effect.gen(function* () {
      expect((yield* fold("text")).usage).toMatchObject({
        source: "exact",
        inputTokens: 5,
        outputTokens: 29,
        reasoningTokens: 20,
        cacheReadTokens: 3
      })
      expect((yield* fold("usage-late")).usage).toMatchObject({ source: "exact", inputTokens: 5, outputTokens: 8 })
      expect((yield* fold("no-usage")).usage.source).toBe("estimated")
      expect((yield* decode("error")).error?.usage).toMatchObject({ source: "exact", inputTokens: 5, outputTokens: 1 })
    })
  )

  it.effect("without counts, as Vertex AI's first objects have none, is no usage", () =>
    Effect.gen(function* () {
      const { error } = yield* decodeBytes(GoogleGemini.protocol, [
        chunk({ candidates: [], usageMetadata: { trafficType: "ON_DEMAND" } })
      ])
      expect(error?.usage?.source).toBe("estimated")
      const { events } = yield* decodeBytes(GoogleGemini.protocol, [
        chunk({ candidates: [{ finishReason: "STOP" }], usageMetadata: { promptTokenCount: 5 } }),
        chunk({ candidates: [], usageMetadata: { trafficType: "ON_DEMAND" } })
      ])
      expect(events.at(-1)).toMatchObject({ usage: { source: "exact", inputTokens: 5 } })
    })
  )
})

it.effect("sources are told once", () =>
  Effect.gen(function* () {
    expect((yield* fold("sources")).sources).toEqual([
      { sourceType: "url", url: "https://example.com/a", title: "A" },
      { sourceType: "document", url: "gs://bucket/b.pdf", title: "B" },
      { sourceType: "url", url: "https://maps.example.com/c", title: "C" },
      { sourceType: "url", url: "https://example.com/d" },
      { sourceType: "url", url: "https://example.com/e0" },
      { sourceType: "url", url: "https://example.com/e" },
      { sourceType: "url", url: "https://example.com/f", title: "F" }
    ])
  })
)

describe("errors in the stream", () => {
  const step = (value: unknown, event = "", data = "") => {
    const { decoder } = GoogleGemini
    const state = decoder.initial({ provider: "test", inputCharacters: 0, conceal: (text) => text.replace("KEY", "…") })
    const reason = decoder.step(state, { event, data, value }, [])
    return { reason, retryAfter: decoder.told(state).retryAfter }
  }

  it("quote no key", () => {
    expect(step({ error: { message: "KEY is wrong", status: "INTERNAL" } }).reason?.message).toMatch(/^… is wrong\./)
    expect(step({ error: { message: "KEY is wrong" } }).reason?.message).toMatch(/^… is wrong\./)
    expect(step(undefined, "error", "KEY is wrong").reason?.message).toMatch(/^… is wrong\./)
  })

  it("tell their delay", () => {
    const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "34.07s" }]
    const { reason, retryAfter } = step([{ error: { code: 429, message: "x", status: "RESOURCE_EXHAUSTED", details } }])
    expect(reason).toMatchObject({ _tag: "RateLimited", status: 429, code: "RESOURCE_EXHAUSTED" })
    expect(retryAfter && Duration.toMillis(retryAfter)).toBe(34_070)
  })
})

// https://ai.google.dev/gemini-api/docs/thought-signatures: parts go back as they came.
describe("a history", () => {
  const { body } = encoding(GoogleGemini.encode)
  const sentBack = (name: string) =>
    Effect.map(fold(name), ({ toMessage }) => {
      const { contents } = body({ prompt: Prompt.fromMessages([toMessage]) }, "gemini-3-pro-preview")
      return (contents as ReadonlyArray<{ readonly role: string; readonly parts: unknown }>)[0]
    })

  it.effect("has the signature of an answer in its last part, which is empty", () =>
    Effect.gen(function* () {
      expect(yield* sentBack("text")).toEqual({
        role: "model",
        parts: [{ text: "Größe über\u2028alles, 雨 😀." }, { text: "", thoughtSignature: "c2ln" }]
      })
    })
  )

  it.effect("has the signatures of thoughts and of text where they were, and no thought without one", () =>
    Effect.gen(function* () {
      expect((yield* fold("thoughts")).reasoning).toBe("**Look**\n\nclosely.And then.")
      expect((yield* sentBack("thoughts"))?.parts).toEqual([
        { text: "**Look**\n\nclosely.", thought: true, thoughtSignature: "dGg=" },
        { text: "It is" },
        { text: " 42", thoughtSignature: "bWlk" },
        { text: ", surely." },
        { text: "", thoughtSignature: "ZW5k" }
      ])
    })
  )

  it.effect("has the signatures and the ids of calls, and makes up neither", () =>
    Effect.gen(function* () {
      expect((yield* sentBack("calls-parallel"))?.parts).toEqual([
        { text: "I ask both." },
        { functionCall: { id: "fc-1", name: "weather", args: { city: "Bern" } }, thoughtSignature: "b25l" },
        { functionCall: { id: "fc-2", name: "weather", args: { city: "Basel" } } },
        { functionCall: { name: "now", args: {} } }
      ])
      expect((yield* sentBack("call"))?.parts).toEqual([
        { functionCall: { name: "weather", args: { city: "Zürich", days: 3 } }, thoughtSignature: "Y2FsbA==" }
      ])
    })
  )

  it.effect("of an answer that came whole is the same", () =>
    Effect.gen(function* () {
      expect((yield* sentBack("json-document"))?.parts).toEqual([
        { text: "Whole" },
        { functionCall: { name: "now", args: {} }, thoughtSignature: "d2g=" }
      ])
    })
  )
})

it("fixtures are small", () => {
  for (const name of ["text", "calls-in-pieces", "sources"]) expect(read(name).length).toBeLessThan(8192)
})
