/** What a paused reader of a large answer holds. */
import { held, resident } from "../harness/Memory.ts"
import type { Scenario } from "../Scenario.ts"

/** Some 100 MB of chat completions. */
const plan = { tokens: 300_000, bytes: 16_384 }
const pause = 2000

export const paused: Scenario = {
  title: `an answer of 100 MB, paused for ${pause / 1000} s after its first text`,
  protocols: ["chat"],
  columns: [
    { key: "held", title: "held MB", digits: 2 },
    { key: "grown", title: "RSS grew MB", digits: 1 },
    { key: "sent", title: "sent MB", digits: 1 }
  ],
  rounds: 3,
  process: "fresh",
  takesPart: (name) => !/^(?:effect|rill\/policies)/.test(name),
  measure: async (asker) => {
    await asker.whole({ tokens: 20_000, bytes: 16_384 })
    const before = await held()
    const rss = resident()
    let figures: { readonly held: number; readonly grown: number } | undefined
    const look = async (): Promise<boolean> => {
      await new Promise((resume) => setTimeout(resume, pause))
      const grown = resident() - rss
      figures = { held: (await held()) - before, grown }
      return true
    }
    // Those who read several texts before they wait give all of them: it is one pause.
    let pausing: Promise<boolean> | undefined
    const ended = asker.each(plan, () => (pausing ??= look()))
    // Some never come back from it.
    await Promise.race([ended, new Promise((late) => setTimeout(late, pause + 1000))])
    if (figures === undefined) throw new Error("no text came")
    return figures
  },
  // Bytes that the machine's own buffers took are among them: some megabytes.
  complete: async (figures, server) => ({ ...figures, sent: ((await server.abandoned())?.sent ?? Infinity) / 1e6 })
}
