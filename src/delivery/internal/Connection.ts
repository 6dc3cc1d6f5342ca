/** One WebSocket and its prompts, from the handshake to the last finalizer. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import type { AgentError } from "../../agent/AgentError.ts"
import type { LlmError } from "../../LlmError.ts"
import * as EventJson from "../EventJson.ts"
import * as WebSocketFrame from "../WebSocketFrame.ts"
import { Tally } from "./Tally.ts"
import * as Transport from "./Transport.ts"

export interface Settings<R> {
  readonly answer: (
    prompt: WebSocketFrame.PromptFrame
  ) => Stream.Stream<EventJson.Event | string, LlmError | AgentError, R>
  readonly maxPrompts: number
  readonly maxFrameSize: number
  readonly pingInterval: Duration.Duration
  readonly pingTimeout: Duration.Duration
  readonly slowClientTimeout: Duration.Duration
  readonly closeTimeout: Duration.Duration
}

/** Why the connection is closed from here. Without a code it is not even told. */
interface Closing {
  readonly code: number | undefined
  readonly reason: string
}

const answered: Closing = { code: 1000, reason: "the client has closed it" }
const stopping: Closing = { code: 1001, reason: "the server is stopping" }
const binary: Closing = { code: 1003, reason: "frames are JSON text" }
const tooSlow: Closing = { code: 1013, reason: "frames were not read in time" }
const broken: Closing = { code: 1011, reason: "the server failed" }
const silent: Closing = { code: undefined, reason: "no answer to a ping" }
const tooLarge = (max: number): Closing => ({ code: 1009, reason: `a frame has at most ${max} bytes` })

/** What may have been read and not been looked at: two high-water marks of `effect/socket`, and as much again. */
const readAhead = 256 * 1024

export const run = <R>(socket: Socket.Socket, source: object, settings: Settings<R>): Effect.Effect<void, never, R> =>
  Effect.scoped(
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        Transport.declineCompression(source)
        const opened = yield* Effect.exit(restore(socket.reader))
        // A handshake that was refused: the platform has answered it.
        if (Exit.isFailure(opened)) return
        const { pull } = opened.value
        const writer = yield* socket.writer
        const closing = Deferred.makeUnsafe<never, Closing>()
        const close = (why: Closing) => Deferred.doneUnsafe(closing, Exit.fail(why))
        const transport = yield* Transport.open(source, settings.maxFrameSize + readAhead, () =>
          close(tooLarge(settings.maxFrameSize))
        )
        const talk = Effect.scoped(
          Effect.gen(function* () {
            const conversation = new Conversation(writer, transport, settings, close, yield* Effect.scope)
            return yield* Effect.raceAllFirst([
              conversation.listen(pull),
              conversation.keepAlive,
              // A client may close its side and never hang up, and the platform waits long for it.
              Effect.andThen(transport.ended, Effect.fail(answered)),
              Deferred.await(closing)
            ])
          })
        )
        const exit = yield* Effect.exit(restore(talk))
        const why = yield* verdict(exit)
        if (why === undefined) return
        if (why.code !== undefined) {
          yield* Effect.ignore(writer.write(new Socket.CloseEvent(why.code, why.reason)))
          yield* Effect.timeoutOption(transport.closed, settings.closeTimeout)
        }
        transport.destroy()
      })
    )
  )

/** How a conversation that has ended is to be closed: not at all where the client has done so. */
const verdict = (exit: Exit.Exit<never, Closing | Socket.SocketError>): Effect.Effect<Closing | undefined> => {
  if (Exit.isSuccess(exit)) return Effect.undefined
  const error = Cause.findError(exit.cause)
  if (Result.isSuccess(error)) return Effect.succeed(Socket.isSocketError(error.success) ? undefined : error.success)
  if (Cause.hasInterruptsOnly(exit.cause)) return Effect.succeed(stopping)
  return Effect.as(Effect.logError("a WebSocket's connection died", exit.cause), broken)
}

class Conversation<R> {
  /** The prompts that have not had their last frame, each with how to stop it. */
  private readonly running = new Map<string, Deferred.Deferred<"stopped">>()
  private readonly writer: Socket.Writer
  private readonly transport: Transport.Transport
  private readonly settings: Settings<R>
  private readonly scope: Scope.Scope
  private readonly hungUp: Effect.Effect<never>

  constructor(
    writer: Socket.Writer,
    transport: Transport.Transport,
    settings: Settings<R>,
    close: (why: Closing) => void,
    scope: Scope.Scope
  ) {
    this.writer = writer
    this.transport = transport
    this.settings = settings
    this.scope = scope
    this.hungUp = Effect.suspend(() => {
      close(tooSlow)
      return Effect.never
    })
  }

  /** Reads frames until the client has gone, or sent one that ends the connection. */
  listen(pull: Socket.Reader["pull"]): Effect.Effect<never, Closing | Socket.SocketError, R> {
    return Effect.forever(
      Effect.flatMap(pull, (frames) => {
        this.transport.arrived()
        return Effect.forEach(frames, (frame) => this.hear(frame), { discard: true })
      }),
      { disableYield: true }
    )
  }

  private hear(text: string | Uint8Array): Effect.Effect<void, Closing, R> {
    const { maxFrameSize, maxPrompts } = this.settings
    if (typeof text !== "string") return Effect.fail(binary)
    if (exceeds(text, maxFrameSize)) return Effect.fail(tooLarge(maxFrameSize))
    const decoded = WebSocketFrame.decode(text)
    if (Result.isFailure(decoded)) return this.refuse(decoded.failure)
    const frame = decoded.success
    const { id } = frame
    const running = this.running.get(id)
    if (frame.type === "stop") {
      return running === undefined
        ? this.refuse({ id, reason: "NotRunning", message: "no prompt of this id is running, or not any more." })
        : Effect.asVoid(Deferred.succeed(running, "stopped"))
    }
    if (running !== undefined) {
      return this.refuse({ id, reason: "DuplicateId", message: "a prompt of this id is running. Take another id." })
    }
    if (this.running.size >= maxPrompts) {
      const message = `${maxPrompts} prompts of this connection are running, as many as may. Ask again when one has ended.`
      return this.refuse({ id, reason: "TooManyPrompts", message })
    }
    const stopped = Deferred.makeUnsafe<"stopped">()
    this.running.set(id, stopped)
    return Effect.asVoid(Effect.forkIn(this.answer(frame, stopped), this.scope))
  }

  private refuse({ id, message, reason }: WebSocketFrame.Refused): Effect.Effect<void> {
    // A stop that comes too late may meet the next prompt of its id: it ends nothing.
    const final = id !== undefined && reason !== "NotRunning" && !this.running.has(id)
    const error = { reason, message, isRetryable: reason === "TooManyPrompts" }
    return this.send([
      WebSocketFrame.encode({ type: "error", ...(id === undefined ? undefined : { id }), final, error })
    ])
  }

  /** One prompt, to its last frame. */
  private answer(
    frame: WebSocketFrame.PromptFrame,
    stopped: Deferred.Deferred<"stopped">
  ): Effect.Effect<void, never, R> {
    const { id } = frame
    const tally = new Tally(frame.prompt)
    const encode = WebSocketFrame.encoder(id)
    const elements = Stream.suspend(() => this.settings.answer(frame))
    const told = Stream.runForEachArray(elements, (elements) => {
      const frames: [string, ...Array<string>] = [encode(elements[0])]
      tally.see(elements[0])
      for (let i = 1; i < elements.length; i++) {
        frames.push(encode(elements[i]!))
        tally.see(elements[i]!)
      }
      return this.send(frames)
    })
    return Effect.exit(Effect.raceFirst(told, Deferred.await(stopped))).pipe(
      Effect.flatMap((exit) => {
        if (Exit.isSuccess(exit)) {
          const reason = exit.value === "stopped" ? "stopped" : tally.reason
          return Effect.succeed(WebSocketFrame.encode({ type: "done", id, reason, usage: tally.usage() }))
        }
        const failed = Cause.findError(exit.cause)
        const error = Result.isSuccess(failed) ? EventJson.failure(failed.success) : EventJson.internal
        const text = WebSocketFrame.encode({ type: "error", id, final: true, error })
        return Result.isSuccess(failed)
          ? Effect.succeed(text)
          : Effect.as(Effect.logError("the answer to a prompt died", exit.cause), text)
      }),
      // The id is free once its last frame is on its way, not before.
      Effect.flatMap((last) => this.send([last], () => this.running.delete(id)))
    )
  }

  /** Sends frames once the client has read enough of what was sent before. */
  private send(frames: NonEmptyReadonlyArray<string>, onSend?: () => void): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.transport.isFull()) {
        return this.transport.drained.pipe(
          Effect.timeoutOrElse({ duration: this.settings.slowClientTimeout, orElse: () => this.hungUp }),
          Effect.andThen(this.send(frames, onSend))
        )
      }
      onSend?.()
      // A write that fails finds the client gone, as the reader will.
      return Effect.ignore(this.transport.together(this.writer.writeAll(frames)))
    })
  }

  /** Pings, and ends the connection when nothing comes for it. */
  get keepAlive(): Effect.Effect<never, Closing> {
    const { settings, transport } = this
    const { ping } = transport
    if (ping === undefined) return Effect.never
    return Effect.gen(function* () {
      while (true) {
        yield* Effect.sleep(settings.pingInterval)
        const before = transport.vitality()
        ping()
        yield* Effect.sleep(settings.pingTimeout)
        // Behind what is not read, a ping is not either: that is for the limit of slow clients.
        if (transport.vitality() === before && !transport.isFull()) return yield* Effect.fail(silent)
      }
    })
  }
}

/** Whether a text has more bytes in UTF-8 than this. */
const exceeds = (text: string, bytes: number): boolean =>
  text.length > bytes || (text.length * 3 > bytes && encoder.encode(text).length > bytes)

const encoder = new TextEncoder()
