// Answers over HTTP as they come: to a browser's EventSource, to OpenAI's client, to useChat of the AI SDK.
// curl -N "http://127.0.0.1:3000/story?about=rain"
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { ByteSize, Config, Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpIncomingMessage, HttpRouter, HttpServerRequest } from "effect/http"
import { Llm, OpenAi, Sse } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const Chat = Schema.Struct({
  messages: Schema.Array(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), content: Schema.String }))
})

const UiChat = Schema.Struct({
  messages: Schema.Array(
    Schema.Struct({
      role: Schema.Literals(["user", "assistant"]),
      parts: Schema.Array(Schema.Struct({ type: Schema.String, text: Schema.optionalKey(Schema.String) }))
    })
  )
})

const routes = Layer.mergeAll(
  HttpRouter.add(
    "GET",
    "/story",
    Effect.gen(function* () {
      const { about } = yield* HttpServerRequest.schemaSearchParams(Schema.Struct({ about: Schema.String }))
      return yield* Sse.response(Llm.stream(`Tell me a story about ${about}`), { format: Sse.text })
    })
  ),
  HttpRouter.add(
    "POST",
    "/v1/chat/completions",
    Effect.gen(function* () {
      const { messages } = yield* HttpServerRequest.schemaBodyJson(Chat)
      return yield* Sse.response(Llm.events(messages), { format: Sse.openAi })
    })
  ),
  HttpRouter.add(
    "POST",
    "/api/chat",
    Effect.gen(function* () {
      const { messages } = yield* HttpServerRequest.schemaBodyJson(UiChat)
      const prompt = messages.map(({ parts, role }) => ({
        role,
        content: parts.map(({ text, type }) => (type === "text" ? (text ?? "") : "")).join("")
      }))
      return yield* Sse.response(Llm.events(prompt), { format: Sse.uiMessages })
    })
  )
)

const server = NodeHttpServer.layerConfig(createServer, {
  host: Config.succeed("127.0.0.1"),
  port: Config.Int("PORT").pipe(Config.withDefault(3000))
})

HttpRouter.serve(routes.pipe(HttpRouter.provideRequest(model))).pipe(
  Layer.provide([server, Layer.succeed(HttpIncomingMessage.MaxBodySize)(ByteSize.mebibytes(1))]),
  Layer.launch,
  NodeRuntime.runMain
)
