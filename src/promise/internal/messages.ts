/**
 * From messages of `effect/ai` to plain ones: without the marks of their types.
 *
 * @internal
 */
import type * as Prompt from "effect/ai/Prompt"
import type {
  AssistantMessage,
  FilePart,
  Message,
  ProviderOptions,
  TextPart,
  ToolCallPart,
  ToolResultPart
} from "../Request.ts"

/** Each step of an agent tells the whole conversation: what it has told before is not made again. */
const made = new WeakMap<Prompt.Message, Message>()

export const all = (prompt: Prompt.Prompt): ReadonlyArray<Message> =>
  prompt.content.map((message) => {
    const known = made.get(message)
    if (known !== undefined) return known
    const plain = one(message)
    made.set(message, plain)
    return plain
  })

const one = (message: Prompt.Message): Message => {
  switch (message.role) {
    case "system":
      return { role: "system", content: message.content, ...options(message) }
    case "user":
      return {
        role: "user",
        content: message.content.map((part) => (part.type === "file" ? file(part) : text(part))),
        ...options(message)
      }
    case "assistant":
      return assistant(message)
    case "tool":
      return { role: "tool", content: message.content.flatMap(result), ...options(message) }
  }
}

export const assistant = (message: Prompt.AssistantMessage): AssistantMessage => ({
  role: "assistant",
  content: message.content.flatMap(part),
  ...options(message)
})

type Part = Exclude<AssistantMessage["content"], string>[number]

const part = (part: Prompt.AssistantMessagePart): ReadonlyArray<Part> => {
  switch (part.type) {
    case "text":
      return [text(part)]
    case "reasoning":
      return [{ type: part.type, text: part.text, ...options(part) }]
    case "tool-call":
      return [call(part)]
    case "file":
      return [file(part)]
    default:
      // What a provider's own tools did: nothing here asks for them.
      return []
  }
}

const text = (part: Prompt.TextPart): TextPart => ({ type: part.type, text: part.text, ...options(part) })

const file = ({ data, fileName, mediaType, ...part }: Prompt.FilePart): FilePart => ({
  type: "file",
  mediaType,
  ...(fileName === undefined ? undefined : { fileName }),
  data,
  ...options(part)
})

const call = ({ id, name, params, ...part }: Prompt.ToolCallPart): ToolCallPart => ({
  type: "tool-call",
  id,
  name,
  params,
  ...options(part)
})

const result = (part: Prompt.ToolMessagePart): ReadonlyArray<ToolResultPart> =>
  part.type === "tool-result"
    ? [
        {
          type: part.type,
          id: part.id,
          name: part.name,
          isFailure: part.isFailure,
          result: part.result,
          ...options(part)
        }
      ]
    : []

const options = (of: { readonly options: ProviderOptions }): { readonly options?: ProviderOptions } =>
  Object.keys(of.options).length === 0 ? {} : { options: of.options }
