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
