/**
 * Who takes part, and in which protocols. Each is loaded in a process of its own.
 *
 * `@effect/ai-openai` does not: no version of it imports the modules of effect 4.1 (0.41 is for effect 3,
 * 4.0.0-beta.106 imports `effect/unstable/…`). `effect/…` below is what one writes without it.
 */
import { byHand, type Make } from "./Contestant.ts"
import type { Client } from "./contestants/effect/clients.ts"
import { type Protocol, protocols } from "./server/Plan.ts"

export interface Entry {
  readonly protocols: ReadonlyArray<Protocol>
  readonly load: () => Promise<Make>
  /** With whom it is compared beside the one by hand. */
  readonly beside?: string
  /** Takes part in scenarios of this name alone. */
  readonly only?: string
}

const clients: ReadonlyArray<Client> = ["fetch", "undici", "http"]

const over = (name: string, entry: (client: Client) => Entry) =>
  Object.fromEntries(clients.map((client) => [`${name}/${client}`, entry(client)]))

export const entries: Readonly<Record<string, Entry>> = {
  [byHand]: { protocols, load: async () => (await import("./contestants/hand/fetch.ts")).make },
  "hand/http": { protocols, load: async () => (await import("./contestants/hand/http.ts")).make },
  limit: { protocols: ["chat"], load: async () => (await import("./contestants/limit.ts")).make },
  ...over("effect", (client) => ({
    protocols,
    load: async () => {
      const { make } = await import("./contestants/effect/plain.ts")
      return (target) => make(client, target)
    }
  })),
  ...over("bare", (client) => ({
    protocols,
    only: "cold",
    load: async () => {
      const { make } = await import("./contestants/effect/bare.ts")
      return (target) => make(client, target)
    }
  })),
  ...over("rill/arrays", (client) => ({
    protocols,
    load: async () => {
      const { make } = await import("./contestants/rill/arrays.ts")
      return (target) => make(target, { client })
    }
  })),
  ...over("rill/policies", (client) => ({
    protocols,
    beside: `rill/arrays/${client}`,
    load: async () => {
      const { make } = await import("./contestants/rill/arrays.ts")
      return (target) => make(target, { client, policies: true })
    }
  })),
  ...over("rill/each", (client) => ({
    protocols,
    load: async () => {
      const { make } = await import("./contestants/rill/each.ts")
      return (target) => make(target, { client })
    }
  })),
  ...over("rill/events", (client) => ({
    protocols,
    load: async () => {
      const { make } = await import("./contestants/rill/events.ts")
      return (target) => make(target, { client })
    }
  })),
  "rill/async": { protocols, load: async () => (await import("./contestants/rill/async.ts")).make },
  openai: {
    protocols: ["chat", "responses"],
    load: async () => (await import("./contestants/openai.ts")).make
  },
  anthropic: { protocols: ["anthropic"], load: async () => (await import("./contestants/anthropic.ts")).make },
  ollama: { protocols: ["ollama"], load: async () => (await import("./contestants/ollama.ts")).make },
  langchain: {
    protocols: ["chat", "responses"],
    load: async () => (await import("./contestants/langchain.ts")).make
  },
  ai: {
    protocols: ["chat", "responses", "anthropic"],
    load: async () => (await import("./contestants/ai.ts")).make
  }
}
