/**
 * What a run of a stream uses, as its events tell it: the one place where this is counted, and estimated
 * where nobody tells it.
 *
 * @internal
 */
import * as Result from "effect/Result"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent, Of } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import { isPartOf } from "./amending.ts"
import { isRefused } from "./refusing.ts"

export class Meter {
  /** Who answers. */
  started: Of<"Started"> | undefined
  finished: Of<"Finished"> | undefined
  /** Characters of text that the reader has been given. */
  emitted = 0
  /** What attempts used that a policy below has given up, by the error of each. */
  private readonly lost: Map<LlmError, LlmUsage.LlmUsage> = new Map()
  /** Characters of the attempt that is running: of text, refusals and calls, and of reasoning. */
  private text = 0
  private reasoning = 0
  private prompt: number | undefined
  private readonly request: LlmRequest.LlmRequest | undefined

  /** Without a request, nothing is known of what goes in. */
  constructor(request: LlmRequest.LlmRequest | undefined) {
    this.request = request
  }

  /** Characters of the prompt: 0 for one that is not valid, which is never sent. Counted when it is asked for. */
  get input(): number {
    return (this.prompt ??= this.request === undefined ? 0 : characters(this.request))
  }

  /** Characters of the answer, in the attempt that is running. */
  get output(): number {
    return this.text + this.reasoning
  }

  see(event: LlmEvent): void {
    switch (event._tag) {
      case "TextDelta":
        this.emitted += event.text.length
        this.text += event.text.length
        break
      case "ReasoningDelta":
        this.reasoning += event.text.length
        break
      case "Refusal":
        this.text += event.text.length
        break
      case "ToolCallDelta":
        this.text += event.delta.length
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

  /** An attempt is given up: what it used is told, or what was counted of it. */
  private lose(error: LlmError): void {
    // One failure may be told twice, as of an attempt and of the model that is left.
    if (this.lost.has(error)) return
    const used = error.usage ?? (isRefused(error) ? undefined : this.estimate(error))
    if (used === undefined) return
    // A policy below has told of its attempts, and fails with what they used together.
    for (const part of this.lost.keys()) if (isPartOf(part, error)) this.lost.delete(part)
    this.lost.set(error, used)
    this.text = 0
    this.reasoning = 0
  }

  /** What was used so far: that of the attempt which is running by an estimate. */
  soFar(): LlmUsage.LlmUsage {
    return this.and(this.estimate())
  }

  /**
   * What the run used, by whoever tells it: its end, or the error that it failed with. Else an estimate.
   * `undefined` where it was refused and nothing was used before.
   */
  total(error: LlmError | undefined): LlmUsage.LlmUsage | undefined {
    const told = this.finished?.usage ?? error?.usage
    if (told !== undefined) return told
    if (error === undefined || !isRefused(error)) return this.and(this.estimate(error))
    return this.lost.size === 0 ? undefined : LlmUsage.sum([...this.lost.values()])
  }

  /** The same with nothing left open: what only half was told is estimated, and nothing is 0. */
  whole(error: LlmError | undefined): LlmUsage.LlmUsage {
    const used = this.total(error)
    if (used === undefined) return LlmUsage.sum([])
    if (used.inputTokens !== undefined && used.outputTokens !== undefined) return used
    return { ...this.estimate(error), ...used, source: "estimated" }
  }

  /** The attempt that is running, by its characters. An error may know of more than has passed here. */
  estimate(error?: LlmError): LlmUsage.LlmUsage {
    const output = error === undefined ? this.text : Math.max(this.text, error.emitted)
    const usage = LlmUsage.estimate({ input: this.input, output, reasoning: this.reasoning })
    if (this.request !== undefined) return usage
    const { inputTokens: _unknown, ...answer } = usage
    return answer
  }

  private and(usage: LlmUsage.LlmUsage): LlmUsage.LlmUsage {
    return this.lost.size === 0 ? usage : LlmUsage.sum([...this.lost.values(), usage])
  }
}

const characters = (request: LlmRequest.LlmRequest): number => {
  const messages = LlmRequest.messages(request)
  return Result.isSuccess(messages) ? LlmRequest.countCharacters(messages.success) : 0
}
