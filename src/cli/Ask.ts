/**
 * One question and its answer: from a model to an output.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Llm from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import { Meter } from "../policy/internal/Meter.ts"
import * as AnswerView from "./AnswerView.ts"
import * as Asking from "./Asking.ts"
import * as Json from "./Json.ts"
import type { Options as Shared } from "./Options.ts"
import * as Policies from "./Policies.ts"
import type * as Screen from "./Screen.ts"

/**
 * What was asked for on the command line.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Shared {
  /** The words, joined; `""` where there are none. */
  readonly prompt: string
}

/**
 * Asks and answers. Everything it opens is closed when it ends, however it ends.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(
  function* (screen: Screen.Screen, options: Options) {
    const { models, name, output, prompt, shown } = yield* Asking.begin(screen, options, options.prompt, nothing)
    const view = yield* AnswerView.start(screen, { label: name, shared: shown && screen.stderrIsTerminal })
    const context = yield* Effect.context<Scope.Scope | Stdio.Stdio>()
    const llm = Policies.make(models, {
      ...options,
      // Among the events there is one that tells of the failure.
      goesOn: shown || options.json,
      keepsThoughts: false,
      tell: (note) => Effect.provideContext(view.note(note), context)
    })
    const request = { ...options.request, prompt }
    const meter = new Meter(request)
    let failure: LlmError | undefined
    const events = Stream.mapArray(llm.events(request), (events) => {
      for (const event of events) {
        meter.see(event)
        if (event._tag === "ReasoningDelta") view.thinking()
      }
      return events
    })
    const pieces = options.json ? Json.lines(events, screen.stdoutIsTerminal) : Llm.text(events)
    yield* output(view.show(pieces)).pipe(
      Effect.tapError((error) => Effect.sync(() => void (failure = error._tag === "LlmError" ? error : undefined))),
      Asking.end(screen, options, {
        isCut: () => meter.finished?.reason === "length",
        usage: () => meter.total(failure) ?? meter.estimate()
      })
    )
  },
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer)
)

const nothing =
  'nothing to ask. Usage: rill [flags] "Tell me a story", or: cat notes.md | rill "Summarise". More: rill --help'
