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
import type { LlmEvent } from "../LlmEvent.ts"
import * as LlmUsage from "../LlmUsage.ts"
import * as AnswerView from "./AnswerView.ts"
import { type BrokenPipe, type Failed, UsageError } from "./Failure.ts"
import * as Json from "./Json.ts"
import * as Model from "./Model.ts"
import * as Output from "./Output.ts"
import type { Options as Shared } from "./Options.ts"
import * as Policies from "./Policies.ts"
import * as Report from "./Report.ts"
import * as Screen from "./Screen.ts"
import * as StandardInput from "./StandardInput.ts"

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
    const models = yield* Model.chooseAll(options.model, options.fallbacks, options.api)
    const more = yield* StandardInput.read({ screen, optional: options.prompt !== "" })
    const prompt = [options.prompt, more].filter((part) => part !== "").join("\n\n")
    if (prompt === "") {
      return yield* new UsageError({
        message:
          'nothing to ask. Usage: rill [flags] "Tell me a story", or: cat notes.md | rill "Summarise". More: rill --help'
      })
    }
    const output = options.output === undefined ? yield* Output.standard(screen) : yield* Output.file(options.output)
    const [{ name, note }] = models
    if (note !== undefined) yield* Screen.say(screen, "note", note)
    const shown = screen.stdoutIsTerminal && options.output === undefined
    const view = yield* AnswerView.start(screen, { label: name, shared: shown && screen.stderrIsTerminal })
    const context = yield* Effect.context<Scope.Scope | Stdio.Stdio>()
    const llm = Policies.make(models, {
      ...options,
      // Among the events there is one that tells of the failure.
      goesOn: shown || options.json,
      keepsThoughts: false,
      tell: (note) => Effect.provideContext(view.note(note), context)
    })
    const tally = makeTally(prompt.length + (options.request.system ?? "").length)
    const events = Stream.mapArray(llm.events({ ...options.request, prompt }), (events) => {
      for (const event of events) {
        tally.see(event)
        if (event._tag === "ReasoningDelta") view.thinking()
      }
      return events
    })
    const pieces = options.json ? Json.lines(events, screen.stdoutIsTerminal) : Llm.text(events)
    yield* output(view.show(pieces)).pipe(
      Effect.andThen(
        Effect.suspend(() =>
          tally.isCut() && !options.json
            ? Screen.say(
                screen,
                "note",
                "the answer stops where its tokens ran out (--max-tokens, or the model's limit)."
              )
            : Effect.void
        )
      ),
      Effect.tapError((error) => Effect.sync(() => tally.fail(error))),
      Effect.ensuring(
        Effect.suspend(() => (options.usage ? Screen.say(screen, "note", Report.usage(tally.usage())) : Effect.void))
      )
    )
  },
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer)
)

/** Keeps count of what a turn uses, so that it is known however the turn ends. */
const makeTally = (inputCharacters: number) => {
  let output = 0
  let reasoning = 0
  let told: LlmUsage.LlmUsage | undefined
  let finish: string | undefined
  return {
    isCut: (): boolean => finish === "length",
    see: (event: LlmEvent): void => {
      if (event._tag === "TextDelta" || event._tag === "Refusal") output += event.text.length
      else if (event._tag === "ReasoningDelta") reasoning += event.text.length
      else if (event._tag === "Finished") {
        told = event.usage
        finish = event.reason
      }
    },
    fail: (error: LlmError | Failed | BrokenPipe): void => {
      if (error._tag === "LlmError") told = error.usage ?? told
    },
    usage: (): LlmUsage.LlmUsage => told ?? LlmUsage.estimate({ input: inputCharacters, output, reasoning })
  }
}
