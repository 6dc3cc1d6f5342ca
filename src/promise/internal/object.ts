/**
 * Schemas of other libraries as schemas of `effect`, so that one way leads to a value whatever the schema is of.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as EffectJsonSchema from "effect/JsonSchema"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as LlmRequest from "../../LlmRequest.ts"
import type { EffectSchema, ObjectSchema } from "../ObjectSchema.ts"
import type { JsonSchema, StandardSchema } from "../Tool.ts"
import * as standard from "./standard.ts"

/** A schema to ask for, and to decode by. */
export interface Asking {
  readonly schema: Schema.Codec<unknown, unknown>
  /** The request, told what the schema cannot tell of itself. */
  readonly request: (input: LlmRequest.Input) => LlmRequest.LlmRequest
}

/** What was made of schemas that tell their JSON Schema themselves: they are asked for again and again. */
const known = new WeakMap<ObjectSchema, Asking>()

/** Throws a `TypeError` for what is no schema, or one that no model can be shown. */
export const asking = (schema: ObjectSchema, given: JsonSchema | undefined): Asking => {
  if (given !== undefined) return make(schema, given)
  const made = isObject(schema) ? known.get(schema) : undefined
  if (made !== undefined) return made
  const asking = make(schema, given)
  known.set(schema, asking)
  return asking
}

const isObject = (u: unknown): boolean => (typeof u === "object" && u !== null) || typeof u === "function"

const make = (schema: ObjectSchema, given: JsonSchema | undefined): Asking => {
  if (isEffectSchema(schema)) {
    return given === undefined
      ? { schema, request: LlmRequest.make }
      : { schema, request: (input) => told(input, given) }
  }
  if (!standard.isStandardSchema(schema)) {
    throw new TypeError("the schema must be a Standard Schema, such as z.object({ … }), or one of effect/Schema.")
  }
  const json = given ?? standard.jsonSchemaOf(schema, "the schema")
  const imported = read(json)
  return imported === undefined
    ? // It is sent as it is, and not enforced, for providers enforce a dialect of their own.
      { schema: checked(Schema.Unknown, schema), request: (input) => told(input, json) }
    : { schema: checked(imported, schema), request: LlmRequest.make }
}

const isEffectSchema = (schema: ObjectSchema): schema is EffectSchema & Schema.Codec<unknown, unknown> =>
  Schema.isSchema(schema)

const told = (input: LlmRequest.Input, schema: JsonSchema): LlmRequest.LlmRequest => {
  const request = LlmRequest.make(input)
  return { ...request, responseFormat: request.responseFormat ?? { type: "json-schema", schema, strict: false } }
}

/** What `effect` makes of a JSON Schema, which it can put in the dialect that providers enforce. */
const read = ({ $schema: dialect, ...json }: JsonSchema): Schema.Codec<unknown, unknown> | undefined => {
  const isOld = typeof dialect === "string" ? dialect.includes("draft-07") : "definitions" in json
  const whole = withNamedRoot(json, isOld ? "definitions" : "$defs")
  // The model is told of patterns. One that is no regular expression of this language is left to the library.
  for (const patterns of ["apply", "ignore"] as const) {
    try {
      const document = isOld
        ? EffectJsonSchema.fromSchemaDraft07(whole)
        : EffectJsonSchema.fromSchemaDraft2020_12(whole)
      const schema = SchemaRepresentation.fromJsonSchemaDocument(document, { patterns, onEnter: closed })
      return Schema.make<Schema.Codec<unknown, unknown>>(schema.ast)
    } catch {
      continue
    }
  }
  return undefined
}

/**
 * A model is asked for the fields that have names, and no others: else an object would be a record, which is
 * asked for as an array of pairs.
 */
const closed = (schema: EffectJsonSchema.JsonSchema): EffectJsonSchema.JsonSchema =>
  Predicate.isObject(schema["properties"]) && Object.keys(schema["properties"]).length > 0
    ? { ...schema, additionalProperties: false }
    : schema

/** A schema that refers to itself as `#` cannot be read; one that does so by a name can. */
const withNamedRoot = (
  schema: EffectJsonSchema.JsonSchema,
  place: "$defs" | "definitions"
): EffectJsonSchema.JsonSchema => {
  const $ref = `#/${place}/Root`
  let isRecursive = false
  const named = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(named)
    if (!Predicate.isObject(part)) return part
    const entries = Object.entries(part).map(([key, value]) => {
      if (key !== "$ref" || value !== "#") return [key, named(value)]
      isRecursive = true
      return [key, $ref]
    })
    return Object.fromEntries(entries)
  }
  const { [place]: others, ...Root } = Object(named(schema)) as EffectJsonSchema.JsonSchema
  return isRecursive ? { $ref, [place]: { ...Object(others), Root } } : schema
}

/** The library's own check, and what it makes of the value. Its messages may quote the answer: none is kept. */
const checked = (form: Schema.Codec<unknown, unknown>, schema: StandardSchema): Schema.Codec<unknown, unknown> =>
  form.pipe(
    Schema.decodeTo(
      Schema.Unknown,
      SchemaTransformation.transformEffect({
        decode: (value: unknown) =>
          Effect.flatMap(standard.validate(schema, value), (result) => {
            const [first, ...others] = (result.issues ?? []).map(misfit)
            if (result.issues === undefined) return Effect.succeed(result.value)
            return Effect.fail(
              first === undefined
                ? new SchemaIssue.InvalidValue()
                : new SchemaIssue.Composite(Schema.Unknown.ast, [first, ...others])
            )
          }),
        encode: (value: unknown) => Effect.succeed(value)
      })
    )
  )

const misfit = (issue: Parameters<typeof standard.pathOf>[0]): SchemaIssue.Issue =>
  new SchemaIssue.Pointer(standard.pathOf(issue), new SchemaIssue.InvalidValue())
