/**
 * A model's answer behind a gate: something is asked for before it begins, and told how it ended.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import { bracket } from "./bracket.ts"

export type Events = NonEmptyReadonlyArray<LlmEvent>

/** One answer. */
export class Answer {
  /** How it ended. An answer that its reader left before its end is interrupted. */
  exit: Exit.Exit<void, LlmError> = Exit.interrupt()
  /** Makes an effect interruptible: the gate is passed in one piece but for this. */
  readonly restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

  constructor(restore: Answer["restore"]) {
    this.restore = restore
  }
}

/** Looks at an array of events as it passes. `undefined` where there is nothing to wait for. */
export type Look = (events: Events) => Effect.Effect<void> | undefined

/**
 * Passes a gate for each run of a stream.
 *
 * What the gate adds to its scope is run once the connection is closed, and before the end of the answer
 * is told to its reader.
 */
export const guard = (
  events: Stream.Stream<LlmEvent, LlmError>,
  pass: (answer: Answer) => Effect.Effect<Look, LlmError, Scope.Scope>
): Stream.Stream<LlmEvent, LlmError> =>
  bracket((scope) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const answer = new Answer(restore)
        const look = yield* Scope.provide(pass(answer), scope)
        // Scopes close backwards: the connection first, then the gate, who may take its time.
        const connection = yield* Scope.fork(scope)
        const pull = yield* restore(Channel.toPullScoped(Stream.toChannel(events), connection))
        const onSuccess = (events: Events): Pull.Pull<Events, LlmError> => {
          const looking = look(events)
          return looking === undefined ? Effect.succeed(events) : Effect.as(looking, events)
        }
        const onFailure = (cause: Cause.Cause<LlmError | Cause.Done>): Pull.Pull<Events, LlmError> => {
          answer.exit = Pull.isDoneCause(cause) ? Exit.void : Exit.failCause(cause as Cause.Cause<LlmError>)
          return Effect.failCause(cause)
        }
        return Effect.matchCauseEffect(pull, { onSuccess, onFailure })
      })
    )
  )
