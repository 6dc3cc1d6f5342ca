/**
 * The service that streams answers from a language model, and the views of an answer.
 *
 * A provider is a Layer of {@link Llm}; everything here works with any of them.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { ContentFiltered, LlmError } from "./LlmError.ts"
import type { LlmEvent } from "./LlmEvent.ts"
import * as LlmRequest from "./LlmRequest.ts"
import * as LlmResponse from "./LlmResponse.ts"
import type { LlmUsage } from "./LlmUsage.ts"

/**
 * A language model: one function, from a request to the events of its turn.
 *
 * The stream succeeds only if the provider said that the answer is complete; everything else is in
 * its error channel. It begins the request when it is run, closes the connection when it ends, fails
 * or is interrupted, and may be run again.
 *
 * @category services
 * @since 0.1.0
 */
export class Llm extends Context.Service<
  Llm,
  {
    readonly events: (request: LlmRequest.LlmRequest) => Stream.Stream<LlmEvent, LlmError>
  }
>()("effect-rill/Llm") {}

/**
 * Everything that a turn tells: text, reasoning, tool calls, sources, usage, in order.
 *
 * Note that a refusal is an event here, and `content-filter` a finish reason, not failures.
 *
 * @category views
 * @since 0.1.0
 */
export const events = (input: LlmRequest.Input): Stream.Stream<LlmEvent, LlmError, Llm> =>
  Stream.unwrap(Llm.useSync((llm) => llm.events(LlmRequest.make(input))))

/**
 * The text of an answer, as it comes.
 *
 * Fails with `ContentFiltered` on a refusal or a content filter, and, since text cannot be taken
 * back, with the causing error when a policy restarts an answer of which some had been delivered.
 *
 * @category views
 * @since 0.1.0
 */
export const stream = (input: LlmRequest.Input): Stream.Stream<string, LlmError, Llm> => text(events(input))

/**
 * The whole of an answer: text, reasoning, tool calls, usage and finish reason.
 *
 * Fails with `ContentFiltered` on a refusal or a content filter.
 *
 * @category views
 * @since 0.1.0
 */
export const run = (input: LlmRequest.Input): Effect.Effect<LlmResponse.LlmResponse, LlmError, Llm> =>
  Effect.suspend(() => {
    const fold = LlmResponse.makeFold()
    const judge = new Judge()
    return Stream.runForEachArray(events(input), (events) => {
      for (const event of events) {
        fold.add(event)
        const error = judge.see(event)
        if (error !== undefined) return Effect.fail(error)
      }
      return Effect.void
    }).pipe(Effect.map(() => fold.response()))
  })

/**
 * The text of a stream of events: what {@link stream} does, for events that come from elsewhere.
 *
 * @category views
 * @since 0.1.0
 */
export const text = <R>(events: Stream.Stream<LlmEvent, LlmError, R>): Stream.Stream<string, LlmError, R> =>
  Stream.transformPull(events, (pull) =>
    Effect.sync(() => {
      const judge = new Judge()
      let failure: LlmError | undefined
      return Effect.suspend(function loop(): Pull.Pull<NonEmptyReadonlyArray<string>, LlmError> {
        if (failure !== undefined) return Effect.fail(failure)
        return Effect.flatMap(pull, (events) => {
          const out: Array<string> = []
          for (const event of events) {
            if (event._tag === "TextDelta") {
              judge.emitted += event.text.length
              out.push(event.text)
              continue
            }
            // What came before the failure is delivered first; the next pull fails.
            failure = judge.see(event) ?? (event._tag === "Restarted" && judge.emitted > 0 ? event.error : undefined)
            if (failure !== undefined) break
          }
          return isNonEmpty(out) ? Effect.succeed(out) : loop()
        })
      })
    })
  )

/** Finds the refusals and content filters that are failures in every view but `events`. */
class Judge {
  emitted = 0
  private refusal: Array<string> = []
  private provider: string | undefined
  private model: string | undefined

  see(event: LlmEvent): LlmError | undefined {
    if (event._tag === "TextDelta") this.emitted += event.text.length
    else if (event._tag === "Refusal") this.refusal.push(event.text)
    else if (event._tag === "Restarted") this.refusal = []
    else if (event._tag === "Started") {
      this.provider = event.provider
      this.model = event.model
    } else if (event._tag === "Finished" && (this.refusal.length > 0 || event.reason === "content-filter")) {
      return this.filtered(event.usage)
    }
    return undefined
  }

  private filtered(usage: LlmUsage): LlmError {
    const refusal = this.refusal.join("")
    return new LlmError({
      reason: new ContentFiltered({
        message:
          refusal === ""
            ? "the provider's content filter withheld the rest of the answer. Change the prompt, or read `Llm.events` to take what came."
            : "the model refused to answer. Its words are in `reason.refusal`. Change the prompt, or read `Llm.events` to take them as an event.",
        ...(refusal === "" ? undefined : { refusal })
      }),
      provider: this.provider ?? "llm",
      ...(this.model === undefined ? undefined : { model: this.model }),
      phase: this.emitted > 0 || refusal !== "" ? "mid-output" : "before-output",
      emitted: this.emitted,
      usage
    })
  }
}

const isNonEmpty = (array: ReadonlyArray<string>): array is NonEmptyReadonlyArray<string> => array.length > 0
