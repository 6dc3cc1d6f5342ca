const mb = 1e6

/** What is in use, buffers outside of the heap included, in MB. What is freed late is waited for. */
export const held = async (): Promise<number> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((turn) => setTimeout(turn, 20))
  }
  const { external, heapUsed } = process.memoryUsage()
  return (external + heapUsed) / mb
}

export const resident = (): number => process.memoryUsage().rss / mb

/** The most that the process has had, in MB. */
export const peak = (): number => (process.resourceUsage().maxRSS * 1024) / mb
