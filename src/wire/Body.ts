/**
 * Reads the body of an answer as it comes, at one wake-up for each piece.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Inlet from "./Inlet.ts"

/**
 * A body that is not yet read: gives what begins to read it, in a scope that ends the reading.
 *
 * @category models
 * @since 0.1.0
 */
export type Body<E> = (scope: Scope.Scope, receiver: Inlet.Receiver<Uint8Array, E>) => Effect.Effect<Inlet.More>

/**
 * The body of a response. What a client's response is made of is read itself: the web stream of fetch,
 * the `Readable` of Node's clients. Others are read by their `stream`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromResponse = (response: HttpClientResponse.HttpClientResponse): Body<BodyError> => {
  const web = HttpClientResponse.toWeb(response)
  if (Option.isSome(web) && web.value.body !== null) return fromWeb(web.value.body)
  const readable = readableOf(response)
  return readable === undefined ? fromStream(response.stream) : fromReadable(readable)
}

/**
 * Why a body broke off: an error of a client, or what lies under one.
 *
 * @category errors
 * @since 0.1.0
 */
export type BodyError = HttpClientError.HttpClientError | BrokenOff

/**
 * A body broke off. The cause is for its code; it may quote what is secret.
 *
 * @category errors
 * @since 0.1.0
 */
export interface BrokenOff {
  readonly _tag: "BrokenOff"
  readonly cause: unknown
}

/**
 * A body that is a stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream =
  <E>(stream: Stream.Stream<Uint8Array, E>): Body<E> =>
  (scope, receiver) =>
    Inlet.fromStream(stream, scope, receiver)

const brokenOff = (cause: unknown): Effect.Effect<never, BrokenOff> => Effect.fail({ _tag: "BrokenOff", cause })

/** Reads on when it is asked to, and no further. */
const fromWeb =
  (body: ReadableStream<Uint8Array>): Body<BrokenOff> =>
  (scope, receiver) => {
    const onError = (cause: unknown): void => receiver.end(brokenOff(cause))
    return Effect.suspend(() => {
      const reader = body.getReader()
      let isReading = false
      const onRead = ({ value }: { readonly value?: Uint8Array | undefined }): void => {
        isReading = false
        if (value === undefined) receiver.end(Inlet.done)
        else if (receiver.push([value])) more()
      }
      const more = (): void => {
        if (isReading) return
        isReading = true
        reader.read().then(onRead, onError)
      }
      // Nobody waits for the peer to hear of it.
      const cancel = Effect.sync(() => void reader.cancel().catch(() => {}))
      return Effect.as(Scope.addFinalizer(scope, cancel), more)
    })
  }

/** What is used of Node's `Readable`. */
interface Readable {
  readonly destroyed: boolean
  readonly errored: Error | null
  readonly readableEnded: boolean
  readonly on: (event: string, listener: (value: never) => void) => unknown
  readonly removeListener: (event: string, listener: (value: never) => void) => unknown
  readonly pause: () => unknown
  readonly resume: () => unknown
  readonly destroy: () => unknown
}

const isReadable = (value: unknown): value is Readable =>
  Predicate.isObject(value) && "readableEnded" in value && "on" in value && "pause" in value && "destroyed" in value

/** `source` is public in both of Node's clients: the `IncomingMessage`, or undici's response, which has a `body`. */
const readableOf = (response: object): Readable | undefined => {
  if (!("source" in response) || !Predicate.isObject(response.source)) return undefined
  const { source } = response
  if (isReadable(source)) return source
  return "body" in source && isReadable(source.body) ? source.body : undefined
}

/** How much is held that no pull has asked for, in bytes: 64 KiB, what one read of a socket gives at most. */
const maxAhead = 64 * 1024

/** Takes what Node has read in the turn that it comes, and pauses when too much of it waits for a pull. */
const fromReadable =
  (readable: Readable): Body<BrokenOff> =>
  (scope, receiver) => {
    const onEnd = (): void => receiver.end(Inlet.done)
    const onError = (cause: unknown): void => receiver.end(brokenOff(cause))
    const onClose = (): void => receiver.end(brokenOff(readable.errored))
    return Effect.suspend(() => {
      let isPaused = true
      let ahead = 0
      const more = (): void => {
        ahead = 0
        if (!isPaused) return
        isPaused = false
        readable.resume()
      }
      const onData = (chunk: Uint8Array): void => {
        if (receiver.push([chunk])) {
          ahead = 0
          return
        }
        ahead += chunk.length
        if (ahead < maxAhead || isPaused) return
        isPaused = true
        readable.pause()
      }
      if (readable.destroyed) onClose()
      // Stays: an error that nobody listens to ends a process of Node.
      readable.on("error", onError)
      readable.on("close", onClose)
      readable.on("end", onEnd)
      readable.on("data", onData)
      readable.pause()
      const stop = Effect.sync(() => {
        readable.removeListener("data", onData)
        if (!readable.readableEnded) readable.destroy()
      })
      return Effect.as(Scope.addFinalizer(scope, stop), more)
    })
  }
