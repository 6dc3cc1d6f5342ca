/**
 * What an answer is that follows a schema: how it is asked for, shown while it comes, and decoded.
 *
 * `Llm.object` and `Llm.objectStream` are built on this.
 *
 * @since 0.1.0
 */
import * as OpenAiStructuredOutput from "effect/ai/OpenAiStructuredOutput"
import * as Effect from "effect/Effect"
import type * as JsonSchema from "effect/JsonSchema"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import { InvalidOutput, InvalidRequest } from "./LlmError.ts"
import type { ResponseFormat } from "./LlmRequest.ts"

// -----------------------------------------------------------------------------
// parts
// -----------------------------------------------------------------------------

/**
 * The value so far. It is one tree that grows: valid until the next pull, and not to be changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Partial<E> {
  readonly _tag: "Partial"
  readonly value: DeepPartial<E>
}

/**
 * The whole value, decoded. It comes once and last, and only of an answer that is complete.
 *
 * @category models
 * @since 0.1.0
 */
export interface Complete<A> {
  readonly _tag: "Complete"
  readonly value: A
}

/**
 * What `Llm.objectStream` gives: partial values, then the complete one.
 *
 * @category models
 * @since 0.1.0
 */
export type Part<A, E> = Partial<E> | Complete<A>

/**
 * What may be known of a value that has not come to its end, of the encoded side of its schema.
 *
 * Any field may be missing, or `null`, which is how a provider writes an optional field that it leaves
 * out. Literals are as wide as their strings, since `"gre"` comes before `"green"`. Where JSON or a
 * provider has a form of its own, the type is `unknown`: records, tuples, dates and other classes.
 * Nothing has been checked: a model may write what it was not asked for. (It is asked for `"NaN"` and the
 * infinities as well where the schema has `Schema.Number`; `Schema.Finite` is what one mostly means.)
 *
 * @category models
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

// -----------------------------------------------------------------------------
// the schema's two sides
// -----------------------------------------------------------------------------

/**
 * A schema, made ready to be asked for and to be decoded.
 *
 * @category models
 * @since 0.1.0
 */
export interface LlmObject<A, E, R> {
  /** What the request says: the JSON Schema in OpenAI's dialect, which others read as well, and a name. */
  readonly responseFormat: ResponseFormat
  /** What to show of an answer that is coming: itself, or what has come of what is wrapped in it. */
  readonly partial: (tree: unknown) => DeepPartial<E> | undefined
  /** Decodes the parsed answer; `undefined` is one without any JSON. */
  readonly decode: (value: unknown) => Effect.Effect<A, InvalidOutput, R>
}

/**
 * Makes a schema ready.
 *
 * The JSON Schema that is sent is in the strict dialect of `effect/ai/OpenAiStructuredOutput`, where a
 * field that is optional is required and may be `null`, a record is an array of pairs and a tuple an
 * object. Since its root must be an object, any other schema is wrapped as `{ "value": … }`. Where it
 * leaves a part open, as `Schema.Unknown` does, `strict` is false, since OpenAI would refuse it.
 *
 * An answer is decoded from that dialect, or else from the JSON that the schema itself has, wrapped or
 * not: servers without a strict mode write that, and so do tests.
 *
 * Fails with `InvalidRequest` for a schema that JSON cannot express.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(
  schema: Schema.ConstraintCodec<A, E, R, unknown>
): Result.Result<LlmObject<A, E, R>, InvalidRequest> =>
  Result.try({
    try: () => prepare(schema),
    catch: (error) =>
      new InvalidRequest({
        message: `a model cannot be asked for this schema: ${error instanceof Error ? error.message : String(error)}. Use types that JSON has, or that have a JSON codec.`
      })
  })

const prepare = <A, E, R>(schema: Schema.ConstraintCodec<A, E, R, unknown>): LlmObject<A, E, R> => {
  const natural = Schema.toCodecJson(schema)
  const strict = toStrict(schema)
  const decoders = [strict.decode]
  if (strict.isWrapped || strict.ast !== natural.ast) {
    const decode = decoder(natural)
    if (strict.isWrapped) decoders.push((value) => decode(unwrap(value)))
    decoders.push(decode)
  }
  const known = survey(strict.jsonSchema)
  const description = SchemaAST.resolveDescription(schema.ast)
  return {
    responseFormat: {
      type: "json-schema",
      schema: strict.jsonSchema,
      name: nameOf(schema),
      strict: known.isClosed,
      ...(description === undefined ? undefined : { description })
    },
    // A claim and no proof: see DeepPartial.
    partial: (tree) => (strict.isWrapped ? unwrap(tree) : tree) as DeepPartial<E> | undefined,
    decode: (value) =>
      value === undefined
        ? invalid("there is no JSON in the answer. Ask for it in the prompt, or use a model that follows schemas.")
        : decodeFirst(decoders, value).pipe(
            Effect.catch((misfits) => doesNotFit(misfits, known.names)),
            // A recursive schema goes as deep as the answer does.
            Effect.catchDefect((defect) =>
              defect instanceof RangeError
                ? invalid("the answer is nested too deep to be decoded. Ask again, or bound the schema's depth.")
                : Effect.die(defect)
            )
          )
  }
}

const toStrict = <A, E, R>(schema: Schema.ConstraintCodec<A, E, R, unknown>) => {
  try {
    const { codec, jsonSchema } = OpenAiStructuredOutput.toCodecOpenAI(schema)
    return { jsonSchema, isWrapped: false, ast: codec.ast, decode: decoder(codec) }
  } catch {
    // The root is no object, or there is no JSON Schema at all: then this throws as well.
    const { codec, jsonSchema } = OpenAiStructuredOutput.toCodecOpenAI(Schema.Struct({ value: schema }))
    const decode = decoder(codec)
    return {
      jsonSchema,
      isWrapped: true,
      ast: codec.ast,
      decode: (value: unknown) =>
        Effect.mapBoth(decode(value), { onSuccess: ({ value }) => value, onFailure: (misfits) => misfits.map(inner) })
    }
  }
}

/** What the wrapping is for is known by its first key. */
const unwrap = (tree: unknown): unknown => {
  if (typeof tree !== "object" || tree === null || Array.isArray(tree)) return tree
  const [entry] = Object.entries(tree)
  return entry === undefined ? undefined : entry[0] === "value" ? entry[1] : tree
}

const inner = (misfit: Misfit): Misfit =>
  misfit.path[0] === "value" ? { ...misfit, path: misfit.path.slice(1) } : misfit

/** Letters, digits, `_` and `-`, at most 64: https://platform.openai.com/docs/api-reference/chat/create. */
const nameOf = (schema: Schema.Constraint): string =>
  SchemaAST.resolveIdentifier(schema.ast)
    ?.replace(/[^a-zA-Z0-9_-]+/g, "_")
    .slice(0, 64) || "response"

/** The names that a JSON Schema gives to fields, and whether it says of every part what it is. */
const survey = (schema: JsonSchema.JsonSchema): { readonly names: ReadonlySet<string>; readonly isClosed: boolean } => {
  const names = new Set<string>()
  let isClosed = true
  const visit = (part: unknown): void => {
    if (!Predicate.isObject(part)) return
    const { $defs, anyOf, items, properties } = part
    if (!["type", "anyOf", "$ref", "enum"].some((key) => key in part)) isClosed = false
    if (Predicate.isObject(properties)) for (const name of Object.keys(properties)) names.add(name)
    for (const parts of [properties, $defs]) if (Predicate.isObject(parts)) Object.values(parts).forEach(visit)
    if (Array.isArray(anyOf)) anyOf.forEach(visit)
    visit(items)
  }
  visit(schema)
  return { names, isClosed }
}

// -----------------------------------------------------------------------------
// what does not fit
// -----------------------------------------------------------------------------

/** A place in the answer, and what the schema has there. */
interface Misfit {
  readonly path: ReadonlyArray<PropertyKey>
  readonly expected: string
}

type Decode<A, R> = (value: unknown) => Effect.Effect<A, ReadonlyArray<Misfit>, R>

const decoder = <A, R>(codec: Schema.ConstraintCodec<A, unknown, R, unknown>): Decode<A, R> => {
  const decode = Schema.decodeUnknownEffect(codec, { errors: "all" })
  return (value) => Effect.mapError(decode(value), (error) => misfits(error.issue, []))
}

/** Of the forms that an answer may have, the one that fits; of those that do not, the one that fits best. */
const decodeFirst = <A, R>(
  [first, ...others]: ReadonlyArray<Decode<A, R>>,
  value: unknown
): Effect.Effect<A, ReadonlyArray<Misfit>, R> =>
  first === undefined
    ? Effect.fail([])
    : others.length === 0
      ? first(value)
      : Effect.catch(first(value), (a) =>
          Effect.mapError(decodeFirst(others, value), (b) => (fitsBetter(a, b) ? a : b))
        )

/** An answer of another form fails early: at many places, or high up. */
const fitsBetter = (a: ReadonlyArray<Misfit>, b: ReadonlyArray<Misfit>): boolean =>
  a.length === b.length ? depthOf(a) > depthOf(b) : a.length < b.length

const depthOf = ([first]: ReadonlyArray<Misfit>): number => first?.path.length ?? 0

/**
 * The issues of a decode, without the values: a schema's own messages may quote the answer, its
 * expectations do not.
 */
const misfits = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey>, check?: string): ReadonlyArray<Misfit> => {
  switch (issue._tag) {
    case "Pointer":
      return misfits(issue.issue, [...path, ...issue.path], check)
    case "Encoding":
      return misfits(issue.issue, path, check)
    case "Filter": {
      const { expected } = issue.filter.annotations ?? {}
      return misfits(issue.issue, path, check ?? (typeof expected === "string" ? expected : undefined))
    }
    case "Composite":
      return issue.issues.flatMap((issue) => misfits(issue, path, check))
    case "AnyOf": {
      const [only, ...others] = issue.issues
      return only !== undefined && others.length === 0
        ? misfits(only, path, check)
        : [{ path, expected: check ?? expectedOf(issue.ast) }]
    }
    case "InvalidType":
      return [{ path, expected: check ?? expectedOf(issue.ast) }]
    case "MissingKey":
      return [{ path, expected: "a value, and there is none" }]
    case "UnexpectedKey":
      return [{ path, expected: "no such key" }]
    case "InvalidValue":
    case "Forbidden":
    case "OneOf":
      return [{ path, expected: check ?? "a valid value" }]
  }
}

/** A new issue of the type has no value to quote. */
const expectedOf = (ast: SchemaAST.AST): string =>
  SchemaIssue.defaultLeafHook(new SchemaIssue.InvalidType(ast)).replace(/^Expected /, "")

const doesNotFit = ([first, ...others]: ReadonlyArray<Misfit>, names: ReadonlySet<string>) => {
  const path = (first?.path ?? []).map((key) => (typeof key === "symbol" ? String(key) : key))
  // A key that the schema does not name is the model's own word.
  const place = path.map((key) => (typeof key === "number" ? `[${key}]` : names.has(key) ? `.${key}` : ".*")).join("")
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`
  return invalid(
    `the answer does not fit the schema: ${place === "" ? "as a whole" : `at ${place}`}, expected ${first?.expected ?? "something else"}${more}. Ask again, or loosen the schema.`,
    path
  )
}

const invalid = (message: string, path: ReadonlyArray<string | number> = []) =>
  Effect.fail(new InvalidOutput({ message, path }))
