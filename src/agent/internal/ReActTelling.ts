/** What a text says, in the order in which it is told: tokens first, then what they add up to. */
import type { Said } from "../ReAct.ts"

type Phase = "thought" | "answer"

/** Tells it. */
export class ReActTelling {
  /** Where to. */
  out: Array<Said> = []
  /** The tokens of the answer, and of the thought that is not told whole yet. */
  private readonly told: Record<Phase, Array<string>> = { thought: [], answer: [] }
  private phase: Phase = "thought"
  private token = ""

  /** Something has been told, and is not told whole yet. */
  has(phase: Phase): boolean {
    return this.told[phase].length > 0 || (this.phase === phase && this.token !== "")
  }

  /** What comes together becomes one token. */
  tell(phase: Phase, text: string): void {
    if (phase !== this.phase) this.flush()
    this.phase = phase
    this.token += text
  }

  flush(): void {
    if (this.token === "") return
    this.out.push({ _tag: "Token", text: this.token, phase: this.phase })
    this.told[this.phase].push(this.token)
    this.token = ""
  }

  endThought(): void {
    this.flush()
    const content = this.told.thought.join("")
    this.told.thought = []
    if (content !== "") this.out.push({ _tag: "Thought", content })
  }

  endAnswer(): void {
    this.flush()
    this.out.push({ _tag: "Answer", content: this.told.answer.join("") })
  }

  action(name: string, input: unknown): void {
    this.flush()
    const { answer, thought } = this.told
    // What was streamed as an answer turns out to have been a thought.
    if (answer.length > 0) this.told.thought = [...answer, ...(thought.length > 0 ? ["\n"] : []), ...thought]
    this.endThought()
    this.out.push({ _tag: "Action", name, input })
  }

  unreadable(why: string): void {
    this.endThought()
    this.out.push({ _tag: "Unreadable", why })
  }
}
