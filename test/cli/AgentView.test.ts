/** What a run looks like on a terminal, with a `Stdio` made up for it. */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { AgentEvent, Outcome } from "../../src/agent/AgentEvent.ts"
import * as AgentView from "../../src/cli/AgentView.ts"
import * as Output from "../../src/cli/Output.ts"
import type * as Screen from "../../src/cli/Screen.ts"
import * as TerminalText from "../../src/cli/TerminalText.ts"

const terminal: Screen.Screen = {
  stdinIsTerminal: true,
  stdoutIsTerminal: true,
  stderrIsTerminal: true,
  color: true,
  animate: false
}

const usage = { source: "exact" } as const
const started = (step = 1): AgentEvent => ({ _tag: "StepStarted", step })
const token = (phase: "thought" | "answer", content: string): AgentEvent => ({ _tag: "Token", content, step: 1, phase })
const thought = (content: string): AgentEvent => ({ _tag: "Thought", content, step: 1 })
const action = (input: unknown): AgentEvent => ({ _tag: "Action", id: "1", toolName: "calculator", input, step: 1 })
const observation = (content: string, isError = false): AgentEvent => ({
  _tag: "Observation",
  id: "1",
  toolName: "calculator",
  content,
  isError,
  step: 1
})
const over = (outcome: Outcome): AgentEvent => ({
  _tag: "StepFinished",
  step: 1,
  outcome,
  reason: "stop",
  usage,
  state: Prompt.empty
})
const final = (content: string): AgentEvent => ({ _tag: "Final", content, usage, steps: 1 })

/** Both outputs in the order of writing: standard output between brackets. */
const shown = (screen: Screen.Screen, events: ReadonlyArray<AgentEvent | "note">, live = screen.stdoutIsTerminal) =>
  Effect.gen(function* () {
    let text = ""
    const sink = (write: (piece: string) => string) => () =>
      Sink.forEach((piece: string | Uint8Array) =>
        Effect.sync(() => {
          text += write(typeof piece === "string" ? piece : Buffer.from(piece).toString("utf8"))
        })
      )
    const view = AgentView.make({ screen, live, label: "test" })
    const happened = { text: "retrying", model: "test", again: true }
    const run = Stream.fromIterable(events, { chunkSize: 1 }).pipe(
      // As the model under the run does, before its next event.
      Stream.mapEffect((event) =>
        event === "note" ? Effect.as(view.note(happened), undefined) : Effect.succeed(event)
      ),
      Stream.filter((event) => event !== undefined)
    )
    yield* Effect.flatMap(Output.standard(screen), (output) => output(view.show(run))).pipe(
      Effect.scoped,
      Effect.provide(
        Stdio.layerTest({ stdout: sink((piece) => (piece === "" ? "" : `[${piece}]`)), stderr: sink((piece) => piece) })
      )
    )
    return text
  })

const dim = (text: string) => `\x1b[2m${text}\x1b[0m`

describe("AgentView", () => {
  const written = [
    started(),
    token("thought", "I co\x1b[3"),
    token("thought", "1mmpute."),
    thought("I compute."),
    action({ expression: "6*7" }),
    observation("42"),
    over("acted"),
    started(2),
    token("thought", "So."),
    thought("So."),
    token("answer", "It "),
    token("answer", "is 42."),
    over("answered"),
    final("It is 42.")
  ]

  it.effect("dims thoughts as they come, and streams the answer", () =>
    Effect.gen(function* () {
      expect(yield* shown(terminal, written)).toBe(
        `${dim("I co")}${dim("mpute.")}\n\x1b[36m→\x1b[0m calculator 6*7\n\x1b[36m←\x1b[0m 42\n${dim("So.")}\n[It ][is 42.][\n]`
      )
    })
  )

  it.effect("is plain without colour, and in a pipe tells thoughts whole and the answer at its end", () =>
    Effect.gen(function* () {
      expect(yield* shown({ ...terminal, color: false }, written)).toBe(
        "I compute.\n→ calculator 6*7\n← 42\nSo.\n[It ][is 42.][\n]"
      )
      const pipe = { ...terminal, color: false, stdoutIsTerminal: false, stderrIsTerminal: false }
      expect(yield* shown(pipe, written)).toBe("I compute.\n→ calculator 6*7\n← 42\nSo.\n[It is 42.]")
    })
  )

  const talked = [
    started(),
    token("answer", "I look."),
    thought("I look."),
    action({ a: 1, b: "\x1b]0;title\x07x" }),
    observation("no\nway", true),
    over("acted"),
    started(2),
    token("answer", "Done."),
    over("answered"),
    final("Done.")
  ]

  it.effect("leaves on a terminal what turned out to be a thought, and ends its line", () =>
    Effect.gen(function* () {
      expect(yield* shown({ ...terminal, color: false }, talked)).toBe(
        '[I look.][\n]→ calculator {"a":1,"b":"\\u001b]0;title\\u0007x"}\n✗ no way\n[Done.][\n]'
      )
    })
  )

  it.effect("tells that thought where the two outputs are not one screen, and keeps it from a pipe", () =>
    Effect.gen(function* () {
      const log = { ...terminal, color: false, stderrIsTerminal: false }
      expect(yield* shown(log, talked)).toMatch(/^\[I look\.\]\[\n\]I look\.\n→ /)
      const pipe = { ...terminal, stdoutIsTerminal: false }
      expect(yield* shown(pipe, talked)).toBe(
        `${dim("I look.")}\n\x1b[36m→\x1b[0m calculator {"a":1,"b":"\\u001b]0;title\\u0007x"}\n\x1b[31m✗\x1b[0m no way\n[Done.]`
      )
    })
  )

  it.effect("says that a step could not be read, and takes none of it for the answer", () =>
    Effect.gen(function* () {
      const events = [
        started(),
        token("answer", "Act"),
        over("unreadable"),
        started(2),
        token("answer", "ok"),
        over("answered")
      ]
      expect(yield* shown({ ...terminal, color: false }, events)).toMatch(
        /^\[Act\]\[\n\]✗ the model's text.*\n\[ok\]\[\n\]$/
      )
      expect(yield* shown({ ...terminal, color: false }, events, false)).toMatch(/^✗ .*\n\[ok\]\[\n\]$/)
    })
  )

  it.effect("says what has happened to the model on a line of its own", () =>
    Effect.gen(function* () {
      const plain = { ...terminal, color: false }
      const note = "rill: retrying\n"
      const cut = [started(), token("thought", "Hm"), "note", thought("Hm"), token("answer", "a"), "note"] as const
      const rest = [token("answer", "b"), over("answered"), final("ab")] as const
      expect(yield* shown(plain, [started(), "note", ...rest])).toBe(`${note}[b][\n]`)
      // A thought that is told whole at its end has been seen above the note.
      expect(yield* shown(plain, [...cut, ...rest])).toBe(`Hm\n${note}[a]\n${note}[b][\n]`)
      expect(yield* shown(plain, [...cut, ...rest], false)).toBe(`Hm\n${note}${note}[ab][\n]`)
      // The answer is on another screen, whose line goes on.
      expect(yield* shown({ ...plain, stderrIsTerminal: false }, [...cut, ...rest])).toBe(
        `${note}Hm\n[a]${note}[b][\n]`
      )
    })
  )

  it.effect("tells the text before a call no second time below a note", () =>
    Effect.gen(function* () {
      const plain = { ...terminal, color: false }
      const events = [
        started(),
        token("answer", "I see"),
        "note",
        thought("I see"),
        action("x"),
        over("acted")
      ] as const
      const more = [started(2), thought("New"), token("answer", "ok"), over("answered")]
      const rest = "New\n[ok][\n]"
      expect(yield* shown(plain, [...events, ...more])).toBe(`[I see]\nrill: retrying\n→ calculator x\n${rest}`)
      // A step that was never told whole keeps nothing from the next one.
      const unreadable = [started(), token("answer", "I see"), "note", over("unreadable")] as const
      expect(yield* shown(plain, [...unreadable, ...more])).toMatch(
        /^\[I see\]\nrill: retrying\n✗ .*\nNew\n\[ok\]\[\n\]$/
      )
    })
  )

  it.effect("cuts a line to the width of the screen", () =>
    Effect.gen(function* () {
      const lines = yield* shown({ ...terminal, color: false }, [
        started(),
        observation("x".repeat(500)),
        over("acted")
      ])
      expect(lines).toBe(`← ${"x".repeat((process.stderr.columns || 80) - 4)}…\n`)
    })
  )

  it.each([
    ["abcde", 5, "abcde"],
    ["abcdef", 5, "abcd…"],
    ["雨雨雨", 5, "雨雨…"],
    ["雨雨雨", 6, "雨雨雨"],
    ["a雨雨", 4, "a雨…"],
    ["🍵🍵🍵", 4, "🍵…"],
    ["e\u0301e\u0301", 2, "e\u0301e\u0301"],
    ["", 5, ""]
  ])("fits %s into %d columns", (text, columns, fitted) => {
    expect(TerminalText.fit(text, columns)).toBe(fitted)
  })
})
