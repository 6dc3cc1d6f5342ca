import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Authentication, LlmError } from "../../LlmError.ts"
import * as Providers from "../../provider/Providers.ts"
import type { Provider } from "./client.ts"

/**
 * A provider for a client, with what is not given read from the environment. Without a key where one is
 * needed, every call fails.
 *
 * @internal
 */
export const connect = <Own extends object>(
  provider: Providers.Provider<Own>,
  given: Providers.Given,
  own: Own
): Provider => {
  const name = provider.id ?? provider.name
  const settings = Providers.settings(provider, given, variable)
  return {
    name,
    llm: Providers.lacksKey(provider, settings)
      ? Effect.succeed({ events: () => Stream.fail(noKey(provider, name, given.model)) })
      : provider.make(settings, own)
  }
}

const noKey = (provider: Providers.Provider<never>, name: string, model: string): LlmError =>
  new LlmError({
    reason: new Authentication({
      message: `there is no API key. Pass \`apiKey\`, or set the variable ${Providers.secretVariables(provider).join(" or ")}.`
    }),
    provider: name,
    model,
    phase: "request",
    emitted: 0
  })

/**
 * Of `"provider/model"`, both.
 *
 * @internal
 */
export const named = (
  name: string,
  api: Providers.Given["api"]
): { readonly provider: Providers.Provider; readonly model: string } => {
  const { model, provider: first } = Providers.split(String(name))
  const provider = Providers.find(first)
  if (provider === undefined) {
    throw new TypeError(
      `${JSON.stringify(name)} does not begin with a provider, as in "openai/gpt-4.1-mini". There are: ${Providers.names}.`
    )
  }
  if (model === "") {
    throw new TypeError(
      `${JSON.stringify(name)} names no model, as in "${provider.name}/${provider.defaultModel ?? "NAME"}". Models: ${provider.models}`
    )
  }
  if (api !== undefined && provider.bothApis !== true) {
    throw new TypeError(`api is for providers with both of OpenAI's APIs, and ${provider.name} is not one.`)
  }
  return { provider, model }
}

/** A variable of the environment. Empty counts as not set, as shells make it hard to tell them apart. */
const variable = (name: string): string | undefined => {
  const { process } = globalThis as { process?: { readonly env?: Readonly<Record<string, string | undefined>> } }
  try {
    return process?.env?.[name]?.trim() || undefined
  } catch {
    // Deno refuses where it was not permitted.
    return undefined
  }
}
