/**
 * Which model is asked: `--model`; else the first provider that is set up and has a model for those who name
 * none; else an Ollama that answers; else the offline one.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Llm from "../Llm.ts"
import * as Providers from "../provider/Providers.ts"
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
  /** What its user should know, where the choice may come as a surprise. */
  readonly note?: string
}

/**
 * Which of OpenAI's APIs is spoken.
 *
 * @category models
 * @since 0.1.0
 */
export type Api = NonNullable<Providers.Given["api"]>

/**
 * Finds the model, and those to ask in its place when it fails. `api` is for those of them that have both, of
 * which there has to be one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chooseAll = Effect.fnUntraced(function* (
  wanted: string | undefined,
  fallbacks: ReadonlyArray<string>,
  api: Api | undefined
): Effect.fn.Return<NonEmptyReadonlyArray<Model>, UsageError | Failed, HttpClient.HttpClient | Scope.Scope> {
  if (fallbacks.length === 0) return [yield* choose(wanted, api)]
  const read = yield* environment
  // They are looked at first: what is wrong with them should not wait for a search of models.
  const others = yield* Effect.forEach(fallbacks, (name) =>
    name === offlineName ? offline(read) : named(name, hasBothApis(name) ? api : undefined, read, "--fallback")
  )
  const isTaken = fallbacks.some(hasBothApis) && wanted !== undefined && !hasBothApis(wanted)
  const first = yield* choose(wanted, isTaken ? undefined : api)
  if (wanted === undefined && first.name === offlineName) {
    return yield* new UsageError({
      message: `--fallback ${fallbacks[0]}: no model is set up that it could stand in for. Name one with --model.`
    })
  }
  return [first, ...others]
})

/** As `--model` takes it. */
const offlineName = "offline"

const hasBothApis = (wanted: string): boolean => Providers.find(Providers.split(wanted).provider)?.bothApis === true

/**
 * Finds the model. The offline one is served until the scope closes; it speaks chat completions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const choose = Effect.fnUntraced(function* (
  wanted: string | undefined,
  api: Api | undefined
): Effect.fn.Return<Model, UsageError | Failed, HttpClient.HttpClient | Scope.Scope> {
  const read = yield* environment
  if (wanted === offlineName) return yield* offline(read)
  if (wanted !== undefined) return yield* named(wanted, api, read, "--model")
  const provider = Providers.all.find((provider) => provider.defaultModel !== undefined && isSetUp(provider, read))
  if (provider?.defaultModel !== undefined) return yield* open(provider, provider.defaultModel, api, read)
  const local = yield* findOllama(read)
  if (local?.model !== undefined) {
    const model = yield* open(Providers.ollama, local.model, api, read)
    const others = unnamed(read)
    const note = `no model is named: this is ${model.name}, of the Ollama at ${local.baseUrl}.`
    return { ...model, note: others === undefined ? note : `${note} ${others}` }
  }
  return yield* offline(read)
})

const named = Effect.fnUntraced(function* (
  wanted: string,
  api: Api | undefined,
  read: Providers.Read,
  flag: "--model" | "--fallback"
) {
  const { model, provider: name } = Providers.split(wanted)
  const provider = Providers.find(name)
  if (provider === undefined) {
    const message = wanted.includes("/")
      ? `there is no provider ${name}`
      : `a provider and its model are wanted, such as openai/${Providers.openAi.defaultModel}`
    return yield* new UsageError({ message: `${flag} ${wanted}: ${message}. There are: ${Providers.names}, offline.` })
  }
  if (model !== "") return yield* open(provider, model, api, read, flag)
  if (provider === Providers.ollama) return yield* installed(api, read, flag)
  if (provider.defaultModel === undefined || wanted.includes("/")) {
    return yield* new UsageError({
      message: `${flag} ${wanted}: name the model too, such as ${provider.name}/${provider.defaultModel ?? "NAME"}. Its models: ${provider.models}`
    })
  }
  return yield* open(provider, provider.defaultModel, api, read, flag)
})

const open = Effect.fnUntraced(function* (
  provider: Providers.Provider,
  model: string,
  api: Api | undefined,
  read: Providers.Read,
  flag: "--model" | "--fallback" = "--model"
) {
  const name = `${provider.name}/${model}`
  if (api !== undefined && provider.bothApis !== true) {
    const both = Providers.all.filter(({ bothApis }) => bothApis === true)
    return yield* new UsageError({
      message: `--api ${api} is for ${both.map(({ name }) => name).join(" and ")}: ${name} is asked in one way only.`
    })
  }
  const settings = Providers.settings(provider, { model, api }, read)
  if (Providers.lacksBaseUrl(provider, settings)) {
    return yield* new Failed({ message: `${name} needs its endpoint: set ${provider.baseUrlVariable}.` })
  }
  if (Providers.lacksKey(provider, settings)) {
    const elsewhere =
      provider.baseUrlVariable === undefined || provider.baseUrlRequired === true
        ? ""
        : ` set ${provider.baseUrlVariable} to a server of your own,`
    const without = flag === "--model" ? "take --model offline" : `leave out --fallback ${name}`
    return yield* new Failed({
      message: `${name} needs a key: set ${Providers.secretVariables(provider).join(" or ")},${elsewhere} or ${without}.`
    })
  }
  return { name, llm: yield* provider.make(settings, {}) }
})

const installed = Effect.fnUntraced(function* (
  api: Api | undefined,
  read: Providers.Read,
  flag: "--model" | "--fallback"
) {
  const local = yield* findOllama(read)
  if (local === undefined) {
    return yield* new Failed({
      message: `${flag} ollama: no Ollama answers. Start it with \`ollama serve\`, or set OLLAMA_HOST to where it is.`
    })
  }
  if (local.model === undefined) {
    return yield* new Failed({
      message: `${flag} ollama: the Ollama at ${local.baseUrl} has no model that answers. Get one: ollama pull qwen3`
    })
  }
  return yield* open(Providers.ollama, local.model, api, read, flag)
})

const findOllama = Effect.fnUntraced(function* (read: Providers.Read) {
  const LocalOllama = yield* Effect.promise(() => import("./LocalOllama.ts"))
  return Option.getOrUndefined(yield* LocalOllama.find(read("OLLAMA_HOST"), read("OLLAMA_API_KEY")))
})

const offline = Effect.fnUntraced(function* (read: Providers.Read) {
  const pace = read(paceVariable)
  const tokensPerSecond = pace === undefined ? undefined : Number(pace)
  if (tokensPerSecond !== undefined && !(tokensPerSecond > 0 && tokensPerSecond < Infinity)) {
    return yield* new Failed({ message: `${paceVariable} is not a number of more than 0.` })
  }
  // Most runs ask another model, and need no server to begin.
  const OfflineModel = yield* Effect.promise(() => import("./OfflineModel.ts"))
  const served = yield* Effect.mapError(
    OfflineModel.make({ tokensPerSecond, latency: tokensPerSecond === undefined ? undefined : 0 }),
    () => new Failed({ message: "the offline model could not open a port on 127.0.0.1." })
  )
  const settings = Providers.settings(
    Providers.openAi,
    { model: OfflineModel.model, api: "chat", baseUrl: served.baseUrl },
    () => undefined
  )
  return { name: offlineName, llm: yield* Providers.openAi.make(settings, {}), note: offlineNote(read) }
})

const offlineNote = (read: Providers.Read): string =>
  `this is the offline model. ${unnamed(read) ?? "Set OPENAI_API_KEY, or another key of `rill models`, to ask a real one."}`

/** A key that is set and not used, since its provider has no default model: its owner may wonder. */
const unnamed = (read: Providers.Read): string | undefined => {
  const set = Providers.all.find(
    (provider) => provider.defaultModel === undefined && provider.keyOptional !== true && isSetUp(provider, read)
  )
  return set && `To ask ${set.name}, whose key is set, name its model: --model ${set.name}/NAME`
}

const isSetUp = (provider: Providers.Provider, read: Providers.Read): boolean => {
  const settings = Providers.settings(provider, { model: "" }, read)
  return (
    settings.apiKey !== undefined ||
    settings.token !== undefined ||
    (Providers.hasBaseUrl(settings) && !Providers.lacksKey(provider, settings))
  )
}

/** For tests and for the impatient: words a second of the offline model, which then begins at once. */
const paceVariable = "RILL_OFFLINE_TOKENS_PER_SECOND"

/**
 * The variables of all providers. One that is empty counts as not set, as shells make it hard to tell them apart.
 *
 * @category configuration
 * @since 0.1.0
 */
export const environment: Effect.Effect<Providers.Read, Failed> = Effect.gen(function* () {
  const values = new Map<string, string>()
  for (const name of new Set([...Providers.all.flatMap(Providers.variables), paceVariable])) {
    const value = Option.getOrUndefined(yield* Config.option(Config.String(name)))?.trim()
    if (value !== undefined && value !== "") values.set(name, value)
  }
  return (name: string) => values.get(name)
}).pipe(Effect.mapError((error) => new Failed({ message: `a variable cannot be read: ${error.message}` })))
