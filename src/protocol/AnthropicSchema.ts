/**
 * JSON Schema as Anthropic enforces it, of answers and of the input of strict tools.
 *
 * Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations.
 *
 * @since 0.1.0
 */
import { isRecord, type Json } from "./Json.ts"

/**
 * A schema without what Anthropic refuses, in an unchanged shape: what it takes is what the given one
 * takes, or more. Objects are closed; the bounds of numbers, strings and lists become part of the
 * description, for the model to read.
 *
 * @category transforming
 * @since 0.1.0
 */
export const enforced = (schema: unknown): unknown => {
  if (!isRecord(schema)) return schema
  const out: Record<string, unknown> = {}
  const said: Array<string> = []
  for (const [key, value] of Object.entries(schema)) {
    if (value === undefined) continue
    if (maps.has(key) && isRecord(value)) out[key] = mapValues(value)
    else if (lists.has(key) && Array.isArray(value)) out[key === "oneOf" ? "anyOf" : key] = value.map(enforced)
    else if (key === "items" && isRecord(value)) out[key] = enforced(value)
    else if (isKept(key, value)) out[key] = value
    else if (!ignored.has(key)) said.push(`${key}: ${JSON.stringify(value)}`)
  }
  if (out["type"] === "object" || out["properties"] !== undefined) out["additionalProperties"] = false
  if (said.length > 0) {
    const { description } = out
    out["description"] = [...(typeof description === "string" ? [description] : []), `{${said.join(", ")}}`].join(
      "\n\n"
    )
  }
  return out
}

const mapValues = (schemas: Json): Json =>
  Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, enforced(schema)]))

const maps: ReadonlySet<string> = new Set(["properties", "$defs", "definitions"])

const lists: ReadonlySet<string> = new Set(["anyOf", "allOf", "oneOf"])

/** Not said either: what is always so here, and what no model needs to know. */
const ignored: ReadonlySet<string> = new Set(["additionalProperties", "$schema", "$id", "$comment"])

const isKept = (key: string, value: unknown): boolean =>
  key === "format" ? formats.has(value) : key === "minItems" ? value === 0 || value === 1 : kept.has(key)

const kept: ReadonlySet<string> = new Set([
  "$ref",
  "type",
  "title",
  "description",
  "enum",
  "const",
  "default",
  "required",
  "pattern"
])

const formats: ReadonlySet<unknown> = new Set([
  "date-time",
  "time",
  "date",
  "duration",
  "email",
  "hostname",
  "uri",
  "ipv4",
  "ipv6",
  "uuid"
])
