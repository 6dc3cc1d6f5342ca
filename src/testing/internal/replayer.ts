/**
 * Answers requests with what was recorded.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import * as cassetteFile from "./cassetteFile.ts"
import { href, toRequest } from "./recorder.ts"
import type { Scrubber } from "./Scrubber.ts"
import * as StreamResponse from "./StreamResponse.ts"

export interface Replayer {
  readonly client: HttpClient.HttpClient
  readonly remaining: () => number
}

export const make = (path: string, exchanges: ReadonlyArray<cassetteFile.Exchange>, scrubber: Scrubber): Replayer => {
  const left = exchanges.map((exchange, index) => ({ exchange, index, key: keyOf(exchange.request) }))
  let asked = 0
  return {
    remaining: () => left.length,
    client: HttpClient.make((request) =>
      Effect.suspend(() => {
        asked++
        scrubber.learnRequest(href(request), request.headers)
        const wanted = toRequest(request, scrubber)
        const key = keyOf(wanted)
        const at = left.findIndex((recorded) => recorded.key === key)
        if (at < 0) return Effect.die(unrecorded(path, exchanges, wanted, asked))
        const [{ exchange }] = left.splice(at, 1) as [(typeof left)[number]]
        return Effect.succeed(respond(request, exchange.response))
      })
    )
  }
}

const respond = (
  request: HttpClientRequest.HttpClientRequest,
  { chunks, code, end, headers, status }: cassetteFile.Response
): HttpClientResponse.HttpClientResponse => {
  // A pull gives a chunk, as a socket does.
  const read = Stream.fromIterable(chunks.map(cassetteFile.bytesOf), { chunkSize: 1 })
  const broken = Effect.suspend(() => Effect.fail(brokenOff(response, code)))
  const rest = end === "complete" ? Stream.empty : end === "left" ? Stream.never : Stream.fromEffect(broken)
  const response = StreamResponse.make(request, { status, headers, body: Stream.concat(read, rest) })
  return response
}

const brokenOff = (response: HttpClientResponse.HttpClientResponse, code: string | undefined) =>
  new HttpClientError.HttpClientError({
    reason: new HttpClientError.DecodeError({
      request: response.request,
      response,
      cause: Object.assign(new Error("the connection broke here when it was recorded"), code && { code })
    })
  })

// -----------------------------------------------------------------------------
// matching
// -----------------------------------------------------------------------------

const keyOf = ({ body, method, url }: cassetteFile.Request): string => JSON.stringify([method, url, canonical(body)])

/** The same value for the same JSON, whatever the order of its keys. */
const canonical = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(canonical)
  if (!isRecord(value)) return value
  // In pairs, since an object would put keys like numbers first.
  const pairs = Object.keys(value)
    .toSorted()
    .map((key) => [key, canonical(value[key])])
  return { pairs }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  Predicate.isObject(value) && !(value instanceof Uint8Array)

const unrecorded = (
  path: string,
  exchanges: ReadonlyArray<cassetteFile.Exchange>,
  wanted: cassetteFile.Request,
  asked: number
): Error => {
  const request = `request ${asked}, ${wanted.method} ${wanted.url}, is not recorded in ${path}`
  const remedy = "To record again, delete the file."
  const compared = exchanges
    .map(({ request }, index) => ({ differences: differencesOf(request, wanted), number: index + 1 }))
    .toSorted((a, b) => a.differences.length - b.differences.length)
  const nearest = compared[0]
  if (nearest === undefined) return new Error(`Cassette: ${request}: nothing is. ${remedy}`)
  if (nearest.differences.length === 0) {
    const times = compared.filter(({ differences }) => differences.length === 0).length
    return new Error(
      `Cassette: ${request} so often: ${times === 1 ? "once" : `${times} times`}, and asked for again. ${remedy}`
    )
  }
  const shown = nearest.differences.slice(0, 3).join(", ")
  const more = nearest.differences.length > 3 ? ` and ${nearest.differences.length - 3} more` : ""
  return new Error(
    `Cassette: ${request}. The nearest that is, request ${nearest.number}, differs in ${shown}${more}. ${remedy}`
  )
}

/** Where two requests differ: places, not what stands there. */
const differencesOf = (recorded: cassetteFile.Request, wanted: cassetteFile.Request): ReadonlyArray<string> => {
  const out: Array<string> = []
  if (recorded.method !== wanted.method) out.push(`the method (${recorded.method})`)
  if (recorded.url !== wanted.url) out.push(`the URL (${recorded.url})`)
  compare(jsonOf(recorded), jsonOf(wanted), "body", out)
  return out
}

const jsonOf = ({ body }: cassetteFile.Request): unknown =>
  body === undefined || !("json" in body) ? canonical(body) : body.json

const compare = (a: unknown, b: unknown, path: string, out: Array<string>): void => {
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.max(a.length, b.length); i++) compare(a[i], b[i], `${path}[${i}]`, out)
  } else if (isRecord(a) && isRecord(b) && !Array.isArray(a) && !Array.isArray(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) compare(a[key], b[key], `${path}.${key}`, out)
  } else if (JSON.stringify(a) !== JSON.stringify(b)) {
    out.push(path)
  }
}
