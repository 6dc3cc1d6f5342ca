/**
 * What a run used that did not say so: the one place where it is estimated.
 *
 * @internal
 */
import * as Result from "effect/Result"
import { LlmError } from "../../LlmError.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"

/** The characters of a request's prompt: 0 for one that is not valid, which is never sent. */
export const promptCharacters = (request: LlmRequest.LlmRequest): number => {
  const messages = LlmRequest.messages(request)
  return Result.isSuccess(messages) ? LlmRequest.countCharacters(messages.success) : 0
}

/** Whether a request was refused before anything was made of it: who refuses it does not bill for it. */
export const isRefused = (error: LlmError): boolean => error.phase === "request" || error.phase === "headers"

/** What a failed run used: what its error reports, or else an estimate; nothing where it was refused. */
export const ofError = (error: LlmError, prompt: () => number): LlmUsage.LlmUsage | undefined =>
  error.usage ?? (isRefused(error) ? undefined : LlmUsage.estimate({ input: prompt(), output: error.emitted }))

/** An error that tells this usage. */
export const withUsage = (error: LlmError, usage: LlmUsage.LlmUsage): LlmError => new LlmError({ ...error, usage })
