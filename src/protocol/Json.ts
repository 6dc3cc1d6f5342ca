/**
 * Checks of parsed JSON, by hand: a schema would cost more than everything else done with a delta.
 *
 * @since 0.1.0
 */

/**
 * A JSON object.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = Readonly<Record<string, unknown>>

/**
 * Whether a value is a JSON object.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Whether a field is there: many servers send `null` for what they leave out.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPresent = (value: unknown): boolean => value !== undefined && value !== null

/**
 * The value, if it is a string with something in it.
 *
 * @category getters
 * @since 0.1.0
 */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

/**
 * The objects of an array; none where there is no array.
 *
 * @category getters
 * @since 0.1.0
 */
export const records = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value.filter(isRecord) : [])
