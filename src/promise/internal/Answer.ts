import * as Effect from "effect/Effect"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import type { Llm } from "../../Llm.ts"
import type { AnswerStream, ResponseOptions } from "../AnswerStream.ts"
import type { Begin, Iteration } from "./Iteration.ts"
import type { View } from "./respond.ts"

/**
 * How an answer's run is begun: each effect that a client runs is one.
 *
 * @internal
 */
export type Iterate = <A>(
  effect: (deliver: Parameters<Begin<A>>[1]) => Effect.Effect<void, unknown, Llm>,
  signal?: AbortSignal
) => Iteration<A>

/**
 * An answer that is read once, by whoever is first.
 *
 * @internal
 */
export class Answer<A, B> implements AsyncIterable<B> {
  private isTaken = false
  private readonly read: () => Stream.Stream<A, unknown, Llm>
  private readonly toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>
  protected readonly iterate: Iterate

  constructor(
    iterate: Iterate,
    read: () => Stream.Stream<A, unknown, Llm>,
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>
  ) {
    this.iterate = iterate
    this.read = read
    this.toPlain = toPlain
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<B> {
    this.take()
    return this.iterate<B>((deliver) =>
      Stream.runForEachArray(Stream.suspend(this.read), (items) => deliver(this.toPlain(items)))
    )
  }

  protected take(): void {
    if (this.isTaken) {
      throw new TypeError(
        "this answer has been read, or is being read: one answer is one run of the model. Ask again for another, or tee() the stream of toReadableStream()."
      )
    }
    this.isTaken = true
  }
}

/**
 * An answer that can be served too.
 *
 * @internal
 */
export class ServedAnswer<A, B> extends Answer<A, B> implements AnswerStream<B> {
  private readonly view: View

  constructor(
    iterate: Iterate,
    view: View & { readonly read: () => Stream.Stream<A, unknown, Llm> },
    toPlain: (items: ReadonlyArray<A>) => ReadonlyArray<B>
  ) {
    super(iterate, view.read, toPlain)
    this.view = view
  }

  // Both may be taken off their answer, as all else of a client may.
  readonly toReadableStream = (): ReadableStream<B> => {
    const iterator = this[Symbol.asyncIterator]()
    return readable(() => iterator.next(), iterator)
  }

  readonly toResponse = async (options: ResponseOptions = {}): Promise<globalThis.Response> => {
    this.take()
    let told: (response: HttpServerResponse) => void
    const bytes = this.iterate<Uint8Array>(
      (deliver) =>
        Effect.scoped(
          Effect.flatMap(
            Effect.suspend(() => respond(this.view, options)),
            (made) => {
              told(made)
              if (made.body._tag !== "Stream") return Effect.void
              return Stream.runForEachArray(made.body.stream, (pieces) => {
                // Some servers take an empty piece for the end.
                const some = pieces.filter(({ length }) => length > 0)
                return some.length === 0 ? Effect.void : deliver(some)
              })
            }
          )
        ),
      options.signal
    ).madeBy(this.toResponse)
    const { respond, toWeb } = await import("./respond.ts")
    let first: ReturnType<typeof bytes.next> | undefined
    const made = await new Promise<HttpServerResponse>((resolve, reject) => {
      told = resolve
      first = bytes.next()
      // Once there is a response, it is for its reader to hear.
      first.catch(reject)
    })
    if (made.body._tag !== "Stream") return toWeb(made)
    const next = () => {
      const next = first ?? bytes.next()
      first = undefined
      return next
    }
    return new Response(readable(next, bytes), { status: made.status, headers: made.headers })
  }
}

/** Reads when it is read, and no sooner. */
const readable = <A>(
  next: () => Promise<IteratorResult<A, undefined>>,
  iterator: AsyncIterator<A, undefined>
): ReadableStream<A> =>
  new ReadableStream<A>(
    {
      pull: async (controller) => {
        const result = await next()
        if (result.done === true) controller.close()
        else controller.enqueue(result.value)
      },
      cancel: async () => void (await iterator.return?.())
    },
    { highWaterMark: 0 }
  )
