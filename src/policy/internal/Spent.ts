/**
 * What the failed attempts of a stream used, as its events tell it: for those who have to estimate the rest.
 *
 * @internal
 */
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import * as LlmUsage from "../../LlmUsage.ts"

export class Spent {
  private readonly usages: Array<LlmUsage.LlmUsage> = []
  private last: LlmError | undefined

  /** Whether an attempt has failed whose usage is known: then it covers all that was told before. */
  see(event: LlmEvent): boolean {
    if (event._tag !== "AttemptFailed" && event._tag !== "Restarted" && event._tag !== "Switched") return false
    const { error } = event
    // `Restarted` and `Switched` may tell of one failure.
    if (error === this.last || error.usage === undefined) return false
    this.last = error
    this.usages.push(error.usage)
    return true
  }

  /** All of it, and what the last attempt used. */
  and(usage: LlmUsage.LlmUsage): LlmUsage.LlmUsage {
    return this.usages.length === 0 ? usage : LlmUsage.sum([...this.usages, usage])
  }
}
