/** Runs the real command, `node src/cli/bin.ts`, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

export interface Options {
  /** Written to a pipe, which is then closed. Without it: /dev/null. */
  readonly stdin?: string | Uint8Array
  readonly env?: Readonly<Record<string, string | undefined>>
  /** A shell's command line, in which `$RILL` stands for the command. */
  readonly shell?: string
}

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What the command is to find in its environment: nothing of the machine's but the path. */
const environment = (extra: Options["env"]): NodeJS.ProcessEnv => ({
  PATH: process.env["PATH"],
  RILL_OFFLINE_TOKENS_PER_SECOND: "5000",
  // Where nothing listens, whatever runs on this machine.
  OLLAMA_HOST: "127.0.0.1:1",
  ...extra
})

export const child = (
  args: ReadonlyArray<string>,
  options: Options & { readonly stdio?: "ignore" | "pipe" } = {}
): ChildProcess =>
  options.shell === undefined
    ? spawn(process.execPath, [bin, ...args], {
        env: environment(options.env),
        stdio: [options.stdio ?? (options.stdin === undefined ? "ignore" : "pipe"), "pipe", "pipe"]
      })
    : spawn("/bin/sh", ["-c", options.shell], {
        env: { ...environment(options.env), RILL: `${process.execPath} ${bin}` },
        stdio: ["ignore", "pipe", "pipe"]
      })

/** Waits for the end of a process, collecting what it says. */
export const finished = async (process: ChildProcess): Promise<Result> => {
  const output = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    process[name]!.setEncoding("utf8").on("data", (text: string) => {
      output[name] += text
    })
  }
  const code = await new Promise<number | null>((resolve) => process.on("close", resolve))
  return { code, ...output }
}

/** Runs the command to its end. */
export const rill = (args: ReadonlyArray<string>, options: Options = {}): Promise<Result> => {
  const process = child(args, options)
  if (options.stdin !== undefined) process.stdin!.end(options.stdin)
  return finished(process)
}

/** Waits until a process has said some text on standard output. */
export const said = (process: ChildProcess, text: string): Promise<void> =>
  new Promise((resolve) => {
    let all = ""
    process.stdout!.on("data", (data) => {
      all += String(data)
      if (all.includes(text)) resolve()
    })
  })
