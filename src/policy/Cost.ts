/**
 * What tokens cost: prices that the caller gives, and the money of a usage.
 *
 * Prices change and differ by contract, so none are part of this library.
 *
 * ```ts
 * const prices: Cost.Prices = {
 *   "openai/gpt-4o-mini": { input: 0.15, output: 0.6, cacheRead: 0.075 },
 *   "ollama/*": { input: 0, output: 0 }
 * }
 * const price = Cost.find(prices, { provider: "openai", model: "gpt-4o-mini-2024-07-18" })
 * const dollars = price && Cost.of(usage, price)
 * ```
 *
 * @since 0.1.0
 */
import type { LlmUsage } from "../LlmUsage.ts"

/**
 * The price of a model: money for a million tokens, in whichever currency, the same for all.
 *
 * @category models
 * @since 0.1.0
 */
export interface Price {
  /** Input tokens that no cache had. */
  readonly input: number
  /** Output tokens, those of reasoning among them. */
  readonly output: number
  /** Input tokens read from the provider's prompt cache. Default: the price of `input`. */
  readonly cacheRead?: number | undefined
  /** Input tokens written to the provider's prompt cache. Default: the price of `input`. */
  readonly cacheWrite?: number | undefined
}

/**
 * Prices by model. A key is `provider/model`, a model alone, `provider/*` for whatever else a provider
 * has, or `*` for all the rest; {@link find} says which one holds.
 *
 * @category models
 * @since 0.1.0
 */
export type Prices = Readonly<Record<string, Price>>

/**
 * The money that a usage costs. Counts that the usage does not tell are nothing.
 *
 * Tokens of the prompt cache are among `inputTokens` (see `LlmUsage`): they are taken out and priced by
 * themselves.
 *
 * @category calculating
 * @since 0.1.0
 */
export const of = (usage: LlmUsage, price: Price): number => {
  const { cacheReadTokens = 0, cacheWriteTokens = 0, inputTokens = 0, outputTokens = 0 } = usage
  // A server may count the cache apart, or alone: what was read is never less than nothing.
  const uncached = Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens)
  const millions =
    uncached * price.input +
    cacheReadTokens * (price.cacheRead ?? price.input) +
    cacheWriteTokens * (price.cacheWrite ?? price.input) +
    outputTokens * price.output
  return millions / 1_000_000
}

/**
 * The price of a model, or `undefined` where there is none.
 *
 * The first of these keys that `prices` has: `provider/model`, `model`, both again without the version
 * that providers add to the name that was asked for (`-2024-07-18`, `-20240718`, `-0613`, `-001`,
 * `-latest`, and the same after `@`), `provider/*`, `*`.
 *
 * @category calculating
 * @since 0.1.0
 */
export const find = (
  prices: Prices,
  who: { readonly provider?: string | undefined; readonly model?: string | undefined }
): Price | undefined => {
  const keys: Array<string> = []
  if (who.model !== undefined) {
    for (const model of new Set([who.model, who.model.replace(version, "")])) {
      if (who.provider !== undefined) keys.push(`${who.provider}/${model}`)
      keys.push(model)
    }
  }
  if (who.provider !== undefined) keys.push(`${who.provider}/*`)
  keys.push("*")
  const key = keys.find((key) => Object.hasOwn(prices, key))
  return key === undefined ? undefined : prices[key]
}

const version = /[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{3,4}|latest)$/
