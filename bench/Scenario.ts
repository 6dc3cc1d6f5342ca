/** What is measured, and how. */
import type { OnText } from "./Contestant.ts"
import type { Abandoned } from "./server/Server.ts"
import type { Plan, Protocol } from "./server/Plan.ts"

/** What a contestant's process reports of one measurement. */
export type Figures = Readonly<Record<string, number>>

export interface Column {
  /** Of the figures. */
  readonly key: string
  readonly title: string
  readonly digits: number
  /** Whether it is told how many times that of the one by hand it is. */
  readonly ratio?: boolean
}

export interface Scenario {
  readonly title: string
  readonly protocols: ReadonlyArray<Protocol>
  readonly columns: ReadonlyArray<Column>
  /** Unless told otherwise. */
  readonly rounds: number
  /** `kept`: one process for all rounds, warmed up before. `fresh`: another one for each. */
  readonly process: "kept" | "fresh"
  /** Who takes part where nobody says otherwise. Default: all. */
  readonly takesPart?: (name: string) => boolean
  /** With whom one is compared beside the one by hand. */
  readonly beside?: (name: string) => string | undefined
  readonly warmUp?: (asker: Asker) => Promise<void>
  readonly measure: (asker: Asker) => Promise<Figures>
  /** What the server has to add, in the harness's own process. */
  readonly complete?: (figures: Figures, server: ServerView) => Promise<Figures>
}

/** The contestant, as a scenario sees it: asked for an answer as planned. */
export interface Asker {
  /** Asks for an answer and checks all of its text. */
  readonly whole: (plan: Plan) => Promise<void>
  /** Asks for an answer and gives its texts. */
  readonly each: (plan: Plan, onText: OnText) => Promise<void>
}

export interface ServerView {
  /** The next answer whose reader goes away, within 5 s. */
  readonly abandoned: () => Promise<Abandoned | undefined>
}

/** What a process is told, at its start. */
export interface Job {
  readonly contestant: string
  readonly scenario: string
  readonly protocol: Protocol
  readonly url: string
}

export type Report =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Measured"; readonly figures: Figures }
  | { readonly _tag: "Failed"; readonly message: string }
