/**
 * Google's Gemini: https://ai.google.dev/api.
 *
 * ```ts
 * const layer = Google.layerConfig({ model: "gemini-2.5-flash" }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * Through Vertex AI, with a token in place of the key:
 *
 * ```ts
 * const layer = Google.layer({
 *   model: "gemini-2.5-flash",
 *   baseUrl: `https://${location}-aiplatform.googleapis.com/v1/projects/${project}/locations/${location}/publishers/google`,
 *   headers: { authorization: Redacted.make(`Bearer ${token}`) }
 * })
 * ```
 *
 * A token lives for an hour: make the layer, or the service with {@link make}, anew with the next one. Keys
 * of Vertex AI's express mode are `apiKey`, with `baseUrl: "https://aiplatform.googleapis.com/v1/publishers/google"`.
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
import * as GoogleGemini from "../protocol/GoogleGemini.ts"
import * as HttpProvider from "./HttpProvider.ts"

/**
 * Where the API is, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultBaseUrl = "https://generativelanguage.googleapis.com/v1beta"

/**
 * Options of the provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The model to ask where a request names none, such as `"gemini-2.5-flash"` or `"tunedModels/mine"`.
   */
  readonly model: string
  /** Sent as `x-goog-api-key`. Without one, that header is not sent. */
  readonly apiKey?: Redacted.Redacted | undefined
  /**
   * The URL before `/models/…`, with the API's version. An origin alone, as in `"http://localhost:8080"`, is
   * that of version `v1beta`. Default {@link defaultBaseUrl}.
   */
  readonly baseUrl?: string | undefined
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
  const versioned = /^https?:\/\/[^/]+$/i.test(baseUrl) ? `${baseUrl}/${version}` : baseUrl
  return HttpProvider.make({
    provider: "google",
    model: options.model,
    protocol: GoogleGemini.protocol,
    url: (model) => `${versioned}/${resource(model)}:streamGenerateContent?alt=sse`,
    key: options.apiKey && { header: "x-goog-api-key", scheme: "", value: options.apiKey },
    headers: options.headers ?? {}
  })
}

const version = "v1beta"

/**
 * The path of a model: `models/` before a bare name. However a model is called, it is one segment of the
 * path: names may come from users.
 */
const resource = (model: string): string => {
  const [, collection = "models", name] = /^(?:(models|tunedModels|endpoints)\/)?(.*)$/s.exec(model)!
  return `${collection}/${encodeURIComponent(name!.replace(/[\ud800-\udfff]/gu, "\ufffd"))}`
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
 * The service as a Layer, with what the options leave out read from configuration, as Google's own
 * libraries read it: the key from `GOOGLE_API_KEY` or else `GEMINI_API_KEY` (one is required), and
 * `GOOGLE_GEMINI_BASE_URL`, which is the URL before the API's version.
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
        apiKey: options.apiKey ?? (yield* apiKey),
        baseUrl: options.baseUrl ?? (yield* baseUrl)
      })
    })
  )

/** A variable that is empty counts as not set, as shells make it hard to tell them apart. */
const apiKey = Effect.gen(function* () {
  const first = yield* Config.option(Config.Redacted("GOOGLE_API_KEY"))
  return Option.isSome(first) && Redacted.value(first.value).trim() !== ""
    ? first.value
    : yield* Config.Redacted("GEMINI_API_KEY")
})

const baseUrl = Config.map(Config.option(Config.String("GOOGLE_GEMINI_BASE_URL")), (value) =>
  Option.getOrUndefined(Option.map(value, fromVariable))
)

/**
 * The `baseUrl` of what `GOOGLE_GEMINI_BASE_URL` says, which is the URL before the API's version.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromVariable = (value: string): string | undefined => {
  const url = value.replace(/\/+$/, "")
  return url === "" ? undefined : `${url}/${version}`
}
