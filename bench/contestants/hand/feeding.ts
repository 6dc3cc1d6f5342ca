/** Pieces of text in, the data of events or lines out. */
import { createParser } from "eventsource-parser"
import type { OnText } from "../../Contestant.ts"
import type { Protocol } from "../../server/Plan.ts"
import { textOf } from "./bodies.ts"

/** Gives what has to be waited for before more is fed. */
export const feeding = (protocol: Protocol, onText: OnText): ((text: string) => ReturnType<OnText>) => {
  let wait: ReturnType<OnText>
  const read = textOf[protocol]
  const onData = (data: string): void => {
    const text = read(data)
    if (text) wait = onText(text) ?? wait
  }
  const feed = protocol === "ollama" ? lines(onData) : createParser({ onEvent: ({ data }) => onData(data) }).feed
  return (text) => {
    wait = undefined
    feed(text)
    return wait
  }
}

const lines = (onLine: (line: string) => void): ((text: string) => void) => {
  let pending = ""
  return (text) => {
    pending += text
    let start = 0
    for (let end = pending.indexOf("\n"); end >= 0; end = pending.indexOf("\n", start)) {
      onLine(pending.slice(start, end))
      start = end + 1
    }
    pending = pending.slice(start)
  }
}
