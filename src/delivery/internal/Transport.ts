/**
 * The connection under a WebSocket.
 *
 * `effect/socket` hands frames to the platform's WebSocket and waits for nothing: what a client does not
 * read is queued in the server's memory, without bound. Nor has it pings, and a frame is seen only when all
 * of it has come. The connection below tells and does what is missing. On Node it is the request's socket,
 * known here by its form alone, since the core imports nothing of Node.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"

export interface Transport {
  /** Whether more waits to be sent than the connection wants to hold. */
  readonly isFull: () => boolean
  /** Until it is not full. */
  readonly drained: Effect.Effect<void>
  /** A number that has grown if the peer has given a sign of life. */
  readonly vitality: () => number
  /** A message has come: what is read from now on belongs to the next. */
  readonly arrived: () => void
  /** Sends a ping, if there are pings. */
  readonly ping: (() => void) | undefined
  /** Runs writes such that they leave in one. */
  readonly together: <A, E, R>(write: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Until nothing more can be sent: its end has been, as the last step of a close or without one. */
  readonly ended: Effect.Effect<void>
  /** Until it is closed. */
  readonly closed: Effect.Effect<void>
  readonly destroy: () => void
}

/** What is used of a `net.Socket`. */
interface NodeSocket {
  readonly writableNeedDrain: boolean
  readonly bytesRead: number
  readonly destroyed: boolean
  readonly writableFinished: boolean
  readonly write: (bytes: Uint8Array) => boolean
  readonly cork: () => void
  readonly uncork: () => void
  readonly pause: () => void
  readonly destroy: () => void
  readonly on: (event: string, listener: (data: Uint8Array) => void) => void
  readonly off: (event: string, listener: (data: Uint8Array) => void) => void
}

const methods = ["write", "cork", "uncork", "pause", "destroy", "on", "off"] as const

const isNodeSocket = (u: unknown): u is NodeSocket =>
  Predicate.isObject(u) &&
  "writableNeedDrain" in u &&
  "bytesRead" in u &&
  methods.every((name) => typeof u[name] === "function")

/**
 * The connection of a request that was upgraded. Where the platform does not show it, writes wait for what
 * `effect/socket` waits for, and pings are the platform's own.
 *
 * @param limit how many bytes may be read without a message having come. Small reads, which may be pongs,
 *   are not counted
 * @param onLimit called when more have been read: nothing is read any more
 */
export const open = (
  source: object,
  limit: number,
  onLimit: () => void
): Effect.Effect<Transport, never, Scope.Scope> => {
  const socket = Predicate.hasProperty(source, "socket") ? source.socket : undefined
  return isNodeSocket(socket) ? ofNode(socket, limit, onLimit) : Effect.succeed(unseen)
}

/**
 * Declines compression, which a server may be configured to accept: what waits to be compressed is counted
 * nowhere, and grows without bound even if the client reads. Tokens are too small to be compressed anyway.
 * To be called before the upgrade.
 */
export const declineCompression = (source: object): void => {
  const headers = Predicate.hasProperty(source, "headers") ? source.headers : undefined
  // `ws` reads the extensions that a client offers from this object.
  if (Predicate.isObject(headers)) Reflect.deleteProperty(headers, "sec-websocket-extensions")
}

const unseen: Transport = {
  isFull: () => false,
  drained: Effect.void,
  vitality: () => 0,
  arrived: () => {},
  ping: undefined,
  together: (write) => write,
  ended: Effect.never,
  closed: Effect.void,
  destroy: () => {}
}

/** A ping without a payload, unmasked: RFC 6455, section 5.5.2. */
const ping = new Uint8Array([0x89, 0x00])

/** The largest control frame of a client: 2 bytes, its mask, and 125 of payload (RFC 6455, section 5.5). */
const controlSize = 131

const ofNode = (socket: NodeSocket, limit: number, onLimit: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const writable = Latch.makeUnsafe(true)
      const ended = Latch.makeUnsafe(socket.writableFinished)
      const closed = Latch.makeUnsafe(socket.destroyed)
      let drains = 0
      let pending = 0
      const onDrain = () => {
        drains++
        writable.openUnsafe()
      }
      const onFinish = () => {
        ended.openUnsafe()
      }
      const onClose = () => {
        closed.openUnsafe()
      }
      const onData = ({ length }: Uint8Array) => {
        if (length <= controlSize) return
        pending += length
        if (pending <= limit) return
        // Who closes it has time: what comes by then would be collected for nobody.
        socket.pause()
        onLimit()
      }
      socket.on("drain", onDrain)
      socket.on("finish", onFinish)
      socket.on("close", onClose)
      socket.on("data", onData)
      const transport: Transport = {
        isFull: () => socket.writableNeedDrain,
        drained: Effect.suspend(() => {
          if (!socket.writableNeedDrain) return Effect.void
          writable.closeUnsafe()
          return writable.await
        }),
        vitality: () => socket.bytesRead + drains,
        arrived: () => {
          pending = 0
        },
        // Frames are written whole, so that one more between them is where it may be.
        ping: () => socket.write(ping),
        together: (write) =>
          Effect.suspend(() => {
            socket.cork()
            return Effect.ensuring(
              write,
              Effect.sync(() => socket.uncork())
            )
          }),
        ended: ended.await,
        closed: closed.await,
        destroy: () => socket.destroy()
      }
      return { transport, onDrain, onFinish, onClose, onData }
    }),
    ({ onClose, onData, onDrain, onFinish }) =>
      Effect.sync(() => {
        socket.off("drain", onDrain)
        socket.off("finish", onFinish)
        socket.off("close", onClose)
        socket.off("data", onData)
      })
  ).pipe(Effect.map(({ transport }) => transport))
