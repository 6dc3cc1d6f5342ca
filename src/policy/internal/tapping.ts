/**
 * Calls callbacks as the events of one stream pass by.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { isLlmError, type LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Callbacks, Run } from "../Callbacks.ts"
import { Meter } from "./Meter.ts"
import { type Run as Watched, watched } from "./watching.ts"

type Events = NonEmptyReadonlyArray<LlmEvent>

/** Gives callbacks what they need. */
export type Provide<in R2, out R3> = (effect: Effect.Effect<void, never, R2>) => Effect.Effect<void, never, R3>

/** Whether nothing that happens to a stream of events would call any of them. */
export const isSilent = <R>(callbacks: Callbacks<R>): boolean =>
  callbacks.onStart === undefined &&
  callbacks.onToken === undefined &&
  callbacks.onReasoning === undefined &&
  callbacks.onRetry === undefined &&
  callbacks.onSwitch === undefined &&
  callbacks.onEnd === undefined &&
  callbacks.onError === undefined

export const tap = <R, R2, R3>(
  events: Stream.Stream<LlmEvent, LlmError, R>,
  callbacks: Callbacks<R2>,
  request: LlmRequest | undefined,
  provide: Provide<R2, R3>
): Stream.Stream<LlmEvent, LlmError, R | R3> =>
  watched(events, (run) =>
    Effect.gen(function* () {
      const tapping = new Tapping(callbacks, request, run)
      const context = yield* Effect.context<R3>()
      const end = (exit: Exit.Exit<unknown, unknown>) => Effect.provideContext(provide(tapping.end(exit)), context)
      yield* Scope.addFinalizerExit(run.scope, end)
      yield* run.restore(provide(tapping.start()))
      return {
        look: (events: Events) => {
          const told = tapping.tell(events)
          return told && provide(told)
        }
      }
    })
  )

/** What one run has told its callbacks. */
class Tapping<R> {
  private mayBeRejected = false
  private readonly meter: Meter
  private readonly run: Run
  private readonly callbacks: Callbacks<R>
  private readonly watched: Watched<LlmError>

  constructor(callbacks: Callbacks<R>, request: LlmRequest | undefined, watched: Watched<LlmError>) {
    this.callbacks = callbacks
    this.run = { request }
    this.meter = new Meter(request)
    this.watched = watched
  }

  start(): Effect.Effect<void, never, R> {
    return Effect.suspend(() => this.callbacks.onStart?.(this.run) ?? Effect.void)
  }

  /** Tells events in their order. `undefined` where none had anything to do. */
  tell(events: Events, from = 0): Effect.Effect<void, never, R> | undefined {
    for (let i = from; i < events.length; i++) {
      const effect = this.one(events[i]!)
      if (effect === undefined || effect === Effect.void) continue
      return i === events.length - 1 ? effect : Effect.flatMap(effect, () => this.tell(events, i + 1) ?? Effect.void)
    }
    return undefined
  }

  private one(event: LlmEvent): Effect.Effect<void, never, R> | undefined {
    const { callbacks, run } = this
    this.meter.see(event)
    switch (event._tag) {
      case "TextDelta":
        return callbacks.onToken?.(event.text, run)
      case "ReasoningDelta":
        // Metadata may come without text.
        return event.text === "" ? undefined : callbacks.onReasoning?.(event.text, run)
      case "Refusal":
        this.mayBeRejected = true
        return undefined
      case "Restarted":
        this.mayBeRejected = true
        return callbacks.onRetry?.(event, run)
      case "AttemptFailed":
        return callbacks.onRetry?.(event, run)
      case "Switched":
        return callbacks.onSwitch?.(event, run)
      case "Finished":
        if (event.reason === "content-filter") this.mayBeRejected = true
        return undefined
      case "Started":
      case "ToolCallStarted":
      case "ToolCallDelta":
      case "ToolCalled":
      case "Source":
        return undefined
    }
  }

  /** Tells the end. `exit` is how the scope of the run was closed. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      const { callbacks, run } = this
      const answer = this.answer(exit)
      const error = Option.getOrUndefined(Exit.findErrorOption(answer))
      const onError = Effect.suspend(() => (error && callbacks.onError?.(error, run)) ?? Effect.void)
      const onEnd = Effect.suspend(
        () => callbacks.onEnd?.({ exit: answer, usage: this.meter.total(error) ?? nothing }, run) ?? Effect.void
      )
      return Effect.ensuring(onError, onEnd)
    })
  }

  /** How the answer ended, by how its stream did, or else the scope of its reader. */
  private answer(exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, LlmError> {
    const { watched } = this
    if (watched.exit !== undefined) return watched.exit
    if (Exit.isFailure(exit)) {
      const { cause } = exit
      if (Cause.hasDies(cause) && !Cause.hasFails(cause)) return Exit.failCause(cause as Cause.Cause<never>)
      // The views make failures of refusals and restarts. Any other error is the reader's own.
      if (this.mayBeRejected && isOurs(cause)) return Exit.failCause(cause)
    }
    return this.meter.finished !== undefined ? Exit.void : Exit.interrupt()
  }
}

/** What a request used that was refused. */
const nothing = LlmUsage.estimate({ input: 0, output: 0 })

const isOurs = (cause: Cause.Cause<unknown>): cause is Cause.Cause<LlmError> =>
  cause.reasons.some(Cause.isFailReason) &&
  cause.reasons.every((reason) => !Cause.isFailReason(reason) || isLlmError(reason.error))
