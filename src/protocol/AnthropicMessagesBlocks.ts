/**
 * The blocks of a message that is being streamed: what is told of each as it comes, and what is kept
 * for the history.
 *
 * Source: https://platform.claude.com/docs/en/build-with-claude/streaming.
 *
 * @since 0.1.0
 */
import type { Json as JsonValue, JsonObject } from "effect/Schema"
import type { LlmEvent } from "../LlmEvent.ts"
import type { TurnContext } from "../wire/Decoder.ts"
import { isRecord, type Json, records, text } from "./Json.ts"
import * as Turn from "./Turn.ts"

/**
 * The state of a turn.
 *
 * @category decoding
 * @since 0.1.0
 */
export interface State extends Turn.Turn {
  /** The blocks that are open, by index. */
  readonly open: Map<unknown, Block>
  readonly calls: Array<Call>
  /** What tools that the provider ran gave, each with its place: the provider wants to see it again. */
  readonly kept: Array<Kept>
  /** Pages and documents that have been told. */
  readonly cited: Set<string>
  /** Blocks of thinking that have been told whole. */
  thoughts: number
  /** The counts that have come, the last of each. */
  counts: Record<string, unknown> | undefined
}

/**
 * A block that is open.
 *
 * @category models
 * @since 0.1.0
 */
export type Block =
  | { readonly type: "text" }
  | Thinking
  | { readonly type: "call"; readonly call: Call; readonly input: unknown }
  | { readonly type: "kept"; readonly kept: Kept; readonly input: Array<string> }

/**
 * A block of thinking that is open.
 *
 * @category models
 * @since 0.1.0
 */
export interface Thinking {
  readonly type: "thinking"
  readonly pieces: Array<string>
  signature: string | undefined
  /** Whether something else was told between its pieces. */
  interrupted: boolean
}

/**
 * A call, where among the thinking it was made, and whether it has come whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly call: Turn.OpenToolCall
  readonly before: number
  readonly caller: JsonValue | undefined
  whole: boolean
}

/**
 * A block that is kept as it came, and its place: after so many characters of text and so many blocks of
 * thinking.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kept {
  readonly text: number
  readonly thinking: number
  readonly block: Record<string, JsonValue>
}

/**
 * A turn that has not begun.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (context: TurnContext): State => ({
  ...Turn.make(context),
  open: new Map(),
  calls: [],
  kept: [],
  cited: new Set(),
  thoughts: 0,
  counts: undefined
})

/**
 * Opens a block, and tells what it begins with.
 *
 * @category steps
 * @since 0.1.0
 */
export const start = (state: State, index: unknown, json: Json, out: Array<LlmEvent>): void => {
  if (state.open.has(index)) stop(state, index, out)
  switch (json["type"]) {
    case "text":
      state.open.set(index, { type: "text" })
      if (typeof json["text"] === "string") tellText(state, json["text"], out)
      for (const citation of records(json["citations"])) cite(state, citation, out)
      return
    case "thinking": {
      const block = openThinking(state, index)
      if (typeof json["thinking"] === "string") tellThinking(state, block, json["thinking"], out)
      block.signature = text(json["signature"])
      return
    }
    case "redacted_thinking":
      closeThinking(state, { redactedData: text(json["data"]) ?? "" }, out)
      return
    case "tool_use": {
      const call = openCall(state, json)
      state.open.set(index, { type: "call", call, input: json["input"] })
      Turn.continueToolCall(state, out, call.call, text(json["name"]) ?? "", "")
      return
    }
    default: {
      // Of what we do not know, we cannot say how it goes back. (Nor of `fallback`, without its beta.)
      if (!returning.test(String(json["type"]))) return
      const kept: Kept = {
        text: state.textCharacters,
        thinking: state.thoughts,
        block: { ...(json as Readonly<Record<string, JsonValue>>) }
      }
      state.kept.push(kept)
      state.open.set(index, { type: "kept", kept, input: [] })
    }
  }
}

/** What goes back as it came: what tools that the provider runs do, and summaries of what came before. */
const returning = /^(server|mcp)_tool_use$|_tool_result$|^compaction$/

/**
 * Adds a delta to its block. Text and thinking are told even of a block that was not announced.
 *
 * @category steps
 * @since 0.1.0
 */
export const proceed = (state: State, index: unknown, delta: Json, out: Array<LlmEvent>): void => {
  const block = state.open.get(index)
  switch (delta["type"]) {
    case "text_delta":
      if (typeof delta["text"] === "string") tellText(state, delta["text"], out)
      return
    case "thinking_delta":
      if (typeof delta["thinking"] === "string") {
        const thinking = block?.type === "thinking" ? block : openThinking(state, index)
        tellThinking(state, thinking, delta["thinking"], out)
      }
      return
    case "signature_delta":
      if (block?.type === "thinking") block.signature = text(delta["signature"]) ?? block.signature
      return
    case "input_json_delta": {
      const piece = delta["partial_json"]
      if (typeof piece !== "string") return
      if (block?.type === "call") Turn.continueToolCall(state, out, block.call.call, "", piece)
      else if (block?.type === "kept") block.input.push(piece)
      return
    }
    case "citations_delta":
      if (isRecord(delta["citation"])) cite(state, delta["citation"], out)
      return
    case "compaction_delta": {
      if (block?.type !== "kept") return
      const { type: _, ...fields } = delta
      Object.assign(block.kept.block, fields)
    }
  }
}

/**
 * Closes a block.
 *
 * @category steps
 * @since 0.1.0
 */
export const stop = (state: State, index: unknown, out: Array<LlmEvent>): void => {
  const block = state.open.get(index)
  if (block === undefined) return
  state.open.delete(index)
  switch (block.type) {
    case "thinking": {
      if (block.signature === undefined) {
        // It cannot go back, and must not become a part of what comes after it.
        if (block.pieces.length > 0) Turn.closeReasoning(state, out, { anthropic: {} })
        return
      }
      const thinking = block.interrupted ? { thinking: block.pieces.join("") } : {}
      closeThinking(state, { signature: block.signature, ...thinking }, out, block)
      return
    }
    case "call":
      // Some servers send the input whole, where the block begins.
      if (block.call.call.input.length === 0 && hasFields(block.input)) {
        Turn.continueToolCall(state, out, block.call.call, "", JSON.stringify(block.input))
      }
      block.call.whole = true
      return
    case "kept":
      if (block.input.length > 0) block.kept.block["input"] = parse(block.input.join(""))
      return
    case "text":
  }
}

/**
 * Closes what is open, and leaves what is to be said at the end: which calls there are, and what the
 * history has to have.
 *
 * @category steps
 * @since 0.1.0
 */
export const end = (state: State, out: Array<LlmEvent>): void => {
  const wholeBefore = new Set(state.calls.filter(({ whole }) => whole))
  for (const index of state.open.keys()) stop(state, index, out)
  state.toolCalls.length = 0
  for (const call of state.calls) {
    // Of an answer that ended for a reason we do not know, only what came whole is a call.
    if (state.reason === "other" && !wholeBefore.has(call)) continue
    const metadata = {
      // Calls are told at the end of the turn: this says which thinking came after them.
      ...(call.before < state.thoughts ? { before: call.before } : undefined),
      ...(call.caller === undefined ? undefined : { caller: call.caller })
    }
    if (Object.keys(metadata).length > 0) call.call.metadata = { anthropic: metadata }
    state.toolCalls.push(call.call)
  }
  const blocks = state.reason === "content-filter" ? [] : settled(state)
  if (blocks.length > 0) state.metadata = { anthropic: { blocks } }
}

/** The API refuses a call of its own tools without its result, but where it said that the result is to come. */
const settled = ({ kept, rawReason }: State) => {
  const awaited = rawReason === "pause_turn" || rawReason === "tool_use"
  const done = new Set(kept.map(({ block }) => block["tool_use_id"]))
  return kept
    .filter(({ block }) => awaited || !/^(server|mcp)_tool_use$/.test(String(block["type"])) || done.has(block["id"]))
    .map(({ block, text, thinking }) => ({ text, thinking, block }))
}

// -----------------------------------------------------------------------------
// parts
// -----------------------------------------------------------------------------

const tellText = (state: State, piece: string, out: Array<LlmEvent>): void => {
  interrupt(state)
  Turn.text(state, out, piece)
}

const openThinking = (state: State, index: unknown): Thinking => {
  const block: Thinking = { type: "thinking", pieces: [], signature: undefined, interrupted: false }
  state.open.set(index, block)
  return block
}

const tellThinking = (state: State, block: Thinking, piece: string, out: Array<LlmEvent>): void => {
  interrupt(state, block)
  block.pieces.push(piece)
  Turn.reasoning(state, out, piece)
}

const closeThinking = (
  state: State,
  metadata: Readonly<Record<string, JsonValue>>,
  out: Array<LlmEvent>,
  block?: Thinking
): void => {
  interrupt(state, block)
  state.thoughts++
  Turn.closeReasoning(state, out, { anthropic: metadata })
}

/**
 * What is told between the pieces of a block of thinking parts them in the history, so that the block
 * has to keep its whole, which the signature is for.
 */
const interrupt = (state: State, by?: Thinking): void => {
  for (const block of state.open.values()) {
    if (block.type === "thinking" && block !== by && block.pieces.length > 0) block.interrupted = true
  }
}

const openCall = (state: State, json: Json): Call => {
  const { caller } = json
  const call: Call = {
    call: Turn.openToolCall(state, text(json["id"]) ?? ""),
    before: state.thoughts,
    // The model itself calls, unless its code does.
    caller: isRecord(caller) && caller["type"] !== "direct" ? (caller as JsonObject) : undefined,
    whole: false
  }
  state.calls.push(call)
  return call
}

/** Tells a page or a document once, however often it is cited. */
const cite = (state: State, citation: Json, out: Array<LlmEvent>): void => {
  const { document_title, source, title, url } = citation
  const page = text(url) ?? (typeof source === "string" && /^https?:/.test(source) ? source : undefined)
  const name = text(title) ?? text(document_title) ?? (page === undefined ? text(source) : undefined)
  const key = page ?? `document ${name ?? String(citation["document_index"])}`
  if (state.cited.has(key)) return
  state.cited.add(key)
  Turn.source(out, page === undefined ? "document" : "url", page, name)
}

const hasFields = (value: unknown): boolean => isRecord(value) && Object.keys(value).length > 0

const parse = (json: string): JsonValue => {
  try {
    return json.trim() === "" ? {} : (JSON.parse(json) as JsonValue)
  } catch {
    return json
  }
}
