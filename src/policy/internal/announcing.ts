/**
 * What a policy tells of itself, counted where it is told: whether or not a span sees it pass.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { LlmEvent } from "../../LlmEvent.ts"
import { Enabled } from "../Telemetry.ts"
import { countPolicy } from "./countPolicy.ts"

export const announce = <Events extends ReadonlyArray<LlmEvent>>(events: Events): Effect.Effect<Events> =>
  Effect.withFiber((fiber) => {
    if (fiber.getRef(Enabled)) {
      for (const event of events) {
        if (event._tag === "AttemptFailed" || event._tag === "Restarted" || event._tag === "Switched") {
          countPolicy(event, fiber.context)
        }
      }
    }
    return Effect.succeed(events)
  })
