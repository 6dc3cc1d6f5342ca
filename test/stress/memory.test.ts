/** Law 6: a paused consumer holds a few buffers, not the answer. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"

const MiB = 1024 * 1024
const delta = "x".repeat(900)

it.each([
  ["chat", 200],
  // Its end repeats the whole answer; the server's own does not.
  ["responses", 100]
] as const)(
  "a paused consumer of %s, of %i MB under a heap of 64 MB, stops the server and keeps its memory",
  async (api, megabytes) => {
    const total = Math.ceil((megabytes * MiB) / delta.length)
    const steps = function* (): Generator<ChatServer.Step> {
      for (let i = 0; i < total; i++) yield ChatServer.text(delta)
      if (api === "chat") yield ChatServer.finish()
      yield api === "chat" ? ChatServer.done : { data: { type: "response.completed", response: {} } }
    }
    await using server = await ChatServer.start(() => steps())
    const child = fork(fileURLToPath(new URL("./PausedConsumer.ts", import.meta.url)), [server.baseUrl, api], {
      execArgv: ["-C", "rill-source", "--expose-gc", "--max-old-space-size=64"],
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    const exited = once(child, "exit")
    await once(child, "message")

    // The server is stopped by backpressure: what it has written stands still, and is a few buffers.
    const request = server.requests[0]!
    let written = -1
    for (let still = 0; still < 5;) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      still = request.written === written ? still + 1 : 0
      written = request.written
    }
    expect(request.state).toBe("open")
    expect(written).toBeLessThan(32 * MiB)

    child.send("go on")
    const [{ done }] = (await once(child, "message")) as [{ done: Done }]
    expect(done).toMatchObject({ characters: total * delta.length, tokens: total })
    const mebibytes = done.held.map((bytes) => Math.round(bytes / MiB))
    console.log(
      `${api}, ${megabytes} MB: the server had written ${(written / MiB).toFixed(1)} MiB at the pause; held along the way ${mebibytes.join(", ")} MiB; most resident ${Math.round(done.rss / MiB)} MiB`
    )
    expect(done.held.length).toBeGreaterThan(5)
    // One sample may catch buffers on their way to be freed; what is kept is in all that follow.
    expect(done.held.toSorted((a, b) => b - a)[1]! - done.held[0]!).toBeLessThan(16 * MiB)
    expect((await exited)[0]).toBe(0)
  },
  60_000
)

interface Done {
  readonly characters: number
  readonly tokens: number
  readonly held: ReadonlyArray<number>
  readonly rss: number
}
