/**
 * Law 2: whatever goes wrong reaches the error channel of every view.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Llm from "../../../Llm.ts"
import type { Reason } from "../../../LlmError.ts"
import * as FaultyWire from "../../FaultyWire.ts"
import {
  answerOf,
  type Check,
  claim,
  claimSame,
  connect,
  errorOf,
  good,
  type Law,
  NotApplicable,
  orNotApplicable,
  play,
  story,
  turn,
  whole,
  wireEndOf
} from "../Trial.ts"

const text = story.deltas.join("")

export const law: Law = {
  number: 2,
  title: "One failure channel",
  checks: [
    {
      title: "an error in the middle of a stream fails it, after what came before",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const frames = [...answer.frames, yield* errorOf(subject), ...answer.frames]
        const run = yield* play(subject, good(subject, frames))
        yield* claimSame([run.state, run.error?.phase, run.text], ["failed", "mid-output", text], "the answer")
        yield* claim(
          run.error?.message.includes("made-up failure") === true,
          () => `the provider's own words are not in the error: ${run.error?.message}`
        )
      })
    },
    {
      title: "an error before any output fails, as before-output",
      run: Effect.fnUntraced(function* (subject) {
        const { error, state } = yield* play(subject, good(subject, [yield* errorOf(subject)]))
        yield* claimSame([state, error?.phase], ["failed", "before-output"], "the answer")
      })
    },
    {
      title: "an error after the provider's last word still fails",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const end = yield* orNotApplicable(answer.semanticEnd, "the last word is the wire's end")
        const frames = [...answer.frames, end, yield* errorOf(subject), ...wireEndOf(answer)]
        const { state } = yield* play(subject, good(subject, frames))
        yield* claimSame(state, "failed", "an answer with a late error")
      })
    },
    {
      title: "a connection that breaks in the middle is Disconnected, after what came before",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const run = yield* play(subject, good(subject, answer.frames, FaultyWire.reset()))
        yield* claimSame(
          [run.error?.reason._tag, run.error?.phase, run.text],
          ["Disconnected", "mid-output", text],
          "the answer"
        )
      })
    },
    {
      title: "a connection that breaks after the head is Disconnected, before-output",
      run: Effect.fnUntraced(function* (subject) {
        const { error, state } = yield* play(subject, good(subject, [], FaultyWire.reset()))
        yield* claimSame([error?.reason._tag ?? state, error?.phase], ["Disconnected", "before-output"], "the answer")
      })
    },
    {
      title: "no connection is Unreachable, in the phase request",
      run: Effect.fnUntraced(function* (subject) {
        const { error, state } = yield* play(subject, [FaultyWire.reset("ECONNREFUSED")])
        yield* claimSame([error?.reason._tag ?? state, error?.phase], ["Unreachable", "request"], "the answer")
      })
    },
    {
      title: "a frame that is broken is Malformed, after what came before",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const run = yield* play(
          subject,
          good(subject, [...answer.frames, subject.dialect.malformed, ...wireEndOf(answer)])
        )
        yield* claimSame([run.error?.reason._tag ?? run.state, run.text], ["Malformed", text], "the answer")
      })
    },
    {
      title: "a page of a proxy under HTTP 200 is a failure",
      run: Effect.fnUntraced(function* (subject) {
        const page = "<!doctype html><html><body>Please sign in</body></html>"
        const { error, state } = yield* play(subject, [
          FaultyWire.status(200, { "content-type": "text/html" }),
          FaultyWire.chunk(page)
        ])
        yield* claimSame([state, error?.phase], ["failed", "before-output"], "the answer")
      })
    },
    ...statuses().map(([status, reason]): Check => ({
      title: `HTTP ${status} is ${reason}`,
      run: Effect.fnUntraced(function* (subject) {
        const { error, state } = yield* play(subject, [
          FaultyWire.status(status),
          FaultyWire.chunk(subject.dialect.failure({ message: "made-up failure" }))
        ])
        yield* claimSame([error?.reason._tag ?? state, error?.phase], [reason, "headers"], `HTTP ${status}`)
      })
    })),
    {
      title: "the text-only view fails as the full one does",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story]))
        const { llm } = yield* connect(subject, () => good(subject, answer.frames, FaultyWire.reset()))
        const full = yield* Effect.flip(orSuccess(Stream.runDrain(Llm.events("Hi")), llm))
        const only = yield* Effect.flip(orSuccess(Stream.runDrain(Llm.stream("Hi")), llm))
        const run = yield* Effect.flip(orSuccess(Llm.run("Hi"), llm))
        yield* claimSame([only.reason._tag, run.reason._tag], [full.reason._tag, full.reason._tag], "the failure")
      })
    },
    {
      title: "a refusal fails the text view, with the model's words",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([{ type: "refusal", deltas: ["I will ", "not."] }]))
        const { llm } = yield* connect(subject, () => good(subject, whole(answer)))
        const error = yield* Effect.flip(orSuccess(Stream.runDrain(Llm.stream("Hi")), llm))
        yield* claimSame(
          error.reason._tag === "ContentFiltered" ? error.reason.refusal : error.reason._tag,
          "I will not.",
          "the refusal"
        )
      })
    },
    {
      title: "an answer that a filter withheld fails the text view",
      run: Effect.fnUntraced(function* (subject) {
        const answer = yield* answerOf(subject, turn([story], { finish: "content-filter" }))
        const { llm } = yield* connect(subject, () => good(subject, whole(answer)))
        const error = yield* Effect.flip(orSuccess(Stream.runDrain(Llm.stream("Hi")), llm))
        yield* claimSame(error.reason._tag, "ContentFiltered", "the failure")
      })
    },
    {
      title: "no error quotes a key, not even where the provider does",
      run: Effect.fnUntraced(function* (subject) {
        let keys: ReadonlyArray<string> = []
        const quoting = (quote: (words: string) => FaultyWire.Exchange) => (request: FaultyWire.Request) => {
          keys = keyHeaders.flatMap((name) => (request.headers[name] ?? "").split(" ")).filter((key) => key.length >= 8)
          return quote(`Incorrect key ${keys.join(", ")} given`)
        }
        const quotes = [
          quoting((message) => [FaultyWire.status(401), FaultyWire.chunk(subject.dialect.failure({ message }))]),
          quoting((message) =>
            good(subject, subject.dialect.error === undefined ? [] : [subject.dialect.error(message)])
          ),
          quoting((message) => [FaultyWire.status(502, { "content-type": "text/html" }), FaultyWire.chunk(message)])
        ]
        for (const script of quotes) {
          const { llm } = yield* connect(subject, script)
          const error = yield* Effect.flip(orSuccess(Stream.runDrain(Llm.events("Hi")), llm))
          if (keys.length === 0) return yield* new NotApplicable({ message: "no key is sent in a header" })
          const said = `${error.message} ${JSON.stringify(error)} ${String(error.stack)}`
          yield* claim(
            !keys.some((key) => said.includes(key)),
            () => `an error has the key in it: ${error.reason._tag}`
          )
        }
      })
    }
  ]
}

/** What is wanted of a view is its failure: a success is a value that says so. */
const orSuccess = <A, E>(view: Effect.Effect<A, E, Llm.Llm>, llm: Llm.Llm["Service"]): Effect.Effect<never, E> =>
  view.pipe(Effect.provideService(Llm.Llm, llm), Effect.andThen(Effect.die(new Error("the answer succeeded"))))

function statuses(): ReadonlyArray<readonly [number, Reason["_tag"]]> {
  return [
    [400, "InvalidRequest"],
    [401, "Authentication"],
    [403, "PermissionDenied"],
    [404, "NotFound"],
    [429, "RateLimited"],
    [500, "ProviderFailed"],
    [503, "Overloaded"]
  ]
}

const keyHeaders = ["authorization", "x-api-key", "api-key", "x-goog-api-key"]
