/**
 * `rill models`: the providers, the variable of each one's key, and whether it is set. Its value is not shown.
 *
 * @since 0.1.0
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Providers from "../provider/Providers.ts"
import * as Model from "./Model.ts"
import type { Screen } from "./Screen.ts"

/**
 * What is known of a provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  readonly provider: string
  /** The variable that is set, or else the one to set. */
  readonly variable: string
  readonly state: "set" | "not set" | "optional"
  /** The model that is asked where none is named. */
  readonly defaultModel: string | undefined
  /** The page that lists its models. */
  readonly models: string
}

/**
 * Prints them.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(function* (screen: Screen, json: boolean) {
  const read = yield* Model.environment
  const lines = Providers.all.map((provider) => line(provider, read))
  const text = json
    ? lines.map((line) => JSON.stringify(line))
    : screen.stdoutIsTerminal
      ? aligned(lines)
      : lines.map((line) => cells(line).join("\t"))
  yield* Console.log(text.join("\n"))
})

/**
 * A provider's.
 *
 * @category constructors
 * @since 0.1.0
 */
export const line = (provider: Providers.Provider, read: Providers.Read): Line => {
  const { baseUrlRequired, baseUrlVariable, keyOptional } = provider
  const place = baseUrlVariable === undefined ? [] : [baseUrlVariable]
  // Where no key is needed, the place is what there is to set; where both are, it is what is still missing.
  const wanted =
    keyOptional === true ? [...place, ...Providers.secretVariables(provider)] : Providers.secretVariables(provider)
  const set = wanted.find((variable) => read(variable) !== undefined)
  const lacking =
    baseUrlRequired === true && set !== undefined ? place.find((variable) => read(variable) === undefined) : undefined
  return {
    provider: provider.name,
    variable: lacking ?? set ?? wanted[0] ?? "",
    state: set !== undefined && lacking === undefined ? "set" : keyOptional === true ? "optional" : "not set",
    defaultModel: provider.defaultModel,
    models: provider.models
  }
}

const cells = ({ defaultModel, models, provider, state, variable }: Line): ReadonlyArray<string> => [
  provider,
  variable,
  state,
  defaultModel ?? models
]

/**
 * For a terminal: columns under a heading. A page goes without what all pages begin with.
 *
 * @category rendering
 * @since 0.1.0
 */
export const aligned = (lines: ReadonlyArray<Line>): ReadonlyArray<string> => {
  const rows = [["PROVIDER", "VARIABLE", "", "MODEL, OR WHERE TO FIND ONE"], ...lines.map(cells)]
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 3 ? cell.replace(/^https:\/\/(www\.)?/, "") : cell.padEnd(widths[column]! + 2)
      )
      .join("")
      .trimEnd()
  )
}
