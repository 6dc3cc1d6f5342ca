/**
 * How an agent talks with a model: what it asks, how it reads a turn, and what it keeps of it.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import type { AgentEvent } from "../AgentEvent.ts"

/** A tool that the model wants called. */
export interface Call {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/** What the model is told of a call. */
export interface Result {
  /** As text. */
  readonly content: string
  readonly isError: boolean
  /** The tool's own encoded result, or the error as text. */
  readonly encoded: unknown
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart> | undefined
}

/** What a turn comes to, and the messages that history keeps of it. */
export type Turn =
  | { readonly _tag: "Answer"; readonly content: string; readonly messages: ReadonlyArray<Prompt.Message> }
  | {
      readonly _tag: "Calls"
      readonly calls: ReadonlyArray<Call>
      readonly messages: (results: ReadonlyArray<Result>) => ReadonlyArray<Prompt.Message>
    }
  | { readonly _tag: "Unreadable"; readonly messages: ReadonlyArray<Prompt.Message> }

/** Reads one turn. */
export interface Reading {
  /** Adds what an event tells to `out`. True once nothing more of this turn is wanted. */
  readonly read: (event: LlmEvent, out: Array<AgentEvent>) => boolean
  /** The turn has come to its good end, or has been cut off. */
  readonly end: (out: Array<AgentEvent>) => Turn
}

export interface Strategy {
  /** What a turn asks. In the last one, which is for an answer alone, no tool may be called. */
  readonly request: (history: Prompt.Prompt, isLast: boolean) => LlmRequest
  readonly reading: (step: number) => Reading
}
