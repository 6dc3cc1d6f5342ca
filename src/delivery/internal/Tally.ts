/** What a prompt's elements tell of how it ended and what it used: for the `done` frame. */
import * as Prompt from "effect/ai/Prompt"
import type { FinishReason } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type * as EventJson from "../EventJson.ts"

export class Tally {
  /** Of the last turn that told one. */
  reason: FinishReason = "other"
  private readonly prompt: Prompt.Prompt
  private readonly turns: Array<LlmUsage.LlmUsage> = []
  private total: LlmUsage.LlmUsage | undefined
  private output = 0
  private reasoning = 0

  constructor(prompt: Prompt.Prompt) {
    this.prompt = prompt
  }

  see(element: EventJson.Event | string): void {
    if (typeof element === "string") {
      this.output += element.length
      return
    }
    switch (element._tag) {
      case "TextDelta":
        this.output += element.text.length
        break
      case "ReasoningDelta":
        this.reasoning += element.text.length
        break
      case "Token":
        if (element.phase === "answer") this.output += element.content.length
        else this.reasoning += element.content.length
        break
      case "Finished":
      case "StepFinished":
        this.reason = element.reason
        this.turns.push(element.usage)
        this.output = 0
        this.reasoning = 0
        break
      case "Final":
        this.total = element.usage
        break
    }
  }

  /** What was told, and an estimate of what came after that or of all of it. */
  usage(): LlmUsage.LlmUsage {
    if (this.total !== undefined) return this.total
    const { output, reasoning, turns } = this
    if (turns.length > 0 && output === 0 && reasoning === 0) return turns.length === 1 ? turns[0]! : LlmUsage.sum(turns)
    const input = LlmRequest.countCharacters(this.prompt.content)
    return LlmUsage.sum([...turns, LlmUsage.estimate({ input, output, reasoning })])
  }
}
