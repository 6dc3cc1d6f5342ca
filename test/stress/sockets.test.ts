/** WebSockets whose clients go at points and in ways drawn by a seed: upstream is closed, and no fiber is left. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as WebSocket from "effect-rill/delivery/WebSocket"
import { Socket } from "node:net"
import { expect, it } from "vitest"
import { WebSocket as Client } from "ws"
import { fractions } from "../support/random.ts"
import * as SocketServer from "../support/SocketServer.ts"

const points = 100
const atOnce = 10
const ways = ["terminate", "close", "reset", "close with frames on their way", "stall"] as const

it(`${points} clients that go at any point leave no upstream, fiber or socket`, { timeout: 60_000 }, async () => {
  const begun: Array<string> = []
  const ended: Array<string> = []
  const answer: WebSocket.Answer<never> = ({ id }) =>
    Stream.suspend(() => {
      begun.push(id)
      const next = fractions(begun.length)
      // Some come slowly and some at once, some end and some do not.
      const length = next() < 0.3 ? Infinity : Math.floor(next() * 60)
      const isSlow = next() < 0.7
      return Stream.range(1, length).pipe(
        Stream.rechunk(1 + Math.floor(next() * 5)),
        Stream.mapArrayEffect((array) =>
          isSlow && next() < 0.5
            ? // A model that takes real time, so that sockets are left between its tokens.
              Effect.as(
                Effect.promise(() => new Promise((resolve) => setTimeout(resolve, next() * 3))),
                array
              )
            : Effect.as(Effect.yieldNow, array)
        ),
        Stream.map((i) => `${i} ${"x".repeat(200)}`)
      )
    }).pipe(Stream.ensuring(Effect.sync(() => void ended.push(id))))
  const times = { pingInterval: "100 millis", pingTimeout: "100 millis", slowClientTimeout: "150 millis" } as const
  await using server = await SocketServer.start(
    WebSocket.handler({ answer, ...times, closeTimeout: "100 millis" }),
    Layer.empty
  )

  const went = new Map<string, number>()
  const kill = async (point: number): Promise<void> => {
    const next = fractions(1000 + point)
    const way = ways[point % ways.length]!
    const frames = Math.floor(next() * 80)
    const turns = Math.floor(next() * 30)
    const socket = new Client(server.url)
    socket.on("error", () => {})
    const closed = new Promise((resolve) => socket.on("close", resolve))
    let seen = 0
    const isReached = new Promise<void>((resolve) => {
      socket.on("message", () => void (++seen >= frames && resolve()))
      // Not all answers are that long.
      void (async () => {
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 1))
        resolve()
      })()
    })
    // A tenth goes during the handshake.
    if (next() > 0.1) {
      await new Promise((resolve) => socket.on("open", resolve))
      const prompts = 1 + Math.floor(next() * 4)
      for (let i = 0; i < prompts; i++) {
        socket.send(JSON.stringify({ type: "prompt", id: `${point}:${i}`, prompt: "go" }))
        if (next() < 0.2) socket.send(JSON.stringify({ type: "stop", id: `${point}:${i}` }))
      }
      await isReached
    }
    went.set(way, (went.get(way) ?? 0) + 1)
    const stream: unknown = Reflect.get(socket, "_socket")
    if (way === "close") socket.close(1000)
    else if (way === "terminate" || !(stream instanceof Socket)) socket.terminate()
    else if (way === "reset") stream.resetAndDestroy()
    else if (way === "stall") {
      socket.pause()
      // Only the server ends it: with pings unanswered, or writes not taken.
      await expect.poll(() => alive(point), { timeout: 10_000 }).toBe(0)
      socket.terminate()
    } else {
      for (let i = 0; i < 20; i++) socket.send(JSON.stringify({ type: "prompt", id: `${point}:x${i}`, prompt: "go" }))
      socket.close()
    }
    await closed
  }
  const alive = (point: number) => {
    const of = (ids: ReadonlyArray<string>) => ids.filter((id) => id.startsWith(`${point}:`)).length
    return of(begun) - of(ended)
  }
  for (let point = 0; point < points; point += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, (_, i) => kill(point + i)))
  }

  await expect.poll(server.fibers, { timeout: 5000 }).toBe(0)
  await expect.poll(() => server.sockets().size, { timeout: 5000 }).toBe(0)
  expect(ended.toSorted()).toEqual(begun.toSorted())
  expect(new Set(begun).size).toBe(begun.length)
  expect(begun.length).toBeGreaterThan(points)
  for (const way of ways) expect(went.get(way)).toBeGreaterThan(points / ways.length / 2)
  expect(server.errors).toEqual([])
})
