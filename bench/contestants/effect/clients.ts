/**
 * Effect's HTTP clients. Each is loaded when it is used, as programs have one of them. Left to itself, that of
 * node:http connects anew for each request.
 */
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"

export type Client = "fetch" | "undici" | "http"

export const clients: Readonly<Record<Client, () => Promise<Layer.Layer<HttpClient.HttpClient>>>> = {
  fetch: async () => (await import("effect/http/FetchHttpClient")).layer,
  undici: async () => (await import("@effect/platform-node/NodeHttpClient")).layerUndici,
  http: async () => {
    const { layerAgentOptions, layerNodeHttpNoAgent } = await import("@effect/platform-node/NodeHttpClient")
    return Layer.provide(layerNodeHttpNoAgent, layerAgentOptions({ keepAlive: true }))
  }
}
