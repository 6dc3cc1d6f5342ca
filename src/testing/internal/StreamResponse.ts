/**
 * An HTTP response whose body is a Stream.
 *
 * `HttpClientResponse.fromWeb` would take the body through a web stream, which reads ahead and runs
 * on timers of its own. Here every pull of the reader is one pull of the body, so that tests are
 * deterministic and `TestClock` drives them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as Headers from "effect/http/Headers"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as UrlParams from "effect/http/UrlParams"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"

/** What a response has. */
export interface Options {
  readonly status: number
  readonly headers: Headers.Input
  /** Cookies, where the headers have lost all but one of them. */
  readonly cookies?: Cookies.Cookies
  readonly body: Stream.Stream<Uint8Array, HttpClientError.HttpClientError>
}

/** Makes a response. Its `text`, `json` and the like read the body once and keep it. */
export const make = (
  request: HttpClientRequest.HttpClientRequest,
  options: Options
): HttpClientResponse.HttpClientResponse => new StreamResponse(request, options)

type Read<A> = Effect.Effect<A, HttpClientError.HttpClientError>

class StreamResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: HttpClientRequest.HttpClientRequest
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
  readonly remoteAddress: Option.Option<string> = Option.none()
  readonly stream: Stream.Stream<Uint8Array, HttpClientError.HttpClientError>
  private readonly bytes: Read<Uint8Array<ArrayBuffer>>

  constructor(request: HttpClientRequest.HttpClientRequest, { body, cookies, headers, status }: Options) {
    super()
    this.request = request
    this.status = status
    this.headers = Headers.fromInput(headers)
    const setCookie = this.headers["set-cookie"]
    this.cookies = cookies ?? (setCookie === undefined ? Cookies.empty : Cookies.fromSetCookie(setCookie))
    this.stream = body
    this.bytes = Effect.runSync(Effect.cached(Effect.map(Stream.mkUint8Array(body), (bytes) => Uint8Array.from(bytes))))
  }

  get url(): string {
    const url = HttpClientRequest.toUrl(this.request)
    if (Option.isNone(url)) return ""
    url.value.hash = ""
    return url.value.href
  }

  get arrayBuffer(): Read<ArrayBuffer> {
    return Effect.map(this.bytes, (bytes) => bytes.buffer)
  }

  get text(): Read<string> {
    return Effect.map(this.bytes, (bytes) => new TextDecoder().decode(bytes))
  }

  get json(): Read<Schema.Json> {
    return Effect.flatMap(this.text, (text) => this.attempt((): Schema.Json => (text === "" ? null : JSON.parse(text))))
  }

  get urlParamsBody(): Read<UrlParams.UrlParams> {
    return Effect.flatMap(this.text, (text) => this.attempt(() => UrlParams.fromInput(new URLSearchParams(text))))
  }

  get formData(): Read<FormData> {
    return Effect.flatMap(this.bytes, (bytes) =>
      Effect.tryPromise({
        try: () => new Response(bytes, { headers: { ...this.headers } }).formData(),
        catch: (cause) => this.undecodable(cause)
      })
    )
  }

  get upgrade(): Effect.Effect<Socket.Socket, HttpClientError.HttpClientError> {
    const description = "a test double cannot hand over a connection"
    return Effect.fail(
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.StatusCodeError({ request: this.request, response: this, description })
      })
    )
  }

  pipe() {
    return pipeArguments(this, arguments)
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status
    })
  }

  private attempt<A>(evaluate: () => A): Read<A> {
    return Effect.try({ try: evaluate, catch: (cause) => this.undecodable(cause) })
  }

  private undecodable(cause: unknown): HttpClientError.HttpClientError {
    return new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({ request: this.request, response: this, cause })
    })
  }
}
