/**
 * Answers that follow a schema, for callers who do not know Effect. Take them from `Rill`.
 *
 * @since 0.1.0
 */
import type { CallOptions } from "./Request.ts"
import type { JsonSchema, StandardSchema } from "./Tool.ts"

/**
 * What an answer may follow: a schema of any library that speaks [Standard Schema](https://standardschema.dev),
 * as for tools, or one of `effect/Schema`.
 *
 * @category objects
 * @since 0.1.0
 */
export type ObjectSchema = StandardSchema | EffectSchema

/**
 * A schema of `effect/Schema`, without services.
 *
 * @category objects
 * @since 0.1.0
 */
export interface EffectSchema<A = unknown, E = unknown> {
  readonly Type: A
  readonly Encoded: E
  readonly DecodingServices: never
  readonly ast: object
}

/**
 * The value that a schema makes of an answer.
 *
 * @category objects
 * @since 0.1.0
 */
export type ObjectValue<S extends ObjectSchema> =
  S extends EffectSchema<infer A>
    ? A
    : S extends StandardSchema
      ? NonNullable<S["~standard"]["types"]>["output"]
      : never

/**
 * The answer itself, before the schema makes a value of it.
 *
 * @category objects
 * @since 0.1.0
 */
export type ObjectSource<S extends ObjectSchema> =
  S extends EffectSchema<unknown, infer E>
    ? E
    : S extends StandardSchema
      ? NonNullable<S["~standard"]["types"]>["input"]
      : never

/**
 * Options of an answer that follows a schema.
 *
 * @category objects
 * @since 0.1.0
 */
export interface ObjectOptions extends CallOptions {
  /** What the model is shown of the schema. Needed where its library cannot tell it as JSON Schema. */
  readonly jsonSchema?: JsonSchema | undefined
}

/**
 * What an answer that follows a schema tells: how far it has come, and once, at the end, the value.
 *
 * The value of a `Partial` is one tree that grows: it is good until the next is asked for, and not to be changed.
 * To keep it, take a `structuredClone`.
 *
 * @category objects
 * @since 0.1.0
 */
export type ObjectPart<S extends ObjectSchema> =
  | { readonly _tag: "Partial"; readonly value: DeepPartial<ObjectSource<S>> }
  | { readonly _tag: "Complete"; readonly value: ObjectValue<S> }

/**
 * What may be known of a value that has not come to its end: nothing of it has been checked.
 *
 * Any field may be missing, or `null`, which is how a provider writes an optional field that it leaves out.
 * Literals are as wide as their strings, since `"gre"` comes before `"green"`. Where JSON or a provider has a
 * form of its own, the type is `unknown`: records, tuples, dates and other classes.
 *
 * @category objects
 * @since 0.1.0
 */
export type DeepPartial<E> = unknown extends E
  ? unknown
  : E extends string
    ? string
    : E extends number | boolean | null
      ? E
      : E extends undefined
        ? null
        : E extends ReadonlyArray<infer Item>
          ? number extends E["length"]
            ? E extends readonly [unknown, ...ReadonlyArray<unknown>]
              ? unknown
              : ReadonlyArray<DeepPartial<Item>>
            : unknown
          : E extends bigint | symbol | Date | URL | Uint8Array | ((...args: Array<never>) => unknown)
            ? unknown
            : E extends object
              ? string extends keyof E
                ? unknown
                : { readonly [K in keyof E]?: DeepPartial<E[K]> | null }
              : unknown
