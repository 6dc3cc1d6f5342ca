/**
 * The account of a budget: what is spent and what is reserved, in tokens and in money.
 *
 * @internal
 */
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Options, Spent, Who } from "../Budget.ts"
import * as Cost from "../Cost.ts"

/** What is counted: tokens, and their money. */
export interface Sum {
  readonly tokens: number
  readonly money: number
}

export class Ledger {
  private usage = LlmUsage.sum([])
  private requests = 0
  private unpriced = 0
  private money = 0
  private readonly reserved = { tokens: 0, money: 0 }
  private readonly limit: Sum
  private readonly prices: Cost.Prices | undefined
  readonly options: Options
  /** What is wrong with the options, in words that say what to do. */
  readonly invalid: string | undefined

  constructor(options: Options) {
    this.options = options
    this.invalid = check(options)
    this.prices = options.prices
    this.limit = { tokens: options.tokens ?? Infinity, money: options.money ?? Infinity }
  }

  spent(): Spent {
    const { requests, unpriced, usage } = this
    const told = { tokens: tokensOf(usage), usage, requests, unpriced }
    return this.prices === undefined ? told : { ...told, money: this.money }
  }

  /** What is neither spent nor reserved. Below 0 where more was used than was reserved. */
  left(): Sum {
    return {
      tokens: this.limit.tokens - tokensOf(this.usage) - this.reserved.tokens,
      money: this.limit.money - this.money - this.reserved.money
    }
  }

  sum(usage: LlmUsage.LlmUsage, who: Who): Sum {
    return { tokens: tokensOf(usage), money: this.price(usage, who).money }
  }

  private price(usage: LlmUsage.LlmUsage, who: Who): { readonly money: number; readonly known: boolean } {
    const { prices } = this
    if (prices === undefined) return { money: 0, known: true }
    const price = Cost.find(prices, who)
    if (price !== undefined) return { money: Cost.of(usage, price), known: true }
    let money = 0
    for (const price of Object.values(prices)) money = Math.max(money, Cost.of(usage, price))
    return { money, known: false }
  }

  /** Whether a model is known to cost nothing. */
  isFree(who: Who): boolean {
    return this.price({ source: "exact", inputTokens: 1, outputTokens: 1 }, who).money === 0
  }

  reserve(sum: Sum): void {
    this.reserved.tokens += sum.tokens
    this.reserved.money += sum.money
  }

  release(sum: Sum): void {
    this.reserved.tokens -= sum.tokens
    this.reserved.money -= sum.money
  }

  settle(usage: LlmUsage.LlmUsage, who: Who): void {
    const { known, money } = this.price(usage, who)
    this.requests++
    if (!known) this.unpriced++
    this.money += money
    this.usage = LlmUsage.sum([this.usage, usage])
  }
}

/** What a request may use: its prompt, at four characters a token, and the most that it lets the answer have. */
export const expected = (characters: number, { maxTokens = 0 }: LlmRequest) => ({
  ...LlmUsage.estimate({ input: characters, output: 0 }),
  // What is no number of tokens is refused by the provider's module; here it must not enter a sum.
  outputTokens: maxTokens > 0 && maxTokens < Infinity ? maxTokens : 0
})

const tokensOf = ({ inputTokens = 0, outputTokens = 0 }: LlmUsage.LlmUsage): number => inputTokens + outputTokens

const check = ({ money, prices, tokens }: Options): string | undefined => {
  if (tokens === undefined && money === undefined) return "a budget needs a ceiling: `tokens`, or `money` and `prices`."
  if (tokens !== undefined && !(tokens >= 0)) return "the `tokens` of a budget must be a number from 0."
  if (money !== undefined && !(money >= 0)) return "the `money` of a budget must be a number from 0."
  const all = Object.entries(prices ?? {})
  if (money !== undefined && all.length === 0) return "a budget of money needs `prices`."
  for (const [model, price] of all) {
    const { cacheRead = 0, cacheWrite = 0, input, output } = price
    if (![input, output, cacheRead, cacheWrite].every((one) => one >= 0 && one < Infinity)) {
      return `the price of ${model} must be numbers from 0, \`input\` and \`output\` at least: money for a million tokens.`
    }
  }
  return undefined
}
