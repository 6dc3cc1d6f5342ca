/** Effect's HTTP clients. Each is loaded when it is used, as programs have one of them. */
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"

export type Client = "fetch" | "undici" | "http"

export const clients: Readonly<Record<Client, () => Promise<Layer.Layer<HttpClient.HttpClient>>>> = {
  fetch: async () => (await import("effect/http/FetchHttpClient")).layer,
  undici: async () => (await import("@effect/platform-node/NodeHttpClient")).layerUndici,
  http: async () => (await import("@effect/platform-node/NodeHttpClient")).layerNodeHttp
}
