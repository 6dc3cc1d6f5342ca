/**
 * What the offline model does where it is given tools: a small piece of research, by a script.
 *
 * It computes something with `calculator`, reads with `read_file` the file that the task names, and answers
 * with what it was told. The same seed and task give the same research.
 *
 * @since 0.1.0
 */
import * as Story from "./Story.ts"

/**
 * What has happened so far.
 *
 * @category models
 * @since 0.1.0
 */
export interface Research {
  readonly seed: number
  readonly task: string
  /** The names of the tools there are. */
  readonly tools: ReadonlyArray<string>
  /** What the tools gave, in their order. */
  readonly observed: ReadonlyArray<string>
}

/**
 * What comes next.
 *
 * @category models
 * @since 0.1.0
 */
export type Next =
  | { readonly _tag: "Call"; readonly thought: string; readonly name: string; readonly input: object }
  | { readonly _tag: "Answer"; readonly thought: string; readonly answer: string }

/**
 * Decides it. `undefined` where there is no tool that the script knows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const next = ({ observed, seed, task, tools }: Research): Next | undefined => {
  const plan = steps(seed, task).filter(({ name }) => tools.includes(name))
  if (plan.length === 0) return undefined
  const step = plan[observed.length]
  if (step !== undefined) return { _tag: "Call", thought: step.thought, name: step.name, input: step.input }
  return {
    _tag: "Answer",
    thought: "That is all I need.",
    answer: plan.map(({ tell }, index) => tell(observed[index] ?? "")).join("\n")
  }
}

interface Step {
  readonly name: string
  readonly input: object
  readonly thought: string
  readonly tell: (observed: string) => string
}

const steps = (seed: number, task: string): ReadonlyArray<Step> => {
  const path = task.match(/(?:[\w-]+\/)*[\w-]+\.[A-Za-z]\w{0,7}\b/)?.[0]
  const sum = task.match(/[(\d.-][\d.\s()+*/%^-]*[+*/%^-][\d.\s()+*/%^-]*[\d)]/)?.[0]
  return [
    ...(path === undefined ? [] : [reading(path)]),
    sum === undefined
      ? supposing(seed, Story.topicOf(task.replace(path ?? "", "").replace(/\bresearch\b/gi, "")))
      : computing(sum)
  ]
}

const reading = (path: string): Step => ({
  name: "read_file",
  input: { path },
  thought: `The task names ${path}: I read it first.`,
  tell: (observed) => `${path}: “${observed.trim().split(/\s+/).slice(0, 12).join(" ")} …”`
})

const computing = (expression: string): Step => ({
  name: "calculator",
  input: { expression },
  thought: "There is something to compute. I do not do that in my head.",
  tell: (observed) => (/^[≈\d-]/.test(observed) ? `${expression} = ${observed}` : `${expression}: ${observed}`)
})

const supposing = (seed: number, topic: string): Step => {
  const dice = Story.makeDice(seed)
  const [shelves, books, pages] = [3 + dice.next() * 9, 20 + dice.next() * 30, 150 + dice.next() * 200].map(Math.floor)
  return {
    name: "calculator",
    input: { expression: `${shelves} * ${books} * ${pages}` },
    thought: `How much is there to read about ${topic}? Say, ${shelves} shelves of ${books} books, ${pages} pages each.`,
    tell: (observed) =>
      `${shelves} shelves of books about “${topic}” come to ${observed} pages, of which I have read none.`
  }
}
