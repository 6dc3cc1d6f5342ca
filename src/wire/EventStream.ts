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
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LlmError, Reason } from "../LlmError.ts"
import { Truncated } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { Body } from "./Body.ts"
import type { Decoder, Frame, Progress, TurnContext } from "./Decoder.ts"
import type { Outlet } from "./Inlet.ts"
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
  /** None where there are none. */
  readonly limits?: Limits.Limits | undefined
  /** When the request was sent, by `Watchdog.nowOf`: the time to the first token begins then. */
  readonly startedAt?: number | undefined
}

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
  Stream.fromChannel(
    Channel.fromTransform(
      Effect.fnUntraced(function* (_, scope: Scope.Scope) {
        const outlet = yield* options.body(scope)
        const watchdog = yield* Watchdog.make(scope, options.limits ?? Limits.none, options.startedAt)
        return makePull(options, outlet, watchdog)
      })
    )
  )

type Events = Arr.NonEmptyReadonlyArray<LlmEvent>

const makePull = <S extends Progress, E>(
  options: Options<S, E>,
  outlet: Outlet<Uint8Array, E>,
  watchdog: Watchdog.Watchdog
): Pull.Pull<Events, LlmError> => {
  const { decoder } = options
  const state = decoder.initial(options.turn)
  const reader = new Reader(options.framing, options.maxEventLength ?? maxEventLength)
  /** Why nothing more is read: the turn is complete, or has failed. */
  let over: "completed" | LlmError | undefined
  let graceIsOver = false

  const fail = (reason: Reason): void => {
    over = options.fail(reason, state)
  }
  const complete = (out: Array<LlmEvent>): void => {
    over = "completed"
    const reason = decoder.end(state, out)
    if (reason !== undefined) fail(reason)
  }
  const step = (frame: Frame, out: Array<LlmEvent>): void => {
    const reason = decoder.step(state, frame, out)
    if (reason !== undefined) fail(reason)
    else if (state.end === "wire") complete(out)
  }

  const onChunks = (chunks: Arr.NonEmptyReadonlyArray<Uint8Array>): Pull.Pull<Events, LlmError> => {
    const out: Array<LlmEvent> = []
    for (let i = 0; i < chunks.length && over === undefined; i++) {
      reader.feed(chunks[i]!)
      for (let frame = reader.next(); frame !== undefined && over === undefined; frame = reader.next()) step(frame, out)
      const problem = over === undefined ? reader.problem() : undefined
      if (problem !== undefined) fail(problem)
      if (reader.isKnownPage) fail(options.notAStream(reader.beginning))
    }
    watchdog.heard(out)
    if (over === undefined && state.end === "semantic") watchdog.allow(Duration.toMillis(grace))
    return deliver(out)
  }

  const onEndOfInput = (): Pull.Pull<Events, LlmError> => {
    const out: Array<LlmEvent> = []
    const frame = reader.last()
    // Of a frame that was cut in the middle nothing is known.
    if (frame !== undefined && (frame.value !== undefined || decoder.isWireEnd(frame))) step(frame, out)
    const isOurs = reader.isStream && (options.declared || reader.isCut || over !== undefined)
    if (!state.started && !reader.isEmpty && !isOurs) {
      fail(options.notAStream(reader.beginning))
    } else if (over === undefined) {
      const isWhole = state.end !== "none" || (decoder.endsWithInput === true && state.started)
      if (!isWhole) fail(truncated(state.started))
      else complete(out)
    }
    return deliver(out)
  }

  // What was decoded before a failure is delivered before it.
  const deliver = (out: Array<LlmEvent>): Pull.Pull<Events, LlmError> =>
    Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : goOn()

  const onFailure = (cause: Cause.Cause<E | Cause.Done>): Pull.Pull<Events, LlmError> => {
    if (over !== undefined) return goOn()
    if (graceIsOver) {
      const out: Array<LlmEvent> = []
      complete(out)
      return deliver(out)
    }
    if (Pull.isDoneCause(cause)) return onEndOfInput()
    const error = Cause.findErrorOption(cause)
    if (Option.isNone(error)) return Effect.failCause(cause as Cause.Cause<never>)
    fail(options.bodyFailed(error.value as E))
    return goOn()
  }

  outlet.watchdog = watchdog
  watchdog.onExpired = (which) => {
    if (which === "grace") graceIsOver = true
    else fail(Limits.exceeded(options.limits ?? Limits.none, which))
    outlet.close()
  }
  const read = Effect.matchCauseEffect(outlet.pull, { onSuccess: onChunks, onFailure })

  const goOn = (): Pull.Pull<Events, LlmError> => {
    if (over === "completed") return Effect.andThen(settle(outlet.pull), Cause.done())
    if (over !== undefined) return Effect.fail(over)
    return read
  }
  return Effect.suspend(goOn)
}

/**
 * Reads the few bytes that end a body after the answer's own end, so that the connection can serve
 * the next request; gives up after {@link Settling}, since a peer may keep the body open.
 */
const settle = <E>(pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, E>): Effect.Effect<void> =>
  Effect.flatMap(Settling, (duration) =>
    Duration.isZero(duration)
      ? Effect.void
      : Effect.raceFirst(
          Effect.exit(Effect.forever(pull)),
          Effect.callback<void>((resume) => {
            const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration))
            return Effect.sync(() => clearTimeout(timer))
          })
        ).pipe(Effect.asVoid)
  )

const truncated = (started: boolean): Truncated =>
  new Truncated({
    message: started
      ? "the answer ended before the provider said that it was complete. Ask again, or look for a proxy that cuts long answers."
      : "the answer ended before it began. Ask again, or look for a proxy that cuts long answers."
  })
