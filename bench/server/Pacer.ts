/**
 * Calls when it is time, to some microseconds: timers of Node are whole milliseconds, so that paced answers
 * would come in bunches. It sleeps as long as it may, and turns for the rest.
 */
import * as Stamp from "./Stamp.ts"

interface Paced {
  due: number
  readonly period: number
  readonly call: () => void
}

const all = new Set<Paced>()
let isRunning = false

const turn = (): void => {
  const now = Stamp.now()
  let next = Infinity
  for (const paced of all) {
    while (paced.due <= now && all.has(paced)) {
      paced.due += paced.period
      paced.call()
    }
    next = Math.min(next, paced.due)
  }
  isRunning = all.size > 0
  if (!isRunning) return
  const wait = (next - Stamp.now()) / 1000 - 1.5
  if (wait > 1) setTimeout(turn, Math.floor(wait))
  else setImmediate(turn)
}

/** Every so many milliseconds, first after so many. Gives what ends it. */
export const every = (period: number, first: number, call: () => void): (() => void) => {
  const paced: Paced = { due: Stamp.now() + first * 1000, period: period * 1000, call }
  all.add(paced)
  if (!isRunning) {
    isRunning = true
    setImmediate(turn)
  }
  return () => void all.delete(paced)
}
