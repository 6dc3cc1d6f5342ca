/**
 * The ReAct form: how a model that can only write text asks for a tool, and says what it thinks and answers.
 *
 * ```text
 * Thought: I need the population.
 * Action: search
 * Action Input: {"query": "population of Paris"}
 * ```
 *
 * ```ts
 * const reader = ReAct.makeReader({ isTool: (name) => name === "search" })
 * const said: Array<ReAct.Said> = []
 * reader.push("Thought: I need the popu", said) // false
 * reader.push("lation.\nAction: search(query=\"Paris\")", said) // true: cut the generation off
 * said
 * // Token "I need the popu" · Token "lation." · Thought "I need the population."
 * // Action { name: "search", input: { query: "Paris" } }
 * ```
 *
 * Models write this form in many ways. What is read, however the text is cut:
 *
 * **Markers.** `Thought`, `Action`, `Action Input`, `Observation`, `Final Answer` and `Answer`, in any case,
 * with emphasis, a list's or heading's sign, a number, `_` for the space, a full-width colon: at the start of a
 * line; `Action:` and `Final Answer:`, spelled just so, after a sentence as well. In code fences, in an answer
 * that is JSON, and in `<think>…</think>` they are text. A fence around the whole text is passed over.
 *
 * Emphasis that a marker opens and the line closes, `**Final Answer: 42**`, is no part of the text.
 *
 * **Thoughts.** Streamed, without the white space at their ends and before a marker. Text of `<think>` is
 * thought; several thoughts are one, a line break between them.
 *
 * **Answers.** What follows `Final Answer:`, or text with no marker: that is held back to its first line break
 * (and what comes after it) or its 64th character, since words before a marker are a thought. Once streamed,
 * it stays: what `Final Answer:` brings later is added on a new line; an action makes all of it the thought. An
 * answer ends where the exact `Thought:`, `Observation:`, `Action Input:` or `Final Answer:` stands unindented
 * at a line's start, or an `Action:` with the name of a tool.
 *
 * **Actions.** The first counts, and all that comes after it is discarded. The name is compared as written,
 * in lower case, with `_` for spaces, then its first word alone; one that is no tool's is told as it is. The
 * input is
 *
 * - after `Action Input:`, or right after the name: JSON to its closing bracket, fenced or not, as
 *   `PartialJson` reads it; what a fence holds; or one line, its JSON value or else its text;
 * - in `name(…)` or `name[…]`: JSON, or `key=value` pairs, or quoted values, or else the text;
 * - in one JSON object with `action` and `action_input` (or `name` and `arguments`, and the like);
 * - `{}` where there is none, or it is `None`.
 *
 * `Action: None` is no action. `Finish`, `Final Answer` and `Answer` as an action's name are the answer,
 * unless they are tools. An input without its end is never told.
 *
 * Time and memory are linear in the text.
 *
 * @since 0.1.0
 */
import type * as JsonSchema from "effect/JsonSchema"
import { ReActReader } from "./internal/ReActReader.ts"

/**
 * What a model's text says, as it comes.
 *
 * - `Token`: a piece of a thought or of the answer. Never empty, never a piece of a marker.
 * - `Thought`: the thought whole, before the action or the answer: its tokens joined. None if it is blank.
 * - `Action`: the first action, complete. Its input is parsed, or the text where that is no JSON.
 * - `Answer`: the answer whole, at the end: its tokens joined.
 * - `Unreadable`: what was wrong, in words for the model to mend it.
 *
 * @category models
 * @since 0.1.0
 */
export type Said =
  | { readonly _tag: "Token"; readonly text: string; readonly phase: "thought" | "answer" }
  | { readonly _tag: "Thought"; readonly content: string }
  | { readonly _tag: "Action"; readonly name: string; readonly input: unknown }
  | { readonly _tag: "Answer"; readonly content: string }
  | { readonly _tag: "Unreadable"; readonly why: string }

/**
 * A reader of one text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  /**
   * Reads on and adds what it says to `out`. True once nothing more of this text is wanted: cut the
   * generation off.
   */
  readonly push: (text: string, out: Array<Said>) => boolean
  /** The text has come to its end. Exactly one of Action, Answer, Unreadable has been told then, as the last. */
  readonly end: (out: Array<Said>) => void
}

/**
 * Makes a reader.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader = (options: { readonly isTool: (name: string) => boolean }): Reader =>
  new ReActReader(options.isTool)

/**
 * The instructions that teach a model the form, for these tools: for the system prompt.
 *
 * @category prompts
 * @since 0.1.0
 */
export const instructions = (
  tools: ReadonlyArray<{
    readonly name: string
    readonly description: string | undefined
    readonly parameters: JsonSchema.JsonSchema
  }>
): string =>
  tools.length === 0
    ? `Answer in this form:

Thought: what you think
Final Answer: your answer to the user

There are no tools.`
    : `You can use these tools:

${tools
  .map(({ description, name, parameters }) => {
    const about = description?.trim().replace(/\s*\n\s*/g, " ")
    return `- ${name}${about ? `: ${about}` : ""}\n  Input, as JSON Schema: ${JSON.stringify(parameters)}`
  })
  .join("\n")}

To use a tool, write exactly this, and then stop:

Thought: what you need to know, and which tool tells it
Action: one of ${tools.map(({ name }) => name).join(", ")}
Action Input: the tool's input, one JSON value that fits its schema

You are then given its result, as "Observation: …". Never write an Observation yourself. Use one tool at a time, as often as you need.

When you know the answer, or need no tool, write:

Thought: why you can answer now
Final Answer: your answer to the user`

/**
 * How an observation is written in the history.
 *
 * @category prompts
 * @since 0.1.0
 */
export const observation = (content: string): string => `Observation: ${content}`
