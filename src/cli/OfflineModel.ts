/**
 * The model that needs no key and no network: a story teller behind a real port. Where it is given tools
 * that it knows, or is taught the ReAct form, it does a scripted piece of research instead.
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
import * as Research from "./Research.ts"
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
  const turn = turnOf(ask, seed, () => `call_offline_${Math.floor(dice.next() * 2 ** 48).toString(36)}`)
  const limit = ask.max_completion_tokens ?? ask.max_tokens ?? Infinity
  const deltas = turn.deltas.slice(0, limit)
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
  const choice = (delta: object, finish: Turn["finish"] | "length" | null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason: finish }], null)

  const last = [choice({}, deltas.length < turn.deltas.length ? "length" : turn.finish)]
  if (includeUsage) last.push(chunk([], usage(ask, deltas.length)))
  last.push("[DONE]")

  const mean = 1000 / (options.tokensPerSecond ?? 32)
  const pause = () => Duration.millis(mean * (0.4 + 1.2 * dice.next()))
  return Stream.fromArray(deltas).pipe(
    // One at a time: what is not yet told is not yet on its way.
    Stream.mapEffect((delta, index) =>
      Effect.as(
        Effect.sleep(index === 0 ? Duration.fromInputUnsafe(options.latency ?? "300 millis") : pause()),
        choice(delta, null)
      )
    ),
    (told) => Stream.concat(Stream.make(choice({ role: "assistant", content: "", refusal: null }, null)), told),
    Stream.concat(Stream.fromArray(last))
  )
}

/** What is said in one answer, a token each. */
interface Turn {
  readonly deltas: ReadonlyArray<object>
  readonly finish: "stop" | "tool_calls"
}

const turnOf = (ask: Ask, seed: number, makeId: () => string): Turn => {
  const taught = reactTools(ask)
  const mayCall = ask.tool_choice !== "none"
  const tools = taught ?? (mayCall ? (ask.tools ?? []).map((tool) => tool.function?.name ?? "") : [])
  const isObservation = (message: Ask["messages"][number]): boolean =>
    taught === undefined ? message.role === "tool" : message.role === "user" && observation.test(textOf(message))
  const begin = ask.messages.findLastIndex((message) => message.role === "user" && !isObservation(message))
  const task = begin === -1 ? "" : textOf(ask.messages[begin]!)
  const observed = ask.messages
    .slice(begin + 1)
    .filter(isObservation)
    .map((message) => textOf(message).replace(observation, ""))
  const next = Research.next({ seed, task, tools, observed })
  if (next === undefined) return said(Story.make({ seed, topic: Story.topicOf(task) }))
  if (taught !== undefined) {
    return said(
      next._tag === "Call"
        ? `Thought: ${next.thought}\nAction: ${next.name}\nAction Input: ${JSON.stringify(next.input)}`
        : `Thought: ${next.thought}\nFinal Answer: ${next.answer}`
    )
  }
  if (next._tag === "Answer") return said(next.answer)
  const pieces = JSON.stringify(next.input).match(/.{1,8}/gsu) ?? []
  return {
    deltas: [
      ...said(next.thought).deltas,
      called({ id: makeId(), type: "function", function: { name: next.name, arguments: "" } }),
      ...pieces.map((piece) => called({ function: { arguments: piece } }))
    ],
    finish: "tool_calls"
  }
}

const said = (text: string): Turn => ({ deltas: Story.tokens(text).map((content) => ({ content })), finish: "stop" })

const called = (call: object): object => ({ tool_calls: [{ index: 0, ...call }] })

const observation = /^Observation: /

/** The tools of a ReAct form that the instructions teach, as `ReAct.instructions` lists them. */
const reactTools = (ask: Ask): ReadonlyArray<string> | undefined =>
  ask.messages
    .filter(({ role }) => role === "system" || role === "developer")
    .map((message) => /^Action: one of (.+)\nAction Input: /m.exec(textOf(message))?.[1]?.split(", "))
    .find((names) => names !== undefined)

const usage = (ask: Ask, completion: number) => {
  const prompt = ask.messages.reduce((sum, message) => sum + Story.tokens(textOf(message)).length, 0)
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

const textOf = ({ content }: Ask["messages"][number]): string =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? "").join(" ")

const optionalNull = <S extends Schema.Constraint>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const Limit = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** Of a request, what the answer depends on and what is easily got wrong. */
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
  max_tokens: optionalNull(Limit),
  tools: optionalNull(
    Schema.Array(Schema.Struct({ function: Schema.optionalKey(Schema.Struct({ name: Schema.String })) }))
  ),
  tool_choice: optionalNull(Schema.Unknown)
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
