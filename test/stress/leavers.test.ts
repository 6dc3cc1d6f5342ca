/** A client that leaves closes the model's stream and leaves no fiber: killed at points drawn by a seed. */
import { connect, type Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Ndjson from "effect-rill/delivery/Ndjson"
import * as PlainText from "effect-rill/delivery/PlainText"
import * as Sse from "effect-rill/delivery/Sse"
import { expect, it } from "vitest"
import { type Dice, dice } from "../support/answers.ts"
import * as HttpApp from "../support/HttpApp.ts"

const leavers = 100
const atOnce = 10

/** Where a client leaves: a while before the first event, after some of the answer, amid heartbeats, or stalled. */
type Leaving = "before" | "between" | "heartbeat" | "stalled"
const leavings: ReadonlyArray<Leaving> = ["before", "between", "heartbeat", "stalled"]

/** Fibers that run now, of all that the app began. */
class Fibers {
  running = 0
  readonly layer = Layer.succeed(Metric.FiberRuntimeMetrics)({
    recordFiberStart: () => {
      this.running++
    },
    recordFiberEnd: () => {
      this.running--
    }
  })
}

const upstream = { opened: 0, closed: 0 }

/** Says so many tokens, at once or one by one, and then nothing; or says them for ever. */
const model = (leaving: Leaving, tokens: number): Stream.Stream<string> => {
  const token = "x".repeat(leaving === "stalled" ? 10_000 : 3)
  const spoken =
    leaving === "stalled"
      ? Stream.forever(Stream.make(token))
      : Stream.range(1, tokens).pipe(
          Stream.rechunk(1),
          // Of the server's own clock: some tokens leave alone, some together.
          Stream.tap((n) => (n % 3 === 0 ? Effect.sleep(1) : Effect.yieldNow)),
          Stream.map(() => token)
        )
  return Stream.unwrap(
    Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => void upstream.opened++),
        () => Effect.sync(() => void upstream.closed++)
      ),
      leaving === "before" ? Stream.never : Stream.concat(spoken, Stream.never)
    )
  )
}

const answer = (url: string) => {
  const [, wire, leaving, tokens] = url.split("/")
  const stream = model(leaving as Leaving, Number(tokens))
  if (wire === "plain") return PlainText.response(stream)
  if (wire === "ndjson") return Ndjson.response(stream)
  const format = wire === "openai" ? Sse.openAi : wire === "ui" ? Sse.uiMessages : wire === "json" ? Sse.json : Sse.text
  return Sse.response(stream, { format, heartbeat: "3 millis" })
}

const viaNode = HttpRouter.add("GET", "/*", (request) => answer(request.url))

const viaWeb = (context: Layer.Layer<never>) =>
  HttpRouter.add(
    "GET",
    "/*",
    HttpEffect.fromWebHandler((request) => {
      const { pathname } = new URL(request.url)
      return Effect.runPromise(
        HttpResponse.toWeb(answer(pathname), { signal: request.signal }).pipe(Effect.provide(context))
      )
    }).pipe(Effect.orDie)
  )

const kill = async (app: HttpApp.HttpApp, leaving: Leaving, chance: Dice): Promise<void> => {
  const wires =
    leaving === "heartbeat" ? ["text", "json", "openai", "ui"] : ["text", "json", "openai", "ui", "plain", "ndjson"]
  const tokens = leaving === "heartbeat" ? 1 + chance.below(5) : 1 + chance.below(60)
  const before = upstream.opened
  const socket: Socket = connect(Number(new URL(app.url).port), "127.0.0.1")
  socket.on("error", () => {})
  let seen = ""
  socket.setEncoding("utf8").on("data", (piece: string) => (seen += piece))
  if (leaving === "stalled") socket.pause()
  socket.write(`GET /${chance.one(wires)}/${leaving}/${tokens} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  const turns = chance.below(15)
  if (leaving === "before" || leaving === "stalled") {
    if (turns > 3) await HttpApp.until("the model is asked", () => upstream.opened > before)
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
    // As much as the buffers of both sides hold.
    if (leaving === "stalled" && turns > 7) await new Promise((resolve) => setTimeout(resolve, 30))
  } else if (leaving === "between") {
    const heard = 1 + chance.below(tokens)
    await HttpApp.until("some of the answer", () => (seen.match(/xxx/g)?.length ?? 0) >= heard)
  } else {
    const beats = 1 + chance.below(4)
    await HttpApp.until("heartbeats", () => seen.split("\n:\n").length > beats)
  }
  // A FIN and no more reading, a reset, or a FIN by one that would go on reading.
  const how = chance.below(3)
  if (how === 0) socket.destroy()
  else if (how === 1) socket.resetAndDestroy()
  else socket.resume().end()
}

it.each([
  ["Node's server", () => viaNode],
  ["a web Response", viaWeb]
] as const)(
  `${leavers} clients that leave %s close what was open for them`,
  async (_, routes) => {
    const fibers = new Fibers()
    await using app = await HttpApp.start(routes(fibers.layer), fibers.layer)
    const idle = fibers.running
    const chance = dice(11)
    Object.assign(upstream, { opened: 0, closed: 0 })
    const counts: Record<string, number> = {}
    for (let i = 0; i < leavers; i += atOnce) {
      const group = Array.from({ length: atOnce }, (_, n) => leavings[(i + n) % leavings.length]!)
      await Promise.all(
        group.map((leaving) => {
          counts[leaving] = (counts[leaving] ?? 0) + 1
          return kill(app, leaving, chance)
        })
      )
    }
    expect(counts).toEqual({ before: 25, between: 25, heartbeat: 25, stalled: 25 })
    await HttpApp.until("no socket is open", () => app.openSockets() === 0)
    await HttpApp.until("every model's stream is closed", () => upstream.closed === upstream.opened)
    await HttpApp.until("no fiber runs", () => fibers.running === idle)
    // Some left before their request was read; the server then never asks.
    expect(upstream.opened).toBeGreaterThan(leavers * 0.8)
  },
  60_000
)
