// An agent without Effect: tools are async functions, their input is of any Standard Schema.
// The one here comes with Effect; with Zod it is `z.object({ topic: z.string() })`.
import * as Schema from "effect/Schema"
import * as Rill from "effect-rill/promise/Rill"

const input = Schema.toStandardJSONSchemaV1(Schema.toStandardSchemaV1(Schema.Struct({ topic: Schema.String })))

const search = Rill.tool({
  description: "Searches an encyclopedia",
  input,
  run: async ({ topic }, { signal }) => {
    // Give `signal` to what takes its time: it is aborted when the loop below is left.
    signal.throwIfAborted()
    return `${topic}: 3 pages found`
  }
})

await using rill = Rill.fromOpenAi("gpt-4o-mini", {
  callbacks: { onToolEnd: ({ name, status }) => console.error(`${name}: ${status}`) }
})

const agent = rill.agent({ tools: { search }, maxSteps: 5 })

for await (const event of agent.stream("Research Python")) {
  if (event._tag === "Action") console.log(`Action: ${event.toolName} ${JSON.stringify(event.input)}`)
  if (event._tag === "Observation") console.log(`Observation: ${event.content}`)
  if (event._tag === "Token") process.stdout.write(event.content)
}

// A session goes on from run to run.
const session = agent.session()
await session.run("What is a rill?")
const { content, steps } = await session.run("And a brook?")
console.log(`\n${content} (${steps} step)`)
