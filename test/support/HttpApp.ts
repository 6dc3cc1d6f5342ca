/** An app of routes on a real server of Node, on a loopback port. */
import * as Http from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"

export interface HttpApp {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly server: Http.Server
  readonly openSockets: () => number
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** What the app logs goes nowhere: errors that clients are to see are no news for a test's output. */
export const start = async (
  routes: Layer.Layer<never, never, HttpRouter.HttpRouter>,
  surroundings: Layer.Layer<never> = Layer.empty
): Promise<HttpApp> => {
  const server = Http.createServer()
  let sockets = 0
  server.on("connection", (socket) => {
    sockets++
    socket.on("close", () => sockets--)
  })
  const listening = NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })
  const app = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(listening),
    Layer.provide([Logger.layer([]), surroundings])
  )
  const runtime = ManagedRuntime.make(app)
  const { address } = await runtime.runPromise(Effect.map(HttpServer.HttpServer, (server) => server))
  if (address._tag === "UnixPathAddress") throw new Error("no port")
  return {
    url: `http://127.0.0.1:${address.port}`,
    server,
    openSockets: () => sockets,
    [Symbol.asyncDispose]: async () => {
      const closed = runtime.dispose()
      server.closeAllConnections()
      await closed
    }
  }
}

/** Waits until something is so, 5 s at most. Real sockets know no other clock. */
export const until = async (what: string, isSo: () => boolean, seconds = 5): Promise<void> => {
  const giveUp = performance.now() + seconds * 1000
  while (!isSo()) {
    if (performance.now() > giveUp) throw new Error(`not within ${seconds} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
