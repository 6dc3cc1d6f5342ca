/**
 * Records what goes through a client.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type * as Cookies from "effect/http/Cookies"
import type * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Http from "../../wire/Http.ts"
import * as cassetteFile from "./cassetteFile.ts"
import type { Scrubber } from "./Scrubber.ts"
import * as StreamResponse from "./StreamResponse.ts"

/** An exchange as it was, secrets and all: in memory only. */
interface Heard {
  readonly request: HttpClientRequest.HttpClientRequest
  response:
    | {
        readonly sent: HttpClientRequest.HttpClientRequest
        readonly status: number
        readonly headers: Headers.Headers
        readonly cookies: Cookies.Cookies
        readonly chunks: Array<Uint8Array>
        end: cassetteFile.Response["end"]
        code?: string
      }
    | undefined
}

export interface Recorder {
  readonly client: HttpClient.HttpClient
  /** What was heard, without secrets. Requests that got no answer are left out. */
  readonly exchanges: (scrubber: Scrubber) => ReadonlyArray<cassetteFile.Exchange>
}

export const make = (client: HttpClient.HttpClient): Recorder => {
  const heard: Array<Heard> = []
  return {
    // What is recorded is what the client is asked for, before changes of its own: that is what a
    // replay will be asked for.
    client: HttpClient.makeWith<never, never, HttpClientError.HttpClientError, never>(
      Effect.flatMap((request) => {
        // The place is that of the request: answers may come in another order.
        const exchange: Heard = { request, response: undefined }
        heard.push(exchange)
        return Effect.map(client.execute(request), (response) => listen(exchange, response))
      }),
      Effect.succeed
    ),
    exchanges: (scrubber) => {
      for (const { request, response } of heard) {
        scrubber.learnRequest(href(request), request.headers)
        if (response === undefined) continue
        // A client may have keys of its own, which it adds to what it is asked for.
        scrubber.learnRequest(href(response.sent), response.sent.headers)
        scrubber.learnResponse(response.headers, response.cookies)
      }
      const out: Array<cassetteFile.Exchange> = []
      for (const { request, response } of heard) {
        if (response === undefined) continue
        out.push({
          request: toRequest(request, scrubber),
          response: {
            status: response.status,
            headers: scrubber.responseHeaders(response.headers),
            chunks: scrubber.chunks(response.chunks).map(cassetteFile.chunk),
            end: response.end,
            ...(response.code === undefined ? undefined : { code: response.code })
          }
        })
      }
      return out
    }
  }
}

const listen = (
  exchange: Heard,
  response: HttpClientResponse.HttpClientResponse
): HttpClientResponse.HttpClientResponse => {
  const { cookies, headers, status } = response
  const chunks: Array<Uint8Array> = []
  const record: NonNullable<Heard["response"]> = {
    sent: response.request,
    status,
    headers,
    cookies,
    chunks,
    end: "left"
  }
  exchange.response = record
  const body = response.stream.pipe(
    // fetch has no body to read where HTTP has an empty one.
    Stream.catchIf(
      ({ reason }) => reason._tag === "EmptyBodyError",
      () => Stream.empty
    ),
    Stream.mapArray((read) => {
      // Copies: whoever reads them may write into them.
      for (const chunk of read) if (chunk.length > 0) chunks.push(chunk.slice())
      return read
    }),
    Stream.onEnd(Effect.sync(() => (record.end = "complete"))),
    Stream.tapError((error) =>
      Effect.sync(() => {
        const { code } = Http.bodyFailed(error)
        record.end = "broken"
        if (code !== undefined) record.code = code
      })
    )
  )
  return StreamResponse.make(response.request, { status, headers, cookies, body })
}

/** A request as a cassette holds it. */
export const toRequest = (request: HttpClientRequest.HttpClientRequest, scrubber: Scrubber): cassetteFile.Request => {
  const { body } = request
  const bytes = bytesOf(body)
  return {
    method: request.method,
    url: scrubber.url(href(request)),
    headers: scrubber.requestHeaders(request.headers),
    ...(bytes === undefined ? undefined : { body: cassetteFile.body(joined(scrubber.chunks([bytes]))) })
  }
}

const bytesOf = (body: HttpClientRequest.HttpClientRequest["body"]): Uint8Array | undefined => {
  if (body._tag === "Uint8Array") return body.body
  if (body._tag !== "Raw") return undefined
  if (typeof body.body === "string") return new TextEncoder().encode(body.body)
  return body.body instanceof Uint8Array ? body.body : undefined
}

/** Of a body that was one chunk nothing or one chunk is left. */
const joined = ([bytes]: ReadonlyArray<Uint8Array>): Uint8Array => bytes ?? new Uint8Array()

export const href = (request: HttpClientRequest.HttpClientRequest): string =>
  Option.match(HttpClientRequest.toUrl(request), { onNone: () => request.url, onSome: (url) => url.href })
