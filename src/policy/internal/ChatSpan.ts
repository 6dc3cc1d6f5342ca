/**
 * The span and the metrics of one turn of a model, or of several that come to one: attempts.
 *
 * Where spans of ours are inside of it, those tell what was used, and this one tells the whole: nothing is
 * counted twice.
 *
 * @internal
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isLlmError, type LlmError } from "../../LlmError.ts"
import type { LlmEvent, Of } from "../../LlmEvent.ts"
import type { LlmRequest } from "../../LlmRequest.ts"
import * as LlmResponse from "../../LlmResponse.ts"
import type { LlmUsage } from "../../LlmUsage.ts"
import * as Cost from "../Cost.ts"
import type { Costs, Options } from "../Telemetry.ts"
import { countPolicy } from "./countPolicy.ts"
import * as genAi from "./genAi.ts"
import * as genAiContent from "./genAiContent.ts"
import * as instruments from "./instruments.ts"
import { Meter } from "./Meter.ts"
import type { Ending, Watch } from "./spanned.ts"
import * as spans from "./spans.ts"

/** What is in force where a turn begins. */
export interface Defaults {
  readonly content: boolean
  readonly costs: Costs | undefined
}

export const begin = (
  options: Options,
  request: LlmRequest | undefined,
  defaults: Defaults
): Effect.Effect<ChatSpan> => {
  const model = request?.model ?? options.model
  const within = new Within(options)
  const attributes = genAi.defined({
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": options.provider && genAi.providerName(options.provider),
    "gen_ai.request.model": model,
    "server.address": options.server?.address,
    "server.port": options.server?.port,
    "gen_ai.request.stream": true,
    ...genAi.request(request)
  })
  const name = model === undefined ? "chat" : `chat ${model}`
  return Effect.map(
    spans.begin(name, options.provider === undefined ? "internal" : "client", attributes, within),
    (begun) => new ChatSpan(begun, within, options, request, model, defaults)
  )
}

/** What the spans inside of one tell it. */
class Within implements spans.Enclosing {
  readonly content: boolean | undefined
  readonly costs: Costs | undefined
  /** How many models were asked inside. */
  attempts = 0
  heard: ((inner: Parameters<spans.Enclosing["asked"]>[0]) => void) | undefined

  constructor({ content, cost, onCost, prices }: Options) {
    this.content = content
    this.costs = prices === undefined && cost === undefined ? undefined : { prices, cost, onCost }
  }

  asked(inner: Parameters<spans.Enclosing["asked"]>[0]): void {
    this.attempts++
    this.heard?.(inner)
  }
}

export class ChatSpan implements Watch<LlmEvent, LlmError> {
  readonly span: spans.Begun["span"]
  private firstAt: bigint | undefined
  private readonly meter: Meter
  private isRestarted = false
  private provider: string | undefined
  private isActive = true
  private readonly fold: LlmResponse.Fold | undefined
  private readonly costs: Costs | undefined
  private finishedAt: bigint | undefined
  /** As it was counted when it began. */
  private readonly stream: instruments.Series
  private readonly begun: spans.Begun
  private readonly within: Within
  private readonly options: Options
  private readonly request: LlmRequest | undefined
  private model: string | undefined

  constructor(
    begun: spans.Begun,
    within: Within,
    options: Options,
    request: LlmRequest | undefined,
    model: string | undefined,
    defaults: Defaults
  ) {
    this.begun = begun
    this.span = begun.span
    this.within = within
    this.options = options
    this.request = request
    this.meter = new Meter(request)
    this.model = model
    this.provider = options.provider
    const { enclosing } = begun
    this.costs = within.costs ?? enclosing?.costs ?? defaults.costs
    this.stream = this.series()
    if (options.content ?? enclosing?.content ?? defaults.content) {
      this.fold = LlmResponse.makeFold()
      if (request !== undefined) this.tell(genAiContent.input(request))
    }
    this.count(instruments.activeStreams, 1, this.stream)
    within.heard = (inner) => this.hear(inner)
    enclosing?.asked({ provider: options.provider, model })
  }

  // ---------------------------------------------------------------------------
  // while it comes
  // ---------------------------------------------------------------------------

  look(events: NonEmptyReadonlyArray<LlmEvent>): undefined {
    for (const event of events) {
      this.meter.see(event)
      switch (event._tag) {
        case "TextDelta":
        case "Refusal":
        case "ReasoningDelta":
        case "ToolCallStarted":
          this.firstAt ??= this.begun.now()
          break
        case "Started":
          this.provider ??= event.provider
          break
        case "Finished":
          this.finishedAt = this.begun.now()
          break
        case "AttemptFailed":
          this.policy(event, "rill.attempt_failed", event.error, { "rill.attempt": event.attempt })
          break
        case "Restarted":
          this.isRestarted = true
          this.policy(event, "rill.restarted", event.error, {})
          break
        case "Switched":
          this.policy(event, "rill.switched", event.error, { "rill.from": event.from, "rill.to": event.to })
          break
        case "ToolCallDelta":
        case "ToolCalled":
        case "Source":
          break
      }
      this.fold?.add(event)
    }
  }

  /** A policy underneath goes on after a failure. */
  private policy(
    event: Of<"AttemptFailed" | "Restarted" | "Switched">,
    name: string,
    error: LlmError,
    more: genAi.Attributes
  ): void {
    this.begun.event(name, {
      ...more,
      "error.type": error.reason._tag,
      "rill.error.message": error.message
    })
    countPolicy(event, this.begun.context)
  }

  /** A model is asked inside: what is said of it there is not said here. */
  private hear({ model, provider }: Parameters<spans.Enclosing["asked"]>[0]): void {
    this.release()
    if (this.provider === undefined && provider !== undefined) this.provider = provider
    if (this.model === undefined && model !== undefined) {
      this.model = model
      this.tell({ "gen_ai.request.model": model })
    }
  }

  private release(): void {
    if (!this.isActive) return
    this.isActive = false
    this.count(instruments.activeStreams, -1, this.stream)
  }

  // ---------------------------------------------------------------------------
  // the end
  // ---------------------------------------------------------------------------

  end(ending: Ending<LlmError>): Effect.Effect<void> | undefined {
    const { begun, costs, within } = this
    const at = begun.now()
    const { error, exit, type } = this.judge(ending)
    const usage = this.meter.total(error)
    const tellsUsage = within.attempts === 0 && usage !== undefined
    let cost: number | undefined
    this.release()
    try {
      this.tellEnd(type, error)
      if (within.attempts === 0) this.measure(at, type, usage)
      if (tellsUsage) {
        this.tell(genAi.usage(usage))
        cost = this.cost(usage)
      }
    } finally {
      // A price that throws is the program's to mend; the span ends all the same.
      begun.end(at, exit)
    }
    if (!tellsUsage || cost === undefined) return undefined
    return costs?.onCost?.({ cost, usage, provider: this.provider, model: this.answering(), request: this.request })
  }

  private judge(ending: Ending<LlmError>): Verdict {
    if (ending._tag === "Completed" || (ending._tag === "Left" && this.meter.finished !== undefined)) {
      return { exit: Exit.void }
    }
    const cause = ending._tag === "Failed" ? ending.cause : Exit.isFailure(ending.exit) ? ending.exit.cause : undefined
    if (cause === undefined) return interrupted
    const error = Option.getOrUndefined(Cause.findErrorOption(cause))
    // The views make a failure of a restart. Any other failure of a reader is its own.
    if (isLlmError(error) && (ending._tag === "Failed" || this.isRestarted)) {
      return { error, type: error.reason._tag, exit: spans.failure("LlmError", error.message) }
    }
    return ending._tag === "Failed" && Cause.hasDies(cause) ? spans.defect(cause) : interrupted
  }

  private tellEnd(type: string | undefined, error: LlmError | undefined): void {
    const { begun, firstAt, within } = this
    const { finished, started } = this.meter
    const reason = finished && (finished.rawReason ?? genAiContent.finishReason(finished.reason))
    this.tell(
      genAi.defined({
        "gen_ai.provider.name": this.provider && genAi.providerName(this.provider),
        "gen_ai.response.id": started?.id,
        "gen_ai.response.model": started?.model,
        "gen_ai.response.finish_reasons": reason && [reason],
        "gen_ai.response.time_to_first_chunk":
          firstAt === undefined ? undefined : instruments.inSeconds(begun.startedAt, firstAt),
        "error.type": type,
        "rill.request_id": error?.requestId,
        "rill.attempts": within.attempts === 0 ? undefined : within.attempts
      })
    )
    if (this.fold !== undefined) {
      this.tell(genAiContent.output(this.fold.response(), finished?.reason ?? (type === undefined ? "other" : "error")))
    }
  }

  private measure(at: bigint, type: string | undefined, usage: LlmUsage | undefined): void {
    const { begun, finishedAt, firstAt } = this
    const series = this.series()
    const ended = type === undefined ? series : series.and("error.type", type)
    this.count(instruments.operationDuration, instruments.inSeconds(begun.startedAt, at), ended)
    if (firstAt !== undefined) {
      this.count(instruments.timeToFirstChunk, instruments.inSeconds(begun.startedAt, firstAt), series)
    }
    // The conventions want no estimates.
    if (usage?.source !== "exact") return
    const { inputTokens, outputTokens } = usage
    if (inputTokens !== undefined) {
      this.count(instruments.tokenUsage, inputTokens, series.and("gen_ai.token.type", "input"))
    }
    if (outputTokens === undefined) return
    this.count(instruments.tokenUsage, outputTokens, series.and("gen_ai.token.type", "output"))
    if (firstAt !== undefined && finishedAt !== undefined && outputTokens > 1) {
      const time = instruments.inSeconds(firstAt, finishedAt) / (outputTokens - 1)
      this.count(instruments.timePerOutputToken, time, series)
    }
  }

  private cost(usage: LlmUsage): number | undefined {
    if (this.costs === undefined) return undefined
    const { cost, prices = {} } = this.costs
    const of = (model: string | undefined) => {
      const who = { provider: this.provider, model }
      if (cost !== undefined) return cost(usage, who)
      const price = Cost.find(prices, who)
      return price && Cost.of(usage, price)
    }
    // The one that answered may be another than the one that was asked for, and go by a name that is not known.
    const money = of(this.answering()) ?? of(this.model)
    if (money !== undefined) {
      this.tell({ "rill.cost": money })
      this.count(instruments.cost, money, this.series())
    }
    return money
  }

  /** The model that answers, as its provider names it. */
  private answering(): string | undefined {
    return this.meter.started?.model ?? this.model
  }

  // ---------------------------------------------------------------------------
  // where it is told
  // ---------------------------------------------------------------------------

  private tell(attributes: genAi.Attributes): void {
    for (const name in attributes) this.span.attribute(name, attributes[name])
  }

  private count(instrument: instruments.Instrument, value: number, series: instruments.Series): void {
    instruments.update(instrument, value, series, this.begun.context)
  }

  /** The attributes of every metric. */
  private series(): instruments.Series {
    const { options, provider } = this
    return new instruments.Series({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": provider && genAi.providerName(provider),
      "gen_ai.request.model": this.model,
      "gen_ai.response.model": this.meter.started?.model,
      "server.address": options.server?.address,
      "server.port": options.server?.port
    })
  }
}

interface Verdict {
  readonly exit: Exit.Exit<void, unknown>
  /** What kind of failure it was, if it was one. */
  readonly type?: string
  readonly error?: LlmError
}

/** Its reader stopped reading, as by `take`, or was interrupted. */
const interrupted: Verdict = { exit: Exit.interrupt() }
