/** A handler of web requests on a real server of Node, on a loopback port: what adapters of frameworks do, and no more. */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

export type Handler = (request: Request) => Response | Promise<Response>

export interface FetchServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** What handlers rejected with, and bodies broke with. */
  readonly errors: ReadonlyArray<unknown>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export const start = async (handler: Handler): Promise<FetchServer> => {
  const errors: Array<unknown> = []
  const server = Http.createServer((incoming, outgoing) => {
    const leaving = new AbortController()
    const request = new Request(`http://127.0.0.1${incoming.url}`, { signal: leaving.signal })
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
    outgoing.on("close", () => {
      if (outgoing.writableFinished) return
      leaving.abort()
      reader?.cancel().catch((error: unknown) => errors.push(error))
    })
    const answer = async () => {
      const response = await handler(request)
      outgoing.writeHead(response.status, Object.fromEntries(response.headers))
      outgoing.flushHeaders()
      reader = response.body?.getReader()
      for (;;) {
        // Each piece waits for the one before it.
        // oxlint-disable-next-line no-await-in-loop
        const piece = await reader?.read()
        if (piece === undefined || piece.done) break
        if (!outgoing.write(piece.value)) {
          // oxlint-disable-next-line no-await-in-loop
          await new Promise<void>((resolve) => {
            const goOn = () => {
              outgoing.off("drain", goOn).off("close", goOn)
              resolve()
            }
            outgoing.on("drain", goOn).on("close", goOn)
          })
        }
      }
      outgoing.end()
    }
    answer().catch((error: unknown) => {
      errors.push(error)
      outgoing.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    errors,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
