/**
 * The one pull stage: bytes to events.
 *
 * Bytes become text, lines, frames and events in one loop that gives out arrays. Nothing is buffered
 * but an unfinished frame, and nothing is read before it is asked for.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LlmError, Reason } from "../LlmError.ts"
import { Truncated } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { Body } from "./Body.ts"
import type { Decoder, Frame, Progress, Repeats, TurnContext } from "./Decoder.ts"
import { done, type More, type Receiver } from "./Inlet.ts"
import type { KnownShapes } from "./KnownShapes.ts"
import * as Limits from "./Limits.ts"
import { Reader } from "./Reader.ts"
import * as Watchdog from "./Watchdog.ts"

/**
 * The largest event that is read, in bytes: 16 MiB, as in `effect/encoding`'s SSE parser.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxEventLength = 16 * 1024 * 1024

/**
 * How long the stream waits for usage, late errors and the wire end once the provider has said its
 * last word on the answer: 1 s.
 *
 * @category constants
 * @since 0.1.0
 */
export const grace: Duration.Duration = Duration.seconds(1)

/**
 * How long a complete answer waits for the end of its body, so that the connection can serve the next
 * request: 5 ms of real time, not of `Clock`, since this is about a socket. Where there is none, as in
 * tests, zero is right.
 *
 * @category references
 * @since 0.1.0
 */
export const Settling = Context.Reference<Duration.Duration>("effect-rill/wire/EventStream/Settling", {
  defaultValue: () => Duration.millis(5)
})

/**
 * How the body of an answer is to be decoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in out S extends Progress, E> {
  readonly body: Body<E>
  readonly framing: "sse" | "ndjson"
  /** Whether the content type says that this is the stream that was asked for. */
  readonly declared: boolean
  readonly decoder: Decoder<S>
  readonly turn: TurnContext
  /** What it means that the body is no such stream, by its beginning; all of it, if it is JSON. */
  readonly notAStream: (body: string) => Reason
  /** Why the turn failed, where the body did. */
  readonly bodyFailed: (error: E) => Reason
  readonly fail: (reason: Reason, state: S) => LlmError
  readonly maxEventLength?: number | undefined
  /** What streams of the same provider have taught, and this one will. */
  readonly shapes?: KnownShapes | undefined
  /** The turn's. Without one, it may take as long as it takes. */
  readonly watchdog?: Watchdog.Watchdog | undefined
  /** Told that the body has come to its end: of the connection nothing is left to close. */
  readonly release?: (() => void) | undefined
  /** Sees events before they are given out. */
  readonly look?: ((events: Events) => void) | undefined
  /** Run at the end, or the failure, before it is given out. */
  readonly end?: ((exit: Exit.Exit<void, LlmError>) => Effect.Effect<void>) | undefined
}

type Events = Arr.NonEmptyReadonlyArray<LlmEvent>

/**
 * Decodes the body of an answer.
 *
 * - The wire end completes the stream at once, whether or not the peer closes.
 * - After the semantic end alone, the end of input or {@link grace} completes it.
 * - The end of input before either is `Truncated`, unless the decoder takes it for the end; a body that fails is what `bodyFailed` says.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = <S extends Progress, E>(options: Options<S, E>): Stream.Stream<LlmEvent, LlmError> =>
  Stream.fromChannel(Channel.fromTransform((_, scope) => open(options, scope)))

/**
 * The same as a pull, in a scope that is there.
 *
 * @category decoding
 * @since 0.1.0
 */
export const open = Effect.fnUntraced(function* <S extends Progress, E>(options: Options<S, E>, scope: Scope.Scope) {
  const watchdog = options.watchdog ?? (yield* Watchdog.make(scope, Limits.none))
  const decoding = new Decoding(options, watchdog, Duration.toMillis(yield* Settling))
  decoding.more = yield* options.body(scope, decoding)
  return decoding.pull
})

type Step = Pull.Pull<Events, LlmError>

/**
 * Decodes what comes in the turn that it comes, and wakes the pull that waits for it once there are events.
 */
class Decoding<S extends Progress, E> implements Receiver<Uint8Array, E> {
  /** Asks the body to go on. */
  more: More = () => {}
  private readonly options: Options<S, E>
  private readonly watchdog: Watchdog.Watchdog
  private readonly settling: number
  private readonly state: S
  private readonly repeats: Repeats<S> | undefined
  private readonly reader: Reader
  /** What has come that no pull has asked for. */
  private chunks: Array<Uint8Array> = []
  private waiter: ((step: Step) => void) | undefined
  /** How the body has ended. */
  private ending: Effect.Effect<never, E | Cause.Done> | undefined
  /** Why nothing more is decoded: the turn is complete, or has failed. */
  private over: "completed" | LlmError | undefined
  /** Waits for the end of the body. */
  private settled: (() => void) | undefined

  constructor(options: Options<S, E>, watchdog: Watchdog.Watchdog, settling: number) {
    this.options = options
    this.watchdog = watchdog
    this.settling = settling
    this.state = options.decoder.initial(options.turn)
    this.repeats = options.decoder.repeats
    this.reader = new Reader(options.framing, options.maxEventLength ?? maxEventLength, options.shapes)
    watchdog.onExpired = (which) => {
      const out: Array<LlmEvent> = []
      if (which === "grace") this.complete(out)
      else this.fail(Limits.exceeded(watchdog.limits, which))
      if (this.waiter !== undefined) this.wake(this.step(out))
    }
  }

  // ---------------------------------------------------------------------------
  // between the body and the pull
  // ---------------------------------------------------------------------------

  push(chunks: Arr.NonEmptyReadonlyArray<Uint8Array>): boolean {
    // Nobody wants it, but its end is waited for.
    if (this.over !== undefined) return true
    if (this.waiter === undefined) {
      this.chunks.push(...chunks)
      return false
    }
    const step = this.decode(chunks)
    if (step !== undefined) this.wake(step)
    return this.waiter !== undefined || this.settled !== undefined
  }

  end(ending: Effect.Effect<never, E | Cause.Done>): void {
    if (ending === done) this.options.release?.()
    this.ending ??= ending
    this.settled?.()
    if (this.waiter !== undefined) this.wake(this.endOfBody(this.ending))
  }

  readonly pull: Step = Effect.callback((resume) => {
    this.watchdog.check()
    if (this.over !== undefined) return resume(this.close())
    if (this.chunks.length > 0) {
      const { chunks } = this
      this.chunks = []
      const step = this.decode(chunks)
      if (step !== undefined) return resume(step)
    }
    if (this.ending !== undefined) return resume(this.endOfBody(this.ending))
    this.waiter = resume
    this.watchdog.begin()
    if (this.waiter !== undefined) this.more()
    return this.leave
  })

  private readonly leave = Effect.sync(() => {
    this.waiter = undefined
    this.watchdog.pause()
  })

  private wake(step: Step): void {
    const { waiter } = this
    this.waiter = undefined
    waiter!(step)
  }

  // ---------------------------------------------------------------------------
  // what has come
  // ---------------------------------------------------------------------------

  /** What chunks tell: nothing yet, as long as they end within an event. */
  private decode(chunks: ReadonlyArray<Uint8Array>): Step | undefined {
    const { reader, state, watchdog } = this
    const out: Array<LlmEvent> = []
    for (let i = 0; i < chunks.length && this.over === undefined; i++) {
      reader.feed(chunks[i]!)
      this.read(out)
      const problem = this.over === undefined ? reader.problem() : undefined
      if (problem !== undefined) this.fail(problem)
      if (reader.isKnownPage) this.fail(this.options.notAStream(reader.beginning))
    }
    if (out.length > 0) watchdog.heard(out)
    if (this.over !== undefined) return this.step(out)
    if (state.end === "semantic") watchdog.allow(Duration.toMillis(grace))
    return Arr.isArrayNonEmpty(out) ? this.give(out) : undefined
  }

  /** Takes the frames of a chunk: most of them tell a piece of text, as the one before. */
  private read(out: Array<LlmEvent>): void {
    const { reader, repeats, state } = this
    while (this.over === undefined) {
      const text = reader.repeated()
      if (text !== undefined) {
        repeats!.tell(state, out, text)
        continue
      }
      const frame = reader.next()
      if (frame === undefined) return
      this.take(frame, out)
      if (repeats !== undefined) reader.expect(repeats.textIn(frame.value), repeats.unread)
    }
  }

  private take(frame: Frame, out: Array<LlmEvent>): void {
    const reason = this.options.decoder.step(this.state, frame, out)
    if (reason !== undefined) this.fail(reason)
    else if (this.state.end === "wire") this.complete(out)
  }

  private endOfBody(ending: Effect.Effect<never, E | Cause.Done>): Step {
    return Effect.matchCauseEffect(ending, {
      onSuccess: (never) => never,
      onFailure: (cause): Step => {
        if (this.over !== undefined) return this.close()
        if (Pull.isDoneCause(cause)) return this.step(this.last())
        const error = Cause.findErrorOption(cause)
        if (Option.isNone(error)) return this.ended(Exit.failCause(cause as Cause.Cause<never>))
        this.fail(this.options.bodyFailed(error.value as E))
        return this.close()
      }
    })
  }

  /** What is told by the end of the body. */
  private last(): Array<LlmEvent> {
    const { options, reader, state } = this
    const out: Array<LlmEvent> = []
    const frame = reader.last()
    // Of a frame that was cut in the middle nothing is known.
    if (frame !== undefined && (frame.value !== undefined || options.decoder.isWireEnd(frame))) this.take(frame, out)
    const isOurs = reader.isStream && (options.declared || reader.isCut || this.over !== undefined)
    if (!state.started && !reader.isEmpty && !isOurs) {
      this.fail(options.notAStream(reader.beginning))
    } else if (this.over === undefined) {
      const isWhole = state.end !== "none" || (options.decoder.endsWithInput === true && state.started)
      if (!isWhole) this.fail(truncated(state.started))
      else this.complete(out)
    }
    return out
  }

  // ---------------------------------------------------------------------------
  // the end of the turn
  // ---------------------------------------------------------------------------

  private fail(reason: Reason): void {
    this.over = this.options.fail(reason, this.state)
  }

  private complete(out: Array<LlmEvent>): void {
    this.over = "completed"
    const reason = this.options.decoder.end(this.state, out)
    if (reason !== undefined) this.fail(reason)
  }

  /** What was decoded before the end is delivered before it. */
  private step(out: Array<LlmEvent>): Step {
    return Arr.isArrayNonEmpty(out) ? this.give(out) : this.close()
  }

  private give(out: Events): Step {
    this.options.look?.(out)
    return Effect.succeed(out)
  }

  private close(): Step {
    if (typeof this.over === "object") return this.ended(Exit.fail(this.over))
    const isSettled = this.ending !== undefined || this.settling === 0
    return isSettled ? this.ended(Exit.void) : Effect.andThen(this.settle, this.ended(Exit.void))
  }

  private ended(exit: Exit.Exit<void, LlmError>): Step {
    const last: Step = Exit.isSuccess(exit) ? Cause.done() : Effect.failCause(exit.cause)
    const { end } = this.options
    // A defect of what is run must not meet the end of the stream in one cause: many readers look for it alone.
    if (end === undefined) return last
    const told = Effect.uninterruptible(Effect.suspend(() => end(exit)))
    return Exit.isSuccess(exit) ? Effect.andThen(told, last) : Effect.onError(last, () => told)
  }

  /**
   * Reads the few bytes that end a body after the answer's own end, so that the connection can serve the
   * next request; gives up after {@link Settling}, since a peer may keep the body open.
   */
  private readonly settle: Effect.Effect<void> = Effect.callback((resume) => {
    const timer = setTimeout(() => this.settled?.(), this.settling)
    this.settled = () => {
      this.settled = undefined
      clearTimeout(timer)
      resume(Effect.void)
    }
    this.more()
    return Effect.sync(() => {
      this.settled = undefined
      clearTimeout(timer)
    })
  })
}

const truncated = (started: boolean): Truncated =>
  new Truncated({
    message: started
      ? "the answer ended before the provider said that it was complete. Ask again, or look for a proxy that cuts long answers."
      : "the answer ended before it began. Ask again, or look for a proxy that cuts long answers."
  })
