// Write the answer to a file while it is shown. The file is there when the answer is complete, not before.
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { File, Llm, OpenAi } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const program = Llm.stream("Tell me a story").pipe(
  File.tee("story.txt"),
  Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text))),
  Effect.catchTag("FileError", (error) => Console.error(`\nNot saved: ${error.message}`))
)

program.pipe(Effect.provide([model, NodeServices.layer]), NodeRuntime.runMain)
