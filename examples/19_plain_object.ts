// A value of a schema without Effect: of Zod here; Valibot, ArkType and effect/Schema do as well.
import * as Rill from "effect-rill/promise/Rill"
import * as z from "zod"

const Recipe = z.object({
  title: z.string(),
  minutes: z.number().int().min(1),
  steps: z.array(z.string())
})

await using rill = Rill.fromOpenAi("gpt-4o-mini")

const { minutes, title } = await rill.object(Recipe, "How do I make tea?")
console.log(`${title} takes ${minutes} minutes`)

// As it grows. Only the last part has been checked.
for await (const part of rill.objectStream(Recipe, "How do I make coffee?")) {
  if (part._tag === "Partial") console.log(`${part.value.title ?? "…"}: ${part.value.steps?.length ?? 0} steps`)
  else console.log(`- ${part.value.steps.join("\n- ")}`)
}
