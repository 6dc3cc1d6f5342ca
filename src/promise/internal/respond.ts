/**
 * Answers as responses. Loaded by the first call that wants one.
 *
 * @internal
 */
import * as EffectDuration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AgentEvent } from "../../agent/AgentEvent.ts"
import type { Element, Format } from "../../delivery/Format.ts"
import type * as HttpResponse from "../../delivery/HttpResponse.ts"
import * as Ndjson from "../../delivery/Ndjson.ts"
import * as OpenAiChunks from "../../delivery/OpenAiChunks.ts"
import * as PlainText from "../../delivery/PlainText.ts"
import * as Sse from "../../delivery/Sse.ts"
import * as UiMessages from "../../delivery/UiMessages.ts"
import * as Llm from "../../Llm.ts"
import type { LlmError } from "../../LlmError.ts"
import type { LlmEvent } from "../../LlmEvent.ts"
import type { ResponseOptions, WireFormat } from "../AnswerStream.ts"
import type { Duration } from "../Policies.ts"

type Answer<A, E = HttpResponse.AnswerError> = Stream.Stream<A, E, Llm.Llm>

/** What an answer is read as. */
export type View =
  | { readonly of: "text"; readonly read: () => Answer<string> }
  | { readonly of: "turn"; readonly read: () => Answer<LlmEvent, LlmError> }
  | { readonly of: "run"; readonly read: () => Answer<AgentEvent> }

export const respond = (
  view: View,
  { firstEvent, format = "sse", headers, heartbeat, messageId, model }: ResponseOptions
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, Llm.Llm | Scope.Scope> => {
  const options = { headers, firstEvent: duration("firstEvent", firstEvent) }
  const every = heartbeat === false ? heartbeat : duration("heartbeat", heartbeat)
  const sse = <A extends Element>(answer: Answer<A>, format: Format<A>) =>
    Sse.response(answer, { ...options, heartbeat: every, format })
  switch (format) {
    case "sse":
      return view.of === "text" ? sse(view.read(), Sse.text) : sse<Element>(view.read(), Sse.json)
    case "text":
      return PlainText.response<string | AgentEvent, Llm.Llm>(
        view.of === "turn" ? Llm.text(view.read()) : view.read(),
        options
      )
    case "ndjson":
      return Ndjson.response<Element, Llm.Llm>(view.read(), options)
    case "openai":
      return sse<Element>(view.read(), OpenAiChunks.make({ model }))
    case "ui-messages":
      return sse<Element>(view.read(), UiMessages.make({ messageId }))
    default:
      throw new TypeError(
        `there is no format ${JSON.stringify(format)}. There are: ${Object.keys(formats).join(", ")}.`
      )
  }
}

/** A response that is not streamed. */
export const toWeb = (response: HttpServerResponse.HttpServerResponse): Response => HttpServerResponse.toWeb(response)

const formats: Readonly<Record<WireFormat, true>> = {
  sse: true,
  text: true,
  ndjson: true,
  openai: true,
  "ui-messages": true
}

const duration = (name: string, given: Duration | undefined): EffectDuration.Duration | undefined => {
  if (given === undefined) return undefined
  const duration = Option.filter(EffectDuration.fromInput(given), () => !Number.isNaN(given))
  if (Option.isSome(duration)) return duration.value
  throw new TypeError(`\`${name}\` is no duration. Give one such as "10 seconds", or a number of milliseconds.`)
}
