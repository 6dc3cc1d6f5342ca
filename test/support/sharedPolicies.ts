/** What all processes that share a limit and a circuit agree on. */
import type * as CircuitBreaker from "effect-rill/policy/CircuitBreaker"
import type * as RateLimit from "effect-rill/policy/RateLimit"

/** Of a day, so that nothing flows in while a test runs. */
export const limitOptions: RateLimit.SharedOptions = {
  key: "shared",
  requests: 10,
  window: "1 day",
  onExceeded: "fail"
}

export const circuitOptions: CircuitBreaker.SharedOptions = { key: "shared", openDuration: "1 day" }
