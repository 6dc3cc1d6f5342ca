/**
 * A small server of both of OpenAI's APIs, chat completions and responses, on a loopback port: what it
 * is asked for says which one answers. Plain node: it shares no code with what it tests.
 *
 * A script says what each request is answered with, step by step:
 *
 *     const server = await ChatServer.start([
 *       ChatServer.answer("Hello", " world"),             // the first request: a good, whole answer
 *       [text("He"), pause(gate), reset],                 // the second: a reset in the middle
 *       ChatServer.failure(429, { "retry-after": "2" })   // the third and all after it
 *     ])
 *     … server.baseUrl …
 *     await server.stop()
 */
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as wires from "./wires.ts"

/** One thing that the server does in the course of an answer. */
export type Step =
  /** Tells something of the answer, as the API that was asked puts it. */
  | { readonly tell: wires.Told }
  /** Tells several things in one write, so that a client on loopback reads them at once. */
  | { readonly together: ReadonlyArray<wires.Told> }
  /** Sends one event: an object is sent as its JSON, a string as it is. */
  | { readonly data: unknown }
  /** Sends bytes as they are, outside any framing. */
  | { readonly raw: string | Uint8Array }
  /** Waits for milliseconds, for a promise, or for what a function returns. */
  | { readonly pause: number | Promise<unknown> | (() => Promise<unknown>) }
  /** Ends the body, well-formed, wherever the answer stands. */
  | "end"
  /** Keeps the body open until the client closes it. */
  | "hold"
  /** Breaks the connection. */
  | "reset"

/** What one request is answered with. An answer whose steps run out ends its body. */
export type Answer =
  | Iterable<Step>
  | AsyncIterable<Step>
  | {
      readonly status?: number
      readonly headers?: Readonly<Record<string, string>>
      readonly steps?: Iterable<Step> | AsyncIterable<Step>
      /** Waited for before the head is sent. */
      readonly before?: Promise<unknown>
    }

/** The answers in the order of the requests, the last one repeated; or a function of the request. */
export type Script = ReadonlyArray<Answer> | ((request: Recorded) => Answer | Promise<Answer>)

/** A request as it came, and what became of its answer. */
export interface Recorded {
  readonly index: number
  readonly method: string
  readonly path: string
  readonly headers: Http.IncomingHttpHeaders
  /** The body's text. */
  readonly text: string
  /** The body, parsed; empty where it is not a JSON object. */
  readonly body: Readonly<Record<string, unknown>>
  /** The conversation, in whichever field it came: instructions are the system's message. */
  readonly messages: ReadonlyArray<unknown>
  /** Bytes of the answer handed to the socket so far. */
  written: number
  /** How the answer ended, while it has not: `"open"`. */
  state: "open" | Ending
  /** The same, once it has ended. */
  readonly ended: Promise<Ending>
}

/**
 * `completed`: the server sent all of it and ended the body. `closed`: the client closed the
 * connection before that. `reset`: the script broke it.
 */
export type Ending = "completed" | "closed" | "reset"

export interface ChatServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** The same with `/v1`: what `OPENAI_BASE_URL` wants. */
  readonly baseUrl: string
  readonly requests: ReadonlyArray<Recorded>
  /** Waits for the request of an index to come. */
  readonly request: (index: number) => Promise<Recorded>
  /** Sockets that are open, those a client keeps for its next request among them. */
  readonly openSockets: () => number
  /** Sockets that were ever opened. */
  readonly connections: () => number
  /** Answers that have not ended. */
  readonly openAnswers: () => number
  /** Waits until no answer is open; fails after 5 s. */
  readonly quiet: () => Promise<void>
  readonly stop: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

// -----------------------------------------------------------------------------
// steps
// -----------------------------------------------------------------------------

const tell = (told: wires.Told): Step => ({ tell: told })

/** The beginning, with which OpenAI tells who answers. */
export const role: Step = tell({ kind: "role" })
export const text = (text: string): Step => tell({ kind: "text", text })
export const reasoning = (text: string): Step => tell({ kind: "reasoning", text })
export const refusal = (text: string): Step => tell({ kind: "refusal", text })
/** A fragment of a tool call; `id` and `name` come with the first one. */
export const toolCall = (index: number, input: string, id?: string, name?: string): Step =>
  tell({ kind: "tool", index, input, id, name })
/** Why the answer ends, in the words of chat completions: `stop`, `length`, `tool_calls`, `content_filter`. */
export const finish = (reason = "stop"): Step => tell({ kind: "finish", reason })
export const usage = (input: number, output: number): Step => tell({ kind: "usage", input, output })
export const done: Step = tell({ kind: "done" })
export const pause = (what: number | Promise<unknown> | (() => Promise<unknown>)): Step => ({ pause: what })

/** A good, whole answer of these pieces: 7 input tokens, one output token a piece. */
export const answer = (...pieces: ReadonlyArray<string>): ReadonlyArray<Step> => [
  role,
  ...pieces.map(text),
  finish(),
  usage(7, pieces.length),
  done
]

/** What these steps tell, in one write. */
export const together = (...steps: ReadonlyArray<Step>): Step => ({
  together: steps.flatMap((step) => (typeof step === "object" && "tell" in step ? [step.tell] : []))
})

/** A bad status with an error object of OpenAI's form. */
export const failure = (
  status: number,
  headers: Readonly<Record<string, string>> = {},
  error: Readonly<Record<string, unknown>> = {}
): Answer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  steps: [{ raw: JSON.stringify({ error: { message: `made-up error ${status}`, type: null, code: null, ...error } }) }]
})

/** A promise and the function that resolves it: for `pause`. */
export const gate = (): { readonly opened: Promise<void>; readonly open: () => void } => {
  const { promise, resolve } = deferred<void>()
  return { opened: promise, open: () => resolve() }
}

interface Deferred<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
  readonly reject: (error: unknown) => void
}

/** `Promise.withResolvers`, which is not in this project's `lib`. */
const deferred = <A>(): Deferred<A> => {
  let settle: Omit<Deferred<A>, "promise"> | undefined
  const promise = new Promise<A>((resolve, reject) => (settle = { resolve, reject }))
  return { promise, ...settle! }
}

// -----------------------------------------------------------------------------
// server
// -----------------------------------------------------------------------------

export const start = async (script: Script): Promise<ChatServer> => {
  const requests: Array<Recorded> = []
  const sockets = new Set<Socket>()
  const waiting: Array<() => void> = []
  const changed = () => {
    for (const wake of waiting.splice(0)) wake()
  }
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const timeout = deferred<never>()
    const timer = setTimeout(() => timeout.reject(new Error(`the chat server waited 5 s for ${what}`)), 5000)
    try {
      while (!holds()) {
        // Each turn of the loop depends on the one before.
        // oxlint-disable-next-line no-await-in-loop
        await Promise.race([new Promise<void>((wake) => waiting.push(wake)), timeout.promise])
      }
    } finally {
      clearTimeout(timer)
    }
  }

  const server = Http.createServer((request, response) => {
    const { promise: ended, resolve } = deferred<Ending>()
    const end = (recorded: Recorded, state: Ending) => {
      if (recorded.state !== "open") return
      recorded.state = state
      resolve(state)
      changed()
    }
    const body: Array<Buffer> = []
    request.on("data", (bytes: Buffer) => body.push(bytes))
    request.on("end", () => {
      const text = Buffer.concat(body).toString("utf8")
      const parsed = parse(text)
      const recorded: Recorded = {
        index: requests.length,
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        text,
        body: parsed,
        messages: messagesOf(parsed),
        written: 0,
        state: "open",
        ended
      }
      requests.push(recorded)
      changed()
      response.on("finish", () => end(recorded, "completed"))
      response.on("close", () => end(recorded, "closed"))
      response.on("error", () => end(recorded, "closed"))
      void play(recorded, response, (state) => end(recorded, state), script).catch((error: unknown) => {
        // A script that throws is a mistake in a test: say so, and let the client see a broken answer.
        if (recorded.state !== "open") return
        console.error("the chat server's script failed:", error)
        response.destroy()
      })
    })
  })
  let connections = 0
  server.on("connection", (socket) => {
    connections++
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      changed()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const openAnswers = () => requests.filter((request) => request.state === "open").length
  const stop = async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await until("its sockets to close", () => sockets.size === 0)
  }
  return {
    url,
    baseUrl: `${url}/v1`,
    requests,
    request: async (index) => {
      await until(`request ${index}`, () => requests.length > index)
      return requests[index]!
    },
    openSockets: () => sockets.size,
    connections: () => connections,
    openAnswers,
    quiet: () => until("its answers to end", () => openAnswers() === 0),
    stop,
    [Symbol.asyncDispose]: stop
  }
}

const play = async (
  recorded: Recorded,
  response: Http.ServerResponse,
  ended: (state: Ending) => void,
  script: Script
): Promise<void> => {
  const chosen =
    typeof script === "function" ? await script(recorded) : script[Math.min(recorded.index, script.length - 1)]!
  const answer = isSteps(chosen) ? { steps: chosen } : chosen
  if (answer.before !== undefined) await Promise.race([answer.before, recorded.ended])
  if (recorded.state !== "open") return
  response.writeHead(answer.status ?? 200, {
    "content-type": "text/event-stream; charset=utf-8",
    "x-request-id": `req_${recorded.index}`,
    ...answer.headers
  })
  response.flushHeaders()
  // A redirect may have changed the path.
  const wire = "messages" in recorded.body ? wires.chat() : wires.responses()
  for await (const step of answer.steps ?? []) {
    if (recorded.state !== "open") return
    if (step === "end") break
    if (step === "hold") {
      await recorded.ended
      return
    }
    if (step === "reset") {
      ended("reset")
      response.socket?.resetAndDestroy()
      return
    }
    if ("pause" in step) {
      await Promise.race([wait(step.pause), recorded.ended])
      continue
    }
    const bytes =
      "raw" in step
        ? step.raw
        : "data" in step
          ? wires.frame(step.data)
          : "tell" in step
            ? wire(step.tell)
            : step.together.map(wire).join("")
    if (bytes.length === 0) continue
    recorded.written += Buffer.byteLength(bytes)
    if (!response.write(bytes)) {
      await Promise.race([new Promise((drained) => response.once("drain", drained)), recorded.ended])
    }
  }
  response.end()
}

const isSteps = (answer: Answer): answer is Iterable<Step> | AsyncIterable<Step> =>
  Symbol.iterator in answer || Symbol.asyncIterator in answer

const wait = (what: number | Promise<unknown> | (() => Promise<unknown>)): Promise<unknown> =>
  typeof what === "number"
    ? new Promise((resolve) => setTimeout(resolve, what))
    : typeof what === "function"
      ? what()
      : what

const parse = (text: string): Readonly<Record<string, unknown>> => {
  try {
    return { ...JSON.parse(text) }
  } catch {
    return {}
  }
}

const messagesOf = ({ input, instructions, messages }: Readonly<Record<string, unknown>>): ReadonlyArray<unknown> => {
  if (Array.isArray(messages)) return messages
  const system = instructions === undefined ? [] : [{ role: "system", content: instructions }]
  return [...system, ...(Array.isArray(input) ? input : [])]
}
