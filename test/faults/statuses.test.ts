/** Bad statuses under each policy, with every spelling of a delay and every end of their bodies. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FaultyWire from "effect-rill/testing/FaultyWire"
import { afterAll } from "vitest"
import { answering, counted, framesOf, protocols, refusing, run, type Run, turns } from "../support/faults.ts"
import { type Name, policies } from "../support/faultyPolicies.ts"

const names = Object.keys(policies) as ReadonlyArray<Name>
const [[, turn]] = turns as [(typeof turns)[number]]

/** What a status is, and who is asked after it: the same model, another, or nobody. */
const statuses: ReadonlyArray<readonly [number, reason: string, retry: boolean, another: boolean]> = [
  [400, "InvalidRequest", false, false],
  [401, "Authentication", false, true],
  [402, "QuotaExhausted", false, true],
  [403, "PermissionDenied", false, true],
  [404, "NotFound", false, true],
  [408, "ProviderFailed", true, true],
  [409, "ProviderFailed", true, true],
  [413, "ContextTooLong", false, true],
  [422, "InvalidRequest", false, false],
  [425, "ProviderFailed", true, true],
  [429, "RateLimited", true, true],
  [498, "Overloaded", true, true],
  [500, "ProviderFailed", true, true],
  [501, "ProviderFailed", true, true],
  [502, "Overloaded", true, true],
  [503, "Overloaded", true, true],
  [504, "ProviderFailed", true, true],
  [520, "ProviderFailed", true, true],
  [529, "Overloaded", true, true]
]

/** The wait before the second request of a retry, in milliseconds, or that there is none. The clock begins in 1970. */
const spellings: ReadonlyArray<readonly [Readonly<Record<string, string>>, wait: number | "fails at once"]> = [
  [{}, 500],
  [{ "retry-after": "2" }, 2000],
  [{ "retry-after": " 2 " }, 2000],
  [{ "retry-after": "0" }, 500],
  [{ "retry-after": "1.5" }, 1500],
  [{ "retry-after": "30" }, 30_000],
  [{ "retry-after": "31" }, "fails at once"],
  [{ "retry-after": "999999999999" }, "fails at once"],
  [{ "retry-after": "Thu, 01 Jan 1970 00:00:10 GMT" }, 10_000],
  [{ "retry-after": "Thursday, 01-Jan-70 00:00:10 GMT" }, 10_000],
  [{ "retry-after": "Thu Jan  1 00:00:10 1970" }, 10_000],
  [{ "retry-after": "Wed, 31 Dec 1969 23:59:59 GMT" }, 500],
  [{ "retry-after": "Thu, 01 Jan 2099 00:00:10 GMT" }, "fails at once"],
  [{ "retry-after-ms": "250" }, 250],
  [{ "retry-after-ms": "250.5" }, 250.5],
  [{ "retry-after-ms": "0" }, 500],
  [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
  [{ "retry-after-ms": "soon", "retry-after": "9" }, 9000],
  [{ "retry-after-ms": "30001", "retry-after": "9" }, "fails at once"],
  [{ "retry-after": "soon" }, 500],
  [{ "retry-after": "-1" }, 500],
  [{ "retry-after": "" }, 500]
]

/** What a provider says of retrying wins over the status. */
const words: ReadonlyArray<readonly [number, Readonly<Record<string, string>>, string]> = [
  [400, { "x-should-retry": "true" }, "InvalidRequest AttemptFailed, +500 asked, whole"],
  [400, { "x-should-retry": "true", "retry-after": "3" }, "InvalidRequest AttemptFailed, +3000 asked, whole"],
  [503, { "x-should-retry": "false" }, "Overloaded"],
  [503, { "x-should-retry": "false", "retry-after": "3" }, "Overloaded"],
  [503, { "x-should-retry": "perhaps" }, "Overloaded AttemptFailed, +500 asked, whole"]
]

/** How the body ends, and how long one waits for it. */
const endings: ReadonlyArray<readonly [string, ReadonlyArray<FaultyWire.Step>, took: string]> = [
  ["whole", [], ""],
  ["held open", [FaultyWire.linger], "+5000 "],
  ["broken off", [FaultyWire.reset()], ""]
]

/** The timeline of a status under a policy. */
const expectedOf = (
  name: Name,
  [, reason, retry, another]: (typeof statuses)[number],
  wait: number | "fails at once",
  took: string
): string => {
  switch (name) {
    case "retry, fail":
    case "retry, continue":
    case "retry, restart":
      return retry && wait !== "fails at once"
        ? `${took}${reason} AttemptFailed, +${wait} asked, whole`
        : `${took}${reason}`
    case "fallback, fail":
    case "fallback, continue":
    case "fallback, restart":
      return another ? `${took}${reason} Switched, asked, whole` : `${took}${reason}`
    case "hedge":
      // One that is slow to refuse is not waited for.
      if (took !== "") return "+2000 asked, DeadlineExceeded Switched, whole"
      return another ? `asked, ${reason} Switched, whole` : reason
  }
}

const check = (title: string, got: Run, timeline: string): void => {
  const { error, events, open } = got
  expect(got.timeline, title).toBe(timeline)
  expect(open, `${title}: open connections`).toBe(0)
  if (error === undefined) {
    expect(events.map((event) => ("text" in event ? event.text : "")).join("")).toBe("Once upon 雨 a 😀 time.")
    // Who refuses a request does not bill for it.
    const isSlow = timeline.startsWith("+2000")
    expect(events.at(-1)).toMatchObject({
      usage: isSlow ? { source: "estimated", outputTokens: 7 } : { source: "exact", inputTokens: 11, outputTokens: 7 }
    })
  } else {
    // A hedge that nobody has won tells its error alone.
    expect(events.filter(({ _tag }) => _tag === "AttemptFailed" || _tag === "Switched")).toEqual(events)
    expect([error.phase, error.emitted, error.usage], title).toEqual(["headers", 0, undefined])
  }
}

describe.each(names)("%s", (name) => {
  const policy = policies[name]
  describe.each(protocols)("$name", (protocol) => {
    const next = policy.second(protocol)
    const make = policy.make(protocol)
    const sound = answering(next.dialect, framesOf(next.dialect.answer(turn)!))
    const ask = (
      ...[code, headers, steps]: [number, Readonly<Record<string, string>>, ReadonlyArray<FaultyWire.Step>]
    ) => run(make, ({ index }) => (index === 0 ? refusing(protocol.dialect, code, headers, ...steps) : sound))

    it.effect.each(statuses)(
      "HTTP %i",
      (row) =>
        Effect.gen(function* () {
          const [code] = row
          // Before any output, what is to be done after it makes no difference.
          for (const [headers, wait] of policy.afterOutput === "fail" ? spellings : spellings.slice(0, 3)) {
            const title = `HTTP ${code}, ${JSON.stringify(headers)}`
            check(title, yield* ask(code, headers, []), expectedOf(name, row, wait, ""))
          }
          for (const [ending, steps, took] of endings) {
            check(`HTTP ${code}, ${ending}`, yield* ask(code, {}, steps), expectedOf(name, row, 500, took))
          }
        }),
      30_000
    )

    it.effect("every time: the third try is the last, and its error the stream's", () =>
      Effect.gen(function* () {
        const refused = (index: number) =>
          refusing((index === 0 ? protocol : next).dialect, 503, index === 1 ? { "retry-after": "7" } : {})
        const got = yield* run(make, ({ index }) => refused(index))
        check("HTTP 503 for ever", got, lasting[name])
      })
    )

    if (name === "hedge" || name === "fallback, fail") {
      it.effect.each(ofTwo[name])("HTTP %i, and %i of the other", ([one, other, expected]) =>
        Effect.gen(function* () {
          const got = yield* run(make, ({ index }) =>
            index === 0 ? refusing(protocol.dialect, one, {}) : refusing(next.dialect, other, {})
          )
          check(`HTTP ${one}, ${other}`, got, expected)
        })
      )
    }

    if (name.startsWith("retry")) {
      it.effect.each(words)("HTTP %i with %o", ([code, headers, expected]) =>
        Effect.gen(function* () {
          check(JSON.stringify(headers), yield* ask(code, headers, []), expected)
        })
      )
    }
  })
})

const tries = "Overloaded AttemptFailed, +500 asked, Overloaded AttemptFailed, +7000 asked, Overloaded"
const lasting: Readonly<Record<Name, string>> = {
  "retry, fail": tries,
  "retry, continue": tries,
  "retry, restart": tries,
  "fallback, fail": "Overloaded Switched, asked, Overloaded",
  "fallback, continue": "Overloaded Switched, asked, Overloaded",
  "fallback, restart": "Overloaded Switched, asked, Overloaded",
  hedge: "asked, Overloaded"
}

/** A hedge fails with the error of the first that may succeed if sent again, a fallback with the last. */
const ofTwo: Readonly<Record<"hedge" | "fallback, fail", ReadonlyArray<readonly [number, number, string]>>> = {
  hedge: [
    [401, 503, "asked, Overloaded"],
    [503, 401, "asked, Overloaded"],
    [429, 503, "asked, RateLimited"],
    [401, 404, "asked, Authentication"],
    [503, 400, "asked, Overloaded"],
    [400, 503, "InvalidRequest"]
  ],
  "fallback, fail": [
    [401, 503, "Authentication Switched, asked, Overloaded"],
    [503, 401, "Overloaded Switched, asked, Authentication"],
    [503, 400, "Overloaded Switched, asked, InvalidRequest"],
    [400, 503, "InvalidRequest"]
  ]
}

afterAll(() => console.log(`fault matrix, statuses: ${counted.runs} runs`))
