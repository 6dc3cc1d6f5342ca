import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Prompt from "effect/ai/Prompt"
import * as Stream from "effect/Stream"
import * as Agent from "../../agent/Agent.ts"
import type { AgentEvent } from "../../agent/AgentEvent.ts"
import type { Llm } from "../../Llm.ts"
import type * as Callbacks from "../../policy/Callbacks.ts"
import type * as Plain from "../Agent.ts"
import type { Calls } from "./client.ts"
import { ask } from "./callbacks.ts"
import * as messages from "./messages.ts"
import * as plain from "./plain.ts"
import * as toolkit from "./toolkit.ts"

/**
 * Makes an agent of a client. Its model has the client's callbacks already: those given here are for tools.
 *
 * @internal
 */
export const make = (
  calls: Calls,
  { approve, tools, ...options }: Plain.AgentOptions,
  { onToolEnd, onToolStart }: Callbacks.Callbacks
): Plain.Agent => {
  const { handlers, toolkit: made } = toolkit.make(tools)
  const agent = Agent.make({
    ...options,
    toolkit: made,
    approve: approve && ((call) => ask(() => approve(call))),
    callbacks: { onToolEnd, onToolStart }
  })
  return {
    ...runs(calls, agent, handlers),
    session: ({ history = [], trim } = {}) => {
      const session = Effect.runSync(
        agent.session({
          history: plain.prompt(history),
          trim: trim && ((whole) => Prompt.make(trim(messages.all(whole))))
        })
      )
      return {
        ...runs(calls, session, handlers),
        get history() {
          return messages.all(Effect.runSync(session.history))
        }
      }
    }
  }
}

const runs = <Handlers>(
  calls: Calls,
  agent: Pick<Agent.Agent<Llm | Handlers>, "stream" | "run">,
  handlers: Layer.Layer<Handlers>
): Pick<Plain.Agent, "stream" | "run"> => {
  const run: Plain.Agent["run"] = (input, options) =>
    calls.run(run, Effect.provide(agent.run(input), handlers), answer, options)
  return {
    run,
    stream: (input, options) =>
      calls.served<AgentEvent, Plain.AgentEvent>(
        { of: "run", read: () => Stream.provide(agent.stream(input), handlers) },
        (events) => events.map(event),
        options
      )
  }
}

const answer = ({ transcript, ...rest }: Agent.Answer): Plain.AgentAnswer => ({
  ...rest,
  messages: messages.all(transcript)
})

const event = (event: AgentEvent): Plain.AgentEvent =>
  event._tag === "StepFinished" ? { ...event, state: messages.all(event.state) } : event
