import * as Predicate from "effect/Predicate"

/**
 * What a tool threw. The message is what the model is told of it.
 *
 * @internal
 */
export class ToolThrew extends Error {
  readonly error: unknown
  constructor(error: unknown) {
    super(describe(error))
    this.error = error
  }
}

const describe = (error: unknown): string => {
  if (Predicate.isError(error)) return error.message || error.name
  return typeof error === "string" && error !== "" ? error : "The tool failed."
}
