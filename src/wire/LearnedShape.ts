/**
 * The parse of a line, quick for lines that repeat an envelope around a few changing scalars.
 *
 * Of a delta line most is envelope: ids, object names, nulls, the same in every line. Parsing it costs
 * more than everything else done with a token. So a line that was parsed in full is remembered as
 * *skeleton* (the text between the scalars that vary) and *holes* (those scalars). A next line with the
 * same skeleton, whose holes hold strings or whole numbers again, means the same value with other
 * scalars in the holes. A string without escapes is taken as it stands, one with escapes is parsed
 * alone. Anything else goes to `JSON.parse` whole, and may teach a new shape.
 *
 * Values are never changed once given out: what differs is copied, what does not is shared.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import type { Path } from "./Decoder.ts"
import { closingQuote, endOfNumber, endOfPadded, endOfPlain, maxCopied, QUOTE, stringOf } from "./JsonText.ts"
import { isAlike, pathOf, type Scalar, scan } from "./Scalars.ts"
import { Template } from "./Template.ts"

/**
 * Parses the lines of one stream: gives the value that `JSON.parse` gives, or `undefined` where that throws.
 *
 * @category models
 * @since 0.1.0
 */
export class LearnedShape {
  /** Most recently used first: content, reasoning and tool input each have their own. */
  private readonly shapes: Array<Shape> = []
  private lessons = maxLessons
  /** Lines that taught no shape yet; kinds of line may take turns. */
  private readonly recent: Array<Lesson> = []
  /** That of the line that was parsed last, if it has one. */
  private last: Shape | undefined

  parse(line: string): unknown {
    const { shapes } = this
    for (let i = 0; i < shapes.length; i++) {
      const shape = shapes[i]!
      const value = match(shape, line)
      if (value !== undefined) {
        if (i > 0) {
          shapes.splice(i, 1)
          shapes.unshift(shape)
        }
        this.last = shape
        return value
      }
    }
    this.last = undefined
    const value = parseJson(line)
    if (this.lessons === 0 || line.length > maxLineLength || !Predicate.isObject(value)) return value
    this.lessons--
    this.last = learn(shapes, this.recent, new Lesson(line, value))
    return value
  }

  /**
   * The template of the line that was parsed last, of which a frame was made: if lines like it vary in
   * nothing but their `answer`, a string, and in fields that are not read. The first frame makes it.
   */
  template(
    line: string,
    frame: () => string | undefined,
    answer: Path,
    unread: ReadonlySet<string>
  ): Template | undefined {
    const { last } = this
    if (last === undefined) return undefined
    if (last.template === undefined) {
      const text = frame()
      // The frame has come in pieces: the next one may not.
      if (text === undefined) return undefined
      last.template = makeTemplate(last, text, line, answer, unread) ?? "none"
    }
    return last.template === "none" ? undefined : last.template
  }
}

/** A stream whose lines never repeat must not pay for lessons on every one. */
const maxLessons = 64
const maxShapes = 4
const maxLineLength = 4096
const maxHoles = 8

/** A line that was parsed in full. */
class Lesson {
  readonly line: string
  readonly value: object
  private scan: ReadonlyArray<Scalar> | "none" | undefined

  constructor(line: string, value: object) {
    this.line = line
    this.value = value
  }

  /** Looked for when a line comes that is like it: most lines of which there is one have no second. */
  get scalars(): ReadonlyArray<Scalar> | undefined {
    this.scan ??= scan(this.line, this.value) ?? "none"
    return this.scan === "none" ? undefined : this.scan
  }
}

interface Shape {
  /** The text before, between and after the holes, up to the last brace: one more than there are holes. */
  readonly pieces: ReadonlyArray<string>
  readonly strings: ReadonlyArray<boolean>
  /** What the holes of the last match held, in their order. */
  readonly found: Array<string | number>
  readonly root: Node
  /** The line that it was learned from, and which of its scalars are the holes. */
  readonly lesson: Lesson
  readonly holes: ReadonlyArray<number>
  readonly paths: ReadonlyArray<Path>
  template: Template | "none" | undefined
}

/** A container with a hole somewhere in it; the rest of it is shared between values. */
interface Node {
  readonly template: object
  readonly keys: ReadonlyArray<string | number>
  /** A hole's index, or the node further down. */
  readonly children: ReadonlyArray<number | Node>
}

const parseJson = (line: string): unknown => {
  // `[DONE]`: to be told so by an exception costs more than the rest of a short answer.
  if (line.charCodeAt(0) === 0x5b && isUpperCase(line.charCodeAt(1))) return undefined
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

const isUpperCase = (code: number): boolean => code >= 0x41 && code <= 0x5a

const match = (shape: Shape, line: string): object | undefined => {
  const { found, pieces, strings } = shape
  const first = pieces[0]!
  // Measured: comparing slices costs a third of `startsWith` with a position.
  if (line.slice(0, first.length) !== first) return undefined
  let position = first.length
  for (let i = 0; i < strings.length; i++) {
    const start = position
    if (strings[i]) {
      position = endOfPlain(line, start)
      if (line.charCodeAt(position) === QUOTE && position - start < maxCopied) found[i] = line.slice(start, position)
      else {
        // A line break or a quote in the text is common: parse the string alone, not its envelope.
        const end = closingQuote(line, position)
        const text = end === -1 ? undefined : stringOf(line.slice(start - 1, end + 1))
        if (text === undefined) return undefined
        found[i] = text
        position = end
      }
    } else {
      position = endOfNumber(line, start)
      if (position === -1) return undefined
      found[i] = Number(line.slice(start, position))
    }
    const piece = pieces[i + 1]!
    if (line.slice(position, position + piece.length) !== piece) return undefined
    position += piece.length
  }
  return endOfPadded(line, position) === line.length ? fill(shape.root, found) : undefined
}

const fill = (node: Node, found: ReadonlyArray<string | number>): object => {
  const copy: Record<string | number, unknown> = Array.isArray(node.template)
    ? (node.template.slice() as never)
    : { ...node.template }
  const { children, keys } = node
  for (let i = 0; i < keys.length; i++) {
    const child = children[i]!
    copy[keys[i]!] = typeof child === "number" ? found[child] : fill(child, found)
  }
  return copy
}

/** Two lines that differ only in scalars make a shape; a shape and such a line make one with more holes. */
const learn = (shapes: Array<Shape>, recent: Array<Lesson>, lesson: Lesson): Shape | undefined => {
  for (let i = 0; i < shapes.length; i++) {
    const shape = shapes[i]!
    const holes = differences(shape.lesson, lesson)
    if (holes === undefined) continue
    shapes.splice(i, 1)
    for (const hole of shape.holes) if (!holes.includes(hole)) holes.push(hole)
    return remember(shapes, makeShape(lesson, holes))
  }
  for (let i = 0; i < recent.length; i++) {
    const holes = differences(recent[i]!, lesson)
    if (holes === undefined) continue
    recent.splice(i, 1)
    return remember(shapes, makeShape(lesson, holes))
  }
  recent.unshift(lesson)
  if (recent.length > maxShapes) recent.pop()
  return undefined
}

const remember = (shapes: Array<Shape>, shape: Shape | undefined): Shape | undefined => {
  if (shape === undefined) return undefined
  shapes.unshift(shape)
  if (shapes.length > maxShapes) shapes.pop()
  return shape
}

/** The indices of the scalars in which two lines differ, if they differ in nothing else. */
const differences = (a: Lesson, b: Lesson): Array<number> | undefined => {
  if (!isAlike(a.value, b.value)) return undefined
  const xs = a.scalars
  const ys = b.scalars
  if (xs === undefined || ys === undefined || xs.length !== ys.length) return undefined
  const differing: Array<number> = []
  let aEnd = 0
  let bEnd = 0
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i]!
    const y = ys[i]!
    if (a.line.slice(aEnd, x.start) !== b.line.slice(bEnd, y.start)) return undefined
    if (a.line.slice(x.start, x.end) !== b.line.slice(y.start, y.end)) {
      if (x.kind !== y.kind || x.kind === "other") return undefined
      differing.push(i)
    }
    aEnd = x.end
    bEnd = y.end
  }
  return withoutPadding(a.line.slice(aEnd)) === withoutPadding(b.line.slice(bEnd)) ? differing : undefined
}

const makeShape = (lesson: Lesson, holes: Array<number>): Shape | undefined => {
  if (holes.length === 0 || holes.length > maxHoles) return undefined
  holes.sort((a, b) => a - b)
  const scalars = holes.map((hole) => lesson.scalars![hole]!)
  const pieces: Array<string> = []
  let position = 0
  for (const { end, start } of scalars) {
    pieces.push(lesson.line.slice(position, start))
    position = end
  }
  const tail = withoutPadding(lesson.line.slice(position))
  pieces.push(tail.slice(0, -1))
  const paths = scalars.map(({ place }) => pathOf(place))
  return {
    pieces,
    strings: scalars.map(({ kind }) => kind === "string"),
    found: scalars.map(() => 0),
    root: makeNode(
      lesson.value,
      paths.map((path, hole) => ({ path, hole }))
    ),
    lesson,
    holes,
    paths,
    template: undefined
  }
}

const makeTemplate = (
  shape: Shape,
  frame: string,
  line: string,
  answer: Path,
  unread: ReadonlySet<string>
): Template | undefined => {
  const { paths } = shape
  const index = paths.findIndex((path) => path.length === answer.length && path.every((key, i) => key === answer[i]))
  const isUnread = (path: Path): boolean => path.length === 1 && unread.has(String(path[0]))
  if (index === -1 || !shape.strings[index] || !paths.every((path, i) => i === index || isUnread(path))) {
    return undefined
  }
  const start = frame.indexOf(line)
  if (start === -1) return undefined
  const [first, ...rest] = shape.pieces
  const pieces = [frame.slice(0, start) + first, ...rest]
  return new Template({
    pieces,
    strings: shape.strings,
    answer: index,
    end: frame.slice(start + line.length)
  })
}

/**
 * Anthropic pads its lines with a varying number of spaces, before the last brace, against guesses by
 * length; others do at the end.
 */
const withoutPadding = (tail: string): string => tail.replace(/ *(.) *$/, "$1")

const makeNode = (template: object, holes: ReadonlyArray<{ readonly path: Path; readonly hole: number }>): Node => {
  const byKey = new Map<string | number, Array<{ path: Path; hole: number }>>()
  for (const { hole, path } of holes) {
    const key = path[0]!
    const below = { path: path.slice(1), hole }
    const group = byKey.get(key)
    if (group === undefined) byKey.set(key, [below])
    else group.push(below)
  }
  const children: Array<number | Node> = []
  for (const [key, group] of byKey) {
    const single = group[0]!
    children.push(
      single.path.length === 0 ? single.hole : makeNode((template as Record<string | number, object>)[key]!, group)
    )
  }
  return { template, keys: [...byKey.keys()], children }
}
