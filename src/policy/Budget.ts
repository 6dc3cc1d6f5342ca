/**
 * Budgets: a ceiling on the tokens or the money that requests may use together.
 *
 * A budget is a value: whatever shares it, calls, models or agents, shares its ceiling. Make one for the
 * scope that is to be bounded: a program, a user, one request of a server.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const budget = yield* Budget.make({ money: 0.5, prices: { "openai/gpt-4o-mini": { input: 0.15, output: 0.6 } } })
 *   // Every request in here, whichever agent makes it:
 *   const report = yield* research.pipe(Effect.updateService(Llm.Llm, Budget.attach(budget)))
 *   const { money, usage } = yield* budget.spent
 * })
 * ```
 *
 * Before a request is sent, what it may use is reserved: its prompt, at four characters a token, and
 * its `maxTokens`, where it has some. What does not fit into what is left is refused with
 * `BudgetExceeded`; nothing is sent. So requests that run at the same time cannot use the same rest. As
 * an answer grows past what was reserved for it, so does its reservation. When its run is over, however
 * it ended, the reservation is settled with what was used: the numbers of `Finished` or of the error,
 * or else an estimate of what came.
 *
 * A ceiling that must hold needs `maxTokens` on the requests: how long an answer becomes is not known
 * before, and without it only the prompt is reserved. An answer that passes the ceiling while it comes
 * is finished and counted, unless `overrun` is `"stop"`. Estimates know nothing of images and tools in
 * a prompt, nor of reasoning that a provider does not show.
 *
 * One request is counted at one price, that of the model that answered. Where several models stand under
 * a budget, as with fallback or hedging, give each the budget instead, so that each is counted by its
 * own: never a model and the policy over it, which would count it twice. A budget over a retry counts
 * all attempts, as one request.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import { Llm } from "../Llm.ts"
import { BudgetExceeded, InvalidRequest, LlmError } from "../LlmError.ts"
import type { LlmEvent } from "../LlmEvent.ts"
import type { LlmRequest } from "../LlmRequest.ts"
import type { LlmUsage } from "../LlmUsage.ts"
import type * as Cost from "./Cost.ts"
import { expected, Ledger, type Sum } from "./internal/ledger.ts"
import { Meter } from "./internal/Meter.ts"
import { type Run, type Watch, watched } from "./internal/watching.ts"

const TypeId = "~effect-rill/policy/Budget"

/**
 * A ceiling, and what has been spent of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Budget {
  /** What the runs that are over have used. */
  readonly spent: Effect.Effect<Spent>
  /** What is neither spent nor reserved by runs that go on: never below 0, `Infinity` where there is no ceiling. */
  readonly left: Effect.Effect<{ readonly tokens: number; readonly money: number }>
  /** @internal */
  readonly [TypeId]: Ledger
}

/**
 * What has been spent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Spent {
  /** Tokens of input and output together. */
  readonly tokens: number
  /** In the currency of the prices, where there are some. */
  readonly money?: number
  /** The same in detail; `"estimated"` as soon as one of the requests was. */
  readonly usage: LlmUsage
  /** Requests that were let through. */
  readonly requests: number
  /** Those of them whose model has no price: they were counted at the highest. */
  readonly unpriced: number
}

/**
 * What a budget allows: a ceiling on tokens, on money, or on both.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Ceiling & {
  /**
   * What becomes of an answer that passes the ceiling while it comes, by an estimate of its tokens that
   * is made anew every 16 of them:
   *
   * - `"finish"`: it is passed on to its end. The next request is refused. The default.
   * - `"stop"`: what has come is passed on, the connection is closed, and the stream fails with
   *   `BudgetExceeded`. An answer is stopped only where it passes what was reserved for it, and not when
   *   its end has come.
   */
  readonly overrun?: "finish" | "stop" | undefined
}

/**
 * The ceiling itself: money cannot be counted without prices.
 *
 * @category models
 * @since 0.1.0
 */
export type Ceiling =
  | {
      /** The most tokens of input and output together. */
      readonly tokens: number
      readonly money?: undefined
      /** Not needed for a ceiling on tokens: `spent` tells the money by them. */
      readonly prices?: Cost.Prices | undefined
    }
  | {
      readonly tokens?: number | undefined
      /** The most money, in the currency of the prices. */
      readonly money: number
      /** A model that has no price is counted at the highest that these come to. */
      readonly prices: Cost.Prices
    }

/**
 * Makes a budget of which nothing is spent. One that makes no sense refuses every request with
 * `InvalidRequest`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Budget> =>
  Effect.sync(() => {
    const ledger = new Ledger(options)
    return {
      [TypeId]: ledger,
      spent: Effect.sync(() => ledger.spent()),
      left: Effect.sync(() => {
        const { money, tokens } = ledger.left()
        return { tokens: Math.max(0, tokens), money: Math.max(0, money) }
      })
    }
  })

/**
 * A model by name, as far as it is known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Who {
  /** The provider's name, such as `"openai"`. */
  readonly provider?: string | undefined
  readonly model?: string | undefined
}

const isDataFirst = (args: ArrayLike<unknown>): boolean => Predicate.hasProperty(args[1], TypeId)

/**
 * Puts a model under a budget: every request that is made of it is counted, and refused when it does
 * not fit into what is left.
 *
 * `who` names the model for the prices, until its first answer does: without it, that one's reservation
 * is at the highest price, and a model that costs nothing is not known to.
 *
 * @category policies
 * @since 0.1.0
 */
export const attach: {
  (budget: Budget, who?: Who): (self: Llm["Service"]) => Llm["Service"]
  (self: Llm["Service"], budget: Budget, who?: Who): Llm["Service"]
} = dual(isDataFirst, (self: Llm["Service"], budget: Budget, who: Who = {}): Llm["Service"] => {
  const answering = { who }
  return {
    ...self,
    events: (request) =>
      watched(self.events(request), (run) =>
        Effect.suspend(() => new Account(budget[TypeId], request, answering, run).open())
      )
  }
})

/**
 * Puts a model that comes from a Layer under a budget, as {@link attach} does. The budget may be an
 * Effect that makes one: it is run when the layer is built.
 *
 * ```ts
 * OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(Budget.layer(Budget.make({ tokens: 1_000_000 })))
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const layer: {
  <E2 = never, R2 = never>(
    budget: Budget | Effect.Effect<Budget, E2, R2>,
    who?: Who
  ): <E, R>(self: Layer.Layer<Llm, E, R>) => Layer.Layer<Llm, E | E2, R | Exclude<R2, Scope.Scope>>
  <E, R, E2 = never, R2 = never>(
    self: Layer.Layer<Llm, E, R>,
    budget: Budget | Effect.Effect<Budget, E2, R2>,
    who?: Who
  ): Layer.Layer<Llm, E | E2, R | Exclude<R2, Scope.Scope>>
} = dual(
  (args) => Layer.isLayer(args[0]),
  <E, R, E2, R2>(
    self: Layer.Layer<Llm, E, R>,
    budget: Budget | Effect.Effect<Budget, E2, R2>,
    who?: Who
  ): Layer.Layer<Llm, E | E2, R | Exclude<R2, Scope.Scope>> =>
    Layer.effect(
      Llm,
      Effect.gen(function* () {
        const llm = yield* Llm
        return attach(llm, Effect.isEffect(budget) ? yield* budget : budget, who)
      })
    ).pipe(Layer.provide(self))
)

/** One run of a stream under a budget. */
class Account implements Watch<LlmEvent, LlmError> {
  private readonly meter: Meter
  /** What is reserved for it; `undefined` before and after. */
  private held: Sum | undefined
  /** The characters that the reservation covers. */
  private covered = 0
  /** Set when the ceiling has stopped the answer. */
  private overrun: LlmError | undefined
  private readonly ledger: Ledger
  private readonly request: LlmRequest
  private readonly answering: { who: Who }
  private readonly run: Run<LlmError>
  readonly stopped: (() => LlmError | undefined) | undefined

  constructor(ledger: Ledger, request: LlmRequest, answering: { who: Who }, run: Run<LlmError>) {
    this.ledger = ledger
    this.request = request
    this.answering = answering
    this.meter = new Meter(request)
    this.run = run
    this.stopped = ledger.options.overrun === "stop" ? () => this.overrun : undefined
  }

  open(): Effect.Effect<this, LlmError> {
    const refused = this.reserve()
    if (refused !== undefined) return Effect.fail(refused)
    const settle = Effect.sync(() => this.settle())
    return Effect.as(Scope.addFinalizer(this.run.scope, settle), this)
  }

  look(events: NonEmptyReadonlyArray<LlmEvent>): Effect.Effect<void> | undefined {
    const { meter } = this
    for (const event of events) meter.see(event)
    if (meter.output > this.covered) this.grow()
    return this.overrun === undefined ? undefined : Scope.close(this.run.scope, Exit.interrupt())
  }

  /** Reserves what the request may use, or says why it is refused. */
  private reserve(): LlmError | undefined {
    const { answering, ledger, request } = this
    if (ledger.invalid !== undefined) return this.error(new InvalidRequest({ message: ledger.invalid }))
    const who = request.model === undefined ? answering.who : { ...answering.who, model: request.model }
    const usage = expected(this.meter.input, request)
    const needed = ledger.sum(usage, who)
    const left = ledger.left()
    const isLeft = left.tokens > 0 && (left.money > 0 || ledger.isFree(who))
    // Said so that what is not a number does not fit either.
    if (!(isLeft && needed.tokens <= left.tokens && needed.money <= left.money)) {
      return this.error(new BudgetExceeded({ message: refusal(needed, left) }))
    }
    this.held = needed
    this.covered = usage.outputTokens * 4
    ledger.reserve(needed)
    return undefined
  }

  /** The answer has passed what was reserved for it: reserves what it has come to. */
  private grow(): void {
    const { held, ledger, meter } = this
    if (held === undefined || meter.finished !== undefined) return
    const used = ledger.sum(meter.soFar(), this.who())
    ledger.release(held)
    ledger.reserve(used)
    this.held = used
    this.covered = meter.output + step
    if (ledger.options.overrun !== "stop") return
    const left = ledger.left()
    if (left.tokens < 0 || left.money < 0) {
      const message =
        "the answer has used up the budget while it came, and was stopped. Raise the ceiling, or lower `maxTokens`."
      this.overrun = this.error(new BudgetExceeded({ message }), meter.soFar())
    }
  }

  private settle(): void {
    if (this.held === undefined) return
    this.ledger.release(this.held)
    this.held = undefined
    this.ledger.settle(this.meter.whole(this.run.error), this.who())
  }

  /** Who answers, as the answer tells; or the error, which names who was asked. */
  private who(): Who {
    const told = this.meter.started ?? this.run.error
    if (told === undefined) return { ...this.answering.who, ...asked(this.request) }
    const who = { provider: told.provider, model: told.model ?? this.request.model ?? this.answering.who.model }
    if (this.request.model === undefined) this.answering.who = who
    else this.answering.who = { ...this.answering.who, provider: who.provider }
    return who
  }

  private error(reason: BudgetExceeded | InvalidRequest, usage?: LlmUsage): LlmError {
    const { meter } = this
    const who = usage === undefined ? { ...this.answering.who, ...asked(this.request) } : this.who()
    return new LlmError({
      reason,
      provider: who.provider ?? "llm",
      ...(who.model === undefined ? undefined : { model: who.model }),
      phase: usage === undefined ? "request" : "mid-output",
      emitted: meter.emitted,
      ...(usage === undefined ? undefined : { usage })
    })
  }
}

/** Characters by which an answer grows before it is counted again: not at every token. */
const step = 64

const asked = ({ model }: LlmRequest): Who => (model === undefined ? {} : { model })

const refusal = (needed: Sum, left: Sum): string => {
  const [what, need, rest] =
    needed.tokens > left.tokens || left.tokens <= 0
      ? (["tokens", needed.tokens, left.tokens] as const)
      : (["in money", needed.money, left.money] as const)
  const amounts =
    rest <= 0 ? "nothing of the budget is left" : `this may need ${amount(need)} ${what}, and ${amount(rest)} are left`
  return `${amounts}; the request was not sent. Raise the ceiling, ask for less with \`maxTokens\`, or wait for what is running.`
}

const amount = (value: number): string => String(Number(value.toPrecision(6)))
