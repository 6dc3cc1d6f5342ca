/**
 * Law 11 for every protocol and policy: what was used is told, however an answer ends, in the callback at its
 * end, in its error and in the spans of the models that were asked.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LlmUsage } from "effect-rill/LlmUsage"
import * as Callbacks from "effect-rill/policy/Callbacks"
import * as Deadlines from "effect-rill/policy/Deadlines"
import type { Dialect } from "effect-rill/testing/Dialect"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import { answering, framesOf, protocols, refusing, run, turns } from "../support/faults.ts"
import { policies, type Policy } from "../support/faultyPolicies.ts"
import { observing, within } from "../support/observing.ts"

const { linger, reset } = FaultyWire
const [[, turn]] = turns as [(typeof turns)[number]]

// -----------------------------------------------------------------------------
// what a model does
// -----------------------------------------------------------------------------

type Does =
  | "answers"
  | "refuses"
  | "breaks before a word"
  | "breaks before its usage"
  | "breaks after its usage"
  | "stalls before a word"
  | "stalls before its usage"

/** `undefined` where the usage comes with the end of the answer, after which nothing can go wrong. */
const exchange = (dialect: Dialect, does: Does): FaultyWire.Exchange | undefined => {
  const answer = dialect.answer(turn)!
  const { frames, semanticEnd, usage } = answer
  switch (does) {
    case "answers":
      return answering(dialect, framesOf(answer))
    case "refuses":
      return refusing(dialect, 429, {})
    case "breaks before a word":
      return answering(dialect, [], reset())
    case "breaks before its usage":
      return answering(dialect, frames, reset())
    case "breaks after its usage":
      return semanticEnd === undefined
        ? undefined
        : answering(dialect, [...frames, semanticEnd, ...(usage === undefined ? [] : [usage])], reset())
    case "stalls before a word":
      return answering(dialect, [], linger)
    case "stalls before its usage":
      return answering(dialect, frames, linger)
  }
}

// -----------------------------------------------------------------------------
// the table
// -----------------------------------------------------------------------------

/**
 * Usage as `source input/output`. The answer is of 11 and 7 tokens by the provider's count, its prompt and its
 * text of 1 and 6 by the estimate.
 */
interface Row {
  /** What the models do that are asked, one after the other. What stalls is interrupted in the end. */
  readonly asked: readonly [Does, ...ReadonlyArray<Does>]
  /** How it ends: an answer has the usage of its `Finished`. */
  readonly ends: "whole" | "failed" | "interrupted"
  /** In the callback at the end, and in `Finished` or the error. */
  readonly told: string
  /** In the error, or nothing, where that differs. */
  readonly inError?: string
  /** Of all spans together, where that differs. */
  readonly inSpans?: string
  /** Where a wire tells the input at the beginning of an answer, as Anthropic's does: all three. */
  readonly toldEarly?: string
}

const nothing = "nothing"

const plain: ReadonlyArray<Row> = [
  { asked: ["answers"], ends: "whole", told: "exact 11/7" },
  { asked: ["refuses"], ends: "failed", told: "estimated 0/0", inError: nothing, inSpans: nothing },
  { asked: ["breaks before a word"], ends: "failed", told: "estimated 1/0" },
  { asked: ["breaks before its usage"], ends: "failed", told: "estimated 1/6", toldEarly: "estimated 11/6" },
  { asked: ["breaks after its usage"], ends: "failed", told: "exact 11/7" },
  { asked: ["stalls before a word"], ends: "interrupted", told: "estimated 1/0" },
  { asked: ["stalls before its usage"], ends: "interrupted", told: "estimated 1/6" }
]

/** What comes before the first output is the same for retry and fallback, whatever they do after it. */
const beforeOutput: ReadonlyArray<Row> = [
  { asked: ["answers"], ends: "whole", told: "exact 11/7" },
  { asked: ["refuses", "answers"], ends: "whole", told: "exact 11/7" },
  { asked: ["breaks before a word", "answers"], ends: "whole", told: "estimated 12/7" },
  { asked: ["refuses", "stalls before its usage"], ends: "interrupted", told: "estimated 1/6" },
  { asked: ["breaks before a word", "stalls before a word"], ends: "interrupted", told: "estimated 2/0" },
  { asked: ["breaks before a word", "stalls before its usage"], ends: "interrupted", told: "estimated 2/6" },
  { asked: ["stalls before its usage"], ends: "interrupted", told: "estimated 1/6" }
]

const failing: ReadonlyArray<Row> = [
  { asked: ["breaks before its usage"], ends: "failed", told: "estimated 1/6", toldEarly: "estimated 11/6" },
  { asked: ["breaks after its usage"], ends: "failed", told: "exact 11/7" }
]

const restarting: ReadonlyArray<Row> = [
  {
    asked: ["breaks before its usage", "answers"],
    ends: "whole",
    told: "estimated 12/13",
    toldEarly: "estimated 22/13"
  },
  { asked: ["breaks after its usage", "answers"], ends: "whole", told: "exact 22/14" },
  {
    asked: ["breaks before its usage", "stalls before a word"],
    ends: "interrupted",
    told: "estimated 2/6",
    toldEarly: "estimated 12/6"
  },
  { asked: ["breaks after its usage", "stalls before its usage"], ends: "interrupted", told: "estimated 12/13" }
]

const triesOfRetry: ReadonlyArray<Row> = [
  {
    asked: ["refuses", "refuses", "refuses"],
    ends: "failed",
    told: "estimated 0/0",
    inError: nothing,
    inSpans: nothing
  },
  { asked: ["refuses", "breaks before a word", "refuses"], ends: "failed", told: "estimated 1/0" },
  {
    asked: ["breaks before a word", "breaks before a word", "breaks before a word"],
    ends: "failed",
    told: "estimated 3/0"
  },
  { asked: ["breaks before a word", "breaks before a word", "answers"], ends: "whole", told: "estimated 13/7" }
]

const modelsOfFallback: ReadonlyArray<Row> = [
  { asked: ["refuses", "refuses"], ends: "failed", told: "estimated 0/0", inError: nothing, inSpans: nothing },
  { asked: ["refuses", "breaks before a word"], ends: "failed", told: "estimated 1/0" },
  { asked: ["breaks before a word", "refuses"], ends: "failed", told: "estimated 1/0" },
  { asked: ["breaks before a word", "breaks before a word"], ends: "failed", told: "estimated 2/0" }
]

const hedged: ReadonlyArray<Row> = [
  ...failing,
  { asked: ["answers"], ends: "whole", told: "exact 11/7" },
  { asked: ["refuses", "answers"], ends: "whole", told: "exact 11/7" },
  { asked: ["breaks before a word", "answers"], ends: "whole", told: "estimated 12/7" },
  // The one that is left is billed for its prompt.
  { asked: ["stalls before a word", "answers"], ends: "whole", told: "estimated 12/7" },
  {
    asked: ["refuses", "refuses"],
    ends: "failed",
    told: "estimated 0/0",
    inError: nothing,
    inSpans: nothing
  },
  { asked: ["breaks before a word", "refuses"], ends: "failed", told: "estimated 1/0" },
  { asked: ["breaks before a word", "breaks before a word"], ends: "failed", told: "estimated 2/0" },
  { asked: ["stalls before a word", "stalls before its usage"], ends: "interrupted", told: "estimated 2/6" },
  // Who listens over a race that nobody has won yet does not know how many run.
  {
    asked: ["stalls before a word", "stalls before a word"],
    ends: "interrupted",
    told: "estimated 1/0",
    inSpans: "estimated 2/0"
  }
]

const alone: Policy = { second: (protocol) => protocol, make: ({ make }) => make, afterOutput: "fail" }

const tables: ReadonlyArray<readonly [string, Policy, ReadonlyArray<Row>]> = [
  ["plain", alone, plain],
  ["retry, fail", policies["retry, fail"], [...beforeOutput, ...failing, ...triesOfRetry]],
  // The input of the request that goes on has the text so far in it, which is no number for a table.
  ["retry, continue", policies["retry, continue"], [...beforeOutput, ...restarting.slice(0, 2), ...triesOfRetry]],
  ["retry, restart", policies["retry, restart"], [...beforeOutput, ...restarting, ...triesOfRetry]],
  ["fallback, fail", policies["fallback, fail"], [...beforeOutput, ...failing, ...modelsOfFallback]],
  ["fallback, continue", policies["fallback, continue"], [...beforeOutput, ...restarting.slice(0, 2)]],
  ["fallback, restart", policies["fallback, restart"], [...beforeOutput, ...restarting, ...modelsOfFallback]],
  ["hedge", policies.hedge, hedged]
]

// -----------------------------------------------------------------------------

const shown = (usage: Pick<LlmUsage, "source" | "inputTokens" | "outputTokens"> | undefined): string =>
  usage === undefined ? nothing : `${usage.source} ${usage.inputTokens}/${usage.outputTokens}`

/** What the spans of a run tell together. */
const ofSpans = (spans: ReturnType<typeof observing>["spans"]): string => {
  const told = spans.flatMap(({ all }) => (all["rill.usage.source"] === undefined ? [] : [all]))
  if (told.length === 0) return nothing
  const sum = (name: string) => told.reduce((sum, all) => sum + Number(all[name]), 0)
  return shown({
    source: told.every((all) => all["rill.usage.source"] === "exact") ? "exact" : "estimated",
    inputTokens: sum("gen_ai.usage.input_tokens"),
    outputTokens: sum("gen_ai.usage.output_tokens")
  })
}

const patient = Deadlines.attach({ firstToken: "Infinity", idle: "Infinity" })

describe.each(tables)("%s", (_, policy, rows) => {
  describe.each(protocols)("$name", (protocol) => {
    const isSayable = ({ asked }: Row) => asked.every((does) => exchange(protocol.dialect, does) !== undefined)
    it.effect.each(rows.filter(isSayable))("$asked: $told", ({ asked, ends, inError, inSpans, told, toldEarly }) =>
      Effect.gen(function* () {
        const next = policy.second(protocol)
        const exchanges = asked.map((does, index) => exchange((index === 0 ? protocol : next).dialect, does))
        const atEnd: Array<Callbacks.End> = []
        const listening = Effect.map(policy.make(protocol), (llm) =>
          Callbacks.attach(patient(llm), { onEnd: (end) => Effect.sync(() => void atEnd.push(end)) })
        )
        const observed = observing()
        const { error, events, exit, open, requests } = yield* within(
          observed,
          run(listening, ({ index }) => exchanges[index]!)
        )
        const isEarly = protocol.name === "anthropic-messages" && toldEarly !== undefined
        const expected = isEarly ? toldEarly : told

        expect([requests.length, open, atEnd.length]).toEqual([asked.length, 0, 1])
        const [end] = atEnd
        expect(shown(end?.usage), "at the end").toBe(expected)
        expect(ofSpans(observed.spans), "in the spans").toBe(inSpans ?? expected)
        expect(observed.spans.map(({ ends }) => ends)).toEqual(asked.map(() => 1))
        switch (ends) {
          case "whole": {
            const last = events.at(-1)
            expect(shown(last?._tag === "Finished" ? last.usage : undefined), "in Finished").toBe(expected)
            expect(end?.exit._tag).toBe("Success")
            break
          }
          case "failed":
            expect(error, "it fails").toBeDefined()
            expect(shown(error?.usage), "in the error").toBe(inError ?? expected)
            expect(end?.exit).toEqual(exit)
            break
          case "interrupted":
            expect(exit, "it is under way until it is interrupted").toBeUndefined()
            expect(end?.exit._tag).toBe("Failure")
        }
      })
    )
  })
})
