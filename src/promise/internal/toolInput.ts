/**
 * A tool's input: its JSON Schema for the model, and the check of what the model gives.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { JsonSchema, StandardIssue, StandardSchema } from "../Tool.ts"

export const jsonSchemaOf = (input: StandardSchema | undefined, given: JsonSchema | undefined): JsonSchema => {
  if (input !== undefined && typeof input?.["~standard"]?.validate !== "function") {
    throw new TypeError("a tool's `input` must be a Standard Schema, such as z.object({ … }).")
  }
  const { $schema: _dialect, ...schema } = given ?? (input === undefined ? noInput : converted(input))
  if (schema["type"] === "object") return schema
  throw new TypeError("a tool's input must be an object: models give no other. Wrap it, as in { value: … }.")
}

const noInput: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

/** Libraries need not know both, and throw at one they do not know. */
const targets = ["draft-2020-12", "draft-07"]

const converted = (input: StandardSchema): JsonSchema => {
  const { jsonSchema, vendor } = input["~standard"]
  let cause: unknown
  if (jsonSchema !== undefined) {
    for (const target of targets) {
      try {
        return jsonSchema.input({ target })
      } catch (error) {
        cause = error
      }
    }
  }
  const why = jsonSchema === undefined ? "tells no JSON Schema" : "cannot tell this schema as JSON Schema"
  throw new TypeError(
    `the library of a tool's \`input\` (${vendor}) ${why}: pass \`jsonSchema\`, what the model is shown of it.`,
    { cause }
  )
}

/** As a schema that gives what the library makes of an input. */
export const checked = (input: StandardSchema): Schema.Codec<unknown> =>
  Schema.Unknown.pipe(
    Schema.decodeTo(
      Schema.Unknown,
      SchemaTransformation.transformEffect({
        decode: (value: unknown) => validate(input, value),
        encode: (value: unknown) => Effect.succeed(value)
      })
    )
  )

const validate = (input: StandardSchema, value: unknown): Effect.Effect<unknown, SchemaIssue.Issue> =>
  Effect.suspend(() => {
    const result = input["~standard"].validate(value)
    return Predicate.isPromiseLike(result) ? Effect.promise(() => result) : Effect.succeed(result)
  }).pipe(
    Effect.flatMap((result) =>
      result.issues === undefined
        ? Effect.succeed(result.value)
        : Effect.fail(new SchemaIssue.InvalidValue({ message: result.issues.map(describe).join("; ") }))
    )
  )

const describe = ({ message, path = [] }: StandardIssue): string => {
  const keys = path.map((segment) => String(typeof segment === "object" ? segment.key : segment))
  return keys.length === 0 ? message : `${keys.join(".")}: ${message}`
}
