import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Llm from "../../Llm.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import * as Callbacks from "../../policy/Callbacks.ts"
import type { AnswerStream } from "../AnswerStream.ts"
import type { CallOptions, ObjectPart, ObjectSchema, ObjectValue, Options, Rill } from "../Rill.ts"
import { RillError } from "../RillError.ts"
import * as agent from "./agent.ts"
import { Answer, type Iterate, ServedAnswer } from "./Answer.ts"
import { Call } from "./Call.ts"
import { toEffects } from "./callbacks.ts"
import { connect, named } from "./connect.ts"
import { Iteration } from "./Iteration.ts"
import * as plain from "./plain.ts"
import * as policies from "./policies.ts"
import type { View } from "./respond.ts"

/**
 * Where a client's answers come from. What it fails with is what calls are rejected with.
 *
 * @internal
 */
export interface Provider {
  readonly name: string
  readonly llm: Effect.Effect<Llm.Llm["Service"], RillError, HttpClient.HttpClient | Scope.Scope>
}

/**
 * How calls of a client are made: as an answer to be read, or as a promise of which `entry` is the function that the
 * caller has called.
 *
 * @internal
 */
export interface Calls {
  readonly served: <A, B>(
    view: View & { readonly read: () => Stream.Stream<A, unknown, Llm.Llm> },
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>,
    options?: CallOptions
  ) => AnswerStream<B>
  readonly run: <A, B>(
    entry: (...args: Array<never>) => unknown,
    effect: Effect.Effect<A, unknown, Llm.Llm>,
    toPlain: (value: A) => B,
    options?: CallOptions
  ) => Promise<B>
}

/** What schemas of other libraries need is loaded by the first answer with one. */
const objects = Effect.promise(() => import("./object.ts"))

/** The model of each client, for others to fall back on. */
const models = new WeakMap<object, Layer.Layer<Llm.Llm, RillError>>()

/**
 * Makes a client of any provider.
 *
 * @internal
 */
export const make = (provider: Provider, options: Options): Rill => {
  const callbacks = toEffects(options.callbacks ?? {})
  const model = layer(provider, options)
  const runtime = ManagedRuntime.make(
    Layer.effect(Llm.Llm, Llm.Llm.useSync(Callbacks.attach(callbacks))).pipe(Layer.provide(model))
  )
  const running = new Set<{ readonly abort: (reason: unknown) => void }>()
  let closing: Promise<void> | undefined

  const start = <A>(
    call: Call<A>,
    effect: Effect.Effect<A, unknown, Llm.Llm>,
    options: CallOptions | undefined
  ): void => {
    if (closing !== undefined) return call.refuse(closed(provider.name))
    call.start(() => {
      running.add(call)
      const fiber = runtime.runFork(options === undefined ? effect : policies.within(effect, options))
      fiber.addObserver(() => running.delete(call))
      return fiber
    })
  }

  const iterate =
    (options: CallOptions | undefined): Iterate =>
    (effect, signal) =>
      new Iteration([signal, options?.signal], (call, deliver) => start(call, effect(deliver), options))

  const served: Calls["served"] = (view, toPlain, options) => new ServedAnswer(iterate(options), view, toPlain)

  const close = (): Promise<void> => {
    // Told before anything is stopped, since what stops may call again.
    closing ??= Promise.resolve().then(async () => {
      for (const call of running) call.abort(closed(provider.name))
      await runtime.dispose()
    })
    return closing
  }

  const runWith: Calls["run"] = (entry, effect, toPlain, options) =>
    new Promise((resolve, reject) => {
      const call = new Call<Effect.Success<typeof effect>>([options?.signal], (outcome) => {
        if (outcome._tag === "Done") resolve(toPlain(outcome.value))
        else if (outcome._tag === "Failed") reject(outcome.error)
      })
      start(call.madeBy(entry), effect, options)
    })

  const run: Rill["run"] = (input, options) => runWith(run, Llm.run(input), plain.response, options)

  const objectOf: Rill["object"] = <S extends ObjectSchema>(...[schema, input, options]: Parameters<Rill["object"]>) =>
    runWith(
      objectOf,
      Effect.flatMap(objects, (object) => {
        const asking = object.asking(schema, options?.jsonSchema)
        return Llm.object(asking.schema)(asking.request(input))
      }),
      // What the schema makes of it is of its type.
      (value) => value as ObjectValue<S>,
      options
    )

  const objectStream: Rill["objectStream"] = <S extends ObjectSchema>(
    ...[schema, input, options]: Parameters<Rill["objectStream"]>
  ) =>
    new Answer(
      iterate(options),
      () =>
        Stream.unwrap(
          Effect.map(objects, (object) => {
            const asking = object.asking(schema, options?.jsonSchema)
            return Llm.objectStream(asking.schema)(asking.request(input))
          })
        ),
      (parts) => parts as ReadonlyArray<ObjectPart<S>>
    )

  const rill: Rill = {
    run,
    stream: (input, options) =>
      served<string, string>({ of: "text", read: () => Llm.stream(input) }, identity, options),
    events: (input, options) =>
      served<LlmEvent, ReturnType<typeof plain.event>>(
        { of: "turn", read: () => Llm.events(input) },
        (events) => events.map(plain.event),
        options
      ),
    object: objectOf,
    objectStream,
    agent: (options) => agent.make({ served, run: runWith }, options, callbacks),
    close,
    [Symbol.asyncDispose]: close
  }
  models.set(rill, model)
  return rill
}

/** The model with its policies, and without the callbacks of its client. */
const layer = (
  { llm }: Provider,
  { fallback = [], fetch, retries, timeout }: Options
): Layer.Layer<Llm.Llm, RillError> => {
  const others = fallback.map((given, index) => other(given, index, retries))
  return Layer.effect(
    Llm.Llm,
    Effect.gen(function* () {
      const model = yield* llm
      const rest = yield* Effect.forEach(others, identity)
      return policies.attach(model, rest, { retries, timeout })
    })
  ).pipe(
    Layer.provide(FetchHttpClient.layer),
    // The global one is looked up at each request: tests and tracers replace it.
    Layer.provide(Layer.succeed(FetchHttpClient.Fetch, fetch ?? ((input, init) => globalThis.fetch(input, init))))
  )
}

/** Another model: of a client, or by its name, with a key of the environment. */
const other = (given: string | Rill, index: number, retries: Options["retries"]): Provider["llm"] => {
  if (typeof given === "string") {
    const { model, provider } = named(given, undefined)
    return Effect.map(connect(provider, { model }, {}).llm, (llm) => policies.attach(llm, [], { retries }))
  }
  const layer = typeof given === "object" && given !== null ? models.get(given) : undefined
  if (layer === undefined) throw new TypeError(`fallback[${index}] must be "provider/model", or a client of Rill.`)
  return Effect.map(Layer.build(layer), Context.get(Llm.Llm))
}

const closed = (provider: string): RillError =>
  new RillError("this client is closed. Make another one.", {
    reason: "Closed",
    provider,
    phase: "request",
    emitted: 0,
    isRetryable: false
  })
