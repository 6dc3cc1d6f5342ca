/** Tools whose input is a schema of the libraries that people have: Zod and Valibot. */
import { toStandardJsonSchema } from "@valibot/to-json-schema"
import * as Rill from "effect-rill/promise/Rill"
import * as v from "valibot"
import { expect, it } from "vitest"
import * as z from "zod"
import * as ChatServer from "../support/ChatServer.ts"

const { answer, done, finish, toolCall, usage } = ChatServer

const calling = (input: unknown): ReadonlyArray<ChatServer.Step> => [
  ChatServer.role,
  toolCall(0, JSON.stringify(input), "call_1", "weather"),
  finish("tool_calls"),
  usage(7, 3),
  done
]

const heard: Array<string> = []

const zod = Rill.tool({
  description: "The weather of a city",
  input: z.object({ city: z.string().min(2), days: z.coerce.number().optional() }),
  run: ({ city, days }) => {
    // Both are typed by the schema.
    const text: string = city.toUpperCase()
    const count: number | undefined = days
    heard.push(`${text} ${count}`)
    return "sunny"
  }
})

const valibot = Rill.tool({
  description: "The weather of a city",
  input: toStandardJsonSchema(v.object({ city: v.pipe(v.string(), v.minLength(2)), days: v.optional(v.number()) })),
  run: async ({ city, days }) => {
    const text: string = city.toUpperCase()
    const count: number | undefined = days
    heard.push(`${text} ${count}`)
    return "sunny"
  }
})

it.each([
  ["zod", zod],
  ["valibot", valibot]
])("%s: the model is shown its JSON Schema, its input is checked, and mended", async (_, weather) => {
  heard.length = 0
  await using server = await ChatServer.start([
    calling({ city: "B" }),
    calling({ city: "Bern", days: 3 }),
    answer("Go.")
  ])
  await using rill = Rill.fromOpenAi("gpt-test", { apiKey: "sk-1", baseUrl: server.baseUrl })
  const seen: Array<string> = []
  for await (const event of rill.agent({ tools: { weather } }).stream("Weather?")) {
    if (event._tag === "Observation") seen.push(`${event.isError}: ${event.content}`)
    if (event._tag === "Final") seen.push(event.content)
  }
  expect(seen).toEqual([expect.stringMatching(/^true: .*city/), "false: sunny", "Go."])
  expect(heard).toEqual(["BERN 3"])
  const shown = JSON.stringify(server.requests[0]!.body["tools"])
  expect(shown).toContain('"minLength":2')
  expect(shown).toContain('"required":["city"]')
})
