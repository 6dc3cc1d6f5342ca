/** All that the server writes for a plan, made before it is asked for. */
import { answers } from "./Answer.ts"
import type { Plan, Protocol } from "./Plan.ts"
import * as Stamp from "./Stamp.ts"
import { period, token } from "./Text.ts"

export interface Writes {
  /** The head of the response, and what comes before the first token. */
  readonly head: Buffer
  /** So often is each list written. */
  readonly blocks: ReadonlyArray<{ readonly writes: ReadonlyArray<Buffer>; readonly times: number }>
  /** An event with the place of a stamp. */
  readonly stamp: { readonly frame: Buffer; readonly at: number }
  readonly tail: Buffer
}

/** A chunk of a chunked body. */
const framed = (bytes: Buffer): Buffer =>
  bytes.length === 0
    ? bytes
    : Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])

const block = (protocol: Protocol, tokens: number, { bytes, events = 1 }: Plan): ReadonlyArray<Buffer> => {
  const all = Array.from({ length: tokens }, (_, i) => answers[protocol].event(token(i), i))
  if (bytes === undefined) {
    return Array.from({ length: Math.ceil(tokens / events) }, (_, i) =>
      framed(Buffer.from(all.slice(i * events, (i + 1) * events).join("")))
    )
  }
  const whole = Buffer.from(all.join(""))
  return Array.from({ length: Math.ceil(whole.length / bytes) }, (_, i) =>
    framed(whole.subarray(i * bytes, (i + 1) * bytes))
  )
}

/** Also of the whole answer, which some protocols repeat at its end. */
const text = (tokens: number): string => Array.from({ length: tokens }, (_, i) => token(i)).join("")

const made = new Map<string, Writes>()

/** Long answers repeat their first block, so that none takes more memory than that. */
export const make = (protocol: Protocol, key: string, plan: Plan): Writes => {
  const known = made.get(`${protocol} ${key}`)
  if (known !== undefined) return known
  const { contentType, event, head, tail } = answers[protocol]
  const frame = framed(Buffer.from(event(Stamp.blank, 0)))
  const rest = plan.tokens % period
  const writes: Writes = {
    head: Buffer.concat([
      Buffer.from(
        `HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n`
      ),
      framed(Buffer.from(head))
    ]),
    blocks: [
      { writes: plan.tokens < period ? [] : block(protocol, period, plan), times: Math.floor(plan.tokens / period) },
      { writes: block(protocol, rest, plan), times: 1 }
    ],
    stamp: { frame, at: frame.indexOf(Stamp.blank) },
    tail: Buffer.concat([framed(Buffer.from(tail(plan.tokens, () => text(plan.tokens)))), Buffer.from("0\r\n\r\n")])
  }
  made.set(`${protocol} ${key}`, writes)
  return writes
}
