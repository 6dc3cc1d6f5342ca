/**
 * Agents of a client. The library's are loaded by the first run: most programs have none.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Answer } from "../../agent/Agent.ts"
import type { AgentEvent } from "../../agent/AgentEvent.ts"
import type * as Callbacks from "../../policy/Callbacks.ts"
import type * as Plain from "../Agent.ts"
import type { Calls } from "./client.ts"
import type { LoadedAgent, LoadedSession, Runs } from "./loadedAgent.ts"
import * as messages from "./messages.ts"
import * as plain from "./plain.ts"

/** Makes an agent of a client. */
export const make = (calls: Calls, options: Plain.AgentOptions, callbacks: Callbacks.Callbacks): Plain.Agent => {
  check(options)
  // As they are now, whatever becomes of the objects that were given.
  const given = { ...options, tools: { ...options.tools } }
  let agent: LoadedAgent | undefined
  const load = async (): Promise<LoadedAgent> => {
    const { make } = await import("./loadedAgent.ts")
    return (agent ??= make(given, callbacks))
  }
  return { ...runs(calls, load), session: (options) => makeSession(calls, load, options) }
}

const check = ({ tools }: Plain.AgentOptions): void => {
  for (const [name, tool] of Object.entries(tools)) {
    if (typeof tool?.run !== "function" || tool.jsonSchema === undefined) {
      throw new TypeError(`the tool ${JSON.stringify(name)} is none: make it with Rill.tool.`)
    }
  }
}

const makeSession = (
  calls: Calls,
  load: () => Promise<LoadedAgent>,
  { history = [], trim }: Plain.SessionOptions = {}
): Plain.Session => {
  const given = Prompt.make(plain.prompt(history))
  let session: LoadedSession | undefined
  const begin = async (): Promise<LoadedSession> => {
    const agent = await load()
    return (session ??= agent.session(given, trim))
  }
  return {
    ...runs(calls, begin),
    get history() {
      return messages.all(session === undefined ? given : session.history())
    }
  }
}

const runs = (calls: Calls, load: () => Promise<Runs>): Pick<Plain.Agent, "stream" | "run"> => {
  const loaded = Effect.promise(load)
  const run: Plain.Agent["run"] = (input, options) =>
    calls.run(
      run,
      Effect.flatMap(loaded, (agent) => agent.run(input)),
      answer,
      options
    )
  return {
    run,
    stream: (input, options) =>
      calls.served<AgentEvent, Plain.AgentEvent>(
        { of: "run", read: () => Stream.unwrap(Effect.map(loaded, (agent) => agent.stream(input))) },
        (events) => events.map(event),
        options
      )
  }
}

const answer = ({ transcript, ...rest }: Answer): Plain.AgentAnswer => ({ ...rest, messages: messages.all(transcript) })

const event = (event: AgentEvent): Plain.AgentEvent =>
  event._tag === "StepFinished" ? { ...event, state: messages.all(event.state) } : event
