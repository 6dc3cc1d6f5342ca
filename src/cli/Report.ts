/**
 * What standard error says of a turn: why it failed, and what it used.
 *
 * @since 0.1.0
 */
import type * as CliError from "effect/cli/CliError"
import type { LlmError } from "../LlmError.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import * as Providers from "../provider/Providers.ts"
import type { Failed } from "./Failure.ts"

/**
 * One paragraph: what happened and what to do.
 *
 * @category rendering
 * @since 0.1.0
 */
export const failure = (failure: Failed | LlmError): string =>
  failure._tag === "LlmError" ? llmError(failure) : failure.message

/** The models that failed before come last: what is said of this one is not to be taken for theirs. */
const llmError = (error: LlmError): string => {
  const before = error.failedBefore === undefined ? "" : ` Failed before: ${error.failedBefore.join(", ")}.`
  return ofOne(error, error.message.slice(0, error.message.length - before.length)) + before
}

const ofOne = (error: LlmError, message: string): string => {
  const { reason } = error
  switch (reason._tag) {
    case "Authentication":
      return `${message}${keyFrom(error)}`
    case "Unreachable":
      return `${message} --model offline needs no network.`
    case "ContentFiltered":
      // The library's message speaks of its own functions.
      return reason.refusal === undefined
        ? `${who(error)}: ContentFiltered: the provider's content filter withheld the answer, or the rest of it. Change the prompt.`
        : `${who(error)}: ContentFiltered: the model refused to answer: “${reason.refusal}” Change the prompt.`
    default:
      // On the command line the option is a flag.
      return message
        .replace('`api: "chat"`', "--api chat")
        .replace(/raise the deadline `(firstToken|idle)`/, "raise --timeout")
  }
}

const keyFrom = (error: LlmError): string => {
  const provider = Providers.find(error.provider)
  return provider === undefined ? "" : ` The key is read from ${Providers.secretVariables(provider).join(" or ")}.`
}

const who = (error: LlmError): string =>
  error.model === undefined ? error.provider : `${error.provider}/${error.model}`

/**
 * What is wrong with the flags.
 *
 * @category rendering
 * @since 0.1.0
 */
export const complaint = (error: CliError.NonShowHelpErrors): string => {
  if (error._tag !== "UnrecognizedOption") return error.message.endsWith(".") ? error.message : `${error.message}.`
  // Any letter is close to any other.
  const near = error.suggestions.filter((flag) => flag.startsWith("--"))
  const meant = near.length === 0 ? "" : ` Did you mean ${near.join(" or ")}?`
  return `there is no flag ${error.option}.${meant} To send it as part of the prompt, put -- before the prompt.`
}

/**
 * One line: the tokens, and whether they are counted or estimated.
 *
 * @category rendering
 * @since 0.1.0
 */
export const usage = (usage: LlmUsage): string => `usage: ${tokens(usage)}`

/**
 * The tokens alone.
 *
 * @category rendering
 * @since 0.1.0
 */
export const tokens = (usage: LlmUsage): string => {
  const parts: Array<string> = []
  const add = (count: number | undefined, what: string, of: number | undefined, ofWhat: string) => {
    if (count !== undefined) parts.push(`${count} ${what}${of ? ` (${of} ${ofWhat})` : ""}`)
  }
  add(usage.inputTokens, "input", usage.cacheReadTokens, "cached")
  add(usage.outputTokens, "output", usage.reasoningTokens, "reasoning")
  const counts = parts.length === 0 ? "not reported" : `${parts.join(" + ")} tokens`
  return `${counts}${usage.source === "estimated" ? ", estimated" : ""}`
}
