/** Whether a token costs the same in an answer of a thousand and of a million. */
import { cpu, times } from "../harness/Cpu.ts"
import { peak } from "../harness/Memory.ts"
import type { Scenario } from "../Scenario.ts"

const sizes = [1000, 10_000, 100_000, 1_000_000]
const plan = (tokens: number) => ({ tokens, bytes: 16_384 })

export const flat: Scenario = {
  title: "a token's cost in longer and longer answers, in writes of 16 KB, beyond what a request costs",
  protocols: ["chat"],
  columns: [
    ...sizes.map((size) => ({ key: `cpu${size}`, title: `${size} µs/token`, digits: 2 })),
    { key: "ratio", title: "1M to 1k ×", digits: 2 },
    { key: "grown", title: "RSS MB, 100k to 1M", digits: 1 }
  ],
  rounds: 3,
  process: "fresh",
  takesPart: (name) => /^(?:hand|limit|rill\/arrays|rill\/async|rill\/events\/http|openai)/.test(name),
  measure: async (asker) => {
    await times(3, () => asker.whole(plan(40_000)))
    await times(200, () => asker.whole(plan(1)))
    const request = (await cpu(() => times(200, () => asker.whole(plan(1))))) / 200
    const figures: Record<string, number> = {}
    let before = 0
    for (const size of sizes) {
      before = peak()
      // The short ones often enough to be seen.
      const count = Math.ceil(100_000 / size)
      const used = await cpu(() => times(count, () => asker.whole(plan(size))))
      figures[`cpu${size}`] = (used - count * request) / (count * size)
    }
    return { ...figures, ratio: figures["cpu1000000"]! / figures["cpu1000"]!, grown: peak() - before }
  }
}
