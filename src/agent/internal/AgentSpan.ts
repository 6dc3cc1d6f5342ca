/**
 * The span and the metric of an agent's run, by the names of
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-agent-spans.md.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Prompt from "effect/ai/Prompt"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import * as genAi from "../../policy/internal/genAi.ts"
import * as genAiContent from "../../policy/internal/genAiContent.ts"
import * as instruments from "../../policy/internal/instruments.ts"
import type { Ending, Watch } from "../../policy/internal/spanned.ts"
import * as spans from "../../policy/internal/spans.ts"
import * as Telemetry from "../../policy/Telemetry.ts"
import { type AgentError, isAgentError } from "../AgentError.ts"
import type { AgentEvent, Of } from "../AgentEvent.ts"

export interface Options {
  readonly name: string | undefined
  readonly input: Prompt.RawInput
  readonly system: string | undefined
  readonly request: Omit<LlmRequest, "prompt">
}

/** Begins a run's, or gives none where spans are turned off. */
export const begin = (options: Options): Effect.Effect<AgentSpan | undefined> =>
  Effect.withFiber((fiber) => {
    if (!fiber.getRef(Telemetry.Enabled)) return Effect.undefined
    const { name, request, system } = options
    const model = new Model()
    const attributes = genAi.defined({
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": name,
      "gen_ai.request.model": request.model,
      ...genAi.request({ ...request, prompt: [] }),
      ...(fiber.getRef(Telemetry.Content) ? genAiContent.input({ prompt: options.input, system }) : undefined)
    })
    return Effect.map(
      spans.begin(named("invoke_agent", name), "internal", attributes, model),
      (begun) => new AgentSpan(begun, model, options, fiber.getRef(Telemetry.Content))
    )
  })

const named = (operation: string, name: string | undefined): string =>
  name === undefined ? operation : `${operation} ${name}`

/** What the span of a run is told by those of its model. */
class Model implements spans.Enclosing {
  readonly content = undefined
  readonly costs = undefined
  heard: spans.Enclosing["asked"] | undefined

  asked(inner: Parameters<spans.Enclosing["asked"]>[0]): void {
    this.heard?.(inner)
  }
}

export class AgentSpan implements Watch<AgentEvent, AgentError> {
  readonly span: Tracer.Span
  private readonly usages: Array<LlmUsage.LlmUsage> = []
  private last: Of<"StepFinished"> | undefined
  private final: Of<"Final"> | undefined
  private isNamed = false
  private readonly begun: spans.Begun
  private readonly options: Options
  private readonly content: boolean

  constructor(begun: spans.Begun, model: Model, options: Options, content: boolean) {
    this.begun = begun
    this.span = begun.span
    this.options = options
    this.content = content
    model.heard = (inner) => {
      begun.enclosing?.asked(inner)
      if (this.isNamed || inner.provider === undefined) return
      this.isNamed = true
      this.span.attribute("gen_ai.provider.name", genAi.providerName(inner.provider))
    }
  }

  look(events: NonEmptyReadonlyArray<AgentEvent>): undefined {
    for (const event of events) {
      if (event._tag === "StepFinished") {
        this.last = event
        this.usages.push(event.usage)
      } else if (event._tag === "Final") this.final = event
    }
  }

  end(ending: Ending<AgentError>): undefined {
    const { begun, final, last, span } = this
    const { name, request } = this.options
    const at = begun.now()
    const { error, exit, type } = judge(ending, final !== undefined)
    const usage = final?.usage ?? error?.usage ?? LlmUsage.sum(this.usages)
    const attributes = genAi.defined({
      ...genAi.usage(usage),
      "gen_ai.response.finish_reasons": last && [genAiContent.finishReason(last.reason)],
      "rill.steps": final?.steps ?? error?.step ?? last?.step ?? 0,
      "error.type": type,
      ...(this.content && final !== undefined ? genAiContent.answer(final.content) : undefined)
    })
    for (const attribute in attributes) span.attribute(attribute, attributes[attribute])
    const series = new instruments.Series({
      "gen_ai.agent.name": name,
      "gen_ai.request.model": request.model,
      "error.type": type
    })
    instruments.update(instruments.agentDuration, instruments.inSeconds(begun.startedAt, at), series, begun.context)
    begun.end(at, exit)
  }
}

interface Verdict {
  readonly exit: Exit.Exit<void, unknown>
  readonly type?: string
  readonly error?: AgentError
}

const judge = (ending: Ending<AgentError>, isAnswered: boolean): Verdict => {
  if (ending._tag === "Completed" || (ending._tag === "Left" && isAnswered)) return { exit: Exit.void }
  if (ending._tag === "Left") return { exit: Exit.interrupt() }
  const error = Option.getOrUndefined(Cause.findErrorOption(ending.cause))
  if (isAgentError(error)) {
    const { reason } = error
    const type = reason._tag === "ModelFailed" ? reason.error.reason._tag : reason._tag
    return { error, type, exit: spans.failure("AgentError", error.message) }
  }
  return Cause.hasDies(ending.cause) ? spans.defect(ending.cause) : { exit: Exit.interrupt() }
}
