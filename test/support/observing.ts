/** A tracer and a registry of metrics of a test's own, to look into. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A span that knows how often it was ended. */
export class Span extends Tracer.NativeSpan {
  ends = 0

  override end(...args: Parameters<Tracer.Span["end"]>): void {
    this.ends++
    super.end(...args)
  }

  get all(): Record<string, unknown> {
    return Object.fromEntries(this.attributes)
  }

  get within(): string | undefined {
    const parent = Option.getOrUndefined(this.parent)
    return parent?._tag === "Span" ? parent.name : parent?.spanId
  }

  get milliseconds(): number | undefined {
    const { status } = this
    return status._tag === "Ended" ? Number(status.endTime - status.startTime) / 1e6 : undefined
  }

  /** How it ended: `ok`, `interrupted`, or the name and message of its failure. */
  get outcome(): string {
    const { status } = this
    if (status._tag === "Started") return "open"
    if (status.exit._tag === "Success") return "ok"
    const [reason] = status.exit.cause.reasons
    if (reason === undefined || reason._tag === "Interrupt") return "interrupted"
    const error = (reason._tag === "Die" ? reason.defect : reason.error) as Error
    return `${reason._tag === "Die" ? "defect " : ""}${error.name}: ${error.message}`
  }
}

export interface Point {
  readonly attributes: Readonly<Record<string, string>>
  /** Of a histogram: how many values, and their sum; of a counter, its count. */
  readonly count: number
  readonly sum: number
  readonly boundaries: ReadonlyArray<number>
}

export interface Observed {
  readonly layer: Layer.Layer<never>
  readonly spans: ReadonlyArray<Span>
  /** The one span of a name. */
  readonly span: (name: string) => Span
  readonly snapshot: () => ReadonlyArray<Metric.Metric.Snapshot>
  /** The series of a metric. */
  readonly points: (name: string) => ReadonlyArray<Point>
  readonly names: () => ReadonlyArray<string>
}

export const observing = (): Observed => {
  const spans: Array<Span> = []
  const registry: Metric.MetricRegistry = new Map()
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Span(options)
      spans.push(span)
      return span
    }
  })
  const context = Context.make(Metric.MetricRegistry, registry).pipe(Context.add(Tracer.Tracer, tracer))
  const snapshot = () => Metric.snapshotUnsafe(context)
  return {
    layer: Layer.succeedContext(context),
    spans,
    span: (name) => {
      const found = spans.filter((span) => span.name === name)
      if (found.length !== 1) throw new Error(`${found.length} spans named ${name}: ${spans.map((s) => s.name).join()}`)
      return found[0]!
    },
    snapshot,
    points: (name) =>
      snapshot().flatMap((metric) => {
        if (metric.id !== name) return []
        const { unit: _unit, ...attributes } = metric.attributes ?? {}
        if (metric.type === "Histogram") {
          const { buckets, count, sum } = metric.state
          return [{ attributes: { ...attributes }, count, sum, boundaries: buckets.map(([boundary]) => boundary) }]
        }
        if (metric.type !== "Counter") throw new Error(`${name} is a ${metric.type}`)
        const count = Number(metric.state.count)
        return [{ attributes: { ...attributes }, count, sum: count, boundaries: [] }]
      }),
    names: () => [...new Set(snapshot().map((metric) => metric.id))].toSorted()
  }
}

/** Runs with what is observed in force. */
export const within = <A, E, R>(observed: Observed, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(effect, observed.layer)
