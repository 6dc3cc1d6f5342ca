/**
 * Events as NDJSON (https://github.com/ndjson/ndjson-spec): one JSON object a line.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { LlmError } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"

/**
 * A line for each event. A turn that fails ends with a line for its error, and then fails: `_tag` is
 * `"LlmError"`, which no event has, and the rest is the error by its schema, with its `message`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const lines = <R>(
  events: Stream.Stream<LlmEvent, LlmError, R>,
  /** Whether a terminal is to show them: then what could drive it is escaped too. */
  shown: boolean
): Stream.Stream<string, LlmError, R> => {
  const line = (value: object): string => toLine(value, shown)
  return events.pipe(
    Stream.map((event) => line("error" in event ? { ...event, error: encodeError(event.error) } : event)),
    Stream.catch((error) => Stream.concat(Stream.make(line(encodeError(error))), Stream.fail(error)))
  )
}

const encodeError = (error: LlmError): object =>
  Object.assign({}, Schema.encodeSync(Schema.toCodecJson(LlmError))(error), { message: error.message })

/**
 * A value as a line.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toLine = (value: object, shown: boolean): string => {
  const json = JSON.stringify(value)
  return `${shown ? json.replace(drivers, escape) : json}\n`
}

const drivers = /[\x7f-\x9f]/g

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
