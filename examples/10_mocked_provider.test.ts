// An app tested without a provider: a Layer that plays a script stands in for it.
// `summarize` is the app; the test tells what the model answers, and reads what it was asked.
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Llm } from "effect-rill"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"

const summarize = (article: string) =>
  Llm.run({ system: "Summarize in one line.", prompt: article }).pipe(Effect.map(({ text }) => text.trim()))

it.effect("summarizes an article", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* summarize("A rill is a brook."), "A small brook.")
    assert.deepInclude((yield* ScriptedLlm.requests)[0], { prompt: "A rill is a brook." })
  }).pipe(Effect.provide(ScriptedLlm.layer([" A small brook.\n"])))
)
