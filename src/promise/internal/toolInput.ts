/**
 * A tool's input: its JSON Schema for the model, and the check of what the model gives.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { JsonSchema, StandardIssue, StandardSchema } from "../Tool.ts"
import * as standard from "./standard.ts"

export const jsonSchemaOf = (input: StandardSchema | undefined, given: JsonSchema | undefined): JsonSchema => {
  if (input !== undefined && !standard.isStandardSchema(input)) {
    throw new TypeError("a tool's `input` must be a Standard Schema, such as z.object({ … }).")
  }
  const { $schema: _dialect, ...schema } =
    given ?? (input === undefined ? noInput : standard.jsonSchemaOf(input, "a tool's `input`"))
  if (schema["type"] === "object") return schema
  throw new TypeError("a tool's input must be an object: models give no other. Wrap it, as in { value: … }.")
}

const noInput: JsonSchema = { type: "object", properties: {}, additionalProperties: false }

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
  Effect.flatMap(standard.validate(input, value), (result) =>
    result.issues === undefined
      ? Effect.succeed(result.value)
      : Effect.fail(new SchemaIssue.InvalidValue({ message: result.issues.map(describe).join("; ") }))
  )

const describe = (issue: StandardIssue): string => {
  const keys = standard.pathOf(issue).map(String)
  return keys.length === 0 ? issue.message : `${keys.join(".")}: ${issue.message}`
}
