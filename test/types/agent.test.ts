/** What the compiler knows of agents: every statement here is checked by `tsc`. */
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Agent from "effect-rill/agent/Agent"
import type { AgentError } from "effect-rill/agent/AgentError"
import * as AgentEvent from "effect-rill/agent/AgentEvent"
import type { Llm } from "effect-rill/Llm"
import { expect, it } from "vitest"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Statement extends true>(): void => {}

class Database extends Context.Service<Database, { readonly rows: number }>()("test/types/Database") {}
class Judge extends Context.Service<Judge, { readonly yes: boolean }>()("test/types/Judge") {}
class Log extends Context.Service<Log, { readonly lines: number }>()("test/types/Log") {}

const plain = Toolkit.make(Tool.make("look", { success: Schema.String }))
const needy = Toolkit.make(
  Tool.make("look", { success: Schema.String }),
  Tool.make("query", { success: Schema.String, dependencies: [Database, Scope.Scope] })
)

it("a run needs the model and the handlers", () => {
  const agent = Agent.make({ toolkit: plain })
  holds<Equal<typeof agent, Agent.Agent<Llm | Tool.Handler<"look">>>>()
  const stream = () => agent.stream("Hi")
  holds<
    Equal<ReturnType<typeof stream>, Stream.Stream<AgentEvent.AgentEvent, AgentError, Llm | Tool.Handler<"look">>>
  >()
  const run = () => agent.run("Hi")
  holds<Equal<ReturnType<typeof run>, Effect.Effect<Agent.Answer, AgentError, Llm | Tool.Handler<"look">>>>()
  expect(agent).toBeDefined()
})

it("and what the tools depend on, but for a scope, which is the run's", () => {
  const agent = Agent.make({ toolkit: needy })
  holds<Equal<typeof agent, Agent.Agent<Llm | Tool.Handler<"look"> | Tool.Handler<"query"> | Database>>>()
  expect(agent).toBeDefined()
})

it("and what callbacks and approvals need", () => {
  const agent = Agent.make({
    toolkit: plain,
    callbacks: { onToolStart: () => Log.use(() => Effect.void) },
    approve: ({ name }) => Judge.use(({ yes }) => Effect.succeed(yes && name !== ""))
  })
  holds<Equal<typeof agent, Agent.Agent<Llm | Tool.Handler<"look"> | Log | Judge>>>()
  expect(agent).toBeDefined()
})

it("cases that give Effects may leave out what is bookkeeping; their needs and failures show", () => {
  const hear = AgentEvent.match({
    Thought: ({ content }) => Effect.succeed(content),
    Action: ({ input }) => Effect.fail(input),
    Observation: () => Database.use(() => Effect.void),
    Token: ({ phase }) => Effect.succeed(phase),
    Final: ({ usage }) => Effect.succeed(usage.source)
  })
  const heard = () => Agent.make({ toolkit: plain }).stream("Hi").pipe(Stream.runForEach(hear))
  type Heard = ReturnType<typeof heard>
  holds<Equal<Effect.Error<Heard>, unknown>>()
  holds<Equal<Effect.Services<Heard>, Llm | Tool.Handler<"look"> | Database>>()
  expect(hear).toBeDefined()
})

it("else each event has its case", () => {
  // @ts-expect-error StepStarted, StepFinished and Progress have none, and a number is no Effect
  const some = AgentEvent.match({
    Thought: () => 1,
    Action: () => 1,
    Observation: () => 1,
    Token: () => 1,
    Final: () => 1
  })
  const all = AgentEvent.match({
    StepStarted: ({ step }) => step,
    StepFinished: ({ outcome }) => outcome,
    Progress: () => null,
    Thought: () => 1,
    Action: () => 1,
    Observation: () => 1,
    Token: () => 1,
    Final: () => 1
  })
  holds<Equal<ReturnType<typeof all>, number | AgentEvent.Outcome | null>>()
  expect([some, all].length).toBe(2)
})
