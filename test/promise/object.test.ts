/** Answers that follow a schema: of Zod, Valibot, Effect and of one's own, over real sockets. */
import { toStandardJsonSchema } from "@valibot/to-json-schema"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Rill from "effect-rill/promise/Rill"
import * as v from "valibot"
import { assert, describe, expect, it } from "vitest"
import * as z from "zod"
import * as ChatServer from "../support/ChatServer.ts"

const { answer, finish, done, pause, refusal, text } = ChatServer

const withServer = async (
  script: ChatServer.Script,
  test: (rill: Rill.Rill, server: ChatServer.ChatServer) => Promise<void>
): Promise<void> => {
  await using server = await ChatServer.start(script)
  await using rill = Rill.fromOpenAi("gpt-test", { apiKey: "sk-1", baseUrl: server.baseUrl, retries: false })
  await test(rill, server)
}

const rillError = async (promise: Promise<unknown>): Promise<Rill.RillError> => {
  try {
    await promise
  } catch (error) {
    assert.instanceOf(error, Rill.RillError)
    return error
  }
  assert.fail("it was not rejected")
}

interface Format {
  readonly type: string
  readonly strict: boolean
  readonly schema: { readonly [key: string]: unknown }
}

/** What was asked for. */
const formatOf = (server: ChatServer.ChatServer, index = 0): Format => {
  const { text } = server.requests[index]!.body as { readonly text: { readonly format: Format } }
  return text.format
}

const zod = z.object({
  title: z.string().describe("What it is called"),
  minutes: z.number().int().min(1),
  steps: z.array(z.string().min(2)),
  note: z.string().optional(),
  level: z.enum(["easy", "hard"]).default("easy")
})

const valibot = toStandardJsonSchema(
  v.object({
    title: v.pipe(v.string(), v.description("What it is called")),
    minutes: v.pipe(v.number(), v.integer(), v.minValue(1)),
    steps: v.array(v.pipe(v.string(), v.minLength(2))),
    note: v.optional(v.string()),
    level: v.optional(v.picklist(["easy", "hard"]), "easy")
  })
)

const effect = Schema.Struct({
  title: Schema.String,
  minutes: Schema.Finite,
  steps: Schema.Array(Schema.String.check(Schema.isMinLength(2))),
  note: Schema.optionalKey(Schema.String),
  level: Schema.Literals(["easy", "hard"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("easy" as const)))
})

const recipe = { title: "Tea", minutes: 5, steps: ["Boil", "Wait"] }
/** As a provider writes that enforces the schema: what is left out is null. */
const strictly = { ...recipe, note: null, level: null }

describe.each([
  ["zod", zod],
  ["valibot", valibot],
  ["effect", effect]
] as const)("%s", (name, schema) => {
  it("is asked for in the strict dialect, and its value is checked and typed", () =>
    withServer([answer(JSON.stringify(strictly))], async (rill, server) => {
      const value = await rill.object(schema, "How do I make tea?")
      const title: string = value.title
      const level: "easy" | "hard" = value.level
      expect([title, level]).toEqual(["Tea", "easy"])
      expect(value).toEqual({ ...recipe, level: "easy" })
      const { schema: asked, strict } = formatOf(server)
      expect(strict).toBe(true)
      expect(asked).toMatchObject({
        type: "object",
        additionalProperties: false,
        required: ["title", "minutes", "steps", "note", "level"]
      })
      if (name !== "effect") expect(JSON.stringify(asked)).toContain("What it is called")
    }))

  it("takes the schema's own JSON from servers that do not enforce it", () =>
    withServer([answer("Here: ```json\n", JSON.stringify({ ...recipe, level: "hard" }), "\n```")], async (rill) => {
      expect(await rill.object(schema, "x")).toEqual({ ...recipe, level: "hard" })
    }))

  it("what does not fit is told by its path, without a word of the model's", () =>
    withServer([answer(JSON.stringify({ ...strictly, steps: ["Boil", "!"] }))], async (rill) => {
      const error = await rillError(rill.object(schema, "x"))
      expect([error.reason, error.path, error.isRetryable]).toEqual(["InvalidOutput", ["steps", 1], false])
      expect(error.message).toContain("does not fit the schema: at .steps[1], expected ")
      expect(error.usage).toMatchObject({ source: "exact" })
      expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain("!")
      expect(error.stack).toContain("object.test.ts")
      expect(Object.keys(error)).not.toContain("path")
    }))

  it("as it grows: parts, then the value, once and last", async () => {
    const seen: Array<() => void> = []
    const read = Array.from({ length: 2 }, () => new Promise<void>((resolve) => seen.push(resolve)))
    const script = [
      text('{"title":"T'),
      pause(read[0]!),
      text('ea","minutes":5,"steps":["Boil '),
      pause(read[1]!),
      ...answer('it"],"note":null,"level":null}')
    ]
    await withServer([script], async (rill) => {
      const told: Array<unknown> = []
      for await (const part of rill.objectStream(schema, "x")) {
        if (part._tag === "Partial") {
          const title: string | null | undefined = part.value.title
          told.push([title, part.value.steps?.length])
          seen.shift()?.()
        } else {
          const minutes: number = part.value.minutes
          told.push(minutes, part.value)
        }
      }
      expect(told.slice(0, 2)).toEqual([
        ["T", undefined],
        ["Tea", 1]
      ])
      expect(told.slice(-2)).toEqual([5, { title: "Tea", minutes: 5, steps: ["Boil it"], level: "easy" }])
    })
  })
})

it("what the library makes of it: transformed, in its own time, its own checks", () =>
  withServer([answer('{"when":"2025-03-01","twice":4}'), answer('{"when":"2025-03-01","twice":3}')], async (rill) => {
    const schema = z.object({
      when: z.iso.date().transform((date) => new Date(date)),
      twice: z.number().refine(async (n) => n % 2 === 0, { error: ({ input }) => `secret ${String(input)}` })
    })
    const value = await rill.object(schema, "x")
    const year: number = value.when.getUTCFullYear()
    expect([year, value.twice]).toEqual([2025, 4])
    const error = await rillError(rill.object(schema, "x"))
    expect([error.reason, error.path]).toEqual(["InvalidOutput", ["twice"]])
    expect(error.message).toContain("at .twice, expected a valid value")
    expect(error.message).not.toContain("secret")
  }))

it("a root that is no object, a record, a tuple, a union and a recursion", async () => {
  interface Tree {
    readonly name: string
    readonly children: ReadonlyArray<Tree>
  }
  const tree: z.ZodType<Tree, Tree> = z.object({
    name: z.string(),
    get children() {
      return z.array(tree)
    }
  })
  const union = z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("circle"), radius: z.number() }),
    z.object({ kind: z.literal("square"), side: z.number() })
  ])
  const cases: ReadonlyArray<readonly [Rill.ObjectSchema, written: unknown, value: unknown]> = [
    [z.array(z.string()), { value: ["a"] }, ["a"]],
    [z.array(z.string()), ["a"], ["a"]],
    [z.string(), { value: "a" }, "a"],
    [z.object({ r: z.record(z.string(), z.number()) }), { r: [{ "0": "a", "1": 1 }] }, { r: { a: 1 } }],
    [z.object({ r: z.record(z.string(), z.number()) }), { r: { a: 1 } }, { r: { a: 1 } }],
    [z.object({ t: z.tuple([z.string(), z.number()]) }), { t: { "0": "a", "1": 1 } }, { t: ["a", 1] }],
    [union, { value: { kind: "square", side: 2 } }, { kind: "square", side: 2 }],
    [
      tree,
      { name: "a", children: [{ name: "b", children: [] }] },
      { name: "a", children: [{ name: "b", children: [] }] }
    ],
    [z.looseObject({ a: z.string() }), { a: "x" }, { a: "x" }]
  ]
  await withServer(
    ({ index }) => answer(JSON.stringify(cases[index]![1])),
    async (rill, server) => {
      for (const [index, [schema, , value]] of cases.entries()) {
        // oxlint-disable-next-line no-await-in-loop
        expect(await rill.object(schema, "x"), String(index)).toEqual(value)
        expect([index, formatOf(server, index).strict]).toEqual([index, true])
      }
    }
  )
})

it("what cannot be put in the dialect is sent as it is, and not enforced", () =>
  withServer(
    [
      answer('{"tags":["a","b"]}'),
      answer('{"tags":["a","a"]}'),
      answer('{"tags":["a","a"]}'),
      answer('{"tags":["a","a"]}'),
      answer("{}")
    ],
    async (rill, server) => {
      const jsonSchema = {
        type: "object",
        properties: { tags: { type: "array", contains: { const: "a" } } },
        required: ["tags"]
      }
      const schema: Rill.StandardSchema<unknown, { readonly tags: ReadonlyArray<string> }> = {
        "~standard": {
          version: 1,
          vendor: "by-hand",
          validate: async (value) => {
            const { tags } = value as { readonly tags?: ReadonlyArray<string> }
            if (tags === undefined) return { issues: [] }
            return tags[1] === "b"
              ? { value: { tags } }
              : { issues: [{ message: "secret", path: [{ key: "tags" }, 1] }] }
          }
        }
      }
      expect((await rill.object(schema, "x", { jsonSchema })).tags).toEqual(["a", "b"])
      expect(formatOf(server)).toMatchObject({ strict: false, schema: jsonSchema })
      const error = await rillError(rill.object(schema, "x", { jsonSchema }))
      expect([error.reason, error.path]).toEqual(["InvalidOutput", ["tags", 1]])
      expect(error.message).not.toContain("secret")
      // A form of answer of the request's own goes before it.
      await rillError(rill.object(schema, { prompt: "x", responseFormat: { type: "json" } }, { jsonSchema }))
      expect(formatOf(server, 2)).toEqual({ type: "json_object" })
      // Even one that names no issue is a failure.
      expect((await rillError(rill.object(schema, "x", { jsonSchema }))).reason).toBe("InvalidOutput")
    }
  ))

it("of a library that knows an older JSON Schema alone; asked for it once", () =>
  withServer([answer('{"name":"a","next":{"name":"b","next":null}}')], async (rill, server) => {
    const targets: Array<string> = []
    const schema: Rill.StandardSchema<unknown, { readonly name: string }> = {
      "~standard": {
        version: 1,
        vendor: "old",
        validate: (value) => ({ value: value as { readonly name: string } }),
        jsonSchema: {
          input: ({ target }) => {
            targets.push(target)
            if (target !== "draft-07") throw new Error("unknown target")
            return {
              $schema: "http://json-schema.org/draft-07/schema#",
              type: "object",
              properties: { name: { $ref: "#/definitions/Name" }, next: { anyOf: [{ $ref: "#" }, { type: "null" }] } },
              required: ["name", "next"],
              definitions: { Name: { type: "string", title: "A name" } }
            }
          }
        }
      }
    }
    const value = { name: "a", next: { name: "b", next: null } }
    expect(await rill.object(schema, "x")).toEqual(value)
    expect(await rill.object(schema, "x")).toEqual(value)
    expect(targets).toEqual(["draft-2020-12", "draft-07"])
    expect(formatOf(server)).toMatchObject({ strict: true, schema: { type: "object", required: ["name", "next"] } })
    // Given by hand, it need not say which it is.
    const { $schema: _, ...jsonSchema } = schema["~standard"].jsonSchema!.input({ target: "draft-07" })
    expect(await rill.object(schema, "x", { jsonSchema })).toEqual(value)
    expect(formatOf(server, 2).strict).toBe(true)
  }))

it("a pattern that is no regular expression here is left to the library", () =>
  withServer([answer('{"a":"x"}')], async (rill, server) => {
    const jsonSchema = {
      type: "object",
      properties: { a: { type: "string", pattern: "(?<" } },
      required: ["a"],
      additionalProperties: false
    }
    expect(await rill.object(z.object({ a: z.string() }), "x", { jsonSchema })).toEqual({ a: "x" })
    expect(formatOf(server).strict).toBe(true)
  }))

it("a request's own form of answer is asked for, and the answer is decoded all the same", () =>
  withServer([answer(JSON.stringify({ ...recipe, level: "hard" }))], async (rill, server) => {
    const value = await rill.object(zod, { prompt: "x", responseFormat: { type: "json" } })
    expect(value.title).toBe("Tea")
    expect(formatOf(server)).toEqual({ type: "json_object" })
  }))

it("how else it fails: cut, refused, aborted, stopped in the middle", async () => {
  await withServer(
    [
      [text('{"title":"Te'), finish("length"), done],
      [refusal("no"), finish(), done]
    ],
    async (rill) => {
      expect((await rillError(rill.object(zod, "x"))).reason).toBe("Truncated")
      expect((await rillError(rill.object(zod, "x"))).refusal).toBe("no")
      await expect(rill.object(zod, "x", { signal: AbortSignal.abort("stop") })).rejects.toBe("stop")
    }
  )
  await withServer([[text('{"title":"Te'), "hold"]], async (rill, server) => {
    for await (const part of rill.objectStream(zod, "x")) {
      expect(part._tag).toBe("Partial")
      break
    }
    expect(await server.requests[0]!.ended).toBe("closed")
    const stream = rill.objectStream(zod, "x")
    stream[Symbol.asyncIterator]()
    expect(() => stream[Symbol.asyncIterator]()).toThrow(TypeError)
  })
})

it("what is no schema, and what no model can be shown, is refused before anything is asked", () =>
  withServer([answer("{}")], async (rill, server) => {
    const silent: Rill.StandardSchema = {
      "~standard": { version: 1, vendor: "silent", validate: (value) => ({ value }) }
    }
    const drain = async (parts: AsyncIterable<unknown>) => {
      for await (const _ of parts);
    }
    for (const call of [rill.object(silent, "x"), drain(rill.objectStream(silent, "x"))]) {
      // oxlint-disable-next-line no-await-in-loop
      await expect(call).rejects.toEqual(
        new TypeError(
          "the library of the schema (silent) tells no JSON Schema: pass `jsonSchema`, what the model is shown of it."
        )
      )
    }
    await expect(rill.object(z.object({ when: z.date() }), "x")).rejects.toThrow(/cannot tell this schema/)
    const none: unknown = { type: "object" }
    await expect(rill.object(none as Rill.ObjectSchema, "x")).rejects.toThrow(/must be a Standard Schema/)
    const nothing: unknown = undefined
    await expect(rill.object(nothing as Rill.ObjectSchema, "x")).rejects.toThrow(/must be a Standard Schema/)
    expect(server.requests).toEqual([])
  }))
