/**
 * `POST /api/chat`: what the AI SDK's `useChat` sends, its messages being `UIMessage`s
 * (https://ai-sdk.dev/docs/reference/ai-sdk-core/ui-message). Its other fields (`id`, `trigger`, …) are ignored.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as Attachment from "./Attachment.ts"
import type { Input } from "./Input.ts"

/**
 * Reads a request.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (body: Input): LlmRequest => {
  body.record()
  const messages = body.at("messages").list()
  if (messages.length === 0) return body.at("messages").refuse("a list of at least one message")
  return { prompt: messages.map(message) }
}

const message = (input: Input): Prompt.MessageEncoded => {
  input.record()
  const parts = input.at("parts").list()
  switch (input.at("role").oneOf("system", "user", "assistant")) {
    case "system":
      return { role: "system", content: parts.flatMap(text).join("") }
    case "user":
      return { role: "user", content: parts.flatMap(userPart) }
    case "assistant":
      return { role: "assistant", content: parts.flatMap(text).map((text) => ({ type: "text", text })) }
  }
}

const userPart = (input: Input): ReadonlyArray<Prompt.TextPartEncoded | Prompt.FilePartEncoded> => {
  if (input.at("type").string() !== "file") return text(input).map((text) => ({ type: "text", text }))
  const mediaType = input.at("mediaType").string()
  const fileName = input.at("filename").optional((name) => name.string())
  return [
    {
      ...Attachment.fromUrl(input.at("url"), mediaType),
      mediaType,
      ...(fileName === undefined ? undefined : { fileName })
    }
  ]
}

/** The text of a part. What an answer tells besides its text is not for the model to read again. */
const text = (input: Input): ReadonlyArray<string> => {
  const type = input.at("type")
  switch (type.string()) {
    case "text":
      return [input.at("text").string()]
    case "reasoning":
    case "step-start":
    case "source-url":
    case "source-document":
      return []
    default:
      return type.string().startsWith("data-") ? [] : type.unsupported("text, and files of a user, are read here")
  }
}
