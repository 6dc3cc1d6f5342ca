/**
 * Callbacks that are ready to use. Take them from `Callbacks`.
 *
 * Each may be attached to a model that answers several requests at once.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { LlmUsage } from "../LlmUsage.ts"
import type { Callbacks, Run } from "./Callbacks.ts"
import { WholeCharacters } from "./internal/wholeCharacters.ts"

/**
 * Writes the text to standard output as it comes, with nothing between, and ends its last line.
 * Errors go to standard error, a line each.
 *
 * An output that cannot be written to, such as a closed pipe, is a defect of the stream.
 *
 * @category ready
 * @since 0.1.0
 */
export const console: Effect.Effect<Callbacks, never, Stdio.Stdio> = Effect.map(Stdio.Stdio, (stdio) => {
  const lines = new WeakMap<Run, Line>()
  const endLine = (run: Run) =>
    Effect.suspend(() => {
      const line = lines.get(run)
      lines.delete(run)
      const rest = line?.characters.rest() ?? ""
      return line?.ended === false || rest !== "" ? write(`${rest}\n`, stdio.stdout()) : Effect.void
    })
  return {
    onToken: (text, run) => {
      const line = getOrMake(lines, run, () => ({ characters: new WholeCharacters(), ended: true }))
      const whole = line.characters.take(text)
      if (whole === "") return Effect.void
      line.ended = whole.endsWith("\n")
      return write(whole, stdio.stdout())
    },
    onError: (error, run) => Effect.andThen(endLine(run), write(`${error.message}\n`, stdio.stderr())),
    onEnd: (_, run) => endLine(run)
  }
})

/** The line that a run is writing. */
interface Line {
  readonly characters: WholeCharacters
  ended: boolean
}

const write = (text: string, sink: ReturnType<Stdio.Stdio["stdout"]>): Effect.Effect<void> =>
  Effect.orDie(Stream.run(Stream.succeed(text), sink))

const getOrMake = <A>(map: WeakMap<Run, A>, run: Run, make: () => A): A => {
  const found = map.get(run)
  if (found !== undefined) return found
  const made = make()
  map.set(run, made)
  return made
}

/**
 * What several runs used together.
 *
 * @category ready
 * @since 0.1.0
 */
export interface TokenTotals {
  /** Runs that have ended. */
  readonly runs: number
  /** How many of them had to be estimated, in part or whole. */
  readonly estimated: number
  readonly inputTokens: number
  /** Reasoning is part of it where the provider counts so. */
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
}

/**
 * Counts tokens.
 *
 * @category ready
 * @since 0.1.0
 */
export interface TokenCounter {
  readonly callbacks: Callbacks
  /** The count so far. */
  readonly totals: Effect.Effect<TokenTotals>
}

/**
 * Adds up what runs use, whether they succeed, fail or are interrupted.
 *
 * ```ts
 * const counter = yield* Callbacks.tokenCounter
 * yield* program.pipe(Effect.provide(Callbacks.layer(OpenAi.layer(…), counter.callbacks)))
 * const { inputTokens, outputTokens } = yield* counter.totals
 * ```
 *
 * @category ready
 * @since 0.1.0
 */
export const tokenCounter: Effect.Effect<TokenCounter> = Effect.sync(() => {
  let totals: TokenTotals = {
    runs: 0,
    estimated: 0,
    inputTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0
  }
  const add = (usage: LlmUsage) => {
    totals = {
      runs: totals.runs + 1,
      estimated: totals.estimated + (usage.source === "estimated" ? 1 : 0),
      inputTokens: totals.inputTokens + (usage.inputTokens ?? 0),
      outputTokens: totals.outputTokens + (usage.outputTokens ?? 0),
      reasoningTokens: totals.reasoningTokens + (usage.reasoningTokens ?? 0),
      cacheReadTokens: totals.cacheReadTokens + (usage.cacheReadTokens ?? 0),
      cacheWriteTokens: totals.cacheWriteTokens + (usage.cacheWriteTokens ?? 0)
    }
  }
  return {
    callbacks: { onEnd: ({ usage }) => Effect.sync(() => add(usage)) },
    totals: Effect.sync(() => totals)
  }
})

/**
 * How long a run took.
 *
 * @category ready
 * @since 0.1.0
 */
export interface Latency {
  /** From the start of the run to the first text or reasoning. Not there if none came. */
  readonly timeToFirstToken?: Duration.Duration
  readonly total: Duration.Duration
  /**
   * Tokens of the answer by the time from its first one to the end. Not there if none came, or all at
   * once.
   */
  readonly tokensPerSecond?: number
}

/**
 * Measures every run on the `Clock` and reports it when it ends, however it ends.
 *
 * @category ready
 * @since 0.1.0
 */
export const latency = <R = never>(
  report: (latency: Latency, run: Run) => Effect.Effect<void, never, R>
): Callbacks<R> => {
  const started = new WeakMap<Run, bigint>()
  const first = new WeakMap<Run, bigint>()
  const onOutput = (_: string, run: Run): Effect.Effect<void> =>
    first.has(run) ? Effect.void : Effect.map(Clock.monotonicTimeNanos, (now) => void first.set(run, now))
  return {
    onStart: (run) => Effect.map(Clock.monotonicTimeNanos, (now) => void started.set(run, now)),
    onToken: onOutput,
    onReasoning: onOutput,
    onEnd: ({ usage }, run) =>
      Effect.flatMap(Clock.monotonicTimeNanos, (end) => {
        const start = started.get(run) ?? end
        const token = first.get(run)
        const rate = token === undefined ? undefined : perSecond(usage, end - token)
        return report(
          {
            total: Duration.nanos(end - start),
            ...(token === undefined ? undefined : { timeToFirstToken: Duration.nanos(token - start) }),
            ...(rate === undefined ? undefined : { tokensPerSecond: rate })
          },
          run
        )
      })
  }
}

const perSecond = (usage: LlmUsage, nanos: bigint): number | undefined =>
  usage.outputTokens === undefined || nanos <= 0n ? undefined : (usage.outputTokens * 1e9) / Number(nanos)

/**
 * Appends the text to a file as it comes, one write a token, each awaited.
 *
 * The file is opened here, created if need be, and closed with the scope: what keeps it from being
 * opened is an error here. A write that fails later is a defect of the stream, since callbacks have
 * no errors: a full disk ends the answer.
 *
 * @category ready
 * @since 0.1.0
 */
export const file = (path: string): Effect.Effect<Callbacks, PlatformError, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* fs.open(path, { flag: "a" })
    // A write may be done in pieces, and several runs may write at once.
    const turn = yield* Semaphore.make(1)
    const utf8 = new TextEncoder()
    // The system goes on with a write when its fiber is interrupted; by then the file must not be closed.
    const append = (text: string): Effect.Effect<void> =>
      text === ""
        ? Effect.void
        : turn.withPermits(1)(Effect.uninterruptible(Effect.orDie(file.writeAll(utf8.encode(text)))))
    const characters = new WeakMap<Run, WholeCharacters>()
    const of = (run: Run) => getOrMake(characters, run, () => new WholeCharacters())
    return {
      onToken: (text, run) => append(of(run).take(text)),
      onEnd: (_, run) => append(of(run).rest())
    }
  })
