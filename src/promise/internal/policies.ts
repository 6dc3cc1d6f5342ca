/**
 * What a client, and a call, say about deadlines, retries and other models.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as EffectDuration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Llm } from "../../Llm.ts"
import { InvalidRequest, LlmError } from "../../LlmError.ts"
import * as Deadlines from "../../policy/Deadlines.ts"
import * as Fallback from "../../policy/Fallback.ts"
import * as Retry from "../../policy/Retry.ts"
import type { Retries, Timeout } from "../Policies.ts"

/** What both say. Each by itself: what the call says wins. */
export interface Said {
  readonly timeout?: Timeout | undefined
  readonly retries?: Retries | undefined
}

/** What the call says of retries. */
const Asked = Context.Reference<Retries | undefined>("effect-rill/promise/Retries", { defaultValue: () => undefined })

/** Runs a call as it says. */
export const within = <A, E, R>(effect: Effect.Effect<A, E, R>, { retries, timeout }: Said): Effect.Effect<A, E, R> => {
  const timed = timeout === undefined ? effect : Deadlines.within(effect, deadlines(timeout))
  return retries === undefined ? timed : Effect.provideService(timed, Asked, retries)
}

/**
 * A model as its client says: tried again, and then the others, each of which tries again by itself.
 */
export const attach = (model: Llm["Service"], others: ReadonlyArray<Llm["Service"]>, said: Said): Llm["Service"] => {
  const attempts: Llm["Service"] = {
    ...model,
    events: (request) =>
      Stream.unwrap(
        Effect.map(Asked, (asked) => {
          const options = retry(said.retries, asked)
          if (Result.isFailure(options)) return Stream.fail(refused(options.failure))
          const { afterOutput, times, ...rest } = options.success
          const first = times === 0 ? model : Retry.attach(model, { ...rest, afterOutput, schedule: schedule(times) })
          const all: NonEmptyReadonlyArray<Llm["Service"]> = [first, ...others]
          return (others.length === 0 ? first : Fallback.make(all, { afterOutput })).events(request)
        })
      )
  }
  return said.timeout === undefined ? attempts : Deadlines.attach(attempts, deadlines(said.timeout))
}

/** What is no duration is told by the provider, as that of any deadline. */
const deadlines = (timeout: Timeout): Deadlines.Options => (typeof timeout === "object" ? timeout : { total: timeout })

const schedule = (times: number | undefined): Schedule.Schedule<unknown, LlmError> =>
  times === undefined
    ? Retry.defaultSchedule
    : Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.upTo({ times }))

type Options = Exclude<Retries, number | false>

const inFull = (retries: Retries | undefined): Options =>
  typeof retries === "number" ? { times: retries } : retries === false ? { times: 0 } : (retries ?? {})

const retry = (own: Retries | undefined, asked: Retries | undefined): Result.Result<Options, string> => {
  const mine = inFull(own)
  const { afterOutput = mine.afterOutput, maxDelay = mine.maxDelay, times = mine.times } = inFull(asked)
  if (times !== undefined && !(Number.isInteger(times) && times >= 0)) {
    return Result.fail("`retries` must be a whole number of at least 0, or false.")
  }
  if (maxDelay !== undefined && (Option.isNone(EffectDuration.fromInput(maxDelay)) || Number.isNaN(maxDelay))) {
    return Result.fail('`maxDelay` is no duration. Give one such as "30 seconds", or a number of milliseconds.')
  }
  if (afterOutput !== undefined && !["fail", "continue", "restart"].includes(afterOutput)) {
    return Result.fail('`afterOutput` must be "fail", "continue" or "restart".')
  }
  return Result.succeed({ afterOutput, maxDelay, times })
}

const refused = (message: string): LlmError =>
  new LlmError({ reason: new InvalidRequest({ message }), provider: "rill", phase: "request", emitted: 0 })
