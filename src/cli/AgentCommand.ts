/**
 * `rill agent`: one task, a model with tools, and its answer.
 *
 * @since 0.1.0
 */
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Agent from "../agent/Agent.ts"
import { AgentError } from "../agent/AgentError.ts"
import { AgentEvent } from "../agent/AgentEvent.ts"
import { Llm } from "../Llm.ts"
import type { LlmError } from "../LlmError.ts"
import * as LlmUsage from "../LlmUsage.ts"
import * as AgentView from "./AgentView.ts"
import * as Asking from "./Asking.ts"
import * as Calculator from "./Calculator.ts"
import { type BrokenPipe, Failed } from "./Failure.ts"
import * as FileReader from "./FileReader.ts"
import * as Json from "./Json.ts"
import type { Options as Shared } from "./Options.ts"
import * as Policies from "./Policies.ts"
import * as Screen from "./Screen.ts"

/**
 * What was asked for on the command line.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Shared {
  /** The words, joined; `""` where there are none. */
  readonly task: string
  /** The folder whose files may be read. Without one there is no tool for files. */
  readonly folder: string | undefined
  readonly strategy: "tools" | "react"
  readonly maxSteps: number
}

/**
 * Runs the agent. Everything it opens is closed when it ends, however it ends.
 *
 * @category running
 * @since 0.1.0
 */
export const run = Effect.fnUntraced(
  function* (screen: Screen.Screen, options: Options) {
    const stream = yield* agentOf(options)
    const { models, name, output, prompt, shown } = yield* Asking.begin(screen, options, options.task, nothing)
    const view = AgentView.make({ screen, live: shown, label: name })
    const context = yield* Effect.context<Scope.Scope | Stdio.Stdio>()
    const llm = Policies.make(models, {
      ...options,
      goesOn: shown && !options.json,
      keepsThoughts: true,
      tell: (note) => Effect.provideContext(options.json ? Screen.note(screen, note) : view.note(note), context)
    })
    const tally = makeTally(prompt.length + (options.request.system ?? "").length)
    const events = stream(prompt).pipe(
      Stream.provideService(Llm, llm),
      Stream.mapArray((events) => {
        for (const event of events) tally.see(event)
        return events
      }),
      Stream.tapError((error) => Effect.sync(() => tally.fail(error)))
    )
    const pieces = options.json ? lines(events, shown) : view.show(events)
    yield* output(pieces).pipe(
      Effect.mapError((error) => (error._tag === "AgentError" ? inFlags(error) : error)),
      Asking.end(screen, options, tally)
    )
  },
  Effect.scoped,
  Effect.provide(FetchHttpClient.layer)
)

const nothing =
  'nothing to do. Usage: rill agent [flags] "What is 25 * 4?". More: rill agent --help. To send the word as a prompt: rill -- agent'

const calculator = Tool.make("calculator", {
  description: `Computes an arithmetic expression: + - * / % (remainder) ^ and parentheses. Also ${Calculator.names}.`,
  parameters: Schema.Struct({ expression: Schema.String }),
  success: Schema.String,
  failure: Schema.String
})

const readFile = Tool.make("read_file", {
  description:
    'Reads a text file, such as "notes.txt" or "src/main.ts". Of a folder, "." at first, it lists the names.',
  parameters: Schema.Struct({ path: Schema.String }),
  success: Schema.String,
  failure: Schema.String
})

const compute = ({ expression }: { readonly expression: string }): Effect.Effect<string, string> => {
  const result = Calculator.evaluate(expression)
  return Result.isSuccess(result)
    ? Effect.succeed(Calculator.format(result.success))
    : Effect.fail(result.failure.message)
}

/** The runs of the agent, with the tools that its options allow. */
const agentOf = Effect.fnUntraced(function* ({ folder, maxSteps, request, strategy }: Options) {
  const { system, ...rest } = request
  const common = { strategy, maxSteps, system, request: rest }
  if (folder === undefined) {
    const toolkit = Toolkit.make(calculator)
    const agent = Agent.make({ toolkit, ...common })
    return provided(agent, toolkit.toLayer({ calculator: compute }))
  }
  const reader = yield* FileReader.make({ folder })
  const toolkit = Toolkit.make(calculator, readFile)
  const agent = Agent.make({ toolkit, ...common })
  const read = ({ path }: { readonly path: string }) => Effect.mapError(reader.read(path), ({ message }) => message)
  return provided(agent, toolkit.toLayer({ calculator: compute, read_file: read }))
})

const provided =
  <Handlers>(agent: Agent.Agent<Llm | Handlers>, layer: Layer.Layer<Handlers>) =>
  (task: string): Stream.Stream<AgentEvent, AgentError, Llm> =>
    Stream.provide(agent.stream(task), layer)

/** A line for each event; a run that fails ends with a line for its error. */
const lines = <R>(
  events: Stream.Stream<AgentEvent, AgentError, R>,
  shown: boolean
): Stream.Stream<string, AgentError, R> =>
  events.pipe(
    Stream.map((event) => Json.toLine(encodeEvent(event), shown)),
    Stream.catch((error) =>
      Stream.concat(
        Stream.make(Json.toLine(Object.assign({}, encodeError(error), { message: error.message }), shown)),
        Stream.fail(error)
      )
    )
  )

const encodeEvent = Schema.encodeSync(Schema.toCodecJson(AgentEvent)) as (event: AgentEvent) => object

const encodeError = (error: AgentError): object => Schema.encodeSync(Schema.toCodecJson(AgentError))(error) as object

/** On the command line an option is a flag. */
const inFlags = ({ reason }: AgentError): LlmError | Failed => {
  switch (reason._tag) {
    case "ModelFailed":
      return reason.error
    case "LimitExceeded":
      return new Failed({
        message: `no answer within ${reason.limit} ${reason.limit === 1 ? "step" : "steps"}. Raise --max-steps.`
      })
    case "Unreadable":
      return new Failed({
        message: `the model does not keep to the form of a thought, an action or an answer, though told so ${reason.repairs} times. Take another model, or --strategy tools.`
      })
    default:
      return new Failed({ message: reason.message })
  }
}

/** Keeps count of what the run uses, so that it is known however the run ends. */
const makeTally = (inputCharacters: number) => {
  const steps: Array<LlmUsage.LlmUsage> = []
  /** Told by a failure, which knows what the turn that failed used. */
  let all: LlmUsage.LlmUsage | undefined
  let finish: string | undefined
  /** Characters of the turn that is running. */
  let output: number | undefined
  return {
    see: (event: AgentEvent): void => {
      if (event._tag === "StepStarted") output = 0
      else if (event._tag === "Token") output = (output ?? 0) + event.content.length
      else if (event._tag === "StepFinished") {
        steps.push(event.usage)
        finish = event.reason
        output = undefined
      }
    },
    fail: (error: AgentError | Failed | BrokenPipe): void => {
      if (error._tag === "AgentError") all = error.usage
    },
    isCut: (): boolean => finish === "length",
    usage: (): LlmUsage.LlmUsage => {
      if (all !== undefined) return all
      const cut = output === undefined ? [] : [LlmUsage.estimate({ input: inputCharacters, output, reasoning: 0 })]
      return LlmUsage.sum([...steps, ...cut])
    }
  }
}
