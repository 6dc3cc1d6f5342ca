/**
 * Keeps deadlines over a stream of events, whoever makes it.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { LlmError, type Reason } from "../../LlmError.ts"
import { isToken, type LlmEvent } from "../../LlmEvent.ts"
import * as LlmRequest from "../../LlmRequest.ts"
import * as LlmUsage from "../../LlmUsage.ts"
import * as Inlet from "../../wire/Inlet.ts"
import * as Limits from "../../wire/Limits.ts"
import * as Watchdog from "../../wire/Watchdog.ts"

type Events = NonEmptyReadonlyArray<LlmEvent>

export const enforced = (
  events: Stream.Stream<LlmEvent, LlmError>,
  request: LlmRequest.LlmRequest,
  limits: Effect.Effect<Limits.Limits, Reason>
): Stream.Stream<LlmEvent, LlmError> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.gen(function* () {
        const told = new Told(request)
        const inForce = yield* Effect.mapError(limits, (reason) => told.error(reason))
        const inlet = yield* Inlet.fromStream(events, scope)
        const watchdog = yield* Watchdog.make(scope, inForce, undefined)
        inlet.watchdog = watchdog
        watchdog.onExpired = (which) => {
          if (which !== "grace") inlet.end(Effect.fail(told.error(Limits.exceeded(inForce, which))))
        }
        const pull: Pull.Pull<Events, LlmError> = Effect.map(inlet.pull, (events) => {
          watchdog.heard(events)
          for (const event of events) told.see(event)
          return events
        })
        return pull
      })
    )
  )

/** What has been told, for an error. */
class Told {
  private provider = "llm"
  private model: string | undefined
  private text = 0
  private reasoning = 0
  private spoken = false
  private readonly request: LlmRequest.LlmRequest

  constructor(request: LlmRequest.LlmRequest) {
    this.request = request
    this.model = request.model
  }

  see(event: LlmEvent): void {
    if (event._tag === "Started") {
      this.provider = event.provider ?? this.provider
      this.model = event.model ?? this.model
    }
    if (event._tag === "TextDelta") this.text += event.text.length
    if (event._tag === "ReasoningDelta") this.reasoning += event.text.length
    this.spoken ||= isToken(event)
  }

  error(reason: Reason): LlmError {
    const messages = LlmRequest.messages(this.request)
    const input = Result.isSuccess(messages) ? LlmRequest.countCharacters(messages.success) : 0
    return new LlmError({
      reason,
      provider: this.provider,
      ...(this.model === undefined ? undefined : { model: this.model }),
      phase: this.spoken ? "mid-output" : "before-output",
      emitted: this.text,
      usage: LlmUsage.estimate({ input, output: this.text, reasoning: this.reasoning })
    })
  }
}
