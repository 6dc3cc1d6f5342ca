/**
 * Answers over WebSockets: a handler for `effect/http`'s `HttpRouter`.
 *
 * ```ts
 * HttpRouter.add("GET", "/chat", WebSocket.handler())
 * HttpRouter.add("GET", "/agent", WebSocket.handler({ answer: ({ prompt }) => agent.stream(prompt) }))
 * ```
 *
 * A connection carries any number of prompts, one after the other or several at once, told apart by the
 * client's ids. The frames are JSON texts, see {@link WebSocketFrame}. A frame that cannot be read is
 * answered by an `error` frame, and the connection and its other prompts go on.
 *
 * Backpressure: what a client does not read is not asked of the model. At most one write is held for a
 * client, and one array of events for each of its prompts.
 *
 * When the client goes, by a close or without a word, its prompts are interrupted. It is pinged, so that one
 * whose line is dead is found.
 *
 * | code | the connection was closed because | by |
 * |---|---|---|
 * | 1000, 1005 | the client had what it wanted | the client |
 * | 1001 | the server is stopping | this handler |
 * | 1002, 1007 | the client broke RFC 6455, or sent a text that is not UTF-8 | the platform |
 * | 1003 | the client sent a binary frame | this handler |
 * | 1006 | the client did not answer a ping (no close frame is sent), or the line broke | this handler |
 * | 1009 | a frame is larger than `maxFrameSize` | this handler |
 * | 1011 | the server has a defect; its log says which | this handler |
 * | 1013 | the client did not read for `slowClientTimeout`; it may come back later | this handler |
 *
 * Before that, as HTTP: 403 for a page of a foreign origin, 426 for a request that is no WebSocket's.
 *
 * On Node, `NodeHttpServer` waits `gracefulShutdownTimeout` (20 s) for connections to end by themselves
 * before it stops its handlers: make it short, or 1001 comes late. Compression is declined there even if the
 * server has it: what waits to be compressed cannot be bounded. On other platforms pings and a bound for
 * what is written are the platform's.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Stream from "effect/Stream"
import type { AgentError } from "../agent/AgentError.ts"
import * as Llm from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import type * as EventJson from "./EventJson.ts"
import * as Connection from "./internal/Connection.ts"
import * as origins from "./internal/origins.ts"
import type * as WebSocketFrame from "./WebSocketFrame.ts"

/**
 * From a client's checked prompt to its answer: events of a model or of an agent, or text.
 *
 * The prompt is the client's word, messages of the role `system` included. Look at it here if it matters
 * who gives instructions.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer<out R> = (
  prompt: WebSocketFrame.PromptFrame
) => Stream.Stream<EventJson.Event | string, LlmError | AgentError, R>

/**
 * Limits of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /**
   * Which web pages may connect, by the `Origin` that browsers send; WebSockets have no CORS. `same`, the
   * default: those of the host that the request names. A list: those of these origins, such as
   * `"https://app.example.com"`, and no others. Clients that send no `Origin` are no browsers and may
   * connect: who they are is for the app to check.
   *
   * A server on loopback should give a list: by DNS rebinding, a foreign page can be of its host.
   */
  readonly origins?: "same" | "any" | ReadonlyArray<string> | undefined
  /** How many prompts of one connection may run at once. Default 8. */
  readonly maxPrompts?: number | undefined
  /** The largest frame that a client may send, in bytes. Default 1 MiB. */
  readonly maxFrameSize?: number | undefined
  /** How often the client is pinged. Default 30 s. `Infinity`: never. */
  readonly pingInterval?: Duration.Input | undefined
  /** How long after a ping something must have come from the client. Default 30 s. */
  readonly pingTimeout?: Duration.Input | undefined
  /**
   * How long a write may wait for the client to read what was written before, while the answers are
   * suspended. Default 30 s.
   */
  readonly slowClientTimeout?: Duration.Input | undefined
  /** How long a client has to close its side, once it was told a close code. Default 5 s. */
  readonly closeTimeout?: Duration.Input | undefined
}

/**
 * Options of {@link handler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<out R> extends Limits {
  /** Default: `Llm.events` of the prompt, and of nothing else that a client may send. */
  readonly answer: Answer<R>
}

/**
 * Makes a handler for a route of the method `GET`. What the answers need is asked of the route:
 *
 * ```ts
 * HttpRouter.add("GET", "/chat", WebSocket.handler()).pipe(HttpRouter.provideRequest(model))
 * ```
 *
 * Throws on an origin that is none, and on limits that are not positive.
 *
 * @category handlers
 * @since 0.1.0
 */
export function handler<R>(
  options: Options<R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R>
export function handler(
  options?: Limits
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | Llm.Llm>
export function handler(
  options: Limits & { readonly answer?: Answer<Llm.Llm> } = {}
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | Llm.Llm> {
  return make(options.answer ?? askModel, options)
}

const askModel: Answer<Llm.Llm> = ({ prompt }) => Llm.events(prompt)

const make = <R>(
  answer: Answer<R>,
  limits: Limits
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R> => {
  const isAllowed = origins.make(limits.origins ?? "same")
  const settings: Connection.Settings<R> = {
    answer,
    maxPrompts: count("maxPrompts", limits.maxPrompts ?? 8),
    maxFrameSize: count("maxFrameSize", limits.maxFrameSize ?? 1024 * 1024),
    pingInterval: duration("pingInterval", limits.pingInterval ?? "30 seconds"),
    pingTimeout: duration("pingTimeout", limits.pingTimeout ?? "30 seconds"),
    slowClientTimeout: duration("slowClientTimeout", limits.slowClientTimeout ?? "30 seconds"),
    closeTimeout: duration("closeTimeout", limits.closeTimeout ?? "5 seconds")
  }
  return Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { host, origin, upgrade } = request.headers
    if (upgrade?.toLowerCase() !== "websocket") return noWebSocket
    if (!isAllowed(origin, host)) return foreign
    const socket = yield* Effect.option(request.upgrade)
    if (socket._tag === "None") return noWebSocket
    yield* Connection.run(socket.value, request.source, settings)
    return HttpServerResponse.empty()
  })
}

const noWebSocket = HttpServerResponse.text("This URL speaks WebSocket: connect to it by ws: or wss:.\n", {
  status: 426,
  headers: { upgrade: "websocket", connection: "upgrade" }
})

const foreign = HttpServerResponse.text("Pages of this origin may not connect.\n", { status: 403 })

const count = (name: string, value: number): number => {
  if (Number.isInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a whole number of at least 1, not ${value}`)
}

const duration = (name: string, value: Duration.Input): Duration.Duration => {
  const duration = Duration.fromInputUnsafe(value)
  if (Duration.isPositive(duration)) return duration
  throw new RangeError(`${name} must be longer than no time`)
}
