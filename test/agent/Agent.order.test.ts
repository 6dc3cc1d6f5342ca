/** The laws of order, and that cuts do not matter, on random scripts: the seed of a failure is in its message. */
import { describe, expect, it } from "@effect/vitest"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Agent from "effect-rill/agent/Agent"
import { Disconnected } from "effect-rill/LlmError"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { checkOrder, collect, inShort, type Told } from "../support/agentLaws.ts"
import { random, type Random } from "../support/random.ts"

const { fail, finish, pause, reasoning, refusal, text, toolCall, usage } = ScriptedLlm

const input = Schema.Struct({ n: Schema.Finite })
const toolkit = Toolkit.make(
  Tool.make("good", { parameters: input, success: Schema.Finite }),
  Tool.make("bad", { parameters: input, success: Schema.String, failure: Schema.String }),
  Tool.make("returned", { parameters: input, success: Schema.String, failure: Schema.String, failureMode: "return" }),
  Tool.make("slow", { parameters: input, success: Schema.String }),
  Tool.make("guarded", { parameters: input, success: Schema.String, needsApproval: true })
)
const handlers = toolkit.toLayer({
  good: ({ n }) => Effect.succeed(n),
  bad: ({ n }) => Effect.fail(`no ${n}`),
  returned: ({ n }) => Effect.fail(`no ${n}`),
  slow: Effect.fnUntraced(function* ({ n }, { preliminary }) {
    for (let i = 0; i < n; i++) {
      yield* preliminary(`${i} of ${n}`)
      yield* Effect.sleep("1 second")
    }
    return `after ${n}`
  }),
  guarded: () => Effect.succeed("open")
})
const names = ["good", "good", "good", "bad", "returned", "slow", "slow", "guarded", "missing"]

const words = [
  "I think",
  " so.\n",
  "雨 ",
  "Action",
  ": ",
  "\n\n",
  "😀",
  "Thought",
  "Final",
  " Answer",
  "answer it is",
  "{",
  "}"
]
const prose = (r: Random) => Array.from({ length: 1 + r.below(6) }, () => r.of(words)).join("")

const native = (r: Random): ScriptedLlm.Turn => {
  const steps: Array<ScriptedLlm.Step> = []
  for (let count = r.below(4); count > 0; count--) {
    if (r.chance(0.3)) steps.push(reasoning(prose(r)))
    if (r.chance(0.6)) steps.push(text(prose(r)))
    if (r.chance(0.2)) steps.push(pause(`${r.below(4)} seconds`))
  }
  if (r.chance(0.75)) {
    for (let count = 1 + r.below(4); count > 0; count--) {
      const value = r.chance(0.15) ? { m: 1 } : r.chance(0.1) ? '{"n":' : { n: r.below(9) }
      steps.push(toolCall(r.of(names), value))
    }
  }
  return [...steps, ...ending(r)]
}

const written = (r: Random): ScriptedLlm.Turn => {
  const steps: Array<ScriptedLlm.Step> = []
  if (r.chance(0.2)) steps.push(reasoning("Hm."))
  if (r.chance(0.8)) steps.push(text(`Thought: I look ${r.below(99)}\n`))
  if (r.chance(0.2)) steps.push(pause(`${r.below(4)} seconds`))
  const kind = r.below(10)
  if (kind < 7) {
    const value = r.chance(0.15) ? '{"m": 1}' : r.chance(0.1) ? "many" : `{"n": ${r.below(9)}}`
    steps.push(text(`Action: ${r.of(names)}\nAction Input: ${value}\n`))
    if (r.chance(0.3)) steps.push(text("Observation: 42\nFinal Answer: fiction"))
  } else if (kind < 9) {
    steps.push(text(`Final Answer: ${prose(r)}`))
  } else if (r.chance(0.5)) {
    steps.push(text(prose(r)))
  }
  return [...steps, ...ending(r)]
}

const ending = (r: Random): ReadonlyArray<ScriptedLlm.Step> => {
  if (r.chance(0.04)) return [fail(new Disconnected({ message: "cut" }))]
  if (r.chance(0.02)) return [refusal("No.")]
  if (r.chance(0.03)) return [finish(r.of(["length", "content-filter", "other"] as const))]
  return r.chance(0.5) ? [usage({ inputTokens: 10, outputTokens: r.below(50) })] : [finish("stop")]
}

const ends = new Set<string>()
const endOf = ({ exit }: Told): string => {
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") return "Final"
  const { reason } = error.value
  switch (reason._tag) {
    case "LimitExceeded":
      return reason.which
    case "ToolFailed":
      return reason.failure
    case "ModelFailed":
      return reason.error.reason._tag
    default:
      return reason._tag
  }
}

const run = Effect.fnUntraced(function* (strategy: "tools" | "react", seed: number, split: number | undefined) {
  const r = random(seed)
  const agent = Agent.make({
    toolkit,
    strategy,
    maxSteps: 1 + r.below(6),
    toolTimeout: "5 seconds",
    onToolError: r.chance(0.2) ? "fail" : "observe",
    onLimit: r.chance(0.5) ? "answer" : "fail",
    concurrency: r.of([1, 2, "unbounded"] as const),
    maxRepairs: r.below(3),
    ...(r.chance(0.2) ? { maxDuration: `${2 + r.below(9)}.5 seconds` as "1 second" } : undefined),
    ...(r.chance(0.2) ? { maxToolCalls: r.below(6) } : undefined),
    ...(r.chance(0.2) ? { tokenBudget: 1 + r.below(100) } : undefined),
    ...(r.chance(0.5) ? { approve: () => Effect.succeed(true) } : undefined)
  })
  const turn = strategy === "react" ? written : native
  const script: ScriptedLlm.TurnOf = (request) => (request.toolChoice === "none" && r.chance(0.8) ? prose(r) : turn(r))
  const fiber = yield* collect(agent.stream("Hi")).pipe(
    Effect.provide([handlers, ScriptedLlm.layer(script, { split })]),
    Effect.forkChild
  )
  for (let second = 0; fiber.pollUnsafe() === undefined; second++) {
    if (second > 300) throw new Error(`seed ${seed}: the run does not end`)
    for (let i = 0; i < 40 && fiber.pollUnsafe() === undefined; i++) yield* Effect.yieldNow
    yield* TestClock.adjust("1 second")
  }
  const ended = fiber.pollUnsafe()!
  if (Exit.isFailure(ended)) throw new Error(`seed ${seed}: ${String(ended.cause)}`)
  return ended.value
})

/** The same, wherever the text was cut: tokens are joined, and what was estimated does not matter. */
const uncut = ({ events, exit }: Told): ReadonlyArray<string> => {
  const out: Array<string> = []
  for (const line of inShort(events)) {
    const [, phase, more] = /^(answer|thought) token ([^]*)$/.exec(line) ?? []
    if (phase !== undefined && out.at(-1)?.startsWith(`${phase} token`) === true) out.push(out.pop()! + more!)
    else out.push(line)
  }
  const error = Exit.findErrorOption(exit)
  return [...out, error._tag === "Some" ? `failed ${error.value.message}` : "ended"]
}

describe.each(["tools", "react"] as const)("%s", (strategy) => {
  it.effect(
    "1,000 random scripts keep the laws, however they are cut",
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 1000; seed++) {
          const told = yield* run(strategy, seed, undefined)
          const again = yield* run(strategy, seed, seed)
          try {
            checkOrder(told)
            checkOrder(again)
            expect(uncut(again)).toEqual(uncut(told))
          } catch (error) {
            throw new Error(`seed ${seed}`, { cause: error })
          }
          ends.add(`${strategy}: ${endOf(told)}`)
        }
      }),
    120_000
  )
})

it("the scripts come to every kind of end", () => {
  const common = [
    "Final",
    "steps",
    "duration",
    "tool-calls",
    "tokens",
    "unknown",
    "input",
    "denied",
    "handler",
    "timeout"
  ]
  const expected = [...common, "Disconnected", "ContentFiltered", "Truncated"]
  expect([...ends].toSorted()).toEqual(
    [
      ...expected.map((end) => `tools: ${end}`),
      ...expected.map((end) => `react: ${end}`),
      "react: Unreadable"
    ].toSorted()
  )
})
