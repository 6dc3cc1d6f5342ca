/**
 * Agents for callers who do not know Effect. Take them from `Rill`.
 *
 * @since 0.1.0
 */
import type { FinishReason } from "./Answer.ts"
import type { AnswerStream } from "./AnswerStream.ts"
import type { CallOptions, Message, Request } from "./Request.ts"
import type { Usage } from "./RillError.ts"
import type { Tool } from "./Tool.ts"

/**
 * A call of a tool that needs an approval. Its input is as the model wrote it: it may not fit the tool's
 * schema.
 *
 * @category agents
 * @since 0.1.0
 */
export interface Approval {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/**
 * What an agent is made of. Everything but `tools` is optional.
 *
 * @category agents
 * @since 0.1.0
 */
export interface AgentOptions {
  /** The tools, made with `Rill.tool`, by the names that the model calls them by. */
  readonly tools: Readonly<Record<string, Tool>>
  /** What its spans and metrics know it by: one name for all runs, such as `"researcher"`. Default: none. */
  readonly name?: string | undefined
  /**
   * `tools`: the provider's tool calling, the default. `react`: thoughts and actions as text, for models
   * that can only write.
   */
  readonly strategy?: "tools" | "react" | undefined
  /** Instructions, put before the conversation. */
  readonly system?: string | undefined
  /** What else is asked of the model in every turn: its name, temperature and the like. */
  readonly request?: Omit<Request, "prompt" | "system" | "responseFormat"> | undefined
  /** The most turns of the model. Default 10. */
  readonly maxSteps?: number | undefined
  /** The longest that a run may take, in milliseconds, its reader's pauses included. Default: no limit. */
  readonly maxDuration?: number | undefined
  /** The most calls of tools. A turn that calls more is not run at all. Default: no limit. */
  readonly maxToolCalls?: number | undefined
  /** The most tokens, in and out, of all turns. Looked at before each turn. Default: no limit. */
  readonly tokenBudget?: number | undefined
  /**
   * What happens at a limit. `fail`, the default: the run is rejected as `LimitExceeded`. `answer`: the
   * model has one last turn, without tools.
   */
  readonly onLimit?: "fail" | "answer" | undefined
  /**
   * What happens where a tool gives no result. `observe`, the default: the model is told why, and may mend
   * it. `fail`: the run is rejected as `ToolFailed`.
   */
  readonly onToolError?: "observe" | "fail" | undefined
  /** The longest that a call may take, in milliseconds. Default: no limit. */
  readonly toolTimeout?: number | undefined
  /** How many calls of one turn run at once. Default `"unbounded"`. */
  readonly concurrency?: number | "unbounded" | undefined
  /** With `react`: how often, one after the other, the model is told that it could not be read. Default 2. */
  readonly maxRepairs?: number | undefined
  /**
   * Whether a call of a tool with `needsApproval` may run. Default: none may, and the model is told so.
   * What it throws, the run is rejected with.
   */
  readonly approve?: ((call: Approval) => boolean | Promise<boolean>) | undefined
}

/**
 * What is asked of an agent: a prompt alone, or a conversation.
 *
 * @category agents
 * @since 0.1.0
 */
export type AgentInput = string | ReadonlyArray<Message>

/**
 * An agent: a model and its tools in a loop. The callbacks of its client are called for each turn of the
 * model, and for each call of a tool.
 *
 * @category agents
 * @since 0.1.0
 */
export interface Agent {
  /**
   * A run, as it comes. It begins when it is read. Leaving the loop stops the tools, whose signals are aborted,
   * and closes the connection before the code after the loop runs.
   */
  readonly stream: (input: AgentInput, options?: CallOptions) => AnswerStream<AgentEvent>
  /** A run, as its end. */
  readonly run: (input: AgentInput, options?: CallOptions) => Promise<AgentAnswer>
  /** A conversation of several runs. */
  readonly session: (options?: SessionOptions) => Session
}

/**
 * What a run comes to.
 *
 * @category agents
 * @since 0.1.0
 */
export interface AgentAnswer {
  readonly content: string
  /** Of all turns. */
  readonly usage: Usage
  readonly steps: number
  /** The whole conversation: put more messages after it to go on. */
  readonly messages: ReadonlyArray<Message>
}

/**
 * Options of a session.
 *
 * @category agents
 * @since 0.1.0
 */
export interface SessionOptions {
  /** The conversation so far. Default: none. */
  readonly history?: AgentInput | undefined
  /**
   * Makes the history shorter; called after each run that ended well, with all of it. Results of calls that
   * are gone are left out.
   */
  readonly trim?: ((history: ReadonlyArray<Message>) => ReadonlyArray<Message>) | undefined
}

/**
 * A conversation of several runs: each goes on from the ones before it. A run that failed or was stopped
 * leaves the history as if it had not been.
 *
 * One run at a time: another is rejected as `SessionBusy`.
 *
 * @category agents
 * @since 0.1.0
 */
export interface Session extends Pick<Agent, "stream" | "run"> {
  readonly history: ReadonlyArray<Message>
}

/**
 * One thing that a run of an agent tells. `Final` is the last. Steps, each one turn of the model and the
 * tools it called, are counted from 1.
 *
 * @category agents
 * @since 0.1.0
 */
export type AgentEvent =
  /** The model is about to be asked. */
  | { readonly _tag: "StepStarted"; readonly step: number }
  /**
   * More text, as it comes. The `answer` tokens of the run's last step join to `Final.content`. A model that
   * calls tools may have talked before: that text is told again as a `Thought`.
   */
  | {
      readonly _tag: "Token"
      readonly content: string
      readonly step: number
      readonly phase: "thought" | "answer"
    }
  /** What the model thought, whole. */
  | { readonly _tag: "Thought"; readonly content: string; readonly step: number }
  /** A tool is called, with what the model wrote. One `Observation` with the same `id` follows before the next step. */
  | {
      readonly _tag: "Action"
      readonly id: string
      readonly toolName: string
      readonly input: unknown
      readonly step: number
    }
  /** A preliminary result of a tool that is running; JSON where it is not a string. */
  | {
      readonly _tag: "Progress"
      readonly id: string
      readonly toolName: string
      readonly content: string
      readonly step: number
    }
  /** What a tool gave, as the model is told it; with `isError`, why it gave nothing. In the order of the calls. */
  | {
      readonly _tag: "Observation"
      readonly id: string
      readonly toolName: string
      readonly content: string
      readonly isError: boolean
      readonly step: number
    }
  /** The step is over: what it used, and the conversation so far, from which a run can go on. */
  | {
      readonly _tag: "StepFinished"
      readonly step: number
      readonly outcome: "answered" | "acted" | "unreadable" | "stopped"
      readonly reason: FinishReason
      readonly usage: Usage
      readonly state: ReadonlyArray<Message>
    }
  /** The answer, what the whole run used, and how many steps it took. */
  | { readonly _tag: "Final"; readonly content: string; readonly usage: Usage; readonly steps: number }
