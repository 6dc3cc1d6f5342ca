/**
 * A provider that can be named, as data, and what it is made of: what is given, completed by what is set.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { Llm } from "../../Llm.ts"

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
