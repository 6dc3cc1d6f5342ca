/**
 * Ollama, on your own machine or in its cloud: https://docs.ollama.com/api/introduction.
 *
 * ```ts
 * const layer = Ollama.layer({ model: "qwen3" }).pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Llm } from "../Llm.ts"
import * as OllamaChat from "../protocol/OllamaChat.ts"
import type { EncodedRequest } from "../protocol/Protocol.ts"
import * as HttpProvider from "./HttpProvider.ts"

/**
 * Where a server listens, unless told otherwise.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultBaseUrl = "http://127.0.0.1:11434"

/**
 * Where Ollama's cloud is. It wants an API key.
 *
 * @category constants
 * @since 0.1.0
 */
export const cloudBaseUrl = "https://ollama.com"

/**
 * Options of the provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The model to ask where a request names none, such as `"qwen3"`. It has to be pulled before. */
  readonly model: string
  /** The URL before `/api/chat`, or before `/chat`. Default {@link defaultBaseUrl}. */
  readonly baseUrl?: string | undefined
  /** For Ollama's cloud, or a proxy that asks for one. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** How long the model stays loaded after an answer: zero not at all, infinity for good. Ollama's default is 5 min. */
  readonly keepAlive?: Duration.Input | undefined
  /**
   * Sent as `options` with every request, such as `{ num_ctx: 16384 }`; those of a request win. A prompt
   * longer than `num_ctx` is cut by Ollama without a word. All of them:
   * https://docs.ollama.com/modelfile#valid-parameters-and-values.
   */
  readonly options?: Readonly<Record<string, unknown>> | undefined
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
  const baseUrl = (options.baseUrl ?? defaultBaseUrl).replace(/\/+$/, "").replace(/\/api$/, "")
  return HttpProvider.make({
    provider: "ollama",
    model: options.model,
    protocol: {
      ...OllamaChat.protocol,
      encode: (request, model) =>
        Result.map(OllamaChat.encode(request, model), (encoded) => defaulted(encoded, options))
    },
    url: `${baseUrl}/api/chat`,
    key: options.apiKey && { header: "authorization", scheme: "Bearer ", value: options.apiKey },
    headers: { ...options.headers },
    // Templates leave the last message open if it is the model's:
    // https://github.com/ollama/ollama/blob/main/docs/template.mdx.
    prefill: (request) => request,
    whenUnreachable: baseUrl === cloudBaseUrl ? undefined : "If Ollama does not run there, start it: `ollama serve`."
  })
}

/** What a request says for itself wins. */
const defaulted = ({ body, inputCharacters }: EncodedRequest, { keepAlive, options }: Options): EncodedRequest => {
  const own = body["options"]
  return {
    inputCharacters,
    body: {
      ...(keepAlive === undefined ? undefined : { keep_alive: inSeconds(Duration.fromInputUnsafe(keepAlive)) }),
      ...body,
      ...(options === undefined || (own !== undefined && !Predicate.isObject(own))
        ? undefined
        : { options: { ...options, ...own } })
    }
  }
}

/** Ollama takes seconds; what is below zero has no end. */
const inSeconds = (duration: Duration.Duration): number =>
  Duration.isFinite(duration) ? Duration.toSeconds(duration) : -1

/**
 * The service as a Layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Llm, never, HttpClient.HttpClient> =>
  Layer.effect(Llm, make(options))

/**
 * The service as a Layer, with what the options leave out read from configuration, both optional:
 * `OLLAMA_HOST`, read as Ollama's own clients do (`"192.168.0.7"`, `":8080"`, `"https://example.com"`; the
 * addresses on which a server listens everywhere, such as `0.0.0.0`, are this machine), and
 * `OLLAMA_API_KEY`. For Ollama's cloud, `OLLAMA_HOST` is `ollama.com`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<Llm, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Llm,
    Effect.gen(function* () {
      const host = Option.getOrUndefined(yield* Config.option(Config.String("OLLAMA_HOST")))
      const key = yield* Config.option(Config.Redacted("OLLAMA_API_KEY"))
      return yield* make({
        ...options,
        baseUrl: options.baseUrl ?? (host === undefined ? undefined : fromHost(host)),
        apiKey: options.apiKey ?? Option.getOrUndefined(key)
      })
    })
  )

/**
 * The `baseUrl` of what `OLLAMA_HOST` says, by the rules of `envconfig.ConnectableHost` in
 * https://github.com/ollama/ollama.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHost = (host: string): string | undefined => {
  const value = host
    .trim()
    .replace(/^["']+|["']+$/g, "")
    .trim()
  if (value === "") return undefined
  if (value === "ollama.com") return cloudBaseUrl
  const [scheme, address] = value.includes("://") ? value.split("://", 2) : [undefined, value]
  const [authority, ...path] = address!.split("/")
  // An IPv6 address needs no brackets, if there is no port.
  const bracketed = /^[^[]*:.*:/.test(authority!) ? `[${authority}]` : authority!
  const [, name, port] = /^(\[.*\]|[^:]*):?(.*)$/.exec(bracketed)!
  const where = name === "" || name === "0.0.0.0" ? "127.0.0.1" : name === "[::]" ? "[::1]" : name
  const at = port !== "" ? `:${port}` : scheme === undefined ? ":11434" : ""
  return `${scheme ?? "http"}://${[`${where}${at}`, ...path].join("/")}`
}
