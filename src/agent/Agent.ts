/**
 * Agents: a model and its tools in a loop, as a stream of tagged events.
 *
 * ```ts
 * const agent = Agent.make({ toolkit })
 * agent.stream("Research Python").pipe(Stream.runForEach(AgentEvent.match({
 *   Thought: …, Action: …, Observation: …, Token: …, Final: … })))
 * ```
 *
 * The stream is one pull: nothing is asked of the model, and no tool runs, before its consumer asks for
 * what comes next. Everything that a run starts is a child of its stream's scope.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { Llm } from "../Llm.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import * as Callbacks from "../policy/Callbacks.ts"
import { spanned } from "../policy/internal/spanned.ts"
import type { AgentError } from "./AgentError.ts"
import type { AgentEvent } from "./AgentEvent.ts"
import * as AgentSpan from "./internal/AgentSpan.ts"
import { check } from "./internal/check.ts"
import { Conversation, goOn, type Hooks, invalid, none, unstarted } from "./internal/Conversation.ts"
import * as Loop from "./internal/Loop.ts"
import * as reactText from "./internal/reactText.ts"
import * as toolCalling from "./internal/toolCalling.ts"

/**
 * A call of a tool that needs an approval.
 *
 * @category models
 * @since 0.1.0
 */
export interface Approval {
  readonly id: string
  readonly name: string
  /** As the model wrote it: it may not fit the tool's schema. */
  readonly input: unknown
}

/**
 * What an agent is made of. Everything but `toolkit` is optional.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Tools extends Record<string, Tool.Any>, RC = never, RA = never> {
  /**
   * The tools, of `effect/ai`. Their handlers come from `toolkit.toLayer`; what they need is asked of the
   * stream's surroundings. A `Scope` that a tool depends on is the run's: what it acquires is released
   * when the run ends.
   */
  readonly toolkit: Toolkit.Toolkit<Tools>
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
  readonly request?: Omit<LlmRequest, "prompt" | "system" | "toolkit" | "toolChoice" | "responseFormat"> | undefined
  /** The most turns of the model. Default 10. */
  readonly maxSteps?: number | undefined
  /** The longest that a run may take, on `Clock`, its consumer's pauses included. Default: no limit. */
  readonly maxDuration?: Duration.Input | undefined
  /** The most calls of tools. A turn that calls more is not run at all. Default: no limit. */
  readonly maxToolCalls?: number | undefined
  /** The most tokens, in and out, of all turns. Looked at before each turn. Default: no limit. */
  readonly tokenBudget?: number | undefined
  /**
   * What happens at a limit. `fail`, the default: the run fails with `LimitExceeded`. `answer`: the model
   * has one last turn, without tools, which neither counts nor is cut off.
   */
  readonly onLimit?: "fail" | "answer" | undefined
  /**
   * What happens where a tool gives no result. `observe`, the default: the model is told why, and may mend
   * it. `fail`: the run fails with `ToolFailed`. A defect of a handler is a defect of the stream, always.
   */
  readonly onToolError?: "observe" | "fail" | undefined
  /** The longest that a call may take. Default: no limit. */
  readonly toolTimeout?: Duration.Input | undefined
  /** How many calls of one turn run at once. Default `"unbounded"`. */
  readonly concurrency?: number | "unbounded" | undefined
  /** With `react`: how often, one after the other, the model is told that it could not be read. Default 2. */
  readonly maxRepairs?: number | undefined
  /** Whether a call of a tool with `needsApproval` may run. Default: none may, and the model is told so. */
  readonly approve?: ((call: Approval) => Effect.Effect<boolean, never, RA>) | undefined
  /**
   * Told of the tools, and of each turn of the model as if added to it. Add them here or to the model, not
   * to both.
   */
  readonly callbacks?: Callbacks.Callbacks<RC> | undefined
}

/**
 * What a run comes to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly content: string
  /** Of all turns. */
  readonly usage: LlmUsage
  readonly steps: number
  /** The whole conversation: given to `stream` or `run` with more messages, it goes on. */
  readonly transcript: Prompt.Prompt
}

/**
 * An agent. `R` is what a run needs: the model, and the handlers of the tools.
 *
 * @category models
 * @since 0.1.0
 */
export interface Agent<out R> {
  /** A run, as it comes. It begins when the stream is run, and may be run again. */
  readonly stream: (input: Prompt.RawInput) => Stream.Stream<AgentEvent, AgentError, R>
  /** A run, as its end. */
  readonly run: (input: Prompt.RawInput) => Effect.Effect<Answer, AgentError, R>
  /** A conversation of several runs. */
  readonly session: (options?: SessionOptions) => Effect.Effect<Session<R>>
}

/**
 * Options of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOptions {
  /** The conversation so far. Default: none. */
  readonly history?: Prompt.RawInput | undefined
  /**
   * Makes the history shorter; called after each run that ended well, with all of it. What is left may
   * begin anywhere: results of calls that are gone are left out.
   */
  readonly trim?: ((history: Prompt.Prompt) => Prompt.Prompt) | undefined
}

/**
 * A conversation of several runs: each goes on from the ones before it.
 *
 * The history is that of the runs that had an answer. A run that failed, or was interrupted before its
 * answer, leaves it as if it had not been: no call without its result, and what the user said can be said
 * again. To go on from where it stopped, `AgentError.transcript` and `StepFinished.state` have the rest.
 *
 * One run at a time: another fails with `SessionBusy`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session<out R> {
  readonly stream: (input: Prompt.RawInput) => Stream.Stream<AgentEvent, AgentError, R>
  readonly run: (input: Prompt.RawInput) => Effect.Effect<Answer, AgentError, R>
  readonly history: Effect.Effect<Prompt.Prompt>
}

/**
 * What a run of an agent with these tools needs.
 *
 * @category models
 * @since 0.1.0
 */
export type Requirements<Tools extends Record<string, Tool.Any>> =
  | Llm
  | Tool.HandlersFor<Tools>
  | Exclude<Tool.HandlerServices<Tools[keyof Tools]>, Scope.Scope>

/**
 * Makes an agent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Tools extends Record<string, Tool.Any>, RC = never, RA = never>(
  options: Options<Tools, RC, RA>
): Agent<Requirements<Tools> | RC | RA> => {
  type R = Requirements<Tools> | RC | RA
  const wrong = check(options)
  const { approve, callbacks = {}, onLimit = "fail", onToolError = "observe", request = {}, system, toolkit } = options
  const { name } = options
  const { concurrency = "unbounded", maxDuration, maxRepairs = 2, maxSteps, maxToolCalls, tokenBudget } = options
  const limits: Loop.Limits = {
    steps: maxSteps ?? 10,
    toolCalls: maxToolCalls ?? Infinity,
    tokens: tokenBudget ?? Infinity,
    duration: maxDuration === undefined ? undefined : Option.getOrUndefined(Duration.fromInput(maxDuration))
  }
  const makeStrategy = options.strategy === "react" ? reactText.make : toolCalling.make
  const strategy = makeStrategy(toolkit, system, request)

  const start = (input: Prompt.RawInput, hooks: Hooks): Stream.Stream<AgentEvent, AgentError, R> =>
    spanned(run(input, hooks), AgentSpan.begin({ name, input, system, request }))

  const run = (input: Prompt.RawInput, hooks: Hooks): Stream.Stream<AgentEvent, AgentError, R> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const earlier = yield* hooks.begin
        const history = yield* goOn(earlier, input)
        if (wrong !== undefined) return yield* unstarted(invalid(wrong), history)
        const llm = yield* Llm
        const handlers = yield* toolkit
        const context = yield* Effect.context<R | Scope.Scope>()
        const provide = provideAll(context)
        const pull = yield* Loop.make({
          events:
            options.callbacks === undefined
              ? llm.events
              : (request) => Stream.provideContext(Callbacks.tap(llm.events(request), callbacks, request), context),
          strategy,
          tools: {
            tools: toolkit.tools,
            // A name that there is, and an input that `handle` checks.
            handle: (name, input, id) => handlers.handle(name as keyof Tools, input as never, id),
            approve: approve && ((call) => provide(approve(call))),
            timeout: options.toolTimeout,
            onStart: callbacks.onToolStart && ((call, run) => provide(callbacks.onToolStart!(call, run))),
            onEnd: callbacks.onToolEnd && ((ended, run) => provide(callbacks.onToolEnd!(ended, run))),
            agent: name,
            provide
          },
          limits,
          onLimit,
          onToolError,
          concurrency,
          maxRepairs,
          scope: yield* Effect.scope,
          history,
          onFinal: hooks.end
        })
        return Stream.fromPull(Effect.succeed(pull))
      })
    )

  const agent = (hooks: Hooks): Pick<Agent<R>, "stream" | "run"> => {
    const stream = (input: Prompt.RawInput) => start(input, hooks)
    return { stream, run: (input) => answer(stream(input)) }
  }
  return {
    ...agent(none),
    session: (options = {}) =>
      Effect.sync(() => {
        const session = new Conversation(options)
        return { ...agent(session), history: Effect.sync(() => session.history) }
      })
  }
}

const answer = <R>(events: Stream.Stream<AgentEvent, AgentError, R>): Effect.Effect<Answer, AgentError, R> =>
  Effect.suspend(() => {
    let transcript = Prompt.empty
    let final: Extract<AgentEvent, { _tag: "Final" }> | undefined
    const read = Stream.runForEachArray(events, (told) => {
      for (const event of told) {
        if (event._tag === "StepFinished") transcript = event.state
        else if (event._tag === "Final") final = event
      }
      return Effect.void
    })
    return Effect.flatMap(read, () => {
      if (final === undefined) return Effect.die(new Error("the run of an agent ended without an answer"))
      const { content, steps, usage } = final
      return Effect.succeed({ content, usage, steps, transcript })
    })
  })

/**
 * Gives effects of any needs a context that has them all: what they need is part of the agent's `R`. They stay
 * in the span that they are in.
 */
const provideAll = <R>(
  context: Context.Context<R>
): (<A, E>(effect: Effect.Effect<A, E, unknown>) => Effect.Effect<A, E>) => {
  const all = context as Context.Context<unknown>
  return (effect) =>
    Effect.withFiber((fiber) => {
      const span = Context.getOption(fiber.context, Tracer.ParentSpan)
      return Effect.provideContext(effect, Option.isSome(span) ? Context.add(all, Tracer.ParentSpan, span.value) : all)
    })
}
