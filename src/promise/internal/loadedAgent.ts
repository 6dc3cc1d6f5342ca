/**
 * An agent as the library has it, with plain tools. All that agents need is loaded with this module.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Agent from "../../agent/Agent.ts"
import type { AgentError } from "../../agent/AgentError.ts"
import type { AgentEvent } from "../../agent/AgentEvent.ts"
import type { Llm } from "../../Llm.ts"
import type * as Callbacks from "../../policy/Callbacks.ts"
import type * as Plain from "../Agent.ts"
import { ask } from "./callbacks.ts"
import * as messages from "./messages.ts"
import * as toolkit from "./toolkit.ts"

/** What is asked of an agent, or of a session of one. */
export interface Runs {
  readonly stream: (input: Plain.AgentInput) => Stream.Stream<AgentEvent, AgentError, Llm>
  readonly run: (input: Plain.AgentInput) => Effect.Effect<Agent.Answer, AgentError, Llm>
}

export interface LoadedAgent extends Runs {
  readonly session: (history: Prompt.Prompt, trim: Plain.SessionOptions["trim"]) => LoadedSession
}

export interface LoadedSession extends Runs {
  readonly history: () => Prompt.Prompt
}

/** Its model has the client's callbacks already: those given here are for tools. */
export const make = (
  { approve, tools, ...options }: Plain.AgentOptions,
  { onToolEnd, onToolStart }: Callbacks.Callbacks
): LoadedAgent => {
  const { handlers, toolkit: made } = toolkit.make(tools)
  const agent = Agent.make({
    ...options,
    toolkit: made,
    approve: approve && ((call) => ask(() => approve(call))),
    callbacks: { onToolEnd, onToolStart }
  })
  return {
    ...runs(agent, handlers),
    session: (history, trim) => {
      const session = Effect.runSync(
        agent.session({ history, trim: trim && ((whole) => Prompt.make(trim(messages.all(whole)))) })
      )
      return { ...runs(session, handlers), history: () => Effect.runSync(session.history) }
    }
  }
}

const runs = <Handlers>(
  agent: Pick<Agent.Agent<Llm | Handlers>, "stream" | "run">,
  handlers: Layer.Layer<Handlers>
): Runs => ({
  stream: (input) => Stream.provide(agent.stream(input), handlers),
  run: (input) => Effect.provide(agent.run(input), handlers)
})
