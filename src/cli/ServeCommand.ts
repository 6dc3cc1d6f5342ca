/**
 * `rill serve`: one model behind the formats that clients read.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Logger from "effect/Logger"
import * as NetAddress from "effect/net/NetAddress"
import * as Stdio from "effect/Stdio"
import { Failed, UsageError } from "./Failure.ts"
import * as Model from "./Model.ts"
import * as Screen from "./Screen.ts"
import * as App from "./serve/App.ts"
import * as Guard from "./serve/Guard.ts"
import * as Listening from "./serve/Listening.ts"
import * as Routes from "./serve/Routes.ts"
import * as Welcome from "./serve/Welcome.ts"

/**
 * What was asked for on the command line.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly model: string | undefined
  readonly api: Model.Api | undefined
  /** Instructions that go before every prompt. */
  readonly system: string | undefined
  readonly host: string
  readonly port: number
  /** Origins whose pages may ask, besides the server's own. */
  readonly origins: ReadonlyArray<string>
  /** The largest body, in MiB. */
  readonly maxBody: number
  /** Whether requests go without their lines. */
  readonly quiet: boolean
}

/**
 * Serves until it is interrupted.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(
  function* (screen: Screen.Screen, options: Options) {
    const stdio = yield* Stdio.Stdio
    const say = (tone: "error" | "note", text: string) =>
      Effect.provideService(Screen.say(screen, tone, text), Stdio.Stdio, stdio)
    const log = (line: string) => (options.quiet ? Effect.void : say("note", line))
    // Known before a model is looked for.
    yield* checkOrigins(options.origins)
    const model = yield* Model.choose(options.model, options.api)
    const server = yield* Listening.listen({
      host: options.host,
      port: options.port,
      log: (line) => Effect.runFork(log(line))
    })
    const { address } = server
    if (address._tag === "UnixPathAddress") return yield* new Failed({ message: `--host ${options.host} is a path.` })
    const loopback = Guard.isLoopback(new URL(NetAddress.formatUrlUnsafe(address)).hostname)
    const base = baseOf(NetAddress.formatUrlUnsafe(address))
    const welcome = Welcome.make(model.name, base)
    const maxBody = options.maxBody * 1024 ** 2
    const stopping = Deferred.makeUnsafe<void>()
    const app = App.make({
      llm: model.llm,
      system: options.system,
      routes: Routes.make({ model: model.name, maxBody, welcome }),
      guard: Guard.make({ loopback, host: options.host, origins: options.origins }),
      maxBody,
      stopping,
      log
    })
    const serving = Effect.gen(function* () {
      yield* Effect.provide(server.serve(app), Logger.layer([defects(say)]))
      if (model.note !== undefined) yield* say("note", model.note)
      if (!loopback) {
        yield* say("note", `whoever reaches port ${address.port} of this machine may ask the model, and you pay.`)
      }
      yield* Console.log(welcome)
      return yield* Effect.onInterrupt(Effect.never, () =>
        Effect.andThen(
          Deferred.succeed(stopping, undefined),
          say("note", "stopping: answers that are running have 5 s. Once more to end at once.")
        )
      )
    })
    // A scope of its own, which closes first: the server's waits for its WebSockets, and nobody would close them.
    return yield* Effect.scoped(serving)
  },
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer)
)

/** A server that is everywhere is here, too. */
const baseOf = (url: string): string => url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

const checkOrigins = (origins: ReadonlyArray<string>): Effect.Effect<void, UsageError> =>
  Effect.try({
    try: () => void Guard.make({ loopback: true, host: "", origins }),
    catch: (error) =>
      new UsageError({ message: `--origin: ${error instanceof Error ? error.message : String(error)}.` })
  })

/** Faults of rill's. A client is told only that there was one. */
const defects = (say: (tone: "error", text: string) => Effect.Effect<void>) =>
  Logger.make(({ cause, message }) => {
    const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
    const why = cause.reasons.length === 0 ? "" : `: ${Cause.pretty(cause)}`
    Effect.runFork(say("error", `${text}${why}`))
  })
