/**
 * Answers as plain text, and nothing else.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AgentEvent } from "../agent/AgentEvent.ts"
import { WholeCharacters } from "../policy/internal/wholeCharacters.ts"
import { problem } from "./Format.ts"
import * as HttpResponse from "./HttpResponse.ts"
import { AnswerText } from "./internal/answerText.ts"

/**
 * How answers go over HTTP as plain text, in UTF-8, unchanged: strings, or the answer's tokens of an agent's
 * events.
 *
 * Text has no place for an error. An answer that fails after its first piece has its body broken off, so that it never
 * looks whole: the connection is closed in the middle of a chunked body (HTTP/1.1), the stream reset (HTTP/2), the
 * `ReadableStream` errored. `fetch` rejects the read with a `TypeError`, curl exits with 18. There are no
 * heartbeats either.
 *
 * @category wires
 * @since 0.1.0
 */
export const wire: HttpResponse.Wire<string | AgentEvent> = {
  contentType: "text/plain; charset=utf-8",
  problem,
  writer: () => {
    const answer = new AnswerText()
    const characters = new WholeCharacters()
    return {
      write: (elements) => {
        let text = ""
        for (const element of elements) text += answer.of(element)
        return characters.take(text)
      },
      refused: () => undefined,
      end: () => characters.rest(),
      fail: () => undefined
    }
  }
}

/**
 * An answer as plain text.
 *
 * @see {@link HttpResponse} for what is awaited, what an error becomes, and who interrupts whom
 * @category constructors
 * @since 0.1.0
 */
export const response = <A extends string | AgentEvent, R>(
  answer: Stream.Stream<A, HttpResponse.AnswerError, R>,
  options?: HttpResponse.Options
): Effect.Effect<HttpServerResponse, never, R | Scope.Scope> => HttpResponse.make(answer, wire, options)
