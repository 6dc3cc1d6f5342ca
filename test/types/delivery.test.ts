/** What the compiler knows of responses: every statement here is checked by `tsc`. */
import type * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentError } from "effect-rill/agent/AgentError"
import type { AgentEvent } from "effect-rill/agent/AgentEvent"
import * as HttpResponse from "effect-rill/delivery/HttpResponse"
import * as Ndjson from "effect-rill/delivery/Ndjson"
import * as PlainText from "effect-rill/delivery/PlainText"
import * as Sse from "effect-rill/delivery/Sse"
import * as Llm from "effect-rill/Llm"
import { expect, it } from "vitest"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Statement extends true>(): void => {}

const run: Stream.Stream<AgentEvent, AgentError> = Stream.empty

it("takes what its format can say, and needs a scope and what the answer needs", () => {
  const text = Sse.response(Llm.stream("Hi"), { format: Sse.text })
  holds<Equal<typeof text, Effect.Effect<HttpServerResponse, never, Llm.Llm | Scope.Scope>>>()
  const agent = Sse.response(run, { format: Sse.text })
  holds<Equal<typeof agent, Effect.Effect<HttpServerResponse, never, Scope.Scope>>>()
  for (const format of [Sse.json, Sse.openAi, Sse.uiMessages]) {
    Sse.response(Llm.stream("Hi"), { format })
    Sse.response(Llm.events("Hi"), { format })
    Sse.response(run, { format })
  }
  Ndjson.response(Llm.stream("Hi"))
  Ndjson.response(Llm.events("Hi"))
  PlainText.response(run)

  // A refusal would be overlooked: the text of events is Llm.text's.
  // @ts-expect-error
  Sse.response(Llm.events("Hi"), { format: Sse.text })
  // @ts-expect-error
  PlainText.response(Llm.events("Hi"))
  PlainText.response(Llm.text(Llm.events("Hi")))
  // @ts-expect-error an error of the app's own is to be mapped first
  Sse.response(Stream.fail("no"), { format: Sse.json })
  // @ts-expect-error there is no default format
  expect(() => Sse.response(Llm.events("Hi"), {})).toThrow()
})

it("as a web Response needs no scope", () => {
  const web = HttpResponse.toWeb(Sse.response(Llm.stream("Hi"), { format: Sse.text }))
  holds<Equal<typeof web, Effect.Effect<Response, never, Llm.Llm>>>()
})
