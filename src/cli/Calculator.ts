/**
 * A calculator for a model: arithmetic as text in, a number out.
 *
 * ```text
 * sum     = product (("+" | "-") product)*
 * product = signed (("*" | "/" | "%") signed)*
 * signed  = ("+" | "-") signed | power
 * power   = value ("^" signed)?
 * value   = number | constant | function "(" sum ("," sum)* ")" | "(" sum ")"
 * ```
 *
 * So `-2^2` is -4, `2^3^2` is 512, and `%` is the remainder, with the sign of its left side. `**` is read
 * as `^`, `×` and `·` as `*`, `÷` as `/`. Nothing is run that is not written here.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * Why there is no result. The message tells the model what to mend.
 *
 * - `Syntax`: it cannot be read.
 * - `TooLong`, `TooDeep`: it is more than is read.
 * - `DivisionByZero`.
 * - `OutOfRange`: a result too large, or too near to 0, for a number.
 * - `NotReal`: such as the root of a negative number.
 *
 * @category errors
 * @since 0.1.0
 */
export class CalculatorError extends Data.TaggedError("CalculatorError")<{
  readonly reason: "Syntax" | "TooLong" | "TooDeep" | "DivisionByZero" | "OutOfRange" | "NotReal"
  readonly message: string
}> {}

/**
 * The longest expression, in characters.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxLength = 1000

/**
 * How deep parentheses, signs and powers may be nested.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxDepth = 64

/**
 * Computes with IEEE 754 doubles. A result is finite, and 0 only where it is 0.
 *
 * @category computing
 * @since 0.1.0
 */
export const evaluate = (expression: string): Result.Result<number, CalculatorError> => {
  try {
    return Result.succeed(new Parser(expression).all())
  } catch (error) {
    if (error instanceof CalculatorError) return Result.fail(error)
    throw error
  }
}

/**
 * A number as text: to 15 digits, which hides that 0.1 + 0.2 is a little more than 0.3; whole numbers in
 * full as long as they are exact, and with `≈` beyond.
 *
 * @category rendering
 * @since 0.1.0
 */
export const format = (value: number): string => {
  if (Number.isSafeInteger(value)) return String(value + 0)
  const rounded = String(Number(value.toPrecision(15)))
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? `≈ ${rounded}` : rounded
}

/** The functions and constants, as a description for the model has them. */
export const names = "sqrt, abs, round, floor, ceil, exp, ln, log10, log2, sin, cos, tan (radians), min, max, pi, e"

const fail = (reason: CalculatorError["reason"], message: string): never => {
  throw new CalculatorError({ reason, message })
}

class Parser {
  private at = 0
  private depth = 0
  private readonly text: string

  constructor(text: string) {
    if (text.length > maxLength) {
      fail("TooLong", `The expression has ${text.length} characters; the most is ${maxLength}. Compute it in parts.`)
    }
    this.text = text.replaceAll("**", "^").replaceAll("−", "-").replace(/[×·]/g, "*").replaceAll("÷", "/")
  }

  all(): number {
    if (this.peek() === "") fail("Syntax", "The expression is empty. Write one such as (2 + 3) * 4.")
    const value = this.sum()
    if (this.peek() !== "") this.unexpected()
    return value
  }

  private sum(): number {
    let value = this.product()
    for (;;) {
      if (this.take("+")) value = finite(value + this.product())
      else if (this.take("-")) value = finite(value - this.product())
      else return value
    }
  }

  private product(): number {
    let value = this.signed()
    for (;;) {
      if (this.take("*")) {
        const right = this.signed()
        value = whole(value * right, value === 0 || right === 0)
      } else if (this.take("/")) {
        const right = this.divisor()
        value = whole(value / right, value === 0)
      } else if (this.take("%")) value %= this.divisor()
      else return value
    }
  }

  private divisor(): number {
    const right = this.signed()
    return right === 0 ? fail("DivisionByZero", "Division by zero: it has no result.") : right
  }

  private signed(): number {
    if (this.take("-")) return this.deeper(() => -this.signed())
    if (this.take("+")) return this.deeper(() => this.signed())
    return this.power()
  }

  private power(): number {
    const base = this.value()
    if (!this.take("^")) return base
    const exponent = this.deeper(() => this.signed())
    if (base === 0 && exponent < 0) fail("DivisionByZero", "0 to a negative power is a division by zero.")
    return whole(base ** exponent, base === 0)
  }

  private value(): number {
    if (this.take("(")) {
      const value = this.deeper(() => this.sum())
      this.close()
      return value
    }
    const [number] = this.match(/\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?/y) ?? []
    if (number !== undefined) {
      // `1.2.3`, `0x1F`, `3m`
      const [rest] = this.look(/[\p{L}_.]+/uy) ?? []
      if (rest !== undefined && !Object.hasOwn(constants, rest) && !Object.hasOwn(functions, rest)) {
        fail("Syntax", `${number}${rest} is no number. Write numbers such as 1200, 0.5 or 1.2e3, without units.`)
      }
      return whole(Number(number), /^[0.]*(?:[eE].*)?$/.test(number))
    }
    const [name] = this.match(/[\p{L}_][\p{L}\p{N}_]*/uy) ?? []
    if (name === undefined) return this.unexpected()
    const key = name.toLowerCase()
    if (Object.hasOwn(constants, key)) return constants[key]!
    const compute = Object.hasOwn(functions, key) ? functions[key]! : undefined
    if (compute === undefined) {
      return fail(
        "Syntax",
        key === "log" ? "log is not clear: write ln or log10." : `There is no ${name}. There are: ${names}.`
      )
    }
    if (!this.take("(")) fail("Syntax", `${name} wants its input in parentheses: ${name}(2).`)
    const inputs = this.deeper(() => {
      const all = [this.sum()]
      while (this.take(",")) all.push(this.sum())
      return all
    })
    this.close()
    if (inputs.length !== 1 && !variadic.has(key)) fail("Syntax", `${name} takes one input, not ${inputs.length}.`)
    return finite(compute(...(inputs as [number, ...Array<number>])))
  }

  private close(): void {
    if (this.take(")")) return
    if (this.peek() === "") fail("Syntax", "A closing parenthesis is missing.")
    this.unexpected()
  }

  private deeper<A>(read: () => A): A {
    if (++this.depth > maxDepth) fail("TooDeep", `It is nested more than ${maxDepth} deep. Compute it in parts.`)
    const value = read()
    this.depth--
    return value
  }

  /** The next character that is not white space, or `""` at the end. */
  private peek(): string {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++
    return this.text[this.at] ?? ""
  }

  private take(character: string): boolean {
    if (this.peek() !== character) return false
    this.at++
    return true
  }

  private look(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at
    return pattern.exec(this.text)
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    const found = this.look(pattern)
    if (found !== null) this.at += found[0].length
    return found
  }

  private unexpected(): never {
    if (this.peek() === "") return fail("Syntax", "The expression ends where a number should be.")
    const next = String.fromCodePoint(this.text.codePointAt(this.at)!)
    const before = this.text.slice(0, this.at).trimEnd()
    const hint =
      next === ","
        ? " Write numbers without thousands separators: 1000."
        : next === "=" || next === "<" || next === ">"
          ? " Only arithmetic is read, no equations."
          : /[\p{L}\p{N}(]/u.test(next) && before !== ""
            ? " Is a * missing?"
            : ""
    const where = before === "" ? "at the beginning" : `after “${before.slice(-20)}”`
    return fail("Syntax", `“${next}” cannot stand ${where}.${hint}`)
  }
}

const finite = (value: number): number =>
  Number.isNaN(value)
    ? fail("NotReal", "The result is not a real number, as with the root of a negative one.")
    : Number.isFinite(value)
      ? value
      : fail("OutOfRange", "The result is too large: a number goes up to about 1.8e308.")

/** What comes to 0 by being too small is no result either. */
const whole = (value: number, mayBeZero: boolean): number =>
  value === 0 && !mayBeZero
    ? fail("OutOfRange", "The result is too near to 0: a number goes down to about 5e-324.")
    : finite(value)

const constants: Readonly<Record<string, number>> = { pi: Math.PI, π: Math.PI, e: Math.E }

const positive = (compute: (x: number) => number) => (x: number) => (x > 0 ? compute(x) : Number.NaN)

const variadic: ReadonlySet<string> = new Set(["min", "max"])

const functions: Readonly<Record<string, (first: number, ...more: ReadonlyArray<number>) => number>> = {
  sqrt: (x) => Math.sqrt(x),
  abs: (x) => Math.abs(x),
  // Half away from 0, as people round.
  round: (x) => Math.sign(x) * Math.round(Math.abs(x)),
  floor: (x) => Math.floor(x),
  ceil: (x) => Math.ceil(x),
  exp: (x) => Math.exp(x),
  ln: positive(Math.log),
  log10: positive(Math.log10),
  log2: positive(Math.log2),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  tan: (x) => Math.tan(x),
  min: (first, ...more) => Math.min(first, ...more),
  max: (first, ...more) => Math.max(first, ...more)
}
