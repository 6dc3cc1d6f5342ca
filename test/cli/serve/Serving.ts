/** `rill serve` as a process of its own, on a free port, and plain sockets to talk to it. */
import type { ChildProcess } from "node:child_process"
import * as Net from "node:net"
import { child } from "../Rill.ts"

export interface Serving extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly port: number
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
  /** With the exit code, once it has ended. */
  readonly exited: Promise<number | null>
}

export const start = async (
  args: ReadonlyArray<string> = [],
  env: Readonly<Record<string, string>> = {},
  /** What a shell is to do before. */
  before?: string
): Promise<Serving> => {
  const all = ["serve", "--port", "0", ...args]
  const process = child(all, {
    env: { RILL_OFFLINE_TOKENS_PER_SECOND: "400", ...env },
    ...(before === undefined ? undefined : { shell: `${before} exec $RILL ${all.join(" ")}` })
  })
  const said = { stdout: "", stderr: "" }
  const exited = new Promise<number | null>((resolve) => process.on("close", resolve))
  const url = await new Promise<string>((resolve, reject) => {
    for (const name of ["stdout", "stderr"] as const) {
      process[name]!.setEncoding("utf8").on("data", (text: string) => {
        said[name] += text
        const url = /answers at (http:\S+)\n[^]*event done\.\n/.exec(said.stdout)?.[1]
        if (url !== undefined) resolve(url)
      })
    }
    exited.then((code) => reject(new Error(`it ended with ${code}: ${said.stderr}`)))
  })
  return {
    url,
    port: Number(new URL(url).port),
    process,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    exited,
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL")
      await exited
    }
  }
}

export interface Raw {
  readonly socket: Net.Socket
  readonly text: () => string
  /** Until the server has closed the connection, whether or not it was reset. */
  readonly closed: Promise<string>
}

/** A connection on which anything may be sent. */
export const connect = async (port: number, first: string | Uint8Array = ""): Promise<Raw> => {
  const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  let text = ""
  socket.on("data", (data) => (text += data.toString("latin1")))
  socket.on("error", () => {})
  const closed = new Promise<string>((resolve) => {
    socket.on("end", () => resolve(text))
    socket.on("close", () => resolve(text))
  })
  await new Promise((resolve) => socket.once("connect", resolve))
  socket.write(first)
  return { socket, text: () => text, closed }
}

/** What a response that came as text says: its status, and its body as JSON. */
export const parse = (text: string): { readonly status: number; readonly head: string; readonly json: unknown } => {
  // A 100 may stand before it.
  const last = [...text.matchAll(/HTTP\/1\.1 \d{3} /g)].at(-1)?.index ?? 0
  const [head = "", body = ""] = text.slice(last).split("\r\n\r\n", 2)
  return { status: Number(head.split(" ")[1]), head, json: body.startsWith("{") ? JSON.parse(body) : undefined }
}

const seeded = (stream: boolean) => ({
  method: "POST",
  body: JSON.stringify({ stream, seed: 7, messages: [{ role: "user", content: "Tell me about whales" }] })
})

/** The text that {@link good} is to give. */
export const reference = async (url: string): Promise<string> => {
  const response = await fetch(`${url}/v1/chat/completions`, seeded(false))
  const { choices } = (await response.json()) as { choices: [{ message: { content: string } }] }
  return choices[0].message.content
}

/** An answer that is being read while something else happens. */
export interface Good {
  /** Gives its text once it is complete; throws where it is not. */
  readonly whole: () => Promise<string>
}

/** Asks, and waits until the answer has begun. */
export const good = async (url: string): Promise<Good> => {
  const response = await fetch(`${url}/v1/chat/completions`, seeded(true))
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let all = (await reader.read()).value ?? ""
  return {
    whole: async () => {
      for (let next = await reader.read(); !next.done; next = await reader.read()) all += next.value
      const data = all.split("\n\n").flatMap((event) => (event.startsWith("data: ") ? event.slice(6) : []))
      if (data.pop() !== "[DONE]") throw new Error("the answer is not complete")
      return data.map((json) => JSON.parse(json).choices[0]?.delta.content ?? "").join("")
    }
  }
}
