/**
 * Reads scripts: what was written becomes checked steps.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import type { LlmError } from "../../LlmError.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import type { Script, Step, Turn } from "../ScriptedLlm.ts"
import * as Seeded from "./Seeded.ts"

type Steps = ReadonlyArray<Step>

/** Checks what can be checked of a script and gives its turns. Throws a mistake; the Effect dies of one. */
export const read = (script: Script): ((request: LlmRequest, index: number) => Effect.Effect<Steps, LlmError>) => {
  if (typeof script === "function")
    return (request, index) => Effect.suspend(() => stepsOf(script(request, index), index))
  if (!Array.isArray(script)) throw mistake("the script is neither an array of turns nor a function of the request")
  const turns = script.map((turn: (typeof script)[number], index) =>
    typeof turn === "function" ? turn : steps(turn, index)
  )
  return (request, index) =>
    Effect.suspend(() => {
      const turn = turns[index]
      if (turn === undefined) return Effect.die(unscripted(index, turns.length))
      return typeof turn === "function" ? stepsOf(turn(request, index), index) : Effect.succeed(turn)
    })
}

const stepsOf = (turn: Turn | Effect.Effect<Turn, LlmError>, index: number): Effect.Effect<Steps, LlmError> =>
  Effect.isEffect(turn) ? Effect.map(turn, (turn) => steps(turn, index)) : Effect.sync(() => steps(turn, index))

const steps = (turn: Turn, index: number): Steps => {
  const given: ReadonlyArray<string | Step> = typeof turn === "string" || !Array.isArray(turn) ? [turn as Step] : turn
  const wrong = (what: string) => mistake(`turn ${index + 1} of the script ${what}`)
  if (given.length === 0) throw wrong(`has no steps. For an answer without text write "" or finish("stop")`)
  const ids = new Set<string>()
  let end: string | undefined
  const out: Array<Step> = []
  for (const written of given) {
    const step: Step = typeof written === "string" ? { _tag: "Text", deltas: [written] } : written
    if (!Predicate.isObject(step) || !tags.has(step._tag)) {
      const place = out.length + 1
      throw wrong(`has a step ${place} that is none. Make steps with ScriptedLlm.text, toolCall, pause and their kin`)
    }
    if (end !== undefined) {
      throw wrong(`goes on after its end: nothing can follow ${end}. Move it, or begin another turn`)
    }
    if (step._tag === "Finish") end = "finish"
    if (step._tag === "Fail") end = "fail"
    if (step._tag === "Event" && step.event._tag === "Finished") end = "a Finished event"
    if (step._tag !== "ToolCall") {
      out.push(step)
      continue
    }
    if (step.name === "") throw wrong("calls a tool without a name")
    // Of its own in the whole script: a history may hold several turns' calls.
    const id = step.id ?? `call_${index + 1}_${ids.size + 1}`
    if (ids.has(id)) throw wrong(`has two tool calls of the id ${JSON.stringify(id)}. Leave the ids out`)
    ids.add(id)
    out.push({ ...step, id })
  }
  return out
}

const tags: ReadonlySet<string> = new Set<Step["_tag"]>([
  "Start",
  "Text",
  "Reasoning",
  "Refusal",
  "ToolCall",
  "Pause",
  "Usage",
  "Finish",
  "Fail",
  "Event"
])

const unscripted = (index: number, turns: number): Error =>
  mistake(
    `request ${index + 1} is not scripted: the script has ${turns === 1 ? "1 turn" : `${turns} turns`}. ` +
      "Either the app asks more often than it should, or the script needs another turn; " +
      "a function in place of the array answers any number of requests"
  )

const mistake = (message: string): Error => new Error(`ScriptedLlm: ${message}.`)

/** Whether a stream ended by a failure or a defect, and not because its reader went away. */
export const hasFailed = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)

/** Cuts what each step says anew; each piece may begin another step. */
export const split = (steps: Steps, seed: number, index: number): Steps => {
  const next = Seeded.random(Math.imul(seed, 31) + index)
  const out: Array<Step> = []
  for (const step of steps) {
    if (!("deltas" in step)) {
      out.push(step)
      continue
    }
    let deltas: Array<string> = []
    for (const piece of pieces(step.deltas.join(""), next)) {
      if (deltas.length > 0 && next() < 0.5) {
        out.push({ ...step, deltas })
        deltas = []
      }
      deltas.push(piece)
    }
    out.push({ ...step, deltas })
  }
  return out
}

function* pieces(text: string, next: () => number): Generator<string> {
  const characters = Array.from(text)
  for (let from = 0; from < characters.length;) {
    const size = 1 + Math.floor(next() * 8)
    yield characters.slice(from, from + size).join("")
    from += size
  }
}
