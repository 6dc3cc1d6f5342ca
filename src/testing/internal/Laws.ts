/**
 * The laws, in their order.
 *
 * @internal
 */
import * as Backpressure from "./laws/Backpressure.ts"
import * as CompleteOrFailed from "./laws/CompleteOrFailed.ts"
import * as CutsDoNotMatter from "./laws/CutsDoNotMatter.ts"
import * as DeadlinesMeanTokens from "./laws/DeadlinesMeanTokens.ts"
import * as Linear from "./laws/Linear.ts"
import * as NoHalfToolCalls from "./laws/NoHalfToolCalls.ts"
import * as OneFailureChannel from "./laws/OneFailureChannel.ts"
import * as RetryNeverRepeats from "./laws/RetryNeverRepeats.ts"
import * as StoppingStops from "./laws/StoppingStops.ts"
import * as TheEndIsTheEnd from "./laws/TheEndIsTheEnd.ts"
import * as UsageSurvives from "./laws/UsageSurvives.ts"
import type { Law } from "./Trial.ts"

/** @internal */
export const all: ReadonlyArray<Law> = [
  CompleteOrFailed.law,
  OneFailureChannel.law,
  TheEndIsTheEnd.law,
  DeadlinesMeanTokens.law,
  StoppingStops.law,
  Backpressure.law,
  CutsDoNotMatter.law,
  NoHalfToolCalls.law,
  RetryNeverRepeats.law,
  Linear.law,
  UsageSurvives.law
]
