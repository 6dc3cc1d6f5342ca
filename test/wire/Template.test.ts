import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { afterEach, describe, expect, it, vi } from "vitest"
import * as Effect from "effect/Effect"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import * as OllamaChat from "effect-rill/protocol/OllamaChat"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as OpenAiResponses from "effect-rill/protocol/OpenAiResponses"
import type { Protocol } from "effect-rill/protocol/Protocol"
import type { Progress } from "effect-rill/wire/Decoder"
import { KnownShapes } from "effect-rill/wire/KnownShapes"
import { LearnedShape } from "effect-rill/wire/LearnedShape"
import { bytes, cuts, decodeBytes, type Outcome } from "../support/decodeBytes.ts"
import { random } from "../support/random.ts"

afterEach(() => void vi.restoreAllMocks())

/** How a protocol's stream is written; `piece` is JSON, mostly of a string. */
interface Wire {
  readonly decode: (chunks: Iterable<Uint8Array>, options?: Options) => Promise<Outcome>
  readonly framing: "sse" | "ndjson"
  readonly head: ReadonlyArray<string>
  readonly delta: (i: number, piece: string) => string
  /** The same stream as another answer has it. */
  readonly as: (stream: string, answer: number) => string
  /** What may stand between the pieces. */
  readonly others: ReadonlyArray<string>
  readonly tail: ReadonlyArray<string>
}

interface Options {
  readonly maxEventLength?: number
  readonly shapes?: KnownShapes
  /** Whether each frame is parsed. */
  readonly parsed?: boolean
  readonly onText?: (text: string) => void
}

const of = <S extends Progress>(protocol: Protocol<S>): Pick<Wire, "decode" | "framing"> => ({
  framing: protocol.framing,
  decode: (chunks, { onText, parsed = false, ...options } = {}) => {
    const { repeats: _, ...decoder } = protocol.decoder
    return Effect.runPromise(
      decodeBytes(parsed ? { ...protocol, decoder } : protocol, chunks, {
        ...options,
        onEvent: (event) => Effect.sync(() => void (event._tag === "TextDelta" && onText?.(event.text)))
      })
    )
  }
})

const sse = (event: string, data: string): string => `${event === "" ? "" : `event: ${event}\n`}data: ${data}\n\n`
const chunk = (delta: string, more = ""): string =>
  sse("", `{"id":"c","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":${delta}}]${more}}`)
const writing = (more: string): string =>
  sse("response.output_text.delta", `{"type":"response.output_text.delta",${more}}`)
const block = (more: string): string => sse("content_block_delta", `{"type":"content_block_delta",${more}}`)

const wires: Readonly<Record<string, Wire>> = {
  chat: {
    ...of(OpenAiChat.protocol),
    head: [chunk(`{"role":"assistant","content":""}`)],
    delta: (i, piece) =>
      sse(
        "",
        `{"id":"c${i % 5}","object":"chat.completion.chunk","created":${i},"choices":[{"index":0,"delta":{"content":${piece}},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"${"x".repeat(i % 7)}"}`
      ),
    as: (stream, answer) =>
      stream
        .replaceAll(`"logprobs":null`, `"service":"tier \\"${answer % 3}\\"","logprobs":null`)
        .replaceAll(`"choices":`, `"number":${answer},"choices":`),
    others: [
      ": keep-alive\n\n",
      chunk(`{"content":"two at once","refusal":"no"}`),
      chunk(`{"reasoning_content":"hm"}`),
      chunk(`{"content":"a","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}`),
      chunk(`{"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"{"}}]}`),
      chunk(`{"content":"a","tool_calls":[{"index":0,"function":{"arguments":"}"}}]}`),
      chunk(`{"content":"with usage"}`, `,"usage":{"prompt_tokens":3,"completion_tokens":5}`),
      chunk(`{"content":"cited"}`, `,"citations":["https://a.test"]`),
      sse("", `{"choices":[{"index":1,"delta":{"content":"of another"}}]}`),
      sse("ping", "{}"),
      `dato: {"id":"c1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"content":"of no field"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":""}\n\n`
    ],
    tail: [sse("", `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`), sse("", "[DONE]")]
  },
  responses: {
    ...of(OpenAiResponses.protocol),
    head: [sse("response.created", `{"type":"response.created","response":{"id":"r","model":"m"}}`)],
    delta: (i, piece) =>
      writing(
        `"item_id":"i","output_index":0,"content_index":0,"delta":${piece},"sequence_number":${i},"obfuscation":"${"x".repeat(i % 9)}"`
      ),
    as: (stream, answer) => stream.replaceAll(`"item_id":"i"`, `"item_id":"item ${answer}"`),
    others: [
      writing(`"item_id":"other","output_index":1,"content_index":0,"delta":"elsewhere"`),
      writing(`"item_id":"i","output_index":0,"content_index":1,"delta":"second part"`),
      sse(
        "response.reasoning_summary_text.delta",
        `{"type":"response.reasoning_summary_text.delta","item_id":"r","output_index":2,"summary_index":0,"delta":"hm"}`
      ),
      sse(
        "response.output_text.done",
        `{"type":"response.output_text.done","item_id":"i","output_index":0,"content_index":2,"text":"third part"}`
      )
    ],
    tail: [
      sse(
        "response.completed",
        `{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","id":"i","content":[{"type":"output_text","text":"x"}]}],"usage":{"input_tokens":1,"output_tokens":2}}}`
      )
    ]
  },
  anthropic: {
    ...of(AnthropicMessages.protocol),
    head: [
      sse("message_start", `{"type":"message_start","message":{"id":"m","model":"c","usage":{"input_tokens":3}}}`),
      sse("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
    ],
    delta: (i, piece) =>
      sse(
        "content_block_delta",
        `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":${piece}}${" ".repeat(i % 4)}}${" ".repeat(i % 3)}`
      ),
    as: (stream, answer) => stream.replaceAll(`"index":0`, `"index":${answer % 4}`),
    others: [
      sse("ping", `{"type":"ping"}`),
      block(`"index":1,"delta":{"type":"thinking_delta","thinking":"hm"}`),
      block(`"index":1,"delta":{"type":"signature_delta","signature":"s"}`),
      sse("content_block_stop", `{"type":"content_block_stop","index":1}`)
    ],
    tail: [
      sse("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}`),
      sse("message_stop", `{"type":"message_stop"}`)
    ]
  },
  ollama: {
    ...of(OllamaChat.protocol),
    head: [],
    delta: (i, piece) =>
      `{"model":"l","created_at":"2026-08-04T08:52:${10 + (i % 50)}.${i}Z","message":{"role":"assistant","content":${piece}},"done":false}\n`,
    as: (stream, answer) => stream.replaceAll(`"model":"l"`, `"model":"l${answer}"`),
    others: [
      "\n",
      `{"model":"l","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}\n`,
      `{"model":"l","message":{"content":"a","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}\n`
    ],
    tail: [`{"model":"l","message":{"content":""},"done":true,"done_reason":"stop","eval_count":4}\n`]
  }
}

const plain = [" word", "a", "", "ein Maß", "日本", "😀", "longer than what is copied", " "].map((text) =>
  JSON.stringify(text)
)
const hostile = [
  '"a \\"quote\\""',
  '"line\\nbreak"',
  '"back\\\\"',
  '"\\u0041\\ud83d\\ude00"',
  '"\\ud83d"',
  '"x\u2028y"',
  '"},{\\"content\\":\\"b\\""',
  "null",
  "1",
  '["a"]',
  '{"content":"b"}'
]
/** Of which the stream dies, one way or the other. */
const broken = ['"bad \\x escape"', '"tab\there"', '"unfinished', '"x"}', "", '"\\u12"']

it("a line that differs in its beginning alone is another", async () => {
  const { decode, delta, tail } = wires["ollama"]!
  const lines = [1, 2, 3, 4].map((i) => delta(i, `"${i}"`))
  const { error, events } = await decode([bytes([...lines, lines[3]!.replace("model", "error"), ...tail].join(""))])
  expect(events.filter(({ _tag }) => _tag === "TextDelta").length).toBe(4)
  expect(error?.reason._tag).toBe("ProviderFailed")
})

describe.each(Object.entries(wires))(
  "frames of %s that repeat",
  (_, { as, decode, delta, framing, head, others, tail }) => {
    it.each(["alone", "after others"])("tell what they tell when each is parsed, %s", async (company) => {
      const known = company === "alone" ? {} : { shapes: new KnownShapes() }
      for (let seed = 1; seed <= 60; seed++) {
        const { chance, of: one } = random(seed)
        const frames = Array.from({ length: 40 }, (_, i) => {
          if (chance(0.1)) return one(others)
          // An error, whatever it holds: its name may have come in another chunk.
          if (framing === "sse" && seed % 4 === 1 && chance(0.02)) return `event: error\n${delta(i, '"x"')}`
          return delta(i, seed % 4 === 0 && chance(0.02) ? one(broken) : chance(0.2) ? one(hostile) : one(plain))
        })
        const ends = one(["\n", "\n", "\r\n", ...(framing === "sse" ? ["\r"] : [])])
        const text = as([...head, ...frames, ...tail].join(""), seed).replaceAll("\n", ends)
        const whole = bytes(chance(0.1) ? `\ufeff${text}` : text)
        const expected = await decode([whole], { parsed: true })
        for (const [name, chunks] of cuts(whole)) {
          const outcome = await decode(chunks, known)
          expect(outcome.events, `seed ${seed}, ${name}`).toEqual(expected.events)
          expect(outcome.error?.message, `seed ${seed}, ${name}`).toBe(expected.error?.message)
          expect(outcome.error?.emitted).toBe(expected.error?.emitted)
        }
      }
    })

    it("are not parsed", async () => {
      const spy = vi.spyOn(LearnedShape.prototype, "parse")
      const frames = Array.from({ length: 1000 }, (_, i) => delta(i, `" ${i}"`))
      const { error, events } = await decode([bytes([...head, ...frames, ...tail].join(""))])
      expect(error).toBeUndefined()
      expect(events.filter(({ _tag }) => _tag === "TextDelta").length).toBe(1000)
      expect(spy.mock.calls.length).toBeLessThan(20)
    })

    it("are known by the first of them in the third answer and after it", async () => {
      const shapes = new KnownShapes()
      const frames = Array.from({ length: 20 }, (_, i) => delta(i, `" ${i}"`))
      const spy = vi.spyOn(LearnedShape.prototype, "parse")
      const read = async (answer: number): Promise<number> => {
        spy.mockClear()
        const { error, events } = await decode([bytes(as([...head, ...frames, ...tail].join(""), answer))], { shapes })
        expect(error).toBeUndefined()
        expect(events.filter(({ _tag }) => _tag === "TextDelta").length).toBe(20)
        return spy.mock.calls.length
      }
      const first = await read(1)
      await read(2)
      for (let answer = 3; answer < 10; answer++) {
        expect(await read(answer)).toBeLessThanOrEqual(head.length + tail.length + 1)
      }
      expect(first).toBeGreaterThan(head.length + tail.length + 1)
    })

    it("larger than an event may be are refused as all others", async () => {
      const frames = [1, 2, 3, 4].map((i) => delta(i, `"${i}"`))
      const large = delta(5, `"${"x".repeat(1000)}"`)
      const { error, events } = await decode([bytes([...head, ...frames, large].join(""))], { maxEventLength: 500 })
      expect(events.filter(({ _tag }) => _tag === "TextDelta").length).toBe(4)
      expect(error?.reason._tag).toBe("Malformed")
    })
  }
)

it.each<readonly [string, string, (piece: string) => string]>([
  [
    "chat",
    "a call",
    (p) => chunk(`{"content":${p},"tool_calls":[{"index":0,"id":"1","function":{"name":"f","arguments":"1"}}]}`)
  ],
  ["chat", "reasoning", (p) => chunk(`{"content":${p},"reasoning":"hm"}`)],
  [
    "chat",
    "a second choice",
    (p) => sse("", `{"choices":[{"index":0,"delta":{"content":${p}}},{"index":0,"delta":{"content":"."}}]}`)
  ],
  [
    "responses",
    "a summary",
    (p) =>
      sse(
        "response.reasoning_summary_text.delta",
        `{"type":"response.reasoning_summary_text.delta","item_id":"r","output_index":2,"summary_index":0,"delta":${p}}`
      )
  ],
  ["responses", "another item", (p) => writing(`"item_id":"o","output_index":1,"content_index":0,"delta":${p}`)],
  [
    "ollama",
    "thinking",
    (p) => `{"model":"l","created_at":"t","message":{"role":"assistant","content":${p},"thinking":"hm"},"done":false}\n`
  ]
])("frames of %s that repeat with %s tell all of it, each time", async (name, _, frame) => {
  const { decode, delta, head, tail } = wires[name]!
  const pieces = ["a", "b", "c", "d", "e"].map((text) => JSON.stringify(text))
  const both = (i: number) => [...pieces.map((piece) => delta(i, piece)), ...pieces.map(frame)]
  const part = `{"type":"output_text","text":"abcde"}`
  const items = ["i", "o"].map((id) => `{"type":"message","id":"${id}","content":[${part},${part}]}`).join(",")
  const end =
    name === "responses"
      ? [
          sse(
            "response.completed",
            `{"type":"response.completed","response":{"status":"completed","output":[${items}]}}`
          )
        ]
      : tail
  const chunks = [bytes([...head, ...both(1), ...both(2), ...end].join(""))]
  expect((await decode(chunks)).events).toEqual((await decode(chunks, { parsed: true })).events)
})

it.each([
  ["chat", '"index":0', '"index":1', /^0+$/],
  ["responses", '"output_index":0', '"output_index":1', /^[01]+$/],
  ["responses", '"content_index":0', '"content_index":1', /^[01]+$/]
] as const)("frames of %s that vary in %s as well are parsed: that is read", async (name, one, other, told) => {
  const { decode, delta, head, tail } = wires[name]!
  const frames = Array.from({ length: 40 }, (_, i) => delta(i, `"${i % 2}"`).replace(one, i % 2 === 0 ? one : other))
  const whole = [bytes([...head, ...frames, ...tail].join(""))]
  const { events } = await decode(whole)
  expect(events).toEqual((await decode(whole, { parsed: true })).events)
  expect(events.map((event) => (event._tag === "TextDelta" ? event.text : "")).join("")).toMatch(told)
})

it("the pieces do not keep what they were read from in memory", async () => {
  setFlagsFromString("--expose-gc")
  const collect = runInNewContext("gc") as () => void
  const { decode, delta, head } = wires["chat"]!
  const piece = "longer than what V8 copies"
  const kept: Array<string> = []
  const lines = `${": ".padEnd(16_000, "x")}\n\n`
  const chunks = function* () {
    yield bytes(head.join("") + delta(1, '"a"') + delta(2, '"b"'))
    for (let i = 0; i < 2000; i++) yield bytes(delta(i, `"${piece}"`) + lines)
  }
  collect()
  const before = process.memoryUsage().heapUsed
  const { error } = await decode(chunks(), { onText: (text) => void kept.push(text) })
  expect(error?.reason._tag).toBe("Truncated")
  collect()
  expect(kept.length).toBe(2002)
  // 32 MB, if each kept its chunk.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000)
})
