/**
 * OpenRouter's `reasoning_details`: what it wants to see again, unchanged, of a model's reasoning, told in
 * pieces.
 *
 * Source: https://openrouter.ai/docs/use-cases/reasoning-tokens.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import { isPresent, isRecord } from "./Json.ts"

/**
 * Details of which more may come: each as its fields, and its text in pieces that are joined once. Those
 * that go on are found by their type and index; what is encrypted comes whole.
 *
 * @category models
 * @since 0.1.0
 */
export type Details = Map<string, Detail>

interface Detail {
  readonly fields: Record<string, Schema.Json>
  readonly pieces: Map<string, Array<string>>
}

/**
 * None so far.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Details => new Map()

/**
 * Adds the pieces of a chunk.
 *
 * @category steps
 * @since 0.1.0
 */
export const add = (details: Details, chunk: ReadonlyArray<unknown>): void => {
  for (const piece of chunk) {
    if (!isRecord(piece)) continue
    const isWhole = piece["type"] === "reasoning.encrypted"
    const place = isWhole ? `${details.size}` : `${String(piece["type"])} ${String(piece["index"])}`
    const detail = details.get(place) ?? { fields: {}, pieces: new Map<string, Array<string>>() }
    details.set(place, detail)
    for (const [name, value] of Object.entries(piece)) {
      if (!isTold(value)) continue
      if (typeof value !== "string" || !growing.has(name)) {
        detail.fields[name] = value
        continue
      }
      const pieces = detail.pieces.get(name)
      if (pieces === undefined) detail.pieces.set(name, [value])
      else pieces.push(value)
    }
  }
}

/** A value of parsed JSON that says something. */
const isTold = (value: unknown): value is Schema.Json => isPresent(value) && value !== ""

/** Fields that come in pieces; of the others, such as a signature, the last word counts. */
const growing: ReadonlySet<string> = new Set(["text", "summary"])

/**
 * The details, whole.
 *
 * @category getters
 * @since 0.1.0
 */
export const whole = (details: Details): ReadonlyArray<Schema.JsonObject> =>
  Array.from(details.values(), ({ fields, pieces }) => ({
    ...fields,
    ...Object.fromEntries(Array.from(pieces, ([name, pieces]) => [name, pieces.join("")]))
  }))
