import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Llm from "effect-rill/Llm"
import * as E from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { LlmRequest } from "effect-rill/LlmRequest"
import * as CircuitBreaker from "effect-rill/policy/CircuitBreaker"
import * as RateLimit from "effect-rill/policy/RateLimit"
import { settle } from "../support/agentLaws.ts"
import * as FailingStores from "../support/FailingStores.ts"
import { errorOf, arrays, finished, llmError, service, token } from "../support/scriptedLlm.ts"

const message = "?"
const down = llmError(new E.ProviderFailed({ message }), { phase: "headers" })
const started: LlmEvent = { _tag: "Started" }
const well = arrays([[started], [token("a")], [token("b")], [finished]])
const fails = Stream.fail(down)

/** A model that does what it is told next, and counts how often it is asked and how much of it is open. */
const puppet = (first: Stream.Stream<LlmEvent, E.LlmError> = well) => {
  const state = { next: first, asked: 0, open: 0 }
  const held = Effect.acquireRelease(
    Effect.sync(() => state.open++),
    () => Effect.sync(() => state.open--)
  )
  const model: Llm.Llm["Service"] = {
    events: () =>
      Stream.suspend(() => {
        state.asked++
        return Stream.scoped(Stream.unwrap(Effect.as(held, state.next)))
      })
  }
  return { model, state }
}

const request: LlmRequest = { prompt: "Hi", model: "m" }
const call = (llm: Llm.Llm["Service"]) => Effect.exit(Stream.runDrain(llm.events(request)))
const calls = (llm: Llm.Llm["Service"], count: number) =>
  Effect.forEach(Array.from({ length: count }), () => call(llm), { discard: true })
const pass = (seconds: number) => Effect.andThen(TestClock.adjust(Duration.seconds(seconds)), settle)

/** Whether a call is refused: until when, in seconds, or `true` where that is not known. */
const refusal = (llm: Llm.Llm["Service"]) =>
  Effect.map(call(llm), (exit) => {
    if (Exit.isSuccess(exit)) return false
    const error = errorOf(exit)
    if (error.reason._tag !== "CircuitOpen") return false
    return error.retryAfter === undefined ? true : Duration.toSeconds(error.retryAfter)
  })

const state = Breaker.CircuitBreakerStore.use((store) => store.state("k"))
const inStore = Effect.provide(Breaker.layerStoreMemory())
const one = CircuitBreaker.consecutive(1)

describe("CircuitBreaker", () => {
  describe("closed", () => {
    it.effect("opens after five failures without a success between", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(fails)
        const llm = CircuitBreaker.attach(model)
        yield* calls(llm, 4)
        state.next = well
        yield* calls(llm, 1)
        state.next = fails
        yield* calls(llm, 4)
        assert.strictEqual(errorOf(yield* call(llm)), down)
        assert.strictEqual(state.asked, 10)
        assert.strictEqual(yield* refusal(llm), 10)
        assert.strictEqual(state.asked, 10)
      })
    )

    it.effect("or by a policy of one's own", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(well)
        const llm = CircuitBreaker.attach(model, { tripPolicy: CircuitBreaker.rate({ size: 4, threshold: 0.5 }) })
        yield* calls(llm, 2)
        state.next = fails
        yield* calls(llm, 1)
        assert.strictEqual(yield* refusal(llm), false)
        assert.strictEqual(yield* refusal(llm), 10)
      })
    )

    const guilty: ReadonlyArray<E.Reason> = [
      new E.Unreachable({ message }),
      new E.Overloaded({ message }),
      new E.ProviderFailed({ message }),
      new E.DeadlineExceeded({ message, which: "headers" }),
      new E.DeadlineExceeded({ message, which: "first-token" }),
      new E.DeadlineExceeded({ message, which: "idle" }),
      new E.Disconnected({ message }),
      new E.Truncated({ message }),
      new E.Malformed({ message })
    ]
    const innocent: ReadonlyArray<E.Reason> = [
      new E.DeadlineExceeded({ message, which: "total" }),
      new E.Authentication({ message }),
      new E.PermissionDenied({ message }),
      new E.NotFound({ message }),
      new E.InvalidRequest({ message }),
      new E.ContextTooLong({ message }),
      new E.QuotaExhausted({ message }),
      new E.RateLimited({ message }),
      new E.ContentFiltered({ message }),
      new E.InvalidOutput({ message, path: [] }),
      new E.Unsupported({ message, feature: "x" }),
      new E.BudgetExceeded({ message }),
      new E.CircuitOpen({ message })
    ]

    it("every reason is decided", () => {
      const decided = new Set([...guilty, ...innocent].map(({ _tag }) => _tag))
      const all = E.Reason.members.map((member) => member.identifier)
      assert.deepStrictEqual([...decided].toSorted(), all.toSorted())
    })

    for (const [reasons, opens] of [
      [guilty, true],
      [innocent, false]
    ] as const) {
      for (const reason of reasons) {
        const name = reason._tag === "DeadlineExceeded" ? `${reason._tag} ${reason.which}` : reason._tag
        it.effect(`${name} ${opens ? "is the provider's failure" : "says nothing"}, before and after output`, () =>
          Effect.gen(function* () {
            for (const output of [[], [[started]], [[started], [token("a")]]]) {
              const error = llmError(reason)
              assert.strictEqual(CircuitBreaker.isProviderFailure(error), opens)
              const circuit = yield* CircuitBreaker.make({ key: "k", tripPolicy: one })
              yield* call(circuit(service(arrays(output, Effect.fail(error)))))
              assert.strictEqual((yield* state)._tag, opens ? "Open" : "Closed")
              yield* pass(3600 * 2)
            }
          }).pipe(inStore)
        )
      }
    }

    const reasoning = arrays([[{ _tag: "ReasoningDelta", text: "r" }]], Effect.never)
    const refusing = arrays([[{ _tag: "Refusal", text: "r" }]], Effect.never)
    const calling = arrays([[{ _tag: "ToolCallStarted", id: "1", name: "t" }]], Effect.never)
    const silent = arrays([[started, { _tag: "ToolCallDelta", id: "1", delta: "{" }]], Effect.never)
    const successes: ReadonlyArray<
      readonly [string, Stream.Stream<LlmEvent, E.LlmError>, take: number, success: boolean]
    > = [
      ["complete", well, 99, true],
      ["complete without anything", Stream.empty, 99, true],
      ["left after its beginning", well, 1, false],
      ["left after its first text", well, 2, true],
      ["left with its end", arrays([[finished]]), 1, true],
      ["left after reasoning", reasoning, 1, true],
      ["left after a refusal", refusing, 1, true],
      ["left after the beginning of a call", calling, 1, true],
      ["left after what is not output", silent, 2, false],
      ["of a bug before output", arrays([[started]], Effect.die("bug")), 99, false],
      ["of a bug after output", arrays([[token("a")]], Effect.die("bug")), 99, true],
      ["of the request before output", Stream.fail(llmError(new E.InvalidRequest({ message }))), 99, false],
      [
        "of the filter after output",
        arrays([[token("a")]], Effect.fail(llmError(new E.ContentFiltered({ message })))),
        99,
        true
      ]
    ]
    for (const [name, events, take, success] of successes) {
      it.effect(`an answer ${name} is ${success ? "a success" : "nothing"}`, () =>
        Effect.gen(function* () {
          const circuit = yield* CircuitBreaker.make({ key: "k", tripPolicy: CircuitBreaker.consecutive(2) })
          yield* call(circuit(service(fails)))
          yield* Effect.exit(Stream.runDrain(Stream.take(circuit(service(events)).events(request), take)))
          yield* call(circuit(service(fails)))
          // Of two failures that open the circuit, a success between makes the first void.
          assert.strictEqual((yield* state)._tag, success ? "Closed" : "Open")
        }).pipe(inStore)
      )
    }

    it.effect("by a classification of one's own", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(Stream.fail(llmError(new E.RateLimited({ message }))))
        const llm = CircuitBreaker.attach(model, {
          tripPolicy: one,
          isFailure: (error) => error.reason._tag === "RateLimited"
        })
        state.next = fails
        yield* calls(llm, 1)
        state.next = Stream.fail(llmError(new E.RateLimited({ message })))
        yield* calls(llm, 1)
        assert.strictEqual(yield* refusal(llm), 10)
      })
    )
  })

  describe("open", () => {
    it.effect("refuses at once, with the time until the next is let in", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(fails)
        const llm = CircuitBreaker.attach({ tripPolicy: one, openDuration: "1 minute" })(model)
        yield* call(llm)
        yield* pass(20)
        const error = errorOf(yield* call(llm))
        assert.strictEqual(error.reason._tag, "CircuitOpen")
        assert.deepStrictEqual(
          [error.provider, error.model, error.phase, error.emitted, error.usage, error.isRetryable],
          ["circuit-breaker", "m", "request", 0, undefined, true]
        )
        assert.strictEqual(error.retryAfter && Duration.toSeconds(error.retryAfter), 40)
        yield* pass(39)
        assert.strictEqual(yield* refusal(llm), 1)
        assert.strictEqual(state.asked, 1)
        yield* pass(1)
        assert.strictEqual(yield* refusal(llm), false)
        assert.strictEqual(state.asked, 2)
      })
    )

    it.effect("twice as long with each failure of a probe, up to a limit, and anew after a good time", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(fails)
        const llm = CircuitBreaker.attach(model, { tripPolicy: one, maxOpenDuration: "1 minute" })
        for (const seconds of [10, 20, 40, 60, 60]) {
          yield* call(llm)
          assert.strictEqual(yield* refusal(llm), seconds)
          yield* pass(seconds)
        }
        state.next = well
        yield* call(llm)
        yield* pass(60)
        state.next = fails
        yield* call(llm)
        assert.strictEqual(yield* refusal(llm), 10)
      })
    )

    it.effect("at least as long as the provider asks to wait, up to the limit", () =>
      Effect.gen(function* () {
        for (const [retryAfter, options, seconds] of [
          [5, {}, 10],
          [120, {}, 120],
          [3600, {}, 300],
          [3600, { maxOpenDuration: "30 seconds" }, 30],
          [1, { openDuration: "10 minutes" }, 600]
        ] as const) {
          const error = new E.LlmError({ ...down, retryAfter: Duration.seconds(retryAfter) })
          const llm = CircuitBreaker.attach(service(Stream.fail(error)), { tripPolicy: one, ...options })
          yield* call(llm)
          assert.strictEqual(yield* refusal(llm), seconds)
        }
      })
    )

    it.effect("another model answers at once", () =>
      Effect.gen(function* () {
        const { model } = puppet(fails)
        const first = CircuitBreaker.attach(model, { tripPolicy: one })
        yield* call(first)
        const either = Stream.catchTag(first.events(request), "LlmError", () => well)
        assert.strictEqual((yield* Stream.runCollect(either)).length, 4)
      })
    )
  })

  describe("half-open", () => {
    /** A circuit whose next request is its probe. */
    const halfOpen = Effect.fnUntraced(function* (options: CircuitBreaker.Options = {}) {
      const { model, state } = puppet(fails)
      const circuit = yield* CircuitBreaker.make({ key: "k", tripPolicy: one, ...options })
      const llm = circuit(model)
      yield* call(llm)
      yield* pass(10)
      state.next = well
      return { llm, puppet: state }
    })

    it.effect("lets one in, and refuses others until its first output closes the circuit", () =>
      Effect.gen(function* () {
        const { llm, puppet } = yield* halfOpen()
        const [speak, end] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
        const then = (gate: Deferred.Deferred<void>, events: Stream.Stream<LlmEvent>) =>
          Stream.concat(Stream.fromEffectDrain(Deferred.await(gate)), events)
        puppet.next = Stream.concat(
          Stream.make(started),
          Stream.concat(then(speak, Stream.make(token("a"))), then(end, Stream.make(finished)))
        )
        const probe = yield* Effect.forkChild(call(llm))
        yield* settle
        const others = yield* Effect.forEach([1, 2, 3], () => refusal(llm), { concurrency: 3 })
        assert.deepStrictEqual(others, [true, true, true])
        assert.strictEqual(puppet.asked, 2)
        yield* Deferred.succeed(speak, undefined)
        yield* settle
        // Its answer is not complete: the circuit is closed all the same.
        assert.strictEqual(probe.pollUnsafe(), undefined)
        assert.strictEqual((yield* state)._tag, "Closed")
        puppet.next = well
        assert.strictEqual(yield* refusal(llm), false)
        yield* Deferred.succeed(end, undefined)
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(probe)))
      }).pipe(inStore)
    )

    it.effect("a reader who pauses after the first output keeps nobody out", () =>
      Effect.gen(function* () {
        const { llm } = yield* halfOpen()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(llm.events(request), (event) => (event._tag === "TextDelta" ? Effect.never : Effect.void))
        )
        yield* settle
        assert.strictEqual(yield* refusal(llm), false)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* state)._tag, "Closed")
      }).pipe(inStore)
    )

    it.effect("what becomes of a probe after its first output is not counted", () =>
      Effect.gen(function* () {
        const { llm, puppet } = yield* halfOpen()
        puppet.next = arrays([[token("a")]], Effect.fail(down))
        assert.strictEqual(errorOf(yield* call(llm)), down)
        assert.strictEqual((yield* state)._tag, "Closed")
      }).pipe(inStore)
    )

    it.effect(
      "a probe that is complete without output closes, one that fails opens, one that says nothing makes room",
      () =>
        Effect.gen(function* () {
          for (const [next, tag] of [
            [Stream.empty, "Closed"],
            [Stream.fail(down), "Open"],
            [arrays([[started]], Effect.fail(down)), "Open"],
            [Stream.fail(llmError(new E.RateLimited({ message }))), "HalfOpen"],
            [Stream.die("bug"), "HalfOpen"],
            [Stream.fromEffectDrain(Effect.interrupt), "HalfOpen"]
          ] as const) {
            yield* Effect.gen(function* () {
              const { llm, puppet } = yield* halfOpen()
              puppet.next = next
              yield* call(llm)
              const now = yield* state
              assert.strictEqual(now._tag, tag)
              if (now._tag === "HalfOpen") assert.isFalse(now.probing)
              puppet.next = well
              assert.strictEqual(yield* refusal(llm), tag === "Open" ? 20 : false)
            }).pipe(inStore)
          }
        })
    )

    it.effect("a probe that is interrupted, wherever it stands, makes room for the next and leaves nothing", () =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (let turns = 0; turns < 90; turns++) {
          yield* Effect.gen(function* () {
            const { llm, puppet } = yield* halfOpen()
            const slowly = Stream.mapEffect(well, (event) =>
              Effect.as(
                Effect.forEach([1, 2, 3], () => Effect.yieldNow),
                event
              )
            )
            puppet.next = slowly
            const fiber = yield* Effect.forkChild(call(llm))
            for (let i = 0; i < turns; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            assert.strictEqual(puppet.open, 0)
            const now = yield* state
            seen.add(now._tag)
            assert.isFalse(now._tag === "HalfOpen" && now.probing, `after ${turns}`)
            puppet.next = well
            assert.strictEqual(yield* refusal(llm), false, `after ${turns}`)
            assert.strictEqual((yield* state)._tag, "Closed")
          }).pipe(Effect.provide(FailingStores.breaker(() => "slow")))
        }
        // Before the probe was let in, while it was one, and after it had closed the circuit.
        assert.deepStrictEqual([...seen].toSorted(), ["Closed", "HalfOpen", "Open"])
      })
    )

    it.effect("a probe is recorded once, before its first output is passed on", () =>
      Effect.gen(function* () {
        const log: Array<string> = []
        yield* Effect.gen(function* () {
          const { llm } = yield* halfOpen()
          yield* Stream.runForEach(llm.events(request), ({ _tag }) => Effect.sync(() => void log.push(_tag)))
        }).pipe(Effect.provide(FailingStores.breaker((call) => (log.push(call), "well"))))
        const first = ["admit", "record"]
        assert.deepStrictEqual(log, [...first, "admit", "Started", "record", "TextDelta", "TextDelta", "Finished"])
      })
    )

    it.effect("a probe that waits for a rate limit under the circuit can be interrupted", () =>
      Effect.gen(function* () {
        let next: Stream.Stream<LlmEvent, E.LlmError> = fails
        const limited = RateLimit.attach(
          { events: () => Stream.suspend(() => next) },
          { requests: 1, window: "1 hour" }
        )
        const llm = (yield* CircuitBreaker.make({ key: "k", tripPolicy: one }))(limited)
        yield* call(llm)
        yield* pass(10)
        const fiber = yield* Effect.forkChild(call(llm))
        yield* settle
        assert.isTrue(yield* refusal(llm))
        yield* Fiber.interrupt(fiber)
        const now = yield* state
        assert.isTrue(now._tag === "HalfOpen" && !now.probing)
        next = well
        const probe = yield* Effect.forkChild(call(llm))
        yield* pass(3600)
        assert.isTrue(Exit.isSuccess(yield* Fiber.join(probe)))
      }).pipe(inStore)
    )

    it.effect("a classification that throws is a defect, and makes room all the same", () =>
      Effect.gen(function* () {
        const bug = {
          isFailure: (error: E.LlmError) => {
            if (error !== down) throw new Error("bug")
            return true
          }
        }
        const { llm, puppet } = yield* halfOpen(bug)
        puppet.next = Stream.fail(llmError(new E.Overloaded({ message })))
        assert.isTrue(Exit.hasDies(yield* call(llm)))
        const now = yield* state
        assert.isTrue(now._tag === "HalfOpen" && !now.probing)
      }).pipe(inStore)
    )

    it.effect("outcomes of calls from before the circuit opened change nothing", () =>
      Effect.gen(function* () {
        const { model, state: puppet } = puppetOfTwo()
        const circuit = yield* CircuitBreaker.make({ key: "k", tripPolicy: one })
        const llm = circuit(model)
        const old = yield* Effect.forkChild(call(llm))
        yield* settle
        puppet.next = fails
        yield* call(llm)
        yield* Deferred.succeed(puppet.gate, undefined)
        yield* Fiber.join(old)
        assert.strictEqual((yield* state)._tag, "Open")
      }).pipe(inStore)
    )
    const puppetOfTwo = () => {
      const gate = Deferred.makeUnsafe<void>()
      const { model, state } = puppet(Stream.concat(Stream.fromEffectDrain(Deferred.await(gate)), well))
      return { model, state: Object.assign(state, { gate }) }
    }
  })

  it.effect("transitions are told, and one that dies is not the answer's", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { model, state } = puppet(fails)
      const llm = CircuitBreaker.attach(model, {
        tripPolicy: one,
        onTransition: ({ from, to }) => {
          log.push(`${from} ${to}`)
          if (log.length % 2 === 0) throw new Error("bug")
          return Effect.die(new Error("bug"))
        }
      })
      yield* call(llm)
      yield* pass(10)
      assert.strictEqual(errorOf(yield* call(llm)), down)
      yield* pass(20)
      state.next = well
      assert.isTrue(Exit.isSuccess(yield* call(llm)))
      assert.deepStrictEqual(log, ["Closed Open", "Open HalfOpen", "HalfOpen Open", "Open HalfOpen", "HalfOpen Closed"])
    }).pipe(Effect.provideService(References.UnhandledLogLevel, undefined))
  )

  it.effect("is told once the connection is closed, and before the end is told", () =>
    Effect.gen(function* () {
      for (const source of [well, fails]) {
        const log: Array<string> = []
        const { model, state } = puppet(source)
        const store = Layer.effect(
          Breaker.CircuitBreakerStore,
          Breaker.CircuitBreakerStore.useSync((store) => ({
            ...store,
            record: (options) => {
              log.push(`${options.outcome}, ${state.open} open`)
              return store.record(options)
            }
          }))
        ).pipe(Layer.provide(Breaker.layerStoreMemory()))
        const circuit = yield* Effect.provide(CircuitBreaker.make({ key: "k" }), store)
        yield* call(circuit(model))
        assert.deepStrictEqual(log, [source === well ? "Success, 0 open" : "Failure, 0 open"])
      }
    })
  )

  describe("a store that fails", () => {
    for (const fate of ["fails", "dies", "silent"] as const) {
      it.effect(`to let in: ${fate}`, () =>
        Effect.gen(function* () {
          for (const onStoreError of [undefined, "allow", "fail"] as const) {
            const { model, state } = puppet(well)
            const circuit = yield* Effect.provide(
              CircuitBreaker.make({ key: "k", onStoreError }),
              FailingStores.breaker(() => fate)
            )
            const fiber = yield* Effect.forkChild(call(circuit(model)))
            yield* settle
            if (fate === "silent") {
              yield* pass(0.999)
              assert.strictEqual(fiber.pollUnsafe(), undefined)
              yield* pass(0.001)
            }
            assert.isDefined(fiber.pollUnsafe())
            const exit = yield* Fiber.join(fiber)
            if (onStoreError === "fail") {
              assert.strictEqual(errorOf(exit).reason._tag, "CircuitOpen")
              assert.include(errorOf(exit).message, "cannot be asked")
              assert.strictEqual(errorOf(exit).retryAfter, undefined)
            } else assert.isTrue(Exit.isSuccess(exit))
            assert.strictEqual(state.asked, onStoreError === "fail" ? 0 : 1)
          }
        }).pipe(Effect.provideService(References.UnhandledLogLevel, undefined))
      )

      it.effect(`to record: ${fate}`, () =>
        Effect.gen(function* () {
          for (const source of [well, fails]) {
            let recorded = 0
            const circuit = yield* Effect.provide(
              CircuitBreaker.make({ key: "k", onStoreError: "fail" }),
              FailingStores.breaker((call) => (call === "admit" ? "well" : (recorded++, fate)))
            )
            const fiber = yield* Effect.forkChild(call(circuit(service(source))))
            yield* settle
            if (fate === "silent") yield* pass(1)
            assert.isDefined(fiber.pollUnsafe())
            const exit = yield* Fiber.join(fiber)
            if (source === well) assert.isTrue(Exit.isSuccess(exit))
            else assert.strictEqual(errorOf(exit), down)
            assert.strictEqual(recorded, 1)
          }
        }).pipe(Effect.provideService(References.UnhandledLogLevel, undefined))
      )
    }
  })

  describe("what shares a circuit", () => {
    it.effect("all users of a layer; each build and each attach has its own", () =>
      Effect.gen(function* () {
        const { model, state } = puppet(fails)
        const layers = [
          Layer.succeed(Llm.Llm, model).pipe(CircuitBreaker.layer({ tripPolicy: one })),
          CircuitBreaker.layer(Layer.succeed(Llm.Llm, model), { tripPolicy: one })
        ]
        for (const layer of layers) {
          const both = yield* Effect.provide(Effect.all([Effect.flip(Llm.run("a")), Effect.flip(Llm.run("b"))]), layer)
          assert.deepStrictEqual(
            both.map(({ reason }) => reason._tag),
            ["ProviderFailed", "CircuitOpen"]
          )
        }
        const attach = CircuitBreaker.attach({ tripPolicy: one })
        for (const llm of [attach(model), attach(model)]) assert.strictEqual(yield* refusal(llm), false)
        assert.strictEqual(state.asked, 4)
        // Without options, either way.
        state.next = well
        for (const layer of [
          CircuitBreaker.layer()(Layer.succeed(Llm.Llm, model)),
          CircuitBreaker.layer(Layer.succeed(Llm.Llm, model))
        ]) {
          assert.strictEqual((yield* Effect.provide(Llm.run("a"), layer)).text, "ab")
        }
        assert.strictEqual(yield* refusal(CircuitBreaker.attach()(model)), false)
      })
    )

    it.effect("all models that one is set on, and all circuits of one key in one store", () =>
      Effect.gen(function* () {
        const options = { key: "k", tripPolicy: one }
        const [a, b] = [yield* CircuitBreaker.make(options), yield* CircuitBreaker.make(options)]
        const other = yield* CircuitBreaker.make({ ...options, key: "other" })
        const store = yield* Breaker.CircuitBreakerStore
        const shared = yield* Effect.provide(
          Llm.Llm,
          Layer.succeed(Llm.Llm, service(well)).pipe(
            CircuitBreaker.layerShared(options),
            Layer.provide(Layer.succeed(Breaker.CircuitBreakerStore, store))
          )
        )
        yield* call(a(service(fails)))
        for (const llm of [a(service(well)), b(service(well)), shared]) assert.strictEqual(yield* refusal(llm), 10)
        assert.strictEqual(yield* refusal(other(service(well))), false)
      }).pipe(inStore)
    )

    it("what else a service has stays", () => {
      const llm = { ...service(well), more: 1 }
      assert.propertyVal(CircuitBreaker.attach(llm), "more", 1)
    })
  })
})
