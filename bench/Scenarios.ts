/** All scenarios, in the order they run. Each is loaded by its name, so that processes start with no more than theirs. */
import type { Scenario } from "./Scenario.ts"

const write = async (name: "bytes" | "flush" | "events" | "flood" | "streams" | "paced"): Promise<Scenario> =>
  (await import("./scenarios/cpu.ts"))[name]

export const scenarios: Readonly<Record<string, () => Promise<Scenario>>> = {
  bytes: () => write("bytes"),
  flush: () => write("flush"),
  events: () => write("events"),
  flood: () => write("flood"),
  streams: () => write("streams"),
  paced: () => write("paced"),
  latency: async () => (await import("./scenarios/latency.ts")).latency,
  first: async () => (await import("./scenarios/first.ts")).first,
  cold: async () => (await import("./scenarios/cold.ts")).cold,
  cancel: async () => (await import("./scenarios/cancel.ts")).cancel,
  paused: async () => (await import("./scenarios/paused.ts")).paused,
  peak: async () => (await import("./scenarios/memory.ts")).peak,
  kept: async () => (await import("./scenarios/memory.ts")).kept,
  flat: async () => (await import("./scenarios/flat.ts")).flat
}
