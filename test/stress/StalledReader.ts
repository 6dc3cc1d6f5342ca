/** A server of one WebSocket route that answers with more than its memory: tells what it holds. Run by socketMemory.test.ts. */
import { NodeHttpServer } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as WebSocket from "effect-rill/delivery/WebSocket"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

const [, , length, size] = process.argv.map(Number)
const delta = "x".repeat(size!)

let told = 0
const answer: WebSocket.Answer<never> = () =>
  Stream.range(1, length!).pipe(
    Stream.rechunk(50),
    Stream.mapArray((array) => {
      told += array.length
      return array
    }),
    Stream.map(() => ({ _tag: "TextDelta" as const, text: delta }))
  )

const node = Http.createServer()
const runtime = ManagedRuntime.make(
  HttpRouter.serve(HttpRouter.add("GET", "/chat", WebSocket.handler({ answer, slowClientTimeout: "1 minute" })), {
    disableListenLog: true,
    disableLogger: true
  }).pipe(Layer.provide(NodeHttpServer.layer(() => node, { port: 0, host: "127.0.0.1", gracefulShutdownTimeout: 0 })))
)
await runtime.runPromise(Effect.void)
process.on("message", (message) => {
  if (message === "stop") {
    void runtime.dispose().then(() => process.disconnect())
    return
  }
  globalThis.gc!()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  process.send!({ told, held: heapUsed + arrayBuffers })
})
process.send!((node.address() as AddressInfo).port)
