/**
 * Which model is asked: `--model`, else OpenAI if there is a key or a base URL, else the offline one.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as Llm from "../Llm.ts"
import * as OpenAi from "../provider/OpenAi.ts"
import { Failed, UsageError } from "./Failure.ts"

/**
 * A model to ask.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  /** As `--model` takes it: `openai/gpt-4.1-mini`, `offline`. */
  readonly name: string
  readonly llm: Llm.Llm["Service"]
}

/**
 * What OpenAI is asked for where no model is named: small, quick to begin, and taking `--temperature`,
 * which the reasoning models refuse.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultOpenAi = "gpt-4.1-mini"

/**
 * What `--model` takes.
 *
 * @category constants
 * @since 0.1.0
 */
export const names = "openai/NAME, offline"

/**
 * Finds the model. The offline one is served until the scope closes; it speaks chat completions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const choose = Effect.fnUntraced(function* (
  wanted: string | undefined,
  api: OpenAi.Api
): Effect.fn.Return<Model, UsageError | Failed, HttpClient.HttpClient | Scope.Scope> {
  const environment = yield* variables
  const configured = environment.key !== undefined || environment.baseUrl !== undefined
  if (wanted === "offline" || (wanted === undefined && !configured)) return yield* offline(environment.pace)
  const name = wanted ?? `openai/${defaultOpenAi}`
  const slash = name.indexOf("/")
  const provider = slash === -1 ? name : name.slice(0, slash)
  const model = slash === -1 ? "" : name.slice(slash + 1)
  if (provider !== "openai") {
    return yield* new UsageError({
      message:
        slash === -1
          ? `--model ${name}: a provider and its model are wanted, such as openai/${defaultOpenAi}. There are: ${names}.`
          : `--model ${name}: there is no provider ${provider}. There are: ${names}.`
    })
  }
  if (model === "") {
    return yield* new UsageError({
      message: `--model ${name}: name the model too, such as openai/${defaultOpenAi}.`
    })
  }
  if (!configured) {
    return yield* new Failed({
      message: `openai/${model} needs a key: set OPENAI_API_KEY to one of https://platform.openai.com/api-keys, set OPENAI_BASE_URL to a server of your own, or take --model offline.`
    })
  }
  const llm = yield* OpenAi.make({
    model,
    api,
    apiKey: environment.key,
    baseUrl: environment.baseUrl,
    organization: environment.organization,
    project: environment.project
  })
  return { name, llm }
})

const offline = Effect.fnUntraced(function* (tokensPerSecond: number | undefined) {
  if (tokensPerSecond !== undefined && !(tokensPerSecond > 0)) {
    return yield* new Failed({ message: "RILL_OFFLINE_TOKENS_PER_SECOND is not more than 0." })
  }
  // Most runs ask another model, and need no server to begin.
  const OfflineModel = yield* Effect.promise(() => import("./OfflineModel.ts"))
  const served = yield* Effect.mapError(
    OfflineModel.make({ tokensPerSecond, latency: tokensPerSecond === undefined ? undefined : 0 }),
    () => new Failed({ message: "the offline model could not open a port on 127.0.0.1." })
  )
  const llm = yield* OpenAi.make({ model: OfflineModel.model, api: "chat", baseUrl: served.baseUrl })
  return { name: "offline", llm }
})

const text = (name: string) =>
  Config.map(Config.option(Config.String(name)), (value) => Option.getOrUndefined(value)?.trim() || undefined)

/** A variable that is empty counts as not set, as shells make it hard to tell them apart. */
const variables = Config.all({
  key: Config.map(Config.option(Config.Redacted("OPENAI_API_KEY")), (key) =>
    Option.getOrUndefined(Option.filter(key, (key) => Redacted.value(key).trim() !== ""))
  ),
  baseUrl: text("OPENAI_BASE_URL"),
  organization: text("OPENAI_ORG_ID"),
  project: text("OPENAI_PROJECT_ID"),
  /** For tests and for the impatient: words a second of the offline model, which then begins at once. */
  pace: Config.map(Config.option(Config.Finite("RILL_OFFLINE_TOKENS_PER_SECOND")), Option.getOrUndefined)
}).pipe(Effect.mapError((error) => new Failed({ message: `a variable cannot be read: ${error.message}` })))
