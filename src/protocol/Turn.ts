/**
 * What every decoder keeps of a turn, and the laws that hold for all of them: no half tool calls,
 * calls imply the finish reason `tool-calls`, usage survives.
 *
 * @since 0.1.0
 */
import type { ProviderOptions } from "effect/ai/Prompt"
import type { FinishReason, LlmEvent } from "../LlmEvent.ts"
import * as LlmUsage from "../LlmUsage.ts"
import type { Progress, TurnContext } from "../wire/Decoder.ts"

/**
 * A tool call that is being written.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenToolCall {
  readonly id: string
  /** Empty until the provider has told it. */
  name: string
  readonly input: Array<string>
  /** Whether the input is text by its nature, and not JSON that is to be parsed. */
  text?: boolean
  metadata?: ProviderOptions
}

/**
 * The state of a turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn extends Progress {
  readonly context: TurnContext
  started: boolean
  end: "none" | "semantic" | "wire"
  textCharacters: number
  refusalCharacters: number
  reasoningCharacters: number
  /** Whether anything of the answer has been told. */
  output: boolean
  readonly toolCalls: Array<OpenToolCall>
  rawReason: string | undefined
  reason: FinishReason | undefined
  usage: LlmUsage.LlmUsage | undefined
  metadata: ProviderOptions | undefined
}

/**
 * A turn that has not begun.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (context: TurnContext): Turn => ({
  context,
  started: false,
  end: "none",
  textCharacters: 0,
  refusalCharacters: 0,
  reasoningCharacters: 0,
  output: false,
  toolCalls: [],
  rawReason: undefined,
  reason: undefined,
  usage: undefined,
  metadata: undefined
})

/**
 * Tells that the turn has begun, once.
 *
 * @category steps
 * @since 0.1.0
 */
export const start = (
  turn: Turn,
  out: Array<LlmEvent>,
  details: { readonly id?: string | undefined; readonly model?: string | undefined }
): void => {
  if (turn.started) return
  turn.started = true
  out.push({
    _tag: "Started",
    provider: turn.context.provider,
    ...(details.id === undefined ? undefined : { id: details.id }),
    ...(details.model === undefined ? undefined : { model: details.model })
  })
}

/**
 * Adds text, unless it is empty.
 *
 * @category steps
 * @since 0.1.0
 */
export const text = (turn: Turn, out: Array<LlmEvent>, text: string): void => {
  if (text === "") return
  turn.output = true
  turn.textCharacters += text.length
  out.push({ _tag: "TextDelta", text })
}

/**
 * Adds reasoning, unless it is empty.
 *
 * @category steps
 * @since 0.1.0
 */
export const reasoning = (turn: Turn, out: Array<LlmEvent>, text: string): void => {
  if (text === "") return
  turn.output = true
  turn.reasoningCharacters += text.length
  out.push({ _tag: "ReasoningDelta", text })
}

/**
 * Closes a block of reasoning with what the provider wants to see again of it. The block may have no
 * text: some providers tell their reasoning encrypted, and in no other form.
 *
 * @category steps
 * @since 0.1.0
 */
export const closeReasoning = (turn: Turn, out: Array<LlmEvent>, metadata: ProviderOptions): void => {
  turn.output = true
  out.push({ _tag: "ReasoningDelta", text: "", metadata })
}

/**
 * Adds to a refusal, unless it is empty.
 *
 * @category steps
 * @since 0.1.0
 */
export const refusal = (turn: Turn, out: Array<LlmEvent>, text: string): void => {
  if (text === "") return
  turn.output = true
  turn.refusalCharacters += text.length
  out.push({ _tag: "Refusal", text })
}

/**
 * Tells a page or a document that the answer cites. What is not a string, or empty, is left out.
 *
 * @category steps
 * @since 0.1.0
 */
export const source = (out: Array<LlmEvent>, sourceType: "url" | "document", url: unknown, title: unknown): void => {
  out.push({
    _tag: "Source",
    sourceType,
    ...(typeof url === "string" && url !== "" ? { url } : undefined),
    ...(typeof title === "string" && title !== "" ? { title } : undefined)
  })
}

/**
 * Opens a tool call. Where the provider has no id for it, its place among the calls makes one.
 *
 * @category steps
 * @since 0.1.0
 */
export const openToolCall = (turn: Turn, id: string): OpenToolCall => {
  const call: OpenToolCall = { id: id === "" ? `call_${turn.toolCalls.length}` : id, name: "", input: [] }
  turn.toolCalls.push(call)
  return call
}

/**
 * Adds a name, a piece of input or both to an open tool call, and tells what can be told of it.
 *
 * @category steps
 * @since 0.1.0
 */
export const continueToolCall = (
  turn: Turn,
  out: Array<LlmEvent>,
  call: OpenToolCall,
  name: string,
  input: string
): void => {
  turn.output = true
  if (call.name === "" && name !== "") {
    call.name = name
    out.push({ _tag: "ToolCallStarted", id: call.id, name })
    for (const delta of call.input) out.push({ _tag: "ToolCallDelta", id: call.id, delta })
  }
  if (input === "") return
  call.input.push(input)
  if (call.name !== "") out.push({ _tag: "ToolCallDelta", id: call.id, delta: input })
}

/**
 * Ends the turn well: tells the complete tool calls, if the answer was not cut or withheld, and
 * `Finished`.
 *
 * @category steps
 * @since 0.1.0
 */
export const finish = (turn: Turn, out: Array<LlmEvent>): void => {
  let reason = turn.reason ?? "other"
  if (reason !== "length" && reason !== "content-filter") {
    for (const call of turn.toolCalls) {
      if (call.name === "") continue
      reason = "tool-calls"
      out.push({
        _tag: "ToolCalled",
        id: call.id,
        name: call.name,
        input: call.text === true ? call.input.join("") : parseInput(call.input.join("")),
        ...(call.metadata === undefined ? undefined : { metadata: call.metadata })
      })
    }
  }
  out.push({
    _tag: "Finished",
    reason,
    usage: usageSoFar(turn),
    ...(turn.rawReason === undefined ? undefined : { rawReason: turn.rawReason }),
    ...(turn.metadata === undefined ? undefined : { metadata: turn.metadata })
  })
}

/**
 * The usage so far: the provider's own, or an estimate.
 *
 * @category getters
 * @since 0.1.0
 */
export const usageSoFar = (turn: Turn): LlmUsage.LlmUsage =>
  turn.usage ??
  LlmUsage.estimate({
    input: turn.context.inputCharacters,
    output: turn.textCharacters + turn.refusalCharacters + toolCharacters(turn),
    reasoning: turn.reasoningCharacters
  })

/**
 * What `Decoder.told` asks for.
 *
 * @category getters
 * @since 0.1.0
 */
export const told = (turn: Turn): { emitted: number; output: boolean; usage: LlmUsage.LlmUsage } => ({
  emitted: turn.textCharacters,
  output: turn.output,
  usage: usageSoFar(turn)
})

const toolCharacters = (turn: Turn): number => {
  let count = 0
  for (const call of turn.toolCalls) for (const piece of call.input) count += piece.length
  return count
}

/** A model that writes no input means none; one that writes no JSON is quoted, for its caller to mend. */
const parseInput = (json: string): unknown => {
  if (json.trim() === "") return {}
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}
