/** One scenario in one protocol: all contestants by turns, round after round. */
import type { Figures, Job, Scenario } from "../Scenario.ts"
import type { Protocol } from "../server/Plan.ts"
import { ContestantProcess } from "./Process.ts"
import type { ServerProcess } from "./ServerProcess.ts"

/** The figures of each round, or why there are none. */
export interface Outcome {
  readonly name: string
  readonly rounds: Array<Figures>
  failure?: string
}

export interface Options {
  readonly name: string
  readonly scenario: Scenario
  readonly protocol: Protocol
  readonly contestants: ReadonlyArray<string>
  readonly rounds: number
  readonly server: ServerProcess
  readonly onProgress: (what: string) => void
}

export const run = async (options: Options): Promise<ReadonlyArray<Outcome>> => {
  const { contestants, name, onProgress, protocol, rounds, scenario, server } = options
  const outcomes = contestants.map((contestant): Outcome => ({ name: contestant, rounds: [] }))
  const kept = new Map<string, ContestantProcess>()
  const start = (contestant: string): ContestantProcess =>
    new ContestantProcess({ contestant, scenario: name, protocol, url: server.url } satisfies Job)

  const attempt = async (outcome: Outcome, work: () => Promise<void>): Promise<void> => {
    if (outcome.failure !== undefined) return
    try {
      await work()
    } catch (error) {
      outcome.failure = (error as Error).message
    }
  }

  const fresh = async (contestant: string): Promise<Figures> => {
    const process = start(contestant)
    try {
      return await completed(await process.figures())
    } finally {
      process.end()
      await server.reset()
    }
  }
  const completed = async (figures: Figures): Promise<Figures> => {
    if (scenario.complete === undefined) return figures
    const whole = await scenario.complete(figures, server)
    await server.reset()
    return whole
  }

  try {
    if (scenario.process === "kept") {
      for (const outcome of outcomes) {
        onProgress(`${outcome.name} warms up`)
        const process = start(outcome.name)
        kept.set(outcome.name, process)
        await attempt(outcome, () => process.ready())
      }
    }
    for (let round = 0; round < rounds; round++) {
      // Nobody is always first.
      for (let i = 0; i < outcomes.length; i++) {
        const outcome = outcomes[(i + round) % outcomes.length]!
        onProgress(`round ${round + 1} of ${rounds}: ${outcome.name}`)
        await attempt(outcome, async () => {
          const process = kept.get(outcome.name)
          outcome.rounds.push(
            process === undefined ? await fresh(outcome.name) : await completed(await process.measure())
          )
        })
      }
    }
  } finally {
    for (const process of kept.values()) process.end()
    await server.reset()
  }
  return outcomes
}
