/**
 * The metrics: names, units and bucket boundaries of
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-metrics.md,
 * and, with `rill.` before them, what it has no name for.
 *
 * The attribute `unit` is how `effect`'s exporters are told one.
 *
 * @internal
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** A metric, of which each set of attributes is a series. */
export class Instrument {
  private readonly make: (attributes: Record<string, string>) => Metric.Metric<number, unknown>
  private readonly unit: string
  /** A metric of `effect` keeps the key of its own attributes, which costs more than all else in an update. */
  private readonly series = new Map<string, Metric.Metric<number, unknown>>()

  constructor(unit: string, make: (attributes: Record<string, string>) => Metric.Metric<number, unknown>) {
    this.unit = unit
    this.make = make
  }

  /** `effect` takes attributes that are strings alone; those that are `undefined` are left out. */
  of({ attributes, key }: Series): Metric.Metric<number, unknown> {
    const known = this.series.get(key)
    if (known !== undefined) return known
    const told: Record<string, string> = { unit: this.unit }
    for (const name in attributes) {
      const attribute = attributes[name]
      if (attribute !== undefined) told[name] = String(attribute)
    }
    const metric = this.make(told)
    // Names come from callers, and may be without number.
    if (this.series.size >= maxSeries) this.series.clear()
    this.series.set(key, metric)
    return metric
  }
}

const maxSeries = 1000

const histogram = (name: string, unit: string, boundaries: ReadonlyArray<number>, description: string) =>
  new Instrument(unit, (attributes) => Metric.histogram(name, { description, boundaries, attributes }))

const counter = (name: string, unit: string, incremental: boolean, description: string) =>
  new Instrument(unit, (attributes) => Metric.counter(name, { description, incremental, attributes }))

/** From 10 ms to 82 s, twice as much each time. */
const seconds = Array.from({ length: 14 }, (_, i) => 2 ** i / 100)

export const operationDuration = histogram(
  "gen_ai.client.operation.duration",
  "s",
  seconds,
  "Duration of a model's turn."
)

export const timeToFirstChunk = histogram(
  "gen_ai.client.operation.time_to_first_chunk",
  "s",
  seconds,
  "Time from the request to the first of the answer."
)

export const tokenUsage = histogram(
  "gen_ai.client.token.usage",
  "{token}",
  Array.from({ length: 14 }, (_, i) => 4 ** i),
  "Tokens used, as the provider counts them."
)

/** Boundaries of `gen_ai.server.time_per_output_token`, of which this is the client's view. */
export const timePerOutputToken = histogram(
  "rill.client.operation.time_per_output_token",
  "s",
  [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5],
  "Mean time per token after the first, of an answer that came to its end."
)

export const agentDuration = histogram(
  "gen_ai.invoke_agent.duration",
  "s",
  Array.from({ length: 13 }, (_, i) => 2 ** i / 10),
  "Duration of an agent's run."
)

export const toolDuration = histogram(
  "gen_ai.execute_tool.duration",
  "s",
  seconds,
  "Duration of a tool's execution by an agent."
)

export const activeStreams = counter("rill.active_streams", "{stream}", false, "Answers that are coming at the moment.")

export const retries = counter("rill.retries", "{retry}", true, "Attempts that failed and were followed by another.")

export const switches = counter("rill.switches", "{switch}", true, "Times that another model went on.")

export const cost = counter("rill.cost", "1", true, "Money spent, in the currency of the prices given.")

export type Attributes = Readonly<Record<string, string | number | undefined>>

/** The attributes of a series of values, of any metric. */
export class Series {
  readonly attributes: Attributes
  readonly key: string

  constructor(attributes: Attributes, key = JSON.stringify(attributes)) {
    this.attributes = attributes
    this.key = key
  }

  /** With one attribute more. */
  and(name: string, value: string | number): Series {
    return new Series({ ...this.attributes, [name]: value }, `${this.key} ${name} ${value}`)
  }
}

/** Adds to a metric. */
export const update = (instrument: Instrument, value: number, series: Series, context: Context.Context<never>): void =>
  instrument.of(series).updateUnsafe(value, context)

export const inSeconds = (from: bigint, to: bigint): number => Number(to - from) / 1e9
