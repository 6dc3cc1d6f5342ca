/**
 * Errors as policies pass them on: the same failure, with what a policy knows more of it.
 *
 * @internal
 */
import { LlmError } from "../../LlmError.ts"

/** What an error was made of. */
const parts = new WeakMap<LlmError, ReadonlyArray<LlmError>>()

/**
 * The same error, but for these fields. `others` are the failures of other attempts that are part of its
 * usage now.
 */
export const amend = (
  error: LlmError,
  changes: Partial<Pick<LlmError, "phase" | "emitted" | "failedBefore" | "usage">>,
  others: ReadonlyArray<LlmError> = []
): LlmError => {
  const amended = new LlmError({ ...error, ...changes })
  parts.set(amended, [error, ...others])
  return amended
}

/** Whether a failure is part of what an error tells: who has heard of both counts the latter alone. */
export const isPartOf = (part: LlmError, error: LlmError): boolean =>
  parts.get(error)?.some((one) => one === part || isPartOf(part, one)) ?? false
