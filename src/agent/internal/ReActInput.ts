/** What the parts of an action mean, once they have come whole: its name, and its input. */
import * as PartialJson from "../../PartialJson.ts"

/** The name that is meant: a tool's, if there is a way to read it as one. */
export const nameOf = (written: string, isTool: (name: string) => boolean): string => {
  const name = bare(written)
  const [first = ""] = name.split(/\s/, 1)
  for (const word of new Set([name, bare(first)])) {
    for (const spelling of [word, word.toLowerCase(), word.toLowerCase().replace(/[\s-]+/g, "_")]) {
      if (isTool(spelling)) return spelling
    }
  }
  return name
}

/** Without quotes, emphasis, brackets and punctuation around it. */
const bare = (name: string): string => name.replace(/^[\s*`"'<[]+/, "").replace(/[\s*`"'>\].,:;]{1,16}$/, "")

/** `Action: None` is how some models say that they need no tool. */
export const isNone = (name: string): boolean =>
  /^(?:none|n\/?a|null|nil|nothing|no[ _-](?:action|tool)s?)\b/i.test(name)

/** `Action: Finish[42]`: the answer, as an action. */
export const isFinish = (name: string): boolean => /^(?:finish|(?:final[ _-]?)?answer|final[ _-]?response)$/i.test(name)

/** What stands for an input that is not there. */
export const none: unknown = Object.freeze({})

/** The value of a line: JSON, or the text itself. */
export const valueOf = (text: string): unknown => {
  const line = text.trim()
  if (line === "" || /^(?:none|null|n\/a)$/i.test(line)) return none
  return strict(line, line)
}

const strict = (text: string, otherwise: unknown): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return otherwise
  }
}

/** The input of a call, `search(query="x", n=3)`, from what is between the parentheses. */
export const argumentsOf = (inside: string): unknown => {
  const text = inside.trim()
  if (text === "") return none
  const args = split(text)
  if (args.every(({ name }) => name !== undefined)) {
    return Object.fromEntries(
      args.map(({ name, value }) => {
        const read = lenient(value)
        return [name, read === undefined ? value : read]
      })
    )
  }
  if (args.some(({ name }) => name !== undefined)) return text
  const values = args.map(({ value }) => (isQuoted(value) ? lenient(value) : strict(value, undefined)))
  if (values.some((value) => value === undefined)) return text
  return values.length === 1 ? values[0] : values
}

/** Whether this can be nothing but the input of a call, not a remark in parentheses. */
export const isArguments = (inside: string): boolean => {
  const text = inside.trim()
  return isQuoted(text) || split(text).every(({ name }) => name !== undefined) || strict(text, undefined) !== undefined
}

const isQuoted = (text: string): boolean => /^["'{[]/.test(text)

/** The value of one argument, in JSON or in Python's spelling; `undefined` where it is more than one value. */
const lenient = (text: string): unknown => {
  const exact = strict(text, undefined)
  if (exact !== undefined) return exact
  const values = PartialJson.parse(`[${text}]`)
  return Array.isArray(values) && values.length === 1 ? values[0] : undefined
}

interface Argument {
  readonly name: string | undefined
  readonly value: string
}

const split = (text: string): ReadonlyArray<Argument> => {
  const args: Array<Argument> = []
  const nesting = new Nesting()
  let from = 0
  let name: string | undefined
  /** Whether a name may still come in this argument: only before its first `=`. */
  let mayBeNamed = true
  for (let at = 0; at <= text.length; at++) {
    const c = text[at]
    if (c === undefined || (c === "," && nesting.isOutside)) {
      args.push({ name, value: text.slice(from, at).trim() })
      name = undefined
      mayBeNamed = true
      from = at + 1
    } else if (c === "=" && nesting.isOutside && mayBeNamed) {
      mayBeNamed = false
      const word = text.slice(from, at).trim()
      if (text[at + 1] === "=" || !/^[A-Za-z_]\w*$/.test(word)) continue
      name = word
      from = at + 1
    } else {
      nesting.read(c)
    }
  }
  // A comma too many.
  if (args.length > 1 && args[args.length - 1]?.value === "") args.pop()
  return args
}

/** Where brackets and quotes stand, a character at a time. */
export class Nesting {
  private depth = 0
  private quote = ""
  private isEscaped = false
  private last = ""

  get isOutside(): boolean {
    return this.depth === 0 && this.quote === ""
  }

  get isQuoted(): boolean {
    return this.quote !== ""
  }

  read(c: string): void {
    if (this.quote !== "") {
      if (this.isEscaped) this.isEscaped = false
      else if (c === "\\") this.isEscaped = true
      else if (c === this.quote) this.quote = ""
    } else if (c === '"' || (c === "'" && !/\w/.test(this.last))) {
      this.quote = c
    } else if (c === "(" || c === "[" || c === "{") {
      this.depth++
    } else if (c === ")" || c === "]" || c === "}") {
      this.depth--
    }
    this.last = c
  }
}

/** An action that is written as one JSON object. */
export const actionOf = (value: unknown): { readonly name: string; readonly input: unknown } | undefined => {
  const object: unknown = Array.isArray(value) ? value[0] : value
  if (!isRecord(object)) return undefined
  const name = first(object, ["action", "name", "tool", "tool_name", "function"])
  if (isRecord(name)) return actionOf(name)
  if (typeof name !== "string" || name.trim() === "") return undefined
  const input = first(object, ["action_input", "arguments", "input", "args", "parameters", "tool_input"])
  return { name, input: typeof input === "string" && input.startsWith("{") ? strict(input, input) : (input ?? none) }
}

/** The answer in `Finish[…]`: often bare text, of any form. */
export const answerOfCall = (inside: string): string => {
  const value = isArguments(inside) ? argumentsOf(inside) : inside
  return typeof value === "string" || isRecord(value) ? answerOf(value) : inside.trim()
}

/** What a fence holds, with the word that may follow its opening. */
export const valueOfFence = (text: string): unknown => {
  const content = text
    .replace(/`{3,}$/, "")
    .replace(/^[\w+-]*[ \t]*\r?\n/, "")
    .trimEnd()
  return content.trim() === "" ? none : strict(content, content)
}

/** The answer that the input of `Finish` is. */
export const answerOf = (input: unknown): string => {
  if (input === none) return ""
  if (typeof input === "string") return input.trim()
  if (isRecord(input)) {
    const values = Object.values(input)
    const answer =
      values.length === 1 ? values[0] : first(input, ["answer", "final_answer", "output", "response", "result"])
    if (typeof answer === "string") return answer.trim()
  }
  return JSON.stringify(input)
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const first = (of: Record<string, unknown>, keys: ReadonlyArray<string>): unknown => {
  const key = keys.find((key) => Object.hasOwn(of, key))
  return key === undefined ? undefined : of[key]
}
