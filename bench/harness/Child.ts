/** The process of one contestant in one scenario: its first argument says which. */
import type { Contestant, OnText } from "../Contestant.ts"
import { entries } from "../Contestants.ts"
import type { Asker, Job, Report } from "../Scenario.ts"
import { scenarios } from "../Scenarios.ts"
import { encode, type Plan } from "../server/Plan.ts"
import { Digest } from "../server/Text.ts"

const job = JSON.parse(process.argv[2]!) as Job
const report = (report: Report): void => void process.send!(report)

const contestants = new Map<string, Promise<Contestant>>()

const of = (plan: Plan): Promise<Contestant> => {
  const key = encode(plan)
  let made = contestants.get(key)
  if (made === undefined) {
    const target = { protocol: job.protocol, url: `${job.url}/${key}` }
    made = entries[job.contestant]!.load().then((make) => make(target))
    contestants.set(key, made)
  }
  return made
}

const each = async (plan: Plan, onText: OnText): Promise<void> => (await of(plan))(onText)

const asker: Asker = {
  each,
  whole: async (plan) => {
    const digest = new Digest()
    await each(plan, (text) => digest.add(text))
    digest.verify(plan.tokens)
  }
}

const failed = (error: unknown): void =>
  report({ _tag: "Failed", message: error instanceof Error ? error.message : String(error) })

process.on("disconnect", () => process.exit())
// Of what a contestant leaves behind, such as promises that nobody waits for.
process.on("unhandledRejection", failed)

try {
  const scenario = await scenarios[job.scenario]!()
  const measure = async (): Promise<void> => report({ _tag: "Measured", figures: await scenario.measure(asker) })
  if (scenario.process === "fresh") await measure()
  else {
    await scenario.warmUp?.(asker)
    process.on("message", () => void measure().catch(failed))
    report({ _tag: "Ready" })
  }
} catch (error) {
  failed(error)
}
