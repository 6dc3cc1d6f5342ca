/**
 * What a model of Anthropic's takes, by its name: the API wants to be told, and differs between models.
 *
 * Sources: https://platform.claude.com/docs/en/about-claude/models/overview (tokens of an answer),
 * https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking (thinking) and
 * https://platform.claude.com/docs/en/build-with-claude/effort (effort).
 *
 * @since 0.1.0
 */

/**
 * A model's family and version, as far as its name tells. The version is `Infinity` where a name of
 * Anthropic's has none, and `undefined` for models of others.
 *
 * @category models
 * @since 0.1.0
 */
export interface Model {
  readonly family: string | undefined
  readonly version: number | undefined
}

/**
 * Reads a name: `claude-opus-4-5-20251101`, `claude-3-5-haiku-latest`, `anthropic/claude-sonnet-4.6`,
 * `us.anthropic.claude-opus-4-1-20250805-v1:0`.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (name: string): Model => {
  const at = name.indexOf("claude")
  if (at === -1) return { family: undefined, version: undefined }
  const rest = name.slice(at)
  // A date is no version: it has more digits.
  const match = /[-_](\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(rest)
  return {
    family: /opus|sonnet|haiku|instant|fable|mythos/.exec(rest)?.[0],
    version: match === null ? Infinity : Number(match[1]) + Number(match[2] ?? 0) / 10
  }
}

/**
 * The most tokens that an answer of the model may have, thinking included; for models of others, what
 * the least of them take.
 *
 * @category getters
 * @since 0.1.0
 */
export const maxTokens = ({ family, version }: Model): number => {
  if (version === undefined) return 8192
  if (family === "instant" || version < 3.5) return 4096
  if (version < 3.7) return 8192
  if (version >= 4.6) return 128_000
  return family === "opus" && version < 4.5 ? 32_000 : 64_000
}

/**
 * How the model is told to think: not at all, with a budget of tokens, or as much as it sees fit.
 *
 * @category getters
 * @since 0.1.0
 */
export const thinking = ({ family, version }: Model): "none" | "budget" | "adaptive" => {
  if (version === undefined) return "budget"
  if (family === "instant" || version < 3.7) return "none"
  return version < 4.6 ? "budget" : "adaptive"
}

/**
 * Whether the model thinks whatever it is told: Fable and Mythos.
 *
 * @category getters
 * @since 0.1.0
 */
export const alwaysThinks = ({ family }: Model): boolean => family === "fable" || family === "mythos"

/**
 * Whether the model knows the effort `xhigh`; the ones of 4.6 have only `max` above `high`.
 *
 * @category getters
 * @since 0.1.0
 */
export const knowsXhigh = ({ version }: Model): boolean => version !== undefined && version >= 4.7

/**
 * Whether the model goes on from a last message of the assistant. Since 4.6 it refuses one, and so it does
 * while it thinks: https://platform.claude.com/docs/en/about-claude/models/migration-guide. Models of others are not
 * known to.
 *
 * @category getters
 * @since 0.1.0
 */
export const takesPrefill = ({ version }: Model): boolean => version !== undefined && version < 4.6
