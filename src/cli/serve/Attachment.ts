/**
 * Files in messages, which come as URLs.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { Input } from "./Input.ts"

/**
 * The file at a URL: one on the web, which is for the model's provider to read, or a data URL in base64.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromUrl = (input: Input, mediaType: string): Prompt.FilePartEncoded => {
  const text = input.string()
  if (/^https?:/i.test(text)) {
    return URL.canParse(text) ? { type: "file", mediaType, data: new URL(text) } : input.refuse(expected)
  }
  const comma = text.indexOf(",")
  const head = /^data:([^;,]*)(?:;[^;,]*)*;base64$/i.exec(comma === -1 ? "" : text.slice(0, Math.min(comma, 256)))
  if (head === null) return input.refuse(expected)
  return { type: "file", mediaType: head[1] || mediaType, data: bytes(input, text.slice(comma + 1)) }
}

/**
 * What a text in base64 is of.
 *
 * @category decoding
 * @since 0.1.0
 */
export const bytes = (input: Input, text: string): Uint8Array =>
  Result.getOrElse(Base64.decode(text), () => input.refuse("in base64"))

const expected = "a URL that begins with https:, http:, or data: in base64"
