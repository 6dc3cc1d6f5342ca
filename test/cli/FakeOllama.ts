/** As much of an Ollama as the command asks: its models, and one answer. Plain node. */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export interface Installed {
  readonly name: string
  readonly modified_at?: string
  readonly details?: { readonly family: string }
}

export interface FakeOllama extends AsyncDisposable {
  /** As `OLLAMA_HOST` takes it. */
  readonly host: string
  /** The paths that were asked for, with the authorization that came along. */
  readonly seen: ReadonlyArray<readonly [path: string, authorization: string | undefined]>
  readonly prompts: ReadonlyArray<string>
}

interface Chat {
  readonly messages: ReadonlyArray<{ readonly content: string }>
}

/** What it gives for its models: a list, or a whole answer; `"silent"` takes the request and says nothing. */
export type Tags = ReadonlyArray<Installed> | Http.RequestListener | "silent"

export const start = async (tags: Tags): Promise<FakeOllama> => {
  const seen: Array<readonly [string, string | undefined]> = []
  const prompts: Array<string> = []
  const server = Http.createServer(async (request, response) => {
    seen.push([request.url!, request.headers.authorization])
    if (request.url === "/api/chat") {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(chunk)
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Chat
      prompts.push(body.messages.at(-1)!.content)
      response.writeHead(200, { "content-type": "application/x-ndjson" })
      const line = (done: boolean, content: string, more: object = {}) =>
        `${JSON.stringify({ model: "m", message: { role: "assistant", content }, done, ...more })}\n`
      return response.end(line(false, "Hello") + line(true, "", { done_reason: "stop", eval_count: 1 }))
    }
    if (typeof tags === "function") return tags(request, response)
    if (tags === "silent") return
    response.writeHead(200, { "content-type": "application/json" })
    response.end(JSON.stringify({ models: tags }))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    prompts,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}
