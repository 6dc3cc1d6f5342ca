/**
 * A format and a framing make a writer.
 *
 * @internal
 */
import type { LlmError } from "../../LlmError.ts"
import type { Element, Format, Put } from "../Format.ts"
import type { Writer } from "../HttpResponse.ts"

export const make = <A extends Element>(
  format: Format<A>,
  now: number,
  frame: (data: string, name: string | undefined) => string
): Writer<A> => {
  const encoder = format.encoder(now)
  let out = ""
  let refused: LlmError | undefined
  const put: Put = (data, name) => {
    out += frame(data, name)
  }
  const written = (): string => {
    const text = out
    out = ""
    return text
  }
  return {
    write: (elements) => {
      for (const element of elements) {
        refused = encoder.add(element, put)
        if (refused !== undefined) break
      }
      return written()
    },
    refused: () => refused,
    end: () => {
      encoder.end(put)
      return written()
    },
    fail: (failure) => {
      encoder.fail(failure, put)
      return written()
    }
  }
}
