/**
 * What is served, and how to ask for it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Element } from "../../delivery/Format.ts"
import type * as HttpResponse from "../../delivery/HttpResponse.ts"
import * as Ndjson from "../../delivery/Ndjson.ts"
import * as OpenAiChunks from "../../delivery/OpenAiChunks.ts"
import * as PlainText from "../../delivery/PlainText.ts"
import * as Sse from "../../delivery/Sse.ts"
import * as WebSocket from "../../delivery/WebSocket.ts"
import * as Llm from "../../Llm.ts"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmResponse from "../../LlmResponse.ts"
import * as Body from "./Body.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as Question from "./Question.ts"
import { failed, Refusal } from "./Refusal.ts"
import * as UiChat from "./UiChat.ts"

/**
 * A request that has found its route.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  readonly request: HttpServerRequest.HttpServerRequest
  /** What follows the question mark. */
  readonly query: string
  /** Until the server is to stop and nothing is being answered here: for a connection that would never end. */
  readonly idle: Effect.Effect<void>
  /** Asks the model. */
  readonly events: (request: LlmRequest) => Stream.Stream<LlmEvent, LlmError>
}

/**
 * Answers a request.
 *
 * @category models
 * @since 0.1.0
 */
export type Handler = (
  exchange: Exchange
) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refusal, HttpServerRequest.HttpServerRequest | Scope.Scope>

/**
 * A route.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly GET?: Handler
  readonly POST?: Handler
  /** Whether asking costs nothing, so that `HEAD` may do what `GET` does. */
  readonly isFree?: true
}

/**
 * What the routes need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The model's name, as `--model` takes it. */
  readonly model: string
  /** In bytes. */
  readonly maxBody: number
  /** What `GET /` says. */
  readonly welcome: string
}

/**
 * Makes the routes, by their paths.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ maxBody, model, welcome }: Options): ReadonlyMap<string, Route> => {
  /** A prompt in the query, or in a body. */
  const asked = (
    answer: (
      exchange: Exchange,
      request: LlmRequest
    ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, Scope.Scope>
  ): Route => ({
    GET: (exchange) =>
      // Of an `EventSource` that asks again: it has got its answer, or the answer cannot be gone on with.
      exchange.request.headers["last-event-id"] === undefined
        ? Effect.flatMap(Question.fromQuery(exchange.query), (request) => answer(exchange, request))
        : Effect.succeed(HttpServerResponse.empty({ status: 204 })),
    POST: (exchange) =>
      Effect.flatMap(Body.read(exchange.request, maxBody, Question.fromBody), (request) => answer(exchange, request))
  })
  return new Map<string, Route>([
    ["/", free(() => HttpServerResponse.text(welcome, { contentType: "text/plain; charset=utf-8" }))],
    ["/health", free(() => HttpServerResponse.jsonUnsafe({ status: "ok", model }))],
    ["/text", asked((exchange, request) => PlainText.response(text(exchange, request)))],
    ["/sse", asked((exchange, request) => Sse.response(text(exchange, request), { format: Sse.text }))],
    [
      "/events",
      asked((exchange, request) => Sse.response<Element, never>(exchange.events(request), { format: Sse.json }))
    ],
    ["/ndjson", asked((exchange, request) => Ndjson.response(exchange.events(request)))],
    ["/v1/chat/completions", { POST: chatCompletions(model, maxBody) }],
    [
      "/v1/models",
      free(() =>
        HttpServerResponse.jsonUnsafe({
          object: "list",
          data: [{ id: model, object: "model", created: 0, owned_by: "rill" }]
        })
      )
    ],
    [
      "/api/chat",
      {
        POST: (exchange) =>
          Effect.flatMap(Body.read(exchange.request, maxBody, UiChat.decode), (request) =>
            Sse.response<Element, never>(exchange.events(request), { format: Sse.uiMessages })
          )
      }
    ],
    ["/ws", { GET: webSocket(maxBody) }]
  ])
}

const text = (exchange: Exchange, request: LlmRequest): Stream.Stream<string, HttpResponse.AnswerError> =>
  Llm.text(exchange.events(request))

const free = (response: () => HttpServerResponse.HttpServerResponse): Route => ({
  GET: () => Effect.sync(response),
  isFree: true
})

const chatCompletions =
  (model: string, maxBody: number): Handler =>
  (exchange) =>
    Effect.gen(function* () {
      const { request, stream, usage } = yield* Body.read(exchange.request, maxBody, ChatCompletions.decode)
      const events = exchange.events(request)
      if (stream) return yield* Sse.response<Element, never>(events, { format: OpenAiChunks.make({ model, usage }) })
      const fold = LlmResponse.makeFold()
      const told = Stream.runForEachArray(events, (events) =>
        Effect.sync(() => events.forEach((event) => fold.add(event)))
      )
      return yield* Effect.matchEffect(told, {
        onFailure: (error) => Effect.succeed(failed(error)),
        onSuccess: () =>
          Effect.map(Clock.currentTimeMillis, (now) =>
            HttpServerResponse.jsonUnsafe(OpenAiChunks.completion(fold.response(), now, { model }), {
              headers: { "cache-control": "no-store" }
            })
          )
      })
    })

const webSocket =
  (maxBody: number): Handler =>
  (exchange) => {
    if (exchange.request.headers["upgrade"]?.toLowerCase() !== "websocket") return Effect.fail(noWebSocket)
    const talk = WebSocket.handler({
      answer: ({ prompt }) => exchange.events({ prompt }),
      maxFrameSize: maxBody,
      // The server's guard has looked already.
      origins: "any",
      // When the server stops, it has given its clients time before.
      closeTimeout: "1 second"
    })
    return Effect.raceFirst(talk, Effect.as(exchange.idle, HttpServerResponse.empty()))
  }

const noWebSocket = new Refusal({
  reason: "NoWebSocket",
  message: "this URL speaks WebSocket: connect to it by ws: or wss:.",
  headers: { upgrade: "websocket", connection: "upgrade" }
})
