/**
 * A model server for the command to ask: chat completions, as little of them as it takes. Plain node.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

/** What one request was, and what became of it. */
export interface Seen {
  readonly url: string | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly body: { readonly model?: string; readonly messages?: ReadonlyArray<{ role: string; content: string }> } & {
    readonly [name: string]: unknown
  }
  /** Settles when the connection is closed or the answer is over: with whether the client cut it off. */
  readonly closed: Promise<"by the client" | "ended">
}

export interface Server extends AsyncDisposable {
  readonly baseUrl: string
  readonly seen: ReadonlyArray<Seen>
}

export type Handler = (response: Http.ServerResponse, seen: Seen) => void | Promise<void>

export const start = async (handler: Handler): Promise<Server> => {
  const seen: Array<Seen> = []
  const server = Http.createServer(async (request, response) => {
    const closed = new Promise<"by the client" | "ended">((resolve) => {
      response.on("close", () => resolve(response.writableFinished ? "ended" : "by the client"))
    })
    const chunks: Array<Buffer> = []
    for await (const chunk of request) chunks.push(chunk)
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Seen["body"]
    seen.push({ url: request.url, headers: request.headers, body, closed })
    await handler(response, seen.at(-1)!)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    seen,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}

const chunk = (choices: ReadonlyArray<unknown>, rest?: object): string =>
  `data: ${JSON.stringify({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "test", choices, ...rest })}\n\n`

export const head = (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_test" })
}

export const text = (content: string): string => chunk([{ index: 0, delta: { content }, finish_reason: null }])

export const end =
  chunk([{ index: 0, delta: {}, finish_reason: "stop" }]) +
  chunk([], { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }) +
  "data: [DONE]\n\n"

/** Answers with a text, whole. */
export const answer =
  (...pieces: ReadonlyArray<string>): Handler =>
  (response) => {
    head(response)
    response.end(pieces.map(text).join("") + end)
  }

/** Answers with an error in OpenAI's form. */
export const failure =
  (status: number, message: string, headers: Http.OutgoingHttpHeaders = {}): Handler =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify({ error: { message, type: "test_error", param: null, code: null } }))
  }

/** Sends some text and then leaves the connection open, for ever. */
export const hold =
  (...pieces: ReadonlyArray<string>): Handler =>
  (response) => {
    head(response)
    response.flushHeaders()
    for (const piece of pieces) response.write(text(piece))
  }

/** Sends some text and breaks the connection. */
export const cut =
  (...pieces: ReadonlyArray<string>): Handler =>
  (response) => {
    head(response)
    response.write(pieces.map(text).join(""), () => response.socket?.destroy())
  }

/** Sends text for as long as somebody takes it. */
export const endless: Handler = async (response) => {
  head(response)
  const piece = text("word ".repeat(50))
  while (!response.destroyed) {
    const more = response.write(piece)
    await new Promise((resolve) =>
      more ? setImmediate(resolve) : response.once("drain", resolve).once("close", resolve)
    )
  }
}
