/** What is done when a model fails, and what is said of it: in process, on the test's clock. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import * as AnswerView from "../../src/cli/AnswerView.ts"
import * as Output from "../../src/cli/Output.ts"
import * as Policies from "../../src/cli/Policies.ts"
import type * as Screen from "../../src/cli/Screen.ts"
import * as Silence from "../../src/cli/Silence.ts"
import * as Llm from "../../src/Llm.ts"
import * as LlmError from "../../src/LlmError.ts"

const { fail, pause, reasoning, text } = ScriptedLlm
const message = "no."
const overloaded = fail(new LlmError.Overloaded({ message }))
const refusedKey = fail(new LlmError.Authentication({ message }))
const cut = fail(new LlmError.Disconnected({ message }))

const model = (name: string, ...turns: ReadonlyArray<ScriptedLlm.Turn>) => {
  const [provider, model] = name.split("/")
  return Effect.map(ScriptedLlm.make(turns, { provider: provider!, model: model! }), (llm) => ({ name, llm }))
}

interface Asked {
  readonly first: ReadonlyArray<ScriptedLlm.Turn>
  readonly second?: ReadonlyArray<ScriptedLlm.Turn>
  readonly requests?: number
  readonly options?: Partial<Policies.Options>
}

/** Everything that is told in its order, notes between angles, with the seconds that they came after. */
const told = ({ first, options, requests = 1, second }: Asked) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const models = [
      yield* model("openai/a", ...first),
      ...(second === undefined ? [] : [yield* model("anthropic/b", ...second)])
    ] as const
    const llm = Policies.make(models, {
      retries: 2,
      timeout: undefined,
      goesOn: false,
      keepsThoughts: false,
      tell: (note) => Effect.sync(() => void log.push(`<${note.text}>`)),
      ...options
    })
    const ask = Stream.runForEach(Llm.text(llm.events({ prompt: "Hi" })), (piece) =>
      Effect.sync(() => void log.push(piece))
    )
    const fiber = yield* Effect.forkChild(Effect.replicateEffect(ask, requests))
    yield* TestClock.adjust("10 minutes")
    const error = Option.getOrUndefined(Exit.findErrorOption(yield* Fiber.await(fiber)))
    const asked = yield* Effect.forEach(models, ({ llm }) => Effect.map(llm.requests, (all) => all.length))
    return { log: log.map((line) => line.replace(/in (0\.[4-6]|0\.[89]|1) s/, "in … s")), error, asked }
  })

describe("retries", () => {
  it.effect("says which of how many tries begins when, and why", () =>
    Effect.gen(function* () {
      const { asked, error, log } = yield* told({ first: [overloaded, overloaded, text("Hello")] })
      expect(log).toEqual([
        "<retrying in … s (2 of 3): openai/a: Overloaded: no.>",
        "<retrying in … s (3 of 3): openai/a: Overloaded: no.>",
        "Hello"
      ])
      expect({ asked, error }).toEqual({ asked: [3], error: undefined })
    })
  )

  it.effect.each([
    [0, 1, []],
    [1, 2, ["(2 of 2)"]],
    [4, 5, ["(2 of 5)", "(3 of 5)", "(4 of 5)", "(5 of 5)"]]
  ] as const)("%d of them are %d tries", ([retries, tries, said]) =>
    Effect.gen(function* () {
      const first = Array.from({ length: 6 }, () => overloaded)
      const { asked, error, log } = yield* told({ first, options: { retries } })
      expect(asked).toEqual([tries])
      expect(log.map((line) => /\(.*?\)/.exec(line)?.[0])).toEqual(said)
      expect(error?.reason._tag).toBe("Overloaded")
    })
  )

  it.effect("tells the wait that the provider asks for, and waits for no longer than half a minute", () =>
    Effect.gen(function* () {
      const after = (seconds: number) =>
        fail(new LlmError.Overloaded({ message }), { retryAfter: Duration.seconds(seconds) })
      const asked = yield* told({ first: [after(20), after(0.01), text("Hello")] })
      expect(asked.log[0]).toMatch(/^<retrying in 20 s \(2 of 3\): openai\/a: Overloaded: no\. .*wait 20 s\.>$/)
      expect(asked.log[1]).toMatch(/^<retrying at once \(3 of 3\)/)
      expect((yield* told({ first: [after(31)] })).log).toEqual([])
      const many = yield* told({ first: Array.from({ length: 9 }, () => overloaded), options: { retries: 8 } })
      expect(many.log.at(-1)).toMatch(/^<retrying in 30 s \(9 of 9\)/)
    })
  )

  it.effect("does not try what cannot succeed, and counts anew for each answer", () =>
    Effect.gen(function* () {
      expect((yield* told({ first: [refusedKey, text("Hello")] })).asked).toEqual([1])
      const { log } = yield* told({ first: [overloaded, text("One"), overloaded, text("Two")], requests: 2 })
      expect(log.filter((line) => line.includes("(2 of 3)")).length).toBe(2)
    })
  )
})

describe("a timeout", () => {
  const slow = [pause("20 seconds"), text("Hel"), pause("20 seconds"), text("lo")]

  it.effect("is the longest silence, before the first token and between two, however long the answer takes", () =>
    Effect.gen(function* () {
      const within = (seconds: number) =>
        told({ first: [slow], options: { retries: 0, timeout: Duration.seconds(seconds) } })
      expect(yield* within(21)).toMatchObject({ log: ["Hel", "lo"], error: undefined })
      expect((yield* within(19)).error?.reason).toMatchObject({ _tag: "DeadlineExceeded", which: "first-token" })
      const stalled = [text("Hel"), pause("20 seconds"), text("lo")]
      const { error } = yield* told({ first: [stalled], options: { retries: 0, timeout: Duration.seconds(19) } })
      expect(error?.reason).toMatchObject({ _tag: "DeadlineExceeded", which: "idle" })
    })
  )

  it.effect("is each attempt's own", () =>
    Effect.gen(function* () {
      const { asked, log } = yield* told({
        first: [slow, slow],
        second: [text("Hello")],
        options: { retries: 1, timeout: Duration.seconds(10) }
      })
      expect(asked).toEqual([2, 1])
      expect(log.at(-1)).toBe("Hello")
      expect(log[1]).toContain("raise --timeout")
    })
  )
})

describe("fallbacks", () => {
  it.effect("are asked when the tries are used up, and named in the failure", () =>
    Effect.gen(function* () {
      const { asked, error, log } = yield* told({
        first: [overloaded, overloaded, overloaded],
        second: [overloaded, refusedKey]
      })
      expect(log.map((line) => line.slice(0, 26))).toEqual([
        "<retrying in … s (2 of 3):",
        "<retrying in … s (3 of 3):",
        "<switched to anthropic/b: ",
        "<retrying in … s (2 of 3):"
      ])
      expect(log[3]).toContain("anthropic/b: Overloaded")
      expect(asked).toEqual([3, 2])
      expect(error?.failedBefore).toEqual(["openai/a: Overloaded"])
    })
  )

  it.effect("are asked at once where another try cannot help, and say where the key came from", () =>
    Effect.gen(function* () {
      expect((yield* told({ first: [refusedKey], second: [text("Hello")] })).log).toEqual([
        "<switched to anthropic/b: openai/a: Authentication: no. The key is read from OPENAI_API_KEY.>",
        "Hello"
      ])
    })
  )

  it.effect("are not asked what is the caller's to mend", () =>
    Effect.gen(function* () {
      const first = [fail(new LlmError.InvalidRequest({ message }))]
      expect((yield* told({ first, second: [text("Hello")] })).asked).toEqual([1, 0])
    })
  )

  it.effect("stay: what failed for good is not asked for the next turn of an agent", () =>
    Effect.gen(function* () {
      const { asked, log } = yield* told({
        first: [refusedKey, text("no")],
        second: [text("One"), text("Two")],
        requests: 2
      })
      expect(asked).toEqual([1, 2])
      expect(log.slice(1)).toEqual(["One", "Two"])
    })
  )
})

describe("an answer that is cut off", () => {
  const half = [text("Once upon a "), cut]

  it.effect("fails where nobody would see the seam, and its text stands", () =>
    Effect.gen(function* () {
      const { asked, error, log } = yield* told({ first: [half, text("time")], second: [text("time")] })
      expect(log).toEqual(["Once upon a "])
      expect(asked).toEqual([1, 0])
      expect(error?.reason._tag).toBe("Disconnected")
    })
  )

  it.effect("goes on where it is seen, below a line that says so", () =>
    Effect.gen(function* () {
      const { log } = yield* told({
        first: [half, overloaded, overloaded],
        second: [text("Once upon a time.")],
        options: { goesOn: true }
      })
      expect(log.map((line) => line.slice(0, 28))).toEqual([
        "Once upon a ",
        "<going on in … s (2 of 3): o",
        "<going on in … s (3 of 3): o",
        "<going on with anthropic/b: ",
        "time."
      ])
    })
  )

  it.effect("begins again as long as it has only thought, unless the thoughts have been told", () =>
    Effect.gen(function* () {
      const first = [[reasoning("Hm"), cut], text("Hello")]
      const again = yield* told({ first })
      expect(again.log).toEqual(["<retrying in … s (2 of 3): openai/a: Disconnected: no.>", "Hello"])
      for (const goesOn of [true, false]) {
        const kept = yield* told({ first, second: [text("Hello")], options: { goesOn, keepsThoughts: true } })
        expect(kept).toMatchObject({ log: [], asked: [1, 0] })
        expect(kept.error?.reason._tag).toBe("Disconnected")
      }
    })
  )

  it.effect("is as one that has not begun where only an empty delta came", () =>
    Effect.gen(function* () {
      const first = [[ScriptedLlm.event({ _tag: "TextDelta", text: "" }), cut], text("Hello")]
      expect((yield* told({ first })).log.at(-1)).toBe("Hello")
    })
  )
})

describe("a view of an answer", () => {
  const terminal: Screen.Screen = {
    stdinIsTerminal: true,
    stdoutIsTerminal: true,
    stderrIsTerminal: true,
    color: false,
    animate: true
  }
  const note = { text: `retrying: ${"long ".repeat(30)}`, model: "other", again: true }
  const width = (process.stderr.columns || 80) - "rill: ".length

  /** Both outputs in the order of writing, standard output between brackets. A note comes after the pieces. */
  const seen = (
    screen: Screen.Screen,
    before: ReadonlyArray<string>,
    after: ReadonlyArray<string>,
    told: Policies.Note = note,
    shared = screen.stdoutIsTerminal && screen.stderrIsTerminal
  ) =>
    Effect.gen(function* () {
      let all = ""
      const sink = (write: (piece: string) => string) => () =>
        Sink.forEach((piece: string | Uint8Array) =>
          Effect.sync(() => {
            const text = typeof piece === "string" ? piece : Buffer.from(piece).toString("utf8")
            if (text !== "") all += write(text)
          })
        )
      const run = Effect.gen(function* () {
        const view = yield* AnswerView.start(screen, { label: "first", shared })
        const output = yield* Output.standard(screen)
        yield* Effect.sleep("100 millis")
        const failing = Stream.drain(Stream.fromEffect(Effect.andThen(view.note(told), Effect.sleep("100 millis"))))
        const pieces = Stream.fromIterable(before, { chunkSize: 1 }).pipe(
          Stream.concat(failing),
          Stream.concat(Stream.fromIterable(after, { chunkSize: 1 }))
        )
        yield* output(view.show(pieces))
      }).pipe(
        Effect.scoped,
        Effect.provide(Stdio.layerTest({ stdout: sink((text) => `[${text}]`), stderr: sink((text) => text) }))
      )
      const fiber = yield* Effect.forkChild(run)
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      return all
    })

  const clear = "\r\x1b[K"
  const spun = (label: string) => `${clear}⠋ ${label}${clear}⠙ ${label}${clear}`

  it.effect("takes the spinner away for a note, and turns it below with the model that is asked", () =>
    Effect.gen(function* () {
      const line = `rill: ${`retrying: ${"long ".repeat(30)}`.slice(0, width - 1)}…\n`
      expect(yield* seen(terminal, [], ["Hello"])).toBe(`${spun("first")}${line}${spun("other")}[Hello][\n]`)
    })
  )

  it.effect("does not write behind the answer on the same screen", () =>
    Effect.gen(function* () {
      const still = { ...terminal, animate: false }
      const short = { ...note, text: "cut" }
      expect(yield* seen(still, ["a"], ["b"], short)).toBe("[a]\nrill: cut\n[b][\n]")
      expect(yield* seen(still, ["a\n"], ["b"], short)).toBe("[a\n]rill: cut\n[b][\n]")
      expect(yield* seen(still, ["a"], ["b"], short, false)).toBe("[a]rill: cut\n[b][\n]")
      expect(yield* seen({ ...still, stdoutIsTerminal: false }, ["a"], ["b"], short)).toBe("[a]rill: cut\n[b]")
    })
  )

  it.effect("cuts a note to the screen only where more of it may come", () =>
    Effect.gen(function* () {
      const still = { ...terminal, animate: false }
      const whole = `rill: ${note.text.trim()}\n[b]`
      expect(yield* seen(still, [], ["b"], { ...note, again: false })).toBe(`${whole}[\n]`)
      expect(yield* seen({ ...still, stdoutIsTerminal: false, stderrIsTerminal: false }, [], ["b"])).toBe(whole)
    })
  )
})

describe("a time", () => {
  it.each([
    ["30", 30_000],
    ["1.5", 1500],
    [".5", 500],
    ["30s", 30_000],
    ["30 seconds", 30_000],
    [" 1 Second ", 1000],
    ["2m", 120_000],
    ["2 minutes", 120_000],
    ["1h", 3_600_000],
    ["250ms", 250],
    ["0", undefined],
    ["0 s", undefined],
    ["0.0001", undefined],
    ["-1", undefined],
    ["soon", undefined],
    ["", undefined],
    ["s", undefined],
    ["30 parsecs", undefined],
    ["constructor", undefined],
    ["5 constructor", undefined],
    ["1e400", undefined],
    ["Infinity", undefined]
  ])("%j is %s milliseconds", (text, milliseconds) => {
    expect(Option.getOrUndefined(Option.map(Silence.parse(text), Duration.toMillis))).toBe(milliseconds)
  })
})
