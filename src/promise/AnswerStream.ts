/**
 * An answer as it comes, for callers who do not know Effect. Take it from `Rill`.
 *
 * @since 0.1.0
 */
import type { Duration } from "./Policies.ts"

/**
 * An answer as it comes: to be iterated, or served.
 *
 * One answer is one run of the model, and is read once, in one of three ways: by one loop, one `toResponse`, or
 * one `toReadableStream`. The request is sent when it is read. Whatever reads it again meets a `TypeError`, not
 * a second request: ask the client again for another answer, or `tee()` a stream.
 *
 * @category answers
 * @since 0.1.0
 */
export interface AnswerStream<A> extends AsyncIterable<A> {
  /**
   * The answer as a web `Response`: what a handler of Hono, Next, Bun, Deno or a worker returns.
   *
   * - The first of the answer is awaited, 10 s at most. What fails before it is a status (429 for `RateLimited`,
   *   502 for a provider that failed …) with a JSON body, `{ "error": { reason, message, isRetryable, … } }`.
   * - What fails later is told in the body, as its format has it; `text` is broken off.
   * - Nothing is read from the model that the client does not read. A body that is cancelled, or a signal that is
   *   aborted, closes the connection to the model. A body that nobody reads or cancels keeps it open.
   *
   * Rejected where there is no answer to tell of: the call's reason where it is aborted, and a `RillError`
   * where the client is `Closed` or its layer failed.
   */
  readonly toResponse: (options?: ResponseOptions) => Promise<globalThis.Response>
  /**
   * The answer as a `ReadableStream` of the same pieces. Nothing is asked before it is read, and nothing is read
   * ahead. `cancel` closes the connection. As a body, a stream of text needs its bytes:
   * `.pipeThrough(new TextEncoderStream())`.
   */
  readonly toReadableStream: () => ReadableStream<A>
}

/**
 * How an answer is written.
 *
 * - `sse`: server-sent events, for `EventSource`. Of `stream`, an event for each piece of text; of `events` and of
 *   agents, one for each event, as JSON. The last is `done`, or `error` with JSON of what failed.
 * - `text`: the text alone. What fails in the middle breaks it off, so that it never looks whole.
 * - `ndjson`: each event as JSON on a line; the last may be `{ "_tag": "Failed", "error": … }`.
 * - `openai`: chunks of OpenAI's chat completions, for its clients.
 * - `ui-messages`: what `useChat` of the AI SDK reads.
 *
 * `events` has more to tell than `stream` in the last three: reasoning, tool calls, sources and usage.
 *
 * @category serving
 * @since 0.1.0
 */
export type WireFormat = "sse" | "text" | "ndjson" | "openai" | "ui-messages"

/**
 * Options of a response.
 *
 * @category serving
 * @since 0.1.0
 */
export interface ResponseOptions {
  /** Default `"sse"`. */
  readonly format?: WireFormat | undefined
  /** Aborted when the client leaves: give it the request's. */
  readonly signal?: AbortSignal | undefined
  /** Headers besides, or instead of, the response's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** How long the answer may say nothing before it is a 200 all the same. Default 10 s. */
  readonly firstEvent?: Duration | undefined
  /**
   * Of server-sent events: after how long a comment is sent while nothing comes, so that no proxy takes the
   * connection for dead. Default 15 s; `false` for never.
   */
  readonly heartbeat?: Duration | false | undefined
  /** With `ui-messages`: the message's id. Default: the client makes one. */
  readonly messageId?: string | undefined
  /** With `openai`: the model's name in the chunks. Default: what the provider says it is. */
  readonly model?: string | undefined
}
