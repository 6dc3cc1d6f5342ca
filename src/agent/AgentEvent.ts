/**
 * What a run of an agent tells, as tagged data.
 *
 * A run is a number of steps, each one turn of the model and the tools it called: `StepStarted`, then
 * `Token`s and `Thought`s as they come, then each `Action`, its `Progress` and its `Observation`, then
 * `StepFinished`. It ends with exactly one `Final`, or fails in the stream's error channel; there is no
 * error event.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import type { Unify } from "effect/Unify"
import { FinishReason } from "../LlmEvent.ts"
import { LlmUsage } from "../LlmUsage.ts"

/**
 * What became of a step.
 *
 * - `answered`: it gave the answer; `Final` is next.
 * - `acted`: its tools have run; the model is asked again.
 * - `unreadable`: the model kept to no form that could be read, and was told what was wrong.
 * - `stopped`: a limit cut it; the model is asked for an answer without tools.
 *
 * @category models
 * @since 0.1.0
 */
export const Outcome = Schema.Literals(["answered", "acted", "unreadable", "stopped"])

/**
 * What became of a step.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = typeof Outcome.Type

/**
 * Schema of all events, with `cases`, `guards`, `match` and `matchOrElse`.
 *
 * Steps are counted from 1.
 *
 * @category schemas
 * @since 0.1.0
 */
export const AgentEvent = Schema.TaggedUnion({
  /** The model is about to be asked. */
  StepStarted: { step: Schema.Number },
  /**
   * More text, as it comes. Never empty.
   *
   * The `answer` tokens of the run's last step join to `Final.content`. Whether a step is the last one
   * shows at its end: a model that calls tools may have talked before, and that text came as `answer`
   * too. It is told again as `Thought`: show the tokens of a step as they come, and take them back to
   * where thoughts are shown when the step's first `Action` comes.
   */
  Token: { content: Schema.String, step: Schema.Number, phase: Schema.Literals(["thought", "answer"]) },
  /** What the model thought, whole: its reasoning, or the text of a turn that calls tools. */
  Thought: { content: Schema.String, step: Schema.Number },
  /** A tool is called. One `Observation` with the same `id` follows before the next step. */
  Action: { id: Schema.String, toolName: Schema.String, input: Schema.Unknown, step: Schema.Number },
  /** A preliminary result of a tool that is running; JSON where it is not a string. */
  Progress: { id: Schema.String, toolName: Schema.String, content: Schema.String, step: Schema.Number },
  /** What a tool gave, as the model is told it; with `isError`, why it gave nothing. In the order of the calls. */
  Observation: {
    id: Schema.String,
    toolName: Schema.String,
    content: Schema.String,
    isError: Schema.Boolean,
    step: Schema.Number
  },
  /**
   * The step is over: what it used, and the conversation so far. `state` has no call without its result:
   * given to `stream`, be it in another process, the run goes on from there.
   */
  StepFinished: {
    step: Schema.Number,
    outcome: Outcome,
    /** Why the model's turn ended. `length`: the token limit cut it. */
    reason: FinishReason,
    usage: LlmUsage,
    state: Prompt.Prompt
  },
  /** The answer, what the whole run used, and how many steps it took. Always the last event. */
  Final: { content: Schema.String, usage: LlmUsage, steps: Schema.Number }
})

/**
 * One thing that a run of an agent tells.
 *
 * @category models
 * @since 0.1.0
 */
export type AgentEvent = typeof AgentEvent.Type

/**
 * The event of one tag.
 *
 * @category models
 * @since 0.1.0
 */
export type Of<Tag extends AgentEvent["_tag"]> = Extract<AgentEvent, { readonly _tag: Tag }>

type Telling = "Thought" | "Action" | "Observation" | "Token" | "Final"

type Cases<Tag extends AgentEvent["_tag"]> = { readonly [K in Tag]: (event: Of<K>) => unknown }

type Doing<Tag extends AgentEvent["_tag"]> = {
  readonly [K in Tag]: (event: Of<K>) => Effect.Effect<unknown, unknown, unknown>
}

/** What is told by the run itself need not be heard where hearing is an Effect. */
type DoingAtLeast = Doing<Telling> & Partial<Doing<Exclude<AgentEvent["_tag"], Telling>>>

type Given<C> = Unify<{ [K in keyof C]: C[K] extends (...args: never) => infer A ? A : never }[keyof C]>

/**
 * Folds one event by its tag.
 *
 * ```ts
 * agent.stream("Research Python").pipe(Stream.runForEach(AgentEvent.match({
 *   Thought: …, Action: …, Observation: …, Token: …, Final: … })))
 * ```
 *
 * Where the cases give Effects, those of `StepStarted`, `StepFinished` and `Progress` may be left out:
 * nothing is done then. Else each event has its case.
 *
 * @category matching
 * @since 0.1.0
 */
export const match: {
  <const C extends DoingAtLeast>(cases: C): (event: AgentEvent) => Given<C> | Effect.Effect<void>
  <const C extends Cases<AgentEvent["_tag"]>>(cases: C): (event: AgentEvent) => Given<C>
  <const C extends DoingAtLeast>(event: AgentEvent, cases: C): Given<C> | Effect.Effect<void>
  <const C extends Cases<AgentEvent["_tag"]>>(event: AgentEvent, cases: C): Given<C>
} = dual(2, (event: AgentEvent, cases: { readonly [K in AgentEvent["_tag"]]?: (event: AgentEvent) => unknown }) => {
  const hear = cases[event._tag]
  return hear === undefined ? Effect.void : hear(event)
})

/**
 * Type guards by tag: `AgentEvent.guards.Token(event)`.
 *
 * @category guards
 * @since 0.1.0
 */
export const guards: typeof AgentEvent.guards = AgentEvent.guards
