/**
 * The items of a response that is being streamed, and how much of each has been told. Items come in
 * pieces and again whole, when they are done and when the response is; servers leave out one or the
 * other.
 *
 * @since 0.1.0
 */
import type { LlmEvent } from "../LlmEvent.ts"
import type { TurnContext } from "../wire/Decoder.ts"
import { isPresent, isRecord, type Json, records, text } from "./Json.ts"
import type { Body } from "./RequestParts.ts"
import * as Turn from "./Turn.ts"

/**
 * The state of a turn. Its items are found by `output_index` or by id.
 *
 * @category decoding
 * @since 0.1.0
 */
export interface State extends Turn.Turn {
  readonly items: Array<Item>
  readonly byIndex: Map<number, Item>
  readonly byId: Map<string, Item>
  /** The item of reasoning that is being told. */
  thinking: Item | undefined
  /** Where the last piece of writing was told. */
  writing: { readonly item: Item; readonly part: number } | undefined
}

/**
 * An item of the answer, and how much of it has been told.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item {
  readonly type: string
  readonly id: string | undefined
  /** Characters told, of all parts of a kind, and the part that was told last. */
  readonly told: Readonly<Record<Kind, { characters: number; part: number }>>
  annotations: number
  call: Turn.OpenToolCall | undefined
  /** The part of the reasoning that is open, and of which kind it is. */
  open: { readonly kind: Kind; readonly part: number } | undefined
  done: boolean
}

/**
 * What an item's writing is: text, refusal, a summary of the reasoning or the reasoning itself.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "text" | "refusal" | "summary" | "raw"

/**
 * A turn that has not begun.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (context: TurnContext): State => ({
  ...Turn.make(context),
  items: [],
  byIndex: new Map(),
  byId: new Map(),
  thinking: undefined,
  writing: undefined
})

/**
 * Tells that the response has begun, once.
 *
 * @category steps
 * @since 0.1.0
 */
export const begin = (state: State, response: unknown, out: Array<LlmEvent>): void => {
  if (state.started) return
  const { id, model } = isRecord(response) ? response : {}
  Turn.start(state, out, { id: text(id), model: text(model) })
}

/**
 * The item that an event belongs to: by output index, by id where that is missing or names another,
 * else the last one of its type. Some servers give an item a new id in every event, some give all of
 * them the same index.
 *
 * @category items
 * @since 0.1.0
 */
export const findItem = (state: State, event: Json, type: string, itemId: unknown = event["item_id"]): Item => {
  const index = event["output_index"]
  const id = text(itemId)
  const at = typeof index === "number" ? state.byIndex.get(index) : undefined
  if (at !== undefined && (id === undefined || at.id === id)) return at
  const known = id === undefined ? undefined : state.byId.get(id)
  if (known !== undefined) return known
  const last = typeof index === "number" ? at : state.items.findLast((item) => item.type === type)
  return last === undefined || last.done ? openItem(state, type, index, id) : last
}

/**
 * A new item.
 *
 * @category items
 * @since 0.1.0
 */
export const openItem = (state: State, type: string, index: unknown, id: string | undefined): Item => {
  const item: Item = {
    type,
    id,
    told: { text: nothing(), refusal: nothing(), summary: nothing(), raw: nothing() },
    annotations: 0,
    call: undefined,
    open: undefined,
    done: false
  }
  state.items.push(item)
  if (typeof index === "number") state.byIndex.set(index, item)
  if (id !== undefined) state.byId.set(id, item)
  return item
}

const nothing = () => ({ characters: 0, part: -1 })

/**
 * Tells a piece of an item's writing.
 *
 * @category steps
 * @since 0.1.0
 */
export const tell = (state: State, item: Item, kind: Kind, part: number, piece: string, out: Array<LlmEvent>): void => {
  if (piece === "") return
  begin(state, undefined, out)
  const told = item.told[kind]
  told.characters += piece.length
  told.part = part
  if (state.thinking !== undefined && state.thinking !== item) closePart(state, state.thinking, {}, out)
  if (kind === "text") return Turn.text(state, out, piece)
  if (kind === "refusal") return Turn.refusal(state, out, piece)
  if (item.open !== undefined && (item.open.kind !== kind || item.open.part !== part)) closePart(state, item, {}, out)
  item.open ??= { kind, part }
  state.thinking = item
  Turn.reasoning(state, out, piece)
}

/** Each part of an item of reasoning is a block; the last one carries what there is encrypted. */
const closePart = (state: State, item: Item, details: Body, out: Array<LlmEvent>): void => {
  const metadata = {
    ...(item.id === undefined ? undefined : { itemId: item.id }),
    ...details,
    ...(item.open?.kind === "raw" ? { raw: true } : undefined)
  }
  item.open = undefined
  if (state.thinking === item) state.thinking = undefined
  if (Object.keys(metadata).length > 0) Turn.closeReasoning(state, out, { openai: metadata })
}

/**
 * Tells what has not been told of an item that came whole.
 *
 * @category steps
 * @since 0.1.0
 */
export const tellItem = (state: State, item: Item, json: Json, out: Array<LlmEvent>): void => {
  const content = records(json["content"])
  if (json["type"] === "message") {
    tellParts(state, item, "text", content, "output_text", "text", out)
    tellParts(state, item, "refusal", content, "refusal", "refusal", out)
    const annotations = content.flatMap((part) => records(part["annotations"]))
    for (; item.annotations < annotations.length; item.annotations++) tellSource(annotations[item.annotations], out)
  } else if (json["type"] === "reasoning") {
    tellParts(state, item, "summary", records(json["summary"]), "summary_text", "text", out)
    tellParts(state, item, "raw", content, "reasoning_text", "text", out)
    const encryptedContent = text(json["encrypted_content"])
    if (!item.done && (item.open !== undefined || encryptedContent !== undefined)) {
      closePart(state, item, encryptedContent === undefined ? {} : { encryptedContent }, out)
    }
  } else {
    const input = json["arguments"] ?? json["input"]
    tellCall(state, item, json, typeof input === "string" ? input : isPresent(input) ? JSON.stringify(input) : "", out)
  }
  item.done = true
}

/** Parts are counted by their characters: servers disagree on how they are numbered. */
const tellParts = (
  state: State,
  item: Item,
  kind: Kind,
  parts: ReadonlyArray<Json>,
  type: string,
  field: string,
  out: Array<LlmEvent>
): void => {
  const told = item.told[kind].characters
  let before = 0
  for (const [index, part] of parts.entries()) {
    const whole = part[field]
    if (part["type"] !== type || typeof whole !== "string") continue
    if (before >= told) tell(state, item, kind, index, whole, out)
    before += whole.length
  }
}

/**
 * Tells of a call that this side has to run, and its input unless some has been told.
 *
 * @category steps
 * @since 0.1.0
 */
export const tellCall = (state: State, item: Item, json: Json, input: string, out: Array<LlmEvent>): void => {
  const custom = json["type"] === "custom_tool_call"
  if (!custom && json["type"] !== "function_call") return
  if (state.thinking !== undefined) closePart(state, state.thinking, {}, out)
  if (item.call === undefined) {
    item.call = Turn.openToolCall(state, text(json["call_id"]) ?? item.id ?? "")
    item.call.text = custom
    // Calls are told at the end of the turn: this says where among the reasoning they were made.
    const after = state.items.findLast(({ type }) => type === "reasoning")?.id
    const metadata = { ...(custom ? { custom } : undefined), ...(after === undefined ? undefined : { after }) }
    if (Object.keys(metadata).length > 0) item.call.metadata = { openai: metadata }
  }
  const { call } = item
  Turn.continueToolCall(state, out, call, text(json["name"]) ?? "", call.input.length === 0 ? input : "")
}

/**
 * Tells of a page or a file that is cited.
 *
 * @category steps
 * @since 0.1.0
 */
export const tellSource = (annotation: unknown, out: Array<LlmEvent>): void => {
  if (!isRecord(annotation)) return
  const { filename, title, type, url } = annotation
  if (type === "url_citation") Turn.source(out, "url", url, title)
  else if (type === "file_citation" || type === "container_file_citation") {
    Turn.source(out, "document", undefined, filename)
  }
}

/**
 * Tells what only the response itself has. Its items are found by id, else by their order.
 *
 * @category steps
 * @since 0.1.0
 */
export const tellOutput = (state: State, output: ReadonlyArray<Json>, out: Array<LlmEvent>): void => {
  const ids = new Set(output.map(({ id }) => id))
  const items = new Set(state.items)
  for (const json of output) {
    const ofType = [...items].filter(({ type }) => type === json["type"])
    const item =
      ofType.find(({ id }) => id !== undefined && id === json["id"]) ??
      ofType.find(({ id }) => id === undefined || !ids.has(id)) ??
      openItem(state, text(json["type"]) ?? "", undefined, text(json["id"]))
    items.delete(item)
    tellItem(state, item, json, out)
  }
}
