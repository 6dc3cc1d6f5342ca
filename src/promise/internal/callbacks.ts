/**
 * Plain callbacks as the library's own.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Callbacks from "../../policy/Callbacks.ts"
import type * as Rill from "../Rill.ts"
import * as plain from "./plain.ts"
import { toolError } from "./agentError.ts"

/** What a callback threw: a defect of the stream, to be found again in its cause. */
export class Thrown {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

export const findThrown = (cause: Cause.Cause<unknown>): Thrown | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isDieReason(reason) && reason.defect instanceof Thrown) return reason.defect
  }
  return undefined
}

export const toEffects = (callbacks: Rill.Callbacks): Callbacks.Callbacks => ({
  onStart: callbacks.onStart && (() => call(() => callbacks.onStart?.())),
  onToken: callbacks.onToken && ((text) => call(() => callbacks.onToken?.(text))),
  onReasoning: callbacks.onReasoning && ((text) => call(() => callbacks.onReasoning?.(text))),
  onToolStart: callbacks.onToolStart && ((start) => call(() => callbacks.onToolStart?.(start))),
  onToolEnd: callbacks.onToolEnd && ((end) => call(() => callbacks.onToolEnd?.(toToolEnd(end)))),
  onRetry: callbacks.onRetry && ((event) => call(() => callbacks.onRetry?.(plain.retry(event)))),
  onSwitch: callbacks.onSwitch && ((event) => call(() => callbacks.onSwitch?.(plain.switched(event)))),
  onError: callbacks.onError && ((error) => call(() => callbacks.onError?.(plain.error(error)))),
  onEnd: callbacks.onEnd && ((end) => call(() => callbacks.onEnd?.(toEnd(end))))
})

const call = (callback: () => unknown): Effect.Effect<void> => {
  try {
    const result = callback()
    return Predicate.isPromiseLike(result) ? settled(result) : Effect.void
  } catch (error) {
    return Effect.die(new Thrown(error))
  }
}

const settled = (promise: PromiseLike<unknown>): Effect.Effect<void> =>
  Effect.tryPromise({ try: () => Promise.resolve(promise), catch: (error) => new Thrown(error) }).pipe(
    Effect.orDie,
    Effect.asVoid
  )

/** What a caller's own question is answered with. */
export const ask = (question: () => boolean | PromiseLike<boolean>): Effect.Effect<boolean> =>
  Effect.tryPromise({ try: async () => (await question()) === true, catch: (error) => new Thrown(error) }).pipe(
    Effect.orDie
  )

const toToolEnd = ({ exit, id, name }: Callbacks.ToolEnd): Rill.ToolEnd => {
  if (Exit.isSuccess(exit)) return { id, name, status: "complete", output: exit.value }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isSome(error)) return { id, name, status: "failed", error: toolError({ id, name }, error.value) }
  return Cause.hasDies(exit.cause)
    ? { id, name, status: "failed", error: Cause.squash(exit.cause) }
    : { id, name, status: "stopped" }
}

const toEnd = ({ exit, usage }: Callbacks.End): Rill.End => {
  if (Exit.isSuccess(exit)) return { status: "complete", usage }
  const thrown = findThrown(exit.cause)
  if (thrown !== undefined) return { status: "failed", error: thrown.error, usage }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isSome(error)) return { status: "failed", error: plain.error(error.value), usage }
  return Cause.hasDies(exit.cause)
    ? { status: "failed", error: Cause.squash(exit.cause), usage }
    : { status: "stopped", usage }
}
