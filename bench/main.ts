/** `npm run bench`: runs the scenarios, prints a table of each, and writes all figures as JSON. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, loadavg, totalmem } from "node:os"
import { parseArgs } from "node:util"
import { byHand } from "./Contestant.ts"
import { entries } from "./Contestants.ts"
import * as EffectModules from "./harness/effectModules.ts"
import { type Outcome, run } from "./harness/Run.ts"
import { ServerProcess } from "./harness/ServerProcess.ts"
import { table } from "./harness/Table.ts"
import { scenarios } from "./Scenarios.ts"
import { type Protocol, protocols } from "./server/Plan.ts"

const usage = `npm run bench -- [--scenario NAMES] [--only NAMES] [--protocol NAMES] [--rounds N] [--json FILE]

Names are lists with commas.
  --scenario  ${Object.keys(scenarios).join(", ")}
  --only      contestants whose names begin so, beside ${byHand}: ${Object.keys(entries).join(", ")}
  --protocol  ${protocols.join(", ")}
  --rounds    default: each scenario's own
  --json      default: results/latest.json in bench/`

const refuse = (problem: string): never => {
  console.error(`${problem}\n\n${usage}`)
  process.exit(1)
}

const parsed = () => {
  try {
    return parseArgs({
      options: {
        scenario: { type: "string" },
        only: { type: "string" },
        protocol: { type: "string" },
        rounds: { type: "string" },
        json: { type: "string" },
        help: { type: "boolean" }
      }
    })
  } catch (error) {
    return refuse((error as Error).message)
  }
}
const { values } = parsed()
if (values.help === true) {
  console.log(usage)
  process.exit()
}

const listed = (
  flag: "scenario" | "protocol" | "only",
  all: ReadonlyArray<string>
): ReadonlyArray<string> | undefined => {
  const names = values[flag]?.split(",")
  for (const name of names ?? []) {
    if (!all.some((known) => (flag === "only" ? known.startsWith(name) : known === name))) {
      refuse(`--${flag}: there is no ${JSON.stringify(name)}.`)
    }
  }
  return names
}

const chosenScenarios = listed("scenario", Object.keys(scenarios)) ?? Object.keys(scenarios)
const chosenProtocols = (listed("protocol", protocols) ?? protocols) as ReadonlyArray<Protocol>
const only = listed("only", Object.keys(entries))
const rounds = values.rounds === undefined ? undefined : Number(values.rounds)
if (rounds !== undefined && !(Number.isInteger(rounds) && rounds > 0)) {
  refuse(`--rounds: ${values.rounds} is no number of rounds.`)
}

const root = new URL("../../", import.meta.url)
const { dependencies } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as {
  readonly dependencies: Readonly<Record<string, string>>
}
const { version: effect } = JSON.parse(readFileSync(new URL("../node_modules/effect/package.json", root), "utf8")) as {
  readonly version: string
}
const machine = {
  date: new Date().toISOString(),
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  load: loadavg().map((load) => Number(load.toFixed(2))),
  node: process.version,
  versions: { effect, ...dependencies }
}
console.log(`${machine.cpu}, ${machine.cores} cores, load ${machine.load[0]}; Node ${machine.node}, effect ${effect}`)

const results: Array<{
  readonly scenario: string
  readonly title: string
  readonly protocol: Protocol
  readonly outcomes: ReadonlyArray<Outcome>
}> = []
const file = values.json ?? new URL("results/latest.json", root).pathname
mkdirSync(new URL("results/", root), { recursive: true })

const progress = (what: string): void => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`)
}

const server = await ServerProcess.start()
try {
  for (const name of chosenScenarios) {
    const scenario = await scenarios[name]!()
    if (name === "cold") {
      for (const provider of ["OpenAi", "Anthropic", "Ollama"]) EffectModules.write(["Llm", `provider/${provider}`])
    }
    for (const protocol of chosenProtocols.filter((protocol) => scenario.protocols.includes(protocol))) {
      const contestants = Object.keys(entries).filter((contestant) => {
        const entry = entries[contestant]!
        if (!entry.protocols.includes(protocol) || (entry.only ?? name) !== name) return false
        if (contestant === byHand) return true
        if (only !== undefined) return only.some((start) => contestant.startsWith(start))
        return scenario.takesPart?.(contestant) ?? true
      })
      console.log(`\n${name}, ${protocol}: ${scenario.title}`)
      const outcomes = await run({
        name,
        scenario,
        protocol,
        contestants,
        rounds: rounds ?? scenario.rounds,
        server,
        onProgress: (what) => progress(`${name}, ${protocol}: ${what}`)
      })
      progress("")
      const beside = (contestant: string) => scenario.beside?.(contestant) ?? entries[contestant]?.beside
      console.log(table(scenario, outcomes, beside))
      results.push({ scenario: name, title: scenario.title, protocol, outcomes })
      // As it goes: a long run may be cut.
      writeFileSync(file, `${JSON.stringify({ machine, results }, null, 2)}\n`)
    }
  }
} finally {
  server.end()
}
process.exitCode = results.some(({ outcomes }) => outcomes.some(({ failure }) => failure !== undefined)) ? 1 : 0
console.log(`\nMedians, in brackets the least and the most; × is the median of the ratios of each round.\n${file}`)
