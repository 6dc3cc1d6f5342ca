/**
 * Calls callbacks as the events of one stream pass by.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isLlmError, type LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Callbacks, Run } from "../Callbacks.ts"
import { bracket } from "./bracket.ts"
import { isRefused, promptCharacters } from "./usageOf.ts"
import { Spent } from "./Spent.ts"

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
  bracket((scope) =>
    Effect.gen(function* () {
      const tapping = new Tapping(callbacks, request)
      const context = yield* Effect.context<R3>()
      const end = (exit: Exit.Exit<unknown, unknown>) => provide(tapping.end(exit))
      // Scopes close backwards: the connection first, then the callbacks, who may take their time.
      yield* Scope.addFinalizerExit(scope, (exit) => Effect.provideContext(end(exit), context))
      const connection = yield* Scope.fork(scope)
      yield* provide(tapping.start())
      const pull = yield* Channel.toPullScoped(Stream.toChannel(events), connection)

      // A defect of `onEnd` must not meet the end of the stream in one cause: many readers look for
      // the end alone. So the end is told before it is passed on; failures are told by the finalizer.
      const onFailure = (cause: Cause.Cause<LlmError | Cause.Done>): Pull.Pull<Events, LlmError, void, R3> => {
        if (!Pull.isDoneCause(cause)) {
          tapping.failed = cause as Cause.Cause<LlmError>
          return Effect.failCause(cause)
        }
        tapping.complete = true
        return Scope.close(connection, Exit.void).pipe(
          Effect.andThen(end(Exit.void)),
          Effect.uninterruptible,
          Effect.andThen(Cause.done())
        )
      }
      const onSuccess = (events: Events): Pull.Pull<Events, LlmError, void, R3> => {
        const told = tapping.tell(events)
        return told === undefined ? Effect.succeed(events) : Effect.as(provide(told), events)
      }
      return Effect.matchCauseEffect(pull, { onSuccess, onFailure })
    })
  )

/** What one run has told its callbacks. */
class Tapping<R> {
  /** Whether the stream has ended well. */
  complete = false
  /** Why the stream has failed. */
  failed: Cause.Cause<LlmError> | undefined
  private ended = false
  private mayBeRejected = false
  private usage: LlmUsage.LlmUsage | undefined
  private text = 0
  private reasoning = 0
  private readonly spent = new Spent()
  private readonly run: Run
  private readonly callbacks: Callbacks<R>

  constructor(callbacks: Callbacks<R>, request: LlmRequest | undefined) {
    this.callbacks = callbacks
    this.run = { request }
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
    switch (event._tag) {
      case "TextDelta":
        this.text += event.text.length
        return callbacks.onToken?.(event.text, run)
      case "ReasoningDelta":
        // Metadata may come without text.
        if (event.text === "") return undefined
        this.reasoning += event.text.length
        return callbacks.onReasoning?.(event.text, run)
      case "Refusal":
        this.text += event.text.length
        this.mayBeRejected = true
        return undefined
      case "ToolCallDelta":
        this.text += event.delta.length
        return undefined
      case "Restarted":
        this.mayBeRejected = true
        this.countFailed(event)
        return callbacks.onRetry?.(event, run)
      case "AttemptFailed":
        this.countFailed(event)
        return callbacks.onRetry?.(event, run)
      case "Switched":
        this.countFailed(event)
        return callbacks.onSwitch?.(event, run)
      case "Finished":
        this.usage = event.usage
        if (event.reason === "content-filter") this.mayBeRejected = true
        return undefined
      case "Started":
      case "ToolCallStarted":
      case "ToolCalled":
      case "Source":
        return undefined
    }
  }

  /** What a failed attempt tells to have used covers what was counted of it. */
  private countFailed(event: LlmEvent): void {
    if (!this.spent.see(event)) return
    this.text = 0
    this.reasoning = 0
  }

  /** Tells the end, the first time it is called. */
  end(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void, never, R> {
    return Effect.suspend(() => {
      if (this.ended) return Effect.void
      this.ended = true
      const { callbacks, run } = this
      const answer = this.answer(exit)
      const error = Option.getOrUndefined(Exit.findErrorOption(answer))
      const onError = Effect.suspend(() => (error && callbacks.onError?.(error, run)) ?? Effect.void)
      const onEnd = Effect.suspend(
        () => callbacks.onEnd?.({ exit: answer, usage: this.usageAtEnd(error) }, run) ?? Effect.void
      )
      return Effect.ensuring(onError, onEnd)
    })
  }

  /** How the answer ended, by how its stream did, or else the scope of its reader. */
  private answer(exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, LlmError> {
    if (this.failed !== undefined) return Exit.failCause(this.failed)
    if (Exit.isFailure(exit)) {
      const { cause } = exit
      if (Cause.hasDies(cause) && !Cause.hasFails(cause)) return Exit.failCause(cause as Cause.Cause<never>)
      // The views make failures of refusals and restarts. Any other error is the reader's own.
      if (this.mayBeRejected && isOurs(cause)) return Exit.failCause(cause)
    }
    return this.complete || this.usage !== undefined ? Exit.void : Exit.interrupt()
  }

  private usageAtEnd(error: LlmError | undefined): LlmUsage.LlmUsage {
    const known = this.usage ?? error?.usage
    if (known !== undefined) return known
    const { request } = this.run
    const refused = error !== undefined && isRefused(error)
    const input = refused ? 0 : request && promptCharacters(request)
    const { inputTokens, ...told } = LlmUsage.estimate({
      input: input ?? 0,
      output: this.text,
      reasoning: this.reasoning
    })
    return this.spent.and(input === undefined || inputTokens === undefined ? told : { ...told, inputTokens })
  }
}

const isOurs = (cause: Cause.Cause<unknown>): cause is Cause.Cause<LlmError> =>
  cause.reasons.some(Cause.isFailReason) &&
  cause.reasons.every((reason) => !Cause.isFailReason(reason) || isLlmError(reason.error))
