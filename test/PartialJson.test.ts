import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "vitest"
import * as PartialJson from "effect-rill/PartialJson"
import { fractions } from "./support/random.ts"

/** The value after pushing these pieces, and every value shown on the way. */
const through = (pieces: ReadonlyArray<string>) => {
  const json = PartialJson.make()
  const shown: Array<unknown> = []
  for (const piece of pieces) {
    json.push(piece)
    shown.push(structuredClone(json.value))
  }
  return { value: json.end(), shown }
}

const characters = (text: string): ReadonlyArray<string> => text.split("")

// -----------------------------------------------------------------------------
// texts of JSON, made at random
// -----------------------------------------------------------------------------

const strings = [
  "",
  "a",
  "a b",
  "é",
  "😀",
  "\ud83d",
  "\ude00\ud83d",
  '"',
  "\\",
  "\n\u0000\u2028",
  "__proto__",
  "[1,{",
  "0",
  "x:y"
]
const numbers = [
  "0",
  "-0",
  "7",
  "-12",
  "0.5",
  "-0.0",
  "1e3",
  "1E-7",
  "2.5e+10",
  "1e999",
  "12345678901234567890",
  "5e-324"
]

/** Text of JSON: any white space, any escape, keys that come twice unless they are numbered. */
const document = (next: () => number, numbered: boolean): string => {
  let keys = 0
  const of = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]!
  const space = () => of(["", "", "", " ", "\n", "\t\r\n  "])
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
  const string = (end = ""): string => {
    let out = '"'
    for (const unit of of(strings) + of(strings)) {
      const way = next()
      if (way < 0.2) out += characters(unit).map(escape).join("")
      else if (unit === "/" && way < 0.5) out += "\\/"
      else out += JSON.stringify(unit).slice(1, -1)
    }
    return `${out}${end}"`
  }
  const value = (depth: number): string => {
    const way = next()
    if (depth === 0 || way < 0.25) return string()
    if (way < 0.45) return of(numbers)
    if (way < 0.55) return of(["true", "false", "null"])
    const items = Array.from({ length: Math.floor(next() * 4) }, () =>
      way < 0.75
        ? `${space()}${value(depth - 1)}${space()}`
        : `${space()}${string(numbered ? `_${keys++}` : "")}${space()}:${space()}${value(depth - 1)}${space()}`
    )
    const inside = items.length === 0 ? space() : items.join(",")
    return way < 0.75 ? `[${inside}]` : `{${inside}}`
  }
  return `${space()}${value(5)}${space()}`
}

const cut = (text: string, next: () => number): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  for (let at = 0; at < text.length;) {
    const size = 1 + Math.floor(next() ** 3 * 20)
    pieces.push(text.slice(at, at + size))
    at += size
  }
  return pieces
}

/** A shown value is what the final one was at an earlier time. */
const isPrefix = (shown: unknown, whole: unknown): boolean => {
  if (shown === undefined) return true
  if (typeof shown === "string") return typeof whole === "string" && whole.startsWith(shown)
  if (typeof shown !== "object" || shown === null) return Object.is(shown, whole)
  if (typeof whole !== "object" || whole === null || Array.isArray(shown) !== Array.isArray(whole)) return false
  const entries = Object.entries(shown)
  const wholes = Object.entries(whole)
  return (
    entries.length <= wholes.length &&
    entries.every(([key, value], i) => {
      const isLast = i === entries.length - 1
      return (
        key === wholes[i]![0] &&
        (isLast ? isPrefix(value, wholes[i]![1]) : Object.is(JSON.stringify(value), JSON.stringify(wholes[i]![1])))
      )
    })
  )
}

describe("JSON", () => {
  it("comes to what JSON.parse makes of it, however it is cut, and every value on the way is a prefix", () => {
    const next = fractions(20_260_101)
    let nested = 0
    for (let i = 0; i < 3000; i++) {
      // Where a key comes twice, the first value is shown and then taken back.
      const numbered = i % 2 === 0
      const text = document(next, numbered)
      const whole: unknown = JSON.parse(text)
      if (typeof whole === "object") nested++
      const pieces = cut(text, next)
      const { shown, value } = through(pieces)
      expect(value, JSON.stringify(pieces)).toStrictEqual(whole)
      // `toStrictEqual` does not look at the order of keys.
      expect(JSON.stringify(value)).toBe(JSON.stringify(whole))
      if (!numbered) continue
      for (const value of shown) expect(isPrefix(value, whole), `${JSON.stringify(value)} of ${text}`).toBe(true)
    }
    expect(nested).toBeGreaterThan(1000)
  })

  it("comes to the same cut at every place", () => {
    const text =
      ' {"a\\u00e9\\n":[-1.5e+3,true,null,"😀\\ud83d\\ude00\\ud83d"],"__proto__":{"b":""},"a":0,"a":[[],{}]} '
    const whole: unknown = JSON.parse(text)
    for (let at = 0; at <= text.length; at++) {
      expect(through([text.slice(0, at), text.slice(at)]).value).toStrictEqual(whole)
    }
    expect(through(characters(text)).value).toStrictEqual(whole)
  })

  it.each(["0", "-0", "-12.5e-1", " true ", "false", "null", '""', '"a\\nb"', "[]", "{}", "1e999"])(
    "alone: %s",
    (text) => {
      expect(through(characters(text)).value).toStrictEqual(JSON.parse(text))
      expect(Object.is(PartialJson.parse(text), JSON.parse(text)) || typeof JSON.parse(text) === "object").toBe(true)
    }
  )

  it("keeps the key __proto__ to itself", () => {
    const value = PartialJson.parse('{"__proto__":{"admin":true},"constructor":1}')
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(Object.keys(value as object)).toEqual(["__proto__", "constructor"])
    expect(Object.hasOwn({}, "admin") || "admin" in {}).toBe(false)
    expect(JSON.stringify(PartialJson.parse('{"__proto__":"abc"'))).toBe('{"__proto__":"abc"}')
  })
})

describe("while it comes", () => {
  it("shows strings as they grow, keys with their values, numbers and literals when they are whole", () => {
    const shown = (text: string) => {
      const json = PartialJson.make()
      json.push(text)
      return json.value
    }
    expect(shown("")).toBeUndefined()
    expect(shown(" ")).toBeUndefined()
    expect(shown("{")).toEqual({})
    expect(shown('{"ti')).toEqual({})
    expect(shown('{"title"')).toEqual({})
    expect(shown('{"title":')).toEqual({})
    expect(shown('{"title":"')).toEqual({ title: "" })
    expect(shown('{"title":"A str')).toEqual({ title: "A str" })
    expect(shown('{"title":"A\\')).toEqual({ title: "A" })
    expect(shown('{"title":"A\\u00e')).toEqual({ title: "A" })
    expect(shown('{"title":"A\\u00e9')).toEqual({ title: "Aé" })
    expect(shown('{"n":1')).toEqual({})
    expect(shown('{"n":12,')).toEqual({ n: 12 })
    expect(shown('{"n":12 ')).toEqual({ n: 12 })
    expect(shown('{"n":tru')).toEqual({})
    expect(shown("[[1,[2,")).toEqual([[1, [2]]])
    expect(shown('"a stri')).toEqual("a stri")
    expect(shown("12")).toBeUndefined()
  })

  it("never shows half of a surrogate pair, raw or escaped", () => {
    for (const text of ['["a😀b"]', '["a\\ud83d\\ude00b"]', '["a\ud83d\\ude00b"]', '["a\\ud83d\ude00b"]']) {
      const { shown, value } = through(characters(text))
      for (const value of shown) expect(JSON.stringify(value) ?? "").not.toMatch(/\\ud/)
      expect(value).toEqual(["a😀b"])
    }
    // What is no pair is kept, as JSON.parse does, once it is known to be none.
    expect(through(characters('["\\ud83dx","\\ud83d"]')).value).toEqual(["\ud83dx", "\ud83d"])
    expect(through(characters('{"\\ud83d":1}')).value).toEqual({ "\ud83d": 1 })
  })

  it("tells whether the value has changed", () => {
    const json = PartialJson.make()
    const changes = ["Here: ", '{ "', "a", '"', ":", '"', "b", "\\", "n", '"', " ,", '"c":1', "2", "}", " done"].map(
      (piece) => json.push(piece)
    )
    expect(changes).toEqual([
      false,
      true,
      false,
      false,
      false,
      true,
      true,
      false,
      true,
      false,
      false,
      false,
      false,
      true,
      false
    ])
    expect(json.value).toEqual({ a: "b\n", c: 12 })
  })

  it("is one tree", () => {
    const json = PartialJson.make()
    json.push('{"a":["x')
    const before = json.value
    json.push('y"],"b":1}')
    expect(json.value).toBe(before)
    expect(before).toEqual({ a: ["xy"], b: 1 })
    expect(json.end()).toBe(before)
    json.push("[]")
    expect(json.value).toBe(before)
  })

  it("is looked at or not, and comes to the same", () => {
    const text = JSON.stringify({ a: "x".repeat(3000), b: ["y".repeat(2000), "z"], c: 1 })
    const json = PartialJson.make()
    for (const piece of characters(text)) json.push(piece)
    expect(json.end()).toEqual(JSON.parse(text))
    expect(through(characters(text)).value).toEqual(JSON.parse(text))
  })
})

describe("what models get wrong", () => {
  const cases: ReadonlyArray<readonly [what: string, text: string, value: unknown]> = [
    ["an escape that JSON does not have", '["\\alpha \\d \\% C:\\Users"]', ["\\alpha \\d \\% C:\\Users"]],
    ["a broken unicode escape", '["\\u12g4", "\\u", "\\u00\\n"]', ["\\u12g4", "\\u", "\\u00\n"]],
    ["an apostrophe that is escaped", '["it\\\'s"]', ["it's"]],
    ["line breaks and control characters in a string", '["a\nb\t\u0001"]', ["a\nb\t\u0001"]],
    ["an emoji after a backslash", '["\\😀"]', ["\\😀"]],
    ["a trailing comma", '{"a":[1,2,],}', { a: [1, 2] }],
    ["commas too many", "[,1,,2]", [1, 2]],
    ["a comma that is missing", '["a" "b" 1 true {"c":"d" "e":2}]', ["a", "b", 1, true, { c: "d", e: 2 }]],
    ["a colon that is missing, or comes twice", '{"a" 1, "b":: 2}', { a: 1, b: 2 }],
    ["a key without a value", '{"a":,"b","c":1,"d":}', { c: 1 }],
    ["missing brackets", '{"a":[{"b":"c"', { a: [{ b: "c" }] }],
    ["brackets that close nothing", '{"a":1],"b":2}', { a: 1, b: 2 }],
    ["a bracket that closes more than one", '{"a":[{"b":[1],"c":2]}', { a: [{ b: [1], c: 2 }] }],
    ["inner brackets that are missing", '{"a":[{"b":1],"c":2}', { a: [{ b: 1 }], c: 2 }],
    ["an inner bracket that is missing", '{"a":[1,2}', { a: [1, 2] }],
    ["a Markdown fence", '```json\n{"a":1}\n```\nThat was it.', { a: 1 }],
    ["a fence without a language, keys without quotes", "```\n{a: 1}\n```", { a: 1 }],
    ["a fence around literals", "```json\n[true]\n```", [true]],
    ["words before and after", 'Sure! Here it is: {"a":1} {"b":2} ]}', { a: 1 }],
    ["words with brackets before", "See [note {x} and [[1,2]] then", [[1, 2]]],
    ["words that look like a literal, a number or a string before", 'true [{"a":1}]', [{ a: 1 }]],
    ["a number before", '1. First: {"a":1}', { a: 1 }],
    ["a quotation before", '"Yes", it said: ["b"]', ["b"]],
    ["a byte order mark", '\ufeff{"a":1}', { a: 1 }],
    ["nothing but words", "I cannot do that, null or not.", undefined],
    ["a quotation among words", 'It said "yes"', undefined],
    ["a byte order mark before a string", '\ufeff"a"', "a"],
    ["a key without quotes at the end", '{"a":1,true', { a: 1 }],
    ["nothing", "", undefined],
    ["single quotes", "{'a': 'b \"c\"', 'd': ['e']}", { a: 'b "c"', d: ["e"] }],
    ["Python", "{'a': True, 'b': False, 'c': None}", { a: true, b: false, c: null }],
    [
      "numbers that JSON does not have",
      "[NaN, -Infinity, undefined, +1, .5, 1., 01]",
      [null, null, null, 1, 0.5, 1, 1]
    ],
    ["bare words", "{a: hello world, b: 12px\nc: x}", { a: "hello world", b: "12px", c: "x" }],
    ["a key of several words", "{first name : 1}", { "first name": 1 }],
    ["a number that is not whole at the end", '{"a":1,"b":1e', { a: 1 }],
    ["a literal that is not whole at the end", '{"a":1,"b":tru', { a: 1 }],
    ["a number that may be whole at the end", "[1,23", [1, 23]],
    ["an escape that is not whole at the end", '["a\\u00', ["a"]],
    ["half a pair at the end", '["a\ud83d', ["a"]],
    ["brackets where a key should be", '{[{"a":1}', { a: 1 }]
  ]
  it.each(cases)("%s", (_, text, value) => {
    expect(PartialJson.parse(text)).toStrictEqual(value)
    expect(through(characters(text)).value).toStrictEqual(value)
    for (let at = 0; at <= text.length; at++) {
      expect(through([text.slice(0, at), text.slice(at)]).value).toStrictEqual(value)
    }
  })

  it("comes to the same however noise is cut, and nothing throws", () => {
    const next = fractions(7)
    const noise = [..."{}[]\"',:\\u0a1 -.etrnN\n/`😀"]
    for (let i = 0; i < 3000; i++) {
      const text = Array.from(
        { length: 1 + Math.floor(next() * 40) },
        () => noise[Math.floor(next() * noise.length)]
      ).join("")
      const value = PartialJson.parse(text)
      expect(through(cut(text, next)).value, JSON.stringify(text)).toStrictEqual(value)
      expect(through(characters(text)).value, JSON.stringify(text)).toStrictEqual(value)
    }
  })
})

describe("bounds", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}1${"]".repeat(depth)}`
  const depthOf = (value: unknown): number => (Array.isArray(value) && value.length > 0 ? 1 + depthOf(value[0]) : 0)

  it("has null in place of what is nested too deep, and reads on after it", () => {
    expect(depthOf(PartialJson.parse(nested(PartialJson.maxDepth)))).toBe(PartialJson.maxDepth)
    expect(JSON.stringify(PartialJson.parse(nested(PartialJson.maxDepth)))).toBe(nested(PartialJson.maxDepth))
    const inside = `${"[".repeat(PartialJson.maxDepth - 1)}[{"x":"]}\\"]","y":[']']},2]${"]".repeat(PartialJson.maxDepth - 1)}`
    const { value } = through(characters(inside))
    expect(JSON.stringify(value)).toBe(`${"[".repeat(PartialJson.maxDepth)}null,2${"]".repeat(PartialJson.maxDepth)}`)
  })

  it("a string of a megabyte, a character at a time, takes little more than a megabyte", () => {
    setFlagsFromString("--expose-gc")
    const gc = runInNewContext("gc") as () => void
    for (const quote of ['["', "[a", "{a"]) {
      const json = PartialJson.make()
      json.push(quote)
      gc()
      const before = process.memoryUsage().heapUsed
      for (let i = 0; i < 1_000_000; i++) {
        json.push("x")
        if (json.value === undefined) throw new Error("there is a value")
      }
      gc()
      // A tree of strings would be 32 bytes a character.
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(6_000_000)
      json.end()
    }
  })

  it.each(["[", '{"a":', '[{"a":', "{", '["', "[[1,", "Sure [", "\\", "a a ", "```{", '{"a"', "[a ", "]"])(
    "a megabyte of %s",
    (piece) => {
      const text = piece.repeat(Math.ceil(1_000_000 / piece.length))
      const json = PartialJson.make()
      for (let at = 0; at < text.length; at += 7) json.push(text.slice(at, at + 7))
      // Nothing that reads it overflows.
      expect(() => structuredClone(json.end())).not.toThrow()
    }
  )
})

describe("where it stands", () => {
  /** After which characters it is so, `1` for yes. */
  const each = (text: string, what: "isWhole" | "isInString"): string => {
    const json = PartialJson.make()
    return characters(text)
      .map((c) => {
        json.push(c)
        return json[what] ? "1" : "0"
      })
      .join("")
  }

  it("an array or object is whole with its last bracket", () => {
    expect(each('{"a":[1]} x', "isWhole")).toBe("00000000111")
    expect(each("Sure [x] {}", "isWhole")).toBe("00000000001")
    expect(each('"a" ', "isWhole")).toBe("0000")
  })

  it("a string is open from quote to quote", () => {
    expect(each('{"a":"\\"}",b:1', "isInString")).toBe("01100111100000")
    const deep = PartialJson.make()
    deep.push(`${"[".repeat(PartialJson.maxDepth + 1)}"`)
    expect(deep.isInString).toBe(true)
    deep.push('"')
    expect(deep.isInString).toBe(false)
  })
})
