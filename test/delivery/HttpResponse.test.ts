/** When a response begins, what it is of an error, heartbeats, and who interrupts whom: on a clock of its own, without sockets. */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpEffect from "effect/http/HttpEffect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { AgentError, SessionBusy } from "effect-rill/agent/AgentError"
import * as EventJson from "effect-rill/delivery/EventJson"
import * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Ndjson from "effect-rill/delivery/Ndjson"
import * as PlainText from "effect-rill/delivery/PlainText"
import * as Sse from "effect-rill/delivery/Sse"
import { Disconnected, LlmError, Overloaded, RateLimited } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as HttpApp from "../support/HttpApp.ts"
import { llmError, token, usage } from "../support/scriptedLlm.ts"

const limited = new LlmError({
  reason: new RateLimited({ message: "too many" }),
  provider: "test",
  phase: "headers",
  emitted: 0,
  retryAfter: Duration.millis(1500)
})
const cut = llmError(new Disconnected({ message: "cut" }))

/** A source that is told what to do, and tells what was done with it. */
const source = Effect.sync(() => {
  const state = { pulls: 0, opened: 0, closed: 0 }
  let next = Deferred.makeUnsafe<ReadonlyArray<LlmEvent> | "end", LlmError>()
  const told = (exit: Exit.Exit<ReadonlyArray<LlmEvent> | "end", LlmError>) =>
    Effect.andThen(
      Effect.sync(() => Deferred.doneUnsafe(next, exit)),
      settle
    )
  const pull = Effect.gen(function* () {
    state.pulls++
    const events = yield* Deferred.await(next)
    next = Deferred.makeUnsafe()
    return events
  })
  const stream = Stream.unwrap(
    Effect.gen(function* () {
      state.opened++
      yield* Effect.addFinalizer(() => Effect.sync(() => void state.closed++))
      return Stream.fromEffectRepeat(pull).pipe(
        Stream.takeWhile((events) => events !== "end"),
        Stream.flatMap((events) => Stream.fromArray(events as ReadonlyArray<LlmEvent>))
      )
    })
  )
  return {
    state,
    stream,
    emit: (...events: ReadonlyArray<LlmEvent>) => told(Exit.succeed(events)),
    end: told(Exit.succeed("end" as const)),
    fail: (error: LlmError) => told(Exit.fail(error))
  }
})

/** Lets every fiber go as far as it can. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

/** Reads a body as its client would: what has come by now. */
const reading = (response: HttpServerResponse) =>
  Effect.gen(function* () {
    const { body } = response
    if (body._tag !== "Stream") throw new Error(`the body is ${body._tag}`)
    let text = ""
    let pieces = 0
    const utf8 = new TextDecoder()
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(body.stream, (bytes) =>
        Effect.sync(() => {
          pieces++
          text += utf8.decode(bytes, { stream: true })
        })
      )
    )
    yield* settle
    return {
      fiber,
      take: Effect.map(settle, () => {
        const taken = text
        text = ""
        return taken
      }),
      pieces: () => pieces
    }
  })

const read = (response: HttpServerResponse) => {
  const { body } = response
  return body._tag === "Stream"
    ? Stream.mkString(Stream.decodeText(body.stream))
    : Effect.succeed(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "")
}

const text = { format: Sse.text, heartbeat: false } as const
const json = { format: Sse.json, heartbeat: false } as const

describe("an error before the first event", () => {
  it.effect("is a status with a JSON body and Retry-After", () =>
    Effect.gen(function* () {
      const response = yield* Sse.response(Stream.fail(limited), text)
      expect(response.status).toBe(429)
      expect(response.headers).toMatchObject({
        "content-type": "application/json",
        "cache-control": "no-store",
        "retry-after": "2",
        "x-should-retry": "true"
      })
      expect(JSON.parse(yield* read(response))).toEqual({ error: EventJson.failure(limited) })
    })
  )

  it.effect("also of an agent, in the form of the format", () =>
    Effect.gen(function* () {
      const busy = new AgentError({ reason: new SessionBusy({}), transcript: Prompt.make([]), usage, step: 0 })
      const response = yield* Sse.response(Stream.fail(busy), { format: Sse.openAi })
      expect(response.status).toBe(409)
      expect(response.headers["x-should-retry"]).toBe("false")
      expect(response.headers).not.toHaveProperty("retry-after")
      expect(JSON.parse(yield* read(response))).toEqual({
        error: { message: busy.message, type: "server_error", param: null, code: "session_busy" }
      })
    })
  )

  it.effect.each([
    [{ _tag: "Started" }],
    [{ _tag: "StepStarted", step: 1 }],
    [{ _tag: "AttemptFailed", attempt: 1, error: cut }],
    [{ _tag: "Switched", from: "a", to: "b", error: cut }]
  ] as const)("is one too after %o, which says nothing yet", ([event]) =>
    Effect.gen(function* () {
      const response = yield* Sse.response(Stream.concat(Stream.succeed(event), Stream.fail(limited)), json)
      expect(response.status).toBe(429)
      const good = yield* Sse.response(Stream.make(event, token("a")), json)
      expect(good.status).toBe(200)
      // What was held back comes first.
      expect(yield* read(good)).toMatch(
        new RegExp(`^id: 1\ndata: {"_tag":"${event._tag}".*\n\nid: 2\ndata: .*TextDelta`)
      )
    })
  )

  it.effect("of a defect says nothing, and logs it", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ cause, message }) => void logged.push(message, cause))
      const response = yield* Sse.response(Stream.die(new Error("a secret")), text).pipe(
        Effect.provide(Logger.layer([logger]))
      )
      expect(response.status).toBe(500)
      expect(JSON.parse(yield* read(response))).toEqual({ error: EventJson.internal })
      expect(JSON.stringify(logged)).toContain("defect")
    })
  )

  it.effect("is not one after empty text: there is nothing to see of it", () =>
    Effect.gen(function* () {
      const response = yield* Sse.response(Stream.concat(Stream.make(""), Stream.fail(limited)), text)
      expect(response.status).toBe(429)
    })
  )
})

describe("the beginning", () => {
  it.effect("is awaited for 10 s, then it is a 200 with a heartbeat, whatever comes later", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Sse.response(model.stream, { format: Sse.json, retry: 3000 }))
      yield* settle
      yield* model.emit({ _tag: "Started", id: "a1" })
      yield* TestClock.adjust(9999)
      yield* settle
      expect(making.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      const response = yield* Fiber.join(making)
      expect(response.status).toBe(200)
      const client = yield* reading(response)
      expect(yield* client.take).toBe('retry: 3000\n\nid: 1\ndata: {"_tag":"Started","id":"a1"}\n\n')
      yield* model.fail(limited)
      expect(yield* client.take).toContain('event: error\ndata: {"_tag":"Failed","error":{"reason":"RateLimited"')
      expect(Exit.isSuccess(yield* Fiber.await(client.fiber))).toBe(true)
      expect(model.state).toMatchObject({ opened: 1, closed: 1 })
    })
  )

  it.effect("loses nothing of what comes in the very moment in which it is awaited no longer", () =>
    Effect.gen(function* () {
      const tokens = Stream.make("b", "c").pipe(Stream.rechunk(1))
      for (const sleep of [
        Effect.sleep("10 seconds"),
        Effect.andThen(Effect.sleep("4 seconds"), Effect.sleep("6 seconds"))
      ]) {
        for (const turns of [0, 1, 2, 3]) {
          const late = Effect.andThen(
            sleep,
            Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow)
          )
          const answer = Stream.concat(Stream.fromEffect(Effect.as(late, "a")), tokens)
          const making = yield* Effect.forkScoped(Sse.response(answer, { ...text, id: false }))
          yield* settle
          yield* TestClock.adjust("4 seconds")
          yield* TestClock.adjust("6 seconds")
          yield* settle
          const body = yield* read(yield* Fiber.join(making))
          expect(body).toBe("data: a\n\ndata: b\n\ndata: c\n\nevent: done\ndata: [DONE]\n\n")
        }
      }
    })
  )

  it.effect("without anything to say is a comment, or for other wires an empty piece, so that the head is sent", () =>
    Effect.gen(function* () {
      for (const [make, first] of [
        [(s: Stream.Stream<LlmEvent, LlmError>) => Sse.response(s, { format: Sse.json }), ":\n\n"],
        [(s: Stream.Stream<LlmEvent, LlmError>) => Ndjson.response(s), ""]
      ] as const) {
        const model = yield* source
        const making = yield* Effect.forkScoped(make(model.stream))
        yield* settle
        yield* TestClock.adjust("10 seconds")
        const client = yield* reading(yield* Fiber.join(making))
        expect(client.pieces()).toBe(1)
        expect(yield* client.take).toBe(first)
        yield* model.emit(token("a"))
        expect(yield* client.take).toContain("TextDelta")
      }
    })
  )

  it.effect("takes as long as it is told to", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Sse.response(model.stream, { ...json, firstEvent: "1 second" }))
      yield* settle
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(making)).status).toBe(200)
    })
  )

  it.effect("holds back no more than a few events that say nothing", () =>
    Effect.gen(function* () {
      const endless = Stream.forever(Stream.make({ _tag: "AttemptFailed", attempt: 1, error: cut } as const))
      expect((yield* Sse.response(endless, json)).status).toBe(200)
    })
  )

  it.effect("of an empty answer is its end", () =>
    Effect.gen(function* () {
      const response = yield* Sse.response(Stream.empty, text)
      expect(response.status).toBe(200)
      expect(yield* read(response)).toBe("event: done\ndata: [DONE]\n\n")
    })
  )

  it.effect("has headers against caches and buffers; the app's own win", () =>
    Effect.gen(function* () {
      const headers = { "x-app": "1", "cache-control": "private" }
      const response = yield* Sse.response(Stream.make("a"), { ...text, headers })
      expect(response.headers).toEqual({
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "private",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
        "x-app": "1"
      })
      const plain = yield* PlainText.response(Stream.make("a"))
      expect(plain.headers).toMatchObject({
        "content-type": "text/plain; charset=utf-8",
        "cache-control": "no-cache, no-transform"
      })
      expect((yield* Ndjson.response(Stream.make("a"))).headers["content-type"]).toBe(
        "application/x-ndjson; charset=utf-8"
      )
      const ui = yield* Sse.response(Stream.make("a"), { format: Sse.uiMessages })
      expect(ui.headers["x-vercel-ai-ui-message-stream"]).toBe("v1")
    })
  )
})

describe("a later error", () => {
  it.effect("is told in the body of every format, and breaks off plain text", () =>
    Effect.gen(function* () {
      const answer = Stream.concat(Stream.make("a"), Stream.fail(cut))
      const bodies = [
        [Sse.response(answer, text), /event: error\ndata: {"_tag":"Failed",/],
        [Sse.response(answer, json), /event: error\ndata: {"_tag":"Failed",/],
        [Sse.response(answer, { format: Sse.openAi }), /data: {"error":{"message":/],
        [Sse.response(answer, { format: Sse.uiMessages }), /data: {"type":"error","errorText":/],
        [Ndjson.response(answer), /\n{"_tag":"Failed",/]
      ] as const
      for (const [make, expected] of bodies) {
        const response = yield* make
        expect(response.status).toBe(200)
        expect(yield* read(response)).toMatch(expected)
      }
      const exit = yield* Effect.exit(Effect.flatMap(PlainText.response(answer), read))
      expect(exit).toEqual(Exit.fail(cut))
    })
  )

  it.effect("that is a defect is told without its words, and logged", () =>
    Effect.gen(function* () {
      let logged = 0
      const logger = Logger.make(() => void logged++)
      const answer = Stream.concat(Stream.make("a"), Stream.die(new Error("a secret")))
      yield* Effect.gen(function* () {
        const body = yield* Effect.flatMap(Sse.response(answer, text), read)
        expect(body).toContain('"reason":"Internal"')
        expect(body).not.toContain("secret")
        expect(Exit.isFailure(yield* Effect.exit(Effect.flatMap(PlainText.response(answer), read)))).toBe(true)
      }).pipe(Effect.provide(Logger.layer([logger])))
      expect(logged).toBe(2)
    })
  )

  it.effect("is what a format that cannot go on makes of an event, and the model is stopped", () =>
    Effect.gen(function* () {
      const full = llmError(new Overloaded({ message: "full" }))
      const model = yield* source
      const scope = yield* Scope.make()
      const making = yield* Effect.forkScoped(
        Scope.provide(Sse.response(model.stream, { format: Sse.openAi, heartbeat: false }), scope)
      )
      yield* settle
      yield* model.emit(token("a"))
      const client = yield* reading(yield* Fiber.join(making))
      yield* model.emit({ _tag: "Restarted", error: full }, token("b"))
      const body = yield* client.take
      expect(body).toContain('"code":"overloaded"')
      expect(body).not.toContain('"b"')
      expect(client.fiber.pollUnsafe()).toEqual(Exit.void)
      yield* Scope.close(scope, Exit.void)
      expect(model.state).toMatchObject({ pulls: 2, closed: 1 })
    })
  )
})

describe("heartbeats", () => {
  it.effect("come while nothing else does, 15 s after the last thing said", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Sse.response(model.stream, { format: Sse.json }))
      yield* settle
      yield* model.emit(token("a"))
      const client = yield* reading(yield* Fiber.join(making))
      expect(yield* client.take).toContain("TextDelta")
      yield* TestClock.adjust("14999 millis")
      expect(yield* client.take).toBe("")
      yield* TestClock.adjust("1 millis")
      expect(yield* client.take).toBe(":\n\n")
      yield* TestClock.adjust("7 seconds")
      yield* model.emit(token("b"))
      expect(yield* client.take).toContain('"b"')
      // Counted from what was said at 22 s.
      yield* TestClock.adjust("14999 millis")
      expect(yield* client.take).toBe("")
      yield* TestClock.adjust("1 millis")
      expect(yield* client.take).toBe(":\n\n")
      yield* TestClock.adjust("60 seconds")
      expect(yield* client.take).toBe(":\n\n:\n\n:\n\n:\n\n")
      yield* model.end
      expect(yield* client.take).toBe("event: done\ndata: [DONE]\n\n")
    })
  )

  it.effect("come as often as they are told to, or never", () =>
    Effect.gen(function* () {
      const often = yield* source
      const never = yield* source
      const making = yield* Effect.forkScoped(
        Effect.all(
          [
            Sse.response(often.stream, { format: Sse.json, heartbeat: "1 second" }),
            Sse.response(never.stream, { format: Sse.json, heartbeat: false })
          ],
          { concurrency: 2 }
        )
      )
      yield* settle
      yield* often.emit(token("a"))
      yield* never.emit(token("a"))
      const [first, second] = yield* Fiber.join(making)
      const [a, b] = [yield* reading(first), yield* reading(second)]
      yield* a.take
      yield* b.take
      yield* TestClock.adjust("3 seconds")
      expect(yield* a.take).toBe(":\n\n:\n\n:\n\n")
      yield* TestClock.adjust("1 hour")
      expect(yield* b.take).toBe("")
    })
  )

  it.effect("do not pile up for a client that reads nothing, and nothing is pulled for it", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Sse.response(model.stream, { format: Sse.json, heartbeat: "1 second" }))
      yield* settle
      yield* model.emit(token("a"))
      const { body } = yield* Fiber.join(making)
      if (body._tag !== "Stream") throw new Error("no stream")
      const pull = yield* Stream.toPull(body.stream)
      expect(yield* pull).toHaveLength(1)
      yield* TestClock.adjust("1 hour")
      yield* settle
      expect(model.state.pulls).toBe(1)
      // The reader is back: it waits its second, as if nothing had been.
      const next = yield* Effect.forkScoped(pull)
      yield* settle
      expect(model.state.pulls).toBe(2)
      yield* TestClock.adjust("999 millis")
      expect(next.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(new TextDecoder().decode((yield* Fiber.join(next))[0])).toBe(":\n\n")
      expect(model.state.pulls).toBe(2)
    })
  )
})

describe("the body", () => {
  it.effect("is one piece for each array, and needs nothing of its surroundings", () =>
    Effect.gen(function* () {
      class Word extends Context.Service<Word, string>()("Word") {}
      const answer = Stream.unwrap(Effect.map(Word, (word) => Stream.make(...Array.from({ length: 200 }, () => word))))
      const response = yield* PlainText.response(answer).pipe(Effect.provideService(Word, "é"))
      const { body } = response
      if (body._tag !== "Stream") throw new Error("no stream")
      const pieces = yield* Stream.runCollect(body.stream)
      // The last one is what the end has to add: nothing.
      expect(pieces.map((bytes) => new TextDecoder().decode(bytes))).toEqual(["é".repeat(200), ""])
    })
  )

  it.effect("that is not begun closes with the scope, and so does one in the middle", () =>
    Effect.gen(function* () {
      for (const isRead of [false, true]) {
        const model = yield* source
        const scope = yield* Scope.make()
        const making = yield* Effect.forkScoped(Scope.provide(Sse.response(model.stream, json), scope))
        yield* settle
        yield* model.emit(token("a"))
        const response = yield* Fiber.join(making)
        if (isRead) yield* reading(response)
        expect(model.state).toMatchObject({ opened: 1, closed: 0 })
        yield* Scope.close(scope, Exit.void)
        expect(model.state).toMatchObject({ opened: 1, closed: 1 })
      }
    })
  )

  it.effect("pulls nothing before it is read but the first event", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Sse.response(model.stream, json))
      yield* settle
      yield* model.emit(token("a"))
      yield* Fiber.join(making)
      yield* settle
      expect(model.state.pulls).toBe(1)
    })
  )

  it.effect("interrupted while it waits for its first event closes the model", () =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(Effect.scoped(Sse.response(model.stream, json)))
      yield* settle
      expect(model.state).toMatchObject({ opened: 1, closed: 0 })
      yield* Fiber.interrupt(making)
      expect(model.state).toMatchObject({ opened: 1, closed: 1 })
    })
  )
})

describe("toWeb", () => {
  const opened = (signal?: AbortSignal) =>
    Effect.gen(function* () {
      const model = yield* source
      const making = yield* Effect.forkScoped(HttpResponse.toWeb(Sse.response(model.stream, json), { signal }))
      yield* settle
      yield* model.emit(token("a"))
      return { model, response: yield* Fiber.join(making) }
    })

  it.effect("gives a Response that is read to its end, and closes behind it", () =>
    Effect.gen(function* () {
      const { model, response } = yield* opened()
      expect(response.status).toBe(200)
      expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8")
      const body = Effect.promise(() => response.text())
      const reading = yield* Effect.forkScoped(body)
      yield* settle
      yield* model.emit(token("b"))
      yield* model.end
      expect(yield* Fiber.join(reading)).toMatch(/"a".*\n\n.*\n.*"b".*\n\nevent: done/)
      expect(model.state).toMatchObject({ opened: 1, closed: 1 })
    })
  )

  it.effect("closes when its body is cancelled, before and while it is read", () =>
    Effect.gen(function* () {
      for (const isRead of [false, true]) {
        const { model, response } = yield* opened()
        const reader = response.body!.getReader()
        if (isRead) yield* Effect.promise(() => reader.read())
        yield* Effect.promise(() => reader.cancel())
        expect(model.state).toMatchObject({ opened: 1, closed: 1 })
      }
    })
  )

  it.effect("closes when its signal aborts, whether or not somebody reads", () =>
    Effect.gen(function* () {
      for (const isRead of [false, true]) {
        const abort = new AbortController()
        const { model, response } = yield* opened(abort.signal)
        if (isRead) yield* Effect.promise(() => response.body!.getReader().read())
        abort.abort()
        yield* settle
        expect(model.state).toMatchObject({ opened: 1, closed: 1 })
      }
    })
  )

  it.effect("is interrupted by an abort before there is a response", () =>
    Effect.gen(function* () {
      for (const isEarly of [false, true]) {
        const abort = new AbortController()
        if (isEarly) abort.abort()
        const model = yield* source
        const { signal } = abort
        const making = yield* Effect.forkScoped(HttpResponse.toWeb(Sse.response(model.stream, json), { signal }))
        yield* settle
        abort.abort()
        const exit = yield* Fiber.await(making)
        expect(Exit.hasInterrupts(exit)).toBe(true)
        expect(model.state.closed).toBe(model.state.opened)
      }
    })
  )

  it.effect("closes at once where there is no stream to write, or the making is interrupted", () =>
    Effect.gen(function* () {
      let closed = 0
      const own = Effect.addFinalizer(() => Effect.sync(() => void closed++))
      const response = yield* HttpResponse.toWeb(Effect.andThen(own, Sse.response(Stream.fail(limited), json)))
      expect([response.status, closed]).toEqual([429, 1])
      expect(yield* Effect.promise(() => response.json())).toEqual({ error: EventJson.failure(limited) })
      const model = yield* source
      const making = yield* Effect.forkScoped(HttpResponse.toWeb(Sse.response(model.stream, json)))
      yield* settle
      yield* Fiber.interrupt(making)
      expect(model.state).toMatchObject({ opened: 1, closed: 1 })
    })
  )

  it.effect("is not needed where effect makes the Response of a handler", () =>
    Effect.gen(function* () {
      const abort = new AbortController()
      const model = yield* source
      const handler = HttpEffect.toWebHandler(Sse.response(Stream.concat(Stream.make(token("a")), model.stream), json))
      const request = new Request("http://localhost/", { signal: abort.signal })
      const response = yield* Effect.promise(() => handler(request))
      const reader = response.body!.getReader()
      const first = yield* Effect.promise(() => reader.read())
      expect(new TextDecoder().decode(first.value)).toContain('"a"')
      const next = reader.read().catch(() => undefined)
      yield* Effect.promise(() => HttpApp.until("the model is asked", () => model.state.opened === 1))
      abort.abort()
      yield* Effect.promise(() => next)
      yield* Effect.promise(() => HttpApp.until("the model is closed", () => model.state.closed === 1))
    })
  )

  it.effect("errors its body where plain text is broken off", () =>
    Effect.gen(function* () {
      const answer = Stream.concat(Stream.make("a"), Stream.fail(cut))
      const response = yield* HttpResponse.toWeb(PlainText.response(answer))
      const failure = yield* Effect.flip(Effect.tryPromise({ try: () => response.text(), catch: (error) => error }))
      expect(failure).toBe(cut)
    })
  )
})
