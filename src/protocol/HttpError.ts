/**
 * What errors mean that most providers share: by status, and by the code and the words of the error
 * object that OpenAI's API set the form for.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
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
 * Reads the error object in a body: `{ "error": { message, code, type } }`, `{ "error": "…" }` with the
 * code beside it, `{ "message": "…" }` or `{ "detail": … }`, alone or first in an array.
 *
 * @category parsing
 * @since 0.1.0
 */
export const readReport = (body: unknown): Report | undefined => {
  const value = Array.isArray(body) ? body[0] : body
  if (!Predicate.isObject(value)) return undefined
  const inner = property(value, "error")
  const error = Predicate.isObject(inner) ? inner : value
  const message = typeof inner === "string" ? inner : messageOf(error)
  if (message === undefined) return undefined
  const code = property(error, "code")
  const type = property(error, "type")
  return {
    message,
    code: typeof code === "string" ? code : typeof code === "number" ? String(code) : undefined,
    type: typeof type === "string" ? type : undefined
  }
}

const messageOf = (error: object): string | undefined => {
  const message = property(error, "message") ?? property(error, "detail") ?? property(error, "error")
  if (message === undefined) return undefined
  const plain = typeof message === "string" ? message : (inFields(message) ?? JSON.stringify(message))
  // A router's own words say little; those of the provider behind it are here.
  const metadata = property(error, "metadata")
  const raw = Predicate.isObject(metadata) ? property(metadata, "raw") : undefined
  if (typeof raw !== "string" || raw.trim() === "") return plain
  return `${plain}: ${readReport(parse(raw))?.message ?? raw}`
}

/** Complaints about fields, as FastAPI has them: which one, and what is wrong with it, but not its value. */
const inFields = (detail: unknown): string | undefined => {
  const list = Predicate.isObject(detail) && !Array.isArray(detail) ? property(detail, "detail") : detail
  if (typeof list === "string") return list
  if (!Array.isArray(list)) return undefined
  const complaints = list.flatMap((one: unknown) => {
    if (!Predicate.isObject(one)) return []
    const message = property(one, "msg")
    const place = property(one, "loc")
    return typeof message === "string" ? `${Array.isArray(place) ? `${place.join(".")}: ` : ""}${message}` : []
  })
  return complaints.length === 0 ? undefined : complaints.join("; ")
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
    const begins = `The answer is HTTP ${status} but not the event stream that was asked for; it ${looks(body)}.`
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
 * The delay that an error asks for in words, as Groq and OpenAI do: "Please try again in 2m28.608s."
 * What headers say is more exact.
 *
 * When a limit is whole again (`x-ratelimit-reset-*`) is no delay: part of it is free before that, and
 * providers do not agree on its unit.
 *
 * @category errors
 * @since 0.1.0
 */
export const retryAfterInWords = (failure: HttpFailure): Duration.Duration | undefined => {
  if (failure.retryAfter !== undefined || failure.status < 400) return undefined
  const words =
    /\b(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)?\s?(?:ms|(?:h|hour|m|minute|s|second)s?)(?![a-z])\s?)+)/i.exec(
      readReport(parse(failure.body))?.message ?? ""
    )
  if (words === null) return undefined
  let milliseconds = 0
  for (const [, count, unit] of words[1]!.matchAll(/(\d+(?:\.\d+)?)\s?(ms|h|m|s)/gi)) {
    milliseconds += Number(count) * inMilliseconds[unit!.toLowerCase()]!
  }
  return Duration.millis(Math.ceil(milliseconds))
}

const inMilliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/**
 * What an error inside the stream means. Its code may be an HTTP status, or its type stand for one.
 *
 * @category errors
 * @since 0.1.0
 */
export const fromReport = (report: Report, status = Number(report.code)): Reason => classify(status, report)

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

const anyOf = (...patterns: ReadonlyArray<RegExp>): RegExp => new RegExp(patterns.map(({ source }) => source).join("|"))

/** In providers' own words, each for the providers that say so. */
const byWords: ReadonlyArray<readonly [RegExp, Make]> = [
  [
    anyOf(
      /context_length_exceeded|maximum context length|context[ _]window|exceeds? context limit|prompt is too long|prompt too long/,
      /too many tokens( in the prompt|:)/,
      // Groq and Cerebras; xAI; OpenRouter.
      /reduce the length of the messages|maximum prompt length is|maximum allowed input length/,
      // Together and SGLang; vLLM; LM Studio; llama.cpp.
      /longer than the model'?s context length|longer than the maximum model length/,
      /greater than the context length|context the overflows|exceed_context_size|available context size/,
      // Moonshot; Zhipu; DashScope; Hugging Face; GitHub Models.
      /exceeded model token limit|prompt exceeds max length|range of input length should be/,
      /inputs`? tokens \+ `?max_new_tokens|tokens_limit_reached/,
      // More than a minute's tokens at once, at Groq and OpenAI: no wait makes room for it.
      /request too large for /
    ),
    contextTooLong
  ],
  [
    anyOf(
      /insufficient_quota|exceeded your current quota|exceeded_current_quota|billing_hard_limit|billing_not_active/,
      // Anthropic; OpenRouter, Hugging Face, xAI; DeepSeek, Zhipu; DashScope; OpenRouter.
      /credit balance|billing_error|api usage limits|insufficient credits|any credits|included credits|insufficient balance/,
      /arrearage|account is in good standing|key limit exceeded/
    ),
    quotaExhausted
  ],
  // The last is NVIDIA's, under 403.
  [/invalid_api_key|incorrect api key|invalid api key|authentication_error|authorization failed/, authentication],
  [
    anyOf(
      /content_filter|content_policy|content management policy|content filtering policy|violating our usage polic/,
      // xAI; DashScope; DeepSeek.
      /violates usage guidelines|data_?inspection_?failed|content exists risk/
    ),
    contentFiltered
  ],
  // OpenAI; Mistral and Perplexity; OpenRouter; DeepSeek; Zhipu and GitHub Models.
  [/model_not_found|invalid[_ ]model\b|not a valid model|model not exist|unknown[_ ]model/, notFound],
  [/rate_limit/, rateLimited],
  // The last is Mistral's, under 429.
  [/overloaded|capacity exceeded/, overloaded]
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
  // Too Early: the request is to be sent again once the connection is made (RFC 8470 §5.2).
  425: providerFailed,
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

/** What a body with a good status looks like. What may be an answer is not quoted. */
const looks = (body: string): string => {
  const value = parse(body)
  if (Predicate.isObject(value) && !Array.isArray(value)) {
    const names = Object.keys(value).slice(0, 8)
    return `is JSON with the fields ${names.map((name) => JSON.stringify(name.slice(0, 32))).join(", ")}`
  }
  if (/^\s*[[{]/.test(body)) return "is JSON"
  if (/^\s*(?:data|event|id|retry)?:/.test(body)) return "is an event stream"
  return `begins ${quote(body)}`
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
