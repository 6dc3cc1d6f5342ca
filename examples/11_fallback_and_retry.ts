// A model that is tried again when it fails, and another one when that does not help.
// An answer that breaks off goes on where it stopped, whichever of them answers then.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Callbacks, Fallback, Llm, OpenAi, Retry } from "effect-rill"

const first = OpenAi.layerConfig({ model: "gpt-4.1-mini" }).pipe(Retry.layer({ afterOutput: "continue" }))
const second = OpenAi.layerConfig({ model: "gpt-4.1-nano" }) // or any other provider's

const model = Fallback.layer([first, second], { afterOutput: "continue" }).pipe(
  Callbacks.layer({
    onRetry: ({ error }) => Console.error(`trying again after ${error.reason._tag}`),
    onSwitch: ({ error, from, to }) => Console.error(`${to} in place of ${from} after ${error.reason._tag}`)
  }),
  Layer.provide(FetchHttpClient.layer)
)

Llm.stream("Tell me a story").pipe(
  Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text))),
  Effect.provide(model),
  NodeRuntime.runMain
)
