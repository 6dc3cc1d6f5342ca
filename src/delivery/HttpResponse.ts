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
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentError } from "../agent/AgentError.ts"
import type { LlmError } from "../LlmError.ts"
import type * as EventJson from "./EventJson.ts"
import type { Element } from "./Format.ts"
import { Handoff } from "./internal/Handoff.ts"
import { tell, Writing } from "./internal/Writing.ts"

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
