// An agent: a model and its tools in a loop, as a stream of tagged events.
// With `strategy: "react"` the same runs on a model that can only write text.
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { Agent, AgentEvent, OpenAi } from "effect-rill"

const toolkit = Toolkit.make(
  Tool.make("search", {
    description: "Searches an encyclopedia",
    parameters: Schema.Struct({ topic: Schema.String }),
    success: Schema.String
  })
)

const tools = toolkit.toLayer({
  search: ({ topic }) => Effect.succeed(`${topic}: 3 pages found`)
})

const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Layer.provide(FetchHttpClient.layer))

const agent = Agent.make({ toolkit })

const program = agent.stream("Research Python").pipe(
  Stream.runForEach(
    AgentEvent.match({
      Thought: ({ content }) => Console.log(`\nThought: ${content}`),
      Action: ({ input, toolName }) => Console.log(`Action: ${toolName} ${JSON.stringify(input)}`),
      Observation: ({ content }) => Console.log(`Observation: ${content}`),
      Token: ({ content }) => Effect.sync(() => process.stdout.write(content)),
      Final: ({ steps, usage }) =>
        Console.log(
          `\nFinal: ${steps} steps, ${(usage.inputTokens ?? 0) + (usage.outputTokens ?? 0)} tokens (${usage.source})`
        )
    })
  ),
  Effect.catchTag("AgentError", (error) => Console.error(`No answer: ${error.reason._tag}`))
)

program.pipe(Effect.provide([model, tools]), NodeRuntime.runMain)
