/**
 * A small server of OpenAI's chat completions on a loopback port. Plain node: it shares no code with
 * what it tests.
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

/** One thing that the server does in the course of an answer. */
export type Step =
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

const chunk = (delta: unknown, finish: string | null = null): Step => ({
  data: {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1700000000,
    model: "gpt-test",
    choices: [{ index: 0, delta, finish_reason: finish }]
  }
})

/** The role-only chunk with which OpenAI begins. */
export const role: Step = chunk({ role: "assistant", content: "" })
export const text = (content: string): Step => chunk({ content })
export const reasoning = (content: string): Step => chunk({ reasoning_content: content })
export const refusal = (content: string): Step => chunk({ refusal: content })
/** A fragment of a tool call; `id` and `name` come with the first one. */
export const toolCall = (index: number, input: string, id?: string, name?: string): Step =>
  chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: input } }] })
export const finish = (reason = "stop"): Step => chunk({}, reason)
export const usage = (input: number, output: number): Step => ({
  data: {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1700000000,
    model: "gpt-test",
    choices: [],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
  }
})
export const done: Step = { data: "[DONE]" }
export const pause = (what: number | Promise<unknown> | (() => Promise<unknown>)): Step => ({ pause: what })

/** A good, whole answer of these pieces: 7 input tokens, one output token a piece. */
export const answer = (...pieces: ReadonlyArray<string>): ReadonlyArray<Step> => [
  role,
  ...pieces.map(text),
  finish(),
  usage(7, pieces.length),
  done
]

/** Events in one write, so that a client on loopback reads them at once. */
export const together = (...steps: ReadonlyArray<Step>): Step => ({
  raw: steps.map((step) => (typeof step === "object" && "data" in step ? frame(step.data) : "")).join("")
})

const frame = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`

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
      const recorded: Recorded = {
        index: requests.length,
        method: request.method ?? "",
        path: request.url ?? "",
        headers: request.headers,
        text,
        body: parse(text),
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
    const bytes = "raw" in step ? step.raw : frame(step.data)
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
