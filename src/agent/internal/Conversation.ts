/**
 * What a run begins from: an input alone, or a session and an input.
 *
 * @internal
 */
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { InvalidRequest, LlmError } from "../../LlmError.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import type { SessionOptions } from "../Agent.ts"
import { AgentError, ModelFailed, type Reason, SessionBusy } from "../AgentError.ts"

/** What a run begins from, and is told of its end. */
export interface Hooks {
  readonly begin: Effect.Effect<Prompt.Prompt, AgentError, Scope.Scope>
  readonly end: (history: Prompt.Prompt) => void
}

/** A run that stands alone. */
export const none: Hooks = { begin: Effect.succeed(Prompt.empty), end: () => {} }

export class Conversation implements Hooks {
  history: Prompt.Prompt
  private isBusy = false
  private readonly trim: (history: Prompt.Prompt) => Prompt.Prompt

  constructor({ history, trim }: SessionOptions) {
    this.history = history === undefined ? Prompt.empty : Prompt.make(history)
    this.trim = (whole) => (trim === undefined ? whole : withoutOrphans(trim(whole)))
  }

  readonly begin = Effect.suspend(() => {
    if (this.isBusy) return Effect.fail(unstarted(new SessionBusy(), this.history))
    this.isBusy = true
    return Effect.as(
      Effect.addFinalizer(() => Effect.sync(() => (this.isBusy = false))),
      this.history
    )
  })

  readonly end = (history: Prompt.Prompt): void => {
    this.history = this.trim(history)
  }
}

/** Without results of calls that are not there: providers refuse them. */
const withoutOrphans = (history: Prompt.Prompt): Prompt.Prompt => {
  const called = new Set<string>()
  const messages: Array<Prompt.Message> = []
  for (const message of history.content) {
    if (message.role === "assistant") {
      for (const part of message.content) if (part.type === "tool-call") called.add(part.id)
    }
    if (message.role !== "tool") {
      messages.push(message)
      continue
    }
    const content = message.content.filter((part) => part.type !== "tool-result" || called.has(part.id))
    if (content.length > 0) messages.push(Prompt.toolMessage({ content, options: message.options }))
  }
  return Prompt.fromMessages(messages)
}

/** The messages of an input, after those before it. */
export const goOn = (earlier: Prompt.Prompt, input: Prompt.RawInput): Effect.Effect<Prompt.Prompt, AgentError> => {
  const messages = LlmRequest.messages({ prompt: input })
  return Result.isFailure(messages)
    ? Effect.fail(unstarted(failedWith(messages.failure), earlier))
    : Effect.succeed(Prompt.fromMessages([...earlier.content, ...messages.success]))
}

/** A request that cannot be made: it is said as a protocol would. */
export const invalid = (message: string): ModelFailed => failedWith(new InvalidRequest({ message }))

const failedWith = (reason: InvalidRequest): ModelFailed =>
  new ModelFailed({ error: new LlmError({ reason, provider: "agent", phase: "request", emitted: 0 }) })

/** A run that failed before its first step. */
export const unstarted = (reason: Reason, transcript: Prompt.Prompt): AgentError =>
  new AgentError({ reason, transcript, usage: LlmUsage.sum([]), step: 0 })
