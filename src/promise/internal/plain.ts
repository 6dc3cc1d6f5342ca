/**
 * From this library's Effect types to plain ones.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent, Of } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import type { LlmResponse } from "../../LlmResponse.ts"
import type { AttemptFailed, Event, Response, Restarted, Switched } from "../Answer.ts"
import type { Message } from "../Request.ts"
import { RillError } from "../RillError.ts"
import * as messages from "./messages.ts"

const errors = new WeakMap<LlmError, RillError>()

/** The same one for the same error, so that what callbacks are told of is what the call throws. */
export const error = (error: LlmError): RillError => {
  const known = errors.get(error)
  if (known !== undefined) return known
  const { reason } = error
  const made = new RillError(error.message, {
    reason: reason._tag,
    provider: error.provider,
    model: error.model,
    phase: error.phase,
    emitted: error.emitted,
    usage: error.usage,
    requestId: error.requestId,
    isRetryable: error.isRetryable,
    retryAfter: error.retryAfter && Duration.toMillis(error.retryAfter),
    status: "status" in reason ? reason.status : undefined,
    code: "code" in reason ? reason.code : undefined,
    refusal: reason._tag === "ContentFiltered" ? reason.refusal : undefined,
    deadline: reason._tag === "DeadlineExceeded" ? reason.which : undefined,
    feature: reason._tag === "Unsupported" ? reason.feature : undefined,
    path: reason._tag === "InvalidOutput" ? reason.path : undefined,
    failedBefore: error.failedBefore
  })
  // Made deep inside: the call that fails adds where it was made.
  made.stack = `${made.name}: ${made.message}`
  errors.set(error, made)
  return made
}

export const event = (event: LlmEvent): Event => {
  switch (event._tag) {
    case "AttemptFailed":
    case "Restarted":
      return retry(event)
    case "Switched":
      return switched(event)
    default:
      return event
  }
}

export const retry = (event: Of<"AttemptFailed" | "Restarted">): AttemptFailed | Restarted => ({
  ...event,
  error: error(event.error)
})

export const switched = (event: Of<"Switched">): Switched => ({ ...event, error: error(event.error) })

export const response = (response: LlmResponse): Response => {
  // A refusal rejects the call: no answer has one.
  const { refusal: _refusal, toMessage, ...rest } = response
  return { ...rest, message: messages.assistant(toMessage) }
}

/** A history for the core. Throws where it is none. */
export const prompt = (input: string | ReadonlyArray<Message>): Prompt.Prompt => {
  if (input.length === 0) return Prompt.empty
  const made = LlmRequest.messages({ prompt: input })
  if (Result.isSuccess(made)) return Prompt.fromMessages(made.success)
  throw new TypeError(made.failure.message)
}
