/**
 * Counts what one run uses as its events pass by.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent, Of } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import { isRefused, ofError, promptCharacters } from "./usageOf.ts"

export class Meter {
  /** Characters of the prompt. */
  readonly input: number
  /** Characters of the answer that is coming. */
  output = 0
  /** Characters of text that the reader has been given. */
  emitted = 0
  started: Of<"Started"> | undefined
  finished: Of<"Finished"> | undefined
  /** What attempts used that a policy under this has given up. */
  private readonly lost: Array<LlmUsage.LlmUsage> = []
  private lastError: LlmError | undefined
  private reasoning = 0

  constructor(request: LlmRequest) {
    this.input = promptCharacters(request)
  }

  see(events: NonEmptyReadonlyArray<LlmEvent>): void {
    for (const event of events) {
      switch (event._tag) {
        case "TextDelta":
          this.output += event.text.length
          this.emitted += event.text.length
          break
        case "ReasoningDelta":
          this.output += event.text.length
          this.reasoning += event.text.length
          break
        case "Refusal":
          this.output += event.text.length
          break
        case "ToolCallDelta":
          this.output += event.delta.length
          break
        case "Started":
          this.started = event
          break
        case "Finished":
          this.finished = event
          break
        case "AttemptFailed":
        case "Restarted":
        case "Switched":
          this.lose(event.error)
          break
        case "ToolCallStarted":
        case "ToolCalled":
        case "Source":
          break
      }
    }
  }

  /** A policy may tell of one error twice, as of an attempt that failed and of the model that is left. */
  private lose(error: LlmError): void {
    if (error === this.lastError) return
    this.lastError = error
    const used = ofError(error, () => this.input)
    if (used === undefined) return
    this.lost.push(used)
    this.output = 0
    this.reasoning = 0
  }

  /** Tokens so far: told ones of attempts that were lost, and an estimate of the one that is running. */
  soFar(): LlmUsage.LlmUsage {
    const running = this.estimate()
    return this.lost.length === 0 ? running : LlmUsage.sum([...this.lost, running])
  }

  /** What the run used. `error` is that of its stream, if it has failed with one. */
  total(error: LlmError | undefined): LlmUsage.LlmUsage {
    const told = this.finished?.usage ?? error?.usage
    if (told !== undefined) return this.whole(told)
    return error !== undefined && isRefused(error) ? LlmUsage.sum(this.lost) : this.soFar()
  }

  /** What a provider does not count is estimated. */
  private whole(told: LlmUsage.LlmUsage): LlmUsage.LlmUsage {
    if (told.inputTokens !== undefined && told.outputTokens !== undefined) return told
    return { ...this.estimate(), ...told, source: "estimated" }
  }

  private estimate(): LlmUsage.LlmUsage {
    return LlmUsage.estimate({
      input: this.input,
      output: this.output - this.reasoning,
      reasoning: this.reasoning
    })
  }
}
