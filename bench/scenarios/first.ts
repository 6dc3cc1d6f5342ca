/** Time to first token, of a client that is warm and has a connection. */
import { busy, times } from "../harness/Cpu.ts"
import { quantile } from "../harness/Statistics.ts"
import type { Scenario } from "../Scenario.ts"
import { protocols } from "../server/Plan.ts"

const plan = { tokens: 32, events: 32 }
const asks = 200

export const first: Scenario = {
  title: "time to first token, warm: from the call to the first text",
  protocols,
  columns: [
    { key: "p50", title: "p50 ms", digits: 3, ratio: true },
    { key: "p99", title: "p99 ms", digits: 3 }
  ],
  rounds: 5,
  process: "kept",
  warmUp: (asker) => times(asks, () => asker.whole(plan)),
  measure: async (asker) => {
    await busy(() => asker.whole(plan))
    const waits: Array<number> = []
    await times(asks, async () => {
      const begin = performance.now()
      let wait: number | undefined
      await asker.each(plan, () => {
        wait ??= performance.now() - begin
        return undefined
      })
      if (wait === undefined) throw new Error("no text came")
      waits.push(wait)
    })
    // Once more, to see that it reads what it should.
    await asker.whole(plan)
    return { p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) }
  }
}
