import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Stream from "effect/Stream"
import { LlmError } from "effect-rill/LlmError"
import type { LlmEvent } from "effect-rill/LlmEvent"
import type { Protocol } from "effect-rill/protocol/Protocol"
import type { Progress } from "effect-rill/wire/Decoder"
import * as Body from "effect-rill/wire/Body"
import * as EventStream from "effect-rill/wire/EventStream"
import type { KnownShapes } from "effect-rill/wire/KnownShapes"
import { fractions } from "./random.ts"

export interface Outcome {
  readonly events: ReadonlyArray<LlmEvent>
  readonly error: LlmError | undefined
}

/** Drives chunks of bytes through the stage, with the protocol's decoder and no HTTP. */
export const decodeBytes = <S extends Progress, E = never>(
  protocol: Protocol<S>,
  body: Iterable<Uint8Array> | Stream.Stream<Uint8Array, E>,
  options: {
    readonly declared?: boolean
    readonly maxEventLength?: number
    readonly shapes?: KnownShapes
    readonly onEvent?: (event: LlmEvent) => Effect.Effect<unknown>
  } = {}
): Effect.Effect<Outcome> => {
  const events: Array<LlmEvent> = []
  return EventStream.decode({
    body: Stream.isStream(body) ? Body.fromStream(body) : chunkByChunk(body),
    framing: protocol.framing,
    declared: options.declared ?? true,
    decoder: protocol.decoder,
    turn: { provider: "test", inputCharacters: 40, conceal: (text) => text },
    notAStream: (body) =>
      protocol.error({
        _tag: "HttpFailure",
        status: 200,
        headers: Headers.empty,
        body,
        requestId: undefined,
        retryAfter: undefined,
        shouldRetry: undefined
      }),
    bodyFailed: () => {
      throw new Error("the body failed")
    },
    fail: (reason, state) => {
      const { emitted, output, usage } = protocol.decoder.told(state)
      return new LlmError({
        reason,
        provider: "test",
        phase: output ? "mid-output" : "before-output",
        emitted,
        usage
      })
    },
    maxEventLength: options.maxEventLength,
    shapes: options.shapes
  }).pipe(
    Stream.runForEach((event) => {
      events.push(event)
      return options.onEvent?.(event) ?? Effect.void
    }),
    Effect.match({
      onSuccess: () => ({ events, error: undefined }),
      onFailure: (error) => ({ events, error })
    })
  )
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** All at once, a byte at a time, in pieces of 2, 3 and 7, and at 20 seeded random cuts. */
export function* cuts(body: Uint8Array): Generator<readonly [name: string, chunks: ReadonlyArray<Uint8Array>]> {
  yield ["whole", [body]]
  for (const size of [1, 2, 3, 7]) yield [`in pieces of ${size}`, pieces(body, () => size)]
  for (let seed = 1; seed <= 20; seed++) {
    const next = fractions(seed)
    yield [`seed ${seed}`, pieces(body, () => 1 + Math.floor(next() * 200))]
  }
}

export const pieces = (body: Uint8Array, size: () => number): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let i = 0; i < body.length;) {
    const end = i + size()
    chunks.push(body.subarray(i, end))
    i = end
  }
  return chunks
}

/** A body that has the next chunk as soon as it is asked for it. */
const chunkByChunk = (chunks: Iterable<Uint8Array>): Body.Body<never> => {
  return (_, receiver) =>
    Effect.sync(() => {
      const rest = chunks[Symbol.iterator]()
      return () => {
        for (let wanted = true; wanted;) {
          const next = rest.next()
          if (next.done) return receiver.end(Cause.done())
          wanted = receiver.push([next.value])
        }
      }
    })
}
