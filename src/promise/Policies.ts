/**
 * Deadlines, retries and fallbacks, for callers who do not know Effect. Take them from `Rill`.
 *
 * @since 0.1.0
 */

/**
 * A time: milliseconds, or a number with its unit.
 *
 * @category policies
 * @since 0.1.0
 */
export type Duration =
  | number
  | `${number} ${"milli" | "millis" | "second" | "seconds" | "minute" | "minutes" | "hour" | "hours"}`
  | "Infinity"

/**
 * How long an answer may take: for all of it, or for each of its parts. A deadline that passes closes the
 * connection, and the call is rejected as `DeadlineExceeded`. `Infinity` is no deadline.
 *
 * Only tokens count (text, reasoning, a refusal, a tool call), not what a server sends to keep a connection
 * alive; and what the reader takes between two pieces counts for `total` alone.
 *
 * Of an agent, these are of each turn; for the whole run there is `maxDuration`.
 *
 * @category policies
 * @since 0.1.0
 */
export type Timeout =
  | Duration
  | {
      /** From the request to the response head. Default: none but `firstToken`. */
      readonly headers?: Duration | undefined
      /** From the request to the first token, for each try. Default 120 s. */
      readonly firstToken?: Duration | undefined
      /** From one token to the next. Default 60 s. */
      readonly idle?: Duration | undefined
      /** For the whole answer, with all its tries and the waits between them. Default: none. */
      readonly total?: Duration | undefined
    }

/**
 * How often a call is tried again when it fails in a way that may pass: a number, or `false` for never. Default
 * 2, which is 3 tries in all, after about 0.5 s and 1 s; a longer wait that the provider asks for is waited
 * for, if it is at most `maxDelay`.
 *
 * @category policies
 * @since 0.1.0
 */
export type Retries =
  | number
  | false
  | {
      /** Default 2. */
      readonly times?: number | undefined
      /** The longest wait. Where the provider asks for a longer one, the call is rejected at once. Default 30 s. */
      readonly maxDelay?: Duration | undefined
      /**
       * What happens after some of the answer has been delivered. `fail`, the default: the call is rejected.
       * `continue`: the model is asked to go on from the text so far, which is never taken back. `restart`: the
       * answer begins anew, as the event `Restarted` tells; `run` gives the new one, and iterables of text,
       * which cannot take back what they gave, are rejected.
       */
      readonly afterOutput?: "fail" | "continue" | "restart" | undefined
    }
