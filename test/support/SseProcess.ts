/** The server of SseServer.ts as a child process. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Sample } from "../stress/SseServer.ts"

export interface SseProcess {
  readonly url: string
  readonly sample: () => Promise<Sample>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

export const start = async (...flags: ReadonlyArray<string>): Promise<SseProcess> => {
  const child = fork(fileURLToPath(new URL("../stress/SseServer.ts", import.meta.url)), {
    execArgv: ["-C", "rill-source", "--expose-gc", ...flags],
    stdio: ["ignore", "inherit", "inherit", "ipc"]
  })
  const exited = once(child, "exit")
  const died = exited.then(([code]) => {
    throw new Error(`the server exited with ${code}`)
  })
  died.catch(() => {})
  const answer = async <A>(): Promise<A> => {
    const [message] = (await Promise.race([once(child, "message"), died])) as [A]
    return message
  }
  const { url } = await answer<{ url: string }>()
  return {
    url,
    sample: () => {
      const sample = answer<Sample>()
      child.send("sample")
      return sample
    },
    [Symbol.asyncDispose]: async () => {
      child.disconnect()
      await exited
    }
  }
}
