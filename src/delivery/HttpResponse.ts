/**
 * Answers as HTTP responses, whatever they are written as: `Sse.response`, `Ndjson.response` and
 * `PlainText.response` are made of this.
 *
 * - An answer that fails before it says anything is a proper HTTP status with a JSON body (see
 *   `EventJson.status`). For that its first event is awaited, 10 s at most.
 * - What fails after it is told in the answer, as its format has it; the text alone is broken off.
 * - Nothing is pulled that the client does not read, and nothing is queued: who stalls, stops the model.
 * - A client that leaves interrupts the answer, up to the model.
 *
 * A response owns its answer from the moment it is made, not only from when its body is read. So it needs a
 * `Scope`: the one of the request in a handler of `HttpRouter`, or the one that {@link toWeb} makes.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentError } from "../agent/AgentError.ts"
import type { LlmError } from "../LlmError.ts"
import * as EventJson from "./EventJson.ts"
import type { Element } from "./Format.ts"
import { Handoff } from "./internal/Handoff.ts"

/**
 * What an answer may fail with. Map errors of your own to one of them.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerError = LlmError | AgentError

/**
 * An answer on its way into the text of a body. How its elements are cut into arrays does not matter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Writer<in A> {
  /** Writes elements. */
  readonly write: (elements: ReadonlyArray<A>) => string
  /** The error with which the answer must end, if it cannot go on after what was written. */
  readonly refused: () => LlmError | undefined
  /** What a complete answer ends with. */
  readonly end: () => string
  /** What an answer that failed ends with; nothing, where there is no way to tell: its body is broken off. */
  readonly fail: (failure: EventJson.Failure) => string | undefined
}

/**
 * How answers go over HTTP.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wire<in A extends Element> {
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Begins an answer. `now` is in milliseconds since 1970. */
  readonly writer: (now: number) => Writer<A>
  /** The JSON of an answer that failed before its first event. */
  readonly problem: (failure: EventJson.Failure) => object
  /** What a body begins with. */
  readonly preamble?: string | undefined
  /** What is written while nothing comes, and after how long. */
  readonly heartbeat?: { readonly text: string; readonly every: Duration.Duration } | undefined
}

/**
 * Options of every response.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * How long the answer may say nothing before it is a 200 all the same. Default 10 s, on `Clock`. What only
   * says that the answer has begun does not count: `Started`, `StepStarted`, `AttemptFailed`, `Switched`.
   */
  readonly firstEvent?: Duration.Input | undefined
  /** Headers besides, or instead of, the response's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * Makes a response. See the module for what it does when.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends Element, R>(
  answer: Stream.Stream<A, AnswerError, R>,
  wire: Wire<A>,
  options: Options = {}
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const source = new Handoff<A, AnswerError>()
    yield* source.run(answer)
    const writing = new Writing(source, wire, clock)
    yield* Effect.timeoutOption(writing.open, options.firstEvent ?? Duration.seconds(10))
    const failed = writing.failedUnheard
    if (failed !== undefined) return yield* refuse(failed, wire)
    if (wire.heartbeat !== undefined) yield* Effect.forkScoped(writing.beat(wire.heartbeat.every))
    return HttpServerResponse.stream(Stream.fromPull(Effect.succeed(writing.pull)), {
      contentType: wire.contentType,
      headers: { ...streaming, ...wire.headers, ...options.headers }
    })
  })

/**
 * The response as a web `Response`, with a scope of its own: for Hono, Next, workers.
 *
 * The answer is interrupted when the body is cancelled or, whether or not somebody reads it, when `signal`
 * aborts: give it the request's. An abort before there is a response interrupts this effect. A body that is neither
 * read, cancelled nor aborted keeps its answer open.
 *
 * @category converting
 * @since 0.1.0
 */
export const toWeb = <E, R>(
  response: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  options: { readonly signal?: AbortSignal | undefined } = {}
): Effect.Effect<Response, E, Exclude<R, Scope.Scope>> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const made = yield* restore(untilAborted(Scope.provide(response, scope), options.signal)).pipe(
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )
      const { body } = made
      if (body._tag !== "Stream") {
        yield* Scope.close(scope, Exit.void)
        return HttpServerResponse.toWeb(made)
      }
      const owned = Stream.onExit(body.stream, (exit) => Scope.close(scope, exit))
      return HttpServerResponse.toWeb(
        HttpServerResponse.stream(owned, {
          status: made.status,
          headers: made.headers,
          cookies: made.cookies,
          contentType: body.contentType
        }),
        { context: yield* Effect.context<never>(), signal: options.signal }
      )
    })
  )

/** Interrupts when the signal aborts. */
const untilAborted = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  signal: AbortSignal | undefined
): Effect.Effect<A, E, R> =>
  signal === undefined
    ? effect
    : Effect.raceFirst(
        effect,
        Effect.callback<never>((resume) => {
          const abort = () => resume(Effect.interrupt)
          if (signal.aborted) return abort()
          signal.addEventListener("abort", abort, { once: true })
          return Effect.sync(() => signal.removeEventListener("abort", abort))
        })
      )

/** Against caches, and proxies that would keep the answer until it is whole (nginx) or compress it. */
const streaming = {
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
  // Else browsers wait for enough of a text to guess what it is.
  "x-content-type-options": "nosniff"
}

/** An answer that failed before it said anything. */
const refuse = <A extends Element>(
  cause: Cause.Cause<AnswerError>,
  wire: Wire<A>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(tell(cause), ([failure, status]) =>
    HttpServerResponse.jsonUnsafe(wire.problem(failure), {
      status,
      headers: {
        "cache-control": "no-store",
        // OpenAI's and Anthropic's clients ask for it before they look at the status.
        "x-should-retry": String(failure.isRetryable),
        ...(failure.retryAfter === undefined ? undefined : { "retry-after": String(Math.ceil(failure.retryAfter)) })
      }
    })
  )

/** What a client is told of a cause. Of a defect it is told nothing; the log is. */
const tell = (cause: Cause.Cause<AnswerError>): Effect.Effect<readonly [EventJson.Failure, status: number]> => {
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

class Writing<A extends Element> {
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
      this.ended ??= told.exit
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
