/** What the server is to answer: how many tokens, and how they are written. It travels in the URL. */

/** Who speaks how. */
export const protocols = ["chat", "responses", "anthropic", "ollama"] as const
export type Protocol = (typeof protocols)[number]

export interface Plan {
  readonly tokens: number
  /** Writes of so many bytes, wherever they cut an event. */
  readonly bytes?: number
  /** So many events in a write. */
  readonly events?: number
  /** An event by itself every so many milliseconds. */
  readonly every?: number
  /** Of so many paced answers, each has a time of its own within the period. */
  readonly streams?: number
  /** 1: each token tells when it was written, see `Stamp.ts`. */
  readonly stamped?: 1
}

export const encode = (plan: Plan): string =>
  Object.entries(plan)
    .map(([key, value]) => `${key}-${value}`)
    .join("_")

/** The plan that a path begins with. */
export const decode = (path: string): Plan =>
  Object.fromEntries(
    path
      .split("/")[1]!
      .split("_")
      .map((pair) => pair.split("-"))
      .map(([key, value]) => [key!, Number(value)])
  ) as object as Plan
