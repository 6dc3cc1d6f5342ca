/**
 * Runs one call of a tool: to its result, or to what the model is told of why there is none.
 *
 * @internal
 */
import * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import { toolModelOutputToText } from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Run, ToolEnd, ToolStart } from "../../policy/Callbacks.ts"
import { ToolFailed, type ToolFailure } from "../AgentError.ts"
import type { Call, Result } from "./Strategy.ts"
import * as ToolSpan from "./ToolSpan.ts"

/** What runs tools, with all that they need. */
export interface Tools {
  readonly tools: Readonly<Record<string, Tool.Any>>
  readonly handle: (
    name: string,
    input: unknown,
    id: string
  ) => Effect.Effect<Stream.Stream<Tool.HandlerResult<Tool.Any>, unknown, unknown>, unknown, unknown>
  readonly approve: ((call: Call) => Effect.Effect<boolean>) | undefined
  readonly timeout: Duration.Input | undefined
  readonly onStart: ((call: ToolStart, run: Run) => Effect.Effect<void>) | undefined
  readonly onEnd: ((ended: ToolEnd, run: Run) => Effect.Effect<void>) | undefined
  /** The agent's name, for spans. */
  readonly agent: string | undefined
  /** Gives handlers and schemas what they need. */
  readonly provide: <A, E>(effect: Effect.Effect<A, E, unknown>) => Effect.Effect<A, E>
}

/** A call that has come to its end. */
export interface Called {
  readonly result: Result
  /** Why there is no result, where there is none. */
  readonly failed: ToolFailed | undefined
}

/** How many preliminary results wait for a consumer before the tool does. */
const preliminaryBuffer = 16

export const run = Effect.fnUntraced(function* (
  tools: Tools,
  call: Call,
  history: Prompt.Prompt,
  callbackRun: Run,
  onProgress: (content: string) => Effect.Effect<unknown>
): Effect.fn.Return<Called> {
  const { id, input, name } = call
  const tool = Object.hasOwn(tools.tools, name) ? tools.tools[name] : undefined
  if (tool === undefined || (Tool.isProviderDefined(tool) && !tool.requiresHandler)) {
    return failed(call, "unknown", `There is no such tool. The tools are: ${Object.keys(tools.tools).join(", ")}.`)
  }
  if (!(yield* isApproved(tools, tool, call, history))) {
    return failed(call, "denied", "This call needs an approval, and it was not given.")
  }
  const { onEnd, onStart } = tools
  if (onStart !== undefined) yield* onStart({ id, name, input }, callbackRun)
  const ended = attempt(tools, tool, call, onProgress)
  const timed =
    tools.timeout === undefined
      ? ended
      : Effect.timeoutOrElse(ended, {
          duration: tools.timeout,
          orElse: () => Effect.succeed(failed(call, "timeout", "The tool took too long and was stopped."))
        })
  const traced = ToolSpan.execute(tools.agent, tool, call, timed)
  return yield* onEnd === undefined
    ? traced
    : Effect.onExit(traced, (exit) =>
        onEnd({ id, name, exit: Exit.isSuccess(exit) ? exitOf(exit.value) : exit }, callbackRun)
      )
})

const exitOf = ({ failed, result }: Called): Exit.Exit<unknown, unknown> =>
  failed === undefined ? Exit.succeed(result.encoded) : Exit.fail(failed.error ?? failed)

/** `Toolkit.handle` does not ask: it runs what it is given. */
const isApproved = (tools: Tools, tool: Tool.Any, call: Call, history: Prompt.Prompt): Effect.Effect<boolean> => {
  const { needsApproval } = tool
  if (needsApproval === undefined || needsApproval === false) return Effect.succeed(true)
  const approve = Effect.suspend(() => tools.approve?.(call) ?? Effect.succeed(false))
  if (needsApproval === true) return approve
  return tools.provide(Schema.decodeUnknownEffect(tool.parametersSchema)(call.input)).pipe(
    Effect.flatMap((params) => {
      const needs = needsApproval(params, { toolCallId: call.id, messages: history.content })
      return Effect.isEffect(needs) ? needs : Effect.succeed(needs)
    }),
    // An input that does not fit is not run either: the handler's own reading of it says why.
    Effect.orElseSucceed(() => false),
    Effect.flatMap((needs) => (needs ? approve : Effect.succeed(true)))
  )
}

const attempt = (
  tools: Tools,
  tool: Tool.Any,
  call: Call,
  onProgress: (content: string) => Effect.Effect<unknown>
): Effect.Effect<Called> =>
  Effect.gen(function* () {
    let last: Tool.HandlerResult<Tool.Any> | undefined
    const results = yield* ToolSpan.withoutInput(tools.handle(call.name, call.input, call.id), call)
    yield* Stream.runForEach(results, (result) => {
      if (result.preliminary) return onProgress(contentOf(result.encodedResult, result.modelOutput))
      last = result
      return Effect.void
    })
    if (last === undefined) return failed(call, "result", "The tool gave no result.")
    if (last.isFailure) return yield* failedWith(tools, tool, call, last.result, last.failureOrigin ?? "result")
    const { encodedResult: encoded, modelOutput } = last
    const result: Result = { content: contentOf(encoded, modelOutput), isError: false, encoded, modelOutput }
    return { result, failed: undefined }
  }).pipe(
    Effect.provideService(Toolkit.PreliminaryBuffer, preliminaryBuffer),
    tools.provide,
    Effect.catchCause((cause) => {
      // A defect is the program's, not the model's to mend.
      if (Cause.hasDies(cause)) return Effect.failCause(Cause.fromReasons(cause.reasons.filter(Cause.isDieReason)))
      const error = Cause.findErrorOption(cause)
      if (Option.isNone(error)) return Effect.succeed(failed(call, "handler", "The tool was interrupted."))
      const origin = Context.get(Cause.annotations(cause), Toolkit.FailureOrigin)
      return failedWith(tools, tool, call, error.value, origin)
    })
  )

const failures: Readonly<Record<Tool.FailureOrigin, ToolFailure>> = {
  parameters: "input",
  handler: "handler",
  result: "result"
}

/** A failure as the model is told it: its tool's own encoding where it has one. */
const failedWith = (
  tools: Tools,
  tool: Tool.Any,
  call: Call,
  error: unknown,
  origin: Tool.FailureOrigin
): Effect.Effect<Called> => {
  if (AiError.isAiError(error)) return Effect.succeed(failed(call, failures[origin], error.reason.message, error))
  return tools.provide(Schema.encodeUnknownEffect(tool.failureSchema)(error)).pipe(
    Effect.map((encoded) => contentOf(encoded, undefined)),
    Effect.orElseSucceed(() => (Predicate.isError(error) ? error.message : contentOf(error, undefined))),
    Effect.map((content) => failed(call, failures[origin], content, error))
  )
}

const failed = ({ id, name }: Call, failure: ToolFailure, content: string, error?: unknown): Called => ({
  result: { content, isError: true, encoded: content },
  failed: new ToolFailed({ id, toolName: name, failure, ...(error === undefined ? undefined : { error }) })
})

/** What a result is as text: a string as it is, all else as JSON. */
const contentOf = (encoded: unknown, modelOutput: ReadonlyArray<Prompt.ToolModelOutputPart> | undefined): string =>
  modelOutput !== undefined
    ? toolModelOutputToText(modelOutput)
    : typeof encoded === "string"
      ? encoded
      : (JSON.stringify(encoded) ?? "")
