/**
 * The events of an answer as JSON, a message each.
 *
 * @since 0.1.0
 */
import * as EventJson from "./EventJson.ts"
import { type Element, failed, type Format, problem } from "./Format.ts"

/**
 * Each event as `EventJson.encode` writes it; a string is a `TextDelta`.
 *
 * A good end is the message `done`, whose data is `[DONE]`; an error is the message `error`, whose data is
 * `{ "_tag": "Failed", "error": Failure }`.
 *
 * @category formats
 * @since 0.1.0
 */
export const json: Format<Element> = {
  encoder: () => ({
    add: (element, put) => {
      put(EventJson.encode(typeof element === "string" ? { _tag: "TextDelta", text: element } : element))
      return undefined
    },
    end: (put) => put("[DONE]", "done"),
    fail: (failure, put) => put(failed(failure), "error")
  }),
  problem,
  numbered: true
}
