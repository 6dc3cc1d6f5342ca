/**
 * What may stand on the command line.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as CliCommand from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import { UsageError } from "./Failure.ts"
import type { Options } from "./Options.ts"
import * as Screen from "./Screen.ts"
import * as Silence from "./Silence.ts"

const flags = {
  model: Flag.String("model").pipe(
    Flag.withAlias("m"),
    Flag.withMetavar("PROVIDER/NAME"),
    Flag.withDescription("See rill models. offline needs no key"),
    Flag.optional
  ),
  api: Flag.Literals("api", ["responses", "chat"]).pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("For openai, azure; default responses"),
    Flag.optional
  ),
  system: Flag.String("system").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("TEXT"),
    Flag.withDescription("Instructions that go before the prompt"),
    Flag.optional
  ),
  temperature: Flag.Finite("temperature").pipe(
    Flag.filter(
      (value) => value >= 0,
      (value) => `Expected a number of at least 0, not ${value}`
    ),
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("0 for the likeliest words, more for rarer ones"),
    Flag.optional
  ),
  maxTokens: Flag.Int("max-tokens").pipe(
    Flag.filter(
      (value) => value >= 1,
      (value) => `Expected a whole number of at least 1, not ${value}`
    ),
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("The most tokens the answer may have"),
    Flag.optional
  ),
  seed: Flag.Int("seed").pipe(
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("The same number asks for the same answer (OpenAI: --api chat)"),
    Flag.optional
  ),
  retries: Flag.String("retries").pipe(
    Flag.filterMap(
      (value) => (/^\d+$/.test(value) ? Option.some(Number(value)) : Option.none()),
      (value) => `Expected a whole number of at least 0, not ${value}`
    ),
    Flag.withMetavar("NUMBER"),
    Flag.withDescription("How often to try again what may pass; default 2"),
    Flag.withDefault(2)
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.filterMap(
      Silence.parse,
      (value) => `Expected a time of more than 0, such as 30, which is seconds, or "2 minutes", not ${value}`
    ),
    Flag.withMetavar("TIME"),
    Flag.withDescription("The longest silence: 30, 2m; default 120 s, once it speaks 60 s"),
    Flag.optional
  ),
  fallback: Flag.String("fallback").pipe(
    Flag.withMetavar("PROVIDER/NAME"),
    Flag.withDescription("Asked where the model fails; may be given several times"),
    Flag.atLeast(0)
  ),
  output: Flag.Path("output").pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Write the answer to a file, not standard output"),
    Flag.optional
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print each event as one line of JSON"),
    Flag.withDefault(false),
    Flag.withoutNegation
  ),
  usage: Flag.Boolean("usage").pipe(
    Flag.withDescription("Say at the end how many tokens were used"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}

/** What the flags that all ways of asking have say. */
const optionsOf = (given: { readonly [K in keyof typeof flags]: Given<(typeof flags)[K]> }): Options => ({
  model: Option.getOrUndefined(given.model),
  fallbacks: given.fallback,
  api: Option.getOrUndefined(given.api),
  retries: given.retries,
  timeout: Option.getOrUndefined(given.timeout),
  request: {
    system: Option.getOrUndefined(given.system),
    temperature: Option.getOrUndefined(given.temperature),
    maxTokens: Option.getOrUndefined(given.maxTokens),
    seed: Option.getOrUndefined(given.seed)
  },
  output: Option.getOrUndefined(given.output),
  json: given.json,
  usage: given.usage
})

type Given<F> = F extends Flag.Flag<infer A> ? A : never

/** Flags that stand alone. */
const switches: ReadonlySet<string> = new Set(["--json", "--usage", "--quiet"])

const words = Argument.String("prompt").pipe(
  Argument.variadic(),
  Argument.withDescription("What to ask. Standard input is added at its end")
)

const printCompletions = (shell: Completions.Shell): Effect.Effect<void> =>
  Console.log(Completions.generate(rill.name, shell, Completions.fromCommand(rill)))

const completions = CliCommand.make(
  "completions",
  {
    shell: Argument.Literals("shell", ["bash", "zsh", "fish", "powershell"]).pipe(
      Argument.withDescription("The shell to complete for")
    )
  },
  ({ shell }) => printCompletions(shell)
).pipe(
  CliCommand.withDescription("Print a script that completes rill in a shell"),
  CliCommand.withExamples([{ command: 'eval "$(rill completions bash)"' }])
)

const models = CliCommand.make(
  "models",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print each provider as one line of JSON"),
      Flag.withDefault(false),
      Flag.withoutNegation
    )
  },
  Effect.fnUntraced(function* ({ json }) {
    const Models = yield* Effect.promise(() => import("./Models.ts"))
    return yield* Models.run(yield* Screen.make, json)
  })
).pipe(
  CliCommand.withDescription("List the providers, the variable of each one's key, and whether it is set"),
  CliCommand.withExamples([{ command: "rill models" }])
)

const agent = CliCommand.make(
  "agent",
  {
    task: Argument.String("task").pipe(
      Argument.variadic(),
      Argument.withDescription("What to do. Standard input is added at its end")
    ),
    folder: Flag.Path("folder").pipe(
      Flag.withAlias("f"),
      Flag.withMetavar("DIR"),
      Flag.withDescription("Let it read the text files below DIR; default none"),
      Flag.optional
    ),
    strategy: Flag.Literals("strategy", ["tools", "react"]).pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("tools, or react for models that only write"),
      Flag.withDefault("tools")
    ),
    maxSteps: Flag.Int("max-steps").pipe(
      Flag.filter(
        (value) => value >= 1,
        (value) => `Expected a whole number of at least 1, not ${value}`
      ),
      Flag.withMetavar("NUMBER"),
      Flag.withDescription("The most turns of the model; default 10"),
      Flag.withDefault(10)
    ),
    ...flags
  },
  Effect.fnUntraced(function* ({ task, ...flags }) {
    const AgentCommand = yield* Effect.promise(() => import("./AgentCommand.ts"))
    return yield* AgentCommand.run(yield* Screen.make, {
      task: task.join(" ").trim(),
      folder: Option.getOrUndefined(flags.folder),
      strategy: flags.strategy,
      maxSteps: flags.maxSteps,
      ...optionsOf(flags)
    })
  })
).pipe(
  CliCommand.withDescription("Give a model a task, a calculator and, with --folder, files to read"),
  CliCommand.withExamples([
    { command: 'rill agent "What is 12 * (34 + 56)?"' },
    { command: 'rill agent --folder . "Summarise README.md in three sentences"' }
  ])
)

const serve = CliCommand.make(
  "serve",
  {
    model: flags.model,
    api: flags.api,
    system: flags.system,
    host: Flag.String("host").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("Where to listen; default 127.0.0.1, this machine only"),
      Flag.withDefault("127.0.0.1")
    ),
    port: Flag.Int("port").pipe(
      Flag.filter(
        (value) => value >= 0 && value <= 65535,
        (value) => `Expected a port from 0 to 65535, not ${value}`
      ),
      Flag.withAlias("p"),
      Flag.withMetavar("NUMBER"),
      Flag.withDescription("Default 3210; 0 for any that is free"),
      Flag.withDefault(3210)
    ),
    origin: Flag.String("origin").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("Let web pages of this origin ask; may be repeated"),
      Flag.atLeast(0)
    ),
    maxBody: Flag.Int("max-body").pipe(
      Flag.filter(
        (value) => value >= 1 && value <= 1024,
        (value) => `Expected a whole number from 1 to 1024, not ${value}`
      ),
      Flag.withMetavar("MIB"),
      Flag.withDescription("The largest request, in MiB; default 1"),
      Flag.withDefault(1)
    ),
    quiet: Flag.Boolean("quiet").pipe(
      Flag.withAlias("q"),
      Flag.withDescription("Print no line for each request"),
      Flag.withDefault(false),
      Flag.withoutNegation
    )
  },
  Effect.fnUntraced(function* (flags) {
    const ServeCommand = yield* Effect.promise(() => import("./ServeCommand.ts"))
    return yield* ServeCommand.run(yield* Screen.make, {
      model: Option.getOrUndefined(flags.model),
      api: Option.getOrUndefined(flags.api),
      system: Option.getOrUndefined(flags.system),
      host: flags.host,
      port: flags.port,
      origins: flags.origin,
      maxBody: flags.maxBody,
      quiet: flags.quiet
    })
  })
).pipe(
  CliCommand.withDescription("Serve a model over HTTP: text, SSE, NDJSON, WebSocket, OpenAI's API, useChat's"),
  CliCommand.withExamples([
    { command: "rill serve" },
    { command: "rill serve --model openai/gpt-4.1-mini --port 8080 --origin http://localhost:3000" }
  ])
)

const asking = CliCommand.make(
  "rill",
  { words, ...flags },
  Effect.fnUntraced(function* ({ words, ...flags }) {
    const args = yield* Effect.flatMap(Stdio.Stdio, (stdio) => stdio.args)
    yield* checkForSubcommand(words, args)
    // Help, version and complaints need no model, and should not wait for one to load.
    const Ask = yield* Effect.promise(() => import("./Ask.ts"))
    return yield* Ask.run(yield* Screen.make, {
      prompt: words.join(" ").trim(),
      ...optionsOf(flags)
    })
  })
).pipe(
  CliCommand.withDescription("Streams the answer of a language model; without a key, of Ollama or of an offline one"),
  CliCommand.withExamples([
    { command: 'rill "Tell me a story"' },
    { command: 'cat notes.md | rill "Summarise" --output summary.md' },
    { command: 'rill --model openai/gpt-4.1 --system "Answer in French" "Why is the sky blue?"' },
    { command: 'rill --model openai/gpt-4.1 --fallback anthropic/claude-haiku-4-5 --timeout 20 "Hello"' },
    {
      command: 'rill --model ollama/qwen3 "Hello"',
      description: "rill models lists the providers and the variables of their keys"
    },
    {
      command: 'OPENAI_BASE_URL=http://127.0.0.1:8080/v1 rill --api chat --model openai/qwen3 "Hello"',
      description: "Any server that speaks OpenAI's chat completions; it needs no key"
    },
    {
      command: 'rill -- "-5 degrees: is that cold?"',
      description: "What follows -- is the prompt, whatever it looks like"
    }
  ])
)

/**
 * The command.
 *
 * @category commands
 * @since 0.1.0
 */
export const rill = CliCommand.withSubcommands(asking, [agent, serve, models, completions])

/** The same without the subcommands that are words too, for prompts that have them. */
const rillAsking = CliCommand.withSubcommands(asking, [completions])

/**
 * The command that is to read these arguments. `agent` is a subcommand where it comes first; `serve` where a flag
 * or nothing comes after; `models` where nothing but flags does: `rill models of cars` is a prompt, as
 * `rill serve me tea` and `rill "agent smith"` are.
 *
 * @category parsing
 * @since 0.1.0
 */
export const reading = (args: ReadonlyArray<string>): typeof rill | typeof rillAsking => {
  const [first, ...others] = args
  const isSubcommand =
    first === agent.name ||
    (first === serve.name && (others[0] ?? "-").startsWith("-")) ||
    (first === models.name && others.every((arg) => arg.startsWith("-")))
  return isSubcommand || ![agent, serve, models].some(({ name }) => args.includes(name)) ? rill : rillAsking
}

/**
 * A flag that stands alone takes no word after it, though `effect/cli` would read one such as `yes`
 * or `1` as its value: `rill --json yes` asks "yes".
 *
 * @category parsing
 * @since 0.1.0
 */
export const standAlone = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = args.indexOf("--")
  return args.map((arg, index) => (switches.has(arg) && (end === -1 || index < end) ? `${arg}=true` : arg))
}

/**
 * A word alone that is nearly a subcommand's name is more likely to be one than to be a prompt; so is
 * what other programs have as a subcommand and this one as a flag.
 */
const checkForSubcommand = (
  words: ReadonlyArray<string>,
  args: ReadonlyArray<string>
): Effect.Effect<void, UsageError> =>
  Effect.suspend(() => {
    const [word, ...others] = words
    if (word === agent.name && !args.includes("--")) {
      // Read as the subcommand, the flags before it would be lost.
      return Effect.fail(
        new UsageError({
          message:
            "flags go after agent: rill agent [flags] <task>. To send the word as part of the prompt: rill [flags] -- agent …"
        })
      )
    }
    if (word === undefined || others.length > 0 || /\s/.test(word) || args.includes("--")) return Effect.void
    const near = asFlag.has(word)
      ? `--${word}`
      : rill.subcommands
          .flatMap((group) => group.commands.map(({ name }) => name))
          .find((name) => distance(word.toLowerCase(), name) <= Math.min(2, Math.floor(name.length / 3)))
    return near === undefined
      ? Effect.void
      : Effect.fail(
          new UsageError({
            message: `did you mean rill ${near}? To send it as a prompt: rill -- ${word}`
          })
        )
  })

const asFlag: ReadonlySet<string> = new Set(["help", "version"])

/** Levenshtein's: how many characters to insert, delete or replace. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const above = row
    row = [i]
    for (let j = 1; j <= b.length; j++) {
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
  }
  return row[b.length]!
}
