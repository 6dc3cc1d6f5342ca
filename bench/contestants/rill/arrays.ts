/** `Llm.stream`, by the arrays that it comes in. */
import * as Stream from "effect/Stream"
import * as Llm from "../../../src/Llm.ts"
import { type Contestant, prompt, type Target } from "../../Contestant.ts"
import { deliver } from "../effect/deliver.ts"
import { type Options, running } from "./model.ts"

export const make = async (target: Target, options: Options): Promise<Contestant> => {
  const run = await running(target, options)
  return (onText) => run(Stream.runForEachArray(Llm.stream(prompt), (texts) => deliver(texts, onText)))
}
