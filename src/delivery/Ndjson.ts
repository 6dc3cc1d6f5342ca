/**
 * Answers as NDJSON (https://github.com/ndjson/ndjson-spec): an event a line.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { type Element, problem } from "./Format.ts"
import * as HttpResponse from "./HttpResponse.ts"
import * as writer from "./internal/writer.ts"
import { json } from "./JsonFormat.ts"

/**
 * How answers go over HTTP as NDJSON: each event as `EventJson.encode` writes it, a string as a `TextDelta`. An
 * error is a last line, `{ "_tag": "Failed", "error": Failure }`. There are no heartbeats: a blank line is not JSON.
 *
 * @category wires
 * @since 0.1.0
 */
export const wire: HttpResponse.Wire<Element> = {
  contentType: "application/x-ndjson; charset=utf-8",
  problem,
  writer: (now) => writer.make(json, now, (data, name) => (name === "done" ? "" : `${data}\n`))
}

/**
 * An answer as NDJSON.
 *
 * @see {@link HttpResponse} for what is awaited, what an error becomes, and who interrupts whom
 * @category constructors
 * @since 0.1.0
 */
export const response = <A extends Element, R>(
  answer: Stream.Stream<A, HttpResponse.AnswerError, R>,
  options?: HttpResponse.Options
): Effect.Effect<HttpServerResponse, never, R | Scope.Scope> => HttpResponse.make(answer, wire, options)
