/** The policies of the fault matrix, and what is to come of each fault under each: the expectation, as tables. */
import * as Effect from "effect/Effect"
import type * as Llm from "effect-rill/Llm"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Hedge from "effect-rill/policy/Hedge"
import * as Retry from "effect-rill/policy/Retry"
import { nextOf, type Protocol } from "./faults.ts"

export interface Policy {
  /** Who is sent the second request. */
  readonly second: (protocol: Protocol) => Protocol
  readonly make: (protocol: Protocol) => Protocol["make"]
  readonly afterOutput: Retry.AfterOutput
}

type Service = Llm.Llm["Service"]

const retry = (afterOutput: Retry.AfterOutput): Policy => ({
  afterOutput,
  second: (protocol) => protocol,
  make: ({ make }) => Effect.map(make, Retry.attach(afterOutput === "fail" ? {} : { afterOutput }))
})

const ofTwo = (afterOutput: Retry.AfterOutput, policy: (llms: readonly [Service, Service]) => Service): Policy => ({
  afterOutput,
  second: nextOf,
  make: (protocol) => Effect.map(Effect.all([protocol.make, nextOf(protocol).make]), policy)
})

const fallback = (afterOutput: Retry.AfterOutput): Policy =>
  ofTwo(afterOutput, (llms) => Fallback.make(llms, afterOutput === "fail" ? {} : { afterOutput }))

/** A fallback and a hedge ask a model of another protocol after the first. */
export const policies = {
  "retry, fail": retry("fail"),
  "retry, continue": retry("continue"),
  "retry, restart": retry("restart"),
  "fallback, fail": fallback("fail"),
  "fallback, continue": fallback("continue"),
  "fallback, restart": fallback("restart"),
  hedge: ofTwo("fail", (llms) => Hedge.make(llms, { after: "2 seconds" }))
} satisfies Readonly<Record<string, Policy>>

export type Name = keyof typeof policies

// -----------------------------------------------------------------------------
// the faults
// -----------------------------------------------------------------------------

/** Whether a fault passes when the same model is asked again; `stalls` passes as well, but is seen late. */
export type Kind = "passes" | "stays" | "stalls"

/** What a policy makes of it depends on what its reader has been given. */
export type Given = "nothing" | "reasoning" | "text"

interface Fault {
  readonly kind: Kind
  /** What comes of an answer at which nobody tries again, and how many milliseconds after its request. */
  readonly nothing: string
  readonly something: string
  readonly all: string
}

/** By name, after the columns: nothing given yet, something given, the last word come. */
export const faultsByName: Readonly<Record<string, Fault>> = {
  "the body ends": {
    kind: "passes",
    nothing: "Truncated",
    something: "Truncated",
    all: "whole"
  },
  "the connection breaks": {
    kind: "passes",
    nothing: "Disconnected",
    something: "Disconnected",
    all: "Disconnected"
  },
  "nothing more comes": {
    kind: "stalls",
    nothing: "+120000 DeadlineExceeded",
    something: "+60000 DeadlineExceeded",
    all: "+1000 whole"
  },
  "the provider reports an error": {
    kind: "passes",
    nothing: "ProviderFailed",
    something: "ProviderFailed",
    all: "ProviderFailed"
  },
  "a frame is broken": {
    kind: "stays",
    nothing: "Malformed",
    something: "Malformed",
    all: "Malformed"
  },
  "keep-alives come, then the body ends": {
    kind: "passes",
    nothing: "+40 Truncated",
    something: "+40 Truncated",
    all: "+40 whole"
  },
  "keep-alives come, and nothing else": {
    kind: "stalls",
    nothing: "+120000 DeadlineExceeded",
    something: "+60000 DeadlineExceeded",
    all: "+1000 whole"
  }
}

// -----------------------------------------------------------------------------
// the policies
// -----------------------------------------------------------------------------

type Table = Readonly<Record<Name, Readonly<Record<Given, string>>>>

/**
 * After one fault, the next answer is sound. FAULT is what it is without a policy, REASON its reason alone,
 * LATE its delay alone; all times are from what is before.
 */
const passing: Table = {
  "retry, fail": {
    nothing: "FAULT AttemptFailed, +500 asked, whole",
    reasoning: "FAULT",
    text: "FAULT"
  },
  "retry, continue": {
    nothing: "FAULT AttemptFailed, +500 asked, whole",
    reasoning: "FAULT Restarted, +500 asked, whole",
    text: "FAULT AttemptFailed, +500 asked, whole"
  },
  "retry, restart": {
    nothing: "FAULT AttemptFailed, +500 asked, whole",
    reasoning: "FAULT Restarted, +500 asked, whole",
    text: "FAULT Restarted, +500 asked, whole"
  },
  "fallback, fail": {
    nothing: "FAULT Switched, asked, whole",
    reasoning: "FAULT",
    text: "FAULT"
  },
  "fallback, continue": {
    nothing: "FAULT Switched, asked, whole",
    reasoning: "FAULT Restarted, Switched, asked, whole",
    text: "FAULT Switched, asked, whole"
  },
  "fallback, restart": {
    nothing: "FAULT Switched, asked, whole",
    reasoning: "FAULT Restarted, Switched, asked, whole",
    text: "FAULT Restarted, Switched, asked, whole"
  },
  hedge: {
    nothing: "LATEasked, REASON Switched, whole",
    reasoning: "FAULT",
    text: "FAULT"
  }
}

/** Every answer after the first has the same fault before anything of it comes: AGAIN. */
const lasting: Table = {
  "retry, fail": {
    nothing: "FAULT AttemptFailed, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN",
    reasoning: "FAULT",
    text: "FAULT"
  },
  "retry, continue": {
    nothing: "FAULT AttemptFailed, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN",
    reasoning: "FAULT Restarted, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN",
    text: "FAULT AttemptFailed, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN"
  },
  "retry, restart": {
    nothing: "FAULT AttemptFailed, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN",
    reasoning: "FAULT Restarted, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN",
    text: "FAULT Restarted, +500 asked, AGAIN AttemptFailed, +1000 asked, AGAIN"
  },
  "fallback, fail": {
    nothing: "FAULT Switched, asked, AGAIN",
    reasoning: "FAULT",
    text: "FAULT"
  },
  "fallback, continue": {
    nothing: "FAULT Switched, asked, AGAIN",
    reasoning: "FAULT Restarted, Switched, asked, AGAIN",
    text: "FAULT Switched, asked, AGAIN"
  },
  "fallback, restart": {
    nothing: "FAULT Switched, asked, AGAIN",
    reasoning: "FAULT Restarted, Switched, asked, AGAIN",
    text: "FAULT Restarted, Switched, asked, AGAIN"
  },
  hedge: {
    nothing: "LATEasked, AGAIN",
    reasoning: "FAULT",
    text: "FAULT"
  }
}

const alone = { nothing: "FAULT", reasoning: "FAULT", text: "FAULT" }

/** What the same model would do again is not asked of it again. */
const hopeless = { "retry, fail": alone, "retry, continue": alone, "retry, restart": alone }

export const tables: Readonly<Record<"then sound" | "ever again", Readonly<Record<Kind, Table>>>> = {
  "then sound": {
    passes: passing,
    stays: { ...passing, ...hopeless },
    // A hedge does not wait for a deadline.
    stalls: {
      ...passing,
      hedge: {
        nothing: "+2000 asked, DeadlineExceeded Switched, whole",
        reasoning: "FAULT",
        text: "FAULT"
      }
    }
  },
  "ever again": {
    passes: lasting,
    stays: { ...lasting, ...hopeless },
    stalls: {
      ...lasting,
      hedge: {
        nothing: "+2000 asked, +120000 DeadlineExceeded",
        reasoning: "FAULT",
        text: "FAULT"
      }
    }
  }
}

/** The timeline that a cell of the tables tells of. */
export const filledIn = (cell: string, fault: string, again: string): string => {
  const { delay, reason } = /^(?<delay>\+\d+ )?(?<reason>\w+)$/.exec(fault)!.groups!
  return cell
    .replaceAll("FAULT", fault)
    .replaceAll("AGAIN", again)
    .replaceAll("REASON", reason!)
    .replaceAll("LATE", delay ?? "")
}
