/** What is measured: something that asks a model and gives its text. */
import type { Protocol } from "./server/Plan.ts"

/** Where a contestant asks. */
export interface Target {
  readonly protocol: Protocol
  /** What all paths begin with, `/v1` not included. */
  readonly url: string
}

/**
 * Is told each text as it comes. What it gives is waited for before more is read; if that is `true`,
 * the contestant stops reading, as its users would: by `break`, or by an interruption.
 */
export type OnText = (text: string) => Promise<boolean> | undefined

/** Asks once, and ends with the answer. May be asked many times, and at once. */
export type Contestant = (onText: OnText) => Promise<void>

export type Make = (target: Target) => Contestant | Promise<Contestant>

/** The one that all others are compared with. */
export const byHand = "hand/fetch"

export const prompt = "Tell me a story"

/** Their clients want one; the server does not. */
export const apiKey = "sk-none"

/** Names that no client makes special cases for. */
export const model = "bench-model"
