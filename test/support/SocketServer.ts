/**
 * A real server of one WebSocket route on a loopback port, and real clients of it: `ws`, Node's own
 * WebSocket, and bare TCP.
 */
import { NodeHttpServer } from "@effect/platform-node"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { ServerFrame } from "effect-rill/delivery/WebSocketFrame"
import * as Http from "node:http"
import * as Net from "node:net"
import { expect } from "vitest"
import { WebSocket } from "ws"

export interface SocketServer {
  readonly url: string
  readonly port: number
  /** Lets time pass, on the test's clock. */
  readonly adjust: (duration: Duration.Input) => Promise<void>
  /** Fibers of handlers and what they have started. */
  readonly fibers: () => number
  /** Connections to the server that are open. */
  readonly sockets: () => ReadonlySet<Net.Socket>
  /** What was logged as an error. */
  readonly errors: ReadonlyArray<string>
  readonly stop: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export interface Options {
  /** By default time is real. */
  readonly clock?: "test" | undefined
  readonly perMessageDeflate?: boolean | undefined
}

export const start = async <R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R>,
  services: Layer.Layer<R>,
  options: Options = {}
): Promise<SocketServer> => {
  const node = Http.createServer()
  const sockets = new Set<Net.Socket>()
  node.on("connection", (socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  let fibers = 0
  const count = Layer.succeed(Metric.FiberRuntimeMetrics, {
    recordFiberStart: () => void fibers++,
    recordFiberEnd: () => void fibers--
  })
  const errors: Array<string> = []
  const logger = Logger.layer([
    Logger.make(({ cause, logLevel, message }) => {
      if (logLevel === "Error") errors.push(`${String(message)} ${Cause.pretty(cause)}`)
    })
  ])
  const app = HttpRouter.serve(
    HttpRouter.add("GET", "/chat", handler).pipe(HttpRouter.provideRequest(services)) as Layer.Layer<
      never,
      never,
      HttpRouter.HttpRouter
    >,
    { disableListenLog: true, disableLogger: true }
  ).pipe(
    Layer.provide(
      NodeHttpServer.layer(() => node, {
        port: 0,
        host: "127.0.0.1",
        gracefulShutdownTimeout: 0,
        ...(options.perMessageDeflate === true ? { websocket: { perMessageDeflate: true } } : {})
      })
    ),
    Layer.provide([count, logger]),
    Layer.provideMerge(options.clock === "test" ? TestClock.layer() : Layer.empty)
  )
  const runtime = ManagedRuntime.make(app)
  const context = await runtime.context()
  const { port } = node.address() as Net.AddressInfo
  const adjust = (duration: Duration.Input) => Effect.runPromiseWith(context)(TestClock.adjust(duration))
  const stop = async () => {
    let isStopped = false
    const stopped = runtime.dispose().finally(() => (isStopped = true))
    // On a test's clock no deadline of the stop passes by itself.
    while (options.clock === "test" && !isStopped) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      await adjust("1 minute")
    }
    await stopped
  }
  return {
    url: `ws://127.0.0.1:${port}/chat`,
    port,
    adjust,
    fibers: () => fibers,
    sockets: () => sockets,
    errors,
    stop,
    [Symbol.asyncDispose]: stop
  }
}

// -----------------------------------------------------------------------------
// clients
// -----------------------------------------------------------------------------

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(ServerFrame))

/** What was received on one connection. Every frame is checked by the schema. */
export class Inbox {
  readonly frames: Array<ServerFrame> = []
  /** The code it was closed with. */
  closed: number | undefined
  private wake: () => void = () => {}

  take(text: string): void {
    this.frames.push(decode(text))
    this.wake()
  }

  close(code: number): void {
    this.closed = code
    this.wake()
  }

  /** Waits until this holds of what has come; fails after 10 s. */
  async until(holds: (inbox: this) => boolean): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!holds(this)) {
      const left = deadline - Date.now()
      if (left <= 0) expect.fail(`waited 10 s; came: ${JSON.stringify(this.frames)}, closed: ${this.closed}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  of(id: string): ReadonlyArray<ServerFrame> {
    return this.frames.filter((frame) => frame.id === id)
  }

  /** The text of a prompt's answer so far. */
  text(id: string): string {
    return this.of(id)
      .map((frame) => (frame.type === "token" ? frame.text : ""))
      .join("")
  }

  /** A prompt's last frame, once it has come. */
  async last(id: string): Promise<ServerFrame> {
    const isLast = (frame: ServerFrame) => frame.type === "done" || (frame.type === "error" && frame.final)
    await this.until(() => this.of(id).some(isLast))
    return this.of(id).find(isLast)!
  }

  /** The code it is closed with, once it is. */
  async code(): Promise<number> {
    await this.until(({ closed }) => closed !== undefined)
    return this.closed!
  }
}

export interface Client {
  readonly inbox: Inbox
  /** A string is sent as it is, all else as JSON. */
  readonly send: (frame: unknown) => void
  readonly close: () => void
}

const toText = (frame: unknown): string => (typeof frame === "string" ? frame : JSON.stringify(frame))

/** A client of the npm package `ws`. */
export const connect = async (
  { url }: { readonly url: string },
  headers: Readonly<Record<string, string>> = {}
): Promise<Client & { readonly socket: WebSocket }> => {
  const socket = new WebSocket(url, { headers })
  const inbox = new Inbox()
  socket.on("message", (data, isBinary) => {
    expect(isBinary).toBe(false)
    inbox.take(data.toString())
  })
  socket.on("close", (code) => inbox.close(code))
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve)
    socket.on("error", reject)
  })
  socket.on("error", () => {})
  return { socket, inbox, send: (frame) => socket.send(toText(frame)), close: () => socket.close() }
}

/** Node's own WebSocket, which is that of browsers. */
export const connectGlobal = async ({ url }: { readonly url: string }): Promise<Client> => {
  const socket = new globalThis.WebSocket(url)
  const inbox = new Inbox()
  socket.addEventListener("message", (event) => inbox.take(String(event.data)))
  socket.addEventListener("close", (event) => inbox.close(event.code))
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve)
    socket.addEventListener("error", reject)
  })
  return { inbox, send: (frame) => socket.send(toText(frame)), close: () => socket.close() }
}

/** A bare connection that has shaken hands. It answers nothing by itself. */
export const connectBare = async (
  { port }: { readonly port: number },
  headers: Readonly<Record<string, string>> = {}
): Promise<{ readonly socket: Net.Socket; readonly received: () => Buffer }> => {
  const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  const chunks: Array<Buffer> = []
  const received = () => {
    if (chunks.length > 1) chunks.splice(0, chunks.length, Buffer.concat(chunks))
    return chunks[0] ?? Buffer.alloc(0)
  }
  socket.on("error", () => {})
  const answered = new Promise<void>((resolve) => {
    let isOpen = false
    socket.on("data", (bytes) => {
      chunks.push(bytes)
      if (isOpen) return
      const end = received().indexOf("\r\n\r\n")
      if (end === -1) return
      expect(received().toString("latin1", 0, 12)).toBe("HTTP/1.1 101")
      chunks[0] = received().subarray(end + 4)
      isOpen = true
      resolve()
    })
  })
  const all = {
    host: `127.0.0.1:${port}`,
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET /chat HTTP/1.1\r\n${lines.join("")}\r\n`)
  await answered
  return { socket, received }
}

/** One masked frame of a client: RFC 6455, section 5.2. The mask is of zeros, which is allowed and readable. */
export const frame = (opcode: number, payload: string | Uint8Array, isLast = true): Buffer => {
  const bytes = Buffer.from(payload)
  const head = [(isLast ? 0x80 : 0) | opcode]
  if (bytes.length < 126) head.push(0x80 | bytes.length)
  else if (bytes.length < 65_536) head.push(0x80 | 126, bytes.length >> 8, bytes.length & 0xff)
  else {
    const length = Buffer.alloc(8)
    length.writeBigUInt64BE(BigInt(bytes.length))
    head.push(0x80 | 127, ...length)
  }
  return Buffer.concat([Buffer.from([...head, 0, 0, 0, 0]), bytes])
}
