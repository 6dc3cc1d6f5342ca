/**
 * The model that needs no key and no network: a story teller behind a real port.
 *
 * It serves chat completions as OpenAI does, on loopback and at a reader's pace, so that what reads it
 * is the `OpenAi` provider itself: HTTP, framing, decoder and all. Wire rules:
 * https://platform.openai.com/docs/api-reference/chat-streaming.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import * as Story from "./Story.ts"

/**
 * The only model there is.
 *
 * @category constants
 * @since 0.1.0
 */
export const model = "offline"

/**
 * Options of the model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Tokens (here: words) a second, on average. Default 32, which most people can read along. */
  readonly tokensPerSecond?: number | undefined
  /** How long it thinks before the first word. Default 300 ms. */
  readonly latency?: Duration.Input | undefined
}

/**
 * A model that is being served.
 *
 * @category models
 * @since 0.1.0
 */
export interface OfflineModel {
  /** The URL before `/chat/completions`. */
  readonly baseUrl: string
  /** How many answers are being told at the moment. */
  readonly active: Effect.Effect<number>
}

/**
 * Serves the model on a free port of 127.0.0.1 until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<OfflineModel, HttpServerError.ServeError, Scope.Scope> {
  const node = Http.createServer()
  const server = yield* NodeHttpServer.make(() => node, {
    host: "127.0.0.1",
    port: 0,
    gracefulShutdownTimeout: 0
  })
  let active = 0
  const counted = (data: Stream.Stream<string>) =>
    Stream.suspend(() => {
      active++
      return Stream.ensuring(
        data,
        Effect.sync(() => active--)
      )
    })
  yield* server.serve(
    Effect.map(answer(options), (told) =>
      Result.isFailure(told)
        ? told.failure
        : HttpServerResponse.stream(
            Stream.map(counted(told.success), (data) => encoder.encode(`data: ${data}\n\n`)),
            { contentType: "text/event-stream; charset=utf-8", headers: { "cache-control": "no-cache" } }
          )
    )
  )
  // Runs before the server's own end, which would wait for open connections.
  yield* Effect.addFinalizer(() => Effect.sync(() => node.closeAllConnections()))
  return {
    baseUrl: `${NetAddress.formatUrlUnsafe(server.address)}/v1`,
    active: Effect.sync(() => active)
  }
})

/** The data of the events that answer the request at hand, or why it is refused. */
const answer = Effect.fnUntraced(function* (options: Options) {
  const request = yield* HttpServerRequest.HttpServerRequest
  if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
    return refuse(404, { message: `Unknown request URL: ${request.method} ${request.url}.`, code: "unknown_url" })
  }
  const body = yield* Effect.option(request.json)
  if (body._tag === "None") return refuse(400, { message: "The body is not JSON." })
  const decoded = decode(body.value)
  if (Result.isFailure(decoded)) {
    const [issue] = formatIssue(decoded.failure.issue).issues
    const param = issue?.path?.map((key) => String(typeof key === "object" ? key.key : key)).join(".") || undefined
    return refuse(400, { message: `Invalid ${param === undefined ? "body" : `'${param}'`}: ${issue?.message}.`, param })
  }
  const ask = decoded.success
  if (ask.model !== model) {
    return refuse(404, {
      message: `The model '${ask.model}' does not exist: this is the offline model, '${model}'.`,
      param: "model",
      code: "model_not_found"
    })
  }
  if (ask.stream !== true) {
    return refuse(400, { message: "The offline model only streams: set 'stream' to true.", param: "stream" })
  }
  const seed = ask.seed ?? (yield* Random.nextInt)
  const created = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  return Result.succeed(tell(options, ask, seed, created))
})

const tell = (options: Options, ask: Ask, seed: number, created: number): Stream.Stream<string> => {
  const dice = Story.makeDice(seed)
  const story = Story.tokens(Story.make({ seed, topic: Story.topicOf(lastWords(ask)) }))
  const limit = ask.max_completion_tokens ?? ask.max_tokens ?? Infinity
  const words = story.slice(0, limit)
  const includeUsage = ask.stream_options?.include_usage === true
  const id = `chatcmpl-offline-${Math.floor(dice.next() * 2 ** 48).toString(36)}`
  const chunk = (choices: ReadonlyArray<unknown>, usage: unknown) =>
    JSON.stringify({
      id,
      object: "chat.completion.chunk",
      created,
      model,
      system_fingerprint: "fp_offline",
      choices,
      ...(includeUsage ? { usage } : undefined)
    })
  const choice = (delta: object, finish: "stop" | "length" | null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason: finish }], null)

  const last = [choice({}, words.length < story.length ? "length" : "stop")]
  if (includeUsage) last.push(chunk([], usage(ask, words.length)))
  last.push("[DONE]")

  const mean = 1000 / (options.tokensPerSecond ?? 32)
  const pause = () => Duration.millis(mean * (0.4 + 1.2 * dice.next()))
  return Stream.fromArray(words).pipe(
    // One at a time: what is not yet told is not yet on its way.
    Stream.mapEffect((content, index) =>
      Effect.as(
        Effect.sleep(index === 0 ? Duration.fromInputUnsafe(options.latency ?? "300 millis") : pause()),
        choice({ content }, null)
      )
    ),
    (told) => Stream.concat(Stream.make(choice({ role: "assistant", content: "", refusal: null }, null)), told),
    Stream.concat(Stream.fromArray(last))
  )
}

const usage = (ask: Ask, completion: number) => {
  const prompt = ask.messages.reduce((sum, message) => sum + Story.tokens(textOf(message)).length, 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

const lastWords = (ask: Ask): string => {
  const message = ask.messages.findLast(({ role }) => role === "user")
  return message === undefined ? "" : textOf(message)
}

const textOf = ({ content }: Ask["messages"][number]): string =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join(" ")

const optionalNull = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Limit = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** Of a request, what the story depends on and what is easily got wrong. */
const Ask = Schema.Struct({
  model: Schema.String,
  messages: Schema.NonEmptyArray(
    Schema.Struct({
      role: Schema.Literals(["system", "developer", "user", "assistant", "tool"]),
      content: optionalNull(
        Schema.Union([Schema.String, Schema.Array(Schema.Struct({ text: Schema.optionalKey(Schema.String) }))])
      )
    })
  ),
  stream: optionalNull(Schema.Boolean),
  stream_options: optionalNull(Schema.Struct({ include_usage: Schema.optionalKey(Schema.Boolean) })),
  seed: optionalNull(Schema.Int),
  temperature: optionalNull(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
  max_completion_tokens: optionalNull(Limit),
  max_tokens: optionalNull(Limit)
})
type Ask = typeof Ask.Type

const decode = Schema.decodeUnknownResult(Ask)

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const refuse = (
  status: number,
  error: { readonly message: string; readonly param?: string | undefined; readonly code?: string }
) =>
  Result.fail(
    HttpServerResponse.jsonUnsafe(
      {
        error: {
          message: error.message,
          type: "invalid_request_error",
          param: error.param ?? null,
          code: error.code ?? null
        }
      },
      { status }
    )
  )

const encoder = new TextEncoder()
