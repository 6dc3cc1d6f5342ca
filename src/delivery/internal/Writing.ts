/**
 * An answer on its way into the body of a response.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as EventJson from "../EventJson.ts"
import type { Element } from "../Format.ts"
import type { AnswerError, Wire, Writer } from "../HttpResponse.ts"
import type { Handoff } from "./Handoff.ts"

/** What a client is told of a cause. Of a defect it is told nothing; the log is. */
export const tell = (cause: Cause.Cause<AnswerError>): Effect.Effect<readonly [EventJson.Failure, status: number]> => {
  const error = Cause.findErrorOption(cause)
  return Option.isSome(error)
    ? Effect.succeed([EventJson.failure(error.value), EventJson.status(error.value)])
    : Effect.as(Effect.logError("an answer to a client ended with a defect", cause), [EventJson.internal, 500])
}

/** What says only that an answer has begun. */
const quiet: ReadonlySet<string> = new Set<EventJson.Event["_tag"]>([
  "Started",
  "StepStarted",
  "AttemptFailed",
  "Switched"
])

const isHeard = (element: Element): boolean => (typeof element === "string" ? element !== "" : !quiet.has(element._tag))

/** Arrays without anything to hear that are held back at most. */
const mostQuiet = 64

type Bytes = NonEmptyReadonlyArray<Uint8Array>

export class Writing<A extends Element> {
  private readonly source: Handoff<A, AnswerError>
  private readonly wire: Wire<A>
  private readonly clock: Clock.Clock
  private readonly writer: Writer<A>
  private readonly utf8 = new TextEncoder()
  /** What is written and not yet given out. */
  private text: string
  private heard = false
  private begun = false
  private over = false
  private ended: Exit.Exit<void, AnswerError> | undefined
  /** Since when the reader waits. */
  private since = 0

  constructor(source: Handoff<A, AnswerError>, wire: Wire<A>, clock: Clock.Clock) {
    this.source = source
    this.wire = wire
    this.clock = clock
    this.writer = wire.writer(clock.currentTimeMillisUnsafe())
    this.text = wire.preamble ?? ""
  }

  /** Takes of the answer until it says something. May be interrupted: what was taken is kept. */
  readonly open: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (let arrays = 0; arrays < mostQuiet && !this.heard && this.ended === undefined; arrays++) {
      this.source.ask()
      yield* this.source.ready
      this.take()
    }
  })

  /** Why the answer failed, if it had said nothing by then. */
  get failedUnheard(): Cause.Cause<AnswerError> | undefined {
    return !this.heard && this.ended !== undefined && Exit.isFailure(this.ended) ? this.ended.cause : undefined
  }

  /** The body: one piece for each array that has something to say. */
  readonly pull: Pull.Pull<Bytes, AnswerError> = Effect.suspend(() => {
    if (this.text !== "" || (!this.begun && this.ended === undefined)) return this.first()
    if (this.ended !== undefined) return this.end(this.ended)
    this.source.ask()
    this.since = this.clock.currentTimeMillisUnsafe()
    return Effect.flatMap(this.source.ready, () =>
      this.take() ? this.pull : this.give(this.wire.heartbeat?.text ?? "")
    )
  })

  /** Wakes the reader when it has waited for so long, and the client with it. */
  beat(every: Duration.Duration): Effect.Effect<never> {
    const millis = Duration.toMillis(every)
    const beat = Effect.suspend(() => {
      const left = this.source.isAwaited ? this.since + millis - this.clock.currentTimeMillisUnsafe() : millis
      if (left > 0) return Effect.sleep(left)
      this.source.wake()
      return Effect.sleep(millis)
    })
    return Effect.forever(beat)
  }

  /** Takes what there is, and says whether there was anything. */
  private take(): boolean {
    const told = this.source.take()
    if (told === undefined) return false
    if (told._tag === "Ended") {
      this.ended = told.exit
      return true
    }
    this.text += this.writer.write(told.elements)
    this.heard ||= told.elements.some(isHeard)
    const refused = this.writer.refused()
    if (refused !== undefined) this.ended = Exit.fail(refused)
    return true
  }

  /** What was written by now. The first piece is given even if empty: a server sends the head with it. */
  private first(): Effect.Effect<Bytes> {
    const text = this.text === "" ? (this.wire.heartbeat?.text ?? "") : this.text
    this.begun = true
    this.text = ""
    return this.give(text)
  }

  private end(exit: Exit.Exit<void, AnswerError>): Pull.Pull<Bytes, AnswerError> {
    if (this.over) return Cause.done()
    this.over = true
    if (Exit.isSuccess(exit)) return this.give(this.writer.end())
    return Effect.flatMap(tell(exit.cause), ([failure]): Effect.Effect<Bytes, AnswerError> => {
      const text = this.writer.fail(failure)
      return text === undefined ? Effect.failCause(exit.cause) : this.give(text)
    })
  }

  private give(text: string): Effect.Effect<Bytes> {
    return Effect.succeed([this.utf8.encode(text)])
  }
}
