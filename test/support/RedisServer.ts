/** A Redis server of one's own, on loopback, that keeps nothing. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createServer, type AddressInfo } from "node:net"
import { createInterface } from "node:readline"

export const isInstalled = spawnSync("redis-server", ["--version"]).status === 0

export interface RedisServer extends AsyncDisposable {
  readonly url: string
  /** Ends the server as a failure of its machine would. */
  readonly kill: () => Promise<void>
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

export const start = async (): Promise<RedisServer> => {
  const port = await freePort()
  const options = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
  const server = spawn("redis-server", options, { stdio: ["ignore", "pipe", "ignore"] })
  const ended = once(server, "exit")
  const kill = async () => {
    server.kill("SIGKILL")
    await ended
  }
  for await (const line of createInterface({ input: server.stdout })) {
    if (line.includes("Ready to accept connections")) {
      server.stdout.resume()
      return { url: `redis://127.0.0.1:${port}`, kill, [Symbol.asyncDispose]: kill }
    }
  }
  throw new Error("redis-server has ended before it was ready")
}
