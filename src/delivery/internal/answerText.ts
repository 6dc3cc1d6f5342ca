/**
 * The text of an answer, where a wire has room for nothing else.
 *
 * @internal
 */
import type { AgentEvent } from "../../agent/AgentEvent.ts"

/**
 * Reads the text of strings and of an agent's events. What an agent says before it calls a tool is text too;
 * a blank line keeps it from what the next step says.
 */
export class AnswerText {
  private begun = false
  private apart = false

  of(element: string | AgentEvent): string {
    if (typeof element !== "string") {
      if (element._tag === "StepStarted") this.apart = this.begun
      if (element._tag !== "Token" || element.phase !== "answer") return ""
    }
    const text = typeof element === "string" ? element : element.content
    if (text === "") return ""
    this.begun = true
    if (!this.apart) return text
    this.apart = false
    return `\n\n${text}`
  }
}
