/**
 * What Standard Schemas can be asked for.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { JsonSchema, StandardIssue, StandardResult, StandardSchema } from "../Tool.ts"

export const isStandardSchema = (u: unknown): u is StandardSchema =>
  ((typeof u === "object" && u !== null) || typeof u === "function") &&
  "~standard" in u &&
  Predicate.hasProperty(u["~standard"], "validate") &&
  typeof u["~standard"].validate === "function"

/** Libraries need not know both, and throw at one they do not know. */
const targets = ["draft-2020-12", "draft-07"]

/** What a model is shown of a schema; `what` names it to who gave it. Throws where its library cannot tell. */
export const jsonSchemaOf = (schema: StandardSchema, what: string): JsonSchema => {
  const { jsonSchema, vendor } = schema["~standard"]
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
    `the library of ${what} (${vendor}) ${why}: pass \`jsonSchema\`, what the model is shown of it.`,
    {
      cause
    }
  )
}

export const validate = (schema: StandardSchema, value: unknown): Effect.Effect<StandardResult<unknown>> =>
  Effect.suspend(() => {
    const result = schema["~standard"].validate(value)
    return Predicate.isPromiseLike(result) ? Effect.promise(() => result) : Effect.succeed(result)
  })

export const pathOf = ({ path = [] }: StandardIssue): ReadonlyArray<PropertyKey> =>
  path.map((segment) => (typeof segment === "object" ? segment.key : segment))
