/** Memory that one long answer takes. */
import { held, peak as most } from "../harness/Memory.ts"
import type { Scenario } from "../Scenario.ts"
import { protocols } from "../server/Plan.ts"

const plan = { tokens: 100_000, bytes: 16_384 }

export const peak: Scenario = {
  title: "peak memory of a process that reads one answer of 100,000 tokens, in writes of 16 KB",
  protocols,
  columns: [
    { key: "peak", title: "peak RSS MB", digits: 1, ratio: true },
    { key: "grown", title: "of which for it", digits: 1 }
  ],
  rounds: 5,
  process: "fresh",
  measure: async (asker) => {
    await asker.whole({ tokens: 1000, bytes: 16_384 })
    const before = most()
    await asker.whole(plan)
    return { peak: most(), grown: most() - before }
  }
}

export const kept: Scenario = {
  title: "memory of the 100,000 texts of an answer, kept in an array",
  protocols: ["chat"],
  columns: [{ key: "held", title: "held MB", digits: 2, ratio: true }],
  rounds: 3,
  process: "fresh",
  measure: async (asker) => {
    // What a client learns and compiles is not the texts'.
    await asker.whole(plan)
    const before = await held()
    const texts: Array<string> = []
    await asker.each(plan, (text) => {
      texts.push(text)
      return undefined
    })
    const grown = (await held()) - before
    if (texts.length < plan.tokens / 2) throw new Error(`${texts.length} texts came`)
    return { held: grown }
  }
}
