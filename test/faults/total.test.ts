/** One `total` deadline over all attempts, for every protocol and policy. */
import { describe, expect, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { LlmError } from "effect-rill/LlmError"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as Deadlines from "effect-rill/policy/Deadlines"
import type { Dialect } from "effect-rill/testing/Dialect"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import { answering, framesOf, protocols, refusing, run, turns } from "../support/faults.ts"
import { type Name, policies } from "../support/faultyPolicies.ts"

const [[, turn]] = turns as [(typeof turns)[number]]
const answer = "Once upon 雨 a 😀 time."

type Does = "answers" | "stalls before a word" | "stalls in the end" | `asks to wait ${number} s`

const exchange = (dialect: Dialect, does: Does): FaultyWire.Exchange => {
  const { frames, ...end } = dialect.answer(turn)!
  switch (does) {
    case "answers":
      return answering(dialect, framesOf({ frames, ...end }))
    case "stalls before a word":
      return answering(dialect, [], FaultyWire.linger)
    case "stalls in the end":
      return answering(dialect, frames, FaultyWire.linger)
    default:
      return refusing(dialect, 429, { "retry-after": /\d+/.exec(does)![0] })
  }
}

/** By default a first token has 120 s, and one after another 60 s. */
const rows: ReadonlyArray<{
  readonly policy: Name
  readonly total: Duration.Input
  readonly asked: readonly [Does, ...ReadonlyArray<Does>]
  readonly timeline: string
  /** Which deadline the error tells of. */
  readonly which?: string
  readonly text?: string
}> = [
  {
    policy: "retry, fail",
    total: "60 seconds",
    asked: ["stalls before a word"],
    timeline: "+60000 DeadlineExceeded",
    which: "total"
  },
  {
    // The wait between would be longer than what is left.
    policy: "retry, fail",
    total: "120400 millis",
    asked: ["stalls before a word"],
    timeline: "+120000 DeadlineExceeded",
    which: "first-token"
  },
  {
    policy: "retry, fail",
    total: "125 seconds",
    asked: ["stalls before a word", "stalls before a word"],
    timeline: "+120000 DeadlineExceeded AttemptFailed, +500 asked, +4500 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "retry, fail",
    total: "125 seconds",
    asked: ["stalls before a word", "answers"],
    timeline: "+120000 DeadlineExceeded AttemptFailed, +500 asked, whole",
    text: answer
  },
  {
    policy: "retry, fail",
    total: "5 seconds",
    asked: ["asks to wait 10 s"],
    timeline: "RateLimited"
  },
  {
    policy: "retry, fail",
    total: "5 seconds",
    asked: ["asks to wait 3 s", "asks to wait 3 s"],
    timeline: "RateLimited AttemptFailed, +3000 asked, RateLimited"
  },
  {
    policy: "retry, continue",
    total: "70 seconds",
    asked: ["stalls in the end", "stalls before a word"],
    timeline: "+60000 DeadlineExceeded AttemptFailed, +500 asked, +9500 DeadlineExceeded",
    which: "total",
    text: answer
  },
  {
    policy: "retry, restart",
    total: "70 seconds",
    asked: ["stalls in the end", "stalls before a word"],
    timeline: "+60000 DeadlineExceeded Restarted, +500 asked, +9500 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "fallback, fail",
    total: "125 seconds",
    asked: ["stalls before a word", "stalls before a word"],
    timeline: "+120000 DeadlineExceeded Switched, asked, +5000 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "fallback, fail",
    total: "60 seconds",
    asked: ["stalls before a word"],
    timeline: "+60000 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "fallback, continue",
    total: "70 seconds",
    asked: ["stalls in the end", "stalls before a word"],
    timeline: "+60000 DeadlineExceeded Switched, asked, +10000 DeadlineExceeded",
    which: "total",
    text: answer
  },
  {
    policy: "fallback, restart",
    total: "70 seconds",
    asked: ["stalls in the end", "stalls before a word"],
    timeline: "+60000 DeadlineExceeded Restarted, Switched, asked, +10000 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "hedge",
    total: "3 seconds",
    asked: ["stalls before a word", "stalls before a word"],
    timeline: "+2000 asked, +1000 DeadlineExceeded",
    which: "total"
  },
  {
    policy: "hedge",
    total: "50 seconds",
    asked: ["stalls before a word", "stalls in the end"],
    timeline: "+2000 asked, DeadlineExceeded Switched, +48000 DeadlineExceeded",
    which: "total",
    text: answer
  }
]

const whichOf = (error: LlmError | undefined) =>
  error?.reason._tag === "DeadlineExceeded" ? error.reason.which : undefined

describe.each(protocols)("$name", (protocol) => {
  it.effect.each(rows)("$policy, within $total: $asked", ({ asked, policy: name, text = "", timeline, total, which }) =>
    Effect.gen(function* () {
      const policy = policies[name]
      const make = Effect.map(policy.make(protocol), (llm) => ({
        events: (request: Parameters<typeof llm.events>[0]) => Deadlines.within(llm.events(request), { total })
      }))
      const got = yield* run(make, ({ index }) =>
        exchange((index === 0 ? protocol : policy.second(protocol)).dialect, asked[index]!)
      )
      expect(got.timeline).toBe(timeline)
      expect([got.open, whichOf(got.error)]).toEqual([0, which])
      expect(LlmResponse.fromEvents(got.events).text).toBe(text)
      if (got.error !== undefined) expect(got.error.emitted).toBe(text.length)
    })
  )
})
