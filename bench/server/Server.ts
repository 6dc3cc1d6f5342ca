/** A server of made-up answers, as near to the socket as Node goes: what it costs is not what is measured. */
import { once } from "node:events"
import { createServer, type AddressInfo, type Socket } from "node:net"
import * as Pacer from "./Pacer.ts"
import * as Plan from "./Plan.ts"
import * as Stamp from "./Stamp.ts"
import * as Writes from "./Writes.ts"

/** An answer whose reader went away before its end. */
export interface Abandoned {
  /** When the server saw it, in microseconds. */
  readonly at: number
  /** What the machine had taken of it by then, its own buffers included, in bytes. */
  readonly sent: number
}

export interface Server {
  readonly url: string
  /** Ends the connections that are open. */
  readonly reset: () => void
  readonly close: () => Promise<void>
}

export const make = async (onAbandoned: (abandoned: Abandoned) => void): Promise<Server> => {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, highWaterMark: 256 * 1024 }, (socket) => {
    sockets.add(socket)
    let isAnswering = false
    let before = 0
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      if (isAnswering) onAbandoned({ at: Stamp.now(), sent: socket.bytesWritten - socket.writableLength - before })
    })
    readRequests(socket, async (path) => {
      isAnswering = true
      before = socket.bytesWritten
      await answer(socket, path)
      isAnswering = socket.destroyed
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reset: () => sockets.forEach((socket) => socket.destroy()),
    close: async () => {
      sockets.forEach((socket) => socket.destroy())
      await new Promise((closed) => server.close(closed))
    }
  }
}

/** One after the other; what they ask is in their path. */
const readRequests = (socket: Socket, onRequest: (path: string) => Promise<void>): void => {
  let pending = ""
  socket.on("data", (bytes) => {
    pending += bytes.toString("latin1")
    const end = pending.indexOf("\r\n\r\n")
    if (end < 0) return
    const head = pending.slice(0, end)
    const length = /^content-length: *(\d+)/im.exec(head)
    const isWhole = length === null ? pending.endsWith("\r\n0\r\n\r\n") : pending.length >= end + 4 + Number(length[1])
    if (!isWhole) return
    pending = ""
    void onRequest(head.split(" ", 2)[1]!)
  })
}

const protocolOf = (path: string): Plan.Protocol =>
  path.endsWith("/chat/completions")
    ? "chat"
    : path.endsWith("/responses")
      ? "responses"
      : path.endsWith("/messages")
        ? "anthropic"
        : "ollama"

const roomIn = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      socket.off("drain", go)
      socket.off("close", go)
      resolve()
    }
    socket.on("drain", go)
    socket.on("close", go)
  })

/** The next of the paced answers that belong together. */
let paced = 0

const answer = async (socket: Socket, path: string): Promise<void> => {
  const plan = Plan.decode(path)
  const { blocks, head, stamp, tail } = Writes.make(protocolOf(path), path.split("/")[1]!, plan)
  socket.write(head)
  if (plan.every !== undefined) {
    const { every, streams = 1 } = plan
    const writes = blocks.flatMap(({ times, writes }) => Array.from({ length: times }, () => writes)).flat()
    let i = 0
    const first = every + ((paced++ % streams) * every) / streams
    await new Promise<void>((resolve) => {
      const stop = Pacer.every(every, first, () => {
        if (i === plan.tokens || socket.destroyed) {
          stop()
          resolve()
        } else if (plan.stamped === undefined) socket.write(writes[i++]!)
        else {
          i++
          const bytes = Buffer.from(stamp.frame)
          bytes.write(Stamp.text(), stamp.at, "latin1")
          socket.write(bytes)
        }
      })
    })
  } else {
    for (const { times, writes } of blocks) {
      for (let i = 0; i < times; i++) {
        for (const bytes of writes) {
          if (socket.destroyed) return
          if (socket.write(bytes)) await new Promise((turn) => setImmediate(turn))
          else await roomIn(socket)
        }
      }
    }
  }
  if (!socket.destroyed) socket.write(tail)
}
