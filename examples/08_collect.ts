// The whole answer at once, with its usage and why it ended; errors are data, told apart by reason.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Llm, OpenAi } from "effect-rill"

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const program = Effect.gen(function* () {
  const answer = yield* Llm.run({ prompt: "What is a rill?", system: "Answer in one sentence.", maxTokens: 200 })
  yield* Console.log(answer.text)
  yield* Console.log(`${answer.finishReason}, ${answer.usage.outputTokens} tokens`)
}).pipe(
  Effect.catchTag("LlmError", (error) =>
    error.reason._tag === "RateLimited" ? Console.error("Too many requests: try again later") : Effect.fail(error)
  )
)

program.pipe(Effect.provide(model), NodeRuntime.runMain)
