/**
 * From this library's Effect types to plain ones.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Duration from "effect/Duration"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent, Of } from "../../LlmEvent.ts"
import type { LlmResponse } from "../../LlmResponse.ts"
import type { AttemptFailed, Event, Response, Restarted, Switched } from "../Answer.ts"
import type { AssistantMessage, ProviderOptions } from "../Request.ts"
import { RillError } from "../RillError.ts"

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
    feature: reason._tag === "Unsupported" ? reason.feature : undefined
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
  return { ...rest, message: { role: "assistant", content: toMessage.content.flatMap(part), ...options(toMessage) } }
}

type Part = Exclude<AssistantMessage["content"], string>[number]

/** Parts without the marks of their types. An answer has no others than these. */
const part = (part: Prompt.AssistantMessagePart): ReadonlyArray<Part> => {
  switch (part.type) {
    case "text":
    case "reasoning":
      return [{ type: part.type, text: part.text, ...options(part) }]
    case "tool-call":
      return [{ type: part.type, id: part.id, name: part.name, params: part.params, ...options(part) }]
    default:
      return []
  }
}

const options = (of: { readonly options: ProviderOptions }): { readonly options?: ProviderOptions } =>
  Object.keys(of.options).length === 0 ? {} : { options: of.options }
