/**
 * The laws of a provider, as a suite for any `make`: yours too.
 *
 * A provider is run on a {@link FaultyWire}, which says good answers, cut, late, broken and false ones
 * in the provider's own {@link Dialect}. Nothing sleeps and no port is opened.
 *
 * ```ts
 * import { afterAll, describe, it } from "vitest"
 *
 * LlmContract.suite({ afterAll, describe, it }, {
 *   name: "my provider",
 *   make: MyProvider.make({ model: "model-1", apiKey: Redacted.make("key-0123456789") }),
 *   dialect: OpenAiChat.dialect
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as TestClock from "effect/testing/TestClock"
import type { Llm } from "../Llm.ts"
import * as EventStream from "../wire/EventStream.ts"
import type { Dialect } from "./Dialect.ts"
import * as Laws from "./internal/Laws.ts"
import type { Check, Law, Verdict } from "./internal/Trial.ts"

/**
 * The provider under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For the table. */
  readonly name: string
  /**
   * The service, over whatever `HttpClient` it is given, without policies: retries off. With a key of 8
   * characters or more, it is checked that no error quotes it.
   */
  readonly make: Effect.Effect<Llm["Service"], unknown, HttpClient.HttpClient>
  /** How the provider's wire says things. */
  readonly dialect: Dialect
  /** The titles of the checks to run. All, unless told otherwise. */
  readonly only?: ReadonlyArray<string> | undefined
}

/**
 * What became of one check.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  /** The number of the law, from 1 to 11. */
  readonly law: number
  readonly check: string
  /** `not-applicable`: the wire cannot say what the check is about. */
  readonly status: "passed" | "failed" | "not-applicable"
  /** Why it failed, or does not apply. */
  readonly message?: string
}

/**
 * What became of all checks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly name: string
  readonly results: ReadonlyArray<Result>
}

/**
 * What is checked, law by law.
 *
 * @category contract
 * @since 0.1.0
 */
export const laws: ReadonlyArray<{
  readonly number: number
  readonly title: string
  readonly checks: ReadonlyArray<string>
}> = Laws.all.map(({ checks, number, title }) => ({ number, title, checks: checks.map(({ title }) => title) }))

/**
 * Runs all checks, one after the other. It does not fail: the report says what failed.
 *
 * @category contract
 * @since 0.1.0
 */
export const run = (options: Options): Effect.Effect<Report> =>
  Effect.map(
    Effect.forEach(Laws.all, (law) =>
      Effect.forEach(chosen(options, law), (check) =>
        Effect.map(judge(options, check), (verdict) => toResult(law.number, verdict))
      )
    ),
    (results) => ({ name: options.name, results: results.flat() })
  )

/**
 * A report as a table for a person to read: a row a law, and below it what failed.
 *
 * @category contract
 * @since 0.1.0
 */
export const table = ({ name, results }: Report): string => {
  const lines = [
    ["law", name, "passed", "failed", "not applicable"],
    ...laws.map(({ number, title }) =>
      row(
        `${number}`,
        title,
        results.filter(({ law }) => law === number)
      )
    ),
    row("", "all", results)
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const cells = (line: ReadonlyArray<string>) =>
    line.map((cell, column) => (column === 1 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
  const failures = results.filter(({ status }) => status === "failed")
  return [
    ...lines.map((line) => cells(line).join("  ")),
    ...failures.map(({ check, law, message }) => `law ${law}: ${check}\n  ${message}`)
  ].join("\n")
}

const statuses = ["passed", "failed", "not-applicable"] as const

const row = (number: string, title: string, of: ReadonlyArray<Result>): ReadonlyArray<string> => [
  number,
  title,
  ...statuses.map((status) => `${of.filter((result) => result.status === status).length}`)
]

/**
 * What {@link suite} needs of a test framework: vitest, jest, bun:test and mocha have it as it is;
 * node:test calls `afterAll` `after`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Framework {
  readonly describe: (name: string, body: () => void) => unknown
  readonly it: (name: string, test: () => Promise<void>, timeout: number) => unknown
  readonly afterAll: (print: () => void) => unknown
}

/**
 * Declares each check as a test, law by law, and prints the table when all have run.
 *
 * A check that does not apply is a test that passes; the table tells them apart.
 *
 * @category contract
 * @since 0.1.0
 */
export const suite = (framework: Framework, options: Options): void => {
  const results: Array<Result> = []
  framework.describe(`the laws, kept by ${options.name}`, () => {
    for (const law of Laws.all) {
      if (chosen(options, law).length === 0) continue
      framework.describe(`${law.number}. ${law.title}`, () => {
        for (const check of chosen(options, law)) {
          const test = async () => {
            const result = toResult(law.number, await Effect.runPromise(judge(options, check)))
            results.push(result)
            if (result.status === "failed") throw new Error(result.message)
          }
          framework.it(check.title, test, patience)
        }
      })
    }
    framework.afterAll(() => console.log(table({ name: options.name, results })))
  })
}

/**
 * How long a framework should wait for a check, in milliseconds: some run an answer once for each of its
 * bytes, which takes a slow machine longer than the few seconds that frameworks wait by themselves.
 */
const patience = 60_000

const chosen = ({ only }: Options, { checks }: Law): ReadonlyArray<Check> =>
  only === undefined ? checks : checks.filter(({ title }) => only.includes(title))

interface Judged {
  readonly check: string
  readonly status: Result["status"]
  readonly message: string | undefined
}

const toResult = (law: number, { check, message, status }: Judged): Result => ({
  law,
  check,
  status,
  ...(message === undefined ? undefined : { message })
})

const judge = (options: Options, check: Check): Effect.Effect<Judged> => {
  const judged = (status: Result["status"], message?: string): Judged => ({ check: check.title, status, message })
  const verdict: Verdict = Effect.suspend(() => check.run(options)).pipe(
    Effect.scoped,
    Effect.provide(TestClock.layer()),
    // There is no socket whose last bytes are worth a wait.
    Effect.provideService(EventStream.Settling, Duration.zero)
  )
  return Effect.matchCause(verdict, {
    onSuccess: () => judged("passed"),
    onFailure: (cause) => {
      const failure = Cause.findErrorOption(cause)
      if (failure._tag === "None") return judged("failed", Cause.pretty(cause))
      const { _tag, message } = failure.value
      return judged(_tag === "Violation" ? "failed" : "not-applicable", message)
    }
  })
}
