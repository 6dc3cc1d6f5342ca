/**
 * One turn of the model while it is heard: what its events mean for any strategy, and what it used.
 *
 * @internal
 */
import * as Result from "effect/Result"
import { ContentFiltered, LlmError, type Reason, Truncated } from "../../LlmError.ts"
import type { FinishReason, LlmEvent, Of } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import { Spent } from "../../policy/internal/Spent.ts"
import type { AgentEvent } from "../AgentEvent.ts"
import type { Reading, Strategy, Turn } from "./Strategy.ts"

export class Hearing {
  private reading: Reading
  private started: Of<"Started"> | undefined
  private finished: Of<"Finished"> | undefined
  private refusal: Array<string> = []
  private isCalling = false
  /** Whether any of it has been told: then it cannot be begun anew. */
  private isTold = false
  private text = 0
  private reasoning = 0
  private readonly spent = new Spent()
  /** How much of the text and the reasoning is part of `spent`. */
  private counted = { text: 0, reasoning: 0 }
  private readonly strategy: Strategy
  private readonly request: LlmRequest.LlmRequest
  private readonly step: number

  constructor(strategy: Strategy, request: LlmRequest.LlmRequest, step: number) {
    this.strategy = strategy
    this.request = request
    this.step = step
    this.reading = strategy.reading(step)
  }

  /** Adds what events tell to `out`. `enough`: nothing more of the turn is wanted. */
  hear(events: ReadonlyArray<LlmEvent>, out: Array<AgentEvent>): LlmError | "enough" | undefined {
    for (const event of events) {
      const error = this.see(event)
      if (error !== undefined) return error
      if (this.reading.read(event, out)) return "enough"
      if (out.length > 0) this.isTold = true
    }
    return undefined
  }

  /** What the turn comes to; an error where the token limit cut it before it could be read. */
  end(out: Array<AgentEvent>): Turn | LlmError {
    const turn = this.reading.end(out)
    return turn._tag === "Unreadable" && this.reason === "length" ? this.truncated(this.usage) : turn
  }

  get reason(): FinishReason | undefined {
    return this.finished?.reason
  }

  /** The provider's numbers, or an estimate where the turn was cut off. */
  get usage(): LlmUsage.LlmUsage {
    if (this.finished !== undefined) return this.finished.usage
    const messages = Result.getOrElse(LlmRequest.messages(this.request), () => [])
    const estimate = LlmUsage.estimate({
      input: LlmRequest.countCharacters(messages),
      output: this.text - this.counted.text,
      reasoning: this.reasoning - this.counted.reasoning
    })
    return this.spent.and(estimate)
  }

  private see(event: LlmEvent): LlmError | undefined {
    if (this.spent.see(event)) this.counted = { text: this.text, reasoning: this.reasoning }
    switch (event._tag) {
      case "TextDelta":
        this.text += event.text.length
        return undefined
      case "ReasoningDelta":
        this.reasoning += event.text.length
        return undefined
      case "Started":
        this.started = event
        return undefined
      case "Refusal":
        this.refusal.push(event.text)
        return undefined
      case "ToolCallStarted":
        this.isCalling = true
        return undefined
      case "Restarted":
        // What has been told cannot be taken back.
        if (this.isTold) return event.error
        this.reading = this.strategy.reading(this.step)
        this.refusal = []
        this.isCalling = false
        return undefined
      case "AttemptFailed":
      case "Switched":
        this.refusal = []
        this.isCalling = false
        return undefined
      case "Finished":
        this.finished = event
        return this.judge(event)
      default:
        return undefined
    }
  }

  /** Ends that are good for a model and not for who asked it. */
  private judge({ reason, usage }: Of<"Finished">): LlmError | undefined {
    const refusal = this.refusal.join("")
    if (refusal !== "" || reason === "content-filter") {
      const message =
        refusal === ""
          ? "the provider's content filter withheld the rest of the turn. Change what is asked."
          : "the model refused to go on. Its words are in `refusal`. Change what is asked."
      return this.error(new ContentFiltered({ message, ...(refusal === "" ? undefined : { refusal }) }), usage)
    }
    if (reason === "length" && (this.isCalling || this.text === 0)) {
      return this.truncated(usage)
    }
    return undefined
  }

  private truncated(usage: LlmUsage.LlmUsage): LlmError {
    const message = "the token limit cut the turn before it had an answer or a whole tool call. Raise `maxTokens`."
    return this.error(new Truncated({ message }), usage)
  }

  private error(reason: Reason, usage: LlmUsage.LlmUsage): LlmError {
    const isBegun = this.text > 0 || this.reasoning > 0 || this.isCalling || this.refusal.length > 0
    return new LlmError({
      reason,
      provider: this.started?.provider ?? "llm",
      ...(this.started?.model === undefined ? undefined : { model: this.started.model }),
      phase: isBegun ? "mid-output" : "before-output",
      emitted: this.text,
      usage
    })
  }
}
