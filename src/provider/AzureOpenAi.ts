/**
 * OpenAI's models on Azure (Microsoft Foundry): https://learn.microsoft.com/azure/foundry/openai/latest.
 *
 * ```ts
 * const layer = AzureOpenAi.layer({
 *   model: "my-deployment",
 *   resourceName: "my-resource",
 *   apiKey
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import { InvalidRequest, LlmError, NotFound, type Reason } from "../LlmError.ts"
import * as OpenAiChat from "../protocol/OpenAiChat.ts"
import * as OpenAiResponses from "../protocol/OpenAiResponses.ts"
import type { Protocol } from "../protocol/Protocol.ts"
import type { Progress } from "../wire/Decoder.ts"
import * as HttpProvider from "./HttpProvider.ts"

/**
 * Options that have no place in them: `layerConfig` reads it from configuration.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** The name of the deployment to ask where a request names none. */
  readonly model: string
  /**
   * Which API is spoken: `"responses"` or `"chat"` (chat completions). Default `"responses"`, and `"chat"`
   * with an `apiVersion` that is a date, since older ones have nothing else.
   */
  readonly api?: "responses" | "chat" | undefined
  /** A key of the resource, sent as `api-key`. */
  readonly apiKey?: Redacted.Redacted | undefined
  /**
   * A token of Microsoft Entra ID, or an Effect that gives one, in the place of a key. Tokens hold for
   * about an hour, so the Effect is run for every request: let it keep the token for as long as it holds.
   * Their scope is `https://cognitiveservices.azure.com/.default`.
   */
  readonly token?: Redacted.Redacted | Effect.Effect<Redacted.Redacted, unknown> | undefined
  /**
   * Without one, the API is `v1`, which needs none. A date, such as `"2024-10-21"`, is the API of before,
   * with the deployment in its URL. Anything else, such as `"preview"`, is sent to `v1`.
   */
  readonly apiVersion?: string | undefined
  /** More headers, sent with every request. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
}

/**
 * Where the API is: the name of a resource, or a URL.
 *
 * @category models
 * @since 0.1.0
 */
export type Place =
  | {
      /** For `https://NAME.openai.azure.com`. */
      readonly resourceName: string
      readonly baseUrl?: undefined
    }
  | {
      readonly resourceName?: undefined
      /** The endpoint as Azure shows it, with or without `/openai/v1` at its end. */
      readonly baseUrl: string
    }

/**
 * Options of the provider.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Settings & Place

/**
 * Makes the service: for programs that need several models at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Llm["Service"], never, HttpClient.HttpClient> => {
  const { apiVersion, model } = options
  const problem = problemOf(options)
  if (problem !== undefined) return Effect.succeed({ events: () => Stream.fail(invalid(problem, model)) })
  const isDated = apiVersion !== undefined && /^\d/.test(apiVersion)
  const api = options.api ?? (isDated ? "chat" : "responses")
  const endpoint = options.baseUrl === undefined ? `https://${options.resourceName}.openai.azure.com` : options.baseUrl
  const base = `${endpoint.replace(/\/+$/, "").replace(/\/openai(\/v1)?$/, "")}/openai`
  const query = apiVersion === undefined ? "" : `?api-version=${encodeURIComponent(apiVersion)}`
  const path = api === "chat" ? "chat/completions" : "responses"
  const common = {
    provider,
    model,
    key: keyOf(options),
    headers: { ...options.headers },
    url: !isDated
      ? `${base}/v1/${path}${query}`
      : api === "chat"
        ? (deployment: string) => `${base}/deployments/${encodeURIComponent(deployment)}/${path}${query}`
        : `${base}/${path}${query}`
  }
  return api === "chat"
    ? HttpProvider.make({ ...common, protocol: onAzure(OpenAiChat.protocol) })
    : HttpProvider.make({ ...common, protocol: onAzure(OpenAiResponses.protocol) })
}

const provider = "azure-openai"

/** For callers whose types are not checked; and a name becomes part of the host that the key goes to. */
const problemOf = ({ api, baseUrl, resourceName }: Options): string | undefined => {
  if (api !== undefined && api !== "responses" && api !== "chat") {
    return `api must be "responses" or "chat", not ${JSON.stringify(api)}.`
  }
  if (baseUrl !== undefined || /^[a-z\d-]+$/i.test(resourceName ?? "")) return undefined
  return "there is no baseUrl, and no resourceName of letters, digits and hyphens: give one of them."
}

const invalid = (message: string, model: string): LlmError =>
  new LlmError({ reason: new InvalidRequest({ message }), provider, model, phase: "request", emitted: 0 })

const keyOf = ({ apiKey, token }: Settings): HttpProvider.Key | undefined =>
  token !== undefined
    ? { header: "authorization", scheme: "Bearer ", value: token }
    : apiKey && { header: "api-key", scheme: "", value: apiKey }

/** Models of OpenAI's names are not found on Azure: that is the most common mistake. */
const onAzure = <S extends Progress>(protocol: Protocol<S>): Protocol<S> => ({
  ...protocol,
  error: (failure): Reason =>
    failure.body.includes("DeploymentNotFound")
      ? new NotFound({
          message:
            "there is no such deployment in this resource. `model` is the name of the deployment, not of the model; a new one takes some minutes.",
          status: failure.status,
          code: "DeploymentNotFound"
        })
      : protocol.error(failure)
})

/**
 * The service as a Layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Llm, never, HttpClient.HttpClient> =>
  Layer.effect(Llm, make(options))

/**
 * The service as a Layer, with what the options leave out read from configuration:
 * `AZURE_OPENAI_ENDPOINT`, `AZURE_OPENAI_API_KEY` or, without one, `AZURE_OPENAI_AD_TOKEN`, and
 * `OPENAI_API_VERSION` (optional), the names that OpenAI's own libraries read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Settings & (Place | { readonly resourceName?: undefined; readonly baseUrl?: undefined })
): Layer.Layer<Llm, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Llm,
    Effect.gen(function* () {
      const { baseUrl, resourceName, ...settings } = options
      const place =
        resourceName !== undefined
          ? { resourceName }
          : { baseUrl: baseUrl ?? (yield* Config.String("AZURE_OPENAI_ENDPOINT")) }
      const apiVersion = yield* Config.option(Config.String("OPENAI_API_VERSION"))
      return yield* make({
        ...settings,
        ...place,
        ...(settings.apiKey === undefined && settings.token === undefined ? yield* credentials : undefined),
        apiVersion: settings.apiVersion ?? Option.getOrUndefined(apiVersion)
      })
    })
  )

/** Without either, the key is what is missed. */
const credentials = Effect.gen(function* () {
  const apiKey = yield* Config.option(Config.Redacted("AZURE_OPENAI_API_KEY"))
  if (Option.isSome(apiKey)) return { apiKey: apiKey.value }
  const token = yield* Config.option(Config.Redacted("AZURE_OPENAI_AD_TOKEN"))
  return Option.isSome(token) ? { token: token.value } : { apiKey: yield* Config.Redacted("AZURE_OPENAI_API_KEY") }
})
