import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Llm } from "effect-rill/Llm"
import { LlmError, type Reason } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmUsage } from "effect-rill/LlmUsage"

export const token = (text: string): LlmEvent => ({ _tag: "TextDelta", text })
export const thought = (text: string): LlmEvent => ({ _tag: "ReasoningDelta", text })
export const usage: LlmUsage = { source: "exact", inputTokens: 7, outputTokens: 3 }
export const finished: LlmEvent = { _tag: "Finished", reason: "stop", usage }

export const llmError = (
  reason: Reason,
  more: { readonly usage?: LlmUsage; readonly phase?: LlmError["phase"]; readonly emitted?: number } = {}
) => new LlmError({ reason, provider: "test", phase: "mid-output", emitted: 0, ...more })

/** A stream of these arrays, one pull each, then of what `end` does. */
export const arrays = (
  parts: ReadonlyArray<ReadonlyArray<LlmEvent>>,
  end: Effect.Effect<never, LlmError> | undefined = undefined
): Stream.Stream<LlmEvent, LlmError> => {
  const pieces = Stream.fromIterable(parts, { chunkSize: 1 }).pipe(Stream.flatMap((events) => Stream.fromArray(events)))
  return end === undefined ? pieces : Stream.concat(pieces, Stream.fromEffect(end))
}

export const service = (events: Stream.Stream<LlmEvent, LlmError>): Llm["Service"] => ({ events: () => events })

export const layer = (events: Stream.Stream<LlmEvent, LlmError>): Layer.Layer<Llm> =>
  Layer.succeed(Llm, service(events))

/** What something failed with, be it an error or a defect. */
export const errorOf = <E>(exit: Exit.Exit<unknown, E>): E => {
  if (Exit.isSuccess(exit)) throw new Error("it succeeded")
  return Cause.squash(exit.cause) as E
}
