/**
 * Anthropic: https://platform.claude.com/docs/en/api/messages.
 *
 * ```ts
 * const layer = Anthropic.layerConfig({ model: "claude-haiku-4-5" }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Llm } from "../Llm.ts"
import * as AnthropicMessages from "../protocol/AnthropicMessages.ts"
import * as AnthropicMessagesSettings from "../protocol/AnthropicMessagesSettings.ts"
import * as AnthropicModels from "../protocol/AnthropicModels.ts"
import * as HttpProvider from "./HttpProvider.ts"

/**
 * Where the API is, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultBaseUrl = "https://api.anthropic.com"

/**
 * The version of the API, sent as `anthropic-version`.
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "2023-06-01"

/**
 * A mark on a tool, for Anthropic's prompt cache: see {@link AnthropicMessagesSettings.CacheControl}.
 *
 * @category annotations
 * @since 0.1.0
 */
export const CacheControl: typeof AnthropicMessagesSettings.CacheControl = AnthropicMessagesSettings.CacheControl

/**
 * Options of the provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends AnthropicMessages.Options {
  /** The model to ask where a request names none, such as `"claude-haiku-4-5"`. */
  readonly model: string
  /** Sent as `x-api-key`. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** Sent as `authorization: Bearer …`, where there is no `apiKey`: for gateways and for tokens of OAuth. */
  readonly authToken?: Redacted.Redacted | undefined
  /** The URL before `/v1/messages`; a `/v1` at its end is not repeated. Default {@link defaultBaseUrl}. */
  readonly baseUrl?: string | undefined
  /** Features that are not generally available, such as `"files-api-2025-04-14"`. Sent as `anthropic-beta`. */
  readonly betas?: ReadonlyArray<string> | undefined
  /** More headers, sent with every request. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
}

/**
 * Makes the service: for programs that need several models at once.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Llm["Service"], never, HttpClient.HttpClient> => {
  const baseUrl = (options.baseUrl ?? defaultBaseUrl).replace(/\/+$/, "").replace(/\/v1$/, "")
  return HttpProvider.make({
    provider: "anthropic",
    model: options.model,
    protocol: AnthropicMessages.make(options),
    url: `${baseUrl}/v1/messages`,
    key: options.apiKey
      ? { header: "x-api-key", scheme: "", value: options.apiKey }
      : options.authToken && { header: "authorization", scheme: "Bearer ", value: options.authToken },
    headers: {
      "anthropic-version": version,
      "anthropic-beta": options.betas === undefined || options.betas.length === 0 ? undefined : options.betas.join(","),
      ...options.headers
    },
    prefill: (request) => {
      const { extra, model, reasoning } = request
      const isThinking = (reasoning !== undefined && reasoning !== "none") || extra?.["thinking"] !== undefined
      return !isThinking && AnthropicModels.takesPrefill(AnthropicModels.parse(model ?? options.model))
        ? request
        : undefined
    }
  })
}

/**
 * The service as a Layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Llm, never, HttpClient.HttpClient> =>
  Layer.effect(Llm, make(options))

/**
 * The service as a Layer, with what the options leave out read from configuration: `ANTHROPIC_API_KEY`, or
 * where it is not set `ANTHROPIC_AUTH_TOKEN` (one of them is required), and `ANTHROPIC_BASE_URL`, the names that
 * Anthropic's own libraries read. A variable that is empty counts as not set.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<Llm, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Llm,
    Effect.gen(function* () {
      const baseUrl = options.baseUrl ?? (yield* optional("ANTHROPIC_BASE_URL"))
      if (options.apiKey !== undefined || options.authToken !== undefined) return yield* make({ ...options, baseUrl })
      const token = yield* optional("ANTHROPIC_AUTH_TOKEN")
      const key = token === undefined ? undefined : yield* optional("ANTHROPIC_API_KEY")
      return yield* token !== undefined && key === undefined
        ? make({ ...options, baseUrl, authToken: Redacted.make(token) })
        : make({ ...options, baseUrl, apiKey: yield* Config.Redacted("ANTHROPIC_API_KEY") })
    })
  )

const optional = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.option(Config.String(name)), Option.getOrUndefined)
