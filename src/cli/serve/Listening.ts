/**
 * The server of Node's under the routes: its port, its limits, its end.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Socket } from "node:net"
import { Failed } from "../Failure.ts"
import { Refusal } from "./Refusal.ts"

/**
 * How long answers have to end when the server is stopped.
 *
 * @category constants
 * @since 0.1.0
 */
export const grace = "5 seconds"

/**
 * Listens until the scope closes. Then it takes no more connections, gives those that are open {@link grace}, and
 * breaks off what is left.
 *
 * `log` is told what no handler hears of: what was no HTTP, or not in time, and connections that could not be taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const listen = Effect.fnUntraced(function* (options: {
  readonly host: string
  readonly port: number
  readonly log: (line: string) => void
  /** How long the head of a request may take, and all of it: a body is read in this time. In milliseconds. */
  readonly headersTimeout?: number
  readonly requestTimeout?: number
}): Effect.fn.Return<HttpServer.HttpServer["Service"], Failed, Scope.Scope> {
  const { host, port } = options
  const node = Http.createServer({
    maxHeaderSize: 16 * 1024,
    // Who sends a byte now and then must not hold a connection for long; these count for all of a head and of a request.
    headersTimeout: options.headersTimeout ?? 10_000,
    requestTimeout: options.requestTimeout ?? 60_000,
    connectionsCheckingInterval: 1000,
    // Node's own answer would have no body: see Guard.
    requireHostHeader: false
  })
  const running = new WeakMap<Socket, Http.ServerResponse>()
  node.on("request", (request, response) => {
    running.set(request.socket, response)
    // Else a connection that is kept alive for the next request would keep the server from ending.
    response.on("close", () => setImmediate(() => node.listening || node.closeIdleConnections()))
  })
  // What is expected besides a 100 is no matter here; Node's own answer would have no body.
  node.on("checkExpectation", (request, response) => node.emit("request", request, response))
  node.on("connect", (_request, socket) => {
    socket.on("error", () => {})
    options.log(`CONNECT - ${noProxy.status}`)
    socket.end(raw(noProxy))
  })
  node.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    const refusal = unreadable(error.code)
    const response = running.get(socket)
    // Browsers open connections that they may not need.
    if (
      !socket.writable ||
      socket.bytesRead === 0 ||
      (response !== undefined && response.headersSent && !response.writableEnded)
    ) {
      return socket.destroy()
    }
    options.log(`unreadable request ${refusal.status}`)
    socket.end(raw(refusal))
    // Nobody reads what is still to come. Time to read the answer, which a reset would take away.
    setTimeout(() => socket.destroy(), 500).unref()
    return undefined
  })
  const server = yield* Effect.mapError(
    NodeHttpServer.make(() => node, { host, port, gracefulShutdownTimeout: grace }),
    (error) => new Failed({ message: whyNot(error, host, port) })
  )
  // Without a listener, a connection that the system could not hand over would end the process.
  node.on("error", ({ code, message }: NodeJS.ErrnoException) =>
    options.log(`a connection was lost: ${code ?? message}`)
  )
  // Runs after the answers have ended, and before the server waits for its last connection.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  return server
})

const noProxy = new Refusal({ reason: "MethodNotAllowed", message: "this is no proxy. GET / says what there is." })

const unreadable = (code: string | undefined): Refusal => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new Refusal({
        reason: "HeadersTooLarge",
        message: "the headers and the URL have at most 16 KiB. Send a long prompt in the body of a POST."
      })
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Refusal({ reason: "Timeout", message: "the request did not come in time." })
    default:
      return new Refusal({ reason: "InvalidRequest", message: "this is no HTTP/1.1 request." })
  }
}

const raw = (refusal: Refusal): string => {
  const body = JSON.stringify(refusal.body(""))
  return [
    `HTTP/1.1 ${refusal.status} ${Http.STATUS_CODES[refusal.status] ?? ""}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
    "",
    body
  ].join("\r\n")
}

const whyNot = ({ cause }: ServeError, host: string, port: number): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} of ${host} is taken, perhaps by another rill serve. Take another one: --port ${port + 1}, or --port 0 for any that is free.`
    case "EACCES":
      return `port ${port} of ${host} needs more rights than this user has. Take one above 1023, such as --port 3210.`
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `--host ${host} is no address of this machine. Leave it out for 127.0.0.1, or take 0.0.0.0 for all.`
    default:
      return `cannot listen on port ${port} of ${host}${typeof code === "string" ? ` (${code})` : ""}.`
  }
}
