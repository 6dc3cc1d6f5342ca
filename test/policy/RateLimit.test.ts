import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import {
  Authentication,
  BudgetExceeded,
  Disconnected,
  InvalidRequest,
  type LlmError,
  Overloaded,
  type Reason,
  Unreachable
} from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as Deadlines from "effect-rill/policy/Deadlines"
import * as RateLimit from "effect-rill/policy/RateLimit"
import { settle } from "../support/agentLaws.ts"
import { fractions } from "../support/random.ts"
import * as FailingStores from "../support/FailingStores.ts"
import { errorOf, arrays, finished, llmError, service, thought, token } from "../support/scriptedLlm.ts"

/** A prompt of so many tokens, with so many for its answer. */
const asking = (tokens: number, name = "x"): LlmRequest => ({
  prompt: name.padEnd(4 * tokens, "."),
  maxTokens: 1
})
const nameOf = ({ prompt }: LlmRequest): string => String(prompt).replace(/\.+$/, "")

/** A model that writes down when it is asked, and by whom. */
const noted = (events: (request: LlmRequest) => Stream.Stream<LlmEvent, LlmError> = () => arrays([[finished]])) => {
  const log: Array<string> = []
  const model: Llm.Llm["Service"] = {
    events: (request) =>
      Stream.unwrap(
        Effect.map(Clock.currentTimeMillis, (now) => {
          log.push(`${nameOf(request)} ${now / 1000}`)
          return events(request)
        })
      )
  }
  return { log, model }
}

const used = (inputTokens: number, outputTokens: number): LlmEvent => ({
  _tag: "Finished",
  reason: "stop",
  usage: { source: "exact", inputTokens, outputTokens }
})

const call = (llm: Llm.Llm["Service"], request: LlmRequest) => Effect.exit(Stream.runDrain(llm.events(request)))

const start = (llm: Llm.Llm["Service"], request: LlmRequest) => Effect.tap(Effect.forkChild(call(llm, request)), settle)

const pass = (seconds: number) => Effect.andThen(TestClock.adjust(Duration.seconds(seconds)), settle)

/** What is left in a bucket of a limit of so much in a minute, by its store. */
const left = (bucket: string, limit: number) =>
  Effect.map(
    RateLimiter.RateLimiterStore.use((store) =>
      store.tokenBucket({
        key: `k:${bucket}`,
        tokens: 0,
        limit,
        refillRate: Duration.millis(60_000 / limit),
        allowOverflow: true
      })
    ),
    ([remaining]) => remaining
  )

const inStore = Effect.provide(RateLimiter.layerStoreMemory)

describe("RateLimit", () => {
  describe("requests", () => {
    it.effect("go as fast as the limit allows, in their order", () =>
      Effect.gen(function* () {
        const { log, model } = noted()
        const llm = RateLimit.attach(model, { requests: 3 })
        for (const name of ["a", "b", "c", "d", "e", "f"]) yield* start(llm, { prompt: name })
        assert.deepStrictEqual(log, ["a 0", "b 0", "c 0"])
        yield* pass(19)
        assert.strictEqual(log.length, 3)
        yield* pass(1)
        assert.deepStrictEqual(log.slice(3), ["d 20"])
        yield* pass(100)
        assert.deepStrictEqual(log.slice(4), ["e 40", "f 60"])
      })
    )

    it.effect("in a window of one's own", () =>
      Effect.gen(function* () {
        const { log, model } = noted()
        const llm = RateLimit.attach({ requests: 1, window: "1 hour" })(model)
        yield* start(llm, { prompt: "a" })
        yield* start(llm, { prompt: "b" })
        yield* pass(3599)
        assert.deepStrictEqual(log, ["a 0"])
        yield* pass(1)
        assert.deepStrictEqual(log, ["a 0", "b 3600"])
      })
    )

    it.effect("a request that fails at the provider counts, one that never left does not", () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [Reason, LlmError["phase"], remaining: number]> = [
          [new Overloaded({ message: "busy" }), "headers", 9],
          [new InvalidRequest({ message: "400" }), "headers", 9],
          [new Unreachable({ message: "?" }), "request", 9],
          [new Disconnected({ message: "?" }), "request", 9],
          [new Authentication({ message: "no key" }), "request", 10],
          [new InvalidRequest({ message: "no message" }), "request", 10],
          [new BudgetExceeded({ message: "no money" }), "request", 10]
        ]
        for (const [reason, phase, remaining] of cases) {
          yield* Effect.gen(function* () {
            const limit = yield* RateLimit.make({ key: "k", requests: 10, tokens: 100 })
            const exit = yield* call(limit(service(Stream.fail(llmError(reason, { phase })))), asking(9))
            assert.strictEqual(errorOf(exit).reason, reason)
            assert.strictEqual(yield* left("requests", 10), remaining, `${reason._tag} ${phase}`)
            // Who refuses a request does not count its tokens.
            assert.strictEqual(yield* left("tokens", 100), 100, `${reason._tag} ${phase}`)
          }).pipe(inStore)
        }
      })
    )
  })

  describe("tokens", () => {
    it.effect("are taken by estimate before and settled after, whichever is more", () =>
      Effect.gen(function* () {
        for (const [answer, remaining] of [
          [used(4, 6), 90],
          [used(40, 60), 0],
          [used(100, 60), -60],
          [used(9, 1), 90]
        ] as const) {
          yield* Effect.gen(function* () {
            const go = yield* Deferred.make<void>()
            const limit = yield* RateLimit.make({ key: "k", tokens: 100 })
            const llm = limit(service(Stream.concat(Stream.fromEffectDrain(Deferred.await(go)), Stream.make(answer))))
            const fiber = yield* start(llm, asking(49))
            assert.strictEqual(yield* left("tokens", 100), 50)
            yield* Deferred.succeed(go, undefined)
            assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
            assert.strictEqual(yield* left("tokens", 100), remaining)
          }).pipe(inStore)
        }
      })
    )

    const mid = (reason: Reason, usage?: LlmError["usage"]) => llmError(reason, usage === undefined ? {} : { usage })
    const cut = new Disconnected({ message: "cut" })
    const ended: ReadonlyArray<
      readonly [string, Stream.Stream<LlmEvent, LlmError>, remaining: number, take?: number | undefined]
    > = [
      [
        "an error's usage",
        arrays([[token("a")]], Effect.fail(mid(cut, { source: "exact", inputTokens: 30, outputTokens: 4 }))),
        66
      ],
      [
        "an error with the prompt's count alone",
        arrays([[token("abcdefgh")]], Effect.fail(mid(cut, { source: "exact", inputTokens: 30 }))),
        68
      ],
      [
        "an error with the answer's count alone",
        arrays([[token("abcdefgh")]], Effect.fail(mid(cut, { source: "exact", outputTokens: 30 }))),
        61
      ],
      ["an error without usage", arrays([[token("abcdefgh"), thought("abcd")]], Effect.fail(mid(cut))), 88],
      [
        "a refusal and the input of a call",
        arrays(
          [
            [
              { _tag: "Refusal", text: "abcdefgh" },
              { _tag: "ToolCallDelta", id: "1", delta: "abcd" }
            ]
          ],
          Effect.fail(mid(cut))
        ),
        88
      ],
      ["a defect", arrays([[token("abcdefgh")]], Effect.die("bug")), 89],
      ["a reader who leaves", arrays([[token("abcdefgh")], [finished]]), 89, 1],
      ["a reader who leaves with the end", arrays([[token("abcdefgh")], [used(20, 5)]]), 75, 2],
      ["an end without usage", arrays([[token("abcdefgh")]]), 89],
      ["counts that are not numbers", arrays([[token("abcdefgh")], [used(Infinity, NaN)]]), 89],
      ["counts below 0", arrays([[token("abcdefgh")], [used(-50, -1)]]), 89],
      ["a first end is not the last", arrays([[used(1, 1)], [used(10, 20)]]), 70]
    ]
    for (const [name, events, remaining, take = 99] of ended) {
      it.effect(`are settled after ${name}`, () =>
        Effect.gen(function* () {
          const limit = yield* RateLimit.make({ key: "k", tokens: 100 })
          yield* Effect.exit(Stream.runDrain(Stream.take(limit(service(events)).events(asking(9)), take)))
          assert.strictEqual(yield* left("tokens", 100), remaining)
        }).pipe(inStore)
      )
    }

    it.effect("are settled once the connection is closed, and before the end is told", () =>
      Effect.gen(function* () {
        for (const take of [1, 99]) {
          const log: Array<string> = []
          const write = (entry: string) => Effect.sync(() => void log.push(entry))
          const store = Layer.effect(
            RateLimiter.RateLimiterStore,
            RateLimiter.RateLimiterStore.useSync((store) => ({
              ...store,
              tokenBucket: (options) => Effect.andThen(write("store"), store.tokenBucket(options))
            }))
          ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
          const limit = yield* Effect.provide(RateLimit.make({ key: "k", tokens: 100 }), store)
          const source = Stream.scoped(
            Stream.unwrap(
              Effect.as(
                Effect.addFinalizer(() => write("closed")),
                arrays([[token("abcdefgh")], [used(1, 1)]])
              )
            )
          )
          yield* Stream.runDrain(Stream.take(limit(service(source)).events(asking(9)), take))
          yield* write("end")
          // What is given back is first measured.
          const settling = take === 1 ? ["store"] : ["store", "store"]
          assert.deepStrictEqual(log, ["store", "closed", ...settling, "end"])
        }
      })
    )

    it.effect("what is given back to a bucket that is full again does not make it more than full", () =>
      Effect.gen(function* () {
        const limit = yield* RateLimit.make({ key: "k", tokens: 6, estimate: () => 5 })
        const slow = Stream.concat(Stream.fromEffectDrain(Effect.sleep("50 seconds")), Stream.make(used(1, 0)))
        yield* start(limit(service(slow)), asking(1))
        yield* pass(50)
        assert.strictEqual(yield* left("tokens", 6), 6)
      }).pipe(inStore)
    )

    it.effect("what is given back lets those who wait move up", () =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const { log, model } = noted(({ prompt }) =>
          String(prompt).startsWith("a")
            ? Stream.concat(Stream.fromEffectDrain(Deferred.await(go)), Stream.make(used(10, 0)))
            : arrays([[used(29, 1)]])
        )
        const llm = RateLimit.attach(model, { tokens: 60 })
        yield* start(llm, asking(59, "a"))
        for (const name of ["b", "c", "d"]) yield* start(llm, asking(29, name))
        // As it stands, b waits for 30 tokens, c for 60, d for 90: so many seconds.
        yield* pass(5)
        yield* Deferred.succeed(go, undefined)
        yield* settle
        // 50 came back and 5 flowed in: b goes, and c five seconds later.
        assert.deepStrictEqual(log, ["a 0", "b 5"])
        yield* pass(4)
        assert.strictEqual(log.length, 2)
        yield* pass(1)
        assert.deepStrictEqual(log.slice(2), ["c 10"])
        yield* pass(30)
        assert.deepStrictEqual(log.slice(3), ["d 40"])
      })
    )

    it.effect("what another process gives back lets all move up when somebody joins, and nobody overtakes", () =>
      Effect.gen(function* () {
        const options = { key: "k", tokens: 60, estimate: ({ maxTokens = 0 }: LlmRequest) => maxTokens }
        const { log, model } = noted(({ maxTokens = 0 }) => arrays([[used(maxTokens, 0)]]))
        const here = (yield* RateLimit.make(options))(model)
        const there = (yield* RateLimit.make(options))(service(Stream.never))
        const fiber = yield* start(there, { prompt: "x", maxTokens: 60 })
        yield* start(here, { prompt: "a", maxTokens: 30 })
        yield* Fiber.interrupt(fiber)
        yield* pass(1)
        assert.deepStrictEqual(log, [])
        yield* start(here, { prompt: "b", maxTokens: 1 })
        assert.deepStrictEqual(log, ["a 1", "b 1"])
      }).pipe(inStore)
    )

    it.effect("what was used beyond the estimate is paid by those who come later", () =>
      Effect.gen(function* () {
        const go = yield* Deferred.make<void>()
        const { log, model } = noted(({ prompt }) =>
          String(prompt).startsWith("a")
            ? Stream.concat(Stream.fromEffectDrain(Deferred.await(go)), Stream.make(used(60, 30)))
            : arrays([[used(29, 1)]])
        )
        const llm = RateLimit.attach(model, { tokens: 60 })
        yield* start(llm, asking(59, "a"))
        yield* start(llm, asking(29, "b"))
        yield* Deferred.succeed(go, undefined)
        yield* settle
        yield* start(llm, asking(29, "c"))
        yield* pass(30)
        assert.deepStrictEqual(log, ["a 0", "b 30"])
        yield* pass(59)
        assert.strictEqual(log.length, 2)
        yield* pass(1)
        assert.deepStrictEqual(log.slice(2), ["c 90"])
      })
    )

    it.effect("a request of more than the limit takes all of it", () =>
      Effect.gen(function* () {
        for (const onExceeded of ["delay", "fail"] as const) {
          const { log, model } = noted((request) => arrays([[used(nameOf(request) === "big" ? 60 : 0, 0)]]))
          const llm = RateLimit.attach(model, { tokens: 60, onExceeded })
          const before = yield* Clock.currentTimeMillis
          yield* start(llm, asking(1000, "big"))
          const fiber = yield* start(llm, asking(1000, "big"))
          assert.strictEqual(log.length, 1)
          yield* pass(60)
          if (onExceeded === "fail") {
            assert.strictEqual(
              errorOf(yield* Fiber.join(fiber)).retryAfter?.toString(),
              Duration.seconds(60).toString()
            )
            assert.isTrue(Exit.isSuccess(yield* call(llm, asking(1000, "big"))))
          }
          assert.deepStrictEqual(log, [`big ${before / 1000}`, `big ${before / 1000 + 60}`])
        }
      })
    )

    it.effect("by an estimate of one's own, which cannot spoil the bucket", () =>
      Effect.gen(function* () {
        for (const [estimated, during] of [
          [40, 60],
          [40.5, 59],
          [0, 100],
          [-7, 100],
          [NaN, 100],
          [Infinity, 0]
        ] as const) {
          yield* Effect.gen(function* () {
            const limit = yield* RateLimit.make({ key: "k", tokens: 100, estimate: () => estimated })
            const fiber = yield* start(limit(service(Stream.never)), asking(9))
            assert.strictEqual(yield* left("tokens", 100), during, `${estimated}`)
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(yield* left("tokens", 100), 91, `${estimated}`)
          }).pipe(inStore)
        }
      })
    )

    it("the estimate is the prompt's and the answer's", () => {
      assert.strictEqual(RateLimit.estimate({ prompt: "abcdefghi" }), 3 + 1024)
      assert.strictEqual(RateLimit.estimate({ prompt: "abcdefgh", system: "abcd", maxTokens: 7 }), 3 + 7)
      // One that will be refused unsent.
      assert.strictEqual(RateLimit.estimate({ prompt: [], maxTokens: 7 }), 7)
    })

    it.effect("an estimate that throws is a defect that takes nothing", () =>
      Effect.gen(function* () {
        const limit = yield* RateLimit.make({
          key: "k",
          requests: 10,
          tokens: 100,
          concurrency: 1,
          estimate: () => {
            throw new Error("bug")
          }
        })
        const llm = limit(service(arrays([[finished]])))
        for (let i = 0; i < 2; i++) assert.isTrue(Exit.hasDies(yield* call(llm, asking(9))))
        assert.strictEqual(yield* left("requests", 10), 10)
      }).pipe(inStore)
    )
  })

  describe("who is interrupted while waiting", () => {
    for (const who of ["b", "c", "d"] as const) {
      it.effect(`gives its place back: ${who} of a, b, c, d`, () =>
        Effect.gen(function* () {
          const { log, model } = noted(({ maxTokens = 0 }) => arrays([[used(maxTokens, 0)]]))
          const limit = yield* RateLimit.make({
            key: "k",
            requests: 60,
            tokens: 60,
            estimate: (request) => request.maxTokens ?? 0
          })
          const llm = limit(model)
          yield* start(llm, { prompt: "a", maxTokens: 60 })
          const waiting = {
            b: yield* start(llm, { prompt: "b", maxTokens: 10 }),
            c: yield* start(llm, { prompt: "c", maxTokens: 20 }),
            d: yield* start(llm, { prompt: "d", maxTokens: 30 })
          }
          yield* pass(1)
          yield* Fiber.interrupt(waiting[who])
          assert.strictEqual(yield* left("requests", 60), 60 - 4 + 1 + 1)
          // Who comes now comes after all others, wherever the gap is.
          yield* start(llm, { prompt: "e", maxTokens: 5 })
          yield* pass(200)
          const expected = {
            b: ["a 0", "c 20", "d 50", "e 55"],
            c: ["a 0", "b 10", "d 40", "e 45"],
            d: ["a 0", "b 10", "c 30", "e 35"]
          }
          assert.deepStrictEqual(log, expected[who])
          assert.strictEqual(yield* left("tokens", 60), 60)
        }).pipe(inStore)
      )
    }

    it.effect("between its turn and its answer, and at every other point, leaves nothing", () =>
      Effect.gen(function* () {
        // Interrupted after so many turns of the scheduler: wherever that is.
        const seen = new Set<string>()
        for (let turns = 0; turns < 120; turns++) {
          yield* Effect.gen(function* () {
            let open = 0
            const held = Effect.acquireRelease(
              Effect.sync(() => open++),
              () => Effect.sync(() => open--)
            )
            const limit = yield* RateLimit.make({ key: "k", requests: 2, tokens: 100, concurrency: 1 })
            const deltas = arrays([[token("abcd")], [token("abcd")], [token("abcd")], [used(9, 1)]])
            const slowly = Stream.tap(deltas, () => Effect.yieldNow)
            const answer = Stream.scoped(Stream.unwrap(Effect.as(held, slowly)))
            const llm = limit(service(answer))
            const fiber = yield* Effect.forkChild(call(llm, asking(9)))
            for (let i = 0; i < turns; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(open, 0)
            const after = `${yield* left("requests", 2)} ${yield* left("tokens", 100)}`
            seen.add(after)
            // Not begun, or begun and paid for.
            assert.include(["2 100", "1 91", "1 90", "1 89", "1 88"], after, `after ${turns}`)
            assert.isTrue(Exit.isSuccess(yield* call(llm, asking(9))))
          }).pipe(Effect.provide(FailingStores.rateLimiter(() => "slow")))
        }
        assert.includeMembers([...seen], ["2 100", "1 91", "1 90"])
      })
    )
  })

  describe("fail", () => {
    it.effect("at once, with the time until there is room", () =>
      Effect.gen(function* () {
        const { log, model } = noted(() => arrays([[used(1, 0)]]))
        const llm = RateLimit.attach(model, { requests: 2, onExceeded: "fail" })
        yield* call(llm, { prompt: "a" })
        yield* call(llm, { prompt: "b" })
        yield* pass(10)
        const error = errorOf(yield* call(llm, { prompt: "c", model: "m" }))
        assert.strictEqual(error.reason._tag, "RateLimited")
        assert.include(error.message, "the 2 requests allowed in 1m are used up")
        assert.deepStrictEqual(
          [error.provider, error.model, error.phase, error.emitted, error.usage, error.isRetryable],
          ["rate-limit", "m", "request", 0, undefined, true]
        )
        assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 20)
        yield* pass(19)
        assert.strictEqual(errorOf(yield* call(llm, { prompt: "c" })).reason._tag, "RateLimited")
        yield* pass(1)
        assert.isTrue(Exit.isSuccess(yield* call(llm, { prompt: "d" })))
        assert.deepStrictEqual(log, ["a 0", "b 0", "d 30"])
      })
    )

    it.effect("without having taken from the other bucket", () =>
      Effect.gen(function* () {
        const limit = yield* RateLimit.make({ key: "k", requests: 10, tokens: 100, onExceeded: "fail" })
        const llm = limit(service(Stream.never))
        yield* start(llm, asking(69))
        const error = errorOf(yield* call(llm, asking(49)))
        assert.include(error.message, "the 100 tokens allowed in 1m are used up")
        assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 12)
        assert.strictEqual(yield* left("requests", 10), 9)
        assert.strictEqual(yield* left("tokens", 100), 30)
      }).pipe(inStore)
    )

    it.effect("after a wait that would be too long", () =>
      Effect.gen(function* () {
        const { log, model } = noted()
        const limit = yield* RateLimit.make({ key: "k", requests: 6, tokens: 6000, maxWait: "20 seconds" })
        const llm = limit(model)
        for (const name of ["a", "b", "c", "d", "e", "f", "g", "h"]) yield* start(llm, asking(1, name))
        const error = errorOf(yield* call(llm, asking(1, "i")))
        assert.strictEqual(error.reason._tag, "RateLimited")
        assert.include(error.message, "the 6 requests")
        assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 30)
        assert.strictEqual(yield* left("requests", 6), -2)
        yield* pass(20)
        assert.deepStrictEqual(log.slice(6), ["g 10", "h 20"])
      }).pipe(inStore)
    )
  })

  describe("concurrency", () => {
    it.effect("so many answers at a time, in order, whichever way they end", () =>
      Effect.gen(function* () {
        const gates = new Map<string, Deferred.Deferred<void, LlmError>>()
        for (const name of ["a", "b", "c", "d", "e", "f"]) gates.set(name, yield* Deferred.make<void, LlmError>())
        const { log, model } = noted((request) =>
          Stream.concat(
            Stream.make(token("t")),
            Stream.concat(Stream.fromEffectDrain(Deferred.await(gates.get(nameOf(request))!)), Stream.make(finished))
          )
        )
        const llm = RateLimit.attach(model, { concurrency: 2 })
        const a = yield* start(llm, { prompt: "a" })
        yield* start(llm, { prompt: "b" })
        const c = yield* start(llm, { prompt: "c" })
        yield* start(llm, { prompt: "d" })
        const taken = yield* Effect.forkChild(Stream.runDrain(Stream.take(llm.events({ prompt: "e" }), 1)))
        yield* settle
        yield* start(llm, { prompt: "f" })
        assert.deepStrictEqual(log, ["a 0", "b 0"])
        // One who waits goes without having had a place.
        yield* Fiber.interrupt(c)
        yield* settle
        assert.strictEqual(log.length, 2)
        yield* Deferred.succeed(gates.get("a")!, undefined)
        yield* settle
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(a)))
        assert.deepStrictEqual(log.slice(2), ["d 0"])
        yield* Deferred.fail(gates.get("b")!, llmError(new Disconnected({ message: "cut" })))
        yield* settle
        yield* Fiber.join(taken)
        assert.deepStrictEqual(log.slice(3), ["e 0", "f 0"])
      })
    )

    it.effect("or fails where there is no place", () =>
      Effect.gen(function* () {
        const llm = RateLimit.attach(service(Stream.never), { concurrency: 1, onExceeded: "fail" })
        const fiber = yield* start(llm, { prompt: "a" })
        const error = errorOf(yield* call(llm, { prompt: "b" }))
        assert.strictEqual(error.reason._tag, "RateLimited")
        assert.strictEqual(error.retryAfter, undefined)
        yield* Fiber.interrupt(fiber)
        const next = yield* start(llm, { prompt: "c" })
        assert.strictEqual(next.pollUnsafe(), undefined)
      })
    )

    it.effect("a place is free again where the rate is what refuses", () =>
      Effect.gen(function* () {
        const llm = RateLimit.attach(service(arrays([[finished]])), { concurrency: 1, requests: 1, onExceeded: "fail" })
        yield* call(llm, { prompt: "a" })
        for (let i = 0; i < 3; i++) {
          assert.include(errorOf(yield* call(llm, { prompt: "b" })).message, "the 1 requests")
        }
      })
    )
  })

  describe("a store that fails", () => {
    const quiet = Effect.provideService(References.UnhandledLogLevel, undefined)

    for (const fate of ["fails", "dies", "silent"] as const) {
      it.effect(`before the request: ${fate}`, () =>
        Effect.gen(function* () {
          for (const onStoreError of [undefined, "allow", "fail"] as const) {
            const { log, model } = noted()
            const limit = yield* Effect.provide(
              RateLimit.make({ key: "k", requests: 1, tokens: 10, concurrency: 1, onStoreError }),
              FailingStores.rateLimiter(() => fate)
            )
            for (let i = 0; i < 3; i++) {
              const fiber = yield* start(limit(model), asking(1))
              const asked = fate === "silent" ? (onStoreError === "fail" ? 1 : 2) : 0
              if (asked > 0) {
                yield* pass(asked - 0.001)
                assert.strictEqual(fiber.pollUnsafe(), undefined)
                yield* pass(0.001)
              }
              const exit = fiber.pollUnsafe()
              assert.isDefined(exit)
              if (onStoreError === "fail") {
                const error = errorOf(yield* Fiber.join(fiber))
                assert.strictEqual(error.reason._tag, "RateLimited")
                assert.include(error.message, "cannot be asked")
                assert.strictEqual(error.retryAfter, undefined)
              } else assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
            }
            assert.strictEqual(log.length, onStoreError === "fail" ? 0 : 3)
          }
        }).pipe(quiet)
      )

      it.effect(`after the answer: ${fate}`, () =>
        Effect.gen(function* () {
          let settled = 0
          const limit = yield* Effect.provide(
            RateLimit.make({ key: "k", tokens: 100, onStoreError: "fail" }),
            FailingStores.rateLimiter((tokens) => (tokens === 10 ? "well" : (settled++, fate)))
          )
          const fiber = yield* start(limit(service(arrays([[used(3, 3)]]))), asking(9))
          if (fate === "silent") yield* pass(1)
          assert.isDefined(fiber.pollUnsafe())
          assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
          assert.strictEqual(settled, 1)
        }).pipe(quiet)
      )
    }

    it.effect("for tokens alone: the request is counted, or given back", () =>
      Effect.gen(function* () {
        for (const [onStoreError, remaining] of [
          ["allow", 9],
          ["fail", 10]
        ] as const) {
          yield* Effect.gen(function* () {
            const limit = yield* RateLimit.make({ key: "k", requests: 10, tokens: 100, onStoreError })
            yield* call(limit(service(arrays([[finished]]))), asking(9))
            assert.strictEqual(yield* left("requests", 10), remaining)
          }).pipe(Effect.provide(FailingStores.rateLimiter((_, key) => (key === "k:tokens" ? "fails" : "well"))))
        }
      }).pipe(quiet)
    )
  })

  describe("what shares a limit", () => {
    it.effect("all users of a layer; each build and each attach has its own", () =>
      Effect.gen(function* () {
        const { log, model } = noted()
        const limited = Layer.succeed(Llm.Llm, model).pipe(RateLimit.layer({ requests: 2, onExceeded: "fail" }))
        const three = Effect.forEach(["a", "b", "c"], (prompt) => Effect.exit(Llm.run(prompt)), { concurrency: 3 })
        for (let build = 0; build < 2; build++) {
          const exits = yield* Effect.provide(three, limited)
          assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false])
        }
        const attach = RateLimit.attach({ requests: 1, onExceeded: "fail" })
        for (const llm of [attach(model), attach(model), RateLimit.attach(model, { requests: 1 })]) {
          assert.isTrue(Exit.isSuccess(yield* call(llm, { prompt: "a" })))
        }
        assert.strictEqual(log.length, 7)
      })
    )

    it.effect("all models that one is set on, and all limits of one key in one store", () =>
      Effect.gen(function* () {
        const options = { key: "k", requests: 3, onExceeded: "fail" } as const
        const [one, two] = [yield* RateLimit.make(options), yield* RateLimit.make(options)]
        const other = yield* RateLimit.make({ ...options, key: "other" })
        const model = service(arrays([[finished]]))
        const shared = yield* Effect.provide(
          Llm.Llm,
          Layer.succeed(Llm.Llm, model).pipe(RateLimit.layerShared(options), Layer.provide(yield* here))
        )
        for (const llm of [one(model), one(model), two(model)]) {
          assert.isTrue(Exit.isSuccess(yield* call(llm, { prompt: "a" })))
        }
        for (const llm of [one(model), two(model), shared]) {
          assert.strictEqual(errorOf(yield* call(llm, { prompt: "a" })).reason._tag, "RateLimited")
        }
        assert.isTrue(Exit.isSuccess(yield* call(other(model), { prompt: "a" })))
      }).pipe(inStore)
    )

    const here = RateLimiter.RateLimiterStore.useSync((store) => Layer.succeed(RateLimiter.RateLimiterStore, store))

    it("nothing: without limits it is the model itself", () => {
      const llm = service(arrays([[finished]]))
      assert.strictEqual(RateLimit.attach(llm, {}), llm)
      assert.strictEqual(RateLimit.attach(llm, { onExceeded: "fail", requests: undefined }), llm)
    })

    it.effect("what else a service has stays", () =>
      Effect.sync(() => {
        const llm = { ...service(arrays([[finished]])), more: 1 }
        assert.propertyVal(RateLimit.attach(llm, { requests: 1 }), "more", 1)
      })
    )
  })

  it("limits that make no sense are told when they are set", () => {
    const llm = service(arrays([[finished]]))
    for (const options of [
      { requests: 0 },
      { requests: -1 },
      { tokens: NaN },
      { tokens: 0.5 },
      { tokens: Infinity },
      { requests: 1, window: 0 },
      { requests: 1, window: "Infinity" as const },
      { concurrency: 0 },
      { concurrency: 1.5 }
    ]) {
      assert.throws(
        () => RateLimit.attach(llm, options),
        RangeError,
        /^RateLimit: (requests|tokens|window|concurrency) must be/
      )
    }
    assert.isTrue(Result.isFailure(Result.try(() => Effect.runSync(inStore(RateLimit.make({ key: "k", tokens: -1 }))))))
  })

  it.effect(
    "on random callers: in order, within the limit, and nothing is lost",
    () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= 100; seed++) yield* inStore(scenario(seed))
      }),
    30_000
  )
})

/** Callers who come, use what they use and are interrupted as a seed decides. */
const scenario = Effect.fnUntraced(function* (seed: number) {
  const r = fractions(seed)
  const integer = (below: number) => Math.floor(r() * below)
  const [requests, tokens] = [1 + integer(20), 60 * (1 + integer(5))]
  const begun: Array<{ readonly index: number; readonly at: number; readonly estimate: number }> = []
  const limit = yield* RateLimit.make({ key: "k", requests, tokens, estimate: ({ maxTokens = 0 }) => maxTokens })
  let [sent, total] = [0, 0]
  const llm = limit({
    events: ({ maxTokens = 0, seed: index = 0 }) =>
      Stream.unwrap(
        Effect.map(Clock.currentTimeMillis, (at) => {
          begun.push({ index, at, estimate: maxTokens })
          const uses = integer(2 * maxTokens)
          sent++
          total += uses
          const end = llmError(new Disconnected({ message: "cut" }), {
            usage: { source: "exact", inputTokens: uses, outputTokens: 0 }
          })
          const wait = Stream.fromEffectDrain(Effect.sleep(Duration.seconds(integer(20))))
          return Stream.concat(wait, r() < 0.3 ? Stream.fail(end) : Stream.make(used(uses, 0)))
        })
      )
  })
  const fibers: Array<Fiber.Fiber<unknown>> = []
  const began = yield* Clock.currentTimeMillis
  const estimates: Array<number> = []
  for (let index = 0; index < 25; index++) {
    const maxTokens = 1 + integer(tokens)
    estimates.push(maxTokens)
    fibers.push(yield* Effect.forkChild(call(llm, { prompt: "x", maxTokens, seed: index })))
    yield* settle
    if (r() < 0.3) yield* pass(integer(30))
    if (r() < 0.2) {
      const victim = integer(fibers.length)
      // Only those who wait: the estimate of one who is interrupted later is the subject of other tests.
      if (!begun.some((one) => one.index === victim)) yield* Fiber.interrupt(fibers[victim]!)
    }
  }
  yield* pass(50_000)
  yield* Effect.forEach(fibers, Fiber.await)
  const context = `seed ${seed}`
  assert.deepStrictEqual(
    begun.map(({ index }) => index),
    begun.map(({ index }) => index).toSorted((a, b) => a - b),
    context
  )
  // A bucket's worth at first, then as it flows in. By requests, of which none is given back but unsent.
  for (const [n, { at }] of begun.entries()) {
    const allowed = requests + ((at - began) / 60_000) * requests
    assert.isAtMost(n + 1, allowed + 1e-6, `${context}: ${n}`)
  }
  assert.strictEqual(begun.length, sent, context)
  // Everything flowed back by now; what a late caller takes is all that is missing.
  assert.strictEqual(yield* left("tokens", tokens), tokens, context)
  assert.strictEqual(yield* left("requests", requests), requests, context)
  assert.isAtMost(
    total,
    tokens + ((Number(begun.at(-1)?.at ?? began) - began) / 60_000) * tokens + 50 * tokens,
    context
  )
})

describe("a deadline for the whole answer", () => {
  const within = Deadlines.within({ total: "20 seconds" })
  const limited = (llm: Llm.Llm["Service"]) => service(within(llm.events({ prompt: "late", maxTokens: 1 })))

  it.effect("a wait that would pass it is not begun, and takes nothing", () =>
    Effect.gen(function* () {
      const { log, model } = noted()
      const llm = RateLimit.attach(model, { requests: 2 })
      for (const name of ["a", "b"]) yield* call(llm, asking(1, name))
      const { reason, retryAfter } = errorOf(yield* call(limited(llm), asking(1)))
      assert.deepStrictEqual([reason._tag, retryAfter && Duration.toSeconds(retryAfter)], ["RateLimited", 30])
      const fiber = yield* start(llm, asking(1, "c"))
      yield* pass(30)
      assert.isDefined(fiber.pollUnsafe())
      assert.deepStrictEqual(log, ["a 0", "b 0", "c 30"])
    })
  )

  it.effect("one for a place ends with it, and the time that it took is part of the answer's", () =>
    Effect.gen(function* () {
      const { model } = noted(() => Stream.concat(Stream.make(token("a")), Stream.never))
      const llm = RateLimit.attach(Deadlines.enforce(model), { concurrency: 1 })
      const first = yield* start(llm, asking(1))
      const second = yield* start(limited(llm), asking(1))
      yield* pass(19)
      assert.isUndefined(second.pollUnsafe())
      yield* pass(1)
      const late = errorOf(yield* Fiber.join(second))
      assert.deepInclude(late.reason, { _tag: "DeadlineExceeded", which: "total" })
      const third = yield* start(limited(llm), asking(1))
      yield* pass(15)
      yield* Fiber.interrupt(first)
      yield* settle
      yield* pass(4)
      assert.isUndefined(third.pollUnsafe())
      yield* pass(1)
      assert.deepInclude(errorOf(yield* Fiber.join(third)).reason, { _tag: "DeadlineExceeded", which: "total" })
    })
  )
})
