/** Ours: the model of a protocol over one of Effect's HTTP clients. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import type * as Llm from "../../../src/Llm.ts"
import { apiKey as key, model, type OnText, type Target } from "../../Contestant.ts"
import { type Client, clients } from "../effect/clients.ts"
import { stopped } from "../effect/deliver.ts"

/** How it is asked. `policies`: with all of them on. */
export interface Options {
  readonly client: Client
  readonly policies?: boolean | undefined
}

const apiKey = Redacted.make(key)

/** Programs import one provider. */
const provided = async ({ protocol, url }: Target) => {
  switch (protocol) {
    case "anthropic": {
      const Anthropic = await import("../../../src/provider/Anthropic.ts")
      return Anthropic.layer({ model, apiKey, baseUrl: url })
    }
    case "ollama": {
      const Ollama = await import("../../../src/provider/Ollama.ts")
      return Ollama.layer({ model, baseUrl: url })
    }
    default: {
      const OpenAi = await import("../../../src/provider/OpenAi.ts")
      return OpenAi.layer({ model, apiKey, baseUrl: `${url}/v1`, api: protocol })
    }
  }
}

/** Runs a program that reads an answer. */
export const running = async (target: Target, { client, policies }: Options) => {
  const [llm, http, withPolicies] = await Promise.all([
    provided(target),
    clients[client](),
    policies === true ? import("./policies.ts") : undefined
  ])
  const layer = withPolicies === undefined ? llm : withPolicies.layer(llm)
  const runtime = ManagedRuntime.make(Layer.provide(layer, http))
  return <E>(read: Effect.Effect<void, E, Llm.Llm>): Promise<void> =>
    runtime.runPromise(
      Effect.catchIf(
        read,
        (error) => Object.is(error, stopped),
        () => Effect.void
      )
    )
}

export type Reading = (onText: OnText) => Effect.Effect<void, unknown, Llm.Llm>
