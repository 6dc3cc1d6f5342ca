/** Time of single parts: the learned shape beside JSON.parse, and a long line in pieces beside one. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as OpenAiChat from "../../src/protocol/OpenAiChat.ts"
import * as LearnedShape from "../../src/wire/LearnedShape.ts"
import { bytes, decodeBytes } from "../../test/support/decodeBytes.ts"

const rounds = 21
const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const time = (work: () => void): number => {
  const before = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - before)
}
/** The median time of each, and the median of their ratios, in alternating runs. */
const compare = (name: string, per: number, a: () => void, b: () => void): void => {
  const runs = Array.from({ length: rounds + 5 }, () => [time(a), time(b)] as const).slice(5)
  const [x, y] = [median(runs.map(([x]) => x)) / per, median(runs.map(([, y]) => y)) / per]
  console.log(
    `${name}: ${x.toFixed(0)} ns against ${y.toFixed(0)} ns, ${median(runs.map(([x, y]) => x / y)).toFixed(2)}×`
  )
}

const lines = Array.from(
  { length: 20_000 },
  (_, i) =>
    `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1771434740,"model":"gpt-4o-mini","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word${i}"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"${"abcdefghijk".slice(0, i % 11)}"}`
)
let sink: unknown
compare(
  "a chat line, learned shape against JSON.parse",
  lines.length,
  () => {
    const learned = new LearnedShape.LearnedShape()
    for (const line of lines) sink = learned.parse(line)
  },
  () => {
    for (const line of lines) sink = JSON.parse(line)
  }
)

// The whole stage, bytes to events: a line of 1 MB of JSON, in chunks as a socket would give them.
const line = bytes(
  `data: {"choices":[{"index":0,"delta":{"content":"${"word ".repeat(200_000)}"}}]}\n\ndata: [DONE]\n\n`
)
const pieces = Array.from({ length: Math.ceil(line.length / 200) }, (_, i) => line.subarray(i * 200, i * 200 + 200))
// Given out 64 at a time, so that the stage is measured and not its source.
const read = (chunks: ReadonlyArray<Uint8Array>) =>
  (sink = Effect.runSync(decodeBytes(OpenAiChat.protocol, Stream.fromIterable(chunks, { chunkSize: 64 }))))
compare(
  "a line of 1 MB through the stage, in pieces of 200 bytes against one piece",
  1,
  () => read(pieces),
  () => read([line])
)
if (sink === undefined) throw new Error("nothing was read")
