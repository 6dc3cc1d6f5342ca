/** A token that tells when it was written, by the clock that all processes of a machine share. */

const digits = 16

/** Of a stamp, in characters. */
export const length = digits + 1

/** Holds the place of a stamp in bytes that are made before. */
export const blank = ` ${"0".repeat(digits)}`

/** The time, in microseconds. */
export const now = (): number => Number(process.hrtime.bigint() / 1000n)

export const text = (): string => ` ${String(now()).padStart(digits, "0")}`

/** The times in a text, which may have several stamps. */
export const read = (text: string): ReadonlyArray<number> => {
  if (!/^(?: \d{16})*$/.test(text)) throw new Error(`${JSON.stringify(text)} is no stamp`)
  return Array.from({ length: text.length / length }, (_, i) => Number(text.slice(i * length, (i + 1) * length)))
}
