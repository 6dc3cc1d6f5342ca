/**
 * What is done when a model fails: it is tried again, then others are asked, and each time a line says so.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Llm from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import type { Of } from "../LlmEvent.ts"
import * as Callbacks from "../policy/Callbacks.ts"
import * as Deadlines from "../policy/Deadlines.ts"
import * as Fallback from "../policy/Fallback.ts"
import * as Retry from "../policy/Retry.ts"
import type { Model } from "./Model.ts"
import * as Report from "./Report.ts"

/**
 * How a failure is gone about.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly retries: number
  readonly timeout: Duration.Duration | undefined
  /**
   * Whether an answer that is cut off in the middle of its text is gone on with. What the text is then joined
   * of is for somebody to see: where nobody would, half an answer that fails is better than a whole one that
   * may not be.
   */
  readonly goesOn: boolean
  /** Whether thoughts have been told to somebody who cannot take them back. */
  readonly keepsThoughts: boolean
  /** Says what has happened, while the next attempt waits. */
  readonly tell: (note: Note) => Effect.Effect<void>
}

/**
 * What has happened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Note {
  readonly text: string
  /** The model that is asked now. */
  readonly model: string
  /** Whether the next attempt is at the same model, so that the text may be cut: more of it may come. */
  readonly again: boolean
}

/**
 * One model of several, for one request at a time. One that has failed for good is not asked again: later
 * requests go to the one that took its place.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (models: Arr.NonEmptyReadonlyArray<Model>, options: Options): Llm.Llm["Service"] => {
  const heard: Heard = { text: false, thoughts: false }
  const mayFollow = (): boolean => (heard.text ? options.goesOn : !(heard.thoughts && options.keepsThoughts))
  let current = 0
  const patient = Arr.map(models, (model) => retried(model, heard, mayFollow, options))
  const onSwitch = ({ error, to }: Of<"Switched">): Effect.Effect<void> => {
    current++
    const text = `${heard.text ? "going on with" : "switched to"} ${to}: ${Report.failure(error)}`
    return options.tell({ text, model: to, again: false })
  }
  const silence = options.timeout === undefined ? {} : { firstToken: options.timeout, idle: options.timeout }
  return {
    events: (request) =>
      Stream.suspend(() => {
        heard.text = false
        heard.thoughts = false
        const [first = patient[0], ...others] = patient.slice(current)
        const llm = Fallback.make([first, ...others], {
          afterOutput: "continue",
          while: (error) => Fallback.mayHelp(error) && mayFollow()
        })
        return llm.events(request).pipe(Callbacks.tap({ onSwitch }), Deadlines.within(silence))
      })
  }
}

/** What the attempts at one answer have said. */
interface Heard {
  text: boolean
  thoughts: boolean
}

const retried = (
  { llm, name }: Model,
  heard: Heard,
  mayFollow: () => boolean,
  { retries, tell }: Options
): Llm.Llm["Service"] => {
  const listening = Callbacks.attach(
    { ...llm, name },
    {
      onToken: (text) => {
        if (text !== "") heard.text = true
        return Effect.void
      },
      onReasoning: () => {
        heard.thoughts = true
        return Effect.void
      }
    }
  )
  let tries = 1
  let delay = Duration.zero
  const patient = Retry.attach(listening, {
    schedule: schedule(retries, (chosen) => {
      delay = Duration.min(chosen, Retry.defaultMaxDelay)
    }),
    afterOutput: "continue",
    while: (error) => error.isRetryable && mayFollow()
  })
  return Callbacks.attach(patient, {
    onStart: () => {
      tries = 1
      return Effect.void
    },
    onRetry: ({ error }) => {
      tries++
      const what = `${heard.text ? "going on" : "retrying"} ${when(asked(error) ?? delay)} (${tries} of ${retries + 1})`
      return tell({ text: `${what}: ${error.message}`, model: name, again: true })
    }
  })
}

/** The library's own, for another number of tries. It tells which delays it has chosen. */
const schedule = (retries: number, chosen: (delay: Duration.Duration) => void) =>
  Schedule.exponential("500 millis").pipe(
    Schedule.jittered,
    Schedule.upTo({ times: retries }),
    Schedule.modifyDelay(({ duration }) =>
      Effect.sync(() => {
        chosen(duration)
        return duration
      })
    )
  )

/** The wait that the provider asks for, which wins. */
const asked = ({ retryAfter }: LlmError): Duration.Duration | undefined =>
  retryAfter !== undefined && Duration.toMillis(retryAfter) > 0 ? retryAfter : undefined

const when = (delay: Duration.Duration): string => {
  const seconds = Duration.toSeconds(delay)
  if (seconds < 0.05) return "at once"
  return `in ${seconds < 0.95 ? seconds.toFixed(1) : Math.round(seconds)} s`
}
