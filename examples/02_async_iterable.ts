// An answer as an AsyncIterable, for code that knows `for await` and no Effect.
// Leaving the loop closes the connection.
import { Layer, ManagedRuntime, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Llm, OpenAi } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))
const runtime = ManagedRuntime.make(model)

const answer = await runtime.runPromise(Stream.toAsyncIterableEffect(Llm.stream("Count to a hundred")))

let characters = 0
for await (const text of answer) {
  process.stdout.write(text)
  characters += text.length
  if (characters > 20) break
}

await runtime.dispose()
