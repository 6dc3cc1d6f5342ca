/**
 * The whole of a turn: what its events come to.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import type { FinishReason, LlmEvent } from "./LlmEvent.ts"
import type { LlmUsage } from "./LlmUsage.ts"

/**
 * A complete tool call.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly input: unknown
  readonly metadata?: Prompt.ProviderOptions
}

/**
 * A page or document that an answer cites.
 *
 * @category models
 * @since 0.1.0
 */
export interface Source {
  readonly sourceType: "url" | "document"
  readonly url?: string
  readonly title?: string
}

/**
 * The whole of a turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface LlmResponse {
  readonly text: string
  readonly reasoning: string
  /** The words in which the model declined, or `""`. */
  readonly refusal: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  readonly sources: ReadonlyArray<Source>
  readonly finishReason: FinishReason
  readonly rawReason?: string
  readonly usage: LlmUsage
  readonly id?: string
  readonly provider?: string
  readonly model?: string
  /** The history entry: the assistant's message, with what the provider wants to see again. */
  readonly toMessage: Prompt.AssistantMessage
}

/**
 * Folds the events of one turn. `Restarted` voids what came before it; `AttemptFailed` and `Switched` void
 * what came after the last text.
 *
 * Events of a turn that has not ended fold as well: the finish reason is then `"other"` and the
 * usage an estimate of what was delivered.
 *
 * @category folding
 * @since 0.1.0
 */
export const fromEvents = (events: Iterable<LlmEvent>): LlmResponse => {
  const fold = makeFold()
  for (const event of events) fold.add(event)
  return fold.response()
}

/**
 * The same fold, an event at a time.
 *
 * @category folding
 * @since 0.1.0
 */
export interface Fold {
  readonly add: (event: LlmEvent) => void
  readonly response: () => LlmResponse
}

/**
 * Makes a fold. Linear: text is kept in pieces and joined once.
 *
 * @category folding
 * @since 0.1.0
 */
export const makeFold = (): Fold => new Folding()

type Block =
  | { readonly kind: "text" | "reasoning"; readonly pieces: Array<string>; options?: Prompt.ProviderOptions }
  | { readonly kind: "tool-call"; readonly call: ToolCall }

class Folding implements Fold {
  private blocks: Array<Block> = []
  private refusal: Array<string> = []
  private sources: Array<Source> = []
  private started: Extract<LlmEvent, { _tag: "Started" }> | undefined
  private finished: Extract<LlmEvent, { _tag: "Finished" }> | undefined

  add(event: LlmEvent): void {
    switch (event._tag) {
      case "Started":
        this.started = event
        break
      case "TextDelta":
        this.append("text", event.text)
        break
      case "ReasoningDelta":
        this.append("reasoning", event.text, event.metadata)
        break
      case "Refusal":
        this.refusal.push(event.text)
        break
      case "ToolCalled": {
        const { _tag, ...call } = event
        this.blocks.push({ kind: "tool-call", call })
        break
      }
      case "Source": {
        const { _tag, ...source } = event
        this.sources.push(source)
        break
      }
      case "Finished":
        this.finished = event
        break
      case "Restarted":
        this.blocks = []
        this.refusal = []
        this.sources = []
        this.finished = undefined
        break
      case "AttemptFailed":
      case "Switched":
        // Reasoning that led to nothing would become one block with that of the next attempt, whose
        // signature it has no part in.
        while (this.blocks.length > 0 && this.blocks[this.blocks.length - 1]!.kind !== "text") this.blocks.pop()
        this.refusal = []
        this.finished = undefined
        break
      // ToolCalled repeats these whole.
      case "ToolCallStarted":
      case "ToolCallDelta":
        break
    }
  }

  response(): LlmResponse {
    const { finished, started } = this
    const text: Array<string> = []
    const reasoning: Array<string> = []
    const toolCalls: Array<ToolCall> = []
    const content: Array<Prompt.AssistantMessagePart> = []
    for (const block of this.blocks) {
      if (block.kind === "tool-call") {
        const { id, input, metadata, name } = block.call
        toolCalls.push(block.call)
        content.push(Prompt.toolCallPart({ id, name, params: input, providerExecuted: false, options: metadata ?? {} }))
        continue
      }
      const joined = block.pieces.join("")
      if (block.kind === "text") {
        text.push(joined)
        content.push(Prompt.textPart({ text: joined }))
      } else {
        reasoning.push(joined)
        content.push(Prompt.reasoningPart({ text: joined, options: block.options ?? {} }))
      }
    }
    const refusal = this.refusal.join("")
    // A history without the refusal would show the user's message unanswered.
    if (refusal !== "") content.push(Prompt.textPart({ text: refusal }))
    const whole = { text: text.join(""), reasoning: reasoning.join(""), refusal }
    return {
      ...whole,
      toolCalls,
      sources: this.sources,
      finishReason: finished?.reason ?? "other",
      usage: finished?.usage ?? {
        source: "estimated",
        outputTokens: Math.ceil((whole.text.length + whole.reasoning.length + refusal.length) / 4)
      },
      toMessage: Prompt.assistantMessage({ content, options: finished?.metadata ?? {} }),
      ...(finished?.rawReason === undefined ? undefined : { rawReason: finished.rawReason }),
      ...(started?.id === undefined ? undefined : { id: started.id }),
      ...(started?.provider === undefined ? undefined : { provider: started.provider }),
      ...(started?.model === undefined ? undefined : { model: started.model })
    }
  }

  /** Adds to the open block of this kind: the last one, unless its metadata has closed it. */
  private append(kind: "text" | "reasoning", text: string, options?: Prompt.ProviderOptions): void {
    let block = this.blocks[this.blocks.length - 1]
    if (block === undefined || block.kind !== kind || block.options !== undefined) {
      block = { kind, pieces: [] }
      this.blocks.push(block)
    }
    block.pieces.push(text)
    if (options !== undefined) block.options = options
  }
}
