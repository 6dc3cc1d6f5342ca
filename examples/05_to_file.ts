// An answer is a Stream, so a file is a Sink: the text is written as it comes.
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, FileSystem, Layer, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Llm, OpenAi } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  yield* Llm.stream("Tell me a story").pipe(Stream.encodeText, Stream.run(fs.sink("story.txt")))
})

program.pipe(Effect.provide([model, NodeServices.layer]), NodeRuntime.runMain)
