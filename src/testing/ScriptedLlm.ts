/**
 * A model that plays a script: for the tests of an app.
 *
 * ```ts
 * const model = ScriptedLlm.layer([
 *   "Hello, world",                                                   // the first request: a whole turn of one delta
 *   [text("Hel", "lo"), pause("1 second"), text(", world")],          // the second, in steps
 *   toolCall("weather", { city: "Bern" }),                            // the third ends with tool-calls
 *   [text("Once"), fail(new Disconnected({ message: "cut" }))],       // the fourth fails in the middle
 *   (request) => `You said ${ScriptedLlm.userText(request)}`          // the fifth is a function of its request
 * ])
 * ```
 *
 * It obeys the laws of the real ones: `Started` first, tool calls only when their turn ends well,
 * exactly one `Finished`, errors in the error channel with their phase and usage. It sends nothing,
 * keeps no time but that of `Clock`, and tells what it was asked.
 *
 * This module is not part of `effect-rill`'s index, so that no test double is loaded with the library:
 * import it as `effect-rill/testing/ScriptedLlm`.
 *
 * @since 0.1.0
 */
import type { ProviderOptions } from "effect/ai/Prompt"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Llm } from "../Llm.ts"
import { LlmError, type Phase, type Reason } from "../LlmError.ts"
import type { FinishReason, LlmEvent, Of } from "../LlmEvent.ts"
import * as LlmRequest from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import { play } from "./internal/play.ts"
import * as Deadlines from "../policy/Deadlines.ts"
import * as script from "./internal/script.ts"

/**
 * One thing that happens in a turn. Made by {@link text}, {@link pause} and their kin.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "Start"; readonly id?: string | undefined; readonly model?: string | undefined }
  | { readonly _tag: "Text" | "Reasoning" | "Refusal"; readonly deltas: ReadonlyArray<string> }
  | {
      readonly _tag: "ToolCall"
      readonly name: string
      readonly id: string | undefined
      /** The JSON text of the input, as the model writes it. */
      readonly deltas: ReadonlyArray<string>
      readonly metadata: ProviderOptions | undefined
    }
  | { readonly _tag: "Pause"; readonly duration: Duration.Duration }
  | { readonly _tag: "Usage"; readonly usage: LlmUsage }
  | { readonly _tag: "Finish"; readonly reason: FinishReason; readonly rawReason: string | undefined }
  | { readonly _tag: "Fail"; readonly error: Reason | LlmError; readonly details: FailDetails }
  | { readonly _tag: "Event"; readonly event: LlmEvent }

/**
 * One turn: its text, a step, or several of both.
 *
 * A turn that does not say how it ends ends well, with `stop`, or with `tool-calls` if it has some.
 *
 * @category models
 * @since 0.1.0
 */
export type Turn = string | Step | ReadonlyArray<string | Step>

/**
 * A turn that depends on its request. `index` counts the model's requests, from 0.
 *
 * @category models
 * @since 0.1.0
 */
export type TurnOf = (request: LlmRequest.LlmRequest, index: number) => Turn | Effect.Effect<Turn, LlmError>

/**
 * The turns in the order of the requests; or one function, for a model that is asked any number of times.
 *
 * @category models
 * @since 0.1.0
 */
export type Script = ReadonlyArray<Turn | TurnOf> | TurnOf

/**
 * Options of the model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name in events and errors. Default `"scripted"`. */
  readonly provider?: string | undefined
  /** The model's name in events and errors, where a request names none. Default none. */
  readonly model?: string | undefined
  /**
   * Cuts what each step says anew, at places that this number decides: the same number, the same
   * deltas. For tests of apps that must not depend on where an answer is cut. Characters stay whole.
   */
  readonly split?: number | undefined
}

/**
 * A request that the model was sent, and what became of its turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Run {
  readonly request: LlmRequest.LlmRequest
  /** `stopped`: its reader went away before its end, by `take`, an interruption or a deadline. */
  readonly state: "running" | "completed" | "failed" | "stopped"
}

/**
 * What a scripted model can be asked about itself.
 *
 * @category services
 * @since 0.1.0
 */
export class ScriptedLlm extends Context.Service<
  ScriptedLlm,
  {
    /** The requests so far, in the order in which they came. */
    readonly requests: Effect.Effect<ReadonlyArray<LlmRequest.LlmRequest>>
    /** The same, each with what became of it. */
    readonly runs: Effect.Effect<ReadonlyArray<Run>>
    /** How many turns of the script have not been asked for; `Infinity` where it is a function. */
    readonly remaining: Effect.Effect<number>
  }
>()("effect-rill/testing/ScriptedLlm") {}

/**
 * The requests so far, in the order in which they came.
 *
 * @category accessors
 * @since 0.1.0
 */
export const requests: Effect.Effect<ReadonlyArray<LlmRequest.LlmRequest>, never, ScriptedLlm> = ScriptedLlm.use(
  ({ requests }) => requests
)

/**
 * The requests so far, each with what became of it.
 *
 * @category accessors
 * @since 0.1.0
 */
export const runs: Effect.Effect<ReadonlyArray<Run>, never, ScriptedLlm> = ScriptedLlm.use(({ runs }) => runs)

/**
 * How many turns of the script have not been asked for; `Infinity` where it is a function.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<number, never, ScriptedLlm> = ScriptedLlm.use(({ remaining }) => remaining)

/**
 * The text of a request's last message from the user, or `""`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const userText = (request: LlmRequest.LlmRequest): string => {
  const message = Result.getOrElse(LlmRequest.messages(request), () => []).findLast(({ role }) => role === "user")
  if (message?.role !== "user") return ""
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("")
}

// -----------------------------------------------------------------------------
// models
// -----------------------------------------------------------------------------

/**
 * Makes a scripted model: for programs that need several at once.
 *
 * - Each run of a stream takes the next turn, in the order in which they are run; running one again
 *   takes another turn.
 * - A step is one read off the wire: its events come in one array, which is made when it is asked for.
 *   A turn's end is an array of its own. `take`, pauses and backpressure do what they do with a provider.
 * - A request that would be refused unsent, such as one without messages, fails with `InvalidRequest`
 *   and takes no turn.
 * - Dies on a request that the script has no turn for, and on a script that makes no sense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (turns: Script, options: Options = {}): Effect.Effect<Llm["Service"] & ScriptedLlm["Service"]> =>
  Effect.sync(() => {
    const turnOf = script.read(turns)
    const asked: Array<{ -readonly [K in keyof Run]: Run[K] }> = []
    const provider = options.provider ?? "scripted"
    // Deadlines are kept as a provider keeps them.
    const { events } = Deadlines.enforce({
      events: (request) =>
        Stream.suspend(() => {
          const model = request.model ?? options.model
          const messages = LlmRequest.messages(request)
          if (Result.isFailure(messages)) {
            const named = model === undefined ? undefined : { model }
            return Stream.fail(
              new LlmError({ reason: messages.failure, provider, phase: "request", emitted: 0, ...named })
            )
          }
          const index = asked.length
          const run: (typeof asked)[number] = { request, state: "running" }
          asked.push(run)
          return Stream.unwrap(
            Effect.map(turnOf(request, index), (steps) =>
              play(options.split === undefined ? steps : script.split(steps, options.split, index), {
                provider,
                model,
                index,
                inputCharacters: LlmRequest.countCharacters(messages.success),
                ended: (state) => (run.state = state)
              })
            )
          ).pipe(
            Stream.onExit((exit) =>
              Effect.sync(() => {
                if (run.state === "running") run.state = script.hasFailed(exit) ? "failed" : "stopped"
              })
            )
          )
        })
    })
    return {
      name: options.model === undefined ? provider : `${provider}/${options.model}`,
      requests: Effect.sync(() => asked.map(({ request }) => request)),
      runs: Effect.sync(() => asked.map((run) => ({ ...run }))),
      remaining: Effect.sync(() => (typeof turns === "function" ? Infinity : Math.max(0, turns.length - asked.length))),
      events
    }
  })

/**
 * A scripted model as a Layer. Each build of the layer plays the script from its beginning.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (turns: Script, options?: Options): Layer.Layer<Llm | ScriptedLlm> =>
  Layer.effectContext(
    Effect.map(make(turns, options), (model) => Context.make(Llm, model).pipe(Context.add(ScriptedLlm, model)))
  )

// -----------------------------------------------------------------------------
// steps
// -----------------------------------------------------------------------------

/**
 * Text, in these deltas.
 *
 * @category steps
 * @since 0.1.0
 */
export const text = (...deltas: ReadonlyArray<string>): Step => ({ _tag: "Text", deltas })

/**
 * Reasoning, in these deltas.
 *
 * @category steps
 * @since 0.1.0
 */
export const reasoning = (...deltas: ReadonlyArray<string>): Step => ({ _tag: "Reasoning", deltas })

/**
 * The words in which the model declines to answer, in these deltas.
 *
 * @category steps
 * @since 0.1.0
 */
export const refusal = (...deltas: ReadonlyArray<string>): Step => ({ _tag: "Refusal", deltas })

/**
 * A tool call. It is called before the turn's end, if that is a good one.
 *
 * @param input the input as a value; or, as a string, the text that the model writes for it, be it JSON or not
 * @param options `pieces`: the most deltas that the input comes in, 1 by default. `id`: by default one that
 *   no other call of the script has.
 * @category steps
 * @since 0.1.0
 */
export const toolCall = (
  name: string,
  input: unknown = {},
  options: {
    readonly id?: string | undefined
    readonly pieces?: number | undefined
    readonly metadata?: ProviderOptions | undefined
  } = {}
): Step => {
  const json = typeof input === "string" ? input : JSON.stringify(input)
  const size = Math.max(1, Math.ceil(json.length / (options.pieces ?? 1)))
  const deltas: Array<string> = []
  for (let from = 0; from < json.length; from += size) deltas.push(json.slice(from, from + size))
  return { _tag: "ToolCall", name, id: options.id, deltas, metadata: options.metadata }
}

/**
 * A page or document that the answer cites.
 *
 * @category steps
 * @since 0.1.0
 */
export const source = (source: Omit<Of<"Source">, "_tag" | "sourceType"> & Partial<Of<"Source">>): Step =>
  event({ sourceType: "url", ...source, _tag: "Source" })

/**
 * The turn's beginning, with the provider's id of the answer and the model's name. Without it a turn
 * begins with the first thing that it tells.
 *
 * @category steps
 * @since 0.1.0
 */
export const start = (
  details: { readonly id?: string | undefined; readonly model?: string | undefined } = {}
): Step => ({
  _tag: "Start",
  ...details
})

/**
 * Nothing, for a while on `Clock`.
 *
 * @category steps
 * @since 0.1.0
 */
export const pause = (duration: Duration.Input): Step => ({
  _tag: "Pause",
  duration: Duration.fromInputUnsafe(duration)
})

/**
 * What the turn used, as its provider counts it. Without it usage is an estimate.
 *
 * @category steps
 * @since 0.1.0
 */
export const usage = (counts: Omit<LlmUsage, "source">): Step => ({
  _tag: "Usage",
  usage: { source: "exact", ...counts }
})

/**
 * The good end of a turn. Only a turn that ends otherwise than with `stop` or `tool-calls` needs it.
 *
 * @category steps
 * @since 0.1.0
 */
export const finish = (reason: FinishReason, options: { readonly rawReason?: string | undefined } = {}): Step => ({
  _tag: "Finish",
  reason,
  rawReason: options.rawReason
})

/**
 * Details of a failure.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailDetails {
  /**
   * How far the turn had come. By default what it has told says so; for a turn that has told nothing,
   * the reason does: `request` for what keeps a request from being sent, such as `Unreachable`,
   * `before-output` for what ends an answer, such as `Truncated`, and `headers` for the rest.
   */
  readonly phase?: Phase | undefined
  readonly retryAfter?: Duration.Input | undefined
  readonly shouldRetry?: boolean | undefined
  readonly requestId?: string | undefined
}

/**
 * The bad end of a turn: an error as it is, or one of this reason that tells how far the turn had come
 * and what it had used.
 *
 * @category steps
 * @since 0.1.0
 */
export const fail = (error: Reason | LlmError, details: FailDetails = {}): Step => ({ _tag: "Fail", error, details })

/**
 * Any event, as it is: for what the other steps cannot tell. The laws are yours to keep. A `Finished`
 * ends the turn.
 *
 * @category steps
 * @since 0.1.0
 */
export const event = (event: LlmEvent): Step => ({ _tag: "Event", event })
