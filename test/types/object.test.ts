/** What the compiler knows of `Llm.object`: every statement here is checked by `tsc`. */
import * as Effect from "effect/Effect"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import type { LlmError } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type * as LlmObject from "effect-rill/LlmObject"
import { expect, it } from "vitest"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Statement extends true>(): void => {}

class Person extends Schema.Class<Person>("Person")({ name: Schema.String, age: Schema.NumberFromString }) {}

class Prices extends Context.Service<Prices, { readonly of: (name: string) => number }>()("test/types/Prices") {}

const Everything = Schema.Struct({
  name: Schema.String,
  count: Schema.Finite,
  color: Schema.Literals(["green", "grey"]),
  level: Schema.Literals([1, 2]),
  note: Schema.optionalKey(Schema.String),
  other: Schema.optional(Schema.Boolean),
  nothing: Schema.NullOr(Schema.Finite),
  amount: Schema.NumberFromString,
  day: Schema.Date,
  person: Person,
  people: Schema.Array(Person),
  either: Schema.Union([Schema.Struct({ _tag: Schema.tag("a"), x: Schema.Finite }), Schema.String]),
  scores: Schema.Record(Schema.String, Schema.Finite),
  pair: Schema.Tuple([Schema.String, Schema.Finite]),
  some: Schema.NonEmptyArray(Schema.String),
  anything: Schema.Unknown
})

interface PartialPerson {
  readonly name?: string | null
  readonly age?: string | null
}

type Shown<S extends Schema.Constraint> = LlmObject.DeepPartial<S["Encoded"]>
type Simplify<A> = { [K in keyof A]: A[K] }

it("the value is the schema's type", () => {
  const object = () => Llm.object(Everything)("Hi")
  holds<Equal<ReturnType<typeof object>, Effect.Effect<typeof Everything.Type, LlmError, Llm.Llm>>>()
  const person = () => Llm.object(Person)({ prompt: "Hi", temperature: 0 })
  holds<Equal<ReturnType<typeof person>, Effect.Effect<Person, LlmError, Llm.Llm>>>()
  const names = () => Llm.object(Schema.Array(Schema.String))("Hi")
  holds<Equal<ReturnType<typeof names>, Effect.Effect<ReadonlyArray<string>, LlmError, Llm.Llm>>>()
  expect(object).toBeTypeOf("function")
})

it("a partial value is the encoded side, with nothing sure", () => {
  type Actual = Shown<typeof Everything>
  holds<Equal<Actual["name"], string | null | undefined>>()
  holds<Equal<Actual["count"], number | null | undefined>>()
  // "gre" comes before "green"; a number is shown once it is whole.
  holds<Equal<Actual["color"], string | null | undefined>>()
  holds<Equal<Actual["level"], 1 | 2 | null | undefined>>()
  holds<Equal<Actual["note"], string | null | undefined>>()
  holds<Equal<Actual["other"], boolean | null | undefined>>()
  holds<Equal<Actual["nothing"], number | null | undefined>>()
  holds<Equal<Actual["amount"], string | null | undefined>>()
  holds<Equal<Simplify<NonNullable<Actual["person"]>>, Simplify<PartialPerson>>>()
  holds<Equal<NonNullable<NonNullable<Actual["people"]>[number]["age"]>, string>>()
  holds<Equal<Extract<Actual["either"], object>["x"], number | null | undefined>>()
  holds<Equal<Extract<Actual["either"], string>, string>>()
  // JSON, or the strict dialect, has another form of these.
  holds<Equal<Actual["day"], unknown>>()
  holds<Equal<Actual["scores"], unknown>>()
  holds<Equal<Actual["pair"], unknown>>()
  holds<Equal<Actual["some"], unknown>>()
  holds<Equal<Actual["anything"], unknown>>()
  holds<Equal<Shown<typeof Schema.Unknown>, unknown>>()
  holds<Equal<LlmObject.DeepPartial<ReadonlyArray<"a" | "b">>, ReadonlyArray<string>>>()

  const change = (partial: Actual) => {
    // @ts-expect-error: it is read-only
    partial.name = "x"
  }
  // @ts-expect-error: it may not have come yet
  const read = (partial: Actual) => partial.name.length
  expect([change, read]).toHaveLength(2)
})

it("the parts are told apart by their tags", () => {
  const stream = () => Llm.objectStream(Person)("Hi")
  type Parts = Stream.Stream<LlmObject.Part<Person, typeof Person.Encoded>, LlmError, Llm.Llm>
  holds<Equal<ReturnType<typeof stream>, Parts>>()
  const show = (part: LlmObject.Part<Person, typeof Person.Encoded>): string =>
    part._tag === "Complete" ? part.value.age.toFixed(2) : (part.value.age ?? "")
  expect(show({ _tag: "Complete", value: new Person({ name: "a", age: 1 }) })).toBe("1.00")
})

it("the services that decoding needs are required", () => {
  const Priced = Schema.String.pipe(
    Schema.decodeTo(
      Schema.Finite,
      SchemaTransformation.transformEffect({
        decode: (name: string) => Prices.useSync((prices) => prices.of(name)),
        encode: (price: number) => Effect.succeed(String(price))
      })
    )
  )
  const object = () => Llm.object(Priced)("Hi")
  holds<Equal<ReturnType<typeof object>, Effect.Effect<number, LlmError, Llm.Llm | Prices>>>()
  const from = (events: Stream.Stream<LlmEvent, LlmError, "events">) => Llm.objectFrom(Priced)(events)
  holds<Equal<ReturnType<typeof from>, Stream.Stream<LlmObject.Part<number, string>, LlmError, "events" | Prices>>>()
  expect([object, from]).toHaveLength(2)
})
