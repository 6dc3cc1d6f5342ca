/**
 * From the errors of agents to plain ones.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import { type AgentError, isAgentError, ToolFailed } from "../../agent/AgentError.ts"
import { isLlmError } from "../../LlmError.ts"
import { RillError } from "../RillError.ts"
import * as messages from "./messages.ts"
import * as plain from "./plain.ts"
import { ToolThrew } from "./ToolThrew.ts"

/** What a call failed with, as it is thrown. */
export const failure = (error: unknown): unknown =>
  isLlmError(error) ? plain.error(error) : isAgentError(error) ? agentError(error) : error

/** The part of an error that is not of a turn of the model. */
const own = { provider: "agent", phase: "request", emitted: 0, isRetryable: false } as const

const agentError = (error: AgentError): RillError => {
  const { reason } = error
  const run = { step: error.step, usage: error.usage, messages: messages.all(error.transcript) }
  switch (reason._tag) {
    case "ModelFailed": {
      // The turn's own error is what callbacks were told.
      const turn = plain.error(reason.error)
      return new RillError(error.message, { ...turn, ...run }, { cause: turn })
    }
    case "LimitExceeded": {
      const limit = { which: reason.which, value: reason.limit }
      return new RillError(error.message, { ...own, ...run, reason: reason._tag, limit })
    }
    case "ToolFailed":
      return toolFailed(error.message, reason, run)
    default:
      return new RillError(error.message, { ...own, ...run, reason: reason._tag })
  }
}

const toolFailed = (
  message: string,
  { error, failure, id, toolName }: ToolFailed,
  run: Partial<Pick<RillError, "step" | "usage" | "messages">> = {}
): RillError =>
  new RillError(
    message,
    { ...own, ...run, reason: "ToolFailed", tool: { id, name: toolName, failure } },
    error instanceof ToolThrew ? { cause: error.error } : undefined
  )

/** Why a tool gave no result: what it threw, or an error of ours. */
export const toolError = ({ id, name }: { readonly id: string; readonly name: string }, error: unknown): unknown => {
  if (error instanceof ToolThrew) return error.error
  const failed = asToolFailed(id, name, error)
  if (failed === undefined) return error
  const plain = toolFailed(failed.message, failed)
  // Made deep inside, where no frame says anything to a caller.
  plain.stack = `${plain.name}: ${plain.message}`
  return plain
}

const asToolFailed = (id: string, toolName: string, error: unknown): ToolFailed | undefined => {
  if (error instanceof ToolFailed) return error
  if (!AiError.isAiError(error)) return undefined
  const failure = error.reason._tag === "ToolParameterValidationError" ? "input" : "result"
  return new ToolFailed({ id, toolName, failure })
}
