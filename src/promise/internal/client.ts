import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Llm from "../../Llm.ts"
import * as Callbacks from "../../policy/Callbacks.ts"
import type { CallOptions, Options, Rill } from "../Rill.ts"
import { RillError } from "../RillError.ts"
import * as agent from "./agent.ts"
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
 * How calls of a client are made: as an iterable, or as a promise of which `entry` is the function that the
 * caller has called.
 *
 * @internal
 */
export interface Calls {
  readonly iterate: <A, B>(
    read: () => Stream.Stream<A, unknown, Llm.Llm>,
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>,
    options?: CallOptions
  ) => AsyncIterable<B>
  readonly run: <A, B>(
    entry: (...args: Array<never>) => unknown,
    effect: Effect.Effect<A, unknown, Llm.Llm>,
    toPlain: (value: A) => B,
    options?: CallOptions
  ) => Promise<B>
}

/**
 * Makes a client of any provider.
 *
 * @internal
 */
export const make = (provider: Provider, options: Options): Rill => {
  const callbacks = toEffects(options.callbacks ?? {})
  const runtime = ManagedRuntime.make(layer(provider, callbacks, options))
  const running = new Set<{ readonly abort: (reason: unknown) => void }>()
  let closing: Promise<void> | undefined

  const start = <A>(call: Call<A>, effect: Effect.Effect<A, unknown, Llm.Llm>): void => {
    if (closing !== undefined) return call.refuse(closed(provider.name))
    call.start(() => {
      running.add(call)
      const fiber = runtime.runFork(effect)
      fiber.addObserver(() => running.delete(call))
      return fiber
    })
  }

  const iterate: Calls["iterate"] = <A, B>(
    read: () => Stream.Stream<A, unknown, Llm.Llm>,
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>,
    { signal }: CallOptions = {}
  ) => ({
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

  const runWith: Calls["run"] = (entry, effect, toPlain, { signal } = {}) =>
    new Promise((resolve, reject) => {
      const call = new Call<Effect.Success<typeof effect>>(signal, (outcome) => {
        if (outcome._tag === "Done") resolve(toPlain(outcome.value))
        else if (outcome._tag === "Failed") reject(outcome.error)
      })
      start(call.madeBy(entry), effect)
    })

  const run: Rill["run"] = (input, options) => runWith(run, Llm.run(input), plain.response, options)

  return {
    run,
    stream: (input, options) => iterate(() => Llm.stream(input), identity, options),
    events: (input, options) =>
      iterate(
        () => Llm.events(input),
        (events) => events.map(plain.event),
        options
      ),
    agent: (options) => agent.make({ iterate, run: runWith }, options, callbacks),
    close,
    [Symbol.asyncDispose]: close
  }
}

const layer = (
  { llm }: Provider,
  callbacks: Callbacks.Callbacks,
  { fetch }: Pick<Options, "fetch">
): Layer.Layer<Llm.Llm> =>
  Layer.effect(Llm.Llm, Effect.map(llm, Callbacks.attach(callbacks))).pipe(
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
