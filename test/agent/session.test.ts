/** A conversation of several runs, and what failed runs leave of it: nothing. */
import { describe, expect, it } from "@effect/vitest"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Agent from "effect-rill/agent/Agent"
import { Disconnected } from "effect-rill/LlmError"
import * as ScriptedLlm from "effect-rill/testing/ScriptedLlm"
import { collect, errorOf, seconds } from "../support/agentLaws.ts"

const { fail, pause, text, toolCall } = ScriptedLlm

const toolkit = Toolkit.make(
  Tool.make("look", { success: Schema.String }),
  Tool.make("wait", { success: Schema.String })
)
const handlers = toolkit.toLayer({
  look: () => Effect.succeed("42"),
  wait: () => Effect.as(Effect.sleep("1 minute"), "waited")
})
const agent = Agent.make({ toolkit })

const provided = (script: ScriptedLlm.Script) => Effect.provide([handlers, ScriptedLlm.layer(script)])

/** A history in short: who said it, and what. */
const inShort = ({ content }: Prompt.Prompt): ReadonlyArray<string> =>
  content.map((message) =>
    typeof message.content === "string"
      ? `${message.role}: ${message.content}`
      : `${message.role}: ${message.content
          .map((part) => (part.type === "text" ? part.text : part.type === "tool-call" ? `call ${part.id}` : part.type))
          .join(" ")}`
  )

const asked = Effect.map(ScriptedLlm.requests, (all) =>
  all.map(({ prompt }) => (Prompt.isPrompt(prompt) ? inShort(prompt) : []))
)

describe("a session", () => {
  it.effect("keeps what was said, and what its runs' tools gave", () =>
    Effect.gen(function* () {
      const session = yield* agent.session()
      const first = yield* session.run("One")
      expect(first.content).toBe("First.")
      expect(yield* session.history).toEqual(first.transcript)
      yield* session.run("Two")
      expect((yield* asked).at(-1)).toEqual([
        "user: One",
        "assistant: call a",
        "tool: tool-result",
        "assistant: First.",
        "user: Two"
      ])
      expect(inShort(yield* session.history).slice(-2)).toEqual(["user: Two", "assistant: Second."])
    }).pipe(provided([toolCall("look", {}, { id: "a" }), "First.", "Second."]))
  )

  it.effect("begins where it is told to, and is apart from others", () =>
    Effect.gen(function* () {
      const session = yield* agent.session({ history: [{ role: "user", content: "Zero" }] })
      const other = yield* agent.session()
      yield* session.run("One")
      yield* other.run("One")
      expect(yield* asked).toEqual([["user: Zero", "user: One"], ["user: One"]])
    }).pipe(provided(() => "Well."))
  )

  it.effect("a failed run leaves nothing: neither a call without a result nor what the user said twice", () =>
    Effect.gen(function* () {
      const session = yield* agent.session()
      yield* session.run("One")
      const before = yield* session.history
      const told = yield* collect(session.stream("Two"))
      expect(inShort(errorOf(told).transcript).slice(2)).toEqual([
        "user: Two",
        "assistant: call a",
        "tool: tool-result"
      ])
      expect(yield* session.history).toBe(before)
      yield* session.run("Two")
      expect((yield* asked).at(-1)).toEqual(["user: One", "assistant: First.", "user: Two"])
    }).pipe(
      provided([
        "First.",
        toolCall("look", {}, { id: "a" }),
        [text("Se"), fail(new Disconnected({ message: "cut" }))],
        "Second."
      ])
    )
  )

  it.effect("an interrupted run leaves nothing, whether the model talked or a tool ran, and the session is free", () =>
    Effect.gen(function* () {
      const session = yield* agent.session()
      for (const input of ["One", "Two"]) {
        const fiber = yield* Effect.forkChild(session.run(input))
        yield* seconds(2)
        yield* Fiber.interrupt(fiber)
        expect(inShort(yield* session.history)).toEqual([])
      }
      yield* session.run("Three")
      expect((yield* asked).at(-1)).toEqual(["user: Three"])
    }).pipe(provided([[text("On"), pause("1 minute")], toolCall("wait"), "Third."]))
  )

  it.effect("an answer that was told is kept, though its consumer leaves then", () =>
    Effect.gen(function* () {
      const session = yield* agent.session()
      yield* session.stream("One").pipe(
        Stream.takeUntil(({ _tag }) => _tag === "Final"),
        Stream.runDrain
      )
      expect(inShort(yield* session.history)).toEqual(["user: One", "assistant: First."])
      // One that leaves before the answer has had none.
      yield* session.stream("Two").pipe(
        Stream.takeUntil(({ _tag }) => _tag === "Token"),
        Stream.runDrain
      )
      expect(inShort(yield* session.history)).toEqual(["user: One", "assistant: First."])
    }).pipe(provided(["First.", "Second."]))
  )

  it.effect("one run at a time: another is refused, and disturbs nothing", () =>
    Effect.gen(function* () {
      const session = yield* agent.session()
      const fiber = yield* Effect.forkChild(session.run("One"))
      yield* seconds(1)
      const refused = errorOf(yield* collect(session.stream("Two")))
      expect(refused).toMatchObject({ reason: { _tag: "SessionBusy" }, step: 0 })
      // Who is refused does not free it.
      expect(errorOf(yield* collect(session.stream("Two"))).reason._tag).toBe("SessionBusy")
      yield* seconds(60)
      expect((yield* Fiber.join(fiber)).content).toBe("First.")
      yield* session.run("Two")
      expect(inShort(yield* session.history).length).toBe(4)
    }).pipe(provided([[pause("30 seconds"), text("First.")], "Second."]))
  )

  it.effect("is trimmed after each run by what is given, and stays one that a provider takes", () =>
    Effect.gen(function* () {
      const lengths: Array<number> = []
      const session = yield* agent.session({
        trim: (history) => {
          lengths.push(history.content.length)
          return Prompt.fromMessages(history.content.slice(-2))
        }
      })
      yield* session.run("One")
      // The result's call is gone: it goes too.
      expect(inShort(yield* session.history)).toEqual(["assistant: First."])
      yield* session.run("Two")
      expect(lengths).toEqual([4, 3])
      expect((yield* asked).at(-1)).toEqual(["assistant: First.", "user: Two"])
      expect(inShort(yield* session.history)).toEqual(["user: Two", "assistant: Second."])
    }).pipe(provided([toolCall("look"), "First.", "Second."]))
  )
})
