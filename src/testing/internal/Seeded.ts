/**
 * A seeded generator of numbers from 0 to 1, the same on every machine: mulberry32, in the public
 * domain (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c).
 *
 * @internal
 */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
