/**
 * What an answer has used of a limit, as its events pass by.
 *
 * @internal
 */
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { LlmError, Reason } from "../../LlmError.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Look } from "./guarding.ts"

type Ended = Exit.Exit<void, LlmError>

export class Spending {
  private usage: LlmUsage.LlmUsage | undefined
  private text = 0
  private reasoning = 0

  readonly look: Look = (events) => {
    for (const event of events) {
      switch (event._tag) {
        case "TextDelta":
        case "Refusal":
          this.text += event.text.length
          break
        case "ReasoningDelta":
          this.reasoning += event.text.length
          break
        case "ToolCallDelta":
          this.text += event.delta.length
          break
        case "Finished":
          this.usage = event.usage
          break
        default:
      }
    }
    return undefined
  }

  /** Whether the request has surely not left: it was refused by something on this side. */
  isUnsent(exit: Ended): boolean {
    const error = errorOf(exit)
    return error !== undefined && error.phase === "request" && !onTheWay.has(error.reason._tag)
  }

  /** The provider's own count where it came; what is missing of it is estimated from what passed by. */
  tokens(exit: Ended, promptCharacters: () => number): number {
    const error = errorOf(exit)
    const { inputTokens, outputTokens } = this.usage ?? error?.usage ?? {}
    const counted = count(inputTokens) ?? count(outputTokens)
    // Who refuses a request does not count its tokens.
    if (counted === undefined && (error?.phase === "request" || error?.phase === "headers")) return 0
    const estimated = LlmUsage.estimate({
      input: count(inputTokens) === undefined ? promptCharacters() : 0,
      output: this.text,
      reasoning: this.reasoning
    })
    return (count(inputTokens) ?? estimated.inputTokens ?? 0) + (count(outputTokens) ?? estimated.outputTokens ?? 0)
  }
}

/** Reasons that leave open whether the provider has the request although it said nothing. */
const onTheWay: ReadonlySet<Reason["_tag"]> = new Set<Reason["_tag"]>([
  "Unreachable",
  "Disconnected",
  "DeadlineExceeded"
])

const errorOf = (exit: Ended): LlmError | undefined => Option.getOrUndefined(Exit.findErrorOption(exit))

/** A count that would spoil a bucket for good is none. */
const count = (tokens: number | undefined): number | undefined =>
  tokens !== undefined && Number.isFinite(tokens) && tokens >= 0 ? tokens : undefined
