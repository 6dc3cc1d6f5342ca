/**
 * One turn of the model while it is heard: what its events mean for any strategy, and what it used.
 *
 * @internal
 */
import { ContentFiltered, LlmError, type Reason, Truncated } from "../../LlmError.ts"
import type { FinishReason, LlmEvent, Of } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import type { LlmUsage } from "../../LlmUsage.ts"
import { Meter } from "../../policy/internal/Meter.ts"
import type { AgentEvent } from "../AgentEvent.ts"
import type { Reading, Strategy, Turn } from "./Strategy.ts"

export class Hearing {
  private reading: Reading
  private refusal: Array<string> = []
  private isCalling = false
  /** Whether any of it has been told: then it cannot be begun anew. */
  private isTold = false
  private hasReasoned = false
  private readonly meter: Meter
  private readonly strategy: Strategy
  private readonly step: number

  constructor(strategy: Strategy, request: LlmRequest, step: number) {
    this.strategy = strategy
    this.meter = new Meter(request)
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
    return this.meter.finished?.reason
  }

  /** The provider's numbers, or an estimate where the turn was cut off. */
  get usage(): LlmUsage {
    return this.meter.finished?.usage ?? this.meter.soFar()
  }

  private see(event: LlmEvent): LlmError | undefined {
    this.meter.see(event)
    switch (event._tag) {
      case "ReasoningDelta":
        this.hasReasoned ||= event.text !== ""
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
    if (reason === "length" && (this.isCalling || this.meter.emitted === 0)) {
      return this.truncated(usage)
    }
    return undefined
  }

  private truncated(usage: LlmUsage): LlmError {
    const message = "the token limit cut the turn before it had an answer or a whole tool call. Raise `maxTokens`."
    return this.error(new Truncated({ message }), usage)
  }

  private error(reason: Reason, usage: LlmUsage): LlmError {
    const { emitted, started } = this.meter
    const isBegun = emitted > 0 || this.hasReasoned || this.isCalling || this.refusal.length > 0
    return new LlmError({
      reason,
      provider: started?.provider ?? "llm",
      ...(started?.model === undefined ? undefined : { model: started.model }),
      phase: isBegun ? "mid-output" : "before-output",
      emitted,
      usage
    })
  }
}
