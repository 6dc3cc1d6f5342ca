import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import { LlmError, Overloaded } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as Deadlines from "effect-rill/policy/Deadlines"
import * as Fallback from "effect-rill/policy/Fallback"
import * as Hedge from "effect-rill/policy/Hedge"
import * as Retry from "effect-rill/policy/Retry"
import * as OpenAiChat from "effect-rill/protocol/OpenAiChat"
import * as HttpProvider from "effect-rill/provider/HttpProvider"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { finished, service, thought, token } from "../support/scriptedLlm.ts"

/** Waits, then tells. */
const after = (duration: Duration.Input, ...events: ReadonlyArray<LlmEvent>) =>
  Stream.fromIterable(events).pipe(Stream.rechunk(100), (events) =>
    Stream.unwrap(Effect.as(Effect.sleep(duration), events))
  )

const script = (...parts: ReadonlyArray<Stream.Stream<LlmEvent, LlmError>>) =>
  Stream.fromIterable(parts).pipe(Stream.flatMap((part) => part))

const never: Stream.Stream<LlmEvent> = Stream.never

/** Plays a model's answer and says when, in seconds, and how it ended; after a day, that it did not. */
const play = Effect.fnUntraced(function* (
  stream: Stream.Stream<unknown, LlmError, Llm.Llm>,
  llm: Llm.Llm["Service"],
  around: (effect: Effect.Effect<string, never, Llm.Llm>) => Effect.Effect<string, never, Llm.Llm> = (effect) => effect
) {
  const fiber = yield* Effect.exit(Stream.runDrain(stream)).pipe(
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return "complete"
      const error = Exit.findErrorOption(exit)
      if (error._tag === "None") return "died"
      const { reason } = error.value
      return reason._tag === "DeadlineExceeded" ? reason.which : reason._tag
    }),
    around,
    Effect.flatMap((how) => Effect.clockWith((clock) => Effect.map(clock.currentTimeMillis, (at) => ({ how, at })))),
    Effect.provideService(Llm.Llm, llm),
    Effect.forkChild
  )
  const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
  yield* TestClock.adjust("1 day")
  const exit = fiber.pollUnsafe()
  if (exit === undefined) {
    yield* Fiber.interrupt(fiber)
    return "nothing in a day"
  }
  if (Exit.isFailure(exit)) return "died"
  return `${exit.value.how} after ${Math.round(exit.value.at - start) / 1000} s`
})

const enforced = (events: Stream.Stream<LlmEvent, LlmError>) => Deadlines.enforce(service(events))

describe("what they wait for", () => {
  it.effect("the first token, 120 s by default; Started and empty deltas are none", () =>
    Effect.gen(function* () {
      expect(yield* play(Llm.stream("Hi"), enforced(never))).toBe("first-token after 120 s")
      const empty = [
        { _tag: "Started" },
        token(""),
        thought(""),
        { _tag: "ToolCallDelta", id: "1", delta: "" }
      ] as const
      const model = enforced(script(after("100 seconds", ...empty), never))
      expect(yield* play(Llm.events("Hi"), model)).toBe("first-token after 120 s")
    })
  )

  it.effect("the next token, 60 s by default; what is none does not set it back", () =>
    Effect.gen(function* () {
      for (const first of [
        token("a"),
        thought("a"),
        { _tag: "Refusal", text: "a" },
        { _tag: "ToolCallStarted", id: "1", name: "go" },
        { _tag: "ToolCallDelta", id: "1", delta: "{" }
      ] as const) {
        const model = enforced(script(after("119 seconds", first), after("59 seconds", token("b")), never))
        expect(yield* play(Llm.events("Hi"), model), first._tag).toBe("idle after 238 s")
        const pings = enforced(
          script(after(0, first), after("40 seconds", { _tag: "Source", sourceType: "url" }), never)
        )
        expect(yield* play(Llm.events("Hi"), pings), first._tag).toBe("idle after 60 s")
      }
    })
  )

  it.effect("an answer in time is not touched", () =>
    Effect.gen(function* () {
      const steps = Array.from({ length: 50 }, () => after("59 seconds", token("a")))
      const model = enforced(script(...steps, after("59 seconds", finished)))
      expect(yield* play(Llm.stream("Hi"), model)).toBe("complete after 3009 s")
    })
  )

  it.effect("the time between pulls is the consumer's, but for total", () =>
    Effect.gen(function* () {
      const model = enforced(
        script(after(0, token("a")), after("59 seconds", token("b")), after("2 seconds", finished))
      )
      const slow = Llm.stream("Hi").pipe(Stream.tap(() => Effect.sleep("1 hour")))
      expect(yield* play(slow, model)).toBe("complete after 7261 s")
      expect(yield* play(slow.pipe(Deadlines.within({ total: "2 hours" })), model)).toBe("total after 7259 s")
    })
  )

  it.effect("a wait that begins between two milliseconds ends as well", () =>
    Effect.gen(function* () {
      // As after the delays of a schedule with jitter.
      const slow = enforced(after("20 seconds", token("a"), finished))
      const short = Llm.stream("Hi").pipe(Deadlines.within({ firstToken: "10 seconds" }))
      for (let i = 0; i < 100; i++) expect(yield* play(short, Retry.attach(slow))).toMatch(/^first-token after 31\./)
    })
  )

  it.effect("total is the whole of it, and what comes after it is not told", () =>
    Effect.gen(function* () {
      const model = enforced(
        script(...Array.from({ length: 20 }, () => after("10 seconds", token("a"))), after(0, finished))
      )
      const five = Llm.stream("Hi").pipe(Deadlines.within({ total: "55 seconds" }))
      expect(yield* play(five, model)).toBe("total after 55 s")
      // One that is always ready never waits, and is over all the same.
      const ready = enforced(Stream.fromEffectRepeat(Effect.succeed(token("a"))))
      const slow = Llm.stream("Hi").pipe(
        Stream.tap(() => Effect.sleep("1 second")),
        Deadlines.within({ total: "5 seconds" })
      )
      expect(yield* play(slow, ready)).toMatch(/^total after [56] s$/)
    })
  )
})

describe("which is in force", () => {
  const idle = (options: Deadlines.Options) => Deadlines.within(options)
  const model = enforced(script(after(0, token("a")), never))

  it.effect("the nearest to the call, then the model's, then the defaults, each deadline by itself", () =>
    Effect.gen(function* () {
      const own = Deadlines.attach(model, { idle: "40 seconds" })
      const call = Llm.stream("Hi")
      expect(yield* play(call, model)).toBe("idle after 60 s")
      expect(yield* play(call, own)).toBe("idle after 40 s")
      expect(yield* play(call.pipe(idle({ idle: "10 seconds" })), own)).toBe("idle after 10 s")
      expect(yield* play(call, own, idle({ idle: "20 seconds" }))).toBe("idle after 20 s")
      expect(yield* play(call.pipe(idle({ idle: "10 seconds" })), own, idle({ idle: "20 seconds" }))).toBe(
        "idle after 10 s"
      )
      expect(yield* play(call.pipe(idle({ firstToken: "1 second" })), own, idle({ idle: "20 seconds" }))).toBe(
        "idle after 20 s"
      )
      expect(yield* play(call, Deadlines.attach(own, { idle: "30 seconds" }))).toBe("idle after 30 s")
      expect(yield* play(call.pipe(idle({ idle: undefined })), own)).toBe("idle after 40 s")
      expect(yield* play(call.pipe(idle({ idle: "Infinity" })), own)).toBe("nothing in a day")
    })
  )

  it.effect("the layer's are those of its model", () =>
    Effect.gen(function* () {
      const layer = Layer.succeed(Llm.Llm, model).pipe(Deadlines.layer({ idle: "15 seconds" }))
      const llm = yield* Effect.provide(Llm.Llm, layer)
      expect(yield* play(Llm.stream("Hi"), llm)).toBe("idle after 15 s")
    })
  )

  it.effect("one that is no duration is refused, and says which", () =>
    Effect.gen(function* () {
      for (const [name, value] of [
        ["idle", "soon"],
        ["firstToken", Number.NaN],
        ["headers", "soon"],
        ["total", "5 apples"]
      ] as const) {
        const options = { [name]: value } as Deadlines.Options
        const error = yield* Stream.runDrain(Llm.stream("Hi").pipe(Deadlines.within(options))).pipe(
          Effect.provideService(Llm.Llm, model),
          Effect.flip
        )
        expect(error.reason._tag, name).toBe("InvalidRequest")
        expect(error.message).toContain(`\`${name}\` is no duration`)
      }
    })
  )
})

describe("the error", () => {
  it.effect("says what had come, and what it used; the connection is closed", () =>
    Effect.gen(function* () {
      let closed = 0
      const events = script(
        after(0, { _tag: "Started", provider: "mine", model: "m" }, thought("hm"), token("Hello")),
        never
      ).pipe(Stream.ensuring(Effect.sync(() => closed++)))
      const llm = enforced(events)
      const got: Array<string> = []
      const fiber = yield* llm.events({ prompt: "12345678" }).pipe(
        Stream.runForEach(({ _tag }) => Effect.sync(() => got.push(_tag))),
        Effect.flip,
        Effect.forkChild
      )
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      expect(got).toEqual(["Started", "ReasoningDelta", "TextDelta"])
      expect(error).toMatchObject({
        provider: "mine",
        model: "m",
        phase: "mid-output",
        emitted: 5,
        isRetryable: true,
        usage: { source: "estimated", inputTokens: 2, outputTokens: 2 }
      })
      expect(error.message).toContain("no token came for 60 s")
      expect(closed).toBe(1)
    })
  )

  it.effect("that all the time is over is final", () =>
    Effect.gen(function* () {
      const llm = enforced(never)
      const fiber = yield* llm
        .events({ prompt: "Hi" })
        .pipe(Deadlines.within({ total: "90 seconds" }), Stream.runDrain, Effect.flip, Effect.forkChild)
      yield* TestClock.adjust("90 seconds")
      const error = yield* Fiber.join(fiber)
      expect([error.isRetryable, error.phase]).toEqual([false, "before-output"])
      expect(error.message).toContain("not complete within 90 s")
    })
  )
})

describe("what goes wrong underneath", () => {
  it.effect("defects, interrupts and failures pass through, and the end", () =>
    Effect.gen(function* () {
      const died = yield* Effect.exit(Stream.runDrain(enforced(Stream.die("boom")).events({ prompt: "Hi" })))
      expect(String(died)).toContain("boom")
      let stopped = 0
      const llm = enforced(
        Stream.concat(Stream.make(token("a")), Stream.never).pipe(Stream.ensuring(Effect.sync(() => stopped++)))
      )
      const taken = yield* Stream.runCollect(Stream.take(llm.events({ prompt: "Hi" }), 1))
      expect([taken.length, stopped]).toEqual([1, 1])
      const fiber = yield* Effect.forkChild(Stream.runDrain(llm.events({ prompt: "Hi" })))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      expect(stopped).toBe(2)
    })
  )
})

describe("a provider", () => {
  const provider = Effect.fnUntraced(function* (script: FaultyWire.Script, key?: HttpProvider.Key) {
    const { client, wire } = yield* FaultyWire.make(script)
    const make = HttpProvider.make({
      provider: "mine",
      model: "m",
      protocol: OpenAiChat.protocol,
      url: "http://localhost/v1/chat/completions",
      key,
      headers: {}
    })
    return { llm: yield* Effect.provideService(make, HttpClient.HttpClient, client), wire }
  })
  const sse = FaultyWire.status(200, { "content-type": "text/event-stream" })

  it.effect("the time that a key takes counts to the first token, and so does a late response", () =>
    Effect.gen(function* () {
      const key = { header: "authorization", scheme: "Bearer ", value: Effect.never } as const
      const { llm, wire } = yield* provider([[sse, FaultyWire.linger]], key)
      expect(yield* play(Llm.stream("Hi"), llm)).toBe("first-token after 120 s")
      expect((yield* wire.requests).length).toBe(0)
      const slow = { ...key, value: Effect.delay(Effect.succeed(Redacted.make("sk-1")), "50 seconds") } as const
      const late = yield* provider([[FaultyWire.pause("50 seconds"), sse, FaultyWire.linger]], slow)
      expect(yield* play(Llm.stream("Hi"), late.llm)).toBe("first-token after 120 s")
      const never = yield* provider(
        Array.from({ length: 3 }, () => [FaultyWire.pause("1 day")]),
        slow
      )
      expect(yield* play(Llm.stream("Hi"), never.llm)).toBe("first-token after 120 s")
      const headers = Deadlines.within({ headers: "20 seconds" })
      expect(yield* play(Llm.stream("Hi").pipe(headers), never.llm)).toBe("headers after 70 s")
      const total = Deadlines.within({ total: "60 seconds" })
      expect(yield* play(Llm.stream("Hi").pipe(total), never.llm)).toBe("total after 60 s")
    })
  )

  it.live("a complete answer, whose connection stays open, is complete whatever the deadlines", () =>
    Effect.gen(function* () {
      const answer = FaultyWire.chunk(
        'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
      )
      const { llm } = yield* provider([[sse, answer, FaultyWire.linger]])
      const short = Deadlines.within({ idle: 0, headers: "5 seconds" })
      const events = yield* llm.events({ prompt: "Hi" }).pipe(short, Stream.runCollect)
      expect(events.at(-1)?._tag).toBe("Finished")
    }).pipe(Effect.provideService(EventStream.Settling, Duration.millis(5)))
  )
})

describe("several attempts", () => {
  it.effect("share the total, which begins with the first; each has its own first token and idle", () =>
    Effect.gen(function* () {
      const left: Array<number> = []
      const attempt = enforced(Stream.concat(after("10 seconds", token("a")), never)).events({ prompt: "Hi" })
      const look = Stream.fromEffect(Effect.map(Deadlines.timeLeft, (ms) => left.push(ms))).pipe(Stream.drain)
      const next = (error: LlmError) =>
        error.isRetryable ? Stream.concat(look, Deadlines.asOne(attempt)) : Stream.fail(error)
      const attempts = attempt.pipe(Stream.catch(next), Stream.catch(next))
      // One inside of another is part of it.
      const one = service(Deadlines.asOne(Deadlines.asOne(attempts)))
      const limited = Deadlines.within({ idle: "20 seconds", total: "65 seconds" })
      expect(yield* play(Llm.events("Hi").pipe(limited), one)).toBe("total after 65 s")
      expect(left).toEqual([35_000, 5_000])
      left.length = 0
      expect(yield* play(Llm.events("Hi").pipe(Deadlines.within({ idle: "20 seconds" })), one)).toBe("idle after 90 s")
      expect(left).toEqual([Infinity, Infinity])
    })
  )

  it.effect("begin anew with each run", () =>
    Effect.gen(function* () {
      const one = service(Deadlines.asOne(enforced(after("10 seconds", token("a"), finished)).events({ prompt: "Hi" })))
      const twice = Stream.concat(Llm.stream("Hi"), Llm.stream("Hi")).pipe(Deadlines.within({ total: "11 seconds" }))
      expect(yield* play(twice, one)).toBe("complete after 20 s")
    })
  )

  it.effect("a retry, a fallback and a hedge keep it, and wait for nothing that would come too late", () =>
    Effect.gen(function* () {
      const overloaded = (retryAfter: Duration.Duration) =>
        service(
          Stream.fail(
            new LlmError({
              reason: new Overloaded({ message: "busy" }),
              provider: "test",
              phase: "headers",
              emitted: 0,
              retryAfter
            })
          )
        )
      const stalled = enforced(never)
      const total = (duration: Duration.Input) => Llm.stream("Hi").pipe(Deadlines.within({ total: duration }))
      const busy = Retry.attach(overloaded(Duration.seconds(10)))
      expect(yield* play(total("15 seconds"), busy)).toBe("Overloaded after 10 s")
      expect(yield* play(total("20 seconds"), busy)).toBe("Overloaded after 20 s")
      expect(yield* play(total("5 seconds"), busy)).toBe("Overloaded after 0 s")
      expect(yield* play(total("200 seconds"), Retry.attach(stalled, { schedule: Schedule.spaced("1 second") }))).toBe(
        "total after 200 s"
      )
      expect(yield* play(total("200 seconds"), Fallback.make([stalled, stalled, stalled]))).toBe("total after 200 s")
      expect(yield* play(total("50 seconds"), Hedge.make([stalled, stalled], { after: "20 seconds" }))).toBe(
        "total after 50 s"
      )
      // Those inside of another have no time of their own.
      const retried = Retry.attach(stalled, { schedule: Schedule.spaced("1 second") })
      const nested = Fallback.make([retried, retried])
      expect(yield* play(total("200 seconds"), nested)).toBe("total after 200 s")
    })
  )
})
