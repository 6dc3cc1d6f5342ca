/** Answers made up from a seed: turns, and runs of agents, with awkward texts cut anywhere. */
import * as Prompt from "effect/ai/Prompt"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmUsage } from "effect-rill/LlmUsage"
import { fractions } from "./random.ts"

export interface Dice {
  readonly next: () => number
  readonly below: (n: number) => number
  readonly one: <A>(of: ReadonlyArray<A>) => A
}

export const dice = (seed: number): Dice => {
  const next = fractions(seed)
  const below = (n: number) => Math.floor(next() * n)
  return { next, below, one: (of) => of[below(of.length)]! }
}

const scraps = [
  "a",
  "Once upon ",
  "\n",
  "\r\n",
  "\r",
  "\n\n",
  "é",
  "😀",
  "\u2028",
  "data: x",
  ": no comment",
  " ",
  '{"a":"b"}',
  "[DONE]",
  "\u0000",
  "\\",
  "\ufeff",
  "id: 7\nevent: error\n\n"
]

/** Not empty, and of whole characters. */
export const text = ({ below, one }: Dice): string => Array.from({ length: 1 + below(6) }, () => one(scraps)).join("")

/** Cuts a text into deltas, inside of characters and line ends too. */
export const cut = ({ below }: Dice, text: string): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  for (let i = 0; i < text.length;) {
    const end = i + 1 + below(4)
    pieces.push(text.slice(i, end))
    i = end
  }
  return pieces
}

/** Puts elements into arrays of any length. */
export const arrays = <A>({ below }: Dice, elements: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const out: Array<ReadonlyArray<A>> = []
  for (let i = 0; i < elements.length;) {
    const end = i + 1 + below(5)
    out.push(elements.slice(i, end))
    i = end
  }
  return out
}

export const usage: LlmUsage = {
  source: "exact",
  inputTokens: 7,
  outputTokens: 11,
  reasoningTokens: 3,
  cacheReadTokens: 2
}

export const turn = (dice: Dice): ReadonlyArray<LlmEvent> => {
  const events: Array<LlmEvent> = [{ _tag: "Started", id: "a1", provider: "test", model: "gpt-test" }]
  const calls: Array<LlmEvent> = []
  let refused = false
  for (let i = 0, parts = 1 + dice.below(6); i < parts; i++) {
    const kind = dice.below(6)
    if (kind <= 1) for (const piece of cut(dice, text(dice))) events.push({ _tag: "TextDelta", text: piece })
    else if (kind === 2) for (const piece of cut(dice, text(dice))) events.push({ _tag: "ReasoningDelta", text: piece })
    else if (kind === 3) {
      const id = `call_${i}`
      const input = { topic: text(dice), n: i }
      const call = { id, name: dice.one(["search", "calculate"]) }
      events.push({ _tag: "ToolCallStarted", ...call })
      // Some providers send a call whole.
      if (dice.below(3) > 0) {
        for (const delta of cut(dice, JSON.stringify(input))) events.push({ _tag: "ToolCallDelta", id, delta })
      }
      calls.push({ _tag: "ToolCalled", ...call, input })
    } else if (kind === 4) {
      events.push({ _tag: "Source", sourceType: "url", url: `https://example.com/${i}`, title: text(dice) })
    } else if (!refused) {
      refused = true
      for (const piece of cut(dice, text(dice))) events.push({ _tag: "Refusal", text: piece })
    }
  }
  const reason = calls.length > 0 ? "tool-calls" : refused ? "content-filter" : dice.one(["stop", "length"] as const)
  return [...events, ...calls, { _tag: "Finished", reason, usage }]
}

export const run = (dice: Dice): ReadonlyArray<AgentEvent> => {
  const events: Array<AgentEvent> = []
  const steps = 1 + dice.below(3)
  const talk = (step: number, phase: "thought" | "answer"): string => {
    const whole = text(dice)
    for (const content of cut(dice, whole)) events.push({ _tag: "Token", content, step, phase })
    return whole
  }
  for (let step = 1; step <= steps; step++) {
    events.push({ _tag: "StepStarted", step })
    if (dice.below(2) === 0) events.push({ _tag: "Thought", content: talk(step, "thought"), step })
    const isLast = step === steps
    const said = isLast || dice.below(2) === 0 ? talk(step, "answer") : ""
    if (!isLast) {
      if (said !== "") events.push({ _tag: "Thought", content: said, step })
      const call = { id: `call_${step}`, toolName: "search", step }
      events.push({ _tag: "Action", ...call, input: { topic: text(dice) } })
      if (dice.below(2) === 0) events.push({ _tag: "Progress", ...call, content: text(dice) })
      events.push({ _tag: "Observation", ...call, content: text(dice), isError: dice.below(3) === 0 })
    }
    const reason = isLast ? "stop" : "tool-calls"
    const state = Prompt.make("a secret prompt")
    events.push({ _tag: "StepFinished", step, outcome: isLast ? "answered" : "acted", reason, usage, state })
    if (isLast) events.push({ _tag: "Final", content: said, usage, steps })
  }
  return events
}

/** The text of an answer, as tokens tell it; a blank line between what an agent's steps say. */
export const textOf = (events: ReadonlyArray<LlmEvent | AgentEvent | string>): string => {
  const steps = new Map<number, string>()
  for (const event of events) {
    const [step, more] =
      typeof event === "string"
        ? [0, event]
        : event._tag === "TextDelta"
          ? [0, event.text]
          : event._tag === "Token" && event.phase === "answer"
            ? [event.step, event.content]
            : [0, ""]
    if (more !== "") steps.set(step, (steps.get(step) ?? "") + more)
  }
  return [...steps.values()].join("\n\n")
}
