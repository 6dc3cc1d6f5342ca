/**
 * What all providers over HTTP share: a protocol, a URL and headers make an `Llm`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Llm } from "../Llm.ts"
import {
  Authentication,
  type DeadlineExceeded,
  type InvalidRequest,
  LlmError,
  type Phase,
  Reason,
  Unreachable
} from "../LlmError.ts"
import * as LlmRequest from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import * as Deadlines from "../policy/Deadlines.ts"
import * as Telemetry from "../policy/Telemetry.ts"
import type { Protocol } from "../protocol/Protocol.ts"
import { conceal } from "../wire/Concealment.ts"
import type * as Body from "../wire/Body.ts"
import type { Progress } from "../wire/Decoder.ts"
import * as EventStream from "../wire/EventStream.ts"
import * as Http from "../wire/Http.ts"
import { KnownShapes } from "../wire/KnownShapes.ts"
import * as Watchdog from "../wire/Watchdog.ts"

/**
 * Where a model lives and how it talks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<in out S extends Progress> {
  /** The provider's name, for events and errors. */
  readonly provider: string
  /** The model to ask where a request names none. */
  readonly model: string
  readonly protocol: Protocol<S>
  /** One URL, or one for each model. */
  readonly url: string | ((model: string) => string)
  /** The key and how it is sent. */
  readonly key: Key | undefined
  /** Sent with every request. Redacted ones are secrets: no error quotes them. */
  readonly headers: Readonly<Record<string, string | Redacted.Redacted | undefined>>
  /** How the model is told to go on from a last message of its own, where it can: as in `Llm`. */
  readonly prefill?: Llm["Service"]["prefill"]
  /** What to do where no connection could be made, such as to start the server. */
  readonly whenUnreachable?: string | undefined
}

/**
 * An API key in a header, such as `authorization: Bearer …`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  readonly header: string
  readonly scheme: "Bearer " | ""
  /** The key, or what gives one for each request, for keys that expire. */
  readonly value: Redacted.Redacted | Effect.Effect<Redacted.Redacted, unknown>
}

/**
 * Makes the service. Each request has a span and metrics: see `policy/Telemetry`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <S extends Progress>(
  options: Options<S>
): Effect.Effect<Llm["Service"], never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    const { model, provider } = options
    const telemetry = { provider, model, server: serverOf(options.url) }
    const http = HttpClient.withScope(client)
    const shapes = new KnownShapes()
    return {
      name: `${provider}/${model}`,
      prefill: options.prefill,
      events: (request) => Telemetry.source((tell) => open(http, options, shapes, request, tell), telemetry, request)
    }
  })

/** Where requests go, for spans: the same for all models. A URL that is none is refused when it is asked for. */
const serverOf = (url: Options<never>["url"]): { readonly address: string; readonly port: number } | undefined => {
  const parsed = URL.parse(typeof url === "string" ? url : url("model"))
  if (parsed === null || parsed.hostname === "") return undefined
  const port = parsed.port === "" ? (parsed.protocol === "http:" ? 80 : 443) : Number(parsed.port)
  return { address: parsed.hostname, port }
}

const open = Effect.fnUntraced(function* <S extends Progress>(
  client: Http.Client,
  options: Options<S>,
  shapes: KnownShapes,
  request: LlmRequest.LlmRequest,
  tell: Pick<EventStream.Options<S, never>, "look" | "end">
) {
  const { protocol, provider } = options
  const model = request.model ?? options.model
  let secrets: ReadonlyArray<string> = []
  const hideKeys = (text: string) => conceal(text, secrets)
  // In words of the provider's: ours have no prompt in them, and prompts may have words of ours.
  const hide = (text: string) => conceal(text, [...secrets, ...promptOf(request)])
  const fail = (reason: Reason, phase: Phase, details: Details) =>
    new LlmError({
      reason: withoutKeys(reason, hideKeys),
      provider,
      model,
      phase,
      emitted: 0,
      ...defined(details, hideKeys)
    })

  const limits = yield* Effect.mapError(Deadlines.limits, (reason) => fail(reason, "request", {}))
  const scope = yield* Effect.scope
  const watchdog = yield* Watchdog.make(scope, limits)
  const encoded = protocol.encode(request, options.model)
  if (Result.isFailure(encoded)) return yield* fail(encoded.failure, "request", {})
  const { body, inputCharacters } = encoded.success
  const { headers, secrets: ours } = yield* currentKey(options.key, watchdog).pipe(
    Effect.flatMap((key) => Effect.fromResult(plainHeaders(options.headers, key))),
    Effect.mapError((reason) => fail(reason, "request", {}))
  )
  secrets = ours
  const meaning = (failure: Http.HttpFailure) => protocol.error({ ...failure, body: hide(failure.body) })
  const accept = protocol.framing === "sse" ? "text/event-stream" : "application/x-ndjson"
  const url = typeof options.url === "string" ? options.url : options.url(model)
  const answer = yield* Http.send(client, { url, headers, body, accept }, watchdog).pipe(
    Effect.mapError((failure) =>
      failure._tag === "HttpFailure"
        ? fail(meaning(failure), "headers", {
            ...failure,
            retryAfter: protocol.retryAfter?.(failure) ?? failure.retryAfter
          })
        : fail(advised(failure, options.whenUnreachable), "request", {})
    )
  )
  const { decoder } = protocol
  const decoding: EventStream.Options<S, Body.BodyError> = {
    ...tell,
    body: answer.body,
    release: answer.release,
    framing: protocol.framing,
    declared:
      protocol.framing === "sse" ? answer.contentType.includes("event-stream") : answer.contentType.includes("ndjson"),
    decoder,
    turn: { provider, inputCharacters, conceal: hide },
    notAStream: (body) => meaning(answer.toFailure(body)),
    bodyFailed: Http.bodyFailed,
    shapes,
    watchdog,
    fail: (reason, state) => {
      const { output, ...told } = decoder.told(state)
      return fail(reason, output ? "mid-output" : "before-output", { ...told, requestId: answer.requestId })
    }
  }
  return yield* EventStream.open(decoding, scope)
})

const advised = <R extends Unreachable | InvalidRequest | DeadlineExceeded>(reason: R, advice: string | undefined) =>
  reason._tag === "Unreachable" && advice !== undefined
    ? new Unreachable({ ...reason, message: `${reason.message} ${advice}` })
    : reason

interface Details {
  readonly emitted?: number | undefined
  readonly usage?: LlmUsage | undefined
  readonly requestId?: string | undefined
  readonly retryAfter?: LlmError["retryAfter"]
  readonly shouldRetry?: boolean | undefined
}

const defined = ({ emitted, requestId, retryAfter, shouldRetry, usage }: Details, hide: (text: string) => string) => ({
  ...(emitted === undefined ? undefined : { emitted }),
  ...(usage === undefined ? undefined : { usage }),
  ...(requestId === undefined ? undefined : { requestId: hide(requestId) }),
  ...(retryAfter === undefined ? undefined : { retryAfter }),
  ...(shouldRetry === undefined ? undefined : { shouldRetry })
})

/** A reason without keys, however they had been spelled before it was read. */
const withoutKeys = (reason: Reason, hide: (text: string) => string): Reason => {
  const code = "code" in reason ? reason.code : undefined
  const told = { message: hide(reason.message), ...(code === undefined ? undefined : { code: hide(code) }) }
  if (told.message === reason.message && told.code === code) return reason
  return Schema.decodeUnknownSync(Reason)({ ...reason, ...told })
}

/** The words of a prompt. */
const promptOf = (request: LlmRequest.LlmRequest): ReadonlyArray<string> => {
  const messages = LlmRequest.messages(request)
  if (Result.isFailure(messages)) return []
  return messages.success.flatMap((message) =>
    message.role === "system"
      ? message.content
      : message.content.flatMap((part) => (part.type === "text" || part.type === "reasoning" ? part.text : []))
  )
}

interface PlainHeaders {
  readonly headers: Record<string, string>
  readonly secrets: ReadonlyArray<string>
}

interface CurrentKey extends Key {
  readonly value: Redacted.Redacted
}

/** Why none could be had is not told: it may quote what a key is had with. */
const currentKey = (
  key: Key | undefined,
  watchdog: Watchdog.Watchdog
): Effect.Effect<CurrentKey | undefined, Authentication | DeadlineExceeded> => {
  if (key === undefined) return Effect.undefined
  const { value } = key
  if (!Effect.isEffect(value)) return Effect.succeed({ ...key, value })
  const had = Effect.mapBoth(value, {
    onSuccess: (value) => ({ ...key, value }),
    onFailure: () =>
      new Authentication({ message: "the Effect that gives the token failed. Run it by itself to see why." })
  })
  return watchdog.within(had)
}

/** Keys come out of `Redacted` here and nowhere else. */
const plainHeaders = (
  given: Readonly<Record<string, string | Redacted.Redacted | undefined>>,
  current: CurrentKey | undefined
): Result.Result<PlainHeaders, Authentication> =>
  Result.gen(function* () {
    const headers: Record<string, string> = {}
    const secrets: Array<string> = []
    for (const [name, value] of Object.entries(given)) {
      if (value === undefined) continue
      if (!Redacted.isRedacted(value)) {
        headers[name] = value
        continue
      }
      const secret = yield* plain(value, headerValue)
      headers[name] = secret
      // What follows a scheme, as in "Basic …", is a secret by itself.
      secrets.push(...secret.split(" "))
    }
    if (current !== undefined) {
      const { header, scheme, value } = current
      const key = yield* plain(value, keyValue)
      headers[header] = scheme + key
      secrets.push(key)
    }
    return { headers, secrets }
  })

const keyValue = /^[\x21-\x7e]+$/
const headerValue = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/

const plain = (secret: Redacted.Redacted, allowed: RegExp): Result.Result<string, Authentication> => {
  // A key that was read from a file often ends with a line break.
  const value = Redacted.value(secret).trim()
  return allowed.test(value)
    ? Result.succeed(value)
    : Result.fail(
        new Authentication({
          message:
            "the API key, or another secret, is empty or has characters that a header cannot carry. Check the variable it is read from."
        })
      )
}
