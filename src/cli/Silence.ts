/**
 * How long a model may be silent, as people write it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/**
 * Reads `30`, which is seconds, `1.5`, `30s`, `2m`, `"30 seconds"`. None where it is no time, or none at all.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string): Option.Option<Duration.Duration> => {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const milliseconds = number === undefined ? 0 : Number(number) * (units[unit.toLowerCase()] ?? 0)
  return milliseconds >= 1 && milliseconds < Infinity ? Option.some(Duration.millis(milliseconds)) : Option.none()
}

const named = (names: string, milliseconds: number): ReadonlyArray<readonly [string, number]> =>
  names.split(" ").map((name) => [name, milliseconds])

const units: Readonly<Record<string, number>> = Object.fromEntries([
  ["", 1000],
  ...named("ms milli millis millisecond milliseconds", 1),
  ...named("s sec secs second seconds", 1000),
  ...named("m min mins minute minutes", 60_000),
  ...named("h hour hours", 3_600_000)
])
