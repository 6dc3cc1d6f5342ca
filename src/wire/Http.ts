/**
 * One request out, over the caller's `HttpClient`: fetch, undici or node:http.
 *
 * Keys stay where they were sent: redirects are followed by hand and only within the origin, no span
 * and no error holds a request, a URL's query or an `HttpClientError`, and trace headers are not sent
 * to providers.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Function from "effect/Function"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type DeadlineExceeded, Disconnected, InvalidRequest, Unreachable } from "../LlmError.ts"
import * as Body from "./Body.ts"
import type { Watchdog } from "./Watchdog.ts"

/**
 * A POST of JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
  /** The content type that is asked for. */
  readonly accept: string
}

/**
 * An answer with a good status, its body not yet read. The connection closes with the scope.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly contentType: string
  readonly requestId: string | undefined
  readonly body: Body.Body<Body.BodyError>
  /** To be told that the body has come to its end: the connection is not closed then, but used again. */
  readonly release: () => void
  /** The answer as a bad one, for a body that is not what was asked for. */
  readonly toFailure: (body: string) => HttpFailure
}

/**
 * An answer with a bad status, or with a good one and a body that is not what was asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpFailure {
  readonly _tag: "HttpFailure"
  readonly status: number
  readonly headers: Headers.Headers
  /** The beginning of the body: at most {@link maxErrorBody} bytes of it, and what came within 5 s. */
  readonly body: string
  readonly requestId: string | undefined
  /** The delay that the headers ask for. */
  readonly retryAfter: Duration.Duration | undefined
  /** The headers' own word on retrying. */
  readonly shouldRetry: boolean | undefined
}

/**
 * How much of an error's body is read, in bytes: 64 KiB.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxErrorBody = 64 * 1024

/**
 * A client whose requests end with the scope they are made in: of `HttpClient.withScope`.
 *
 * @category models
 * @since 0.1.0
 */
export type Client = HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>

/**
 * Sends a request and gives its answer, or what kept it from coming in time.
 *
 * @category requests
 * @since 0.1.0
 */
export const send = Effect.fnUntraced(function* (
  client: Client,
  request: Request,
  watchdog: Watchdog
): Effect.fn.Return<Answer, HttpFailure | Unreachable | InvalidRequest | DeadlineExceeded, Scope.Scope> {
  const prepared = check(request)
  if (Result.isFailure(prepared)) return yield* prepared.failure
  const { release, response } = yield* watchdog.within(exchange(client, prepared.success, 0), watchdog.limits.headers)
  const now = yield* Clock.currentTimeMillis
  const requestId = firstHeader(response.headers, requestIdHeaders)
  const toFailure = (body: string): HttpFailure => ({
    _tag: "HttpFailure",
    status: response.status,
    headers: response.headers,
    body,
    requestId,
    retryAfter: retryAfter(response.headers, now),
    shouldRetry: shouldRetry(response.headers)
  })
  if (response.status < 200 || response.status >= 300) {
    return yield* Effect.fail(toFailure(yield* readErrorBody(response)))
  }
  const contentType = response.headers["content-type"] ?? ""
  return { contentType, requestId, body: Body.fromResponse(response), release, toFailure }
})

const maxRedirects = 5

const exchange = Effect.fnUntraced(function* (
  client: Client,
  request: HttpClientRequest.HttpClientRequest,
  redirects: number
): Effect.fn.Return<Held, Unreachable | InvalidRequest, Scope.Scope> {
  const held = yield* execute(client, request)
  const { response } = held
  const { url } = request
  const location = response.headers["location"]
  if (response.status >= 300 && response.status < 400 && location !== undefined) {
    const target = yield* redirectTarget(url, response.status, location, redirects)
    yield* held.close
    return yield* exchange(client, HttpClientRequest.setUrl(request, target), redirects + 1)
  }
  // A browser hides where it was redirected to.
  if (response.status === 0) {
    return yield* new InvalidRequest({
      message: `${originOf(url)} answers with a redirect, which a browser does not let us check. Set the base URL to its target.`
    })
  }
  return held
})

/** A response whose request is aborted when the scope ends, unless it was released before. */
interface Held {
  readonly response: HttpClientResponse.HttpClientResponse
  readonly release: () => void
  readonly close: Effect.Effect<void>
}

const execute = (
  client: Client,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Held, Unreachable, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    // An abort costs an error with its stack: none is needed once all has come.
    const inner = Scope.makeUnsafe()
    let isReleased = false
    const release = (): void => void (isReleased = true)
    const close = Effect.suspend(() => (isReleased ? Effect.void : Scope.close(inner, Exit.void)))
    return Scope.addFinalizer(scope, close).pipe(
      Effect.andThen(client.execute(request)),
      Effect.updateContext((context: Context.Context<never>) => Context.add(withPrivacy(context), Scope.Scope, inner)),
      Effect.mapBoth({
        onSuccess: (response): Held => ({ response, release, close }),
        onFailure: (error) => unreachable(request.url, error)
      })
    )
  })

/**
 * Says why a body broke off, without what the error carries.
 *
 * @category errors
 * @since 0.1.0
 */
export const bodyFailed = (error: Body.BodyError): Disconnected => {
  const code = errorCode(error)
  return new Disconnected({
    message: `the connection broke while the answer was coming${code === undefined ? "" : ` (${code})`}. Ask again.`,
    ...(code === undefined ? undefined : { code })
  })
}

/**
 * The delay that headers ask for: `retry-after-ms` (milliseconds, of OpenAI and Azure) before
 * `retry-after` (seconds or an HTTP date, RFC 9110 §10.2.3). What is neither is no delay.
 *
 * @category headers
 * @since 0.1.0
 */
export const retryAfter = (headers: Headers.Headers, now: number): Duration.Duration | undefined => {
  const milliseconds = headers["retry-after-ms"]
  if (milliseconds !== undefined && /^\d+(\.\d+)?$/.test(milliseconds.trim())) {
    return Duration.millis(Number(milliseconds))
  }
  const header = headers["retry-after"]
  if (header === undefined) return undefined
  if (/^\d+\.\d+$/.test(header.trim())) return Duration.millis(Math.ceil(Number(header) * 1000))
  const parsed = Headers.parseRetryAfter(header)
  return Result.isSuccess(parsed) ? Headers.retryAfterDelay(parsed.success, now) : undefined
}

const shouldRetry = (headers: Headers.Headers): boolean | undefined => {
  const header = headers["x-should-retry"]
  return header === "true" ? true : header === "false" ? false : undefined
}

const requestIdHeaders = ["x-request-id", "request-id", "apim-request-id", "x-ms-request-id"]

const firstHeader = (headers: Headers.Headers, names: ReadonlyArray<string>): string | undefined => {
  for (const name of names) if (headers[name]) return headers[name]
  return undefined
}

/** Headers that carry keys, at one provider or another, beyond those that `effect/http` redacts. */
const keyHeaders = ["api-key", "x-goog-api-key", "ocp-apim-subscription-key", "proxy-authorization"]

/**
 * No trace headers to providers, no redirect followed by fetch, which would take the key along, and
 * no span by the client: it would hold the request, headers and all, in its exit. A caller's own
 * client that logs its requests logs them without keys.
 */
const withPrivacy = (context: Context.Context<never>): Context.Context<never> => {
  const init = Context.getOrUndefined(context, FetchHttpClient.RequestInit)
  const redacted = Context.get(context, Headers.CurrentRedactedNames)
  return context.pipe(
    Context.add(HttpClient.TracerDisabledWhen, Function.constTrue),
    Context.add(HttpClient.TracerPropagationEnabled, false),
    Context.add(Headers.CurrentRedactedNames, [...redacted, ...keyHeaders]),
    Context.add(FetchHttpClient.RequestInit, { ...init, redirect: "manual" })
  )
}

/** Refuses what would fail, or leak into an error, further down. */
const check = (request: Request): Result.Result<HttpClientRequest.HttpClientRequest, InvalidRequest> => {
  const url = URL.parse(request.url)
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return invalid("the base URL is not an http or https URL")
  }
  if (url.username !== "" || url.password !== "") {
    return invalid("the base URL has a user or password in it. Send credentials as headers")
  }
  for (const [name, value] of Object.entries(request.headers)) {
    // fetch quotes such a value, key and all, in its error.
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value) || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      return invalid(
        `the header ${JSON.stringify(name)} has a character that HTTP does not allow, such as a line break`
      )
    }
  }
  let body: string
  try {
    body = JSON.stringify(request.body)
  } catch {
    return invalid("the request has a value that JSON cannot express, such as a BigInt or a cycle")
  }
  return Result.succeed(
    HttpClientRequest.setBody(
      HttpClientRequest.makeWith(
        "POST",
        request.url,
        UrlParams.empty,
        Option.none(),
        Headers.fromInput({ ...request.headers, accept: request.accept }),
        HttpBody.empty
      ),
      HttpBody.text(body, "application/json")
    )
  )
}

const invalid = (message: string) => Result.fail(new InvalidRequest({ message: `${message}.` }))

const redirectTarget = (
  url: string,
  status: number,
  location: string,
  redirects: number
): Effect.Effect<string, InvalidRequest> => {
  const target = URL.parse(location, url)
  const refuse = (why: string) => Effect.fail(new InvalidRequest({ message: `${originOf(url)} ${why}`, status }))
  if (target === null) return refuse("answers with a redirect to something that is not a URL. Check the base URL.")
  if (target.origin !== originOf(url)) {
    return refuse(
      `redirects to ${target.origin}. The key is not sent to another origin: set the base URL to it if you trust it.`
    )
  }
  if (status === 303) return refuse("answers with a redirect to be read with GET. Check the base URL.")
  if (redirects >= maxRedirects) return refuse(`redirects more than ${maxRedirects} times. Check the base URL.`)
  return Effect.succeed(target.href)
}

const originOf = (url: string): string => new URL(url).origin

const readErrorBody = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> => {
  const chunks: Array<Uint8Array> = []
  let length = 0
  return response.stream.pipe(
    Stream.takeUntil((chunk) => {
      chunks.push(chunk)
      length += chunk.length
      return length >= maxErrorBody
    }),
    Stream.runDrain,
    // What came of a body that stalls or breaks is enough: the status says most.
    Effect.timeoutOption("5 seconds"),
    Effect.exit,
    Effect.map(() => {
      const utf8 = new TextDecoder()
      const text = chunks.map((chunk) => utf8.decode(chunk, { stream: true })).join("")
      return text.slice(0, maxErrorBody)
    })
  )
}

const unreachable = (url: string, error: HttpClientError.HttpClientError): Unreachable => {
  const code = errorCode(error)
  const why =
    code === undefined ? "no connection could be made" : (reasons[code] ?? `no connection could be made (${code})`)
  return new Unreachable({
    message: `${originOf(url)} could not be reached: ${why}. Check the base URL and the network.`,
    ...(code === undefined ? undefined : { code })
  })
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there (ECONNREFUSED)",
  ENOTFOUND: "there is no such host (ENOTFOUND)",
  EAI_AGAIN: "the host's name could not be looked up (EAI_AGAIN)",
  ETIMEDOUT: "the connection timed out (ETIMEDOUT)",
  UND_ERR_CONNECT_TIMEOUT: "the connection timed out (UND_ERR_CONNECT_TIMEOUT)",
  ECONNRESET: "the connection was reset before an answer came (ECONNRESET)",
  UND_ERR_SOCKET: "the connection was closed before an answer came (UND_ERR_SOCKET)"
}

/** The system's code of an error, found along its causes. Messages are left: they may quote headers. */
const errorCode = (error: unknown): string | undefined => {
  let current = error
  for (let depth = 0; depth < 8 && Predicate.isObject(current); depth++) {
    const code = (current as { readonly code?: unknown }).code
    if (typeof code === "string") return code
    current =
      (current as { readonly cause?: unknown }).cause ??
      (current as { readonly errors?: ReadonlyArray<unknown> }).errors?.[0] ??
      (current as { readonly reason?: unknown }).reason
  }
  return undefined
}
