/**
 * What all spans of ours have in common: their time, what a tracer is told of a failure, and which spans
 * they are in.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as References from "effect/References"
import * as Tracer from "effect/Tracer"
import type { Costs } from "../Telemetry.ts"

/** A span that has begun, with its times. */
export interface Begun {
  readonly span: Tracer.Span
  /** Of metrics: what is in force where the span began. */
  readonly context: Context.Context<never>
  readonly startedAt: bigint
  readonly now: () => bigint
  /** Ends the span at a time of `now`. */
  readonly end: (at: bigint, exit: Exit.Exit<unknown, unknown>) => void
  /** An event of the span, now. */
  readonly event: (name: string, attributes: Readonly<Record<string, unknown>>) => void
  /** The nearest span of ours that this one is in. */
  readonly enclosing: Enclosing | undefined
}

/** Begins a span, a child of the fiber's. Those inside of it find `within`. */
export const begin = (
  name: string,
  kind: Tracer.SpanKind,
  attributes: Record<string, unknown>,
  within: Enclosing | undefined
): Effect.Effect<Begun> =>
  Effect.withFiber((fiber) => {
    const { context } = fiber
    const annotations = Context.make(Within, within)
    return Effect.map(Effect.makeSpan(name, { kind, attributes, annotations }), (span): Begun => {
      const clock = fiber.getRef(Clock.Clock)
      const isTimed = fiber.getRef(References.TracerTimingEnabled)
      const now = () => clock.currentTimeNanosUnsafe()
      return {
        span,
        context,
        startedAt: span.status.startTime > 0n ? span.status.startTime : now(),
        now,
        end: (at, exit) => span.end(isTimed ? at : 0n, exit),
        event: (name, attributes) => span.event(name, isTimed ? now() : 0n, attributes),
        enclosing: enclosing(fiber)
      }
    })
  })

// -----------------------------------------------------------------------------
// spans in spans
// -----------------------------------------------------------------------------

/** What a span is told by those inside of it, and gives them. */
export interface Enclosing {
  readonly content: boolean | undefined
  readonly costs: Costs | undefined
  /** A model is asked inside, by a span of its own, which tells what is used. */
  readonly asked: (inner: { readonly provider: string | undefined; readonly model: string | undefined }) => void
}

/**
 * Kept in a span's annotations, which no exporter shows: so one service is provided for every pull of a
 * stream, and not two.
 */
const Within = Context.Reference<Enclosing | undefined>("effect-rill/policy/Telemetry/Within", {
  defaultValue: () => undefined
})

const enclosing = (fiber: Fiber.Fiber<unknown, unknown>): Enclosing | undefined => {
  let span = Option.getOrUndefined(Context.getOption(fiber.context, Tracer.ParentSpan))
  while (span !== undefined) {
    const found = Context.get(span.annotations, Within)
    if (found !== undefined) return found
    span = span._tag === "Span" ? Option.getOrUndefined(span.parent) : undefined
  }
  return undefined
}

// -----------------------------------------------------------------------------
// ends
// -----------------------------------------------------------------------------

/**
 * A failure as a tracer is told it: by its name and message. Tracers may show all of what they are given,
 * and errors carry refusals and conversations.
 */
export const failure = (name: string, message: string): Exit.Exit<never, Error> =>
  Exit.fail(new SpanError(name, message))

/** A defect as a tracer is told it: by its name, since of its words nothing is known. */
export const defect = (cause: Cause.Cause<unknown>): { readonly type: string; readonly exit: Exit.Exit<never> } => {
  const die = cause.reasons.find(Cause.isDieReason)
  const type = Predicate.isError(die?.defect) ? die.defect.name : "_OTHER"
  return { type, exit: Exit.die(new SpanError(type, "a defect, of which where it was caught tells more.")) }
}

class SpanError extends Error {
  constructor(name: string, message: string) {
    super(message)
    this.name = name
    this.stack = `${name}: ${message}`
  }
}
