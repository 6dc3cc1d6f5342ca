/**
 * Reads what a client sent, by hand: a schema's messages would quote it.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import { Refusal } from "./Refusal.ts"

/**
 * A value of a client's JSON, and where in it. What does not fit is thrown, as a `Refusal` that says where and what
 * is expected.
 *
 * @category models
 * @since 0.1.0
 */
export class Input {
  readonly path: string
  private readonly value: unknown

  constructor(value: unknown, path = "") {
    this.value = value
    this.path = path
  }

  /** Whether it is missing, or `null`, which many clients write instead. */
  get isAbsent(): boolean {
    return this.value === undefined || this.value === null
  }

  get isString(): boolean {
    return typeof this.value === "string"
  }

  get isList(): boolean {
    return Array.isArray(this.value)
  }

  /** Whether it asks for nothing: absent, `false`, 0, empty. */
  get isIdle(): boolean {
    const { value } = this
    if (Array.isArray(value)) return value.length === 0
    if (Predicate.isObject(value)) return Object.keys(value).length === 0
    return this.isAbsent || value === false || value === 0 || value === ""
  }

  at(key: string): Input {
    const value =
      Predicate.isObject(this.value) && Object.hasOwn(this.value, key) ? Reflect.get(this.value, key) : undefined
    return new Input(value, this.path === "" ? key : `${this.path}.${key}`)
  }

  keys(): ReadonlyArray<string> {
    return Object.keys(this.record())
  }

  record(): object {
    return Predicate.isObject(this.value) && !this.isList ? this.value : this.refuse("an object")
  }

  list(): ReadonlyArray<Input> {
    if (!Array.isArray(this.value)) return this.refuse("a list")
    return this.value.map((value, index) => new Input(value, `${this.path}[${index}]`))
  }

  string(): string {
    return typeof this.value === "string" ? this.value : this.refuse("a string")
  }

  boolean(): boolean {
    return typeof this.value === "boolean" ? this.value : this.refuse("true or false")
  }

  number(low: number, high: number): number {
    const { value } = this
    if (typeof value === "number" && value >= low && value <= high) return value
    return this.refuse(`a number from ${low} to ${high}`)
  }

  integer(low: number, high = Number.MAX_SAFE_INTEGER): number {
    const { value } = this
    if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return value
    return this.refuse(low === 1 ? "a whole number of at least 1" : "a whole number")
  }

  oneOf<const A extends string>(...names: ReadonlyArray<A>): A {
    const name = names.find((name) => name === this.value)
    return name ?? this.refuse(`one of ${names.map((name) => `"${name}"`).join(", ")}`)
  }

  optional<A>(read: (input: Input) => A): A | undefined {
    return this.isAbsent ? undefined : read(this)
  }

  refuse(expected: string): never {
    throw new Refusal({
      reason: "InvalidRequest",
      message: `${this.path === "" ? "the body" : this.path} must be ${expected}.`,
      param: this.path === "" ? undefined : this.path
    })
  }

  /** Refuses what is understood and cannot be done. */
  unsupported(what: string): never {
    throw new Refusal({ reason: "Unsupported", message: `${this.path}: ${what}.`, param: this.path })
  }
}
