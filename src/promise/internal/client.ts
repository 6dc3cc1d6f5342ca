import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Llm from "../../Llm.ts"
import type { LlmError } from "../../LlmError.ts"
import type { LlmResponse } from "../../LlmResponse.ts"
import * as Callbacks from "../../policy/Callbacks.ts"
import type { CallOptions, Options, Rill } from "../Rill.ts"
import { RillError } from "../RillError.ts"
import { Call } from "./Call.ts"
import { toEffects } from "./callbacks.ts"
import { Iteration } from "./Iteration.ts"
import * as plain from "./plain.ts"

/**
 * Where a client's answers come from.
 *
 * @internal
 */
export interface Provider {
  readonly name: string
  readonly llm: Effect.Effect<Llm.Llm["Service"], never, HttpClient.HttpClient>
}

/**
 * Makes a client of any provider.
 *
 * @internal
 */
export const make = (provider: Provider, options: Options): Rill => {
  const runtime = ManagedRuntime.make(layer(provider, options))
  const running = new Set<{ readonly abort: (reason: unknown) => void }>()
  let closing: Promise<void> | undefined

  const start = <A>(call: Call<A>, effect: Effect.Effect<A, LlmError, Llm.Llm>): void => {
    if (closing !== undefined) return call.refuse(closed(provider.name))
    call.start(() => {
      running.add(call)
      const fiber = runtime.runFork(effect)
      fiber.addObserver(() => running.delete(call))
      return fiber
    })
  }

  const iterate = <A, B>(
    read: () => Stream.Stream<A, LlmError, Llm.Llm>,
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>,
    { signal }: CallOptions = {}
  ): AsyncIterable<B> => ({
    [Symbol.asyncIterator]: () =>
      new Iteration<B>(signal, (call, deliver) =>
        start(
          call,
          Stream.runForEachArray(read(), (items) => deliver(toPlain(items)))
        )
      )
  })

  const close = (): Promise<void> => {
    // Told before anything is stopped, since what stops may call again.
    closing ??= Promise.resolve().then(async () => {
      for (const call of running) call.abort(closed(provider.name))
      await runtime.dispose()
    })
    return closing
  }

  const run: Rill["run"] = (input, { signal } = {}) =>
    new Promise((resolve, reject) => {
      const call = new Call<LlmResponse>(signal, (outcome) => {
        if (outcome._tag === "Done") resolve(plain.response(outcome.value))
        else if (outcome._tag === "Failed") reject(outcome.error)
      })
      start(call.madeBy(run), Llm.run(input))
    })

  return {
    run,
    stream: (input, options) => iterate(() => Llm.stream(input), identity, options),
    events: (input, options) =>
      iterate(
        () => Llm.events(input),
        (events) => events.map(plain.event),
        options
      ),
    close,
    [Symbol.asyncDispose]: close
  }
}

const layer = ({ llm }: Provider, { callbacks = {}, fetch }: Options): Layer.Layer<Llm.Llm> =>
  Layer.effect(Llm.Llm, Effect.map(llm, Callbacks.attach(toEffects(callbacks)))).pipe(
    Layer.provide(FetchHttpClient.layer),
    // The global one is looked up at each request: tests and tracers replace it.
    Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch ?? ((input, init) => globalThis.fetch(input, init))))
  )

const closed = (provider: string): RillError =>
  new RillError("this client is closed. Make another one.", {
    reason: "Closed",
    provider,
    phase: "request",
    emitted: 0,
    isRetryable: false
  })
