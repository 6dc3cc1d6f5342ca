/**
 * Takes secrets out of what is recorded.
 *
 * By allow-list: of headers only the harmless ones are kept. The values of the others are secrets, and
 * are taken out wherever else they appear, however their characters are spelled.
 *
 * @internal
 */
import * as Base64 from "effect/encoding/Base64"
import type * as Cookies from "effect/http/Cookies"
import type * as Headers from "effect/http/Headers"
import * as Result from "effect/Result"
import { concealed, keyPattern, minSecretLength } from "../../wire/Concealment.ts"
import { fromBinary, MarkedBytes, toText, utf8, type Edit } from "./MarkedBytes.ts"
import { Spellings } from "./Spellings.ts"

/** Request headers that are kept: they say what is asked for, and not by whom. */
const keptOfRequest: ReadonlySet<string> = new Set([
  "accept",
  "content-type",
  "anthropic-version",
  "anthropic-beta",
  "openai-beta"
])

/** Request headers that are of no interest and no secret: their values may stand in any text. */
const dull: ReadonlySet<string> = new Set([
  "accept-encoding",
  "accept-language",
  "b3",
  "cache-control",
  "connection",
  "content-length",
  "host",
  "origin",
  "traceparent",
  "tracestate",
  "user-agent"
])

/** Response headers that are kept: those that this library reads. */
const keptOfResponse: ReadonlySet<string> = new Set([
  "content-type",
  "location",
  "retry-after",
  "retry-after-ms",
  "x-should-retry",
  "x-request-id",
  "request-id",
  "apim-request-id",
  "x-ms-request-id"
])

/** No secret in whatever header: taken out, the content types that are kept would be no more. */
const mediaType = /^(?:application|text|image|audio|video|multipart)\/[\w.+*-]+$/

/** Response headers that say whose account it is; providers repeat them in their errors. */
const accounts = /organi[sz]ation|project|account/

/** Names of query parameters, letters only, that carry secrets. */
const secretParameters = /(?:key|token|secret|password|signature|sig|auth|credentials?)$/

/** Fields of JSON and of forms that carry secrets, with their values. */
const secretFields = [
  /("(?:api[_-]?key|access_?token|refresh_?token|id_?token|client_?secret|password)"\s*:\s*")((?:[^"\\]|\\.)*)(?=")/gi,
  /((?:^|&)(?:api[_-]?key|access_token|refresh_token|id_token|client_secret|client_assertion|password)=)([^&\s]*)/gi
]

/** Ids of OpenAI's organizations and projects, which its errors quote. */
const accountIds = /\b(?:org-|proj_)[A-Za-z0-9]{16,}/g

export class Scrubber {
  private readonly secrets = new Set<string>()
  private spellings: Spellings | undefined
  private readonly custom: ((text: string) => string) | undefined

  constructor(custom: ((text: string) => string) | undefined) {
    this.custom = custom
  }

  /** Learns the secrets of a request. */
  learnRequest(href: string, headers: Headers.Headers): void {
    for (const [name, value] of Object.entries(headers)) {
      if (!keptOfRequest.has(name) && !dull.has(name)) this.learn(value)
    }
    const url = URL.parse(href)
    if (url === null) return
    for (const [name, value] of url.searchParams) if (isSecretParameter(name)) this.add(value)
    for (const part of [url.username, url.password]) {
      this.add(part)
      this.add(decoded(part))
    }
  }

  /** Learns the secrets of a response. */
  learnResponse(headers: Headers.Headers, cookies: Cookies.Cookies): void {
    for (const [name, value] of Object.entries(headers)) if (accounts.test(name)) this.add(value)
    // Not the header itself: its attributes, such as a domain, are no secrets.
    for (const { value } of Object.values(cookies.cookies)) this.add(value)
  }

  requestHeaders(headers: Headers.Headers): Record<string, string> {
    return this.headers(headers, keptOfRequest)
  }

  responseHeaders(headers: Headers.Headers): Record<string, string> {
    return this.headers(headers, keptOfResponse)
  }

  url(href: string): string {
    const url = URL.parse(href)
    if (url === null) return this.text(href)
    url.username = ""
    url.password = ""
    for (const name of new Set(url.searchParams.keys())) {
      if (isSecretParameter(name)) url.searchParams.set(name, concealed)
    }
    const scrubbed = this.text(url.href)
    return URL.parse(scrubbed)?.href ?? scrubbed
  }

  text(text: string): string {
    return toText(fromBinary(this.scrub([new TextEncoder().encode(text)]).bytes)) ?? concealed
  }

  /** A body: where a cut goes through what is taken out, it goes through what takes its place. */
  chunks(chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> {
    return this.scrub(chunks).chunks()
  }

  private headers(headers: Headers.Headers, kept: ReadonlySet<string>): Record<string, string> {
    const out: Record<string, string> = {}
    for (const name of Object.keys(headers).toSorted()) {
      if (!kept.has(name)) continue
      const value = headers[name]!
      out[name] = name === "location" ? this.location(value) : this.text(value)
    }
    return out
  }

  /** A URL, or a part of one, which `URL` would not leave as it is. */
  private location(value: string): string {
    if (URL.canParse(value)) return this.url(value)
    const redacted = value.replace(/([?&]([^=&#]+)=)[^&#]*/g, (pair, start: string, name: string) =>
      isSecretParameter(decoded(name)) ? start + encodeURIComponent(concealed) : pair
    )
    return this.text(redacted)
  }

  private scrub(chunks: ReadonlyArray<Uint8Array>): MarkedBytes {
    const body = new MarkedBytes(chunks)
    body.edit((this.spellings ??= new Spellings(this.secrets)).find(body.bytes))
    for (const field of secretFields) {
      body.replace(field, (match) => ({ ...whole(match), start: match.index + match[1]!.length }))
    }
    body.replace(keyPattern, whole)
    body.replace(accountIds, whole)
    const { custom } = this
    if (custom !== undefined) body.edit(customEdits(body.bytes, custom))
    return body
  }

  /** A header's value may have parts: a scheme and a key, pairs of a cookie. */
  private learn(value: string): void {
    this.add(value)
    for (const part of value.split(/[\s,;]+/)) {
      this.add(part)
      this.add(part.slice(part.indexOf("=") + 1))
    }
    const [scheme, credentials] = value.split(" ")
    if (scheme?.toLowerCase() !== "basic" || credentials === undefined) return
    const pair = Result.getOrUndefined(Base64.decodeString(credentials))
    if (pair === undefined) return
    this.add(pair)
    this.add(pair.slice(pair.indexOf(":") + 1))
  }

  private add(secret: string): void {
    if (mediaType.test(secret)) return
    if (secret.length < minSecretLength || secret === concealed || this.secrets.has(secret)) return
    this.secrets.add(secret)
    this.spellings = undefined
  }
}

const whole = (match: RegExpExecArray): Edit => ({
  start: match.index,
  end: match.index + match[0].length,
  bytes: concealed
})

const isSecretParameter = (name: string): boolean => secretParameters.test(name.toLowerCase().replace(/[^a-z]/g, ""))

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** The custom function is given a line at a time, so that the cuts of the others stay in their places. */
function* customEdits(bytes: string, custom: (text: string) => string): Generator<Edit> {
  for (const match of bytes.matchAll(/[^\n]+/g)) {
    const text = toText(fromBinary(match[0]))
    if (text === undefined) continue
    const changed = custom(text)
    if (changed === text) continue
    const line = utf8(changed)
    let same = 0
    while (same < line.length && line[same] === match[0][same]) same++
    yield { start: match.index + same, end: match.index + match[0].length, bytes: line.slice(same) }
  }
}
