/**
 * The span and the metric of a tool's execution, by the names of
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md.
 *
 * @internal
 */
import type * as Tool from "effect/ai/Tool"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as genAi from "../../policy/internal/genAi.ts"
import * as instruments from "../../policy/internal/instruments.ts"
import * as spans from "../../policy/internal/spans.ts"
import * as Telemetry from "../../policy/Telemetry.ts"
import type { Called } from "./calling.ts"
import type { Call } from "./Strategy.ts"

/** Runs a tool in a span of its own. */
export const execute = (
  agent: string | undefined,
  tool: Tool.Any,
  { id, input, name }: Call,
  run: Effect.Effect<Called>
): Effect.Effect<Called> =>
  Effect.withFiber((fiber) => {
    if (!fiber.getRef(Telemetry.Enabled)) return run
    const content = fiber.getRef(Telemetry.Content)
    const attributes = genAi.defined({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": name,
      "gen_ai.tool.call.id": id,
      "gen_ai.tool.type": "function",
      "gen_ai.tool.description": tool.description,
      "gen_ai.agent.name": agent,
      "gen_ai.tool.call.arguments": content ? JSON.stringify(input) : undefined
    })
    return Effect.flatMap(spans.begin(`execute_tool ${name}`, "internal", attributes, undefined), (begun) =>
      Effect.onExit(Effect.provideService(run, Tracer.ParentSpan, begun.span), (exit) =>
        Effect.sync(() => {
          const at = begun.now()
          const { exit: told, type } = judgeTool(exit)
          if (type !== undefined) begun.span.attribute("error.type", type)
          if (content && Exit.isSuccess(exit) && type === undefined) {
            begun.span.attribute("gen_ai.tool.call.result", JSON.stringify(exit.value.result.encoded))
          }
          const series = { "gen_ai.tool.name": name, "gen_ai.tool.type": "function", "gen_ai.agent.name": agent }
          instruments.update(
            instruments.toolDuration,
            instruments.inSeconds(begun.startedAt, at),
            new instruments.Series({ ...series, "error.type": type }),
            begun.context
          )
          begun.end(at, told)
        })
      )
    )
  })

const judgeTool = (
  exit: Exit.Exit<Called>
): { readonly exit: Exit.Exit<void, unknown>; readonly type?: string | undefined } => {
  if (Exit.isFailure(exit)) return Cause.hasDies(exit.cause) ? spans.defect(exit.cause) : { exit: Exit.interrupt() }
  const { failed } = exit.value
  return failed === undefined
    ? { exit: Exit.void }
    : { type: failed.failure, exit: spans.failure("ToolFailed", failed.message) }
}

/**
 * `Toolkit.handle` writes what the model gave a tool on the span that it is in, whosever that is. Here it
 * does not, unless it is asked for; what handlers write is.
 */
export const withoutInput = <A, E, R>(handle: Effect.Effect<A, E, R>, call: Call): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const span = Option.getOrUndefined(Context.getOption(fiber.context, Tracer.ParentSpan))
    if (span?._tag !== "Span" || fiber.getRef(Telemetry.Content)) return handle
    const quiet = new Proxy(span, {
      get: (target, property) => {
        if (property === "attribute") {
          return (key: string, value: unknown) => {
            if (!isWritten(call, key, value)) target.attribute(key, value)
          }
        }
        const member: unknown = Reflect.get(target, property, target)
        return typeof member === "function" ? member.bind(target) : member
      }
    })
    return Effect.provideService(handle, Tracer.ParentSpan, quiet)
  })

/** Whether an attribute is what `Toolkit` writes of a call. */
const isWritten = ({ input, name }: Call, key: string, value: unknown): boolean =>
  (key === "parameters" && value === input) || (key === "tool" && value === name)
