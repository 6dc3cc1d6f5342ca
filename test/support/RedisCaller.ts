/**
 * Another process that shares a limit and a circuit: asks a model so many times and tells what came, a line
 * of JSON.
 */
import { NodeRedis } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Breaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Stream from "effect/Stream"
import { ProviderFailed } from "effect-rill/LlmError"
import * as CircuitBreaker from "effect-rill/policy/CircuitBreaker"
import * as RateLimit from "effect-rill/policy/RateLimit"
import { arrays, finished, llmError, service } from "./scriptedLlm.ts"
import { circuitOptions, limitOptions } from "./sharedPolicies.ts"

const [url = "", what, times] = process.argv.slice(2)

const ask = Effect.gen(function* () {
  const limit = yield* RateLimit.make(limitOptions)
  const circuit = yield* CircuitBreaker.make(circuitOptions)
  const llm =
    what === "limit"
      ? limit(service(arrays([[finished]])))
      : circuit(service(Stream.fail(llmError(new ProviderFailed({ message: "down" })))))
  return yield* Effect.forEach(
    Array.from({ length: Number(times) }),
    () =>
      Stream.runDrain(llm.events({ prompt: "Hi" })).pipe(
        Effect.as("well"),
        Effect.catchTag("LlmError", ({ reason }) => Effect.succeed(reason._tag))
      ),
    { concurrency: what === "limit" ? 4 : 1 }
  )
})

const stores = Layer.mergeAll(RateLimiter.layerStoreRedis(), Breaker.layerStoreRedis()).pipe(
  Layer.provide(NodeRedis.layer({ url }))
)
console.log(JSON.stringify(await Effect.runPromise(Effect.provide(ask, stores))))
