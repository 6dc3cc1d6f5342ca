/**
 * Recorded answers, as they go back: compared with the blocks that an independent, plain reading of the
 * events gives. RILL_RECORDINGS names the folder of the recordings.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as LlmResponse from "effect-rill/LlmResponse"
import * as AnthropicMessages from "effect-rill/protocol/AnthropicMessages"
import { decodeBytes } from "../support/decodeBytes.ts"
import { encoding } from "../support/describeEncode.ts"

const folder = join(process.env["RILL_RECORDINGS"] ?? "", "anthropic")
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".sse")) : []

type Block = Record<string, unknown>

interface Event {
  readonly type: string
  readonly index: number
  readonly content_block: Block
  readonly delta: Readonly<Record<string, string>>
}

/** The blocks of the message, by Anthropic's own rule: add up the deltas of each. */
const read = (body: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  const inputs: Array<string> = []
  for (const line of body.split("\n")) {
    if (!line.startsWith("data:")) continue
    const { content_block, delta, index, type } = JSON.parse(line.slice(5)) as Event
    if (type === "content_block_start") {
      blocks[index] = { ...content_block }
      inputs[index] = ""
    }
    if (type !== "content_block_delta") continue
    const block = blocks[index]!
    if (delta["type"] === "input_json_delta") inputs[index] += delta["partial_json"]!
    for (const field of ["text", "thinking"]) if (field in delta) block[field] = String(block[field]) + delta[field]
    for (const field of ["signature", "content"]) if (field in delta) block[field] = delta[field]
  }
  for (const [index, input] of inputs.entries()) if (input !== "") blocks[index]!["input"] = JSON.parse(input)
  return blocks
}

/** Text that follows text is one; what it cites, and that the model itself called, is not sent. */
const comparable = (blocks: ReadonlyArray<Block>): ReadonlyArray<Block> => {
  const out: Array<Block> = []
  for (const { caller: _, citations: __, ...block } of blocks) {
    const last = out.at(-1)
    if (block["type"] !== "text" || last?.["type"] !== "text") out.push(block)
    else last["text"] = `${String(last["text"])}${String(block["text"])}`
  }
  return out
}

const said = (text: string) => Prompt.userMessage({ content: [Prompt.textPart({ text })] })

describe.runIf(names.length > 0)("recorded answers go back as they came", () => {
  it.effect.each(names)("%s", (name) =>
    Effect.gen(function* () {
      const bytes = readFileSync(join(folder, name))
      const { events } = yield* decodeBytes(AnthropicMessages.protocol, [bytes])
      const response = LlmResponse.fromEvents(events)
      const { body } = encoding(AnthropicMessages.encode)
      const [, sent] = body({ prompt: Prompt.fromMessages([said("Hi"), response.toMessage, said("Ho")]) })[
        "messages"
      ] as ReadonlyArray<{ readonly content: string | ReadonlyArray<Block> }>
      const content = typeof sent!.content === "string" ? [{ type: "text", text: sent!.content }] : sent!.content
      const blocks = read(bytes.toString("utf8"))
      // What was refused is not gone on from: its tools' results stay behind.
      const expected = response.finishReason === "content-filter" ? blocks.slice(-1) : blocks
      expect(comparable(content)).toEqual(comparable(expected))
    })
  )
})

it.runIf(names.length === 0)("recorded answers: not run, since RILL_RECORDINGS names no folder", () =>
  expect(names).toEqual([])
)
