/**
 * The file of a cassette: JSON that a person can read.
 *
 * @internal
 */
import * as Schema from "effect/Schema"
import { toText } from "./MarkedBytes.ts"

export const version = 1

const Base64 = Schema.Struct({ base64: Schema.Uint8ArrayFromBase64 })

const Headers = Schema.Record(Schema.String, Schema.String)

export const Request = Schema.Struct({
  method: Schema.String,
  url: Schema.String,
  headers: Headers,
  /** Left out where there was none, or one that cannot be read before it is sent: a form, a stream. */
  body: Schema.optionalKey(
    Schema.Union([Schema.Struct({ json: Schema.Unknown }), Schema.Struct({ text: Schema.String }), Base64])
  )
})

export type Request = typeof Request.Type

export const Response = Schema.Struct({
  status: Schema.Number,
  headers: Headers,
  /** As they came; text where a chunk is text by itself. */
  chunks: Schema.Array(Schema.Union([Schema.String, Base64])),
  /** How the body ended: by itself, by a broken connection, or because its reader left. */
  end: Schema.Literals(["complete", "broken", "left"]),
  /** The system's code of what broke it. */
  code: Schema.optionalKey(Schema.String)
})

export type Response = typeof Response.Type

export const Exchange = Schema.Struct({ request: Request, response: Response })

export type Exchange = typeof Exchange.Type

export const CassetteFile = Schema.Struct({ cassette: Schema.Literal(version), exchanges: Schema.Array(Exchange) })

export const encode = (exchanges: ReadonlyArray<Exchange>): string =>
  `${JSON.stringify(Schema.encodeSync(CassetteFile)({ cassette: version, exchanges }), null, 2)}\n`

export const body = (bytes: Uint8Array): NonNullable<Request["body"]> => {
  const text = toText(bytes)
  if (text === undefined) return { base64: bytes }
  try {
    return { json: JSON.parse(text) }
  } catch {
    return { text }
  }
}

export const chunk = (bytes: Uint8Array): Response["chunks"][number] => toText(bytes) ?? { base64: bytes }

export const bytesOf = (chunk: Response["chunks"][number]): Uint8Array =>
  typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk.base64
