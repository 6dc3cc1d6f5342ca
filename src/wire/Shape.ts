/**
 * What lines have in common that repeat an envelope around a few changing scalars.
 *
 * Of a delta line most is envelope: ids, object names, nulls, the same in every line. Parsing it costs
 * more than everything else done with a token. So a line that was parsed in full is remembered as
 * *skeleton* (the text between the scalars that vary) and *holes* (those scalars). A next line with the
 * same skeleton, whose holes hold strings or whole numbers again, means the same value with other
 * scalars in the holes. A string without escapes is taken as it stands, one with escapes is parsed alone.
 *
 * Values are never changed once given out: what differs is copied, what does not is shared.
 *
 * @since 0.1.0
 */
import type { Path } from "./Decoder.ts"
import { closingQuote, endOfNumber, endOfPadded, endOfPlain, maxCopied, QUOTE, stringOf } from "./JsonText.ts"
import { isAlike, pathOf, type Scalar, scan } from "./Scalars.ts"
import { Template } from "./Template.ts"

/**
 * A line that was parsed in full.
 *
 * @category models
 * @since 0.1.0
 */
export class Lesson {
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

const maxHoles = 8

/**
 * A skeleton and its holes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
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

/**
 * The value of a line that has the shape, which `shape.found` then tells the holes of; `undefined` if it has not.
 *
 * @category matching
 * @since 0.1.0
 */
export const match = (shape: Shape, line: string): object | undefined => {
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

/**
 * The indices of the scalars in which two lines differ, if they differ in nothing else.
 *
 * @category learning
 * @since 0.1.0
 */
export const differences = (a: Lesson, b: Lesson): Array<number> | undefined => {
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

/**
 * The shape of lines like one that differ in scalars of those indices.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (lesson: Lesson, differing: ReadonlyArray<number>): Shape | undefined => {
  const holes = [...new Set(differing)].toSorted((a, b) => a - b)
  if (holes.length === 0 || holes.length > maxHoles) return undefined
  const scalars = holes.map((hole) => lesson.scalars![hole]!)
  const pieces: Array<string> = []
  let position = 0
  for (const { end, start } of scalars) {
    pieces.push(lesson.line.slice(position, start))
    position = end
  }
  const tail = withoutPadding(lesson.line.slice(position))
  pieces.push(tail.slice(0, -1))
  return assemble(
    lesson,
    holes,
    pieces,
    scalars.map(({ kind }) => kind === "string"),
    scalars.map(({ place }) => pathOf(place))
  )
}

const assemble = (
  lesson: Lesson,
  holes: ReadonlyArray<number>,
  pieces: ReadonlyArray<string>,
  strings: ReadonlyArray<boolean>,
  paths: ReadonlyArray<Path>
): Shape => ({
  pieces,
  strings,
  found: strings.map(() => 0),
  root: makeNode(
    lesson.value,
    paths.map((path, hole) => ({ path, hole }))
  ),
  lesson,
  holes,
  paths,
  template: undefined
})

/**
 * The shape of lines that have the shape of a line just matched, but differ from it in fewer scalars.
 *
 * @category constructors
 * @since 0.1.0
 */
export const narrow = (shape: Shape, line: string, value: object, holes: ReadonlyArray<number>): Shape => {
  const pieces: Array<string> = []
  const kept: Array<number> = []
  let piece = shape.pieces[0]!
  for (let i = 0; i < shape.holes.length; i++) {
    if (holes.includes(shape.holes[i]!)) {
      kept.push(i)
      pieces.push(piece)
      piece = shape.pieces[i + 1]!
    } else {
      // Where the line spells it otherwise, the next lines do not match, and are read by what they are like.
      const found = JSON.stringify(shape.found[i])
      piece += (shape.strings[i] ? found.slice(1, -1) : found) + shape.pieces[i + 1]!
    }
  }
  pieces.push(piece)
  return assemble(
    new Lesson(line, value),
    kept.map((i) => shape.holes[i]!),
    pieces,
    kept.map((i) => shape.strings[i]!),
    kept.map((i) => shape.paths[i]!)
  )
}

/**
 * The template of frames whose line has the shape, made of one of them: if they vary in nothing but their
 * `answer`, a string, and in fields that are not read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeTemplate = (
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
