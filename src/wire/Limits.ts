/**
 * How long a turn may take.
 *
 * @since 0.1.0
 */
import { DeadlineExceeded } from "../LlmError.ts"

/**
 * The limits of one turn, in milliseconds; infinite where there is none. A token is what the model
 * says: text, reasoning, a refusal, a tool call. Nothing else that comes is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** From the request to the response head. */
  readonly headers: number
  /** From the request to the first token. */
  readonly firstToken: number
  /** From one token to the next. */
  readonly idle: number
  /** For all of the answer, however many attempts it takes: how long that was, and when it is over, by the monotonic clock. */
  readonly total: number
  readonly expiresAt: number
}

/**
 * No limits.
 *
 * @category constants
 * @since 0.1.0
 */
export const none: Limits = {
  headers: Number.POSITIVE_INFINITY,
  firstToken: Number.POSITIVE_INFINITY,
  idle: Number.POSITIVE_INFINITY,
  total: Number.POSITIVE_INFINITY,
  expiresAt: Number.POSITIVE_INFINITY
}

/**
 * Which limit has been passed.
 *
 * @category models
 * @since 0.1.0
 */
export type Which = DeadlineExceeded["which"]

/**
 * That a limit has been passed.
 *
 * @category errors
 * @since 0.1.0
 */
export const exceeded = (limits: Limits, which: Which): DeadlineExceeded => {
  switch (which) {
    case "headers":
      return new DeadlineExceeded({
        which,
        message: `no response came within ${inSeconds(limits.headers)}. Ask again, or raise the deadline \`headers\`.`
      })
    case "first-token":
      return new DeadlineExceeded({
        which,
        message: `no token came within ${inSeconds(limits.firstToken)} of the request. Ask again, or raise the deadline \`firstToken\`.`
      })
    case "idle":
      return new DeadlineExceeded({
        which,
        message: `the answer stalled: no token came for ${inSeconds(limits.idle)}. Ask again, or raise the deadline \`idle\`.`
      })
    case "total":
      return new DeadlineExceeded({
        which,
        message: `the answer was not complete within ${inSeconds(limits.total)}. Ask for less, or raise the deadline \`total\`.`
      })
  }
}

const inSeconds = (milliseconds: number): string => `${Number((milliseconds / 1000).toPrecision(3))} s`
