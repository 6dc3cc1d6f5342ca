import { PassThrough, type Readable } from "node:stream"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Body from "effect-rill/wire/Body"
import { Inlet } from "effect-rill/wire/Inlet"
import * as StreamResponse from "../../src/testing/internal/StreamResponse.ts"

const request = HttpClientRequest.get("http://localhost/")

/** A response of one of Node's clients: they carry the message itself, or a response that has a body. */
const response = (source: object) =>
  Object.assign(StreamResponse.make(request, { status: 200, headers: {}, body: Stream.die("not this one") }), {
    source
  })

const openIn = <E>(body: Body.Body<E>, scope: Scope.Scope) =>
  Effect.suspend(() => {
    const inlet = new Inlet<Uint8Array, E>()
    return Effect.map(body(scope, inlet), (more) => Object.assign(inlet, { more }))
  })
const open = <E>(body: Body.Body<E>) => Effect.flatMap(Effect.scope, (scope) => openIn(body, scope))
const text = (chunks: ReadonlyArray<Uint8Array>) => Buffer.concat(chunks).toString()

/** How a pull ends that does not give bytes. */
const ending = <A, E>(pull: Pull.Pull<A, E>) =>
  Effect.map(Effect.exit(pull), (exit) => {
    if (Exit.isSuccess(exit)) return "bytes"
    if (Pull.isDoneCause(exit.cause)) return "done"
    const { cause } = Cause.squash(exit.cause) as { readonly cause?: { readonly code?: string } | null }
    return cause?.code ?? "broken off"
  })

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
const reset = Object.assign(new Error("made up"), { code: "ECONNRESET" })

describe.each([
  ["node:http", (readable: Readable) => Body.fromResponse(response(readable))],
  ["undici", (readable: Readable) => Body.fromResponse(response({ body: readable }))]
])("a Readable, as of %s", (_, body) => {
  it.live("is read as it comes, what came ahead at once, to its end", () =>
    Effect.gen(function* () {
      const readable = new PassThrough()
      const outlet = yield* open(body(readable))
      const waiting = yield* Effect.forkChild(outlet.pull)
      yield* turn
      readable.write("one")
      expect(text(yield* Fiber.join(waiting))).toBe("one")
      readable.write("two")
      yield* turn
      readable.write("three")
      readable.end()
      yield* turn
      expect(text(yield* outlet.pull)).toBe("twothree")
      expect(yield* ending(outlet.pull)).toBe("done")
      expect(yield* ending(outlet.pull)).toBe("done")
    }).pipe(Effect.scoped)
  )

  it.live("is paused while nobody pulls, and goes on", () =>
    Effect.gen(function* () {
      const readable = new PassThrough({ highWaterMark: 1024 })
      const outlet = yield* open(body(readable))
      const waiting = yield* Effect.forkChild(outlet.pull)
      yield* turn
      let sent = 0
      while (sent < 1_000_000 && (readable.write(new Uint8Array(1024)) || sent < 300_000)) {
        sent += 1024
        yield* turn
      }
      expect(readable.isPaused()).toBe(true)
      let read = (yield* Fiber.join(waiting)).reduce((sum, { length }) => sum + length, 0)
      // What is pulled at once is what was held: one read of a socket and a little more.
      const held = (yield* outlet.pull).reduce((sum, { length }) => sum + length, 0)
      expect(held).toBeLessThan(70_000)
      readable.end()
      read += held
      yield* Effect.forever(
        Effect.map(outlet.pull, (chunks) => {
          for (const { length } of chunks) read += length
        })
      ).pipe(Effect.exit)
      expect(read).toBe(sent + 1024 * (read > sent ? 1 : 0))
    }).pipe(Effect.scoped)
  )

  it.live("that breaks fails with its code, after what came before", () =>
    Effect.gen(function* () {
      const readable = new PassThrough()
      const outlet = yield* open(body(readable))
      const waiting = yield* Effect.forkChild(outlet.pull)
      yield* turn
      readable.write("a")
      yield* Fiber.join(waiting)
      readable.write("b")
      yield* turn
      readable.destroy(reset)
      yield* turn
      expect(text(yield* outlet.pull)).toBe("b")
      expect(yield* ending(outlet.pull)).toBe("ECONNRESET")
      // A late error that nobody waits for is no crash.
      readable.emit("error", reset)
    }).pipe(Effect.scoped)
  )

  it.live("that closes without an end has broken off, also before it is read", () =>
    Effect.gen(function* () {
      const late = new PassThrough()
      const outlet = yield* open(body(late))
      const waiting = yield* Effect.forkChild(ending(outlet.pull))
      yield* turn
      late.destroy()
      expect(yield* Fiber.join(waiting)).toBe("broken off")
      const early = new PassThrough()
      early.destroy()
      yield* turn
      expect(yield* ending((yield* open(body(early))).pull)).toBe("broken off")
    }).pipe(Effect.scoped)
  )

  it.live("is destroyed when its scope ends before it does, and left to its pool when it has ended", () =>
    Effect.gen(function* () {
      for (const ended of [false, true]) {
        const readable = new PassThrough({ autoDestroy: false })
        const scope = yield* Scope.make()
        const outlet = yield* openIn(body(readable), scope)
        if (ended) {
          readable.end()
          expect(yield* ending(outlet.pull)).toBe("done")
        }
        yield* Scope.close(scope, Exit.void)
        expect(readable.destroyed).toBe(!ended)
        expect(readable.listenerCount("data")).toBe(0)
      }
    })
  )
})

describe("a web stream, as of fetch", () => {
  const body = (stream: ReadableStream<Uint8Array>) =>
    Body.fromResponse(HttpClientResponse.fromWeb(request, new Response(stream)))

  it.live("is read when it is asked for, once at a time, to its end", () =>
    Effect.gen(function* () {
      let asked = 0
      const stream = new ReadableStream<Uint8Array>(
        {
          pull: (controller) => {
            if (++asked > 3) controller.close()
            else controller.enqueue(new TextEncoder().encode(String(asked)))
          }
        },
        { highWaterMark: 0 }
      )
      const outlet = yield* open(body(stream))
      yield* turn
      expect(asked).toBe(0)
      expect(text(yield* outlet.pull)).toBe("1")
      yield* turn
      expect(asked).toBe(1)
      expect(text(yield* outlet.pull)).toBe("2")
      expect(text(yield* outlet.pull)).toBe("3")
      expect(yield* ending(outlet.pull)).toBe("done")
    }).pipe(Effect.scoped)
  )

  it.live("that breaks fails with its code; one whose scope ends is cancelled", () =>
    Effect.gen(function* () {
      const broken = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(reset) })
      expect(yield* ending((yield* open(body(broken))).pull)).toBe("ECONNRESET")
      let cancelled = 0
      const scope = yield* Scope.make()
      const endless = new ReadableStream<Uint8Array>({ cancel: () => void cancelled++ })
      const outlet = yield* openIn(body(endless), scope)
      const waiting = yield* Effect.forkChild(outlet.pull)
      yield* turn
      yield* Fiber.interrupt(waiting)
      yield* Scope.close(scope, Exit.void)
      expect(cancelled).toBe(1)
    }).pipe(Effect.scoped)
  )

  it.live("a pull that was interrupted loses nothing", () =>
    Effect.gen(function* () {
      let send: ((chunk: Uint8Array) => void) | undefined
      let read = 0
      const stream = new ReadableStream<Uint8Array>(
        {
          start: (controller) => void (send = (chunk) => controller.enqueue(chunk)),
          pull: () => void read++
        },
        { highWaterMark: 0 }
      )
      const outlet = yield* open(body(stream))
      for (let i = 0; i < 3; i++) {
        const waiting = yield* Effect.forkChild(outlet.pull)
        yield* turn
        yield* Fiber.interrupt(waiting)
      }
      send!(new TextEncoder().encode("kept"))
      send!(new TextEncoder().encode("not asked for"))
      yield* turn
      expect(text(yield* outlet.pull)).toBe("kept")
      expect(read).toBe(1)
    }).pipe(Effect.scoped)
  )
})
