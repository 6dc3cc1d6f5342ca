/**
 * The race of a hedge: who speaks first is the answer.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Llm } from "../../Llm.ts"
import { DeadlineExceeded, LlmError } from "../../LlmError.ts"
import { isToken, type LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import { announce } from "./announcing.ts"
import { amend } from "./amending.ts"
import { Meter } from "./Meter.ts"

type Events = NonEmptyReadonlyArray<LlmEvent>
type EventPull = Pull.Pull<Events, LlmError>

export interface Options {
  readonly models: NonEmptyReadonlyArray<Llm["Service"]>
  readonly request: LlmRequest
  readonly after: Duration.Duration
  /** The request as the model at this place is sent it. */
  readonly requestOf: (request: LlmRequest, index: number) => LlmRequest
  /** Whether another is asked after this error. */
  readonly isWanted: (error: LlmError) => boolean
}

/** The pull of a stream: the race when it is pulled first, then the pull of the one who has won it. */
export const race = (options: Options, parent: Scope.Scope): EventPull => {
  const scope = Scope.forkUnsafe(parent)
  let pull: EventPull = Effect.suspend(() =>
    Effect.flatMap(new Race(options, scope).run(), ({ rest, said }) => {
      let next = 0
      pull = Effect.suspend(() => {
        const events = said[next++]!
        if (next === said.length) pull = rest
        return Effect.succeed(events)
      })
      if (said.length === 0) pull = rest
      return pull
    })
  )
  // As a bracket would, at less than half of what it costs an array that is passed on.
  return Effect.catchCause(
    Effect.suspend(() => pull),
    (cause) => Effect.andThen(Scope.close(scope, Pull.doneExitFromCause(cause)), Effect.failCause(cause))
  )
}

class Race {
  private readonly runners: Array<Runner> = []
  /** Those that failed, in the order in which they did. */
  private readonly failed: Array<Failed> = []
  /** Open when a runner has something to tell. */
  private readonly news = Latch.makeUnsafe(false)
  /** How many may be asked. */
  private most: number
  private readonly options: Options
  /** Holds all connections. */
  private readonly scope: Scope.Scope

  constructor(options: Options, scope: Scope.Scope) {
    this.options = options
    this.scope = scope
    this.most = options.models.length
  }

  run(): Effect.Effect<Won, LlmError> {
    return Effect.andThen(this.ask(), this.wait())
  }

  private ask(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { models, request, requestOf } = this.options
      const index = this.runners.length
      const runner = new Runner(index, models[index]!, requestOf(request, index))
      this.runners.push(runner)
      return runner.start(this.scope, this.news)
    })
  }

  /** Waits for one who speaks, and asks the next when nobody has for too long, or one has failed. */
  private wait(): Effect.Effect<Won, LlmError> {
    return Effect.suspend(() => {
      const { after } = this.options
      const late = this.runners.length < this.most && Duration.isFinite(after)
      const heard = late ? Effect.timeoutOption(this.news.await, after) : Effect.asSome(this.news.await)
      return Effect.flatMap(heard, (heard) => {
        this.news.closeUnsafe()
        // Also where the time has passed: at that very moment one may have spoken.
        const winner = this.runners.find(({ state }) => state._tag === "Spoken")
        if (winner !== undefined) return this.win(winner)
        const failing = this.runners.filter(({ state }) => state._tag === "Ended")
        if (failing.length > 0) return this.fail(failing)
        return heard._tag === "None" ? this.run() : this.wait()
      })
    })
  }

  private win(winner: Runner): Effect.Effect<Won> {
    const losers = this.runners.filter((runner) => runner !== winner)
    // Their ends do not wait for each other, but the winner does for all: nothing is left running.
    return Effect.forEach(losers, (loser) => loser.close(), { concurrency: "unbounded", discard: true }).pipe(
      Effect.andThen(Effect.suspend(() => announce(this.announcements(winner)))),
      Effect.map((told) =>
        winner.won(
          told,
          losers.flatMap((loser) => loser.usage())
        )
      )
    )
  }

  /** What the reader is told of those who are not the answer. */
  private announcements(winner: Runner): ReadonlyArray<LlmEvent> {
    const told: Array<LlmEvent> = []
    for (const { error, runner } of this.failed) {
      if (runner.index > 0) told.push({ _tag: "AttemptFailed", attempt: runner.index + 1, error })
    }
    const [first] = this.runners
    if (first !== undefined && first !== winner) {
      told.push({ _tag: "Switched", from: first.name(), to: winner.name(), error: this.errorOf(first) })
    }
    return told
  }

  private errorOf(first: Runner): LlmError {
    const failed = this.failed.find(({ runner }) => runner === first)
    return failed?.error ?? first.late(this.options)
  }

  private fail(failing: ReadonlyArray<Runner>): Effect.Effect<Won, LlmError> {
    const { isWanted } = this.options
    let asking = 0
    for (const runner of failing) {
      const error = this.note(runner)
      if (error === undefined) continue
      // A defect, or an interruption from within: nothing that another model would do better.
      if (Cause.isCause(error)) return Effect.failCause(error)
      if (isWanted(error)) asking++
      else this.most = this.runners.length
    }
    const closed = Effect.forEach(failing, (runner) => runner.close(), { discard: true })
    const next = Math.min(asking, this.most - this.runners.length)
    if (next > 0) {
      const asked = Effect.suspend(() => Effect.replicateEffect(this.ask(), next, { discard: true }))
      return closed.pipe(Effect.andThen(asked), Effect.andThen(this.wait()))
    }
    return Effect.andThen(closed, this.failed.length === this.runners.length ? Effect.fail(this.lost()) : this.wait())
  }

  /** Looks at one that has ended: its error, or the cause that is none. */
  private note(runner: Runner): LlmError | Cause.Cause<LlmError> | undefined {
    if (runner.state._tag !== "Ended") return undefined
    const { cause } = runner.state
    const found = Cause.hasDies(cause) || Cause.hasInterrupts(cause) ? undefined : Cause.findError(cause)
    if (found === undefined || Result.isFailure(found)) return cause
    const error = found.success
    runner.state = { _tag: "Failed", error }
    this.failed.push({ runner, error })
    return error
  }

  /** The error of a race that nobody has won. */
  private lost(): LlmError {
    const errors = this.runners.flatMap(({ state }) => (state._tag === "Failed" ? [state.error] : []))
    // Sent again, the request may succeed: that one of them cannot do better must not hide it.
    const error = errors.find(({ isRetryable }) => isRetryable) ?? errors[0]!
    const used = this.runners.flatMap((runner) => runner.usage())
    return used.length === 0 ? error : amend(error, { usage: LlmUsage.sum(used) })
  }
}

/** The answer: what it has said so far, and where the rest comes from. */
interface Won {
  readonly said: ReadonlyArray<Events>
  readonly rest: EventPull
}

interface Failed {
  readonly runner: Runner
  readonly error: LlmError
}

/** One model that is being asked. */
class Runner {
  state:
    | { readonly _tag: "Silent" }
    | { readonly _tag: "Spoken" }
    /** It has come to its end without a word, and nobody has looked at it. */
    | { readonly _tag: "Ended"; readonly cause: Cause.Cause<LlmError> }
    | { readonly _tag: "Failed"; readonly error: LlmError } = { _tag: "Silent" }
  readonly index: number
  private readonly model: Llm["Service"]
  private readonly request: LlmRequest
  private readonly meter: Meter
  private readonly heard: Array<Events> = []
  private rest: EventPull = Cause.done()
  private scope: Scope.Closeable | undefined

  constructor(index: number, model: Llm["Service"], request: LlmRequest) {
    this.index = index
    this.model = model
    this.request = request
    this.meter = new Meter(request)
  }

  /** Asks the model, on a fiber that ends when it has spoken. */
  start(scope: Scope.Scope, news: Latch.Latch): Effect.Effect<void> {
    return Effect.suspend(() => {
      const own = Scope.forkUnsafe(scope)
      this.scope = own
      // Scopes close backwards: the fiber is interrupted first, as that of any stream, then its connection.
      const connection = Scope.forkUnsafe(own)
      const listening = Effect.suspend(() =>
        Effect.flatMap(Channel.toPullScoped(Stream.toChannel(this.model.events(this.request)), connection), (pull) => {
          this.rest = pull
          return this.listen()
        })
      )
      return Effect.matchCause(listening, {
        onSuccess: () => {
          this.state = { _tag: "Spoken" }
        },
        onFailure: (cause) => {
          if (Pull.isDoneCause(cause)) {
            // An end that no event has told of: not ours to judge.
            this.rest = Cause.done()
            this.state = { _tag: "Spoken" }
          } else {
            this.state = { _tag: "Ended", cause: cause as Cause.Cause<LlmError> }
          }
        }
      }).pipe(Effect.andThen(Effect.sync(() => news.openUnsafe())), Effect.forkIn(own))
    })
  }

  private listen(): EventPull {
    return Effect.flatMap(this.rest, (events) => {
      this.heard.push(events)
      for (const event of events) this.meter.see(event)
      return events.some(isSpeech) ? Effect.succeed(events) : this.listen()
    })
  }

  close(): Effect.Effect<void> {
    return this.scope === undefined ? Effect.void : Scope.close(this.scope, Exit.interrupt())
  }

  /** All that it has said and will say, with what others have used added at its end. */
  won(before: ReadonlyArray<LlmEvent>, others: ReadonlyArray<LlmUsage.LlmUsage>): Won {
    const said = isNonEmpty(before) ? [before, ...this.heard] : this.heard
    if (others.length === 0) return { said, rest: this.rest }
    const told = before.flatMap((event) => ("error" in event ? [event.error] : []))
    return { said: said.map((events) => added(events, others)), rest: this.adding(others, told) }
  }

  /** `provider/model`, as far as it has told. */
  name(): string {
    const told = this.state._tag === "Failed" ? this.state.error : this.meter.started
    if (told?.provider === undefined) return told?.model ?? this.model.name ?? `model ${this.index + 1}`
    return told.model === undefined ? told.provider : `${told.provider}/${told.model}`
  }

  /** What it used without being the answer. */
  usage(): ReadonlyArray<LlmUsage.LlmUsage> {
    const used = this.meter.total(this.state._tag === "Failed" ? this.state.error : undefined)
    return used === undefined ? [] : [used]
  }

  /** The error of one that was slower than another. */
  late({ after }: Options): LlmError {
    const { started } = this.meter
    const message = `nothing of the answer had come after ${Duration.format(after)}: another model was asked, and spoke first. Raise \`after\` if that is too soon.`
    return new LlmError({
      reason: new DeadlineExceeded({ message, which: "first-token" }),
      provider: started?.provider ?? "llm",
      ...(started?.model === undefined ? undefined : { model: started.model }),
      phase: started === undefined ? "request" : "before-output",
      emitted: 0,
      usage: this.meter.soFar()
    })
  }

  /** The rest of the answer. `told`: the errors that its reader has been told of. */
  private adding(others: ReadonlyArray<LlmUsage.LlmUsage>, told: ReadonlyArray<LlmError>): EventPull {
    const { meter } = this
    return Effect.matchEffect(this.rest, {
      // What passes now is not counted: an error tells how much there was.
      onSuccess: (events) => Effect.succeed(added(events, others)),
      onFailure: (error): EventPull => {
        if (Cause.isDone(error)) return Effect.fail(error)
        const used = meter.total(error)
        const usage = LlmUsage.sum(used === undefined ? others : [...others, used])
        return Effect.fail(amend(error, { usage }, told))
      }
    })
  }
}

/** Also the end of an answer without a word is one. */
const isSpeech = (event: LlmEvent): boolean => isToken(event) || event._tag === "Finished"

/** `Finished` is the last event. */
const added = (events: Events, others: ReadonlyArray<LlmUsage.LlmUsage>): Events => {
  const last = events[events.length - 1]!
  if (last._tag !== "Finished") return events
  const finished = { ...last, usage: LlmUsage.sum([...others, last.usage]) }
  const all = [...events.slice(0, -1), finished]
  return isNonEmpty(all) ? all : events
}

const isNonEmpty = (events: ReadonlyArray<LlmEvent>): events is Events => events.length > 0
