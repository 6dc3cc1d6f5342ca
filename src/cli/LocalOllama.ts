/**
 * Whether an Ollama runs, and what it has: https://docs.ollama.com/api/tags.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Ollama from "../provider/Ollama.ts"

/**
 * An Ollama that answers.
 *
 * @category models
 * @since 0.1.0
 */
export interface LocalOllama {
  readonly baseUrl: string
  /** The model that was installed or changed last, of those that answer; `undefined` where there is none. */
  readonly model: string | undefined
}

/**
 * Where it is, by `OLLAMA_HOST`.
 *
 * @category getters
 * @since 0.1.0
 */
export const baseUrl = (host: string | undefined): string =>
  ((host === undefined ? undefined : Ollama.fromHost(host)) ?? Ollama.defaultBaseUrl).replace(/\/+$/, "")

/**
 * Asks it for its models. Where nothing answers within half a second, or something else than Ollama does, there is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const find = (
  host: string | undefined,
  apiKey: string | undefined
): Effect.Effect<Option.Option<LocalOllama>> => {
  const url = baseUrl(host)
  return Effect.tryPromise(async (signal) => {
    const response = await fetch(`${url}/api/tags`, {
      signal,
      // A key goes where it was meant to, and no further.
      redirect: "error",
      headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
    })
    const body: unknown = response.ok ? await response.json() : undefined
    return Predicate.hasProperty(body, "models") && Array.isArray(body.models)
      ? { baseUrl: url, model: newest(body.models) }
      : undefined
  }).pipe(
    Effect.timeoutOption("500 millis"),
    Effect.map(Option.flatMap(Option.fromNullishOr)),
    Effect.orElseSucceed(() => Option.none())
  )
}

const newest = (models: ReadonlyArray<unknown>): string | undefined => {
  let found: { readonly name: string; readonly changed: number } | undefined
  for (const model of models) {
    if (!Predicate.hasProperty(model, "name") || typeof model.name !== "string" || isEmbedding(model)) continue
    const changed = Predicate.hasProperty(model, "modified_at") ? Date.parse(String(model.modified_at)) || 0 : 0
    if (found === undefined || changed > found.changed) found = { name: model.name, changed }
  }
  return found?.name
}

/** These give numbers for a text, not an answer: what they are made of has "bert" in its name, or they say what they do. */
const isEmbedding = (model: object & { readonly name: unknown }): boolean =>
  /embed|minilm|\bbge\b/i.test(String(model.name)) ||
  (Predicate.hasProperty(model, "details") &&
    Predicate.hasProperty(model.details, "family") &&
    /bert/i.test(String(model.details.family)))
