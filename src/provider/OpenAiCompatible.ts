/**
 * Servers that speak OpenAI's chat completions: providers, routers, and servers of your own.
 *
 * ```ts
 * const groq = OpenAiCompatible.layerConfig({ preset: "groq", model: "openai/gpt-oss-120b" })
 * const mine = OpenAiCompatible.layer({ baseUrl: "http://10.0.0.5:8000/v1", model: "qwen3" })
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
import { Authentication, InvalidRequest, LlmError, type Reason } from "../LlmError.ts"
import * as OpenAiChat from "../protocol/OpenAiChat.ts"
import type { Deviations } from "../protocol/OpenAiChatDeviations.ts"
import * as HttpProvider from "./HttpProvider.ts"
import * as Presets from "./openAiCompatible/Presets.ts"

/**
 * What the provider is called where no preset names it, in events and errors.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultName = "openai-compatible"

/**
 * Options of the provider: a preset, a base URL, or both.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Common &
  (
    | {
        /** A server that is known: its URL, the variable of its key, and in what it deviates. */
        readonly preset: Presets.Name
        /** Another place where it is, such as a region, a proxy, or another port. */
        readonly baseUrl?: string | undefined
      }
    | {
        readonly preset?: undefined
        /** The URL before `/chat/completions`, such as `"http://localhost:8000/v1"`. */
        readonly baseUrl: string
      }
  )

/**
 * Options that a preset does not change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Common {
  /** The model to ask where a request names none. */
  readonly model: string
  /** Sent as `authorization: Bearer …`. Without one, no such header is sent. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** The provider's name, for events and errors. Default: the preset's, or {@link defaultName}. */
  readonly name?: string | undefined
  /** More headers, sent with every request. */
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  /** In what this server deviates: each field wins over the preset's. */
  readonly deviations?: Deviations | undefined
}

/**
 * Makes the service: for programs that need several models at once.
 *
 * Requests to a preset that needs a key fail with `Authentication` before they are sent, if there is none:
 * no `apiKey`, no header `authorization`, and no `baseUrl` of a proxy that may have one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Llm["Service"], never, HttpClient.HttpClient> => {
  const preset = presetOf(options)
  // The first is for callers whose types are not checked.
  const problem = unknownServer(options, preset) ?? keyMissing(options, preset)
  if (problem !== undefined) return Effect.succeed({ events: () => Stream.fail(refused(options, problem)) })
  const baseUrl = options.baseUrl ?? preset?.baseUrl ?? ""
  return HttpProvider.make({
    provider: nameOf(options),
    model: options.model,
    protocol: OpenAiChat.make({ ...Presets.usual, ...preset?.deviations, ...options.deviations }),
    url: `${baseUrl.replace(/\/+$/, "")}/chat/completions`,
    key: options.apiKey && { header: "authorization", scheme: "Bearer ", value: options.apiKey },
    headers: { ...options.headers }
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
 * The service as a Layer, with the key read from the preset's own variable, such as `GROQ_API_KEY`: those of
 * hosted providers are required, those of servers of your own are not. A plain `baseUrl` has no variable:
 * give it its key, if it wants one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<Llm, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.effect(
    Llm,
    Effect.gen(function* () {
      const preset = presetOf(options)
      if (options.apiKey !== undefined || preset === undefined) return yield* make(options)
      const variable = Config.Redacted(preset.keyVariable)
      const apiKey = preset.keyOptional === true ? yield* optional(variable) : yield* variable
      return yield* make({ ...options, apiKey })
    })
  )

const optional = (variable: Config.Config<Redacted.Redacted>): Config.Config<Redacted.Redacted | undefined> =>
  Config.map(Config.option(variable), Option.getOrUndefined)

const presetOf = ({ preset }: Options): Presets.Preset | undefined =>
  preset !== undefined && Object.hasOwn(Presets.presets, preset) ? Presets.presets[preset] : undefined

const nameOf = (options: Options): string => options.name ?? options.preset ?? defaultName

const keyMissing = (options: Options, preset: Presets.Preset | undefined): Reason | undefined => {
  if (preset === undefined || preset.keyOptional === true) return undefined
  if (options.apiKey !== undefined || options.baseUrl !== undefined) return undefined
  if (Object.keys(options.headers ?? {}).some((name) => name.toLowerCase() === "authorization")) return undefined
  return new Authentication({
    message: `there is no API key. Give one as \`apiKey\`, or use \`layerConfig\`, which reads ${preset.keyVariable}.`
  })
}

const unknownServer = ({ baseUrl, preset }: Options, found: Presets.Preset | undefined): Reason | undefined => {
  const known = `a preset (${Object.keys(Presets.presets).join(", ")})`
  if (preset !== undefined && found === undefined) {
    return new InvalidRequest({
      message: `there is no preset ${JSON.stringify(preset)}. Give ${known} or a \`baseUrl\`.`
    })
  }
  return baseUrl === undefined && found === undefined
    ? new InvalidRequest({ message: `give ${known} or a \`baseUrl\`.` })
    : undefined
}

const refused = (options: Options, reason: Reason): LlmError =>
  new LlmError({ reason, provider: nameOf(options), model: options.model, phase: "request", emitted: 0 })
