/**
 * What is logged of a request: one line, without what was asked or answered.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as LlmUsage from "../../LlmUsage.ts"
import type { Callbacks } from "../../policy/Callbacks.ts"
import * as Report from "../Report.ts"

/**
 * One request, from its head to its end.
 *
 * @category models
 * @since 0.1.0
 */
export class Entry {
  status: number | undefined
  /** How many answers are being given. */
  running = 0
  private readonly method: string
  private readonly path: string
  private readonly start: number
  private readonly usages: Array<LlmUsage.LlmUsage> = []
  private failure: string | undefined

  /** `start` is in milliseconds. The query is where prompts and keys are: it is not for a path. */
  constructor(method: string, path: string, start: number) {
    this.method = method
    this.path = path.length > longest ? `${path.slice(0, longest)}…` : path
    this.start = start
  }

  /** Follows the answers that are given. */
  readonly callbacks: Callbacks = {
    onStart: () => Effect.sync(() => void this.running++),
    onEnd: ({ exit, usage }) =>
      Effect.sync(() => {
        this.running--
        this.usages.push(usage)
        if (!Exit.isFailure(exit)) return
        const error = Option.getOrUndefined(Exit.findErrorOption(exit))
        if (error !== undefined) this.failure = error.reason._tag
        else if (!Cause.hasInterruptsOnly(exit.cause)) this.failure = "Internal"
      })
  }

  /** The line. */
  line(end: number, exit: Exit.Exit<unknown, unknown>, isStopping: boolean): string {
    const parts = [`${Math.round(end - this.start)} ms`]
    if (this.usages.length > 1) parts.push(`${this.usages.length} answers`)
    if (this.usages.length > 0) parts.push(Report.tokens(LlmUsage.sum(this.usages)))
    if (this.failure !== undefined) parts.push(`failed: ${this.failure}`)
    else if (Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause))
      parts.push(isStopping ? "stopped" : "the client left")
    return `${this.method} ${this.path} ${this.status ?? "-"} ${parts.join(", ")}`
  }
}

const longest = 60
