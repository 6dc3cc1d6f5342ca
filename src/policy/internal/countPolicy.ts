/**
 * The metrics of policies: attempts that failed, models that another took the place of.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import type { Of } from "../../LlmEvent.ts"
import * as genAi from "./genAi.ts"
import * as instruments from "./instruments.ts"

type PolicyEvent = Of<"AttemptFailed" | "Restarted" | "Switched">

/** Those that were counted: the policy does when it tells them, and so do spans of what they pass by. */
const counted = new WeakSet<PolicyEvent>()

/** Counts what a policy tells, once, whoever sees it. */
export const countPolicy = (event: PolicyEvent, context: Context.Context<never>): void => {
  if (counted.has(event)) return
  counted.add(event)
  const { error } = event
  instruments.update(
    event._tag === "Switched" ? instruments.switches : instruments.retries,
    1,
    new instruments.Series({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": genAi.providerName(error.provider),
      "gen_ai.request.model": error.model,
      "error.type": error.reason._tag
    }),
    context
  )
}
