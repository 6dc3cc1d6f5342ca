/** `Llm.events`, by arrays; of each the text is taken. */
import * as Stream from "effect/Stream"
import * as Llm from "../../../src/Llm.ts"
import type { LlmEvent } from "../../../src/LlmEvent.ts"
import { type Contestant, prompt, type Target } from "../../Contestant.ts"
import { deliver } from "../effect/deliver.ts"
import { type Options, running } from "./model.ts"

const textsOf = (events: ReadonlyArray<LlmEvent>): ReadonlyArray<string> => {
  const texts: Array<string> = []
  for (const event of events) if (event._tag === "TextDelta") texts.push(event.text)
  return texts
}

export const make = async (target: Target, options: Options): Promise<Contestant> => {
  const run = await running(target, options)
  return (onText) => run(Stream.runForEachArray(Llm.events(prompt), (events) => deliver(textsOf(events), onText)))
}
