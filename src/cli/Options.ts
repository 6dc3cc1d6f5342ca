/**
 * What `rill` and its subcommands take alike.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { LlmRequest } from "../LlmRequest.ts"
import type { Api } from "./Model.ts"

/**
 * What was asked for on the command line, but for the question itself. `undefined` where it was not said.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly model: string | undefined
  /** The models to ask in its place when it fails, in their order. */
  readonly fallbacks: ReadonlyArray<string>
  readonly api: Api | undefined
  /** How often each of them is tried again. */
  readonly retries: number
  /** The longest silence of a model. */
  readonly timeout: Duration.Duration | undefined
  readonly request: Omit<LlmRequest, "prompt">
  readonly output: string | undefined
  readonly json: boolean
  readonly usage: boolean
}
