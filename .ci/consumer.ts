import { Effect, Layer, Stream } from "effect"
import { Llm, type LlmEvent } from "effect-rill"
import * as Rill from "effect-rill/promise/Rill"

const events: Array<LlmEvent.LlmEvent> = [
  { _tag: "TextDelta", text: "It " },
  { _tag: "TextDelta", text: "works." },
  { _tag: "Finished", reason: "stop", usage: { source: "estimated" } }
]
const mocked = Layer.succeed(Llm.Llm, { events: () => Stream.fromIterable(events) })
console.log(await Effect.runPromise(Llm.stream("Does it?").pipe(Stream.mkString, Effect.provide(mocked))))
await Rill.fromOpenAi("gpt-4o-mini").close()
