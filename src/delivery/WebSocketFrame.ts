/**
 * The frames of {@link WebSocket.handler}: what a client sends and what it is sent, as JSON in text frames.
 *
 * ```
 * → { "type": "prompt", "id": "a", "prompt": "Tell me a story" }
 * ← { "type": "event", "id": "a", "event": { "_tag": "Started", … } }
 * ← { "type": "token", "id": "a", "text": "Once" }
 * ← { "type": "token", "id": "a", "text": " upon" }
 * ← { "type": "event", "id": "a", "event": { "_tag": "Finished", … } }
 * ← { "type": "done", "id": "a", "reason": "stop", "usage": { … } }
 * ```
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/ai/Prompt"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { FinishReason } from "../LlmEvent.ts"
import { LlmUsage } from "../LlmUsage.ts"
import * as EventJson from "./EventJson.ts"

const maxIdLength = 128

/**
 * The client's name for a prompt: 1 to 128 characters, unique among the connection's running prompts.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Id = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(maxIdLength))

const anyPrompt = Schema.Union([Schema.String, Schema.Array(Prompt.Message)]).pipe(
  Schema.decodeTo(
    Schema.declare(Prompt.isPrompt),
    SchemaTransformation.transform({
      decode: (prompt) => (typeof prompt === "string" ? Prompt.make(prompt) : Prompt.fromMessages(prompt)),
      encode: (prompt) => prompt.content
    })
  )
)

/**
 * Asks. Fields that are not named here are dropped.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PromptFrame = Schema.Struct({
  type: Schema.Literal("prompt"),
  id: Id,
  /** A string, which is one message from the user; or messages as `effect/ai`'s `Prompt` encodes them. */
  prompt: anyPrompt
})

/**
 * Asks, checked: `prompt` is a `Prompt` of `effect/ai`, whichever way it was written.
 *
 * @category models
 * @since 0.1.0
 */
export type PromptFrame = typeof PromptFrame.Type

/**
 * Stops a prompt that is running. It is answered by the prompt's `done` with the reason `stopped`, or by
 * what ended it before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const StopFrame = Schema.Struct({ type: Schema.Literal("stop"), id: Id })

/**
 * What a client sends.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ClientFrame = Schema.Union([PromptFrame, StopFrame])

/**
 * What a client sends.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientFrame = typeof ClientFrame.Type

/**
 * Why a frame was refused: the `reason` of the `error` frame that says so, besides those of `EventJson.Failure`.
 *
 * - `NotJson`: it is no JSON.
 * - `BadFrame`: it is JSON, and no frame of this protocol.
 * - `DuplicateId`: a prompt of this id is running; it goes on.
 * - `NotRunning`: there is nothing to stop. A `stop` that crossed the prompt's end on its way gets this.
 * - `TooManyPrompts`: as many prompts are running as may; ask again when one has ended.
 *
 * @category models
 * @since 0.1.0
 */
export type RefusalReason = "NotJson" | "BadFrame" | "DuplicateId" | "NotRunning" | "TooManyPrompts"

/**
 * What a client is sent. Each prompt is answered by any number of `token` and `event` frames, in order,
 * and one last frame: `done`, or an `error` that is `final`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ServerFrame = Schema.Union([
  /**
   * More of the visible text; from an agent, with the step it belongs to. The texts join to the answer;
   * those before a `Restarted` event are void.
   */
  Schema.Struct({
    type: Schema.Literal("token"),
    id: Id,
    text: Schema.String,
    step: Schema.optionalKey(Schema.Number)
  }),
  /** All else that an answer tells: an `LlmEvent` or `AgentEvent`, as `EventJson` writes it. */
  Schema.Struct({ type: Schema.Literal("event"), id: Id, event: Schema.Unknown }),
  /**
   * The answer is complete, or `stopped` as asked. `reason` is `other` where the answer did not tell one.
   * `usage` is what all of it used, an estimate where the answer did not tell.
   */
  Schema.Struct({
    type: Schema.Literal("done"),
    id: Id,
    reason: Schema.Literals([...FinishReason.literals, "stopped"]),
    usage: LlmUsage
  }),
  /**
   * Something failed: an answer, or a frame of the client's own, `error.reason` being a
   * {@link RefusalReason} then. `id` is missing where it could not be read.
   */
  Schema.Struct({
    type: Schema.Literal("error"),
    id: Schema.optionalKey(Schema.String),
    /** Whether the prompt of this id is over with it. */
    final: Schema.Boolean,
    error: EventJson.Failure
  })
])

/**
 * What a client is sent.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerFrame = typeof ServerFrame.Type

/**
 * The text of a prompt's last frame, or of a refusal.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (frame: Extract<ServerFrame, { readonly type: "done" | "error" }>): string =>
  JSON.stringify(frame)

/**
 * The frames of one prompt's elements, one each: `token` for visible text, `event` for all else.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encoder = (id: string): ((element: EventJson.Event | string) => string) => {
  const of = JSON.stringify(id)
  const token = `{"type":"token","id":${of},"text":`
  const event = `{"type":"event","id":${of},"event":`
  return (element) => {
    if (typeof element === "string") return `${token}${JSON.stringify(element)}}`
    if (element._tag === "TextDelta") return `${token}${JSON.stringify(element.text)}}`
    if (element._tag === "Token" && element.phase === "answer") {
      return `${token}${JSON.stringify(element.content)},"step":${element.step}}`
    }
    return `${event}${EventJson.encode(element)}}`
  }
}

/**
 * A frame that was refused, and why.
 *
 * @category decoding
 * @since 0.1.0
 */
export interface Refused {
  /** Where it could be read. */
  readonly id: string | undefined
  readonly reason: RefusalReason
  readonly message: string
}

/**
 * Reads what a client sent. The messages of a refusal say what is expected, never what came.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (text: string): Result.Result<ClientFrame, Refused> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return Result.fail({ id: undefined, reason: "NotJson", message: `a frame is JSON, such as ${example}.` })
  }
  const id = Predicate.hasProperty(json, "id") && isId(json.id) ? json.id : undefined
  const frame = decodeFrame(json)
  if (Result.isSuccess(frame)) return Result.succeed(frame.success)
  return Result.fail({ id, reason: "BadFrame", message: expectation(json, id) })
}

const decodeFrame = Schema.decodeUnknownResult(ClientFrame)

const isId = Schema.is(Id)

const example = `{"type":"prompt","id":"1","prompt":"Hello"}`

const expectation = (json: unknown, id: string | undefined): string => {
  const type = Predicate.hasProperty(json, "type") ? json.type : undefined
  if (type !== "prompt" && type !== "stop") {
    return `a frame is an object whose "type" is "prompt" or "stop", such as ${example}.`
  }
  if (id === undefined) return `"id" must be a string of 1 to ${maxIdLength} characters.`
  return `"prompt" must be a string, or messages as effect/ai's Prompt encodes them: each a role (system, user, assistant, tool) and its content.`
}
