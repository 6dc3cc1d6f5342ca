/**
 * What the streams of one provider have in common: shapes of lines that outlive an answer.
 *
 * @since 0.1.0
 */
import * as JsonText from "./JsonText.ts"
import * as Shape from "./Shape.ts"

/**
 * How many kinds of line are told apart, in a stream and in all of them: pieces of text, of reasoning and
 * of tool input, and one more.
 *
 * @category constants
 * @since 0.1.0
 */
export const maxKinds = 4

/**
 * Shapes that streams have taught, for the streams after them, which then need no line but the first of its
 * kind. Beside the scalars that vary from line to line it knows those that are an answer's own, such as its id:
 * the first line of the next answer tells them.
 *
 * Of each kind of line one is kept in memory, of at most 4096 characters.
 *
 * @category models
 * @since 0.1.0
 */
export class KnownShapes {
  private readonly kinds: Array<Kind> = []

  /** The shape of a line, and of those like it in its answer, if such lines are known. */
  find(line: string): Shape.Shape | undefined {
    for (const { holes, shape } of this.kinds) {
      const value = shape && Shape.match(shape, line)
      if (value !== undefined) return Shape.narrow(shape!, line, value, holes)
    }
    return undefined
  }

  /** Takes a shape that an answer has taught. Two answers tell what is their own. */
  add(shape: Shape.Shape): void {
    for (const kind of this.kinds) {
      const between = Shape.differences(kind.lesson, shape.lesson)
      if (between === undefined) continue
      kind.holes = [...new Set([...kind.holes, ...shape.holes])]
      kind.shape = Shape.make(kind.lesson, [...between, ...kind.holes, ...(kind.shape?.holes ?? [])])
      return
    }
    this.kinds.unshift({ lesson: copied(shape.lesson), holes: shape.holes, shape: undefined })
    if (this.kinds.length > maxKinds) this.kinds.pop()
  }
}

/** Lines that are alike in all answers. */
interface Kind {
  readonly lesson: Shape.Lesson
  /** Which scalars vary from line to line. */
  holes: ReadonlyArray<number>
  /** With these, and those that vary from answer to answer, as holes. */
  shape: Shape.Shape | undefined
}

/** A line is a piece of the text it came in, and keeps all of it in memory. */
const copied = ({ line, value }: Shape.Lesson): Shape.Lesson =>
  new Shape.Lesson(JsonText.stringOf(JSON.stringify(line)) ?? line, value)
