/**
 * The loop of an agent as one pull: what is told is made when it is asked for.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Prompt from "effect/ai/Prompt"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LlmError } from "../../LlmError.ts"
import type { FinishReason, LlmEvent } from "../../LlmEvent.ts"
import type * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Run } from "../../policy/Callbacks.ts"
import { AgentError, LimitExceeded, ModelFailed, type Reason, Unreadable } from "../AgentError.ts"
import type { AgentEvent, Outcome } from "../AgentEvent.ts"
import * as acting from "./acting.ts"
import * as calling from "./calling.ts"
import { Hearing } from "./Hearing.ts"
import type { Result, Strategy, Turn } from "./Strategy.ts"

export interface Options {
  readonly events: (request: LlmRequest.LlmRequest) => Stream.Stream<LlmEvent, LlmError>
  readonly strategy: Strategy
  readonly tools: calling.Tools
  readonly limits: Limits
  readonly onLimit: "fail" | "answer"
  readonly onToolError: "observe" | "fail"
  readonly concurrency: number | "unbounded"
  readonly maxRepairs: number
  /** The scope of the run: everything that it starts is a child of it. */
  readonly scope: Scope.Scope
  /** The conversation that the run goes on from. */
  readonly history: Prompt.Prompt
  /** Told the whole conversation, before the answer is. */
  readonly onFinal: (history: Prompt.Prompt) => void
}

export interface Limits {
  readonly steps: number
  readonly toolCalls: number
  readonly tokens: number
  readonly duration: Duration.Duration | undefined
}

type Events = NonEmptyReadonlyArray<AgentEvent>
type Step = Pull.Pull<Events, AgentError>

type Calls = Extract<Turn, { _tag: "Calls" }>

export const make = (options: Options): Effect.Effect<Step> =>
  Effect.gen(function* () {
    const { duration } = options.limits
    const loop = new Loop(options, yield* Deferred.make<void>())
    if (duration !== undefined) yield* Effect.forkIn(Effect.delay(loop.expire, duration), options.scope)
    return loop.pull
  })

class Loop {
  readonly pull: Step = Effect.suspend(() => this.next())
  readonly expire: Effect.Effect<unknown> = Effect.suspend(() => {
    this.isExpired = true
    return Deferred.succeed(this.expired, undefined)
  })
  private next: () => Step = () => this.beginStep()
  private step = 0
  private repairs = 0
  private calls = 0
  private tokens = 0
  private isExpired = false
  /** The limit that was met: one last turn is for an answer alone. */
  private met: LimitExceeded | undefined
  private history: Prompt.Prompt
  private readonly usages: Array<LlmUsage.LlmUsage> = []
  /** What callbacks know this run by. */
  private run: Run = {}
  private readonly options: Options
  private readonly expired: Deferred.Deferred<void>

  constructor(options: Options, expired: Deferred.Deferred<void>) {
    this.options = options
    this.expired = expired
    this.history = options.history
  }

  // ---------------------------------------------------------------------------
  // a step
  // ---------------------------------------------------------------------------

  private beginStep(): Step {
    const limit = this.met === undefined ? this.limit() : undefined
    if (limit !== undefined) {
      if (this.options.onLimit === "fail") return this.fail(limit)
      this.met = limit
    }
    this.step++
    this.next = () => this.ask()
    return Effect.succeed([{ _tag: "StepStarted", step: this.step }])
  }

  private limit(): LimitExceeded | undefined {
    const { steps, tokens } = this.options.limits
    if (this.isExpired) return this.durationExceeded()
    if (this.step >= steps) return new LimitExceeded({ which: "steps", limit: steps })
    if (this.tokens >= tokens) return new LimitExceeded({ which: "tokens", limit: tokens })
    return undefined
  }

  private durationExceeded(): LimitExceeded {
    const { duration = Duration.zero } = this.options.limits
    return new LimitExceeded({ which: "duration", limit: Duration.toMillis(duration) })
  }

  /** The end of a step: its usage is added, and the next pull begins another, or is what `next` says. */
  private endStep(
    out: Array<AgentEvent>,
    outcome: Outcome,
    reason: FinishReason,
    usage: LlmUsage.LlmUsage,
    messages: ReadonlyArray<Prompt.Message>
  ): void {
    if (messages.length > 0) this.history = Prompt.fromMessages([...this.history.content, ...messages])
    out.push({ _tag: "StepFinished", step: this.step, outcome, reason, usage, state: this.history })
    this.next = () => this.beginStep()
  }

  private spend(usage: LlmUsage.LlmUsage): void {
    this.usages.push(usage)
    this.tokens += (usage.inputTokens ?? 0) + (usage.outputTokens ?? 0)
  }

  // ---------------------------------------------------------------------------
  // the model's turn
  // ---------------------------------------------------------------------------

  private ask(): Step {
    const { events, scope, strategy } = this.options
    const request = strategy.request(this.history, this.met !== undefined)
    this.run = this.run.request === undefined ? { request } : this.run
    const hearing = new Hearing(strategy, request, this.step)
    return Effect.gen({ self: this }, function* () {
      const turnScope = yield* Scope.fork(scope)
      const pull = yield* Channel.toPullScoped(Stream.toChannel(events(request)), turnScope)
      // The connection closes before any tool runs.
      const end = (out: Array<AgentEvent>) =>
        Effect.flatMap(Scope.close(turnScope, Exit.void), () => this.endTurn(hearing, out))
      const read: Pull.Pull<Events, LlmError | AgentError | Expired> = Effect.flatMap(this.bounded(pull), (events) => {
        const out: Array<AgentEvent> = []
        const verdict = hearing.hear(events, out)
        if (verdict === "enough") return end(out)
        if (verdict !== undefined) return this.failAfter(out, new ModelFailed({ error: verdict }))
        return isNonEmpty(out) ? Effect.succeed(out) : read
      })
      const whole = read.pipe(
        Pull.catchDone(() => end([])),
        Effect.catchTags({
          LlmError: (error) => this.failAfter([], new ModelFailed({ error })),
          Expired: () => Effect.flatMap(Scope.close(turnScope, Exit.void), () => this.stopTurn(hearing))
        })
      )
      this.next = () => whole
      return yield* whole
    })
  }

  private endTurn(hearing: Hearing, out: Array<AgentEvent>): Step {
    const read = hearing.end(out)
    if (read._tag === "LlmError") return this.failAfter(out, new ModelFailed({ error: read }))
    const { reason = read._tag === "Calls" ? "tool-calls" : "stop", usage } = hearing
    this.spend(usage)
    switch (read._tag) {
      case "Answer":
        return this.answer(out, reason, usage, read)
      case "Calls":
        return this.decide(out, usage, read)
      case "Unreadable":
        if (this.met !== undefined) return this.failAfter(out, this.met)
        if (this.repairs >= this.options.maxRepairs) {
          return this.failAfter(out, new Unreadable({ repairs: this.repairs }))
        }
        this.repairs++
        this.endStep(out, "unreadable", reason, usage, read.messages)
        return told(out)
    }
  }

  private answer(
    out: Array<AgentEvent>,
    reason: FinishReason,
    usage: LlmUsage.LlmUsage,
    { content, messages }: Extract<Turn, { _tag: "Answer" }>
  ): Step {
    this.endStep(out, "answered", reason, usage, messages)
    out.push({ _tag: "Final", content, usage: LlmUsage.sum(this.usages), steps: this.step })
    this.options.onFinal(this.history)
    this.next = () => Cause.done()
    return told(out)
  }

  /** The duration is over in the middle of a turn: what it told is void. */
  private stopTurn({ usage }: Hearing): Step {
    this.spend(usage)
    if (this.options.onLimit === "fail") return this.fail(this.durationExceeded())
    const out: Array<AgentEvent> = []
    this.endStep(out, "stopped", "other", usage, [])
    return told(out)
  }

  // ---------------------------------------------------------------------------
  // the tools' turn
  // ---------------------------------------------------------------------------

  /** Whether the calls of a turn are run. */
  private decide(out: Array<AgentEvent>, usage: LlmUsage.LlmUsage, turn: Calls): Step {
    const { toolCalls } = this.options.limits
    const { calls } = turn
    if (this.met !== undefined) return this.failAfter(out, this.met)
    this.repairs = 0
    const isTooMany = this.calls + calls.length > toolCalls
    const limit = isTooMany ? new LimitExceeded({ which: "tool-calls", limit: toolCalls }) : undefined
    if (limit !== undefined && this.options.onLimit === "fail") return this.failAfter(out, limit)
    for (const { id, input, name } of calls) {
      out.push({ _tag: "Action", id, toolName: name, input, step: this.step })
    }
    if (limit === undefined) {
      this.calls += calls.length
      this.next = () => this.act(usage, turn)
    } else {
      this.met = limit
      const results = calls.map(() => notRun("This was not run: no more calls of tools are allowed."))
      results.forEach((result, i) => out.push(acting.observation(calls[i]!, result, this.step)))
      this.endStep(out, "stopped", "tool-calls", usage, turn.messages(results))
    }
    return told(out)
  }

  private act(usage: LlmUsage.LlmUsage, turn: Calls): Step {
    const { concurrency, onLimit, onToolError, scope, tools } = this.options
    const { calls } = turn
    const { history, run, step } = this
    return Effect.gen({ self: this }, function* () {
      const toolScope = yield* Scope.fork(scope)
      const { pull, results } = yield* acting.start({
        calls,
        step,
        run: (call, onProgress) => calling.run(tools, call, history, run, onProgress),
        concurrency,
        isFatal: onToolError === "fail",
        scope: toolScope
      })
      let observed = 0
      const finish = (outcome: Outcome): Step =>
        Effect.flatMap(Scope.close(toolScope, Exit.void), () => {
          const whole = results.map((result) => result ?? notRun("This was stopped: the time is over."))
          const out: Array<AgentEvent> = []
          while (observed < calls.length) {
            out.push(acting.observation(calls[observed]!, whole[observed]!, step))
            observed++
          }
          this.endStep(out, outcome, "tool-calls", usage, turn.messages(whole))
          return told(out)
        })
      const observe = Effect.map(this.bounded(pull), (events): Events => {
        for (const event of events) if (event._tag === "Observation") observed++
        return events
      }).pipe(
        Pull.catchDone(() => finish("acted")),
        Effect.catchTags({
          ToolFailed: (failed) => this.fail(failed),
          Expired: () => (onLimit === "fail" ? this.fail(this.durationExceeded()) : finish("stopped"))
        })
      )
      this.next = () => observe
      return yield* observe
    })
  }

  // ---------------------------------------------------------------------------
  // ends
  // ---------------------------------------------------------------------------

  /**
   * A pull that is given up when the duration is over. It costs fibers, so only where there is one. What
   * comes of a pull happens outside: one that loses may have gone on to its end.
   */
  private bounded<A, E>(pull: Pull.Pull<A, E>): Pull.Pull<A, E | Expired> {
    if (this.options.limits.duration === undefined || this.met !== undefined) return pull
    const expired = Effect.flatMap(Deferred.await(this.expired), () => Effect.fail(new Expired()))
    return Effect.suspend(() => (this.isExpired ? Effect.fail(new Expired()) : Effect.raceFirst(pull, expired)))
  }

  /** What came before the failure is delivered first; the next pull fails. */
  private failAfter(out: Array<AgentEvent>, reason: Reason): Step {
    if (reason._tag === "ModelFailed" && reason.error.usage !== undefined) this.spend(reason.error.usage)
    const failure = this.fail(reason)
    if (!isNonEmpty(out)) return failure
    this.next = () => failure
    return Effect.succeed(out)
  }

  private fail(reason: Reason): Effect.Effect<never, AgentError> {
    return Effect.suspend(() =>
      Effect.fail(
        new AgentError({ reason, transcript: this.history, usage: LlmUsage.sum(this.usages), step: this.step })
      )
    )
  }
}

/** The duration is over. */
class Expired {
  readonly _tag = "Expired"
}

/** What the model is told of a call that was not run. */
const notRun = (content: string): Result => ({ content, isError: true, encoded: content })

const told = (out: Array<AgentEvent>): Step => (isNonEmpty(out) ? Effect.succeed(out) : Effect.die("nothing was told"))

const isNonEmpty = (array: ReadonlyArray<AgentEvent>): array is Events => array.length > 0
