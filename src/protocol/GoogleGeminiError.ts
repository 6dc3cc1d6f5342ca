/**
 * What Google's errors mean: by their status, by the reason and the quotas in their details, and by
 * their words.
 *
 * Source: https://ai.google.dev/gemini-api/docs/troubleshooting and https://cloud.google.com/apis/design/errors.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { Reason } from "../LlmError.ts"
import type { HttpFailure } from "../wire/Http.ts"
import * as HttpError from "./HttpError.ts"
import { isRecord, type Json, records, text } from "./Json.ts"

/**
 * What a bad answer means.
 *
 * @category errors
 * @since 0.1.0
 */
export const fromHttpFailure = (failure: HttpFailure): Reason => {
  const error = read(parse(failure.body))
  const kind = error && kindOf(error)
  if (error === undefined || kind === undefined) return HttpError.fromHttpFailure(failure)
  return HttpError.ofKind(kind, failure.status < 400 ? error.code : failure.status, error.report)
}

/**
 * What an error inside the stream means. Keys that it quotes are hidden.
 *
 * @category errors
 * @since 0.1.0
 */
export const inBand = (body: unknown, conceal: (text: string) => string): Reason => {
  const error = read(body)
  const kind = error && kindOf(error)
  if (error === undefined || kind === undefined) return HttpError.inBand(body, conceal)
  return HttpError.ofKind(kind, error.code, { ...error.report, message: conceal(error.report.message) })
}

/**
 * The delay that an error asks for: `retryDelay` of its `google.rpc.RetryInfo`, else the words "retry in
 * … s". Of a quota that waiting does not mend there is none.
 *
 * @category errors
 * @since 0.1.0
 */
export const retryAfter = (body: unknown): Duration.Duration | undefined => {
  const error = read(body)
  if (error === undefined || kindOf(error) === "QuotaExhausted") return undefined
  const info = error.details.find(({ retryDelay }) => retryDelay !== undefined)?.["retryDelay"]
  const seconds =
    typeof info === "string" ? /^(\d+(?:\.\d+)?)s$/.exec(info) : /retry in (\d+(?:\.\d+)?)s/.exec(error.report.message)
  return seconds === null ? undefined : Duration.millis(Math.round(Number(seconds[1]) * 1000))
}

/**
 * The same, of a bad answer.
 *
 * @category errors
 * @since 0.1.0
 */
export const retryAfterOf = (failure: HttpFailure): Duration.Duration | undefined => retryAfter(parse(failure.body))

interface GoogleError {
  /** The HTTP status, which an error inside a stream has as well. */
  readonly code: number | undefined
  /** Such as `INVALID_ARGUMENT`. */
  readonly status: string | undefined
  /** Of its `google.rpc.ErrorInfo`, such as `API_KEY_INVALID`. */
  readonly reason: string | undefined
  readonly details: ReadonlyArray<Json>
  readonly report: HttpError.Report
}

/** Reads `{ "error": { code, message, status, details } }`, alone or first in an array. */
const read = (body: unknown): GoogleError | undefined => {
  const value: unknown = Array.isArray(body) ? body[0] : body
  const error = isRecord(value) ? value["error"] : undefined
  if (!isRecord(error)) return undefined
  const details = records(error["details"])
  const status = text(error["status"])
  const reason = details.map(({ reason }) => text(reason)).find((reason) => reason !== undefined)
  return {
    code: typeof error["code"] === "number" ? error["code"] : undefined,
    status,
    reason,
    details,
    report: {
      message: text(error["message"]) ?? "the provider reports an error, without a message",
      code: reason ?? status
    }
  }
}

const parse = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** What only the details and the words tell comes first: Google puts very different things under one status. */
const kindOf = (error: GoogleError): HttpError.Kind | undefined => {
  const { reason = "", report, status } = error
  const { message } = report
  if (/^API_KEY_(INVALID|EXPIRED)|^(CREDENTIALS|ACCESS_TOKEN)_/.test(reason)) return "Authentication"
  // Of a key that was reported as leaked, or was not sent, Google says PERMISSION_DENIED.
  if (/api key (not valid|expired|not found|was reported)|unregistered callers/i.test(message)) return "Authentication"
  if (
    /token count|payload size exceeds|maximum number of (input )?tokens/i.test(message) &&
    status !== "RESOURCE_EXHAUSTED"
  ) {
    return "ContextTooLong"
  }
  if (status === "RESOURCE_EXHAUSTED") return isUsedUp(error) ? "QuotaExhausted" : "RateLimited"
  // Gemini is not sold where the caller is, or not without a paid plan.
  if (status === "FAILED_PRECONDITION" && /location|country|billing/i.test(message)) return "PermissionDenied"
  return status === undefined ? undefined : byStatus[status]
}

/** Whether a quota is one that does not come back within minutes: of a day, of nothing, of money. */
const isUsedUp = ({ details, report }: GoogleError): boolean =>
  details
    .flatMap(({ violations }) => records(violations))
    .some(({ quotaId, quotaValue }) => /PerDay/.test(String(quotaId)) || String(quotaValue) === "0") ||
  /limit: 0\b|credits are depleted|spending cap|per day/i.test(report.message)

/** https://cloud.google.com/apis/design/errors#handling_errors */
const byStatus: Readonly<Record<string, HttpError.Kind>> = {
  INVALID_ARGUMENT: "InvalidRequest",
  FAILED_PRECONDITION: "InvalidRequest",
  OUT_OF_RANGE: "InvalidRequest",
  ALREADY_EXISTS: "InvalidRequest",
  UNIMPLEMENTED: "InvalidRequest",
  UNAUTHENTICATED: "Authentication",
  PERMISSION_DENIED: "PermissionDenied",
  NOT_FOUND: "NotFound",
  UNAVAILABLE: "Overloaded",
  ABORTED: "ProviderFailed",
  CANCELLED: "ProviderFailed",
  DATA_LOSS: "ProviderFailed",
  DEADLINE_EXCEEDED: "ProviderFailed",
  INTERNAL: "ProviderFailed",
  UNKNOWN: "ProviderFailed"
}
