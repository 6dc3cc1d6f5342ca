/**
 * What can go wrong while an agent runs, as tagged data.
 *
 * There is one error, {@link AgentError}; its `reason` says what happened, and it carries the
 * conversation so far and what was used. No prompt, answer or tool's input is part of any message.
 *
 * ```ts
 * agent.run("Research Python").pipe(
 *   Effect.catchReason("AgentError", "LimitExceeded", (_, error) => agent.run(error.transcript)))
 * ```
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Schema from "effect/Schema"
import { LlmError } from "../LlmError.ts"
import { LlmUsage } from "../LlmUsage.ts"

/**
 * The model could not be asked, or its turn failed: `error` is why.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ModelFailed extends Schema.TaggedError<ModelFailed>()("ModelFailed", { error: LlmError }) {
  override get message(): string {
    return this.error.message
  }
}

/**
 * The run met a limit before it had an answer.
 *
 * @category reasons
 * @since 0.1.0
 */
export class LimitExceeded extends Schema.TaggedError<LimitExceeded>()("LimitExceeded", {
  which: Schema.Literals(["steps", "duration", "tool-calls", "tokens"]),
  /** The limit itself: a number of steps, milliseconds, calls or tokens. */
  limit: Schema.Number
}) {
  override get message(): string {
    return `no answer within ${this.limit} ${units[this.which]}. Raise \`${options[this.which]}\`, or take \`onLimit: "answer"\` for an answer from what is known by then.`
  }
}

const units = { steps: "steps", duration: "ms", "tool-calls": "tool calls", tokens: "tokens" } as const
const options = {
  steps: "maxSteps",
  duration: "maxDuration",
  "tool-calls": "maxToolCalls",
  tokens: "tokenBudget"
} as const

/**
 * The model's text could not be read as a thought, an action or an answer, and telling it so did not help.
 *
 * @category reasons
 * @since 0.1.0
 */
export class Unreadable extends Schema.TaggedError<Unreadable>()("Unreadable", {
  /** How often it was told, one after the other. */
  repairs: Schema.Number
}) {
  override get message(): string {
    return `the model does not keep to the form of a thought, an action or an answer, though told so ${this.repairs} times. Take another model, or the strategy "tools".`
  }
}

/**
 * Why a tool gave no result.
 *
 * - `unknown`: there is no tool of this name.
 * - `input`: the model's input does not fit the tool's schema.
 * - `denied`: the tool needs an approval, and there was none.
 * - `handler`: its handler failed; `error` is with what.
 * - `result`: what its handler gave does not fit the tool's schema.
 * - `timeout`: it took longer than `toolTimeout`.
 *
 * @category models
 * @since 0.1.0
 */
export const ToolFailure = Schema.Literals(["unknown", "input", "denied", "handler", "result", "timeout"])

/**
 * Why a tool gave no result.
 *
 * @category models
 * @since 0.1.0
 */
export type ToolFailure = typeof ToolFailure.Type

/**
 * A tool gave no result, and `onToolError` is `"fail"`.
 *
 * @category reasons
 * @since 0.1.0
 */
export class ToolFailed extends Schema.TaggedError<ToolFailed>()("ToolFailed", {
  /** The call's id. */
  id: Schema.String,
  /** As the model named it. */
  toolName: Schema.String,
  failure: ToolFailure,
  /** What the handler or a schema failed with, where one did. */
  error: Schema.optionalKey(Schema.Unknown)
}) {
  override get message(): string {
    return messages[this.failure]
  }
}

const messages: Readonly<Record<ToolFailure, string>> = {
  unknown: "the model called a tool that there is not; `toolName` is its name.",
  input: "the model gave a tool an input that does not fit its schema.",
  denied: "a tool needs an approval that was not given. Give one with `approve`.",
  handler: "a tool's handler failed; `error` is with what.",
  result: "a tool's handler gave what does not fit the tool's schema.",
  timeout: "a tool took longer than `toolTimeout`."
}

/**
 * Another run of the same session has not ended.
 *
 * @category reasons
 * @since 0.1.0
 */
export class SessionBusy extends Schema.TaggedError<SessionBusy>()("SessionBusy", {}) {
  override get message(): string {
    return "another run of this session has not ended. Wait for it, or take another session."
  }
}

/**
 * Why a run failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export const Reason = Schema.Union([ModelFailed, LimitExceeded, Unreadable, ToolFailed, SessionBusy])

/**
 * Why a run failed.
 *
 * @category reasons
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The error of every run of an agent.
 *
 * @category errors
 * @since 0.1.0
 */
export class AgentError extends Schema.TaggedError<AgentError>()("AgentError", {
  /** What happened. */
  reason: Reason,
  /** The conversation as far as its last whole step, without a call that has no result: a run can go on from it. */
  transcript: Prompt.Prompt,
  /** What the run used, the turn that failed included. */
  usage: LlmUsage,
  /** The step that failed, counted from 1; 0 before the first. */
  step: Schema.Number
}) {
  override get message(): string {
    return `agent: ${this.reason._tag}: ${this.reason.message}`
  }

  /**
   * What logs and consoles show: what happened, and nothing of the conversation. To keep all of it, encode
   * it by its schema.
   *
   * @since 0.1.0
   */
  override toJSON(): unknown {
    return { _tag: this._tag, message: this.message, step: this.step, usage: this.usage }
  }

  /**
   * Whether the same run may succeed if begun again, or gone on with: so if its model's turn may.
   *
   * @since 0.1.0
   */
  get isRetryable(): boolean {
    return this.reason._tag === "ModelFailed" && this.reason.error.isRetryable
  }
}

/**
 * Whether a value is an {@link AgentError}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isAgentError: (u: unknown) => u is AgentError = Schema.is(AgentError)
