/**
 * The strategy `react`: thoughts, actions and observations as text, for models that can only write.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as JsonSchema from "effect/JsonSchema"
import * as Predicate from "effect/Predicate"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import type { AgentEvent } from "../AgentEvent.ts"
import * as ReAct from "../ReAct.ts"
import { asking, userMessage } from "./asking.ts"
import { Reasoning } from "./Reasoning.ts"
import type { Reading, Strategy, Turn } from "./Strategy.ts"

export const make = (
  { tools }: Toolkit.Any,
  system: string | undefined,
  settings: Omit<LlmRequest, "prompt">
): Strategy => {
  const schemas = new Map<string, JsonSchema.JsonSchema>()
  for (const [name, tool] of Object.entries(tools)) schemas.set(name, Tool.getJsonSchema(tool))
  const taught = ReAct.instructions(
    Object.entries(tools).map(([name, tool]) => ({
      name,
      description: Tool.getDescription(tool),
      parameters: schemas.get(name)!
    }))
  )
  const instructed = system === undefined ? taught : `${system}\n\n${taught}`
  return {
    request: (history, isLast) => ({
      ...settings,
      prompt: isLast
        ? asking(history, "No more actions may be taken. Write your Final Answer now, from what is known.")
        : history,
      system: instructed
    }),
    reading: (step) => new ReActText(step, schemas)
  }
}

class ReActText implements Reading {
  private readonly reader: ReAct.Reader
  private readonly reasoning: Reasoning
  /** What the model wrote: it is shown to it again where it could not be read. */
  private readonly written: Array<string> = []
  private readonly said: Array<ReAct.Said> = []
  private thought: string | undefined
  private outcome: Extract<ReAct.Said, { _tag: "Action" | "Answer" | "Unreadable" }> | undefined
  private readonly step: number
  private readonly schemas: ReadonlyMap<string, JsonSchema.JsonSchema>

  constructor(step: number, schemas: ReadonlyMap<string, JsonSchema.JsonSchema>) {
    this.step = step
    this.schemas = schemas
    this.reader = ReAct.makeReader({ isTool: (name) => schemas.has(name) })
    this.reasoning = new Reasoning(step)
  }

  read(event: LlmEvent, out: Array<AgentEvent>): boolean {
    if (event._tag === "ReasoningDelta") {
      this.reasoning.add(event.text, out)
      return false
    }
    if (event._tag !== "TextDelta") return false
    this.reasoning.flush(out)
    this.written.push(event.text)
    const enough = this.reader.push(event.text, this.said)
    this.tell(out)
    return enough
  }

  end(out: Array<AgentEvent>): Turn {
    this.reasoning.flush(out)
    if (this.outcome === undefined) {
      this.reader.end(this.said)
      this.tell(out)
    }
    const { outcome, step } = this
    if (outcome === undefined) throw new Error("ReAct.Reader ended without an outcome")
    switch (outcome._tag) {
      case "Answer":
        return {
          _tag: "Answer",
          content: outcome.content,
          messages: [this.message(`Final Answer: ${outcome.content}`)]
        }
      case "Action": {
        const { name } = outcome
        const input = fitted(outcome.input, this.schemas.get(name))
        const json = typeof input === "string" ? input : JSON.stringify(input)
        return {
          _tag: "Calls",
          calls: [{ id: `action_${step}`, name, input }],
          // What came after the action is fiction: history has what was read.
          messages: (results) => [
            this.message(`Action: ${name}\nAction Input: ${json}`),
            ...results.map(({ content }) => userMessage(ReAct.observation(content)))
          ]
        }
      }
      case "Unreadable": {
        const text = this.written.join("")
        const told = userMessage(ReAct.observation(outcome.why))
        return { _tag: "Unreadable", messages: text.trim() === "" ? [told] : [assistantMessage(text), told] }
      }
    }
  }

  private tell(out: Array<AgentEvent>): void {
    const { said, step } = this
    for (const one of said) {
      if (one._tag === "Token") {
        out.push({ _tag: "Token", content: one.text, step, phase: one.phase })
      } else if (one._tag === "Thought") {
        this.thought = one.content
        out.push({ _tag: "Thought", content: one.content, step })
      } else {
        this.outcome = one
      }
    }
    said.length = 0
  }

  private message(rest: string): Prompt.Message {
    return assistantMessage(this.thought === undefined ? rest : `Thought: ${this.thought}\n${rest}`)
  }
}

const assistantMessage = (text: string): Prompt.Message =>
  Prompt.assistantMessage({ content: [Prompt.textPart({ text })] })

/**
 * A bare value, as in `calculator("25 * 4")`, is the one field that the tool wants.
 */
const fitted = (input: unknown, schema: JsonSchema.JsonSchema | undefined): unknown => {
  if (schema === undefined || schema["type"] !== "object" || Predicate.isReadonlyObject(input)) return input
  const names = Object.keys(Predicate.isReadonlyObject(schema["properties"]) ? schema["properties"] : {})
  const required: ReadonlyArray<unknown> = Array.isArray(schema["required"]) ? schema["required"] : []
  const only = names.length === 1 ? names[0] : required.length === 1 ? required[0] : undefined
  if (typeof only === "string") return { [only]: input }
  // A tool without input, written as `now()`.
  return names.length === 0 && (input === "" || input === null || input === undefined) ? {} : input
}
