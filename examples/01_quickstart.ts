// A prompt in, a stream out: the answer is printed as it comes.
// OPENAI_API_KEY, and OPENAI_BASE_URL if it is set, are read from the environment.
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Llm, OpenAi } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const program = Llm.stream("Tell me a story").pipe(
  Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text)))
)

program.pipe(Effect.provide(model), NodeRuntime.runMain)
