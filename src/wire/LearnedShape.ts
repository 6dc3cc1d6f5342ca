/**
 * The parse of a line, quick for lines that repeat an envelope around a few changing scalars.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import type { Path } from "./Decoder.ts"
import { type KnownShapes, maxKinds } from "./KnownShapes.ts"
import * as Shape from "./Shape.ts"
import type { Template } from "./Template.ts"

/**
 * Parses the lines of one stream: gives the value that `JSON.parse` gives, or `undefined` where that throws.
 * Two lines that are alike teach a shape, if streams before this one did not; what has no shape that is known
 * goes to `JSON.parse` whole.
 *
 * @category models
 * @since 0.1.0
 */
export class LearnedShape {
  /** Most recently used first: content, reasoning and tool input each have their own. */
  private readonly shapes: Array<Shape.Shape> = []
  private lessons = maxLessons
  /** Lines that taught no shape yet; kinds of line may take turns. */
  private readonly recent: Array<Shape.Lesson> = []
  /** That of the line that was parsed last, if it has one. */
  private last: Shape.Shape | undefined
  private readonly known: KnownShapes | undefined

  /** `known`: what other streams like this one have taught, and will be. */
  constructor(known?: KnownShapes) {
    this.known = known
  }

  parse(line: string): unknown {
    const { shapes } = this
    for (let i = 0; i < shapes.length; i++) {
      const shape = shapes[i]!
      const value = Shape.match(shape, line)
      if (value !== undefined) {
        if (i > 0) {
          shapes.splice(i, 1)
          shapes.unshift(shape)
        }
        this.last = shape
        return value
      }
    }
    const found = this.known?.find(line)
    if (found !== undefined) {
      // Where a line like it was read before, what was taken for the answer's own varies within it.
      const wider = this.widen(found.lesson)
      this.remember(wider ?? found, wider !== undefined)
      return found.lesson.value
    }
    this.last = undefined
    const value = parseJson(line)
    if (this.lessons === 0 || line.length > maxLineLength || !Predicate.isObject(value)) return value
    this.lessons--
    const lesson = new Shape.Lesson(line, value)
    const learned = this.widen(lesson) ?? this.pair(lesson)
    if (learned !== undefined) this.remember(learned, true)
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
      last.template = Shape.makeTemplate(last, text, line, answer, unread) ?? "none"
    }
    return last.template === "none" ? undefined : last.template
  }

  /** A shape and a line that differs from it in scalars alone make one with more holes, in its place. */
  private widen(lesson: Shape.Lesson): Shape.Shape | undefined {
    const { shapes } = this
    for (let i = 0; i < shapes.length; i++) {
      const shape = shapes[i]!
      const holes = Shape.differences(shape.lesson, lesson)
      if (holes === undefined) continue
      shapes.splice(i, 1)
      return Shape.make(lesson, [...holes, ...shape.holes])
    }
    return undefined
  }

  /** Two lines that differ only in scalars make a shape. */
  private pair(lesson: Shape.Lesson): Shape.Shape | undefined {
    const { recent } = this
    for (let i = 0; i < recent.length; i++) {
      const holes = Shape.differences(recent[i]!, lesson)
      if (holes === undefined) continue
      recent.splice(i, 1)
      return Shape.make(lesson, holes)
    }
    recent.unshift(lesson)
    if (recent.length > maxKinds) recent.pop()
    return undefined
  }

  private remember(shape: Shape.Shape, isNew: boolean): void {
    this.last = shape
    this.shapes.unshift(shape)
    if (this.shapes.length > maxKinds) this.shapes.pop()
    if (isNew) this.known?.add(shape)
  }
}

/** A stream whose lines never repeat must not pay for lessons on every one. */
const maxLessons = 64
const maxLineLength = 4096

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
