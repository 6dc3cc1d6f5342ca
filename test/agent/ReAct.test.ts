import { describe, expect, it } from "vitest"
import * as ReAct from "../../src/agent/ReAct.ts"
import { cases, tools } from "./ReAct.corpus.ts"
import { fractions } from "../support/random.ts"

const makeReader = () => ReAct.makeReader({ isTool: (name) => tools.has(name) })

const read = (pieces: Iterable<string>): ReadonlyArray<ReAct.Said> => {
  const out: Array<ReAct.Said> = []
  const reader = makeReader()
  for (const piece of pieces) reader.push(piece, out)
  reader.end(out)
  return out
}

/** Tokens of one phase that follow each other are one. */
const joined = (said: ReadonlyArray<ReAct.Said>): ReadonlyArray<ReAct.Said> => {
  const out: Array<ReAct.Said> = []
  for (const one of said) {
    const last = out.at(-1)
    if (one._tag === "Token" && last?._tag === "Token" && last.phase === one.phase) {
      out[out.length - 1] = { ...last, text: last.text + one.text }
    } else {
      out.push(one)
    }
  }
  return out
}

/** As in the corpus: the first words of what was wrong. */
const inShort = (said: ReadonlyArray<ReAct.Said>, like: ReadonlyArray<ReAct.Said>): ReadonlyArray<ReAct.Said> =>
  joined(said).map((one, i) => {
    const other = like[i]
    return one._tag === "Unreadable" && other?._tag === "Unreadable" && one.why.startsWith(other.why) ? other : one
  })

const contents = (said: ReadonlyArray<ReAct.Said>, tag: "Thought" | "Answer"): string =>
  said.map((one) => (one._tag === tag ? one.content : "")).join("")

const tokens = (said: ReadonlyArray<ReAct.Said>, phase: "thought" | "answer"): string =>
  said.map((one) => (one._tag === "Token" && one.phase === phase ? one.text : "")).join("")

const laws = (out: ReadonlyArray<ReAct.Said>): void => {
  expect(out.filter(({ _tag }) => _tag === "Action" || _tag === "Answer" || _tag === "Unreadable")).toHaveLength(1)
  const { _tag } = out.at(-1)!
  expect(_tag).toMatch(/^(Action|Answer|Unreadable)$/)
  for (const one of out) {
    if (one._tag === "Token") expect(one.text).not.toBe("")
    if (one._tag === "Thought") expect(one.content).toBe(one.content.trim())
  }
  if (_tag === "Answer") expect(contents(out, "Answer")).toBe(tokens(out, "answer"))
  // What was streamed as an answer is part of the thought, if an action comes.
  const restated = _tag === "Action" ? tokens(out, "answer") : ""
  const thought = tokens(out, "thought")
  const between = restated !== "" && thought !== "" ? "\n" : ""
  expect([restated + between + thought, thought + restated]).toContain(contents(out, "Thought"))
}

const cut = (text: string, next: () => number): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  for (let at = 0; at < text.length;) {
    const size = Math.floor(next() ** 2 * 20)
    pieces.push(text.slice(at, at + size))
    at += size
  }
  return pieces
}

it("the corpus is large, and no case is there twice", () => {
  expect(cases.length).toBeGreaterThanOrEqual(60)
  expect(new Set(cases.map(({ text }) => text)).size).toBe(cases.length)
})

describe.each(cases)("$name", ({ said, text, unread }) => {
  it("says what it says, at once", () => {
    expect(inShort(read([text]), said)).toStrictEqual(said)
  })

  it("says the same however it is cut", () => {
    for (let at = 0; at <= text.length; at++) {
      expect(inShort(read([text.slice(0, at), text.slice(at)]), said), `cut at ${at}`).toStrictEqual(said)
    }
    expect(inShort(read(text.split("")), said)).toStrictEqual(said)
    for (let seed = 1; seed <= 20; seed++) {
      expect(inShort(read(cut(text, fractions(seed))), said), `seed ${seed}`).toStrictEqual(said)
    }
  })

  it("is cut off as soon as no more is wanted", () => {
    const out: Array<ReAct.Said> = []
    const reader = makeReader()
    const at = text.split("").findIndex((c) => reader.push(c, out))
    expect(at === -1 ? undefined : text.slice(at + 1)).toBe(unread)
    if (at === -1) return
    const length = out.length
    expect(reader.push(text.slice(at + 1), out)).toBe(true)
    reader.end(out)
    expect(out).toHaveLength(length)
  })

  it("keeps the laws of what is said", () => {
    laws(read([text]))
    laws(read(text.split("")))
  })
})

it("any text says the same however it is cut, and keeps the laws", () => {
  const bits =
    'Thought:|Action:|Action Input:|Observation:|Final Answer:|Answer:|\n|\n|\n| | |search|calculator|x|It is. |{|}|"a"|:|(|)|[|]|```|```json\n|`|**|*|_|#|1|- |<think>|</think>|None|Finish|=|\'|,|a long sentence that goes on |\\|：|\r\n|{"a": 1}|\u00a0|\u2003'.split(
      "|"
    )
  const next = fractions(7)
  for (let i = 0; i < 5000; i++) {
    const text = Array.from(
      { length: 1 + Math.floor(next() * 14) },
      () => bits[Math.floor(next() * bits.length)]!
    ).join("")
    const out = read([text])
    laws(out)
    const whole = joined(out)
    expect(joined(read(text.split(""))), JSON.stringify(text)).toStrictEqual(whole)
    expect(joined(read(cut(text, next))), JSON.stringify(text)).toStrictEqual(whole)
  }
})

it("no piece of a marker is in a token, but where the corpus says that it is text", () => {
  const marker = /(?:thought|action|action input|observation|final answer)(?: ?\d)?\s*[:：]|<\/?think/i
  const areText: Array<string> = []
  for (const { name, text } of cases) {
    for (const pieces of [[text], text.split("")]) {
      const told = read(pieces).map((one) => (one._tag === "Token" ? one.text : ""))
      if (marker.test(told.join("")) && areText.at(-1) !== name) areText.push(name)
    }
  }
  expect(areText.filter((name) => !name.startsWith("inside of answers: "))).toEqual([
    "no marker: an action that is none of ours in much text",
    "markers: named in a sentence",
    "markers: an observation named in a thought",
    "markers: long lines that only look like one",
    "wrappers: a think tag, then the form",
    "wrappers: a think tag, then the answer",
    "wrappers: a think tag in itself"
  ])
})

describe("tokens", () => {
  /** What each piece brings. */
  const tokensOf = (...pieces: ReadonlyArray<string>): ReadonlyArray<string> => {
    const reader = makeReader()
    return pieces.map((piece) => {
      const out: Array<ReAct.Said> = []
      reader.push(piece, out)
      return out.map((one) => (one._tag === "Token" ? one.text : one._tag)).join("|")
    })
  }

  it("of a thought come as it does, one for each piece", () => {
    expect(tokensOf("Thought: I ne", "ed a", " map", " of the", "\nri", "ver")).toEqual([
      "I ne",
      "ed a",
      " map",
      " of the",
      "\nri",
      "ver"
    ])
  })

  it("wait for white space and for what may be a marker", () => {
    expect(tokensOf("Thought: I ", "think ", "\n", "A", "ct", "ual", "ly\nAction", ":")).toEqual([
      "I",
      " think",
      "",
      "",
      "",
      " \nActual",
      "ly",
      ""
    ])
  })

  it("of an answer come as it does", () => {
    expect(tokensOf("Final", " Answer", ": ", "4", "2", ".\n", "So")).toEqual(["", "", "", "4", "2", ".", "\nSo"])
  })

  it("of text without a marker wait for its 64th character", () => {
    const line = "a".repeat(63)
    expect(tokensOf(line, "b", "c")).toEqual(["", `${line}b`, "c"])
  })

  it("of text without a marker wait for a line break, and for what is no marker after it", () => {
    expect(tokensOf("Hello", "!\n", "\nTh", "is is", " it")).toEqual(["", "", "", "Hello!\n\nThis is", " it"])
  })

  it("are held back no longer than a marker is", () => {
    const [told = ""] = tokensOf(`Thought: x\n${"-".repeat(200)}`)
    expect(told).toBe(`x\n${"-".repeat(200)}`)
    expect(tokensOf("Thought: x", ...`\n${"- ".repeat(100)}`).join("").length).toBeGreaterThan(150)
    const name = "a ".repeat(100)
    expect(tokensOf(`Final Answer: x`, `\nAction: ${name}`).join("").length).toBeGreaterThan(150)
  })
})

describe("work is linear", () => {
  const shapes: Readonly<Record<string, (n: number) => string>> = {
    "one line": (n) => `Thought: ${"a".repeat(n)}`,
    words: (n) => `Thought: ${"a ".repeat(n)}`,
    sentences: (n) => `Thought: ${"A. ".repeat(n)}`,
    "beginnings of markers": (n) => `Thought: ${"\nFinal Answe".repeat(n / 10)}`,
    "prefixes of markers": (n) => `Thought: ${"\n> - ".repeat(n / 5)}`,
    "white space": (n) => `Thought: a${" ".repeat(n)}${"\n".repeat(n)}b`,
    "markers in an answer": (n) => `Final Answer: a${"\nAction: x y".repeat(n / 10)}`,
    "no marker": (n) => "a\n".repeat(n),
    fences: (n) => `Final Answer: ${"```\n".repeat(n / 4)}`,
    "a fence's line": (n) => `Final Answer: a\n\`\`\`${"`".repeat(n)}${" a".repeat(n)}`,
    "an answer in JSON": (n) => `Final Answer: [${'"a",\n'.repeat(n / 5)}`,
    emphasis: (n) => `**Final Answer: ${"* ".repeat(n)}`,
    tags: (n) => `<think>${"</thin".repeat(n / 6)}`,
    "a name": (n) => `Action: ${"a (b".repeat(1)}${"c ".repeat(n)}`,
    "a name's line": (n) => `Action: ${"action inpu".repeat(n / 10)}`,
    "a name of brackets": (n) => `Action: ${"*".repeat(n)}`,
    "a call": (n) => `Action: search(${"(".repeat(n)}`,
    "the arguments of a call": (n) => `Action: search(${" ".repeat(n)}${"=".repeat(n)}, ${"a=1,".repeat(n / 4)})`,
    "a loose line": (n) => `Action: search\n${"a{\nb".repeat(n / 4)}`,
    "an input of JSON": (n) => `Action: search\nAction Input: {"a": "${"\nObservatio".repeat(n / 10)}`,
    "an input in a fence": (n) => `Action: search\nAction Input: \`\`\`${"a".repeat(n)}${"{`".repeat(n)}`,
    "an input of a line": (n) => `Action: search\nAction Input: ${"`a ".repeat(n)}`
  }

  it.each(Object.entries(shapes))("%s", (_, shape) => {
    // Where a character costs as much as all before it, a test of this size does not come to its end.
    const text = shape(200_000)
    const whole = joined(read([text]))
    expect(joined(read(text))).toStrictEqual(whole)
  })
})

describe("the prompt", () => {
  const prompt = ReAct.instructions([
    {
      name: "search",
      description: "Searches.\n  Fast.",
      parameters: { type: "object", properties: { q: { type: "string" } }, required: ["q"] }
    },
    { name: "list_files", description: undefined, parameters: { type: "object", properties: {} } }
  ])

  it("names the tools, with what they do and want", () => {
    expect(prompt).toContain(
      `- search: Searches. Fast.\n  Input, as JSON Schema: {"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}\n` +
        `- list_files\n  Input, as JSON Schema: {"type":"object","properties":{}}\n`
    )
    expect(prompt).toContain("Action: one of search, list_files\n")
  })

  it("shows forms that are read", () => {
    const [, use = "", finish = ""] = prompt.match(/(Thought:[^]*?)\n\n[^]*(Thought:[^]*)/) ?? []
    expect(read([use.replace("one of search, list_files", "search")]).at(-1)).toMatchObject({
      _tag: "Action",
      name: "search"
    })
    expect(read([finish]).at(-1)).toEqual({ _tag: "Answer", content: "your answer to the user" })
  })

  it("speaks of no action where there are no tools", () => {
    expect(ReAct.instructions([])).not.toMatch(/Action|Observation/)
    expect(ReAct.instructions([])).toContain("Final Answer:")
  })

  it("gives an observation in the form that a model must not write", () => {
    expect(ReAct.observation("a\nb")).toBe("Observation: a\nb")
    const out: Array<ReAct.Said> = []
    expect(makeReader().push(ReAct.observation("a"), out)).toBe(true)
  })
})

it("a tool may have any name", () => {
  const reader = (text: string, tool: string) => {
    const out: Array<ReAct.Said> = []
    const reader = ReAct.makeReader({ isTool: (name) => name === tool })
    reader.push(text, out)
    reader.end(out)
    return out.at(-1)
  }
  for (const name of ["Finish", "None", "answer", "Web Search", "n/a"]) {
    expect(reader(`Action: ${name}\nAction Input: {"a": 1}`, name)).toEqual({ _tag: "Action", name, input: { a: 1 } })
    expect(reader(`Action: ${name}(1)`, name)).toEqual({ _tag: "Action", name, input: 1 })
    expect(reader(`Action: {"name": "${name}"}`, name)).toEqual({ _tag: "Action", name, input: {} })
  }
})
