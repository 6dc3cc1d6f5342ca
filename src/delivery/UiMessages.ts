/**
 * An answer as the AI SDK's UI message stream, version 1: what its `useChat` reads
 * (https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol).
 *
 * @since 0.1.0
 */
import type * as AgentEvent from "../agent/AgentEvent.ts"
import type { LlmError } from "../LlmError.ts"
import type * as LlmEvent from "../LlmEvent.ts"
import type { Failure } from "./EventJson.ts"
import { type Element, type Encoder, type Format, problem, type Put } from "./Format.ts"

/**
 * Options of the format.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The message's id. Default: the client makes one. */
  readonly messageId?: string | undefined
  /** The message's metadata, made of the end of the answer: its usage, say. Default: none. */
  readonly messageMetadata?: ((end: LlmEvent.Of<"Finished"> | AgentEvent.Of<"Final">) => unknown) | undefined
}

/**
 * Makes the format. What it says, and how:
 *
 * - Text and a refusal are text parts, reasoning and an agent's thoughts reasoning parts. What an agent says
 *   before it calls a tool is text.
 * - A turn's tool calls are the client's to run. An agent's have their results: `Progress` is a preliminary one,
 *   an `Observation` that is an error an output error.
 * - `Restarted` is a `reset-step`, which the AI SDK knows since version 7.
 * - `finish` is said at the end of the answer, and never after an error, which is `{ type: "error", errorText }`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Format<Element> => ({
  encoder: () => new Chunks(options),
  problem,
  headers: { "x-vercel-ai-ui-message-stream": "v1" },
  numbered: false
})

/**
 * The format with its defaults.
 *
 * @category formats
 * @since 0.1.0
 */
export const uiMessages: Format<Element> = make()

type Kind = "text" | "reasoning"

class Chunks implements Encoder<Element> {
  private readonly options: Options
  private started = false
  private inStep = false
  /** The part that is being written. */
  private open: { readonly kind: Kind; readonly id: string } | undefined
  private parts = 0
  private sources = 0
  private reason: LlmEvent.FinishReason = "stop"
  private metadata: unknown

  constructor(options: Options) {
    this.options = options
  }

  add(element: Element, put: Put): LlmError | undefined {
    if (typeof element === "string") {
      this.delta("text", element, put)
      return undefined
    }
    switch (element._tag) {
      case "Started":
      case "StepStarted":
        this.step(put)
        break
      case "TextDelta":
      case "Refusal":
        this.delta("text", element.text, put)
        break
      case "ReasoningDelta":
        this.delta("reasoning", element.text, put)
        // Its metadata closes the block, which may have no text at all.
        if (element.metadata !== undefined) {
          this.part("reasoning", put)
          this.close(put, element.metadata)
        }
        break
      case "Token":
        this.delta(element.phase === "answer" ? "text" : "reasoning", element.content, put)
        break
      case "ToolCallStarted":
        this.say({ type: "tool-input-start", toolCallId: element.id, toolName: element.name }, put)
        break
      case "ToolCallDelta":
        this.say({ type: "tool-input-delta", toolCallId: element.id, inputTextDelta: element.delta }, put)
        break
      case "ToolCalled": {
        const { id, input, metadata, name } = element
        const more = metadata === undefined ? undefined : { providerMetadata: metadata }
        this.say({ type: "tool-input-available", toolCallId: id, toolName: name, input, ...more }, put)
        break
      }
      case "Action": {
        const { id, input, toolName } = element
        this.say({ type: "tool-input-available", toolCallId: id, toolName, input }, put)
        break
      }
      case "Progress":
        this.say(
          { type: "tool-output-available", toolCallId: element.id, output: element.content, preliminary: true },
          put
        )
        break
      case "Observation":
        this.say(
          element.isError
            ? { type: "tool-output-error", toolCallId: element.id, errorText: element.content }
            : { type: "tool-output-available", toolCallId: element.id, output: element.content },
          put
        )
        break
      case "Source":
        this.source(element, put)
        break
      case "Restarted":
        if (this.inStep) {
          this.open = undefined
          put(`{"type":"reset-step"}`)
        }
        break
      case "Finished":
        this.finished(element.reason, element)
        this.finishStep(put)
        break
      case "StepFinished":
        this.reason = element.reason === "length" ? "length" : "stop"
        this.finishStep(put)
        break
      case "Final":
        this.finished(this.reason, element)
        break
      // Told by their tokens, or with no place in this format.
      case "Thought":
      case "AttemptFailed":
      case "Switched":
        break
    }
    return undefined
  }

  end(put: Put): void {
    this.start(put)
    this.finishStep(put)
    const metadata = this.metadata === undefined ? undefined : { messageMetadata: this.metadata }
    put(JSON.stringify({ type: "finish", finishReason: this.reason, ...metadata }))
    put("[DONE]")
  }

  fail(failure: Failure, put: Put): void {
    this.start(put)
    put(JSON.stringify({ type: "error", errorText: failure.message }))
    put("[DONE]")
  }

  private start(put: Put): void {
    if (this.started) return
    this.started = true
    const { messageId } = this.options
    put(JSON.stringify({ type: "start", ...(messageId === undefined ? undefined : { messageId }) }))
  }

  private step(put: Put): void {
    this.start(put)
    if (this.inStep) return
    this.inStep = true
    put(`{"type":"start-step"}`)
  }

  private finishStep(put: Put): void {
    if (!this.inStep) return
    this.close(put)
    this.inStep = false
    put(`{"type":"finish-step"}`)
  }

  private finished(reason: LlmEvent.FinishReason, end: LlmEvent.Of<"Finished"> | AgentEvent.Of<"Final">): void {
    this.reason = reason
    this.metadata = this.options.messageMetadata?.(end)
  }

  private delta(kind: Kind, text: string, put: Put): void {
    if (text !== "") put(`{"type":"${kind}-delta","id":"${this.part(kind, put)}","delta":${JSON.stringify(text)}}`)
  }

  /** The id of the open part, which is of this kind. */
  private part(kind: Kind, put: Put): string {
    if (this.open?.kind === kind) return this.open.id
    this.step(put)
    this.close(put)
    const id = String(this.parts++)
    this.open = { kind, id }
    put(`{"type":"${kind}-start","id":"${id}"}`)
    return id
  }

  private close(put: Put, providerMetadata?: object): void {
    if (this.open === undefined) return
    const { id, kind } = this.open
    this.open = undefined
    put(
      JSON.stringify({
        type: `${kind}-end`,
        id,
        ...(providerMetadata === undefined ? undefined : { providerMetadata })
      })
    )
  }

  private source({ sourceType, title, url }: LlmEvent.Of<"Source">, put: Put): void {
    const sourceId = String(this.sources++)
    // It is told in the middle of the text that cites it.
    this.step(put)
    put(
      JSON.stringify(
        sourceType === "url" && url !== undefined
          ? { type: "source-url", sourceId, url, ...(title === undefined ? undefined : { title }) }
          : { type: "source-document", sourceId, mediaType: "application/octet-stream", title: title ?? "" }
      )
    )
  }

  /** What is not text ends the text before it. */
  private say(chunk: object, put: Put): void {
    this.step(put)
    this.close(put)
    put(JSON.stringify(chunk))
  }
}
