// Callbacks are data: some are ready, your own are functions to Effects, and they combine.
// They are told of every answer of the model they are added to, however it ends.
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Duration, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Callbacks, Llm, OpenAi } from "effect-rill"

const callbacks = Effect.map(Callbacks.console, (console) =>
  Callbacks.combine(
    console,
    Callbacks.latency(({ total }) => Console.error(`took ${Math.round(Duration.toMillis(total))} ms`)),
    { onEnd: ({ usage }) => Console.error(`used ${usage.outputTokens} tokens (${usage.source})`) }
  )
)

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
  Callbacks.layer(callbacks),
  Layer.provide([FetchHttpClient.layer, NodeServices.layer])
)

Llm.run("Tell me a story").pipe(Effect.provide(model), NodeRuntime.runMain)
