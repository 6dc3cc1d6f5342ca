/**
 * Messages as OpenAI's chat completions have them
 * (https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages), without tools.
 *
 * @since 0.1.0
 */
import type * as Prompt from "effect/ai/Prompt"
import * as Attachment from "./Attachment.ts"
import type { Input } from "./Input.ts"

/**
 * Reads messages.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (input: Input): ReadonlyArray<Prompt.MessageEncoded> => {
  const messages = input.list()
  if (messages.length === 0) return input.refuse("a list of at least one message")
  return messages.map(message)
}

const message = (input: Input): Prompt.MessageEncoded => {
  input.record()
  const role = input.at("role")
  const content = input.at("content")
  switch (role.oneOf("system", "developer", "user", "assistant", "tool", "function")) {
    case "system":
    case "developer":
      return { role: "system", content: text(content) }
    case "user":
      return { role: "user", content: content.isString ? content.string() : parts(content).map(part) }
    case "assistant":
      if (!input.at("tool_calls").isIdle) return input.at("tool_calls").unsupported(noTools)
      if (!input.at("function_call").isIdle) return input.at("function_call").unsupported(noTools)
      return { role: "assistant", content: content.isAbsent ? "" : text(content) }
    default:
      return role.unsupported(noTools)
  }
}

const noTools = "tools are not served here"

const parts = (content: Input): ReadonlyArray<Input> =>
  content.isList ? content.list() : content.refuse("a string, or a list of parts")

const text = (content: Input): string => (content.isString ? content.string() : parts(content).map(textPart).join(""))

const textPart = (input: Input): string => input.at(input.at("type").oneOf("text", "refusal")).string()

const part = (input: Input): Prompt.TextPartEncoded | Prompt.FilePartEncoded => {
  switch (input.at("type").oneOf("text", "image_url", "input_audio", "file")) {
    case "text":
      return { type: "text", text: input.at("text").string() }
    case "image_url":
      return Attachment.fromUrl(input.at("image_url").at("url"), "image/*")
    case "input_audio": {
      const audio = input.at("input_audio")
      const mediaType = audio.at("format").oneOf("wav", "mp3") === "wav" ? "audio/wav" : "audio/mpeg"
      return { type: "file", mediaType, data: Attachment.bytes(audio.at("data"), audio.at("data").string()) }
    }
    case "file": {
      const file = input.at("file")
      if (!file.at("file_id").isAbsent) return file.at("file_id").unsupported("send the file itself, as file_data")
      const fileName = file.at("filename").optional((name) => name.string())
      return {
        ...Attachment.fromUrl(file.at("file_data"), "application/pdf"),
        ...(fileName === undefined ? undefined : { fileName })
      }
    }
  }
}
