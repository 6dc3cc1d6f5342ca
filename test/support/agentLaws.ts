/** The order in which an agent tells things, as a check of what one run told. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { AgentError } from "effect-rill/agent/AgentError"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import { expect } from "vitest"

export interface Told {
  readonly events: ReadonlyArray<AgentEvent>
  readonly exit: Exit.Exit<void, AgentError>
}

/** Runs an agent to its end, whichever that is. */
export const collect = <R>(stream: Stream.Stream<AgentEvent, AgentError, R>): Effect.Effect<Told, never, R> =>
  Effect.suspend(() => {
    const events: Array<AgentEvent> = []
    return stream.pipe(
      Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
      Effect.exit,
      Effect.map((exit) => ({ events, exit }))
    )
  })

export const errorOf = ({ exit }: Told): AgentError => {
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") {
    throw new Error(Exit.isSuccess(exit) ? "the run did not fail" : Cause.pretty(exit.cause))
  }
  return error.value
}

/** What a run told, without what is only bookkeeping, in short. */
export const inShort = (events: ReadonlyArray<AgentEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => {
    switch (event._tag) {
      case "Token":
        return [`${event.phase} token ${event.content}`]
      case "Thought":
        return [`thought ${event.content}`]
      case "Action":
        return [`action ${event.toolName} ${JSON.stringify(event.input)}`]
      case "Progress":
        return [`progress ${event.content}`]
      case "Observation":
        return [`${event.isError ? "error" : "observation"} ${event.content}`]
      case "Final":
        return [`final ${event.content}`]
      case "StepStarted":
      case "StepFinished":
        return []
    }
  })

/** Every law of the order, for any run, well ended or not. */
export const checkOrder = ({ events, exit }: Told): void => {
  let step = 0
  let isOpen = false
  let isOver = false
  let answer: Array<string> = []
  let unobserved: Array<string> = []
  let running = new Set<string>()
  const thoughtTokens: Array<string> = []
  for (const event of events) {
    expect(isOver, "nothing comes after Final").toBe(false)
    if (event._tag === "Final") {
      expect(isOpen, "Final comes after the last step").toBe(false)
      expect(event.steps).toBe(step)
      expect(event.content).toBe(answer.join(""))
      isOver = true
      continue
    }
    if (event._tag === "StepStarted") {
      expect(isOpen, "steps do not overlap").toBe(false)
      expect(event.step, "steps are counted").toBe(step + 1)
      step++
      isOpen = true
      answer = []
      unobserved = []
      running = new Set()
      continue
    }
    expect(isOpen, `${event._tag} is part of a step`).toBe(true)
    expect(event.step).toBe(step)
    switch (event._tag) {
      case "Token":
        expect(event.content).not.toBe("")
        expect(running.size, "no token after an action").toBe(0)
        if (event.phase === "answer") answer.push(event.content)
        else thoughtTokens.push(event.content)
        break
      case "Thought":
        expect(event.content.trim()).not.toBe("")
        expect(running.size, "no thought after an action").toBe(0)
        break
      case "Action":
        unobserved.push(event.id)
        running.add(event.id)
        break
      case "Progress":
        expect(unobserved, "progress is of a call that is running").toContain(event.id)
        break
      case "Observation":
        expect(event.id, "observations are in the order of the calls").toBe(unobserved.shift())
        break
      case "StepFinished":
        expect(unobserved, "every action has its observation").toEqual([])
        isOpen = false
        checkHistory(event.state)
        break
    }
  }
  expect(isOver, "a run ends with Final, or fails").toBe(Exit.isSuccess(exit))
  if (Exit.isFailure(exit)) checkHistory(errorOf({ events, exit }).transcript)
}

/** No call without its result, no result without its call. */
const checkHistory = ({ content }: AgentError["transcript"]): void => {
  let open: Array<string> = []
  for (const message of content) {
    if (message.role === "tool") {
      expect(message.content.map((part) => (part.type === "tool-result" ? part.id : ""))).toEqual(open)
      open = []
      continue
    }
    expect(open, "calls are followed by their results").toEqual([])
    if (message.role === "assistant") {
      open = message.content.flatMap((part) => (part.type === "tool-call" ? [part.id] : []))
    }
  }
  expect(open, "calls are followed by their results").toEqual([])
}

/** Lets every fiber go on until nothing moves but the clock. */
export const settle: Effect.Effect<void> = Effect.forEach(Array.from({ length: 100 }), () => Effect.yieldNow, {
  discard: true
})

/** Lets so many seconds go by, one after the other, everything that each allows happening in it. */
export const seconds = (count: number): Effect.Effect<void> =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.andThen(settle, Effect.andThen(TestClock.adjust("1 second"), settle)),
    { discard: true }
  )
