/**
 * Plain tools as a toolkit of `effect/ai`, with its handlers.
 *
 * @internal
 */
import * as EffectTool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type { Tool } from "../Tool.ts"
import { ask } from "./callbacks.ts"
import { checked } from "./toolInput.ts"
import { ToolThrew } from "./ToolThrew.ts"

const threw = Schema.String.pipe(
  Schema.decodeTo(
    Schema.instanceOf(ToolThrew),
    SchemaTransformation.transform({ decode: (message) => new ToolThrew(message), encode: ({ message }) => message })
  )
)

/** A result goes to a provider, and may be kept: it is what JSON makes of it. */
const json = Schema.Unknown.pipe(
  Schema.decodeTo(
    Schema.Unknown,
    SchemaTransformation.transformEffect({
      decode: (value: unknown) => Effect.succeed(value),
      encode: (value: unknown) =>
        Effect.try({
          try: (): unknown => JSON.parse(JSON.stringify(value) ?? "null"),
          catch: () => new SchemaIssue.InvalidValue({ message: "The tool's result cannot be put as JSON." })
        })
    })
  )
)

const toEffect = (name: string, { description, input, jsonSchema, needsApproval }: Tool) =>
  Object.assign(
    EffectTool.dynamic(name, {
      description,
      parameters: jsonSchema,
      success: json,
      failure: threw,
      needsApproval:
        typeof needsApproval === "function" ? (value) => ask(() => needsApproval(value as never)) : needsApproval
    }),
    // The model is shown the JSON Schema; what it gives is checked by the library's.
    input === undefined ? {} : { parametersSchema: checked(input) }
  )

type AnyTool = ReturnType<typeof toEffect>

export const make = (tools: Readonly<Record<string, Tool>>) => {
  const entries = Object.entries(tools)
  const toolkit = Toolkit.make(...entries.map(([name, tool]) => toEffect(name, tool)))
  const handlers = Object.fromEntries(entries.map(([name, tool]) => [name, handler(tool)]))
  return { toolkit, handlers: toolkit.toLayer(handlers) }
}

const handler =
  ({ run }: Tool) =>
  (input: unknown, context: Toolkit.HandlerContext<AnyTool>): Effect.Effect<unknown, ToolThrew> =>
    Effect.tryPromise({
      try: async (signal) =>
        run(input as never, {
          id: context.toolCallId ?? "",
          signal,
          // Whoever does not wait for it must not meet a rejection that nobody handles.
          progress: async (value) => void (await Effect.runPromiseExit(context.preliminary(value), { signal }))
        }),
      catch: (error) => new ToolThrew(error)
    })
