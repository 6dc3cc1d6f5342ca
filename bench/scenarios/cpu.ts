/** CPU time of the client's process per token, however the tokens are written. */
import { atOnce, busy, cpu, times } from "../harness/Cpu.ts"
import type { Scenario } from "../Scenario.ts"
import { type Plan, protocols } from "../server/Plan.ts"

const columns = [
  { key: "cpu", title: "µs/token", digits: 2, ratio: true },
  { key: "rate", title: "tokens/s", digits: 0 }
]

const make = (title: string, plan: Plan, warmUp: Plan, streams = 1): Scenario => ({
  title,
  protocols,
  columns,
  rounds: 5,
  process: "kept",
  // Until V8 has compiled what it will: processes differ in how soon they get there.
  warmUp: (asker) => times(6, () => atOnce(streams, () => asker.whole(warmUp))),
  measure: async (asker) => {
    await busy(() => atOnce(streams, () => asker.whole(warmUp)))
    const begin = performance.now()
    const used = await cpu(() => atOnce(streams, () => asker.whole(plan)))
    const tokens = plan.tokens * streams
    return { cpu: used / tokens, rate: (tokens * 1000) / (performance.now() - begin) }
  }
})

const warm = 40_000

export const bytes = make(
  "one answer of 100,000 tokens, in writes of 16 KB",
  { tokens: 100_000, bytes: 16_384 },
  { tokens: warm, bytes: 16_384 }
)

export const flush = make(
  "one answer of 100,000 tokens, 64 events in a write",
  { tokens: 100_000, events: 64 },
  { tokens: warm, events: 64 }
)

/** As fast as most can read them one by one: who is fast does not get more pieces to read than who is slow. */
export const events = make(
  "one answer of 40,000 tokens, each event in a write of its own, 30,000 in a second",
  { tokens: 40_000, every: 1 / 30 },
  { tokens: warm, events: 1 }
)

/** As fast as the server can: who is slower than that reads several events at once. */
export const flood = make(
  "one answer of 40,000 tokens, each event in a write of its own, as fast as the server can",
  { tokens: 40_000, events: 1 },
  { tokens: warm, events: 1 }
)

export const streams = make(
  "200 answers of 300 tokens at once, each event in a write of its own",
  { tokens: 300, events: 1 },
  { tokens: 300, events: 1 },
  200
)

export const paced = make(
  "50 answers at once, a token every 10 ms each: the everyday case",
  { tokens: 200, every: 10, streams: 50 },
  { tokens: 100, every: 10, streams: 50 },
  50
)
