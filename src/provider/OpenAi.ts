/**
 * OpenAI: https://platform.openai.com/docs/api-reference.
 *
 * ```ts
 * const layer = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))
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
import { InvalidRequest, LlmError } from "../LlmError.ts"
import * as OpenAiChat from "../protocol/OpenAiChat.ts"
import * as OpenAiResponses from "../protocol/OpenAiResponses.ts"
import * as HttpProvider from "./HttpProvider.ts"

/**
 * Where the API is, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultBaseUrl = "https://api.openai.com/v1"

/**
 * Which of OpenAI's APIs is spoken.
 *
 * - `"responses"`: OpenAI's newer one, with reasoning that is kept between turns, files of all kinds, and
 *   tools that OpenAI runs itself. It has no `stop`, no `seed` and no penalties.
 * - `"chat"`: chat completions, the one that most other servers speak.
 *
 * @category models
 * @since 0.1.0
 */
export type Api = "responses" | "chat"

/**
 * Options of the provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The model to ask where a request names none, such as `"gpt-4o-mini"`. */
  readonly model: string
  /** Default `"responses"`. Many servers that speak as OpenAI does know `"chat"` alone. */
  readonly api?: Api | undefined
  /** Without one, no `authorization` header is sent: for servers of your own. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** The URL before `/responses` or `/chat/completions`. Default {@link defaultBaseUrl}. */
  readonly baseUrl?: string | undefined
  /** Sent as `OpenAI-Organization`. */
  readonly organization?: string | undefined
  /** Sent as `OpenAI-Project`. */
  readonly project?: string | undefined
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
  const baseUrl = (options.baseUrl ?? defaultBaseUrl).replace(/\/+$/, "")
  const common = {
    provider: "openai",
    model: options.model,
    key: options.apiKey && { header: "authorization", scheme: "Bearer " as const, value: options.apiKey },
    headers: {
      "openai-organization": options.organization,
      "openai-project": options.project,
      ...options.headers
    }
  }
  const { api = "responses" } = options
  switch (api) {
    case "responses":
      return HttpProvider.make({ ...common, protocol: OpenAiResponses.protocol, url: `${baseUrl}/responses` })
    case "chat":
      return HttpProvider.make({ ...common, protocol: OpenAiChat.protocol, url: `${baseUrl}/chat/completions` })
    default:
      // For callers whose types are not checked.
      return Effect.succeed({ events: () => Stream.fail(unknownApi(api, options.model)) })
  }
}

const unknownApi = (api: never, model: string): LlmError =>
  new LlmError({
    reason: new InvalidRequest({ message: `api must be "responses" or "chat", not ${JSON.stringify(api)}.` }),
    provider: "openai",
    model,
    phase: "request",
    emitted: 0
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
 * The service as a Layer, with what the options leave out read from configuration: `OPENAI_API_KEY`
 * (required), `OPENAI_BASE_URL`, `OPENAI_ORG_ID` and `OPENAI_PROJECT_ID`, the names that OpenAI's own
 * libraries read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<Llm, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Llm,
    Effect.gen(function* () {
      return yield* make({
        ...options,
        apiKey: options.apiKey ?? (yield* Config.Redacted("OPENAI_API_KEY")),
        baseUrl: options.baseUrl ?? (yield* optional("OPENAI_BASE_URL")),
        organization: options.organization ?? (yield* optional("OPENAI_ORG_ID")),
        project: options.project ?? (yield* optional("OPENAI_PROJECT_ID"))
      })
    })
  )

/** A variable that is empty counts as not set, as shells make it hard to tell them apart. */
const optional = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.option(Config.String(name)), (value) => Option.getOrUndefined(value) || undefined)
