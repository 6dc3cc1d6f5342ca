/** The figures of a scenario as a table: medians, in brackets the least and the most, ratios of the same rounds. */
import { byHand } from "../Contestant.ts"
import type { Scenario } from "../Scenario.ts"
import type { Outcome } from "./Run.ts"
import { median } from "./Statistics.ts"

/** The median of the ratios in each round; rounds are near in time, so that a machine's moods cancel out. */
export const ratio = (outcome: Outcome, base: Outcome | undefined, key: string): number | undefined => {
  const ratios = outcome.rounds.flatMap((figures, i) => {
    const of = base?.rounds[i]?.[key]
    return of === undefined ? [] : [figures[key]! / of]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}

const number = (value: number, digits: number): string => (Number.isFinite(value) ? value.toFixed(digits) : "never")

const spread = (values: ReadonlyArray<number>, digits: number): string =>
  values.length === 1
    ? number(values[0]!, digits)
    : `${number(median(values), digits)} (${number(Math.min(...values), digits)}–${number(Math.max(...values), digits)})`

/** `besideOf`: with whom one is compared beside the one by hand. */
export const table = (
  { columns }: Pick<Scenario, "columns">,
  outcomes: ReadonlyArray<Outcome>,
  besideOf: (name: string) => string | undefined
): string => {
  const find = (name: string | undefined) => outcomes.find((outcome) => outcome.name === name)
  const times = (outcome: Outcome, base: Outcome | undefined, key: string, of: string): string => {
    const value = ratio(outcome, base, key)
    return value === undefined ? "" : `${value.toFixed(2)}×${of}`
  }
  const cells = (outcome: Outcome): ReadonlyArray<string> =>
    columns.flatMap(({ digits, key, ratio: hasRatio }) => {
      const values = outcome.rounds.map((figures) => figures[key]!)
      if (hasRatio !== true) return [spread(values, digits)]
      const other = find(besideOf(outcome.name))
      return [
        spread(values, digits),
        times(outcome, find(byHand), key, ""),
        times(outcome, other, key, ` ${other?.name}`)
      ]
    })
  const head = columns.flatMap(({ ratio, title }) => (ratio === true ? [title, "× by hand", "× beside"] : [title]))
  const done = outcomes.filter(({ rounds }) => rounds.length > 0)
  const rows = [["", ...head], ...done.map((outcome) => [outcome.name].concat(cells(outcome)))]
  const isUsed = rows[0]!.map((_, i) => i === 0 || rows.slice(1).some((row) => row[i] !== ""))
  const shown = rows.map((row) => row.filter((_, i) => isUsed[i]))
  const widths = shown[0]!.map((_, i) => Math.max(...shown.map((row) => row[i]!.length)))
  return [
    ...shown.map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!))).join("  ")
    ),
    ...outcomes.flatMap(({ failure, name, rounds }) =>
      failure === undefined
        ? []
        : [`${name} failed${rounds.length > 0 ? ` after ${rounds.length} rounds` : ""}: ${failure}`]
    )
  ].join("\n")
}
