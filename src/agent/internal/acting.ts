/**
 * Runs the calls of one turn: progress as it happens, observations in the order of the calls.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { ToolFailed } from "../AgentError.ts"
import type { AgentEvent } from "../AgentEvent.ts"
import type { Called } from "./calling.ts"
import type { Call, Result } from "./Strategy.ts"

export interface Options {
  readonly calls: ReadonlyArray<Call>
  readonly step: number
  readonly run: (call: Call, onProgress: (content: string) => Effect.Effect<unknown>) => Effect.Effect<Called>
  readonly concurrency: number | "unbounded"
  /** Whether a call without result is the end of the others, and of the run. */
  readonly isFatal: boolean
  readonly scope: Scope.Scope
}

/** Calls that are running. */
export interface Acting {
  /** What they tell. It is done when each has its observation told. */
  readonly pull: Pull.Pull<NonEmptyReadonlyArray<AgentEvent>, ToolFailed>
  /** The results so far, `undefined` where there is none yet. */
  readonly results: ReadonlyArray<Result | undefined>
}

/** How much waits for a consumer before the tools do. */
const capacity = 16

export const start = ({ calls, concurrency, isFatal, run, scope, step }: Options): Effect.Effect<Acting> =>
  Effect.gen(function* () {
    const queue = yield* Queue.bounded<AgentEvent, ToolFailed | Cause.Done>(capacity)
    const results: Array<Result | undefined> = calls.map(() => undefined)
    let offered = 0
    /** A result waits for those of the calls before it. */
    const flush = Effect.whileLoop({
      while: () => results[offered] !== undefined,
      body: () => {
        const index = offered++
        return Queue.offer(queue, observation(calls[index]!, results[index]!, step))
      },
      step: () => {}
    })
    const one = (call: Call, index: number): Effect.Effect<void, ToolFailed> => {
      const { id, name } = call
      const progress = (content: string) => Queue.offer(queue, { _tag: "Progress", id, toolName: name, content, step })
      return Effect.flatMap(run(call, progress), ({ failed, result }) => {
        if (failed !== undefined && isFatal) return Effect.fail(failed)
        results[index] = result
        return flush
      })
    }
    yield* Effect.forEach(calls, one, { concurrency, discard: true }).pipe(
      Effect.onExit((exit) => (Exit.isSuccess(exit) ? Queue.end(queue) : Queue.failCause(queue, exit.cause))),
      Effect.exit,
      Effect.forkIn(scope)
    )
    return { pull: Queue.takeAll(queue), results }
  })

export const observation = ({ id, name }: Call, { content, isError }: Result, step: number): AgentEvent => ({
  _tag: "Observation",
  id,
  toolName: name,
  content,
  isError,
  step
})
