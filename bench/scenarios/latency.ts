/** What a client adds to the way of a token: from before the server writes it to when the reader has it. */
import { busy, times } from "../harness/Cpu.ts"
import { quantile } from "../harness/Statistics.ts"
import type { Scenario } from "../Scenario.ts"
import * as Stamp from "../server/Stamp.ts"

const plan = { tokens: 400, every: 5, stamped: 1 } as const

export const latency: Scenario = {
  title: "a token every 5 ms: from the server's write to the reader, per token",
  protocols: ["chat"],
  columns: [
    { key: "p50", title: "p50 ms", digits: 3, ratio: true },
    { key: "p99", title: "p99 ms", digits: 3, ratio: true }
  ],
  rounds: 5,
  process: "kept",
  warmUp: async (asker) => {
    await times(2, () => asker.whole({ tokens: 20_000, events: 1 }))
    await asker.each({ ...plan, tokens: 50 }, () => undefined)
  },
  measure: async (asker) => {
    await busy(() => asker.whole({ tokens: 20_000, events: 1 }))
    const added: Array<number> = []
    await asker.each(plan, (text) => {
      const now = Stamp.now()
      for (const written of Stamp.read(text)) added.push((now - written) / 1000)
      return undefined
    })
    if (added.length !== plan.tokens) throw new Error(`${added.length} tokens came, not ${plan.tokens}`)
    return { p50: quantile(added, 0.5), p99: quantile(added, 0.99) }
  }
}
