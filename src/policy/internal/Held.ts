/**
 * What the consumer of several attempts holds of their answer, as one looks at the events that pass.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { LlmEvent } from "../../LlmEvent.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Seam } from "./Seam.ts"

export type Events = NonEmptyReadonlyArray<LlmEvent>

export class Held {
  /** Characters of text. */
  emitted = 0
  /** Whether anything of the answer has come. */
  hasOutput = false
  /** Whether the answer has come to its end, or to tool calls that may be run. */
  isWhole = false
  /** What the failed attempts used. */
  readonly spent: Array<LlmUsage.LlmUsage> = []
  private pieces: Array<string> = []
  /** Failures that a policy below has told of in the running attempt. */
  private failures = 0
  private seam: Seam | undefined
  /** The text that the running attempt goes on from, and what cuts its repetition. */
  private base: { readonly text: string; readonly seam: () => Seam } | undefined
  private readonly keepsText: boolean

  constructor(keepsText: boolean) {
    this.keepsText = keepsText
  }

  /** The text, where it is kept. */
  text(): string {
    const text = this.pieces.join("")
    this.pieces = [text]
    return text
  }

  /** An attempt begins, which goes on from the text. */
  goOn(seam: () => Seam): void {
    this.base = { text: this.text(), seam }
    this.seam = seam()
  }

  /** All of it is void. */
  clear(): void {
    this.failures = 0
    this.emitted = 0
    this.hasOutput = false
    this.isWhole = false
    this.pieces = []
    this.base = undefined
    this.seam = undefined
  }

  /** Events of the running attempt, less what they repeat: they themselves where that is nothing. */
  take(events: Events): Events | undefined {
    if (this.base !== undefined || this.spent.length > 0) return this.takeChanged(events)
    for (const event of events) this.see(event)
    return events
  }

  /** The running attempt has ended: what it held back. */
  end(): Events | undefined {
    const out: Array<LlmEvent> = []
    this.closeSeam(out)
    return isNonEmpty(out) ? out : undefined
  }

  private takeChanged(events: Events): Events | undefined {
    const out: Array<LlmEvent> = []
    for (const event of events) this.change(event, out)
    return isNonEmpty(out) ? out : undefined
  }

  private change(event: LlmEvent, out: Array<LlmEvent>): void {
    switch (event._tag) {
      case "TextDelta": {
        if (this.seam === undefined) break
        const text = this.seam.push(event.text)
        if (text !== undefined) this.seam = undefined
        if (text === undefined || text === "") return
        return this.pass({ _tag: "TextDelta", text }, out)
      }
      case "Restarted": {
        // A policy below began its part of the answer anew: it knows nothing of what this part goes on from.
        const { base } = this
        if (base === undefined) break
        if (this.emitted === base.text.length) {
          this.pass({ _tag: "AttemptFailed", attempt: this.failures + 1, error: event.error }, out)
          return this.goOn(base.seam)
        }
        this.pass(event, out)
        this.pass({ _tag: "TextDelta", text: base.text }, out)
        return this.goOn(base.seam)
      }
      case "Finished":
        this.closeSeam(out)
        return this.pass(
          this.spent.length === 0 ? event : { ...event, usage: LlmUsage.sum([...this.spent, event.usage]) },
          out
        )
      case "ReasoningDelta":
      case "Refusal":
      case "ToolCallStarted":
      case "ToolCallDelta":
      case "ToolCalled":
        this.closeSeam(out)
        break
      case "Started":
      case "Source":
      case "AttemptFailed":
      case "Switched":
        break
    }
    this.pass(event, out)
  }

  private closeSeam(out: Array<LlmEvent>): void {
    // Before its first text, an answer that goes on may well reason.
    if (this.seam?.isHolding !== true) return
    const text = this.seam.end()
    this.seam = undefined
    if (text !== "") this.pass({ _tag: "TextDelta", text }, out)
  }

  private pass(event: LlmEvent, out: Array<LlmEvent>): void {
    this.see(event)
    out.push(event)
  }

  private see(event: LlmEvent): void {
    switch (event._tag) {
      case "TextDelta":
        this.emitted += event.text.length
        this.hasOutput = true
        if (this.keepsText) this.pieces.push(event.text)
        break
      case "ReasoningDelta":
      case "Refusal":
      case "ToolCallStarted":
      case "ToolCallDelta":
      case "Source":
        this.hasOutput = true
        break
      case "ToolCalled":
      case "Finished":
        this.hasOutput = true
        this.isWhole = true
        break
      case "Restarted":
        this.clear()
        break
      case "AttemptFailed":
        this.failures++
        break
      case "Started":
      case "Switched":
        break
    }
  }
}

const isNonEmpty = (events: ReadonlyArray<LlmEvent>): events is Events => events.length > 0
