/**
 * What a turn cost in tokens, as the provider counted it or as we estimate it.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Records from "effect/Record"
import * as Schema from "effect/Schema"

/**
 * Token counts of one turn.
 *
 * Every count is in tokens and optional, since not every provider reports every one.
 * `source` is `"exact"` where the provider's own numbers came, and `"estimated"` where they did not
 * (characters / 4, rounded up: the rule of thumb of OpenAI's documentation on tokens).
 * `raw` is the provider's own usage object, unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export const LlmUsage = Schema.Struct({
  source: Schema.Literals(["exact", "estimated"]),
  /**
   * Tokens of the request, all of them: those that were read from the prompt cache or written to it are
   * among them, also where the provider counts them apart, as Anthropic does.
   */
  inputTokens: Schema.optionalKey(Schema.Number),
  /** Tokens of the answer; where the provider says so, those of its reasoning are among them. */
  outputTokens: Schema.optionalKey(Schema.Number),
  reasoningTokens: Schema.optionalKey(Schema.Number),
  /** Input tokens that were read from the provider's prompt cache. */
  cacheReadTokens: Schema.optionalKey(Schema.Number),
  /** Input tokens that were written to the provider's prompt cache. */
  cacheWriteTokens: Schema.optionalKey(Schema.Number),
  raw: Schema.optionalKey(Schema.Unknown)
})

/**
 * Token counts of one turn.
 *
 * @category models
 * @since 0.1.0
 */
export type LlmUsage = typeof LlmUsage.Type

/**
 * Estimates usage from counted characters, at four characters a token, rounded up.
 *
 * @category constructors
 * @since 0.1.0
 */
export const estimate = (characters: {
  readonly input: number
  readonly output: number
  readonly reasoning?: number | undefined
}): LlmUsage => {
  const reasoning = characters.reasoning ?? 0
  const usage: { -readonly [K in keyof LlmUsage]: LlmUsage[K] } = {
    source: "estimated",
    inputTokens: Math.ceil(characters.input / 4),
    outputTokens: Math.ceil((characters.output + reasoning) / 4)
  }
  if (reasoning > 0) usage.reasoningTokens = Math.ceil(reasoning / 4)
  return usage
}

/**
 * Usage that a provider reports. Counts that are not numbers are left out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const exact = (
  raw: unknown,
  counts: {
    readonly inputTokens?: unknown
    readonly outputTokens?: unknown
    readonly reasoningTokens?: unknown
    readonly cacheReadTokens?: unknown
    readonly cacheWriteTokens?: unknown
  }
): LlmUsage => ({
  source: "exact",
  ...Records.filter(counts as Readonly<Record<string, unknown>>, Predicate.isNumber),
  raw
})

/**
 * What several turns used together. Exact only if each of them is, and each tells both what went in and
 * what came out or neither does: else a sum would be too small. `raw` is left out.
 *
 * @category combining
 * @since 0.1.0
 */
export const sum = (usages: ReadonlyArray<LlmUsage>): LlmUsage => {
  const total: { -readonly [K in keyof LlmUsage]: LlmUsage[K] } = { source: "exact" }
  const told = { inputTokens: 0, outputTokens: 0 }
  for (const usage of usages) {
    if (usage.source === "estimated") total.source = "estimated"
    for (const count of counts) {
      const value = usage[count]
      if (value === undefined) continue
      total[count] = (total[count] ?? 0) + value
      if (count in told) told[count as keyof typeof told]++
    }
  }
  for (const times of Object.values(told)) {
    if (times !== 0 && times !== usages.length) total.source = "estimated"
  }
  return usages.length === 0 ? { source: "exact", inputTokens: 0, outputTokens: 0 } : total
}

const counts = ["inputTokens", "outputTokens", "reasoningTokens", "cacheReadTokens", "cacheWriteTokens"] as const
