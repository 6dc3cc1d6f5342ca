/**
 * The strategy `tools`: the provider's own tool calling.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import type * as Toolkit from "effect/ai/Toolkit"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmResponse from "../../LlmResponse.ts"
import type { AgentEvent } from "../AgentEvent.ts"
import { asking } from "./asking.ts"
import { Reasoning } from "./Reasoning.ts"
import type { Call, Reading, Result, Strategy, Turn } from "./Strategy.ts"

export const make = (
  toolkit: Toolkit.Any,
  system: string | undefined,
  settings: Omit<LlmRequest, "prompt">
): Strategy => ({
  request: (history, isLast) => ({
    ...settings,
    prompt: isLast ? asking(history, "No more tools may be called. Answer now, from what is known.") : history,
    system,
    toolkit,
    // Some providers refuse a history of calls without the tools: they are there, and not to be called.
    ...(isLast ? { toolChoice: "none" } : undefined)
  }),
  reading: (step) => new ToolCalling(step)
})

class ToolCalling implements Reading {
  private readonly fold = LlmResponse.makeFold()
  private readonly reasoning: Reasoning
  private readonly step: number

  constructor(step: number) {
    this.step = step
    this.reasoning = new Reasoning(step)
  }

  read(event: LlmEvent, out: Array<AgentEvent>): boolean {
    this.fold.add(event)
    if (event._tag === "TextDelta") {
      this.reasoning.flush(out)
      out.push({ _tag: "Token", content: event.text, step: this.step, phase: "answer" })
    } else if (event._tag === "ReasoningDelta") {
      this.reasoning.add(event.text, out)
    }
    return false
  }

  end(out: Array<AgentEvent>): Turn {
    this.reasoning.flush(out)
    const { text, toMessage, toolCalls } = this.fold.response()
    if (toolCalls.length === 0) return { _tag: "Answer", content: text, messages: [toMessage] }
    if (text.trim() !== "") out.push({ _tag: "Thought", content: text, step: this.step })
    return {
      _tag: "Calls",
      calls: toolCalls,
      messages: (results) => [toMessage, Prompt.toolMessage({ content: results.map((r, i) => part(toolCalls[i]!, r)) })]
    }
  }
}

const part = ({ id, name }: Call, { encoded, isError, modelOutput }: Result): Prompt.ToolResultPart =>
  Prompt.toolResultPart({
    id,
    name,
    isFailure: isError,
    result: encoded,
    providerExecuted: false,
    ...(modelOutput === undefined ? undefined : { modelOutput })
  })
