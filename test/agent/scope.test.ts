/** Everything that a run starts is a child of its stream: counted, wherever it is left. */
import { describe, expect, it } from "@effect/vitest"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Agent from "effect-rill/agent/Agent"
import type { AgentError } from "effect-rill/agent/AgentError"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import { Llm } from "effect-rill/Llm"
import * as OpenAi from "effect-rill/provider/OpenAi"
import type { Part } from "effect-rill/testing/Dialect"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import * as EventStream from "effect-rill/wire/EventStream"
import { seconds, settle } from "../support/agentLaws.ts"

const { chunk, linger, status } = FaultyWire

const toolkit = Toolkit.make(
  Tool.make("work", {
    parameters: Schema.Struct({ n: Schema.Finite }),
    success: Schema.Finite,
    dependencies: [Scope.Scope]
  }),
  Tool.make("endless", {
    parameters: Schema.Struct({ n: Schema.Finite }),
    success: Schema.Finite,
    dependencies: [Scope.Scope]
  }),
  Tool.make("chatty", { parameters: Schema.Struct({ n: Schema.Finite }), success: Schema.Finite })
)

/** What is held: by a run, by calls, and how often handlers have been begun and progress made. */
const make = Effect.sync(() => {
  const count = { held: 0, running: 0, begun: 0, progress: 0 }
  const held = Effect.acquireRelease(
    Effect.sync(() => count.held++),
    () => Effect.sync(() => count.held--)
  )
  const running = <A>(effect: Effect.Effect<A>) =>
    Effect.suspend(() => {
      count.begun++
      count.running++
      return Effect.ensuring(
        effect,
        Effect.sync(() => count.running--)
      )
    })
  const handlers = toolkit.toLayer({
    work: ({ n }) => Effect.andThen(held, running(Effect.as(Effect.sleep("1 second"), n))),
    endless: () => Effect.andThen(held, running(Effect.never)),
    chatty: (_, { preliminary }) =>
      running(
        Effect.forever(
          Effect.suspend(() => {
            count.progress++
            return preliminary(count.progress)
          })
        )
      )
  })
  return { count, handlers }
})

const calls = (name: string, count: number): ReadonlyArray<Part> =>
  Array.from({ length: count }, (_, n) => ({
    type: "tool-call",
    id: `call_${n}`,
    name,
    deltas: [`{"n":${n}}`]
  }))

const turn = (...parts: ReadonlyArray<Part>): FaultyWire.Exchange => {
  const { frames, semanticEnd, usage, wireEnd } = OpenAiChat.dialect.answer({
    parts,
    finish: parts.some(({ type }) => type === "tool-call") ? "tool-calls" : "stop",
    usage: { inputTokens: 1, outputTokens: 1 }
  })!
  // Each end comes and the peer keeps the connection open: who is done closes it.
  return [
    status(200, { "content-type": OpenAiChat.dialect.contentType }),
    ...[...frames, semanticEnd, usage, wireEnd].flatMap((frame) => (frame === undefined ? [] : [chunk(frame)])),
    linger
  ]
}
const cut = (exchange: FaultyWire.Exchange): FaultyWire.Exchange => [...exchange.slice(0, -4), linger]
const words: Part = { type: "text", deltas: ["I ", "look."] }

const start = Effect.fnUntraced(function* (
  script: FaultyWire.Script,
  consume: <R>(stream: Stream.Stream<AgentEvent, AgentError, R>) => Effect.Effect<unknown, unknown, R>,
  options: Omit<Agent.Options<Toolkit.Tools<typeof toolkit>>, "toolkit"> = {}
) {
  const { client, wire } = yield* FaultyWire.make(script)
  const { count, handlers } = yield* make
  const llm = yield* Effect.provideService(
    OpenAi.make({ model: "m", api: "chat", apiKey: Redacted.make("sk-scope-0123456789") }),
    HttpClient.HttpClient,
    client
  )
  const fiber = yield* consume(Agent.make({ toolkit, ...options }).stream("Hi")).pipe(
    Effect.provide(handlers),
    Effect.provideService(Llm, llm),
    Effect.provideService(EventStream.Settling, Duration.zero),
    Effect.forkChild
  )
  return { fiber, wire, count }
})

const drain = <R>(stream: Stream.Stream<AgentEvent, AgentError, R>) => Stream.runDrain(stream)

const nothing = { held: 0, running: 0 }

describe("interruption leaves nothing", () => {
  const places: ReadonlyArray<
    readonly [string, FaultyWire.Script, { held: number; running: number }, open: number, requests: number]
  > = [
    ["before the head of an answer", [[FaultyWire.pause("1 day")]], nothing, 1, 1],
    ["during a thought", [cut(turn(words))], nothing, 1, 1],
    ["during a tool", [turn(words, ...calls("endless", 1))], { held: 1, running: 1 }, 0, 1],
    ["during parallel tools", [turn(...calls("endless", 8))], { held: 8, running: 8 }, 0, 1],
    ["in the second turn", [turn(...calls("work", 2)), cut(turn(words))], { held: 2, running: 0 }, 1, 2]
  ]

  it.effect.each(places)("%s", ([, script, during, open, requests]) =>
    Effect.gen(function* () {
      const { count, fiber, wire } = yield* start(script, drain)
      yield* seconds(2)
      expect(count).toMatchObject(during)
      expect([yield* wire.open, (yield* wire.requests).length]).toEqual([open, requests])
      yield* Fiber.interrupt(fiber)
      expect(count).toMatchObject(nothing)
      expect(yield* wire.open).toBe(0)
    })
  )

  it.effect("between steps, and wherever else the consumer stands", () =>
    Effect.gen(function* () {
      const script = () => [turn(words, ...calls("work", 2)), turn(...calls("work", 1)), turn(words)]
      const all: Array<AgentEvent["_tag"]> = []
      const { fiber } = yield* start(script(), (stream) =>
        Stream.runForEach(stream, ({ _tag }) => Effect.sync(() => void all.push(_tag)))
      )
      yield* seconds(4)
      expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
      expect(all.length).toBeGreaterThan(15)
      const ways = {
        interrupted: (at: number) => (index: number) => (index === at ? Effect.never : Effect.void),
        failed: (at: number) => (index: number) => (index === at ? Effect.fail("enough") : Effect.void)
      }
      for (let at = 0; at < all.length; at++) {
        for (const way of Object.values(ways)) {
          let index = 0
          const visit = way(at)
          const { count, fiber, wire } = yield* start(script(), (stream) =>
            Stream.runForEach(stream, () => visit(index++))
          )
          yield* seconds(4)
          yield* Fiber.interrupt(fiber)
          expect([count, yield* wire.open], `at ${at}, ${all[at]}`).toMatchObject([nothing, 0])
        }
        const { count, fiber, wire } = yield* start(script(), (stream) => Stream.runDrain(Stream.take(stream, at)))
        yield* seconds(4)
        expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
        expect([count, yield* wire.open], `taken ${at}`).toMatchObject([nothing, 0])
      }
    })
  )
})

describe("a run that ends leaves nothing", () => {
  it.effect("what tools hold is held until its end, and no longer", () =>
    Effect.gen(function* () {
      let during: unknown
      const { count, fiber, wire } = yield* start([turn(...calls("work", 2)), turn(words)], (stream) =>
        Stream.runForEach(stream, ({ _tag }) => Effect.sync(() => void (_tag === "Final" && (during = { ...count }))))
      )
      yield* seconds(2)
      yield* Fiber.join(fiber)
      expect(during).toMatchObject({ held: 2, running: 0 })
      expect([count, yield* wire.open]).toMatchObject([nothing, 0])
    })
  )

  it.effect("a tool that takes too long, one that fails the run, and a duration that is over", () =>
    Effect.gen(function* () {
      const endings = [
        { toolTimeout: "2 seconds" },
        { toolTimeout: "2 seconds", onToolError: "fail" },
        { maxDuration: "2 seconds" },
        { maxDuration: "2 seconds", onLimit: "answer" }
      ] as const
      for (const options of endings) {
        const script = [turn(...calls("endless", 3)), turn(words)]
        const { count, fiber, wire } = yield* start(script, drain, options)
        yield* seconds(1)
        expect(count.running).toBe(3)
        yield* seconds(1)
        expect(fiber.pollUnsafe()).toBeDefined()
        expect([count, yield* wire.open], JSON.stringify(options)).toMatchObject([nothing, 0])
      }
    })
  )

  it.effect("a duration that is over in the middle of a turn closes its connection", () =>
    Effect.gen(function* () {
      for (const onLimit of ["fail", "answer"] as const) {
        const script = [cut(turn(words)), cut(turn(words))]
        const { fiber, wire } = yield* start(script, drain, { maxDuration: "2 seconds", onLimit })
        yield* seconds(3)
        expect([(yield* wire.requests).length, yield* wire.open]).toEqual(onLimit === "fail" ? [1, 0] : [2, 1])
        yield* Fiber.interrupt(fiber)
      }
    })
  )
})

describe("a consumer that pauses", () => {
  const pausedAt = (tag: AgentEvent["_tag"]) =>
    start([turn(words, ...calls("work", 1)), turn(words)], (stream) =>
      Stream.runForEach(stream, ({ _tag }) => (_tag === tag ? Effect.never : Effect.void))
    )

  it.effect("at the end of a step stops the loop before the next turn", () =>
    Effect.gen(function* () {
      for (const tag of ["StepFinished", "Observation"] as const) {
        const { fiber, wire } = yield* pausedAt(tag)
        yield* seconds(100)
        expect((yield* wire.requests).length, tag).toBe(1)
        yield* Fiber.interrupt(fiber)
      }
    })
  )

  it.effect("at an action stops the loop before the tool, its connection closed", () =>
    Effect.gen(function* () {
      const { count, fiber, wire } = yield* pausedAt("Action")
      yield* seconds(100)
      expect([count.begun, yield* wire.open]).toEqual([0, 0])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("at the first step asks for nothing; at a token reads no more", () =>
    Effect.gen(function* () {
      const first = yield* pausedAt("StepStarted")
      yield* seconds(100)
      expect(yield* first.wire.requests).toEqual([])
      yield* Fiber.interrupt(first.fiber)
      const token = yield* pausedAt("Token")
      yield* seconds(100)
      const read = (yield* token.wire.trace).filter(({ what }) => what === "Read").length
      expect(read).toBeLessThan(4)
      yield* Fiber.interrupt(token.fiber)
    })
  )

  it.effect("at its progress stops a tool that makes it without end", () =>
    Effect.gen(function* () {
      const { count, fiber } = yield* start([turn(...calls("chatty", 1))], (stream) =>
        Stream.runForEach(stream, ({ _tag }) => (_tag === "Progress" ? Effect.never : Effect.void))
      )
      yield* seconds(10)
      expect(count.progress).toBeGreaterThan(0)
      expect(count.progress).toBeLessThan(60)
      yield* Fiber.interrupt(fiber)
      yield* settle
      expect(count.running).toBe(0)
    })
  )
})
