/**
 * Requests that nobody answers.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import { LlmError, type Reason } from "../../LlmError.ts"
import type { LlmRequest } from "../../LlmRequest.ts"

/** The error of a request that a policy of this name does not let through. `retryAfter`: when it may. */
export const refusal = (by: string, { model }: LlmRequest, reason: Reason, retryAfter?: Duration.Duration): LlmError =>
  new LlmError({
    reason,
    provider: by,
    // Nobody has looked at the request yet.
    ...(typeof model === "string" ? { model } : undefined),
    phase: "request",
    emitted: 0,
    ...(retryAfter === undefined ? undefined : { retryAfter })
  })

/** Whether a request was refused before anything was made of it: who refuses it does not bill for it. */
export const isRefused = ({ phase }: LlmError): boolean => phase === "request" || phase === "headers"

/** Whether a request has surely not left: it was refused by something on this side. */
export const isUnsent = ({ phase, reason }: LlmError): boolean => phase === "request" && !onTheWay.has(reason._tag)

/** Reasons that leave open whether the provider has the request although it said nothing. */
const onTheWay: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>([
  "Unreachable",
  "Disconnected",
  "DeadlineExceeded"
])
