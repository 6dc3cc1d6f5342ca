/**
 * Keeps deadlines over a stream of events, whoever makes it.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { LlmError, type Reason } from "../../LlmError.ts"
import { isToken, type LlmEvent } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as Inlet from "../../wire/Inlet.ts"
import * as Limits from "../../wire/Limits.ts"
import * as Watchdog from "../../wire/Watchdog.ts"
import { Meter } from "./Meter.ts"

type Events = NonEmptyReadonlyArray<LlmEvent>

export const enforced = (
  events: Stream.Stream<LlmEvent, LlmError>,
  request: LlmRequest,
  limits: Effect.Effect<Limits.Limits, Reason>
): Stream.Stream<LlmEvent, LlmError> =>
  Stream.fromChannel(
    Channel.fromTransform((_, scope) =>
      Effect.gen(function* () {
        const told = new Told(request)
        const inForce = yield* Effect.mapError(limits, (reason) => told.error(reason))
        const inlet = new Inlet.Inlet<LlmEvent, LlmError>()
        inlet.more = yield* Inlet.fromStream(events, scope, inlet)
        const watchdog = yield* Watchdog.make(scope, inForce)
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
  private hasSpoken = false
  private readonly request: LlmRequest
  private readonly meter: Meter

  constructor(request: LlmRequest) {
    this.request = request
    this.meter = new Meter(request)
  }

  see(event: LlmEvent): void {
    this.meter.see(event)
    this.hasSpoken ||= isToken(event)
  }

  error(reason: Reason): LlmError {
    const { emitted, started } = this.meter
    const model = started?.model ?? this.request.model
    return new LlmError({
      reason,
      provider: started?.provider ?? "llm",
      ...(model === undefined ? undefined : { model }),
      phase: this.hasSpoken ? "mid-output" : "before-output",
      emitted,
      usage: this.meter.soFar()
    })
  }
}
