/** Marsaglia's xorshift: the same numbers for the same seed. */
export const random = (seed: number) => {
  let state = seed * 2_654_435_761 || 1
  const next = () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  const below = (n: number) => Math.floor(next() * n)
  return { below, chance: (share: number) => next() < share, of: <A>(all: ReadonlyArray<A>) => all[below(all.length)]! }
}

export type Random = ReturnType<typeof random>

/** Numbers from 0 to 1, the same for the same seed: mulberry32. */
export const fractions = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}
