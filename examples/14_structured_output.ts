// A value of a schema: shown while it grows, decoded and typed at the end.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { Llm, OpenAi } from "effect-rill"

const Recipe = Schema.Struct({
  title: Schema.String,
  minutes: Schema.Finite,
  steps: Schema.Array(Schema.String)
})

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const program = Llm.objectStream(Recipe)("How do I make tea?").pipe(
  Stream.runForEach((part) =>
    part._tag === "Partial"
      ? Console.log(`${part.value.title ?? "…"}: ${part.value.steps?.length ?? 0} steps`)
      : Console.log(`${part.value.title} takes ${part.value.minutes} minutes:\n- ${part.value.steps.join("\n- ")}`)
  ),
  Effect.catchReason("LlmError", "InvalidOutput", (reason) =>
    Console.error(`No recipe, look at ${reason.path.join(".") || "all of it"}: ${reason.message}`)
  )
)

program.pipe(Effect.provide(model), NodeRuntime.runMain)
