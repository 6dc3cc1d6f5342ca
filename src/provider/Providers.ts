/**
 * The providers by name, for programs whose users choose one: `"anthropic/claude-haiku-4-5"`. What each is
 * called, which variables it reads, and how its service is made. Data, but for the last: the provider itself
 * is loaded when it is made.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { Llm } from "../Llm.ts"
import type * as Anthropic from "./Anthropic.ts"
import type * as Ollama from "./Ollama.ts"
import * as Presets from "./openAiCompatible/Presets.ts"

/**
 * A provider that can be named. `Own` are the options that it alone has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Provider<in Own extends object = {}> {
  /** What stands before the first slash of `"openai/gpt-4.1-mini"`. */
  readonly name: string
  /** What it is called in events and errors, where that is something else. */
  readonly id?: string
  /** The variables of its key: the first that is set counts. */
  readonly keyVariables: ReadonlyArray<string>
  /** The variable of a token, which counts where no key is set. */
  readonly tokenVariable?: string
  /** Whether it is asked without a key too. Default false. */
  readonly keyOptional?: boolean
  readonly baseUrlVariable?: string
  /** Whether it has no place but the one that is given: then it wants a key there, too. Default false. */
  readonly baseUrlRequired?: boolean
  /** What else it reads. */
  readonly moreVariables?: ReadonlyArray<string>
  /** Whether it speaks both of OpenAI's APIs. Default false. */
  readonly bothApis?: boolean
  /** A model for those who name none: small, quick to begin, and not about to be taken away. */
  readonly defaultModel?: string
  /** The page that lists its models. */
  readonly models: string
  /** Loads the provider and makes its service. */
  readonly make: (settings: Settings, own: Own) => Effect.Effect<Llm["Service"], never, HttpClient.HttpClient>
}

/**
 * What is said of a provider by who asks for it. The rest is read from variables.
 *
 * @category models
 * @since 0.1.0
 */
export interface Given {
  /** The model to ask where a request names none. */
  readonly model: string
  readonly apiKey?: string | undefined
  readonly token?: string | undefined
  readonly baseUrl?: string | undefined
  /** In the place of a base URL, where the provider is Azure: the name of a resource. */
  readonly resourceName?: string | undefined
  /** Which of OpenAI's APIs is spoken, by those that have {@link Provider.bothApis}. */
  readonly api?: "responses" | "chat" | undefined
  /** More headers, sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Gives the value of a variable, and `undefined` for one that is not set. Empty is up to the reader: shells
 * make it hard to tell from not set.
 *
 * @category models
 * @since 0.1.0
 */
export type Read = (variable: string) => string | undefined

/**
 * All that a provider is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly model: string
  readonly apiKey: Redacted.Redacted | undefined
  readonly token: Redacted.Redacted | undefined
  readonly baseUrl: string | undefined
  /** The base URL as the variable has it, for some in another form: for where none was given. */
  readonly baseUrlFromVariable: string | undefined
  readonly resourceName: string | undefined
  readonly api: "responses" | "chat" | undefined
  readonly headers: Readonly<Record<string, string>>
  /** The values of {@link Provider.moreVariables}. */
  readonly more: Readonly<Record<string, string | undefined>>
}

/**
 * Completes what is given with what is set. A key or token that is given comes before all variables.
 *
 * @category constructors
 * @since 0.1.0
 */
export const settings = (provider: Provider<never>, given: Given, read: Read): Settings => {
  const isGiven = given.apiKey !== undefined || given.token !== undefined
  const apiKey = isGiven ? given.apiKey : firstSet(provider.keyVariables, read)
  const token = isGiven || apiKey !== undefined ? given.token : valueOf(provider.tokenVariable, read)
  return {
    model: given.model,
    apiKey: redacted(apiKey),
    token: redacted(token),
    baseUrl: given.baseUrl,
    baseUrlFromVariable: valueOf(provider.baseUrlVariable, read),
    resourceName: given.resourceName,
    api: given.api,
    headers: given.headers ?? {},
    more: Object.fromEntries((provider.moreVariables ?? []).map((variable) => [variable, read(variable)]))
  }
}

/**
 * Whether there is no key where one is needed. A place of one's own, such as a gateway, may have it; so may a header.
 *
 * @category getters
 * @since 0.1.0
 */
export const lacksKey = (provider: Provider<never>, settings: Settings): boolean =>
  provider.keyOptional !== true &&
  settings.apiKey === undefined &&
  settings.token === undefined &&
  (provider.baseUrlRequired === true || !hasBaseUrl(settings)) &&
  !Object.keys(settings.headers).some((name) => name.toLowerCase() === "authorization")

/**
 * Whether there is no base URL where one is needed.
 *
 * @category getters
 * @since 0.1.0
 */
export const lacksBaseUrl = (provider: Provider<never>, settings: Settings): boolean =>
  provider.baseUrlRequired === true && !hasBaseUrl(settings)

/**
 * Whether a base URL is given or set.
 *
 * @category getters
 * @since 0.1.0
 */
export const hasBaseUrl = (settings: Settings): boolean =>
  settings.baseUrl !== undefined || settings.baseUrlFromVariable !== undefined || settings.resourceName !== undefined

/**
 * The variables of a provider's key or token, in their order.
 *
 * @category getters
 * @since 0.1.0
 */
export const secretVariables = (provider: Provider<never>): ReadonlyArray<string> =>
  provider.tokenVariable === undefined ? provider.keyVariables : [...provider.keyVariables, provider.tokenVariable]

/**
 * All variables that a provider reads.
 *
 * @category getters
 * @since 0.1.0
 */
export const variables = (provider: Provider<never>): ReadonlyArray<string> => [
  ...secretVariables(provider),
  ...(provider.baseUrlVariable === undefined ? [] : [provider.baseUrlVariable]),
  ...(provider.moreVariables ?? [])
]

const firstSet = (variables: ReadonlyArray<string>, read: Read): string | undefined => {
  for (const variable of variables) {
    const value = read(variable)
    if (value !== undefined) return value
  }
  return undefined
}

const valueOf = (variable: string | undefined, read: Read): string | undefined =>
  variable === undefined ? undefined : read(variable)

const redacted = (secret: string | undefined): Redacted.Redacted | undefined =>
  secret === undefined ? undefined : Redacted.make(secret)

const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

// -----------------------------------------------------------------------------
// the providers
// -----------------------------------------------------------------------------

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
