/**
 * The error of every call, for callers who do not know Effect. No Effect type is part of it.
 *
 * @since 0.1.0
 */
import type { Message } from "./Request.ts"

/**
 * What happened, for a `switch`:
 *
 * ```ts
 * try {
 *   console.log((await rill.run("Hello")).text)
 * } catch (error) {
 *   if (!(error instanceof Rill.RillError)) throw error
 *   switch (error.reason) {
 *     case "RateLimited":
 *       return again(error.retryAfter ?? 1000)
 *     case "Authentication":
 *       return askForKey()
 *     default:
 *       throw error
 *   }
 * }
 * ```
 *
 * `LimitExceeded`, `ToolFailed`, `Unreadable` and `SessionBusy` are of agents, and the reasons of
 * `effect-rill/agent/AgentError`; `Closed` is a call on a client that is closed, and `LayerFailed` one of a
 * Layer that could not be built, whose error is the `cause`. All others are the reasons of `effect-rill/LlmError`.
 * Those modules say what each means.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | "Unreachable"
  | "Authentication"
  | "PermissionDenied"
  | "NotFound"
  | "InvalidRequest"
  | "ContextTooLong"
  | "QuotaExhausted"
  | "RateLimited"
  | "Overloaded"
  | "ProviderFailed"
  | "ContentFiltered"
  | "DeadlineExceeded"
  | "Disconnected"
  | "Truncated"
  | "Malformed"
  | "InvalidOutput"
  | "Unsupported"
  | "BudgetExceeded"
  | "CircuitOpen"
  | "LimitExceeded"
  | "ToolFailed"
  | "Unreadable"
  | "SessionBusy"
  | "Closed"
  | "LayerFailed"

/**
 * How far the answer had come when the call failed: nothing was received, the response head was the
 * failure, the stream had begun, some of the answer had come.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "request" | "headers" | "before-output" | "mid-output"

/**
 * Token counts. Each is there only if it is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage {
  /** Whether the provider counted, or we estimate: characters / 4. */
  readonly source: "exact" | "estimated"
  readonly inputTokens?: number
  readonly outputTokens?: number
  readonly reasoningTokens?: number
  readonly cacheReadTokens?: number
  readonly cacheWriteTokens?: number
  /** The provider's own usage object. */
  readonly raw?: unknown
}

/**
 * The limit that a run of an agent met: a number of steps, milliseconds, calls or tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit {
  readonly which: "steps" | "duration" | "tool-calls" | "tokens"
  readonly value: number
}

/**
 * The call of a tool that gave no result.
 *
 * - `unknown`: there is no tool of this name.
 * - `input`: the model's input does not fit the tool's schema.
 * - `denied`: the tool needs an approval, and there was none.
 * - `handler`: it threw; the error's `cause` is what.
 * - `result`: what it gave cannot be put as JSON.
 * - `timeout`: it took longer than `toolTimeout`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailedTool {
  readonly id: string
  readonly name: string
  readonly failure: "unknown" | "input" | "denied" | "handler" | "result" | "timeout"
}

/**
 * What a {@link RillError} carries beside its message.
 *
 * @category models
 * @since 0.1.0
 */
export interface Details {
  readonly reason: Reason
  /** The provider's name, such as `"openai"`; `"agent"` where it was no turn of the model that failed. */
  readonly provider: string
  /** The model that was asked. */
  readonly model?: string | undefined
  readonly phase: Phase
  /** Characters (UTF-16 code units) of text that had been delivered before the failure. */
  readonly emitted: number
  /** What was used up to the failure. */
  readonly usage?: Usage | undefined
  /** The provider's id of the request, for its support. */
  readonly requestId?: string | undefined
  /** Whether the same request may succeed if sent again. */
  readonly isRetryable: boolean
  /** How long the provider asks to wait before the next try, in milliseconds. */
  readonly retryAfter?: number | undefined
  /** HTTP status, where the error came as one. */
  readonly status?: number | undefined
  /** The provider's own code, or the system's, such as `ECONNREFUSED`. */
  readonly code?: string | undefined
  /** The model's own words, where it declined to answer. */
  readonly refusal?: string | undefined
  /** Which deadline passed. */
  readonly deadline?: "headers" | "first-token" | "idle" | "total" | undefined
  /** What is not supported, such as `"seed"` by OpenAI's Responses. */
  readonly feature?: string | undefined
  /**
   * Of `InvalidOutput`: where in the answer, as keys and indices from its root. It is not enumerable, for a model
   * makes up keys too.
   */
  readonly path?: ReadonlyArray<string | number> | undefined
  /** Models that were asked before this one, and the reasons for which they failed. */
  readonly failedBefore?: ReadonlyArray<string> | undefined
  /** Of an agent: the step that failed, counted from 1; 0 before the first. `usage` is then of all steps, all else of the turn that failed. */
  readonly step?: number | undefined
  /**
   * Of an agent: the conversation as far as its last whole step. A run can go on from it. It is not
   * enumerable, so that no log shows it.
   */
  readonly messages?: ReadonlyArray<Message> | undefined
  /** Which limit was met. */
  readonly limit?: Limit | undefined
  /** Which tool gave no result. */
  readonly tool?: FailedTool | undefined
}

const quiet: ReadonlySet<string> = new Set<keyof Details>(["messages", "path"])

/**
 * Why a call failed. A real `Error`: its message says what happened and what to do, and never holds a
 * key, a prompt or an answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class RillError extends Error implements Details {
  declare readonly reason: Reason
  declare readonly provider: string
  declare readonly model?: string
  declare readonly phase: Phase
  declare readonly emitted: number
  declare readonly usage?: Usage
  declare readonly requestId?: string
  declare readonly isRetryable: boolean
  declare readonly retryAfter?: number
  declare readonly status?: number
  declare readonly code?: string
  declare readonly refusal?: string
  declare readonly deadline?: "headers" | "first-token" | "idle" | "total"
  declare readonly feature?: string
  declare readonly path?: ReadonlyArray<string | number>
  declare readonly failedBefore?: ReadonlyArray<string>
  declare readonly step?: number
  declare readonly messages?: ReadonlyArray<Message>
  declare readonly limit?: Limit
  declare readonly tool?: FailedTool

  constructor(message: string, details: Details, options?: { readonly cause?: unknown }) {
    super(message, options)
    // Only what is known, so that a printed error stays short, and nothing of a conversation.
    for (const [key, value] of Object.entries(details)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: !quiet.has(key) })
    }
  }

  static {
    this.prototype.name = "RillError"
  }
}
