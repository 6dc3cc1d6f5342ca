import { describe, expect, it } from "@effect/vitest"
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import { Disconnected, type LlmError } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as LlmObject from "effect-rill/LlmObject"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import { arrays, finished, layer, llmError, thought, token, usage } from "./support/scriptedLlm.ts"

const started: LlmEvent = { _tag: "Started", provider: "test", model: "m" }
const ended = (reason: "length" | "content-filter" | "tool-calls"): LlmEvent => ({ _tag: "Finished", reason, usage })
const broken = llmError(new Disconnected({ message: "it broke" }))

const Recipe = Schema.Struct({
  title: Schema.String,
  minutes: Schema.optionalKey(Schema.Finite),
  steps: Schema.Array(Schema.Struct({ text: Schema.String, done: Schema.Boolean }))
}).annotate({ identifier: "kitchen/Recipe", description: "How to cook it" })
const recipe = {
  title: "Tea",
  minutes: 5,
  steps: [
    { text: "Boil.\n😀", done: true },
    { text: "Wait", done: false }
  ]
}

/** An answer of these texts, an array each, that ends well. */
const saying = (...texts: ReadonlyArray<string>) =>
  arrays([[started], ...texts.map((text) => [token(text)]), [finished]])

/** The parts as plain data, since the tree goes on growing, then how it ended. */
const collect = <A, E>(parts: Stream.Stream<LlmObject.Part<A, E>, LlmError>) =>
  Effect.gen(function* () {
    const seen: Array<unknown> = []
    const sizes: Array<number> = []
    const end = yield* Stream.runForEachArray(parts, (parts) =>
      Effect.sync(() => {
        sizes.push(parts.length)
        for (const part of parts)
          seen.push(part._tag === "Partial" ? structuredClone(part.value) : { complete: part.value })
      })
    ).pipe(Effect.match({ onSuccess: () => "end", onFailure: (error) => error.reason._tag }))
    return { seen, sizes, end }
  })

const streamed = <A, E>(schema: Schema.ConstraintCodec<A, E>, events: Stream.Stream<LlmEvent, LlmError>) =>
  collect(Llm.objectStream(schema)("Hi").pipe(Stream.provide(layer(events))))

const whole = <A>(schema: Schema.ConstraintCodec<A, unknown>, events: Stream.Stream<LlmEvent, LlmError>) =>
  Llm.object(schema)("Hi").pipe(Effect.provide(layer(events)))

/** The request that a view makes of an input. */
const requestOf = (schema: Schema.ConstraintCodec<unknown, unknown>, input: Parameters<typeof Llm.run>[0]) =>
  Effect.gen(function* () {
    const seen: Array<LlmRequest> = []
    const recording = Layer.succeed(Llm.Llm, {
      events: (request) => {
        seen.push(request)
        return Stream.make(finished)
      }
    })
    yield* Effect.flip(Llm.object(schema)(input)).pipe(Effect.provide(recording))
    yield* Effect.flip(Stream.runDrain(Llm.objectStream(schema)(input))).pipe(Effect.provide(recording))
    expect(seen).toHaveLength(2)
    expect(seen[1]).toEqual(seen[0])
    return seen[0]!
  })

describe("the request", () => {
  it.effect("asks for the JSON Schema, as plain data, with the schema's name and description", () =>
    Effect.gen(function* () {
      const request = yield* requestOf(Recipe, { prompt: "Hi", temperature: 0 })
      expect(request).toEqual({
        prompt: "Hi",
        temperature: 0,
        responseFormat: {
          type: "json-schema",
          schema: OpenAiStructuredOutput.toCodecOpenAI(Recipe).jsonSchema,
          name: "kitchen_Recipe",
          description: "How to cook it",
          strict: true
        }
      })
      const body = OpenAiChat.encode(request, "m")
      expect(JSON.stringify(body)).toContain(
        '"json_schema":{"name":"kitchen_Recipe","description":"How to cook it","schema":{"type":"object"'
      )
    })
  )

  it.effect("wraps what is no object, and names what has no name", () =>
    Effect.gen(function* () {
      expect((yield* requestOf(Schema.Array(Schema.String), "Hi")).responseFormat).toEqual({
        type: "json-schema",
        schema: {
          type: "object",
          properties: { value: { type: "array", items: { type: "string" } } },
          required: ["value"],
          additionalProperties: false
        },
        name: "response",
        strict: true
      })
    })
  )

  it.effect("has a name of at most 64 letters, digits, _ and -", () =>
    Effect.gen(function* () {
      const named = Recipe.annotate({ identifier: `Ünï ${"x".repeat(80)}` })
      const { responseFormat } = yield* requestOf(named, "Hi")
      expect(responseFormat).toMatchObject({ name: `_n_${"x".repeat(61)}` })
    })
  )

  // OpenAI: every part of a strict schema has a type.
  it.effect("is not strict where the schema leaves a part open", () =>
    Effect.gen(function* () {
      for (const [schema, strict] of [
        [Schema.Struct({ a: Schema.Array(Schema.Unknown) }), false],
        [Schema.Struct({ a: Schema.NullOr(Schema.Struct({ b: Schema.Unknown })) }), false],
        [Schema.Struct({ a: Schema.Record(Schema.String, Schema.Unknown) }), false],
        [Schema.Struct({ a: Schema.Record(Schema.String, Schema.Literals(["b", "c"])) }), true]
      ] as const) {
        expect((yield* requestOf(schema, "Hi")).responseFormat).toMatchObject({ strict })
      }
    })
  )

  it.effect("keeps a response format of its own", () =>
    Effect.gen(function* () {
      const input = { prompt: "In JSON, please", responseFormat: { type: "json" } } as const
      expect(yield* requestOf(Recipe, input)).toEqual(input)
    })
  )

  it.effect("is not made for a schema that JSON cannot express, and the error says what to do", () =>
    Effect.gen(function* () {
      const schema = Schema.Struct({ [Symbol.for("x")]: Schema.String })
      const never = layer(Stream.die("a request was made"))
      const errors = [
        yield* Effect.flip(Llm.object(schema)("Hi").pipe(Effect.provide(never))),
        yield* Effect.flip(Stream.runDrain(Llm.objectStream(schema)("Hi")).pipe(Effect.provide(never))),
        yield* Effect.flip(Stream.runDrain(Llm.objectFrom(schema)(Stream.die("pulled"))))
      ]
      for (const error of errors) {
        expect(error).toMatchObject({ reason: { _tag: "InvalidRequest" }, phase: "request", emitted: 0 })
        expect(error.message).toContain("property names must be strings. Use types that JSON has")
      }
    })
  )
})

class Person extends Schema.Class<Person>("app/Person")({
  name: Schema.NonEmptyString,
  age: Schema.FiniteFromString
}) {}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

describe("the value", () => {
  const cases: ReadonlyArray<readonly [string, Schema.Codec<unknown, unknown>, unknown]> = [
    ["fields, some optional", Recipe, { title: "Tea", steps: [] }],
    ["transformations", Schema.Struct({ n: Schema.FiniteFromString, d: Schema.Date }), { n: 5, d: new Date(0) }],
    ["a class", Person, new Person({ name: "A", age: 5 })],
    ["a recursion", Tree, { name: "a", children: [{ name: "b", children: [] }] }],
    ["a record in it", Schema.Struct({ r: Schema.Record(Schema.String, Schema.Finite) }), { r: { a: 1, b: 2 } }],
    ["a tuple in it", Schema.Struct({ t: Schema.Tuple([Schema.String, Schema.Finite]) }), { t: ["a", 1] }],
    ["a record", Schema.Record(Schema.String, Schema.Finite), { a: 1, value: 2 }],
    ["a tuple", Schema.Tuple([Schema.String, Schema.Finite]), ["a", 1]],
    ["an array", Schema.Array(Schema.Finite), [1, 2]],
    ["a string", Schema.String, "a"],
    ["a number", Schema.Finite, -0.5],
    ["null", Schema.Null, null],
    ["a union", Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Array(Schema.Finite)]), [1]],
    ["a class in an array", Schema.Array(Person), [new Person({ name: "A", age: 5 })]],
    ["an option", Schema.Struct({ value: Schema.NullOr(Schema.String) }), { value: null }]
  ]

  const encode = (codec: Schema.Constraint, value: unknown): unknown =>
    Schema.encodeUnknownSync(codec as Schema.Codec<unknown, unknown>)(value)
  const strict = (schema: Schema.Codec<unknown, unknown>, value: unknown): unknown => {
    try {
      return encode(OpenAiStructuredOutput.toCodecOpenAI(schema).codec, value)
    } catch {
      return encode(OpenAiStructuredOutput.toCodecOpenAI(Schema.Struct({ value: schema })).codec, { value })
    }
  }

  it.effect.each(cases)("%s: as a strict provider writes it, as the schema has it, cut anywhere", ([, schema, value]) =>
    Effect.gen(function* () {
      for (const json of [strict(schema, value), encode(Schema.toCodecJson(schema), value)]) {
        const text = JSON.stringify(json)
        expect(yield* whole(schema, saying(text))).toStrictEqual(value)
        for (let at = 0; at <= text.length; at++) {
          const { end, seen } = yield* streamed(schema, saying(text.slice(0, at), text.slice(at)))
          expect([end, seen.at(-1)]).toStrictEqual(["end", { complete: value }])
        }
      }
    })
  )

  it.effect("of what is wrapped may be written without the wrapping, or with it by the schema's own form", () =>
    Effect.gen(function* () {
      const Scores = Schema.Record(Schema.String, Schema.Finite)
      expect(yield* whole(Scores, saying('{"a":1}'))).toEqual({ a: 1 })
      expect(yield* whole(Scores, saying('{"value":{"a":1}}'))).toEqual({ a: 1 })
      expect(yield* whole(Scores, saying('{"value":[{"0":"a","1":1}]}'))).toEqual({ a: 1 })
    })
  )

  it.effect("survives what models get wrong", () =>
    Effect.gen(function* () {
      const text = '```json\n{"title": "C:\\Users\\alpha", "steps": [{"text": "a\nb", "done": True,},],\n```\nEnjoy!'
      const value = { title: "C:\\Users\\alpha", steps: [{ text: "a\nb", done: true }] }
      expect(yield* whole(Recipe, saying(text))).toEqual(value)
      const { end, seen } = yield* streamed(Recipe, saying(...text))
      expect([end, seen.at(-1), seen.at(-2)]).toEqual(["end", { complete: value }, value])
    })
  )

  it.effect("is what JSON.parse gives, wherever it takes the text", () =>
    Effect.gen(function* () {
      const text = `{"a":${"[".repeat(600)}1${"]".repeat(600)}}`
      const schema = Schema.Struct({ a: Schema.Unknown })
      expect(JSON.stringify(yield* whole(schema, saying(text)))).toBe(text)
    })
  )

  it.effect("may need services to be decoded", () =>
    Effect.gen(function* () {
      class Prices extends Context.Service<Prices, { readonly of: (name: string) => number }>()("test/Prices") {}
      const Priced = Schema.Struct({
        price: Schema.String.pipe(
          Schema.decodeTo(
            Schema.Finite,
            SchemaTransformation.transformEffect({
              decode: (name: string) => Prices.useSync((prices) => prices.of(name)),
              encode: (price: number) => Effect.succeed(String(price))
            })
          )
        )
      })
      const provided = Layer.merge(
        layer(saying('{"price":"tea"}')),
        Layer.succeed(Prices, { of: (name) => name.length })
      )
      expect(yield* Llm.object(Priced)("Hi").pipe(Effect.provide(provided))).toEqual({ price: 3 })
      const last = yield* Stream.runLast(Llm.objectStream(Priced)("Hi")).pipe(Effect.provide(provided))
      expect(last).toMatchObject({ value: { _tag: "Complete", value: { price: 3 } } })
    })
  )
})

describe("partial values", () => {
  it.effect("grow, at most one for an array of events, and the complete one comes once and last", () =>
    Effect.gen(function* () {
      const events = arrays([
        [started, thought("hm"), token('{"title":"T'), token("e"), token('a","minutes"')],
        [token(":")],
        [thought("so"), token(" ")],
        [token("5"), token(',"steps":[')],
        [token("{"), token('"text":"'), token("Wait"), token('","done":true}]}'), token(" "), finished]
      ])
      const { end, seen, sizes } = yield* streamed(Recipe, events)
      expect(seen).toEqual([
        { title: "Tea" },
        { title: "Tea", minutes: 5, steps: [] },
        { title: "Tea", minutes: 5, steps: [{ text: "Wait", done: true }] },
        { complete: { title: "Tea", minutes: 5, steps: [{ text: "Wait", done: true }] } }
      ])
      expect([end, sizes]).toEqual(["end", [1, 1, 1, 1]])
    })
  )

  it.effect("are one live tree", () =>
    Effect.gen(function* () {
      const trees = new Set<unknown>()
      yield* Llm.objectStream(Recipe)("Hi").pipe(
        Stream.runForEach((part) => Effect.sync(() => part._tag === "Partial" && trees.add(part.value))),
        Effect.provide(layer(saying(...JSON.stringify(recipe))))
      )
      expect([...trees]).toEqual([recipe])
    })
  )

  it.effect("are shown without their wrapping, and as they are where there is none", () =>
    Effect.gen(function* () {
      const schema = Schema.Array(Schema.String)
      const wrapped = yield* streamed(schema, saying('{"va', 'lue":', "[", '"a', 'b"]', "}"))
      const bare = yield* streamed(schema, saying("[", '"a', 'b"]'))
      const seen = [[], ["a"], ["ab"], { complete: ["ab"] }]
      expect([wrapped.seen, bare.seen]).toEqual([seen, seen])
      const record = yield* streamed(Schema.Record(Schema.String, Schema.String), saying('{"a":"b', 'c","value":"d"}'))
      expect(record.seen).toEqual([{ a: "b" }, { a: "bc", value: "d" }, { complete: { a: "bc", value: "d" } }])
    })
  )

  // Law 7, of text.
  it.effect("are states of the same value, cut at every character", () =>
    Effect.gen(function* () {
      const text = JSON.stringify(recipe)
      const { seen } = yield* streamed(Recipe, saying(...text.split("")))
      expect(seen.at(-1)).toEqual({ complete: recipe })
      const sizes = seen.slice(0, -1).map((value) => JSON.stringify(value).length)
      expect(sizes).toEqual(sizes.toSorted((a, b) => a - b))
      for (let at = 1; at < text.length; at++) {
        const halves = yield* streamed(Recipe, saying(text.slice(0, at), text.slice(at)))
        expect(halves.seen.at(-1)).toEqual({ complete: recipe })
        expect(seen).toContainEqual(halves.seen[0])
      }
    })
  )
})

describe("failures", () => {
  const text = '{"title":"Tea","steps":['
  const begun = { title: "Tea", steps: [] }
  const refused: LlmEvent = { _tag: "Refusal", text: "no" }
  const fail = Effect.fail(broken)
  const cases: ReadonlyArray<readonly [string, Stream.Stream<LlmEvent, LlmError>, string, object]> = [
    ["of the events", arrays([[started, token(text)]], fail), "Disconnected", {}],
    [
      "of the events in the array of the text",
      Stream.concat(Stream.make(started, token(text)), Stream.fail(broken)),
      "Disconnected",
      {}
    ],
    ["by the end of the events before Finished", arrays([[started, token(text)], [token("]}")]]), "Truncated", {}],
    ["by the token limit", arrays([[started, token(text), ended("length")]]), "Truncated", { usage }],
    [
      "by the token limit, of a value that is whole",
      arrays([[started, token(text), token("]}"), ended("length")]]),
      "Truncated",
      { usage }
    ],
    ["by a content filter", arrays([[started, token(text)], [ended("content-filter")]]), "ContentFiltered", { usage }],
    ["by a refusal", arrays([[started, token(text), refused, finished]]), "ContentFiltered", { usage }],
    [
      "by a new beginning",
      arrays([[started, token(text), { _tag: "Restarted", error: broken }, token("x"), finished]]),
      "Disconnected",
      {}
    ],
    ["of the decode", arrays([[started, token(text)], [token('{"text":1}')], [finished]]), "InvalidOutput", { usage }],
    ["after Finished", arrays([[started, token(text), token("]}"), finished]], fail), "Disconnected", {}]
  ]

  it.effect.each(cases)("%s surfaces in both views, after what came", ([, events, tag, fields]) =>
    Effect.gen(function* () {
      const { end, seen } = yield* streamed(Recipe, events)
      expect(end).toBe(tag)
      expect(seen[0]).toEqual(begun)
      expect(JSON.stringify(seen)).not.toContain("complete")
      const error = yield* Effect.flip(whole(Recipe, events))
      expect(error.reason._tag).toBe(tag)
      if (tag !== "Disconnected") {
        expect(error).toMatchObject({ provider: "test", model: "m", phase: "mid-output", ...fields })
        expect(error.emitted).toBeGreaterThanOrEqual(text.length)
      }
    })
  )

  it.effect("what is begun anew before any text came is as if it had not been", () =>
    Effect.gen(function* () {
      const events = arrays([
        [started, thought("hm"), refused, { _tag: "Restarted", error: broken }],
        [token(`${text}]}`), finished]
      ])
      expect(yield* whole(Recipe, events)).toEqual(begun)
      expect((yield* streamed(Recipe, events)).seen).toEqual([begun, { complete: begun }])
    })
  )

  it.effect.each([
    ["no text", arrays([[started, finished]]), "before-output", 0, "there is no JSON in the answer"],
    ["tool calls only", arrays([[started, ended("tool-calls")]]), "before-output", 0, "the model called tools"],
    ["words", saying("I do not know."), "mid-output", 14, "there is no JSON in the answer"],
    [
      "words and tool calls",
      arrays([[token("Hm"), ended("tool-calls")]]),
      "mid-output",
      2,
      "there is no JSON in the answer"
    ]
  ] as const)("%s is no value", ([, events, phase, emitted, message]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(whole(Recipe, events))
      expect(error).toMatchObject({ reason: { _tag: "InvalidOutput", path: [] }, phase, emitted, usage })
      expect(error.message).toContain(message)
      expect(error.isRetryable).toBe(false)
      expect((yield* streamed(Recipe, events)).end).toBe("InvalidOutput")
    })
  )

  const secret = "s3cret"
  const Secret = Schema.Struct({
    title: Schema.String.check(Schema.isMaxLength(3)),
    count: Schema.optionalKey(Schema.Finite),
    scores: Schema.Record(Schema.String, Schema.Finite),
    odd: Schema.String.check(Schema.makeFilter((value) => (value === "odd" ? undefined : `not ${value}`))),
    even: Schema.optionalKey(Schema.String.check(Schema.makeFilter((value) => value === "", { expected: "nothing" }))),
    when: Schema.optionalKey(Schema.Date),
    any: Schema.optionalKey(Schema.Union([Schema.Finite, Schema.Boolean])),
    one: Schema.optionalKey(Schema.Union([Schema.Struct({ _tag: Schema.tag("a"), x: Schema.Finite }), Schema.Null])),
    list: Schema.optionalKey(Schema.Array(Schema.Struct({ x: Schema.Finite })))
  }).annotate({ parseOptions: { reportInput: true } })
  const good = { title: "abc", scores: {}, odd: "odd" }
  it.effect.each([
    [{ ...good, title: secret }, ["title"], "at .title, expected a value with a length of at most 3. Ask again"],
    [{ ...good, title: 1 }, ["title"], "at .title, expected string. "],
    [{ ...good, count: secret }, ["count"], "at .count, expected number"],
    [{ ...good, scores: { [secret]: "x" } }, ["scores", secret], "at .scores.*, expected number. "],
    [{ ...good, odd: secret }, ["odd"], "at .odd, expected a valid value. "],
    [{ ...good, even: secret }, ["even"], "at .even, expected nothing. "],
    [{ ...good, when: secret }, ["when"], "at .when, expected a valid Date. "],
    [{ ...good, any: secret }, ["any"], "at .any, expected number | boolean. "],
    [{ ...good, one: { _tag: "a", x: secret } }, ["one", "x"], "at .one.x, expected number. "],
    [{ ...good, list: [{ x: 1 }, { x: secret }] }, ["list", 1, "x"], "at .list[1].x, expected number. "],
    [
      { ...good, list: [{ x: secret }, { x: secret }] },
      ["list", 0, "x"],
      "at .list[0].x, expected number (and 1 more). "
    ],
    [{ title: "abc", scores: {} }, ["odd"], "at .odd, expected a value, and there is none. "],
    [[secret], [], "as a whole, expected "]
  ] as ReadonlyArray<readonly [object, ReadonlyArray<string | number>, string]>)(
    "of %j has its path, and what was expected, but nothing of the answer in its message",
    ([answer, path, message]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(whole(Secret, saying(JSON.stringify(answer))))
        expect(error.reason).toMatchObject({ _tag: "InvalidOutput", path })
        expect(error.message).toContain(message)
        expect(error.message).not.toContain(secret)
      })
  )

  it.effect("of a strict provider is told in its form", () =>
    Effect.gen(function* () {
      const Pair = Schema.Struct({
        a: Schema.optionalKey(Schema.String),
        t: Schema.Tuple([Schema.String, Schema.Finite])
      })
      const error = yield* Effect.flip(whole(Pair, saying('{"a":null,"t":{"0":"a","1":"b"}}')))
      expect(error.message).toContain("at .t.1, expected number. ")
      const wrapped = yield* Effect.flip(
        whole(Schema.Array(Pair), saying('{"value":[{"a":null,"t":{"0":"a","1":"b"}}]}'))
      )
      expect(wrapped.reason).toMatchObject({ path: [0, "t", "1"] })
    })
  )

  it.effect("a value too deep for a recursive schema is a failure and no defect", () =>
    Effect.gen(function* () {
      const deep = `${'{"name":"a","children":['.repeat(100_000)}${"]}".repeat(100_000)}`
      const error = yield* Effect.flip(whole(Tree, saying(deep)))
      expect(error.reason).toMatchObject({ _tag: "InvalidOutput", path: [] })
      expect(error.message).toContain("nested too deep")
    })
  )
})

describe("stopping", () => {
  it.effect("take and interruption release the events, once, and pull no more of them", () =>
    Effect.gen(function* () {
      const released = yield* Ref.make(0)
      const pulled = yield* Ref.make(0)
      const events = arrays([[started], [token('{"title":"a')], [token("b")], [token("c")]]).pipe(
        Stream.tap(() => Ref.update(pulled, (n) => n + 1)),
        Stream.ensuring(Ref.update(released, (n) => n + 1))
      )
      yield* streamed(Recipe, events)
      expect(yield* Ref.get(released)).toBe(1)
      yield* Ref.set(pulled, 0)
      yield* Llm.objectStream(Recipe)("Hi").pipe(Stream.take(1), Stream.runDrain, Effect.provide(layer(events)))
      expect([yield* Ref.get(released), yield* Ref.get(pulled)]).toEqual([2, 2])
    })
  )

  it.effect("it may be run again", () =>
    Effect.gen(function* () {
      const stream = Llm.objectStream(Recipe)("Hi").pipe(Stream.provide(layer(saying(JSON.stringify(recipe)))))
      const once = yield* collect(stream)
      expect(yield* collect(stream)).toEqual(once)
      const effect = whole(Recipe, saying(JSON.stringify(recipe)))
      expect(yield* effect).toEqual(yield* effect)
    })
  )
})

describe("objectFrom", () => {
  it.effect("reads events that come from elsewhere", () =>
    Effect.gen(function* () {
      const { end, seen } = yield* collect(saying('{"title":"a","steps":[]}').pipe(Llm.objectFrom(Recipe)))
      expect([end, seen]).toEqual(["end", [{ title: "a", steps: [] }, { complete: { title: "a", steps: [] } }]])
    })
  )
})
