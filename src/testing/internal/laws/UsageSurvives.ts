/**
 * Law 11: what was used is reported, however the answer ends, and marked exact or estimated.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Llm from "../../../Llm.ts"
import type { LlmUsage } from "../../../LlmUsage.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  claim,
  claimSame,
  connect,
  errorOf,
  good,
  type Law,
  orNotApplicable,
  type Outcome,
  play,
  story,
  turn,
  whole
} from "../Trial.ts"

export const law: Law = {
  number: 11,
  title: "Usage survives",
  checks: [
    {
      title: "the provider's own counts are on Finished, marked exact",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const usage = usageOf(yield* play(subject, good(subject, whole(answer))))
        yield* claimSame(counts(usage), ["exact", 11, 7], "the usage")
      })
    },
    {
      title: "where the provider reports none, there is an estimate, marked so",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story], { usage: undefined }))
        const usage = usageOf(yield* play(subject, good(subject, whole(answer))))
        yield* claimSame(usage?.source, "estimated", "the usage's source")
        yield* claimSame(usage?.outputTokens, Math.ceil(story.deltas.join("").length / 4), "the estimate of the output")
        yield* claim((usage?.inputTokens ?? 0) > 0, () => "nothing is estimated for the prompt")
      })
    },
    ...(["length", "content-filter"] as const).map(
      (finish) =>
        ({
          title: `an answer that ends by ${finish} has its usage`,
          run: Effect.fnUntraced(function* (subject) {
            const answer = yield* answerOf(subject, turn([story], { finish }))
            const usage = usageOf(yield* play(subject, good(subject, whole(answer))))
            yield* claimSame(counts(usage), ["exact", 11, 7], "the usage")
          })
        }) satisfies Law["checks"][number]
    ),
    {
      title: "a turn that calls tools has its usage",
      run: Effect.fnUntraced(function* (subject) {
        const called = turn([{ type: "tool-call", id: "call_1", name: "now", deltas: ["{}"] }])
        const usage = usageOf(yield* play(subject, good(subject, whole(yield* answerOf(subject, called)))))
        yield* claimSame(counts(usage), ["exact", 11, 7], "the usage")
      })
    },
    {
      title: "an answer that breaks off has an estimate of what came, in its error",
      run: Effect.fnUntraced(function* (subject) {
        const { frames } = yield* answerOf(subject, turn([story]))
        for (const end of [FaultyWire.reset(), FaultyWire.eof, FaultyWire.chunk(subject.dialect.malformed)]) {
          const { error } = yield* play(subject, good(subject, frames, end))
          yield* claimSame(
            [error?.usage?.source, error?.usage?.outputTokens],
            ["estimated", Math.ceil(story.deltas.join("").length / 4)],
            `the usage in ${error?.reason._tag}`
          )
        }
      })
    },
    {
      title: "an answer that fails after its usage came has the exact one, in its error",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const end = yield* orNotApplicable(answer.semanticEnd, "the last word is the wire's end")
        const usage = yield* orNotApplicable(answer.usage, "usage does not come after the last word")
        const frames = [...answer.frames, end, usage, yield* errorOf(subject)]
        const { error } = yield* play(subject, good(subject, frames))
        yield* claimSame(counts(error?.usage), ["exact", 11, 7], "the usage in the error")
      })
    },
    {
      title: "a refusal has its usage, in the error of the views",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([{ type: "refusal", deltas: ["No."] }]))
        const { llm } = yield* connect(subject, () => good(subject, whole(answer)))
        const result = yield* Effect.result(Effect.provideService(Llm.run("Hi"), Llm.Llm, llm))
        const usage = result._tag === "Failure" ? result.failure.usage : undefined
        yield* claimSame(counts(usage), ["exact", 11, 7], "the usage")
      })
    }
  ]
}

const usageOf = ({ events }: Outcome): LlmUsage | undefined => {
  const last = events.at(-1)
  return last?._tag === "Finished" ? last.usage : undefined
}

const counts = (usage: LlmUsage | undefined) => [usage?.source, usage?.inputTokens, usage?.outputTokens]
