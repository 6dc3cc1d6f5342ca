/**
 * The text of an answer as messages, one for each piece.
 *
 * @since 0.1.0
 */
import type { AgentEvent } from "../agent/AgentEvent.ts"
import { failed, type Format, problem, type Put } from "./Format.ts"
import { AnswerText } from "./internal/answerText.ts"

/**
 * The pieces of a text as they come: strings, or the answer's tokens of an agent's events. For the events of
 * a turn, take their text by `Llm.text`, which fails on a refusal.
 *
 * A good end is the message `done`, whose data is `[DONE]`; an error is the message `error`, whose data is
 * `{ "_tag": "Failed", "error": Failure }`.
 *
 * Pieces join to the text, with line ends as `\n`: a wire of lines has no other. So a pair of carriage return
 * and line feed is never cut in two, and neither is a character.
 *
 * @category formats
 * @since 0.1.0
 */
export const text: Format<string | AgentEvent> = {
  encoder: () => {
    const answer = new AnswerText()
    let held = ""
    const flush = (put: Put): void => {
      if (held !== "") put(held)
      held = ""
    }
    return {
      add: (element, put) => {
        const text = held + answer.of(element)
        if (text === "") return undefined
        held = isHalf(text.charCodeAt(text.length - 1)) ? text.slice(-1) : ""
        const whole = held === "" ? text : text.slice(0, -1)
        if (whole !== "") put(whole)
        return undefined
      },
      end: (put) => {
        flush(put)
        put("[DONE]", "done")
      },
      fail: (failure, put) => {
        flush(put)
        put(failed(failure), "error")
      }
    }
  },
  problem,
  numbered: true
}

/** A carriage return, which a line feed may follow, or the first half of a surrogate pair. */
const isHalf = (code: number): boolean => code === 0x0d || (code >= 0xd800 && code <= 0xdbff)
