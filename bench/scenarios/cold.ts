/** From the start of a process to its first text: Node, imports, the first call. */
import type { Scenario } from "../Scenario.ts"

const plan = { tokens: 32, events: 32 }

export const cold: Scenario = {
  title: "cold start: from the start of the process to the first text",
  protocols: ["chat", "anthropic"],
  columns: [
    { key: "wall", title: "ms", digits: 0, ratio: true },
    { key: "cpu", title: "CPU ms", digits: 0, ratio: true }
  ],
  rounds: 7,
  process: "fresh",
  // One view of each is enough.
  takesPart: (name) => !/^limit|^rill\/(?:events|each)/.test(name),
  beside: (name) => (name.startsWith("rill/a") ? `bare/${name.split("/")[2] ?? "fetch"}` : undefined),
  measure: async (asker) => {
    let figures: { readonly wall: number; readonly cpu: number } | undefined
    await asker.each(plan, () => {
      if (figures !== undefined) return undefined
      // The origin of this clock is the start of the process.
      const wall = performance.now()
      const { system, user } = process.cpuUsage()
      figures = { wall, cpu: (system + user) / 1000 }
      return undefined
    })
    if (figures === undefined) throw new Error("no text came")
    await asker.whole(plan)
    return figures
  }
}
