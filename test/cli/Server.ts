/**
 * A model server for the command to ask: both of OpenAI's APIs, as little of them as it takes. Plain
 * node.
 */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as wires from "../support/wires.ts"

/** What one request was, and what became of it. */
export interface Seen {
  readonly url: string | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
  /** The last message's content. */
  readonly prompt: unknown
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
    const messages = (body["messages"] ?? body["input"]) as ReadonlyArray<{ readonly content: unknown }>
    seen.push({ url: request.url, headers: request.headers, body, prompt: messages.at(-1)!.content, closed })
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

export const head = (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req_test" })
}

const wire = ({ body }: Seen): wires.Wire => ("messages" in body ? wires.chat() : wires.responses())

/** Puts text on the wire, in pieces. */
const text = (tell: wires.Wire, pieces: ReadonlyArray<string>): string =>
  pieces.map((text) => tell({ kind: "text", text })).join("")

/** Answers with a text, whole. */
export const answer =
  (...pieces: ReadonlyArray<string>): Handler =>
  (response, seen) => {
    const tell = wire(seen)
    head(response)
    response.write(text(tell, pieces) + tell({ kind: "finish", reason: "stop" }))
    response.end(tell({ kind: "usage", input: 3, output: 2 }) + tell({ kind: "done" }))
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
  (response, seen) => {
    head(response)
    response.flushHeaders()
    response.write(text(wire(seen), pieces))
  }

/** Sends some text and breaks the connection. */
export const cut =
  (...pieces: ReadonlyArray<string>): Handler =>
  (response, seen) => {
    head(response)
    response.write(text(wire(seen), pieces), () => response.socket?.destroy())
  }

/** Sends text for as long as somebody takes it. */
export const endless: Handler = async (response, seen) => {
  const tell = wire(seen)
  head(response)
  while (!response.destroyed) {
    const more = response.write(text(tell, ["word ".repeat(50)]))
    await new Promise((resolve) =>
      more ? setImmediate(resolve) : response.once("drain", resolve).once("close", resolve)
    )
  }
}
