import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Authentication, InvalidRequest, LlmError, type Reason } from "../../LlmError.ts"
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
  const problem = Providers.lacksBaseUrl(provider, settings)
    ? new InvalidRequest({
        message:
          provider.baseUrlVariable === undefined
            ? "there is no base URL. Pass `baseUrl`, or the `preset` of a server that is known."
            : `there is no base URL. Pass \`baseUrl\` or \`resourceName\`, or set the variable ${provider.baseUrlVariable}.`
      })
    : Providers.lacksKey(provider, settings)
      ? new Authentication({
          message: `there is no API key. Pass \`apiKey\`, or set the variable ${Providers.secretVariables(provider).join(" or ")}.`
        })
      : undefined
  return {
    name,
    llm:
      problem === undefined
        ? provider.make(settings, own)
        : Effect.succeed({ events: () => Stream.fail(refused(problem, name, given.model)) })
  }
}

const refused = (reason: Reason, provider: string, model: string): LlmError =>
  new LlmError({ reason, provider, model, phase: "request", emitted: 0 })

/**
 * The server of a preset, or any, under its own name if it has one.
 *
 * @internal
 */
export const compatible = (
  preset: string | undefined,
  name: string | undefined
): Providers.Provider<Providers.Named> => {
  if (preset !== undefined && !Providers.isPreset(preset)) {
    const known = Providers.all.map(({ name }) => name).filter(Providers.isPreset)
    throw new TypeError(
      `there is no preset ${JSON.stringify(preset)}. There are: ${known.join(", ")}; or give a baseUrl.`
    )
  }
  const provider = preset === undefined ? Providers.server : Providers.preset(preset)
  return name === undefined ? provider : { ...provider, id: name }
}

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
