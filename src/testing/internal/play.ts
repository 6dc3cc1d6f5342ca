/**
 * Plays the steps of one turn, by the laws of `protocol/Turn`.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { isLlmError, LlmError, type Phase, type Reason } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import * as Turn from "../../protocol/Turn.ts"
import type { Step } from "../ScriptedLlm.ts"

export interface Options {
  readonly provider: string
  readonly model: string | undefined
  readonly index: number
  readonly inputCharacters: number
  /** Told when the turn's end is given out. */
  readonly ended: (state: "completed" | "failed") => void
}

type Events = NonEmptyReadonlyArray<LlmEvent>

/** Each step is an array, made when it is pulled; so is the end. */
export const play = (steps: ReadonlyArray<Step>, options: Options): Stream.Stream<LlmEvent, LlmError> =>
  Stream.fromPull(
    Effect.sync(() => {
      const playing = new Playing(steps, options)
      return Effect.suspend(() => playing.next())
    })
  )

class Playing {
  private at = 0
  private over = false
  private readonly turn: Turn.Turn
  private readonly calls = new Map<string, Turn.OpenToolCall>()
  private readonly steps: ReadonlyArray<Step>
  private readonly options: Options

  constructor(steps: ReadonlyArray<Step>, options: Options) {
    this.steps = steps
    this.options = options
    this.turn = Turn.make({
      provider: options.provider,
      inputCharacters: options.inputCharacters,
      conceal: (text) => text
    })
  }

  next(): Pull.Pull<Events, LlmError> {
    if (this.over) return Cause.done()
    const step = this.steps[this.at++]
    if (step === undefined) return this.finish()
    if (step._tag === "Pause") return Effect.flatMap(Effect.sleep(step.duration), () => this.next())
    if (step._tag === "Fail") return this.fail(step)
    if (step._tag === "Finish") {
      this.turn.reason = step.reason
      this.turn.rawReason = step.rawReason
      return this.finish()
    }
    const out: Array<LlmEvent> = []
    this.tell(step, out)
    return isNonEmpty(out) ? Effect.succeed(out) : this.next()
  }

  private tell(step: Exclude<Step, { _tag: "Pause" | "Fail" | "Finish" }>, out: Array<LlmEvent>): void {
    const { turn } = this
    if (step._tag === "Usage") {
      turn.usage = step.usage
      return
    }
    if (step._tag === "Event") return this.event(step.event, out)
    const { model } = this.options
    Turn.start(turn, out, step._tag === "Start" ? { model, ...step } : { model })
    switch (step._tag) {
      case "Start":
        break
      case "Text":
        for (const delta of step.deltas) Turn.text(turn, out, delta)
        break
      case "Reasoning":
        for (const delta of step.deltas) Turn.reasoning(turn, out, delta)
        break
      case "Refusal":
        for (const delta of step.deltas) Turn.refusal(turn, out, delta)
        break
      case "ToolCall": {
        const id = step.id ?? ""
        // A step that was split goes on with the call that it has opened.
        const call = this.calls.get(id) ?? Turn.openToolCall(turn, id)
        this.calls.set(id, call)
        if (step.metadata !== undefined) call.metadata = step.metadata
        Turn.continueToolCall(turn, out, call, step.name, "")
        for (const delta of step.deltas) Turn.continueToolCall(turn, out, call, "", delta)
      }
    }
  }

  /** Counts what an event tells, so that errors and estimates are right. */
  private event(event: LlmEvent, out: Array<LlmEvent>): void {
    const { turn } = this
    if (event._tag === "Started") turn.started = true
    else Turn.start(turn, out, { model: this.options.model })
    const counted: Array<LlmEvent> = []
    if (event._tag === "TextDelta") Turn.text(turn, counted, event.text)
    if (event._tag === "ReasoningDelta") Turn.reasoning(turn, counted, event.text)
    if (event._tag === "Refusal") Turn.refusal(turn, counted, event.text)
    if (event._tag === "ToolCallStarted" || event._tag === "ToolCallDelta") turn.output = true
    out.push(event)
    if (event._tag === "Finished") this.complete()
  }

  private finish(): Pull.Pull<Events, LlmError> {
    const out: Array<LlmEvent> = []
    Turn.start(this.turn, out, { model: this.options.model })
    this.turn.reason ??= "stop"
    Turn.finish(this.turn, out)
    this.complete()
    return isNonEmpty(out) ? Effect.succeed(out) : Cause.done()
  }

  private complete(): void {
    this.over = true
    this.options.ended("completed")
  }

  private fail({ details, error }: Extract<Step, { _tag: "Fail" }>): Effect.Effect<never, LlmError> {
    this.options.ended("failed")
    if (isLlmError(error)) return Effect.fail(error)
    const { turn } = this
    const { model, provider } = this.options
    const phase = details.phase ?? (turn.output ? "mid-output" : turn.started ? "before-output" : phaseOfNothing(error))
    const { emitted } = Turn.told(turn)
    // Who refuses a request does not bill for it.
    const refused = phase === "request" || phase === "headers"
    const usage = refused ? turn.usage : Turn.usageSoFar(turn)
    const { requestId, retryAfter, shouldRetry } = details
    return Effect.fail(
      new LlmError({
        reason: error,
        provider,
        phase,
        emitted,
        ...(model === undefined ? undefined : { model }),
        ...(usage === undefined ? undefined : { usage }),
        ...(retryAfter === undefined ? undefined : { retryAfter: Duration.fromInputUnsafe(retryAfter) }),
        ...(shouldRetry === undefined ? undefined : { shouldRetry }),
        ...(requestId === undefined ? undefined : { requestId })
      })
    )
  }
}

/** How far a turn had come that failed before it told anything. */
const phaseOfNothing = (reason: Reason): Phase => {
  switch (reason._tag) {
    case "Unreachable":
    case "Unsupported":
    case "BudgetExceeded":
    case "CircuitOpen":
      return "request"
    case "Disconnected":
    case "Truncated":
    case "Malformed":
      return "before-output"
    case "DeadlineExceeded":
      return reason.which === "headers" ? "request" : "before-output"
    default:
      return "headers"
  }
}

const isNonEmpty = (array: ReadonlyArray<LlmEvent>): array is Events => array.length > 0
