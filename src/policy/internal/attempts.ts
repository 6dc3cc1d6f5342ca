/**
 * Several attempts at one answer as one stream: what retry and fallback share.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Llm } from "../../Llm.ts"
import type { LlmError, Phase } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import * as Deadlines from "../Deadlines.ts"
import { amend } from "./amending.ts"
import { announce } from "./announcing.ts"
import * as goingOn from "./goingOn.ts"
import { type Events, Held } from "./Held.ts"
import { isRefused } from "./refusing.ts"

/**
 * What to do about an attempt that fails after some of its answer has been delivered.
 *
 * - `fail`: nothing: the stream fails with its error.
 * - `continue`: another attempt goes on from the text so far, which is never taken back.
 * - `restart`: another attempt begins anew; `Restarted` tells that what was delivered is void.
 */
export type AfterOutput = "fail" | "continue" | "restart"

export interface Attempt {
  readonly llm: Llm["Service"]
  readonly request: LlmRequest
}

export interface Next extends Attempt {
  /** How long to wait, from the failure on. */
  readonly delay: Duration.Duration
  /** What is told of the failure. `isVoid`: the answer begins anew, though some of it had been delivered. */
  readonly tell: (isVoid: boolean) => Events
}

/** What to try, made anew for each run. */
export interface Plan {
  readonly first: Attempt
  readonly afterOutput: AfterOutput
  /** In place of what the model says of itself. */
  readonly prefill: goingOn.Prefill | undefined
  /** What follows an error, if anything. */
  readonly next: (error: LlmError) => Effect.Effect<Next | undefined>
  /** The error that the stream fails with. */
  readonly last: (error: LlmError) => LlmError
}

/** The scope is the reader's own: the finalizer of a bracket, asked for at every pull, costs as much as all the rest. */
export const run = (plan: Effect.Effect<Plan>): Stream.Stream<LlmEvent, LlmError> =>
  Deadlines.asOne(
    Stream.fromChannel(Channel.fromTransform((_, scope) => Effect.map(plan, (plan) => new Attempts(plan, scope).pull)))
  )

type Step = Pull.Pull<Events, LlmError>

class Attempts {
  readonly pull: Step = Effect.suspend(() => this.next)
  /** What the next pull does. */
  private next: Step
  private readonly held: Held
  private readonly failures: Array<LlmError> = []
  private readonly plan: Plan
  private readonly scope: Scope.Scope

  constructor(plan: Plan, scope: Scope.Scope) {
    this.plan = plan
    this.scope = scope
    this.held = new Held(plan.afterOutput === "continue")
    this.next = this.open(plan.first)
  }

  private open({ llm, request }: Attempt): Step {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.fork(this.scope)
      const pull = yield* Channel.toPullScoped(Stream.toChannel(llm.events(request)), scope)
      this.next = Effect.matchCauseEffect(pull, {
        onSuccess: (events: Events): Step => {
          const left = this.held.take(events)
          return left === undefined ? this.next : Effect.succeed(left)
        },
        onFailure: (cause: Cause.Cause<LlmError | Cause.Done>): Step =>
          Pull.isDoneCause(cause)
            ? Effect.andThen(Scope.close(scope, Exit.void), this.end())
            : this.failed(cause as Cause.Cause<LlmError>, scope)
      })
      return yield* this.next
    })
  }

  private end(): Step {
    const left = this.held.end()
    this.next = Cause.done()
    return left === undefined ? this.next : Effect.succeed(left)
  }

  /** The connection is closed before anything else is done. */
  private failed(cause: Cause.Cause<LlmError>, scope: Scope.Closeable): Step {
    return Effect.flatMap(Scope.close(scope, Exit.failCause(cause)), () => {
      const error = Cause.findError(cause)
      // A defect or an interruption beside the error is not to be lost.
      return Result.isSuccess(error) && !Cause.hasDies(cause) && !Cause.hasInterrupts(cause)
        ? this.follow(error.success)
        : Effect.failCause(cause)
    })
  }

  private follow(error: LlmError): Step {
    if (!this.mayFollow(error)) return this.fail(error)
    return Effect.flatMap(Effect.all([this.plan.next(error), Deadlines.timeLeft]), ([next, left]) => {
      // One that would come too late is not waited for.
      if (next === undefined || Duration.toMillis(next.delay) > left) return this.fail(error)
      const { held, plan } = this
      if (plan.afterOutput === "continue" && held.emitted > 0) {
        if (!goingOn.mayGoOn(next.request)) return this.fail(error)
        const going = goingOn.from(held.text(), next.request, plan.prefill ?? next.llm.prefill)
        if (going !== undefined) {
          held.goOn(going.seam)
          return this.wait(error, next, false, () => this.open({ llm: next.llm, request: going.request }))
        }
      }
      const isVoid = held.hasOutput
      held.clear()
      return this.wait(error, next, isVoid, () => this.open(next))
    })
  }

  /** Whether an attempt may follow at all. */
  private mayFollow({ reason }: LlmError): boolean {
    if (this.held.isWhole) return false
    // It is over all attempts.
    if (reason._tag === "DeadlineExceeded" && reason.which === "total") return false
    return !this.held.hasOutput || this.plan.afterOutput !== "fail"
  }

  /** Tells what has happened; the pull after it waits for the rest of the delay. */
  private wait(error: LlmError, next: Next, isVoid: boolean, then: () => Step): Step {
    this.failures.push(error)
    this.held.spent.push(...spentBy(error))
    return Clock.currentTimeMillis.pipe(
      Effect.map((failedAt) => {
        this.next = Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const left = Duration.toMillis(next.delay) - (now - failedAt)
          return left > 0 ? Effect.andThen(Effect.sleep(left), Effect.suspend(then)) : then()
        })
        return next.tell(isVoid)
      }),
      Effect.flatMap(announce)
    )
  }

  private fail(error: LlmError): Step {
    const { emitted, hasOutput, spent } = this.held
    const phase: Phase = hasOutput ? "mid-output" : error.phase
    const usage = spent.length === 0 ? error.usage : LlmUsage.sum([...spent, ...spentBy(error)])
    const isTrue = phase === error.phase && emitted === error.emitted && usage === error.usage
    const changes = { phase, emitted, ...(usage === undefined ? undefined : { usage }) }
    return Effect.fail(this.plan.last(isTrue ? error : amend(error, changes, this.failures)))
  }
}

/** Nothing, where the request was refused. What is not known makes a sum an estimate. */
const spentBy = (error: LlmError): ReadonlyArray<LlmUsage.LlmUsage> =>
  error.usage !== undefined ? [error.usage] : isRefused(error) ? [] : [{ source: "estimated" }]
