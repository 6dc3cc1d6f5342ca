/**
 * The CPU time that this process takes for some work, all of its threads included, in microseconds. Garbage is
 * not collected before: no program does, and V8 forgets the optimized code of all whose objects are gone.
 */
export const cpu = async (work: () => Promise<unknown>): Promise<number> => {
  const before = process.cpuUsage()
  await work()
  const { system, user } = process.cpuUsage(before)
  return system + user
}

export const times = async (count: number, work: () => Promise<unknown>): Promise<void> => {
  for (let i = 0; i < count; i++) await work()
}

export const atOnce = (count: number, work: () => Promise<unknown>): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, work))

/**
 * Works for a second before something is measured. Others have run meanwhile, and what V8 gave up of an idle
 * process, a busy server has. By time, not by tokens: else those who need less time for a token have less time to
 * be compiled again.
 */
export const busy = async (work: () => Promise<unknown>): Promise<void> => {
  for (const until = performance.now() + 1000; performance.now() < until;) await work()
}
