/**
 * Tools of agents, for callers who do not know Effect. Take them from `Rill`.
 *
 * @since 0.1.0
 */
import { jsonSchemaOf } from "./internal/toolInput.ts"

/**
 * A schema of any library that speaks [Standard Schema](https://standardschema.dev): Zod, Valibot, ArkType,
 * Effect's `Schema.toStandardSchemaV1` and others. Where it has `jsonSchema` of
 * [Standard JSON Schema](https://standardschema.dev/json-schema) too (Zod 4.2, ArkType 2.1.28, Valibot by
 * `toStandardJsonSchema` of `@valibot/to-json-schema`), that is what the model is shown.
 *
 * @category tools
 * @since 0.1.0
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly "~standard": {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
    readonly jsonSchema?: { readonly input: (options: { readonly target: string }) => JsonSchema } | undefined
  }
}

/**
 * What a schema makes of a value: another value, or what is wrong with it.
 *
 * @category tools
 * @since 0.1.0
 */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<StandardIssue> }

/**
 * Something that is wrong with a value.
 *
 * @category tools
 * @since 0.1.0
 */
export interface StandardIssue {
  readonly message: string
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined
}

/**
 * What a schema makes of a value that fits it.
 *
 * @category tools
 * @since 0.1.0
 */
export type StandardOutput<S extends StandardSchema> = NonNullable<S["~standard"]["types"]>["output"]

/**
 * A JSON Schema.
 *
 * @category tools
 * @since 0.1.0
 */
export type JsonSchema = { readonly [key: string]: unknown }

/**
 * What a tool may use while it runs.
 *
 * @category tools
 * @since 0.1.0
 */
export interface ToolContext {
  /** The call's id. */
  readonly id: string
  /** Aborted when nobody wants the result any more: give it to `fetch` and the like. */
  readonly signal: AbortSignal
  /** Tells a preliminary result. Wait for it, so as not to run ahead of who listens. It never rejects. */
  readonly progress: (value: unknown) => Promise<void>
}

/**
 * What a tool is made of.
 *
 * @category tools
 * @since 0.1.0
 */
export interface ToolOptions<S extends StandardSchema> {
  /** What the tool is for, for the model. */
  readonly description?: string | undefined
  /** The schema of its input. What does not fit it is told to the model, who may mend it. */
  readonly input?: S | undefined
  /** The input as JSON Schema, for the model. Needed where `input` cannot give it; with it alone, nothing is checked. */
  readonly jsonSchema?: JsonSchema | undefined
  /** Whether a call must be approved by the agent's `approve`. */
  readonly needsApproval?: boolean | ((input: StandardOutput<S>) => boolean | Promise<boolean>) | undefined
  /**
   * Does it, and gives what JSON can express. What it throws is told to the model: an error's message, a
   * string as it is.
   */
  readonly run: (input: StandardOutput<S>, context: ToolContext) => unknown
}

/**
 * A tool of an agent.
 *
 * @category tools
 * @since 0.1.0
 */
export interface Tool {
  readonly description?: string | undefined
  readonly input?: StandardSchema | undefined
  readonly jsonSchema: JsonSchema
  readonly needsApproval?: boolean | ((input: never) => boolean | Promise<boolean>) | undefined
  readonly run: (input: never, context: ToolContext) => unknown
}

/**
 * Makes a tool. Its input has the type of what the schema makes of it.
 *
 * ```ts
 * const weather = Rill.tool({
 *   description: "Tells the weather of a city.",
 *   input: z.object({ city: z.string() }),
 *   run: async ({ city }, { signal }) => (await fetch(`https://example.com/${city}`, { signal })).json()
 * })
 * ```
 *
 * Throws a `TypeError` where there is no JSON Schema of an object for the model.
 *
 * @category tools
 * @since 0.1.0
 */
export const tool = <S extends StandardSchema = StandardSchema>(options: ToolOptions<S>): Tool => ({
  description: options.description,
  input: options.input,
  jsonSchema: jsonSchemaOf(options.input, options.jsonSchema),
  needsApproval: options.needsApproval,
  // Called as a method: it may be one, of a class.
  run: (input: StandardOutput<S>, context) => options.run(input, context)
})
