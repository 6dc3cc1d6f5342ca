/**
 * What errors mean that most providers share: by status, and by the code and the words of the error
 * object that OpenAI's API set the form for.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import {
  Authentication,
  ContentFiltered,
  ContextTooLong,
  InvalidRequest,
  Malformed,
  NotFound,
  Overloaded,
  PermissionDenied,
  ProviderFailed,
  QuotaExhausted,
  RateLimited,
  type Reason
} from "../LlmError.ts"
import type { Frame } from "../wire/Decoder.ts"
import type { HttpFailure } from "../wire/Http.ts"

/**
 * What a provider said of an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly message: string
  readonly code?: string | undefined
  readonly type?: string | undefined
}

/**
 * Reads the error object in a body: `{ "error": { message, code, type } }`, `{ "error": "…" }`,
 * `{ "message": "…" }` or `{ "detail": … }`, alone or first in an array.
 *
 * @category parsing
 * @since 0.1.0
 */
export const readReport = (body: unknown): Report | undefined => {
  const value = Array.isArray(body) ? body[0] : body
  if (!Predicate.isObject(value)) return undefined
  const error = property(value, "error") ?? value
  if (typeof error === "string") return { message: error }
  if (!Predicate.isObject(error)) return undefined
  const message = property(error, "message") ?? property(error, "detail") ?? property(error, "error")
  if (message === undefined) return undefined
  const code = property(error, "code")
  const type = property(error, "type")
  return {
    message: typeof message === "string" ? message : JSON.stringify(message),
    code: typeof code === "string" ? code : typeof code === "number" ? String(code) : undefined,
    type: typeof type === "string" ? type : undefined
  }
}

/**
 * What a bad answer means: one with a bad status, or a good one whose body is not the stream that was
 * asked for, such as a proxy's page or an error under HTTP 200.
 *
 * @category errors
 * @since 0.1.0
 */
export const fromHttpFailure = (failure: HttpFailure): Reason => {
  const { body, status } = failure
  const report = readReport(parse(body))
  if (status < 400) {
    const begins = `The answer is HTTP ${status} but not the event stream that was asked for; it begins ${quote(body)}.`
    const message = report === undefined ? begins : `${sentence(report.message)} ${begins}`
    return classify(status, { ...report, message })
  }
  if (report !== undefined) return classify(status, report)
  return classify(status, {
    message:
      body.trim() === ""
        ? `the answer is HTTP ${status} without a body`
        : `the answer is HTTP ${status} and begins ${quote(body)}`
  })
}

/**
 * What an error inside the stream means. Its code may be an HTTP status.
 *
 * @category errors
 * @since 0.1.0
 */
export const fromReport = (report: Report): Reason => classify(Number(report.code), report)

/**
 * What an error object inside the stream means. Keys that it quotes are hidden.
 *
 * @category errors
 * @since 0.1.0
 */
export const inBand = (body: unknown, conceal: (text: string) => string): Reason => {
  const report = readReport(body) ?? { message: "the provider reports an error in the stream, without a message" }
  return fromReport({ ...report, message: conceal(report.message) })
}

/**
 * A frame is not what the protocol sends. Of its content nothing is said: it may be the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export const notOfThisProtocol = (frame: Frame, wanted: string): Malformed =>
  new Malformed({
    message: `an event of the stream (${frame.data.length} characters) is not ${frame.value === undefined ? "JSON" : wanted}. Ask again, or check the base URL.`
  })

/**
 * An error whose kind the protocol has found out itself: the provider's words, and what to do about it.
 *
 * @category errors
 * @since 0.1.0
 */
export const ofKind = (kind: Kind, status: number | undefined, report: Report): Reason =>
  kinds[kind](fieldsOf(status, report))

/**
 * The kinds of errors that a provider tells.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind =
  | "Authentication"
  | "ContextTooLong"
  | "QuotaExhausted"
  | "RateLimited"
  | "Overloaded"
  | "ContentFiltered"
  | "NotFound"
  | "InvalidRequest"
  | "PermissionDenied"
  | "ProviderFailed"

const fieldsOf = (status: number | undefined, report: Report) => {
  const code = report.code ?? report.type
  return (advice: string): Fields => ({
    message: `${sentence(report.message)} ${advice}`.trimEnd(),
    ...(Number.isInteger(status) ? { status: status! } : undefined),
    ...(code === undefined ? undefined : { code })
  })
}

const classify = (status: number, report: Report): Reason => {
  const code = report.code ?? report.type
  const words = `${report.code ?? ""} ${report.type ?? ""} ${report.message}`.toLowerCase()
  const fields = fieldsOf(status, report)
  // The words first: providers put very different things under one status.
  for (const [pattern, reason] of byWords) if (pattern.test(words)) return reason(fields)
  const reason = byStatus[status]
  if (reason !== undefined) return reason(fields)
  if (status >= 500) return providerFailed(fields)
  if (status >= 400) return invalidRequest(fields)
  if (Number.isInteger(status) && code === undefined) {
    return new Malformed({
      message: `${sentence(report.message)} Check the base URL, and whether a proxy answers in the provider's place.`,
      status
    })
  }
  // Codes of `response.failed`, such as invalid_prompt, image_too_large, empty_image_file.
  return report.type === "invalid_request_error" || /^(invalid|unsupported)_|image/.test(code ?? "")
    ? invalidRequest(fields)
    : providerFailed(fields)
}

interface Fields {
  readonly message: string
  readonly status?: number
  readonly code?: string
}
type Make = (fields: (advice: string) => Fields) => Reason

const authentication: Make = (f) => new Authentication(f("Check the API key and the variable it is read from."))
const contextTooLong: Make = (f) =>
  new ContextTooLong(f("Shorten the prompt or the wanted answer, or take a model with a larger context."))
const quotaExhausted: Make = (f) =>
  new QuotaExhausted(f("Waiting does not help: check the account's plan and billing."))
const rateLimited: Make = (f) => new RateLimited(f("Wait, then ask again, or ask less often."))
const overloaded: Make = (f) => new Overloaded(f("Ask again in a while, or another model."))
const contentFiltered: Make = (f) => new ContentFiltered(f("Change the prompt."))
const notFound: Make = (f) => new NotFound(f("Check the model's name and the base URL."))
const invalidRequest: Make = (f) => new InvalidRequest(f(""))
const permissionDenied: Make = (f) => new PermissionDenied(f("Check what the key's project may use."))
const providerFailed: Make = (f) => new ProviderFailed(f("The fault is on the provider's side: ask again."))

const kinds: Readonly<Record<Kind, Make>> = {
  Authentication: authentication,
  ContextTooLong: contextTooLong,
  QuotaExhausted: quotaExhausted,
  RateLimited: rateLimited,
  Overloaded: overloaded,
  ContentFiltered: contentFiltered,
  NotFound: notFound,
  InvalidRequest: invalidRequest,
  PermissionDenied: permissionDenied,
  ProviderFailed: providerFailed
}

const byWords: ReadonlyArray<readonly [RegExp, Make]> = [
  [
    /context_length_exceeded|maximum context length|context window|prompt is too long|too many tokens in the prompt/,
    contextTooLong
  ],
  [
    /insufficient_quota|exceeded your current quota|billing_hard_limit|billing_not_active|credit balance/,
    quotaExhausted
  ],
  [/invalid_api_key|incorrect api key|invalid api key|authentication_error/, authentication],
  [/content_filter|content_policy|content management policy|violating our usage polic/, contentFiltered],
  [/model_not_found/, notFound],
  [/rate_limit/, rateLimited],
  [/overloaded/, overloaded]
]

const byStatus: Readonly<Record<number, Make>> = {
  400: invalidRequest,
  401: authentication,
  402: quotaExhausted,
  403: permissionDenied,
  404: notFound,
  408: providerFailed,
  409: providerFailed,
  413: contextTooLong,
  422: invalidRequest,
  429: rateLimited,
  498: overloaded,
  500: providerFailed,
  502: overloaded,
  503: overloaded,
  529: overloaded
}

const property = (value: object, key: string): unknown => {
  const found = (value as Readonly<Record<string, unknown>>)[key]
  return found === null ? undefined : found
}

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** The beginning of a body on one line, for a message. */
const quote = (body: string): string => JSON.stringify(body.trim().slice(0, maxQuote).replace(/\s+/g, " "))

const maxQuote = 200

/** A provider's message, cut to a readable length and ended with a full stop. */
const sentence = (message: string): string => {
  const text = message.trim()
  const cut = text.length > maxMessage ? `${text.slice(0, maxMessage)}…` : text
  return /[.!?…]$/.test(cut) ? cut : `${cut}.`
}

const maxMessage = 1000
