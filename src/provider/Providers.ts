/**
 * The providers by name, for programs whose users choose one: `"anthropic/claude-haiku-4-5"`. What each is
 * called, which variables it reads, and how its service is made. Data, but for the last: the provider itself
 * is loaded when it is made.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Anthropic from "./Anthropic.ts"
import type * as Ollama from "./Ollama.ts"
import * as Presets from "./openAiCompatible/Presets.ts"
import type { Provider } from "./providers/Provider.ts"

export * from "./providers/Provider.ts"

const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

/**
 * OpenAI.
 *
 * @category providers
 * @since 0.1.0
 */
export const openAi: Provider<{ readonly organization?: string | undefined; readonly project?: string | undefined }> = {
  name: "openai",
  keyVariables: ["OPENAI_API_KEY"],
  baseUrlVariable: "OPENAI_BASE_URL",
  moreVariables: ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID"],
  bothApis: true,
  // Takes `temperature`, which the reasoning models refuse.
  defaultModel: "gpt-4.1-mini",
  models: "https://platform.openai.com/docs/models",
  make: ({ more, ...settings }, { organization, project }) =>
    Effect.flatMap(
      load(() => import("./OpenAi.ts")),
      (OpenAi) =>
        OpenAi.make({
          ...settings,
          baseUrl: settings.baseUrl ?? settings.baseUrlFromVariable,
          organization: organization ?? more["OPENAI_ORG_ID"],
          project: project ?? more["OPENAI_PROJECT_ID"]
        })
    )
}

/**
 * Anthropic.
 *
 * @category providers
 * @since 0.1.0
 */
export const anthropic: Provider<Pick<Anthropic.Options, "betas" | "maxTokens">> = {
  name: "anthropic",
  keyVariables: ["ANTHROPIC_API_KEY"],
  tokenVariable: "ANTHROPIC_AUTH_TOKEN",
  baseUrlVariable: "ANTHROPIC_BASE_URL",
  defaultModel: "claude-haiku-4-5",
  models: "https://platform.claude.com/docs/en/about-claude/models/overview",
  make: ({ token, ...settings }, { betas, maxTokens }) =>
    Effect.flatMap(
      load(() => import("./Anthropic.ts")),
      (Anthropic) =>
        Anthropic.make({
          ...settings,
          betas,
          maxTokens,
          authToken: token,
          baseUrl: settings.baseUrl ?? settings.baseUrlFromVariable
        })
    )
}

/**
 * Google's Gemini.
 *
 * @category providers
 * @since 0.1.0
 */
export const google: Provider = {
  name: "google",
  keyVariables: ["GOOGLE_API_KEY", "GEMINI_API_KEY"],
  baseUrlVariable: "GOOGLE_GEMINI_BASE_URL",
  defaultModel: "gemini-2.5-flash",
  models: "https://ai.google.dev/gemini-api/docs/models",
  make: ({ baseUrlFromVariable, ...settings }) =>
    Effect.flatMap(
      load(() => import("./Google.ts")),
      (Google) =>
        Google.make({
          ...settings,
          baseUrl:
            settings.baseUrl ??
            (baseUrlFromVariable === undefined ? undefined : Google.fromVariable(baseUrlFromVariable))
        })
    )
}

/**
 * Ollama, on this machine unless its variable says otherwise.
 *
 * @category providers
 * @since 0.1.0
 */
export const ollama: Provider<Pick<Ollama.Options, "keepAlive" | "options">> = {
  name: "ollama",
  keyVariables: ["OLLAMA_API_KEY"],
  keyOptional: true,
  baseUrlVariable: "OLLAMA_HOST",
  models: "https://ollama.com/library",
  make: ({ baseUrlFromVariable, ...settings }, { keepAlive, options }) =>
    Effect.flatMap(
      load(() => import("./Ollama.ts")),
      (Ollama) =>
        Ollama.make({
          ...settings,
          keepAlive,
          options,
          baseUrl:
            settings.baseUrl ?? (baseUrlFromVariable === undefined ? undefined : Ollama.fromHost(baseUrlFromVariable))
        })
    )
}

/**
 * OpenAI's models on Azure. The model is the name of a deployment.
 *
 * @category providers
 * @since 0.1.0
 */
export const azure: Provider<{ readonly apiVersion?: string | undefined }> = {
  name: "azure",
  id: "azure-openai",
  keyVariables: ["AZURE_OPENAI_API_KEY"],
  tokenVariable: "AZURE_OPENAI_AD_TOKEN",
  baseUrlVariable: "AZURE_OPENAI_ENDPOINT",
  baseUrlRequired: true,
  moreVariables: ["OPENAI_API_VERSION"],
  bothApis: true,
  models: "https://ai.azure.com",
  make: ({ baseUrl, baseUrlFromVariable, more, resourceName, ...settings }, { apiVersion }) =>
    Effect.flatMap(
      load(() => import("./AzureOpenAi.ts")),
      (AzureOpenAi) =>
        AzureOpenAi.make({
          ...settings,
          ...(baseUrl === undefined && resourceName !== undefined
            ? { resourceName }
            : { baseUrl: baseUrl ?? baseUrlFromVariable ?? "" }),
          apiVersion: apiVersion ?? more["OPENAI_API_VERSION"]
        })
    )
}

/**
 * The server of one of `OpenAiCompatible`'s presets.
 *
 * @category providers
 * @since 0.1.0
 */
export const preset = (name: Presets.Name): Provider<Named> => {
  const { baseUrl, defaultModel, keyOptional = false, keyVariable, models }: Presets.Preset = Presets.presets[name]
  return {
    name,
    keyVariables: [keyVariable],
    keyOptional,
    ...(defaultModel === undefined ? undefined : { defaultModel }),
    models: models ?? `${baseUrl}/models`,
    make: ({ apiKey, baseUrl, headers, model }, own) =>
      Effect.flatMap(
        load(() => import("./OpenAiCompatible.ts")),
        (OpenAiCompatible) => OpenAiCompatible.make({ preset: name, apiKey, baseUrl, headers, model, name: own.name })
      )
  }
}

/**
 * What servers of OpenAI's chat completions take beside {@link Given}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Named {
  /** The provider's name, for events and errors. */
  readonly name?: string | undefined
}

/**
 * A server that speaks OpenAI's chat completions, at a base URL. It has no variables, and no name to be found by.
 *
 * @category providers
 * @since 0.1.0
 */
export const server: Provider<Named> = {
  name: "openai-compatible",
  keyVariables: [],
  keyOptional: true,
  baseUrlRequired: true,
  models: "https://platform.openai.com/docs/api-reference/models/list",
  make: ({ apiKey, baseUrl = "", headers, model }, { name }) =>
    Effect.flatMap(
      load(() => import("./OpenAiCompatible.ts")),
      (OpenAiCompatible) => OpenAiCompatible.make({ apiKey, baseUrl, headers, model, name })
    )
}

/**
 * Whether there is a preset of this name.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPreset = (name: string): name is Presets.Name => Object.hasOwn(Presets.presets, name)

/**
 * All of them, in the order in which one is looked for where none is named.
 *
 * @category providers
 * @since 0.1.0
 */
export const all: ReadonlyArray<Provider> = [
  openAi,
  anthropic,
  google,
  ollama,
  azure,
  ...Object.keys(Presets.presets).filter(isPreset).map(preset)
]

/**
 * Their names, to be read by people: `"openai, anthropic, google"`.
 *
 * @category getters
 * @since 0.1.0
 */
export const names: string = all.map(({ name }) => name).join(", ")

/**
 * The provider of a name.
 *
 * @category getters
 * @since 0.1.0
 */
export const find = (name: string): Provider | undefined =>
  all.find((provider) => provider.name === name || provider.id === name)

/**
 * A provider's name and a model's, which may have slashes itself: `"openrouter/meta-llama/llama-4-scout"`.
 * The model is `""` where there is none.
 *
 * @category parsing
 * @since 0.1.0
 */
export const split = (name: string): { readonly provider: string; readonly model: string } => {
  const slash = name.indexOf("/")
  return slash === -1 ? { provider: name, model: "" } : { provider: name.slice(0, slash), model: name.slice(slash + 1) }
}
