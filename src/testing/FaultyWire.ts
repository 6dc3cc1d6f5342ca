/**
 * An HTTP connection that does what a script says: for testing what becomes of an answer when its
 * bytes come late, in pieces, or not at all.
 *
 * The script is data, what happens is recorded, and time is `Clock`'s, so that `TestClock` drives it:
 * nothing sleeps, no port is opened, and the same script gives the same trace.
 *
 * ```ts
 * const wire = FaultyWire.layer([
 *   [chunk(hello), pause("30 seconds"), reset()], // the first request
 *   [status(429, { "retry-after": "2" }), chunk("{}")] // the second
 * ])
 * const model = OpenAi.layer({ model: "gpt-4o-mini" }).pipe(Layer.provideMerge(wire))
 * ```
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { concat } from "../wire/Lines.ts"
import * as Seeded from "./internal/Seeded.ts"
import * as StreamResponse from "./internal/StreamResponse.ts"

/**
 * One thing that the other side of a connection does.
 *
 * - `Status`: the head of the answer. Without one, the first `Chunk`, `Eof` or `Linger` brings the head
 *   of a good one: status 200, `content-type: text/event-stream`.
 * - `Chunk`: bytes, which the client reads in one piece.
 * - `Pause`: nothing, for a time on `Clock`. Before the head, the head is late.
 * - `Reset`: the connection breaks. Before the head, there is no answer at all.
 * - `Eof`: the body ends, as it does after the last step of a script.
 * - `Linger`: the body stays open, and nothing more comes, until the client closes it.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | {
      readonly _tag: "Status"
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
    }
  | { readonly _tag: "Chunk"; readonly bytes: Uint8Array }
  | { readonly _tag: "Pause"; readonly duration: Duration.Duration }
  | { readonly _tag: "Reset"; readonly code: string }
  | { readonly _tag: "Eof" }
  | { readonly _tag: "Linger" }

/**
 * What one request is answered with.
 *
 * @category models
 * @since 0.1.0
 */
export type Exchange = ReadonlyArray<Step>

/**
 * The answers in the order of the requests, or a function of each request. A request beyond the script
 * dies: the program asked more often than its test expects.
 *
 * @category models
 * @since 0.1.0
 */
export type Script = ReadonlyArray<Exchange> | ((request: Request) => Exchange)

/**
 * A request as it was sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  /** 0 for the first. */
  readonly index: number
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** The body's text, empty where there is none. */
  readonly body: string
}

/**
 * One thing that happened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Trace {
  /** Milliseconds on `Clock`. */
  readonly at: number
  /** The index of the request. */
  readonly request: number
  /**
   * - `Requested`: a request was sent.
   * - `Answered`: the head of its answer came.
   * - `Read`: a chunk was read, of so many `bytes`.
   * - `Ended`, `Reset`: the other side ended or broke the connection.
   * - `Closed`: the client closed it before that.
   */
  readonly what: "Requested" | "Answered" | "Read" | "Ended" | "Reset" | "Closed"
  readonly bytes?: number
}

/**
 * What has happened on a wire so far.
 *
 * @category services
 * @since 0.1.0
 */
export class FaultyWire extends Context.Service<
  FaultyWire,
  {
    readonly requests: Effect.Effect<ReadonlyArray<Request>>
    readonly trace: Effect.Effect<ReadonlyArray<Trace>>
    /** Connections that neither side has ended. */
    readonly open: Effect.Effect<number>
  }
>()("effect-rill/testing/FaultyWire") {}

// -----------------------------------------------------------------------------
// steps
// -----------------------------------------------------------------------------

/**
 * The head of an answer. Without a `content-type` it is `application/json` for a status from 400, else
 * `text/event-stream`.
 *
 * @category steps
 * @since 0.1.0
 */
export const status = (status: number, headers: Readonly<Record<string, string>> = {}): Step => ({
  _tag: "Status",
  status,
  headers: { "content-type": status >= 400 ? "application/json" : "text/event-stream", ...headers }
})

/**
 * Bytes, or text in UTF-8, which the client reads in one piece.
 *
 * @category steps
 * @since 0.1.0
 */
export const chunk = (bytes: Uint8Array | string): Step => ({
  _tag: "Chunk",
  bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes
})

/**
 * Nothing, for a time on `Clock`.
 *
 * @category steps
 * @since 0.1.0
 */
export const pause = (duration: Duration.Input): Step => ({
  _tag: "Pause",
  duration: Duration.fromInputUnsafe(duration)
})

/**
 * The connection breaks, with the code that Node gives, `ECONNRESET` unless told otherwise.
 *
 * @category steps
 * @since 0.1.0
 */
export const reset = (code = "ECONNRESET"): Step => ({ _tag: "Reset", code })

/**
 * The body ends.
 *
 * @category steps
 * @since 0.1.0
 */
export const eof: Step = { _tag: "Eof" }

/**
 * The body stays open until the client closes it.
 *
 * @category steps
 * @since 0.1.0
 */
export const linger: Step = { _tag: "Linger" }

// -----------------------------------------------------------------------------
// cuts
// -----------------------------------------------------------------------------

/**
 * The same bytes in other chunks: what comes without a pause between is joined and cut anew, into
 * pieces of 1 to `largest` bytes (64 unless told otherwise). The same seed makes the same cuts.
 *
 * @category cuts
 * @since 0.1.0
 */
export const cutBySeed = (exchange: Exchange, seed: number, largest = 64): Exchange => {
  const next = Seeded.random(seed)
  return recut(exchange, (bytes) => pieces(bytes, () => 1 + Math.floor(next() * largest)))
}

/**
 * The same bytes in chunks of one size, in bytes; the last may be smaller.
 *
 * @category cuts
 * @since 0.1.0
 */
export const cutEvery = (exchange: Exchange, size: number): Exchange =>
  recut(exchange, (bytes) => pieces(bytes, () => Math.max(1, size)))

/**
 * The same bytes in two chunks, cut after so many bytes. Of an exchange with pauses, its first chunks.
 *
 * @category cuts
 * @since 0.1.0
 */
export const cutAt = (exchange: Exchange, position: number): Exchange => {
  let first = true
  return recut(exchange, (bytes) => {
    const whole = !first || position <= 0 || position >= bytes.length
    first = false
    return whole ? [bytes] : [bytes.subarray(0, position), bytes.subarray(position)]
  })
}

const recut = (exchange: Exchange, cut: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>): Exchange => {
  const out: Array<Step> = []
  let run: Array<Uint8Array> = []
  let length = 0
  const flush = () => {
    if (run.length > 0) for (const bytes of cut(concat(run, length))) out.push(chunk(bytes))
    run = []
    length = 0
  }
  for (const step of exchange) {
    if (step._tag === "Chunk") {
      run.push(step.bytes)
      length += step.bytes.length
    } else {
      flush()
      out.push(step)
    }
  }
  flush()
  return out
}

const pieces = (bytes: Uint8Array, size: () => number): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let position = 0; position < bytes.length;) {
    const end = position + size()
    out.push(bytes.subarray(position, end))
    position = end
  }
  return out
}

// -----------------------------------------------------------------------------
// the wire
// -----------------------------------------------------------------------------

/**
 * A wire: an `HttpClient` that plays the script, and a record of what happens.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  script: Script
): Effect.Effect<{ readonly client: HttpClient.HttpClient; readonly wire: FaultyWire["Service"] }> =>
  Effect.sync(() => {
    const requests: Array<Request> = []
    const trace: Array<Trace> = []
    let open = 0

    const client = HttpClient.make((request, url, signal, fiber) =>
      Effect.suspend(() => {
        const clock = fiber.getRef(Clock.Clock)
        const recorded: Request = {
          index: requests.length,
          method: request.method,
          url: url.href,
          headers: { ...request.headers },
          body: bodyText(request)
        }
        const exchange = typeof script === "function" ? script(recorded) : script[recorded.index]
        if (exchange === undefined) return Effect.die(new Error(unscripted(recorded.index, script.length)))
        requests.push(recorded)

        let isOpen = true
        const record = (what: Trace["what"], bytes?: number) =>
          trace.push({
            at: clock.currentTimeMillisUnsafe(),
            request: recorded.index,
            what,
            ...(bytes === undefined ? undefined : { bytes })
          })
        const end = (what: "Ended" | "Reset" | "Closed") => {
          if (!isOpen) return
          isOpen = false
          open--
          record(what)
        }
        record("Requested")
        open++
        signal.addEventListener("abort", () => end("Closed"), { once: true })
        return answer(request, exchange, record, end)
      })
    )
    return {
      client,
      wire: {
        requests: Effect.sync(() => [...requests]),
        trace: Effect.sync(() => [...trace]),
        open: Effect.sync(() => open)
      }
    }
  })

/**
 * A wire as a Layer: provide it to a provider's Layer in the place of a real client.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (script: Script): Layer.Layer<HttpClient.HttpClient | FaultyWire> =>
  Layer.effectContext(
    Effect.map(make(script), ({ client, wire }) =>
      Context.make(HttpClient.HttpClient, client).pipe(Context.add(FaultyWire, wire))
    )
  )

const unscripted = (index: number, scripted: number): string =>
  `the faulty wire was asked for request ${index + 1}, and its script has ${scripted}. Add an exchange to the script, or look for a request too many.`

const bodyText = (request: HttpClientRequest.HttpClientRequest): string =>
  request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""

const answer = Effect.fnUntraced(function* (
  request: HttpClientRequest.HttpClientRequest,
  exchange: Exchange,
  record: (what: Trace["what"], bytes?: number) => void,
  end: (what: "Ended" | "Reset" | "Closed") => void
): Effect.fn.Return<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError> {
  let next = 0
  for (let step = exchange[next]; step?._tag === "Pause"; step = exchange[++next]) yield* Effect.sleep(step.duration)
  const first = exchange[next]
  if (first?._tag === "Reset") {
    end("Reset")
    return yield* new HttpClientError.HttpClientError({
      reason: new HttpClientError.TransportError({ request, cause: broken(first.code) })
    })
  }
  if (first?._tag === "Status") next++
  const head = first?._tag === "Status" ? first : goodHead
  record("Answered")

  /** The end of the pause that has begun: who gives up waiting and comes again waits for the rest. */
  let resumeAt: number | undefined
  const pull = Effect.suspend((): Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, HttpClientError.HttpClientError> => {
    const step = exchange[next] ?? eof
    switch (step._tag) {
      case "Chunk":
        next++
        record("Read", step.bytes.length)
        return Effect.succeed([step.bytes])
      case "Pause":
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          resumeAt ??= now + Duration.toMillis(step.duration)
          return Effect.flatMap(Effect.sleep(Duration.millis(resumeAt - now)), () => {
            next++
            resumeAt = undefined
            return pull
          })
        })
      case "Linger":
        return Effect.never
      case "Reset":
        end("Reset")
        return Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.DecodeError({ request, response, cause: broken(step.code) })
          })
        )
      case "Eof":
        end("Ended")
        return Cause.done()
      case "Status":
        return Effect.die(
          new Error("the faulty wire's script has a status after the head of the answer. Put it first.")
        )
    }
  })
  const response = StreamResponse.make(request, {
    status: head.status,
    headers: Headers.fromInput(head.headers),
    body: Stream.ensuring(
      Stream.fromPull(Effect.succeed(pull)),
      Effect.sync(() => end("Closed"))
    )
  })
  return response
})

const goodHead = { status: 200, headers: { "content-type": "text/event-stream" } }

/** As Node gives it: an error with the system's code. */
const broken = (code: string): Error => Object.assign(new Error(`the connection broke: ${code}`), { code })
