/** Limits and circuits that several connections and processes share, in a real Redis. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import type { Llm } from "effect-rill/Llm"
import { Disconnected, type LlmError, ProviderFailed } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import * as CircuitBreaker from "effect-rill/policy/CircuitBreaker"
import * as RateLimit from "effect-rill/policy/RateLimit"
import * as RedisServer from "../support/RedisServer.ts"
import { arrays, finished, llmError, service, token } from "../support/scriptedLlm.ts"
import { circuitOptions, limitOptions } from "../support/sharedPolicies.ts"

if (!RedisServer.isInstalled) console.warn("redis-server is not installed: what it shares is not tested")

const redis = Effect.acquireRelease(
  Effect.promise(() => RedisServer.start()),
  ({ kill }) => Effect.promise(kill)
)

/** Stores by a connection of their own. */
const connect = (url: string) =>
  Layer.build(
    Layer.mergeAll(RateLimiter.layerStoreRedis(), Breaker.layerStoreRedis()).pipe(
      Layer.provideMerge(NodeRedis.layer({ url }))
    )
  )

const script = fileURLToPath(new URL("../support/RedisCaller.ts", import.meta.url))
const otherProcess = (url: string, what: "limit" | "circuit", times: number) =>
  Effect.promise(async (): Promise<ReadonlyArray<string>> => {
    const options = ["--conditions=rill-source", script, url, what, `${times}`]
    const { stdout } = await promisify(execFile)(process.execPath, options)
    return JSON.parse(stdout)
  })

const outcome = (llm: Llm["Service"], maxTokens = 1) =>
  Stream.runDrain(llm.events({ prompt: "Hi", maxTokens })).pipe(
    Effect.as("well"),
    Effect.catchTag("LlmError", ({ reason }) => Effect.succeed(reason._tag as string))
  )
const count = (outcomes: ReadonlyArray<string>, which: string) => outcomes.filter((one) => one === which).length

const well = service(arrays([[token("a")], [finished]]))
const fails = service(Stream.fail(llmError(new ProviderFailed({ message: "down" }))))
const used = (inputTokens: number): LlmEvent => ({
  _tag: "Finished",
  reason: "stop",
  usage: { source: "exact", inputTokens, outputTokens: 0 }
})

const quiet = Effect.provideService(References.MinimumLogLevel, "None")

describe.skipIf(!RedisServer.isInstalled)("in Redis", { timeout: 30_000 }, () => {
  it.live("two connections and another process share one limit", () =>
    Effect.gen(function* () {
      const { url } = yield* redis
      const llms = yield* Effect.forEach([1, 2], () =>
        Effect.gen(function* () {
          return (yield* Effect.provideContext(RateLimit.make(limitOptions), yield* connect(url)))(well)
        })
      )
      const mine = Effect.forEach([0, 1, 0, 1, 0, 1, 0, 1], (i) => outcome(llms[i]!), { concurrency: 4 })
      const [here, there] = yield* Effect.all([mine, otherProcess(url, "limit", 8)], { concurrency: 2 })
      const all = [...here, ...there]
      assert.deepStrictEqual([count(all, "well"), count(all, "RateLimited")], [10, 6])
      assert.deepStrictEqual(yield* otherProcess(url, "limit", 1), ["RateLimited"])
    }).pipe(Effect.scoped, quiet)
  )

  it.live(
    "tokens are settled in success, failure and interruption; who waits elsewhere waits for the same bucket",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redis
        const [one, two] = [yield* connect(url), yield* connect(url)]
        const options = { key: "tokens", tokens: 100, window: "1 day" } as const
        const limit = yield* Effect.provideContext(RateLimit.make(options), one)
        const left = Effect.map(
          RateLimiter.RateLimiterStore.use((store) =>
            store.tokenBucket({
              key: "tokens:tokens",
              tokens: 0,
              limit: 100,
              refillRate: Duration.millis(864_000),
              allowOverflow: true
            })
          ),
          ([remaining]) => remaining
        ).pipe(Effect.provideContext(two))

        yield* outcome(limit(service(arrays([[used(20)]]))), 49)
        assert.strictEqual(yield* left, 80)
        const usage = { source: "exact", inputTokens: 5, outputTokens: 5 } as const
        const cut = llmError(new Disconnected({ message: "cut" }), { usage })
        yield* outcome(limit(service(arrays([[token("a")]], Effect.fail(cut)))), 49)
        assert.strictEqual(yield* left, 70)

        // One who waits, and another who is in the middle of an answer, are interrupted.
        const begun = yield* Deferred.make<void>()
        const endless = service(
          Stream.concat(
            Stream.make(token("abcdefgh")),
            Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
          )
        )
        const during = yield* Effect.forkChild(outcome(limit(endless), 69))
        yield* Deferred.await(begun)
        const failing = yield* Effect.provideContext(RateLimit.make({ ...options, onExceeded: "fail" }), two)
        assert.strictEqual(yield* outcome(failing(well)), "RateLimited")
        const waiting = yield* Effect.forkChild(outcome(limit(well), 49))
        while ((yield* left) > -50) yield* Effect.yieldNow
        yield* Fiber.interrupt(waiting)
        assert.strictEqual(yield* left, 0)
        yield* Fiber.interrupt(during)
        assert.strictEqual(yield* left, 70 - 3)
        // More given back than is missing: a bucket is never more than full.
        const refunded = yield* Effect.provideContext(RateLimit.make({ ...options, key: "other" }), two)
        yield* outcome(refunded(service(arrays([[used(0)]]))), 99)
        assert.strictEqual(
          yield* outcome(
            (yield* Effect.provideContext(RateLimit.make({ ...options, key: "other", onExceeded: "fail" }), one))(well),
            100
          ),
          "well"
        )
      }).pipe(Effect.scoped, quiet)
  )

  it.live("two connections and another process share one circuit", () =>
    Effect.gen(function* () {
      const { url } = yield* redis
      const circuits = yield* Effect.forEach([1, 2], () =>
        Effect.gen(function* () {
          return yield* Effect.provideContext(CircuitBreaker.make(circuitOptions), yield* connect(url))
        })
      )
      yield* outcome(circuits[0]!(fails))
      yield* outcome(circuits[1]!(fails))
      assert.deepStrictEqual(yield* otherProcess(url, "circuit", 4), [
        "ProviderFailed",
        "ProviderFailed",
        "ProviderFailed",
        "CircuitOpen"
      ])
      for (const circuit of circuits) assert.strictEqual(yield* outcome(circuit(well)), "CircuitOpen")
    }).pipe(Effect.scoped, quiet)
  )

  it.live(
    "of several connections one has the probe; interrupted it frees it, and its first output closes for all",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redis
        const options = { key: "k", tripPolicy: CircuitBreaker.consecutive(1), openDuration: "1 milli" } as const
        const [a, b] = [
          yield* Effect.provideContext(CircuitBreaker.make(options), yield* connect(url)),
          yield* Effect.provideContext(CircuitBreaker.make(options), yield* connect(url))
        ] as const
        yield* outcome(a(fails))
        const begun = yield* Deferred.make<void>()
        const silent = service(Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
        const probe = yield* Effect.forkChild(
          Effect.repeat(outcome(a(silent)), { while: (outcome) => outcome === "CircuitOpen" })
        )
        yield* Deferred.await(begun)
        assert.deepStrictEqual(yield* Effect.all([outcome(a(well)), outcome(b(well))]), ["CircuitOpen", "CircuitOpen"])
        yield* Fiber.interrupt(probe)
        const speaking = yield* Deferred.make<void>()
        const endless = service(
          Stream.concat(
            Stream.make(token("a")),
            Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(speaking, undefined), Effect.never))
          )
        )
        const second = yield* Effect.forkChild(outcome(b(endless)))
        yield* Deferred.await(speaking)
        assert.deepStrictEqual(yield* Effect.all([outcome(a(well)), outcome(b(well))]), ["well", "well"])
        yield* Fiber.interrupt(second)
      }).pipe(Effect.scoped, quiet)
  )

  it.live("a Redis that goes away holds nobody up, and lets all pass or none, by choice", () =>
    Effect.gen(function* () {
      const server = yield* redis
      const stores = yield* connect(server.url)
      const policies = yield* Effect.forEach(["allow", "fail"] as const, (onStoreError) =>
        Effect.provideContext(
          Effect.all([
            RateLimit.make({ key: onStoreError, requests: 1, onStoreError }),
            CircuitBreaker.make({ key: onStoreError, onStoreError })
          ]),
          stores
        )
      )
      // One answer begins before and ends after: it is not spoiled.
      const [begun, gone] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const across = service(
        Stream.concat(
          Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(gone))),
          Stream.make(finished)
        )
      )
      const [limit, circuit] = policies[1]!
      const fiber = yield* Effect.forkChild(
        Effect.exit(Stream.runDrain(circuit(limit(across)).events({ prompt: "Hi" })))
      )
      yield* Deferred.await(begun)
      yield* Effect.promise(server.kill)
      yield* Deferred.succeed(gone, undefined)
      const exit: Exit.Exit<void, LlmError> = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isSuccess(exit))
      const outcomes = yield* Effect.forEach(policies.flat(), (policy) => outcome(policy(well)), { concurrency: 4 })
      assert.deepStrictEqual(outcomes, ["well", "well", "RateLimited", "CircuitOpen"])
      // The client would wait for its server for ever before it closes.
      Context.get(stores, NodeRedis.NodeRedis).client.destroy()
    }).pipe(Effect.scoped, quiet)
  )
})
