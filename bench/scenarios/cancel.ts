/** From a reader's `break`, or its interruption, to when the server sees that nobody reads. */
import { times } from "../harness/Cpu.ts"
import type { Scenario } from "../Scenario.ts"
import * as Stamp from "../server/Stamp.ts"

const plan = { tokens: 2000, every: 5 }

export const cancel: Scenario = {
  title: "cancel: from the reader's break to the close that the server sees (never: not within 5 s)",
  protocols: ["chat"],
  columns: [{ key: "wait", title: "ms", digits: 2 }],
  rounds: 15,
  process: "kept",
  warmUp: (asker) => times(20, () => asker.whole({ tokens: 100, events: 1 })),
  measure: async (asker) => {
    let texts = 0
    let stopped: number | undefined
    const ended = asker.each(plan, () => {
      texts++
      if (texts < 5) return undefined
      stopped ??= Stamp.now()
      return Promise.resolve(true)
    })
    // Some never come back from it.
    await Promise.race([ended, new Promise((late) => setTimeout(late, 1000))])
    if (stopped === undefined) throw new Error("the answer ended before it was stopped")
    return { stopped }
  },
  complete: async ({ stopped }, server) => {
    const abandoned = await server.abandoned()
    return { wait: abandoned === undefined ? Infinity : (abandoned.at - stopped!) / 1000 }
  }
}
