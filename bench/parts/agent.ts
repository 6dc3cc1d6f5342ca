/**
 * What the loop of an agent costs beyond the model's own stream: 100 steps (or so many as the second argument
 * says) of a scripted model, 20 tokens and a call of an instant tool each, beside the same requests alone. In
 * CPU time, garbage collection included. Runs alternate, medians count; the least of a round is told as well.
 */
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Agent from "../../src/agent/Agent.ts"
import * as Llm from "../../src/Llm.ts"
import type { LlmRequest } from "../../src/LlmRequest.ts"
import * as ScriptedLlm from "../../src/testing/ScriptedLlm.ts"

const rounds = Number(process.argv[2] ?? 61)
const steps = Number(process.argv[3] ?? 100)
const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const toolkit = Toolkit.make(
  Tool.make("add", { parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }), success: Schema.Finite })
)
const handlers = toolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })

const words = Array.from({ length: 20 }, (_, i) => ` word ${i}`)
const call = { a: 1, b: 2 }
const turns: Readonly<Record<"tools" | "react", ScriptedLlm.TurnOf>> = {
  tools: (_, index) =>
    index === steps - 1
      ? ScriptedLlm.text(...words)
      : [ScriptedLlm.text(...words), ScriptedLlm.toolCall("add", call, { id: `call_${index}` })],
  react: (_, index) =>
    ScriptedLlm.text(
      index === steps - 1 ? "Final Answer:" : "Thought:",
      ...words,
      ...(index === steps - 1 ? [] : ["\nAction: add\nAction Input: ", JSON.stringify(call)])
    )
}

/** The same requests, with the same histories, to the model alone. */
const alone = (requests: ReadonlyArray<LlmRequest>) =>
  Effect.forEach(requests, (request) => Stream.runDrain(Llm.events(request)), { discard: true })

const milliseconds = async (effect: Effect.Effect<unknown, unknown>): Promise<number> => {
  const before = process.cpuUsage()
  await Effect.runPromise(effect)
  const { system, user } = process.cpuUsage(before)
  return (system + user) / 1000
}

for (const strategy of ["tools", "react"] as const) {
  for (const maxDuration of [undefined, "1 hour"] as const) {
    const agent = Agent.make({ toolkit, strategy, maxSteps: steps, maxDuration })
    const run = Stream.runDrain(agent.stream("Hi"))
    // oxlint-disable-next-line no-await-in-loop
    const requests = await Effect.runPromise(
      Effect.provide(Effect.andThen(run, ScriptedLlm.requests), [handlers, ScriptedLlm.layer(turns[strategy])])
    )
    const times: { readonly agent: Array<number>; readonly alone: Array<number> } = { agent: [], alone: [] }
    for (let round = -30; round < rounds; round++) {
      const model = ScriptedLlm.layer(turns[strategy])
      // Each waits for the one before it: they are measured apart.
      // oxlint-disable-next-line no-await-in-loop
      const took = await milliseconds(Effect.provide(run, [handlers, model]))
      // oxlint-disable-next-line no-await-in-loop
      const base = await milliseconds(Effect.provide(alone(requests), model))
      if (round < 0) continue
      times.agent.push(took)
      times.alone.push(base)
    }
    const [took, base] = [median(times.agent), median(times.alone)]
    const least = Math.min(...times.agent) - Math.min(...times.alone)
    const bounded = maxDuration === undefined ? "" : ", with a maxDuration"
    console.log(
      `${strategy}${bounded}: ${steps} steps ${took.toFixed(1)} ms, the model alone ${base.toFixed(1)} ms: ` +
        `${((took - base) / steps).toFixed(3)} ms a step, at best ${(least / steps).toFixed(3)}`
    )
  }
}
