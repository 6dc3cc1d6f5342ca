/** A WebSocket whose client stalls holds a few buffers of the server's, not the answer. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"
import { WebSocket } from "ws"

const MiB = 1024 * 1024
const size = 900
const length = Math.ceil((200 * MiB) / size)

interface State {
  readonly told: number
  readonly held: number
}

it("a client that stops reading 200 MB, of a server with a heap of 64 MB, suspends it and loses nothing", async () => {
  const child = fork(fileURLToPath(new URL("./StalledReader.ts", import.meta.url)), [String(length), String(size)], {
    // What dies young while V8 marks is kept until it has marked: with its usual 16 MB of it, half of the heap.
    execArgv: ["-C", "rill-source", "--expose-gc", "--max-old-space-size=64", "--max-semi-space-size=2"],
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  const exited = once(child, "exit")
  const died = exited.then(([code, signal]) => {
    throw new Error(`the server has ended, with ${signal ?? code}: what it wrote says why`)
  })
  // It ends by itself at the end, when nothing waits for it.
  died.catch(() => {})
  const hear = async (): Promise<unknown> => (await Promise.race([once(child, "message"), died]))[0]
  const port = await hear()
  const ask = async (): Promise<State> => {
    child.send("tell")
    return (await hear()) as State
  }
  const before = await ask()
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
  await once(socket, "open")
  const closed = once(socket, "close")
  let tokens = 0
  let characters = 0
  let last: unknown
  const paused = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      const frame = JSON.parse(data.toString()) as { readonly type: string; readonly text?: string }
      last = frame
      if (frame.type !== "token") return
      characters += frame.text!.length
      if (++tokens !== 1000) return
      socket.pause()
      resolve()
    })
  })
  socket.send(JSON.stringify({ type: "prompt", id: "a", prompt: "go" }))
  await Promise.race([paused, died])

  let state = await ask()
  // Until nothing is written any more: what the sockets hold is full.
  for (let still = 0; still < 5;) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const next = await ask()
    still = next.told === state.told ? still + 1 : 0
    state = next
  }
  expect(state.told * size).toBeLessThan(32 * MiB)
  expect(state.held - before.held).toBeLessThan(16 * MiB)
  const atStall = state
  socket.resume()

  const done = expect.poll(() => last, { timeout: 50_000 }).toMatchObject({ type: "done" })
  const along: Array<number> = []
  for (let told = 0; told < length;) {
    // A sample of what the other process holds, along the way.
    await new Promise((resolve) => setTimeout(resolve, 100))
    const next = await ask()
    told = next.told
    along.push(next.held - before.held)
  }
  await Promise.race([done, died])
  expect([tokens, characters]).toEqual([length, length * size])
  expect(along.toSorted((a, b) => b - a)[1] ?? 0).toBeLessThan(16 * MiB)
  console.log(
    `at the stall ${((atStall.told * size) / MiB).toFixed(1)} MiB were asked for, and ${((atStall.held - before.held) / MiB).toFixed(1)} MiB more held than before; most along the way ${(Math.max(...along) / MiB).toFixed(1)} MiB`
  )
  socket.close()
  await closed
  child.send("stop")
  expect((await exited)[0]).toBe(0)
}, 60_000)
