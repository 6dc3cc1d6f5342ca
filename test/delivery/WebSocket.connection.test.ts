/** What becomes of a connection whose client is slow, silent or gone, or whose server stops. */
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as WebSocket from "effect-rill/delivery/WebSocket"
import { describe, expect, vi } from "vitest"
import * as SocketServer from "../support/SocketServer.ts"

// Real sockets on a machine that may be busy.
vi.setConfig({ testTimeout: 20_000 })
const poll = <A>(read: () => A) => expect.poll(read, { timeout: 10_000 })

const { connect, connectBare, frame } = SocketServer

const delta = "x".repeat(1000)

/** An endless answer, and how much of it was asked for. */
const endless = () => {
  const told = { elements: 0, ended: 0 }
  const answer: WebSocket.Answer<never> = () =>
    Stream.fromEffectRepeat(
      Effect.sync(() => {
        told.elements++
        return `${told.elements} ${delta}`
      })
    ).pipe(Stream.ensuring(Effect.sync(() => void told.ended++)))
  return { told, answer }
}

/** An answer that tells one thing and waits. */
const waiting = () => {
  const told = { ended: 0 }
  const answer: WebSocket.Answer<never> = () =>
    Stream.concat(Stream.make("one"), Stream.never).pipe(Stream.ensuring(Effect.sync(() => void told.ended++)))
  return { told, answer }
}

const start = (
  answer: WebSocket.Answer<never>,
  limits: WebSocket.Limits = {},
  options: SocketServer.Options = { clock: "test" }
) => SocketServer.start(WebSocket.handler({ ...limits, answer }), Layer.empty, options)

/** Waits until a number has not changed for a while, and gives it. */
const still = async (read: () => number): Promise<number> => {
  let last = -1
  for (let times = 0; times < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 30))
    times = read() === last ? times + 1 : 0
    last = read()
  }
  return last
}

const prompt = (id: string) => JSON.stringify({ type: "prompt", id, prompt: "go" })

/** Nothing is left of a server's connections. */
const nothingLeft = async (server: SocketServer.SocketServer) => {
  await poll(server.fibers).toBe(0)
  await poll(() => server.sockets().size).toBe(0)
  expect(server.errors).toEqual([])
}

describe("a client that says nothing", () => {
  it("and does not answer a ping is found and left, and its prompts with it", async () => {
    const { answer, told } = waiting()
    await using server = await start(answer)
    const { received, socket } = await connectBare(server)
    socket.write(frame(1, prompt("a")))
    await poll(() => received().toString()).toContain("one")
    const before = received().length
    await server.adjust("29 seconds")
    await still(() => received().length)
    expect(received().length).toBe(before)
    await server.adjust("1 second")
    await poll(() => received().subarray(before)).toEqual(Buffer.from([0x89, 0]))
    await server.adjust("29 seconds")
    expect(server.sockets().size).toBe(1)
    expect(told.ended).toBe(0)
    const ended = new Promise((resolve) => socket.on("end", resolve))
    await server.adjust("1 second")
    await ended
    expect(told.ended).toBe(1)
    await nothingLeft(server)
    socket.destroy()
  })

  it("but answers pings is kept, as those that speak are", async () => {
    const { answer } = waiting()
    await using server = await start(answer)
    const quiet = await connect(server)
    let pings = 0
    quiet.socket.on("ping", () => pings++)
    const talking = await connectBare(server)
    const seen = () => [...server.sockets()].reduce((sum, socket) => sum + socket.bytesRead, 0)
    for (let round = 1; round <= 5; round++) {
      await server.adjust("30 seconds")
      // In place of an answer, anything will do.
      talking.socket.write(frame(1, `{"type":"stop","id":"x"}`))
      await poll(() => pings).toBe(round)
      await still(seen)
      await server.adjust("30 seconds")
      await still(seen)
    }
    expect(server.sockets().size).toBe(2)
    talking.socket.destroy()
    quiet.close()
    await nothingLeft(server)
  })

  it("but reads what it is sent is kept for that long", async () => {
    const length = 16_000
    let told = 0
    const answer: WebSocket.Answer<never> = () =>
      Stream.concat(
        Stream.range(1, length).pipe(
          Stream.rechunk(1),
          Stream.map((i) => `${(told = i)} ${delta}`)
        ),
        Stream.never
      )
    await using server = await start(answer, { pingInterval: "10 seconds", pingTimeout: "5 seconds" })
    const { socket } = await connectBare(server)
    socket.write(frame(1, prompt("a")))
    await poll(() => told).toBeGreaterThan(0)
    socket.pause()
    expect(await still(() => told)).toBeLessThan(length)
    await server.adjust("10 seconds")
    socket.resume()
    await poll(() => told).toBe(length)
    await still(() => socket.bytesRead)
    await server.adjust("5 seconds")
    await still(server.fibers)
    expect(server.sockets().size).toBe(1)
    await server.adjust("15 seconds")
    await nothingLeft(server)
    socket.destroy()
  })

  it("and does not read, once it was pinged, is a slow one", async () => {
    const { answer, told } = endless()
    let go = () => {}
    const isGo = new Promise<void>((resolve) => (go = resolve))
    await using server = await start(
      (prompt) =>
        Stream.unwrap(
          Effect.as(
            Effect.promise(() => isGo),
            answer(prompt)
          )
        ),
      {
        pingInterval: "10 seconds",
        pingTimeout: "5 seconds"
      }
    )
    const { inbox, send, socket } = await connect(server)
    send(prompt("a"))
    await still(server.fibers)
    socket.pause()
    await server.adjust("10 seconds")
    go()
    await poll(() => told.elements).toBeGreaterThan(0)
    await still(() => told.elements)
    await server.adjust("5 seconds")
    await still(server.fibers)
    expect(server.sockets().size).toBe(1)
    socket.resume()
    send({ type: "stop", id: "a" })
    expect(await inbox.last("a")).toMatchObject({ reason: "stopped" })
    socket.terminate()
    await nothingLeft(server)
  })

  it("but pings itself, for as long as it likes, is kept", async () => {
    const { answer } = waiting()
    await using server = await start(answer, { maxFrameSize: 1000 })
    const { received, socket } = await connectBare(server)
    const ping = frame(9, "p".repeat(125))
    for (let count = 1; count <= 2200; count++) {
      const isAnswered = new Promise((resolve) => socket.once("data", resolve))
      socket.write(ping)
      await isAnswered
    }
    expect(received().length).toBe(2200 * 127)
    expect(server.sockets().size).toBe(1)
    socket.destroy()
    await nothingLeft(server)
  })

  it("is not pinged where that is switched off", async () => {
    const { answer } = waiting()
    await using server = await start(answer, { pingInterval: "Infinity" })
    const { received, socket } = await connectBare(server)
    await server.adjust("10 days")
    await still(() => received().length)
    expect(received().length).toBe(0)
    socket.destroy()
    await nothingLeft(server)
  })
})

describe("a client that does not read", () => {
  it("suspends its answers, then is closed with 1013", async () => {
    const { answer, told } = endless()
    await using server = await start(answer)
    const { inbox, send, socket } = await connect(server)
    for (const id of ["a", "b", "c"]) send(prompt(id))
    await inbox.until(() => ["a", "b", "c"].every((id) => inbox.text(id) !== ""))
    socket.pause()
    const asked = await still(() => told.elements)
    // A few buffers of the system's, and one of ours.
    expect(asked * delta.length).toBeLessThan(16 * 1024 * 1024)
    const [connection] = server.sockets()
    expect(connection!.writableLength).toBeLessThan(128 * 1024)
    await server.adjust("29 seconds")
    expect(await still(() => told.elements)).toBe(asked)
    expect(told.ended).toBe(0)
    await server.adjust("1 second")
    await poll(() => told.ended).toBe(3)
    // If it reads after all, it is told.
    socket.resume()
    expect(await inbox.code()).toBe(1013)
    for (const id of ["a", "b", "c"]) expect(inbox.of(id).every(({ type }) => type === "token")).toBe(true)
    await nothingLeft(server)
  })

  it("nor takes leave is left without it", async () => {
    const { answer, told } = endless()
    await using server = await start(answer)
    const { send, socket } = await connect(server)
    send(prompt("a"))
    await poll(() => told.elements).toBeGreaterThan(0)
    socket.pause()
    await still(() => told.elements)
    await server.adjust("30 seconds")
    await poll(() => told.ended).toBe(1)
    expect(server.sockets().size).toBe(1)
    await server.adjust("5 seconds")
    await nothingLeft(server)
    socket.terminate()
  })

  it("for less than the limit loses nothing, however often, and is not taken for dead", async () => {
    const { answer, told } = endless()
    await using server = await start(answer, { pingInterval: "10 seconds", pingTimeout: "5 seconds" })
    const { inbox, send, socket } = await connect(server)
    send(prompt("a"))
    for (let round = 0; round < 4; round++) {
      const before = inbox.frames.length
      await inbox.until(({ frames }) => frames.length > before + 10)
      socket.pause()
      const asked = await still(() => told.elements)
      for (let i = 0; i < 5; i++) await server.adjust("5 seconds")
      expect(told.elements).toBe(asked)
      socket.resume()
      await poll(() => told.elements).toBeGreaterThan(asked + 100)
    }
    socket.pause()
    const asked = await still(() => told.elements)
    send({ type: "stop", id: "a" })
    await poll(() => told.ended).toBe(1)
    socket.resume()
    expect(await inbox.last("a")).toMatchObject({ reason: "stopped" })
    const numbers = inbox.frames.flatMap((frame) => (frame.type === "token" ? [Number(frame.text.split(" ")[0])] : []))
    // What was waiting to be sent when it was stopped is not.
    expect(numbers.length).toBeGreaterThan(asked - 2)
    expect(numbers).toEqual(numbers.map((_, i) => i + 1))
    socket.terminate()
    await nothingLeft(server)
  })

  it("the answers to its bad frames is not read either", async () => {
    const { answer } = waiting()
    await using server = await start(answer)
    const { socket } = await connectBare(server)
    socket.pause()
    const bad = Buffer.concat(Array.from({ length: 1000 }, () => frame(1, "{oops")))
    for (let i = 0; i < 20_000; i++) socket.write(bad)
    const [connection] = server.sockets()
    const read = await still(() => connection!.bytesRead)
    expect(read).toBeLessThan(8 * 1024 * 1024)
    expect(connection!.writableLength).toBeLessThan(256 * 1024)
    await server.adjust("30 seconds")
    await server.adjust("5 seconds")
    await nothingLeft(server)
    socket.destroy()
  })

  it("suspends its answers where the server may compress, too: it does not", async () => {
    const { answer, told } = endless()
    await using server = await start(answer, {}, { clock: "test", perMessageDeflate: true })
    const { inbox, send, socket } = await connect(server)
    expect(socket.extensions).toBe("")
    send(prompt("a"))
    await inbox.until(() => inbox.text("a") !== "")
    socket.pause()
    expect((await still(() => told.elements)) * delta.length).toBeLessThan(16 * 1024 * 1024)
    socket.terminate()
    await nothingLeft(server)
  })
})

describe("a server that stops", () => {
  it("says so with 1001 in the middle of an answer, and closes upstream", async () => {
    const { answer, told } = waiting()
    const server = await start(answer, {}, {})
    const clients = await Promise.all([connect(server), connect(server), SocketServer.connectGlobal(server)])
    for (const { inbox, send } of clients) {
      send(prompt("a"))
      await inbox.until(() => inbox.text("a") === "one")
    }
    await server.stop()
    expect(told.ended).toBe(3)
    for (const { inbox } of clients) {
      expect(await inbox.code()).toBe(1001)
      // The code says all there is to say.
      expect(inbox.frames.length).toBe(1)
    }
    await nothingLeft(server)
  })

  it("does not wait for a client that does not answer, or does not read", async () => {
    const { answer, told } = endless()
    const server = await start(answer, { closeTimeout: "100 millis" }, {})
    const { socket } = await connectBare(server)
    socket.write(frame(1, prompt("a")))
    socket.pause()
    await poll(() => told.elements).toBeGreaterThan(0)
    await still(() => told.elements)
    const silent = await connectBare(server)
    await server.stop()
    expect(told.ended).toBe(1)
    await nothingLeft(server)
    expect([...silent.received()]).toEqual([
      0x88,
      silent.received().length - 2,
      0x03,
      0xe9,
      ...silent.received().subarray(4)
    ])
    socket.destroy()
    silent.socket.destroy()
  })
})

it("a client that closes its side in good order is answered so", async () => {
  const { answer, told } = waiting()
  await using server = await start(answer)
  const { inbox, send, socket } = await connect(server)
  send(prompt("a"))
  await inbox.until(() => inbox.text("a") === "one")
  socket.close(1000, "bye")
  expect(await inbox.code()).toBe(1000)
  expect(told.ended).toBe(1)
  await nothingLeft(server)
})

it("a client that closes and does not hang up is left: upstream at once, the connection soon", async () => {
  const { answer, told } = endless()
  await using server = await start(answer)
  const { received, socket } = await connectBare(server)
  socket.write(frame(1, prompt("a")))
  await poll(() => told.elements).toBeGreaterThan(0)
  socket.write(frame(8, Buffer.from([0x03, 0xe8])))
  await poll(() => told.ended).toBe(1)
  await still(() => received().length)
  expect([...received().subarray(-4)]).toEqual([0x88, 2, 0x03, 0xe8])
  expect(server.sockets().size).toBe(1)
  await server.adjust("5 seconds")
  await nothingLeft(server)
  socket.destroy()
})

it("a client that breaks the protocol is closed by the platform, and its prompts with it", async () => {
  const { answer, told } = waiting()
  await using server = await start(answer)
  for (const [bytes, code] of [
    [Buffer.from([0x81, 1, 0x61]), 1002],
    [frame(1, Buffer.from([0xff, 0xfe])), 1007]
  ] as const) {
    const { received, socket } = await connectBare(server)
    socket.write(frame(1, prompt("a")))
    await poll(() => received().toString()).toContain("one")
    const before = received().length
    socket.write(bytes)
    await poll(() => received().length).toBeGreaterThan(before)
    expect([received()[before], received().readUInt16BE(before + 2)]).toEqual([0x88, code])
    await poll(server.fibers).toBe(0)
    socket.destroy()
  }
  expect(told.ended).toBe(2)
  await nothingLeft(server)
})

describe("on a platform that shows no connection", () => {
  const encoded = (frame: object) => JSON.stringify(frame)

  /** A socket that gives these frames, then what `end` does. */
  const fake = (frames: ReadonlyArray<string>, end: Effect.Effect<never, Socket.SocketError>) => {
    const written: Array<string | Uint8Array | Socket.CloseEvent> = []
    let next = 0
    const socket = Socket.make({
      reader: Effect.succeed({
        pull: Effect.suspend(() => (next < frames.length ? Effect.succeed([frames[next++]!] as const) : end)),
        upgrade: Socket.SocketUpgradeError.unsupported
      }),
      writer: Effect.succeed({
        write: (chunk) => Effect.sync(() => void written.push(chunk)),
        writeAll: (chunks) => Effect.sync(() => void written.push(...chunks))
      })
    })
    return { socket, written }
  }

  const run = (socket: Socket.Socket, answer: WebSocket.Answer<never>) =>
    WebSocket.handler({ answer }).pipe(
      Effect.provideService(
        HttpServerRequest.HttpServerRequest,
        Object.defineProperty(
          HttpServerRequest.fromWeb(new Request("http://localhost/chat", { headers: { upgrade: "websocket" } })),
          "upgrade",
          { value: Effect.succeed(socket) }
        )
      )
    )

  it.effect("prompts are answered all the same", () =>
    Effect.gen(function* () {
      const { socket, written } = fake([prompt("a"), encoded({ type: "stop", id: "b" })], Effect.never)
      const { answer, told } = waiting()
      const fiber = yield* Effect.forkChild(run(socket, answer))
      yield* TestClock.adjust("10 minutes")
      expect(written).toHaveLength(2)
      yield* Fiber.interrupt(fiber)
      expect(told.ended).toBe(1)
      expect(written[2]).toMatchObject({ code: 1001 })
    })
  )

  it.effect("a defect of the connection closes it with 1011, and is logged", () =>
    Effect.gen(function* () {
      const { socket, written } = fake([prompt("a")], Effect.andThen(Effect.yieldNow, Effect.die("made-up")))
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ cause }) => void logged.push(Cause.pretty(cause)))])
      const { answer, told } = waiting()
      yield* Effect.provide(run(socket, answer), logger)
      expect(told.ended).toBe(1)
      expect(written.at(-1)).toMatchObject({ code: 1011 })
      expect(logged.join()).toContain("made-up")
    })
  )
})
