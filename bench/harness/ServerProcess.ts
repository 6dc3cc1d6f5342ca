/** The server's process, as the harness sees it. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { ServerView } from "../Scenario.ts"
import type { Abandoned } from "../server/Server.ts"

export class ServerProcess implements ServerView {
  readonly url: string
  private readonly child: ChildProcess
  private readonly seen: Array<Abandoned> = []
  private waiter: ((abandoned: Abandoned | undefined) => void) | undefined

  private constructor(child: ChildProcess, url: string) {
    this.child = child
    this.url = url
    child.on("message", (abandoned: Abandoned) => {
      if (this.waiter === undefined) this.seen.push(abandoned)
      else this.waiter(abandoned)
    })
  }

  static async start(): Promise<ServerProcess> {
    const child = fork(fileURLToPath(new URL("../server/main.js", import.meta.url)))
    const [url] = (await once(child, "message")) as [string]
    return new ServerProcess(child, url)
  }

  async abandoned(): Promise<Abandoned | undefined> {
    return (
      this.seen.shift() ??
      new Promise((resolve) => {
        const tell = (abandoned: Abandoned | undefined): void => {
          clearTimeout(timer)
          this.waiter = undefined
          resolve(abandoned)
        }
        const timer = setTimeout(tell, 5000, undefined)
        this.waiter = tell
      })
    )
  }

  /** Ends what is still open, of which nobody wants to hear. */
  async reset(): Promise<void> {
    this.child.send("reset")
    await new Promise((turn) => setTimeout(turn, 50))
    this.seen.length = 0
  }

  end(): void {
    this.child.kill()
  }
}
