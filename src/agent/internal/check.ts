/**
 * Checks the options of an agent.
 *
 * @internal
 */
import type * as Tool from "effect/ai/Tool"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Options } from "../Agent.ts"

/** What is wrong with options, in words that say what to do. */
export const check = (
  options: Omit<Options<Record<string, Tool.Any>>, "toolkit" | "approve" | "callbacks">
): string | undefined => {
  const { concurrency, maxDuration, maxRepairs, maxSteps, maxToolCalls, tokenBudget, toolTimeout } = options
  if (maxSteps !== undefined && !whole(maxSteps, 1)) return wrong("maxSteps", 1)
  if (maxToolCalls !== undefined && !whole(maxToolCalls, 0)) return wrong("maxToolCalls", 0)
  if (maxRepairs !== undefined && !whole(maxRepairs, 0)) return wrong("maxRepairs", 0)
  if (tokenBudget !== undefined && !(tokenBudget > 0)) return "tokenBudget must be a number above 0"
  if (concurrency !== undefined && concurrency !== "unbounded" && !whole(concurrency, 1)) {
    return `${wrong("concurrency", 1)}, or "unbounded"`
  }
  for (const [name, duration] of Object.entries({ maxDuration, toolTimeout })) {
    if (duration !== undefined && Option.isNone(Duration.fromInput(duration))) {
      return `${name} must be a duration, such as "30 seconds"`
    }
  }
  return undefined
}

const whole = (value: unknown, least: number): boolean => Number.isInteger(value) && Number(value) >= least

const wrong = (name: string, least: number): string => `${name} must be a whole number of at least ${least}`
