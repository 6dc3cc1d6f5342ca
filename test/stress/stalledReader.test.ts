/** A client that stops reading stops the pull: the server keeps its memory, and loses nothing when the client goes on. */
import * as Http from "node:http"
import { expect, it } from "vitest"
import * as SseProcess from "../support/SseProcess.ts"

const MiB = 1024 * 1024
const length = 1000
const megabytes = 200
const count = Math.ceil((megabytes * MiB) / length)

const get = (url: string): Promise<Http.IncomingMessage> =>
  new Promise((resolve, reject) => Http.get(url, { agent: false }, resolve).on("error", reject))

it.each(["node", "web"])(
  `an answer of ${megabytes} MB by %s, to a client that reads nothing, under a heap of 64 MB`,
  async (by) => {
    await using server = await SseProcess.start("--max-old-space-size=64")
    const idle = await server.sample()
    const response = await get(`${server.url}/${by}/${count}/${length}`)
    response.pause()

    // What is pulled stands still, for longer than heartbeats come, and is what buffers of two sockets hold.
    let last = -1
    for (let still = 0; still < 10;) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      const { pulled } = await server.sample()
      still = pulled === last ? still + 1 : 0
      last = pulled
    }
    const stalled = await server.sample()
    expect(stalled).toMatchObject({ pulled: last, open: 1 })
    expect(last * length).toBeLessThan(32 * MiB)
    expect(stalled.held - idle.held).toBeLessThan(16 * MiB)

    // It goes on: none is lost, none comes twice, and the server's memory stays as it was.
    let [next, most, rest] = [0, 0, ""]
    let sampling = server.sample()
    for await (const piece of response.setEncoding("utf8")) {
      const lines = (rest + piece).split("\n")
      rest = lines.pop()!
      for (const line of lines) {
        if (line === "" || line.startsWith(":") || line.startsWith("id:") || line.startsWith("event:")) continue
        if (line === "data: [DONE]") continue
        if (!line.startsWith(`data: {"_tag":"TextDelta","text":"${next} `))
          throw new Error(`not token ${next}: ${line}`)
        next++
        if (next % 20_000 === 0) {
          most = Math.max(most, (await sampling).held)
          sampling = server.sample()
        }
      }
    }
    await sampling
    expect(next).toBe(count)
    const done = await server.sample()
    expect(done).toMatchObject({ pulled: count, open: 0 })
    expect(most - idle.held).toBeLessThan(16 * MiB)
    const inMiB = (bytes: number) => (bytes / MiB).toFixed(1)
    console.log(
      `${by}, ${megabytes} MB: the server had pulled ${inMiB(last * length)} MB when it stood still; it held ${inMiB(idle.held)} MiB before, ${inMiB(stalled.held)} MiB at the stall, at most ${inMiB(most)} MiB while it was read, ${inMiB(done.held)} MiB after; resident ${inMiB(stalled.rss)} MiB at the stall`
    )
  },
  60_000
)
