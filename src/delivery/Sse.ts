/**
 * Answers as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * ```ts
 * HttpRouter.add("GET", "/story", Sse.response(Llm.stream("Tell me a story"), { format: Sse.text }))
 * ```
 *
 * A browser's `EventSource` asks again when a body ends, and when it breaks off: let it `close()` at the events `done` and
 * `error`, or it asks the model anew. What it sends again has the header `last-event-id`; an answer with 204 tells
 * it to stop.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Element, Format } from "./Format.ts"
import * as HttpResponse from "./HttpResponse.ts"
import * as writer from "./internal/writer.ts"

export {
  /**
   * Every event as JSON.
   *
   * @category formats
   * @since 0.1.0
   */
  json
} from "./JsonFormat.ts"
export {
  /**
   * Chunks of OpenAI's chat completions.
   *
   * @category formats
   * @since 0.1.0
   */
  openAi
} from "./OpenAiChunks.ts"
export {
  /**
   * The text, an event for each piece.
   *
   * @category formats
   * @since 0.1.0
   */
  text
} from "./TextFormat.ts"
export {
  /**
   * The AI SDK's UI message stream.
   *
   * @category formats
   * @since 0.1.0
   */
  uiMessages
} from "./UiMessages.ts"

/**
 * Options of a response.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in A extends Element = Element> extends HttpResponse.Options {
  /** How the answer is put into events: {@link text}, {@link json}, {@link openAi}, {@link uiMessages}. */
  readonly format: Format<A>
  /**
   * After how long a comment is sent while nothing comes, so that no proxy takes the connection for dead.
   * Default 15 s, on `Clock`; `false` for never.
   */
  readonly heartbeat?: Duration.Input | false | undefined
  /** How long an `EventSource` waits before it asks again. Default: its own, a few seconds. */
  readonly retry?: Duration.Input | undefined
  /**
   * The id of an event, by its number from 1. Default, with `text` and `json`: its number; `false` for none. The other
   * formats have none unless asked to. `done` and `error` never have one.
   */
  readonly id?: ((number: number) => string) | false | undefined
}

/**
 * An answer as server-sent events.
 *
 * @see {@link HttpResponse} for what is awaited, what an error becomes, and who interrupts whom
 * @category constructors
 * @since 0.1.0
 */
export const response = <A extends Element, R>(
  answer: Stream.Stream<A, HttpResponse.AnswerError, R>,
  options: Options<A>
): Effect.Effect<HttpServerResponse, never, R | Scope.Scope> => HttpResponse.make(answer, wire(options), options)

/**
 * How answers go over HTTP as server-sent events.
 *
 * @category wires
 * @since 0.1.0
 */
export const wire = <A extends Element>(options: Options<A>): HttpResponse.Wire<A> => {
  const { format, heartbeat = Duration.seconds(15), retry } = options
  const id = options.id ?? (format.numbered ? String : false)
  return {
    contentType: "text/event-stream; charset=utf-8",
    headers: format.headers,
    problem: format.problem,
    preamble: retry === undefined ? "" : `retry: ${Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(retry)))}\n\n`,
    heartbeat: heartbeat === false ? undefined : { text: ":\n\n", every: Duration.fromInputUnsafe(heartbeat) },
    writer: (now) => {
      let number = 0
      return writer.make(format, now, (data, name) => {
        const head = name !== undefined ? `event: ${name}\n` : id === false ? "" : `id: ${oneLine(id(++number))}\n`
        return `${head}${lines(data)}\n`
      })
    }
  }
}

const oneLine = (id: string): string => {
  if (/[\r\n\0]/.test(id)) throw new TypeError("the id of a server-sent event must be one line without U+0000")
  return id
}

const lineEnd = /\r\n|\n|\r/

/** One `data:` line for each line. */
const lines = (data: string): string =>
  lineEnd.test(data)
    ? data
        .split(lineEnd)
        .map((line) => `data: ${line}\n`)
        .join("")
    : `data: ${data}\n`
