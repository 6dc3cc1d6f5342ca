/**
 * The model's reasoning in one step: told as it comes, and whole when it makes way for something else.
 *
 * @internal
 */
import type { AgentEvent } from "../AgentEvent.ts"

export class Reasoning {
  private pieces: Array<string> = []
  private readonly step: number

  constructor(step: number) {
    this.step = step
  }

  add(content: string, out: Array<AgentEvent>): void {
    // Signatures come without text.
    if (content === "") return
    this.pieces.push(content)
    out.push({ _tag: "Token", content, step: this.step, phase: "thought" })
  }

  flush(out: Array<AgentEvent>): void {
    if (this.pieces.length === 0) return
    const content = this.pieces.join("")
    this.pieces = []
    if (content.trim() !== "") out.push({ _tag: "Thought", content, step: this.step })
  }
}
