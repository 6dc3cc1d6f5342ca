/** Law 5: stopping stops. A thousand runs, each stopped in a way and at a point drawn by a seed. */
import { NodeHttpClient } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Llm from "effect-rill/Llm"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as Rill from "effect-rill/promise/Rill"
import { expect, it } from "vitest"
import * as ChatServer from "../support/ChatServer.ts"
import { fractions } from "../support/random.ts"

const runs = 1000
const atOnce = 20

/** Answers of ten deltas: in one go or with turns between, ended in every way that servers end. */
const script: ChatServer.Script = ({ index }) => {
  const next = fractions(index + 1)
  const turn = () => new Promise((resolve) => (next() < 0.5 ? setImmediate(resolve) : setTimeout(resolve, 1)))
  const steps = function* (): Generator<ChatServer.Step> {
    yield ChatServer.role
    for (let i = 0; i < 10; i++) {
      if (next() < 0.6) yield ChatServer.pause(turn)
      yield ChatServer.text(`${i} `)
    }
    const end = next()
    if (end < 0.2) return yield "hold"
    if (end < 0.3) return yield "reset"
    yield ChatServer.finish()
    if (end < 0.5) return yield "hold"
    yield ChatServer.done
    if (end < 0.7) yield "hold"
  }
  const before = next()
  return {
    // A socket that is still open at the end is then one that was left.
    headers: { connection: "close" },
    ...(before < 0.1 ? { before: turn() } : before < 0.15 ? { before: new Promise(() => {}) } : {}),
    steps: steps()
  }
}

it.each([
  ["chat", "fetch", FetchHttpClient.layer],
  ["chat", "undici", NodeHttpClient.layerUndici],
  ["responses", "fetch", FetchHttpClient.layer]
] as const)(
  `${runs} stops of %s over %s leave no socket open and run every finalizer once`,
  async (api, _, client) => {
    await using server = await ChatServer.start(script)
    const runtime = ManagedRuntime.make(
      OpenAi.layer({ model: "gpt-test", api, baseUrl: server.baseUrl }).pipe(Layer.provide(client))
    )
    const rill = Rill.fromOpenAi("gpt-test", { api, baseUrl: server.baseUrl })
    const next = fractions(7)
    const begun = new Set<number>()
    const finalized: Array<number> = []

    const stop = async (run: number): Promise<void> => {
      finalized[run] = 0
      const tokens = Math.floor(next() * 12)
      const turns = Math.floor(next() * 30)
      const wait = async () => {
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0))
      }
      const answer = Stream.suspend(() => {
        begun.add(run)
        return Llm.stream("Hi")
      })
      const text = answer.pipe(Stream.ensuring(Effect.sync(() => void finalized[run]!++)))
      // Without an end by itself, a run that is not stopped within its tokens is stopped after some turns.
      const bounded = (stream: typeof text) => Stream.interruptWhen(stream, Effect.promise(wait))
      switch (run % 5) {
        case 0:
          await runtime.runPromiseExit(Stream.runDrain(bounded(Stream.take(text, tokens))))
          break
        case 1: {
          const iterable = await runtime.runPromise(Stream.toAsyncIterableEffect(bounded(text)))
          let seen = 0
          try {
            for await (const _ of iterable) if (seen++ >= tokens) break
          } catch {
            // The script may reset the connection first.
          }
          break
        }
        case 2: {
          const fiber = runtime.runFork(Stream.runDrain(text))
          await wait()
          await runtime.runPromise(Fiber.interrupt(fiber))
          break
        }
        case 3: {
          const controller = new AbortController()
          const result = runtime.runPromiseExit(Stream.runDrain(text), { signal: controller.signal })
          await wait()
          controller.abort()
          expect(Exit.isExit(await result)).toBe(true)
          break
        }
        default: {
          const controller = new AbortController()
          const result = (async () => {
            let seen = 0
            for await (const _ of rill.stream("Hi", { signal: controller.signal })) if (seen++ >= tokens) break
          })().catch(() => {})
          await wait()
          controller.abort()
          await result
        }
      }
    }
    for (let run = 0; run < runs; run += atOnce) {
      await Promise.all(Array.from({ length: atOnce }, (_, i) => stop(run + i)))
    }
    await rill.close()
    await runtime.dispose()
    await server.quiet()

    expect(server.openAnswers()).toBe(0)
    await expect.poll(() => server.openSockets(), { timeout: 5000 }).toBe(0)
    // Most were under way when they were stopped, and in every state.
    expect(server.requests.length).toBeGreaterThan(runs * 0.6)
    const states = server.requests.map((request) => request.state)
    for (const state of ["closed", "completed", "reset"])
      expect(states.filter((s) => s === state).length).toBeGreaterThan(20)
    expect(finalized.length).toBe(runs)
    // A stream whose consumer took nothing may never have begun.
    expect(begun.size).toBeGreaterThan(runs * 0.7)
    for (const run of begun) expect(finalized[run]).toBe(1)
    expect(Math.max(...finalized)).toBe(1)
  },
  60_000
)
