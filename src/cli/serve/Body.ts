/**
 * Reads the body of a request: JSON in UTF-8, of a bounded size, whatever its content type says.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import { Input } from "./Input.ts"
import { Refusal } from "./Refusal.ts"

/**
 * Refuses a request that says that its body is too large, before any of it is read. Of one that does not say its
 * size, as much is read as may be.
 *
 * @category validation
 * @since 0.1.0
 */
export const checkSize = (
  request: HttpServerRequest.HttpServerRequest,
  maxBody: number
): Effect.Effect<void, Refusal> =>
  Number(request.headers["content-length"] ?? 0) > maxBody ? Effect.fail(tooLarge(maxBody)) : Effect.void

/**
 * Reads a body and what is asked in it.
 *
 * @category reading
 * @since 0.1.0
 */
export const read = <A>(
  request: HttpServerRequest.HttpServerRequest,
  maxBody: number,
  decode: (body: Input) => A
): Effect.Effect<A, Refusal> =>
  Effect.gen(function* () {
    const encoding = request.headers["content-encoding"]
    if (encoding !== undefined && encoding !== "identity") return yield* encoded
    const bytes = yield* request.arrayBuffer.pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxBody)),
      Effect.mapError(({ reason }) =>
        reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge" ? tooLarge(maxBody) : notRead
      )
    )
    const json = yield* Effect.try({ try: (): unknown => JSON.parse(utf8.decode(bytes)), catch: () => notJson })
    return yield* decoding(() => decode(new Input(json)))
  })

/**
 * Runs what throws a `Refusal`.
 *
 * @category reading
 * @since 0.1.0
 */
export const decoding = <A>(decode: () => A): Effect.Effect<A, Refusal> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(decode())
    } catch (error) {
      return error instanceof Refusal ? Effect.fail(error) : Effect.die(error)
    }
  })

const utf8 = new TextDecoder("utf-8", { fatal: true })

const tooLarge = (maxBody: number) =>
  new Refusal({
    reason: "BodyTooLarge",
    message: `a body has at most ${maxBody / 1024 ** 2} MiB here. Send less, or start rill serve with a larger --max-body.`
  })

const encoded = new Refusal({ reason: "Encoded", message: "a compressed body is not read here. Send it as it is." })

const notRead = new Refusal({ reason: "InvalidRequest", message: "the body could not be read to its end." })

const notJson = new Refusal({ reason: "NotJson", message: "the body must be JSON in UTF-8." })
