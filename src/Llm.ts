/**
 * The service that streams answers from a language model, and the views of an answer.
 *
 * A provider is a Layer of {@link Llm}; everything here works with any of them.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ContentFiltered, InvalidOutput, type InvalidRequest, LlmError, type Reason, Truncated } from "./LlmError.ts"
import type { LlmEvent, Of } from "./LlmEvent.ts"
import * as LlmObject from "./LlmObject.ts"
import * as LlmRequest from "./LlmRequest.ts"
import * as LlmResponse from "./LlmResponse.ts"
import type { LlmUsage } from "./LlmUsage.ts"
import * as PartialJson from "./PartialJson.ts"

/**
 * A language model: one function, from a request to the events of its turn. What else it tells of itself
 * is optional, and for policies.
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
    /** What policies that choose among models call this one, such as `"openai/gpt-4.1-mini"`. */
    readonly name?: string | undefined
    /**
     * A request whose last message is the beginning of the answer, as this provider wants to be told that
     * it is one; `undefined` where the model would begin a new answer, or refuse.
     */
    readonly prefill?: ((request: LlmRequest.LlmRequest) => LlmRequest.LlmRequest | undefined) | undefined
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
      const judge = new DeliveryJudge()
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
            failure = judge.see(event)
            if (failure !== undefined) break
          }
          return isNonEmpty(out) ? Effect.succeed(out) : loop()
        })
      })
    })
  )

/**
 * The answer as a value of a schema. The model is asked for it, unless the request has a
 * `responseFormat` of its own: for servers without JSON-schema mode, with instructions in the prompt.
 *
 * ```ts
 * const Recipe = Schema.Struct({ title: Schema.String, steps: Schema.Array(Schema.String) })
 * Llm.object(Recipe)("How do I make tea?") // Effect<{ title, steps }, LlmError, Llm>
 * ```
 *
 * Fails with `InvalidOutput` if the answer does not fit the schema, with `Truncated` if the token limit
 * cut it, with `ContentFiltered` on a refusal or a content filter, with the causing error when a policy
 * restarts an answer of which some had come, and with `InvalidRequest` for a schema that JSON cannot
 * express.
 *
 * Make it once, outside of loops: the schema is compiled when it is given.
 *
 * @see {@link LlmObject.make} for how a schema is asked for, and what else is read than that
 * @category views
 * @since 0.1.0
 */
export const object = <A, E, RD>(
  schema: Schema.ConstraintCodec<A, E, RD, unknown>
): ((input: LlmRequest.Input) => Effect.Effect<A, LlmError, Llm | RD>) => {
  const prepared = LlmObject.make(schema)
  return (input) =>
    Effect.suspend(() => {
      if (Result.isFailure(prepared)) return Effect.fail(unasked(prepared.failure))
      const judge = new ObjectJudge()
      return Stream.runForEachArray(asking(prepared.success, input), (events) => {
        for (const event of events) {
          const error = judge.see(event)
          if (error !== undefined) return Effect.fail(error)
        }
        return Effect.void
      }).pipe(Effect.flatMap(() => judge.decode(prepared.success, PartialJson.parse)))
    })
}

/**
 * The answer as a value of a schema, as it grows: partial values while it comes, then, exactly once and
 * last, the complete one.
 *
 * The partial value is one live tree, valid until the next pull, and there is at most one in an array of
 * the stream. What a model gets wrong in the middle never ends the stream: see {@link PartialJson}. How
 * it is asked for and how it fails is as for {@link object}; what came before a failure is delivered.
 *
 * @category views
 * @since 0.1.0
 */
export const objectStream = <A, E, RD>(
  schema: Schema.ConstraintCodec<A, E, RD, unknown>
): ((input: LlmRequest.Input) => Stream.Stream<LlmObject.Part<A, E>, LlmError, Llm | RD>) => {
  const prepared = LlmObject.make(schema)
  return (input) =>
    Result.isFailure(prepared)
      ? Stream.fail(unasked(prepared.failure))
      : parts(prepared.success, asking(prepared.success, input))
}

/**
 * The partial and the complete value of a stream of events: what {@link objectStream} does, for events
 * that come from elsewhere.
 *
 * @category views
 * @since 0.1.0
 */
export const objectFrom = <A, E, RD>(
  schema: Schema.ConstraintCodec<A, E, RD, unknown>
): (<R>(events: Stream.Stream<LlmEvent, LlmError, R>) => Stream.Stream<LlmObject.Part<A, E>, LlmError, R | RD>) => {
  const prepared = LlmObject.make(schema)
  return <R>(events: Stream.Stream<LlmEvent, LlmError, R>) =>
    Result.isFailure(prepared) ? Stream.fail(unasked(prepared.failure)) : parts(prepared.success, events)
}

const asking = <A, E, R>(object: LlmObject.LlmObject<A, E, R>, input: LlmRequest.Input) => {
  const request = LlmRequest.make(input)
  return events(request.responseFormat === undefined ? { ...request, responseFormat: object.responseFormat } : request)
}

const unasked = (reason: InvalidRequest): LlmError =>
  new LlmError({ reason, provider: "llm", phase: "request", emitted: 0 })

const parts = <A, E, RD, R>(
  object: LlmObject.LlmObject<A, E, RD>,
  events: Stream.Stream<LlmEvent, LlmError, R>
): Stream.Stream<LlmObject.Part<A, E>, LlmError, R | RD> =>
  Stream.transformPull(events, (pull) =>
    Effect.sync(() => {
      type Parts = NonEmptyReadonlyArray<LlmObject.Part<A, E>>
      const judge = new ObjectJudge()
      const json = PartialJson.make()
      let failure: LlmError | undefined
      let isComplete = false
      const partial = Effect.suspend(function loop(): Pull.Pull<Parts, LlmError> {
        if (failure !== undefined) return Effect.fail(failure)
        return Effect.flatMap(pull, (events) => {
          let changed = false
          for (const event of events) {
            failure = judge.see(event)
            if (failure !== undefined) break
            if (event._tag === "TextDelta" && json.push(event.text)) changed = true
          }
          const value = changed ? object.partial(json.value) : undefined
          return value === undefined ? loop() : Effect.succeed<Parts>([{ _tag: "Partial", value }])
        })
      })
      // Only after the events have come to their end, so that no error of theirs comes too late.
      return Pull.catchDone(partial, (): Pull.Pull<Parts, LlmError, void, RD> => {
        if (isComplete) return Cause.done()
        isComplete = true
        return Effect.map(
          judge.decode(object, () => json.end()),
          (value) => [{ _tag: "Complete", value }]
        )
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
    else if (event._tag === "Restarted") {
      this.refusal = []
      this.emitted = 0
    } else if (event._tag === "AttemptFailed" || event._tag === "Switched") this.refusal = []
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
    const reason = new ContentFiltered({
      message:
        refusal === ""
          ? "the provider's content filter withheld the rest of the answer. Change the prompt, or read `Llm.events` to take what came."
          : "the model refused to answer. Its words are in `reason.refusal`. Change the prompt, or read `Llm.events` to take them as an event.",
      ...(refusal === "" ? undefined : { refusal })
    })
    return this.error(reason, usage)
  }

  protected error(reason: Reason, usage: LlmUsage | undefined): LlmError {
    return new LlmError({
      reason,
      provider: this.provider ?? "llm",
      ...(this.model === undefined ? undefined : { model: this.model }),
      phase: this.emitted > 0 || this.refusal.length > 0 ? "mid-output" : "before-output",
      emitted: this.emitted,
      ...(usage === undefined ? undefined : { usage })
    })
  }
}

/** For the views that deliver as it comes: what is delivered cannot be taken back. */
class DeliveryJudge extends Judge {
  override see(event: LlmEvent): LlmError | undefined {
    if (event._tag === "Restarted" && this.emitted > 0) return event.error
    return super.see(event)
  }
}

/** Half a value is none: an answer that was cut is a failure as well. Keeps the text. */
class ObjectJudge extends DeliveryJudge {
  private readonly pieces: Array<string> = []
  private finished: Of<"Finished"> | undefined

  override see(event: LlmEvent): LlmError | undefined {
    if (event._tag === "TextDelta") this.pieces.push(event.text)
    else if (event._tag === "Finished") this.finished = event
    return (
      super.see(event) ??
      (event._tag === "Finished" && event.reason === "length"
        ? this.truncated("the token limit cut the answer. Raise `maxTokens`, or ask for less.")
        : undefined)
    )
  }

  /** Decodes what has come. `forgiving` reads a text that is not quite JSON. */
  decode<A, E, R>(
    object: LlmObject.LlmObject<A, E, R>,
    forgiving: (text: string) => unknown
  ): Effect.Effect<A, LlmError, R> {
    if (this.finished === undefined) {
      return Effect.fail(this.truncated("the answer ended before it was complete. Ask again."))
    }
    const { reason, usage } = this.finished
    const text = this.pieces.join("")
    if (text === "" && reason === "tool-calls") {
      const message = "the model called tools and gave no answer. Give it their results, or no toolkit."
      return Effect.fail(this.error(new InvalidOutput({ message, path: [] }), usage))
    }
    return Effect.mapError(object.decode(parseJson(text, forgiving)), (reason) => this.error(reason, usage))
  }

  private truncated(message: string): LlmError {
    return this.error(new Truncated({ message }), this.finished?.usage)
  }
}

const parseJson = (text: string, forgiving: (text: string) => unknown): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return forgiving(text)
  }
}

const isNonEmpty = (array: ReadonlyArray<string>): array is NonEmptyReadonlyArray<string> => array.length > 0
