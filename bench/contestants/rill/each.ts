/** `Llm.stream`, one by one. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Llm from "../../../src/Llm.ts"
import { type Contestant, prompt, type Target } from "../../Contestant.ts"
import { stopped } from "../effect/deliver.ts"
import { type Options, running } from "./model.ts"

export const make = async (target: Target, options: Options): Promise<Contestant> => {
  const run = await running(target, options)
  return (onText) =>
    run(
      Stream.runForEach(Llm.stream(prompt), (text) => {
        const wait = onText(text)
        if (wait === undefined) return Effect.void
        return Effect.flatMap(
          Effect.promise(() => wait),
          (stop) => (stop ? Effect.fail(stopped) : Effect.void)
        )
      })
    )
}
