/**
 * The server from a request to its response: who may ask, which route it is, what is logged.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Llm from "../../Llm.ts"
import * as Callbacks from "../../policy/Callbacks.ts"
import * as Body from "./Body.ts"
import { Entry } from "./Entry.ts"
import type { Guard } from "./Guard.ts"
import { Refusal, respond } from "./Refusal.ts"
import type { Route } from "./Routes.ts"

/**
 * What a server is made of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly llm: Llm.Llm["Service"]
  /** Instructions that go before every prompt. */
  readonly system: string | undefined
  readonly routes: ReadonlyMap<string, Route>
  readonly guard: Guard
  /** In bytes. */
  readonly maxBody: number
  /** Done when the server is to stop. */
  readonly stopping: Deferred.Deferred<void>
  readonly log: (line: string) => Effect.Effect<void>
}

/**
 * Makes the handler of all requests. Every one of them is answered, and logged when it has ended.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | Scope.Scope> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const [path, query] = split(request.url)
    const entry = new Entry(request.method, path, yield* Clock.currentTimeMillis)
    // What it stands for ends before: scopes close backwards.
    yield* Effect.addFinalizer((exit) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        options.log(entry.line(now, exit, Deferred.isDoneUnsafe(options.stopping)))
      )
    )
    // A client that leaves interrupts; a server runs its handler such that nothing else does.
    const answered = Effect.interruptible(answer(options, request, path, query, entry))
    const response = yield* Effect.catchCause(answered, (cause) => {
      const error = Option.getOrUndefined(Cause.findErrorOption(cause))
      if (error !== undefined) return Effect.succeed(respond(error, path))
      if (Cause.hasInterrupts(cause)) return Effect.failCause(cause as Cause.Cause<never>)
      return Effect.as(Effect.logError("a request met a defect", cause), respond(internal, path))
    })
    entry.status ??= response.status
    return HttpServerResponse.setHeaders(response, options.guard.cors(request.headers))
  })

const answer = (
  options: Options,
  request: HttpServerRequest.HttpServerRequest,
  path: string,
  query: string,
  entry: Entry
) =>
  Effect.gen(function* () {
    if (Deferred.isDoneUnsafe(options.stopping)) return yield* stopping
    yield* options.guard.check(request.headers)
    const route = options.routes.get(path)
    if (route === undefined) return yield* notFound
    const { method } = request
    if (method === "OPTIONS") return allowing(route, request)
    const handler =
      method === "GET" || (method === "HEAD" && route.isFree === true)
        ? route.GET
        : method === "POST"
          ? route.POST
          : undefined
    if (handler === undefined) return yield* notAllowed(route)
    yield* Body.checkSize(request, options.maxBody)
    const llm = Callbacks.attach(options.llm, entry.callbacks)
    const { system } = options
    // Its response is never seen: the connection is not HTTP's any more.
    if (request.headers["upgrade"]?.toLowerCase() === "websocket" && path === "/ws") entry.status = 101
    return yield* handler({
      request,
      query,
      idle: Effect.andThen(Deferred.await(options.stopping), idle(entry)),
      events: (request) => llm.events(system === undefined ? request : { ...request, system })
    })
  })

/** Until no answer is running, and the last one has had time to be written. */
const idle = (entry: Entry): Effect.Effect<void> =>
  Effect.suspend(() => Effect.sleep("100 millis").pipe(Effect.andThen(entry.running === 0 ? Effect.void : idle(entry))))

const split = (url: string): readonly [path: string, query: string] => {
  const mark = url.indexOf("?")
  return mark === -1 ? [url, ""] : [url.slice(0, mark), url.slice(mark + 1)]
}

const methods = (route: Route): string => {
  const allowed = ["GET", "POST"].filter((method) => method in route)
  return [...allowed, ...(route.isFree === true ? ["HEAD"] : []), "OPTIONS"].join(", ")
}

/** What may be done here; to a page that asks for permission, that it has it (the guard has looked). */
const allowing = (
  route: Route,
  request: HttpServerRequest.HttpServerRequest
): HttpServerResponse.HttpServerResponse => {
  const allow = methods(route)
  const { "access-control-request-headers": headers, "access-control-request-method": method } = request.headers
  return HttpServerResponse.empty({
    status: 204,
    headers:
      method === undefined
        ? { allow }
        : {
            allow,
            "access-control-allow-methods": allow,
            ...(headers === undefined ? undefined : { "access-control-allow-headers": headers }),
            "access-control-max-age": "600"
          }
  })
}

const notAllowed = (route: Route): Effect.Effect<never, Refusal> => {
  const allow = methods(route)
  return Effect.fail(
    new Refusal({ reason: "MethodNotAllowed", message: `the methods here are ${allow}.`, headers: { allow } })
  )
}

const notFound = Effect.fail(
  new Refusal({ reason: "NotFound", message: "there is nothing here. GET / says what there is." })
)

const stopping = Effect.fail(
  new Refusal({
    reason: "Stopping",
    message: "the server is stopping.",
    headers: { connection: "close", "retry-after": "5" }
  })
)

const internal = new Refusal({ reason: "Internal", message: "the server failed. Its log says why." })
