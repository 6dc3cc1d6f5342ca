// Answers over a WebSocket: a server of one route, and a client of it as browsers have it.
// A connection carries any number of prompts, told apart by their ids; `stop` ends one.
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { OpenAi, WebSocket } from "effect-rill"
import { createServer } from "node:http"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const server = HttpRouter.serve(
  HttpRouter.add("GET", "/chat", WebSocket.handler()).pipe(HttpRouter.provideRequest(model)),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))

const client = (url: string) =>
  new Promise((resolve, reject) => {
    const socket = new globalThis.WebSocket(url)
    const send = (frame: object) => socket.send(JSON.stringify(frame))
    let heard = 0
    socket.addEventListener("open", () => send({ type: "prompt", id: "1", prompt: "Tell me a story" }))
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(String(data))
      if (frame.type === "token") {
        process.stdout.write(frame.text)
        // Of the second answer, five tokens are enough.
        if (frame.id === "2" && ++heard === 5) send({ type: "stop", id: "2" })
      } else if (frame.type === "done") {
        console.log(`\nDone: ${frame.reason}, ${frame.usage.outputTokens} tokens (${frame.usage.source})`)
        if (frame.id === "1") send({ type: "prompt", id: "2", prompt: "And a longer one" })
        else socket.close()
      } else if (frame.type === "error") {
        console.log(`No answer: ${frame.error.reason}`)
        socket.close()
      }
    })
    socket.addEventListener("close", resolve)
    socket.addEventListener("error", reject)
  })

const program = Effect.gen(function* () {
  const { address } = yield* HttpServer.HttpServer
  yield* Effect.promise(() => client(HttpServer.formatAddress(address).replace("http", "ws") + "/chat"))
})

program.pipe(Effect.provide(server), NodeRuntime.runMain)
