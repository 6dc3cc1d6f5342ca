/**
 * The program: the command line in, an exit code out.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as HelpDoc from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import { reading, standAlone } from "./Command.ts"
import type { Failure } from "./Failure.ts"
import * as Report from "./Report.ts"
import * as Screen from "./Screen.ts"

/**
 * Runs the command and ends the process.
 *
 * A signal interrupts it, so that the connection to the model is closed, and the process exits with
 * 130 (SIGINT) or 143 (SIGTERM), as shells do; a second one ends it where it stands.
 *
 * @category running
 * @since 0.1.0
 */
export const main = (version: string): void => {
  let code = 1
  let signalled: number | undefined
  const onSignal = (code: number) => () => {
    if (signalled !== undefined) process.exit(signalled)
    signalled = code
  }
  process.on("SIGINT", onSignal(130))
  process.on("SIGTERM", onSignal(143))
  // Without a listener, a terminal or log that went away would end the process with a stack trace.
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
  NodeRuntime.runMain(
    Effect.map(run(version), (result) => {
      code = result
    }),
    {
      disableErrorReporting: true,
      // Exits even where standard input is still open, which Node would wait for.
      teardown: () => {
        if (signalled !== undefined) process.exit(signalled)
        process.stdout.write("", () => process.exit(code))
      }
    }
  )
}

const run = (version: string): Effect.Effect<number> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const screen = yield* Screen.make
    const args = yield* stdio.args
    return yield* Command.runWith(reading(args), { version })(standAlone(args)).pipe(
      Effect.provideService(CliOutput.Presenter, present(screen, stdio)),
      Effect.matchCauseEffect({
        onSuccess: () => Effect.succeed(0),
        onFailure: (cause) => end(screen, cause)
      })
    )
  }).pipe(
    Effect.provide(
      Layer.mergeAll(
        NodeServices.layer,
        CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, completionsFlag] }),
        // Standard output is for answers.
        Logger.layer([])
      )
    )
  )

/** `effect/cli`'s own way to get completions; the help shows the subcommand instead. */
const completionsFlag: typeof GlobalFlag.Completions = {
  ...GlobalFlag.Completions,
  flag: Flag.withHidden(GlobalFlag.Completions.flag)
}

/** What was asked for goes to standard output, complaints to standard error. */
const present = (screen: Screen.Screen, stdio: Stdio.Stdio): CliOutput.Presenter => ({
  present: (event) => {
    switch (event._tag) {
      case "Version":
        return Console.log(`${event.name} ${event.version}`)
      case "Help":
        return Effect.flatMap(TerminalCapabilities.TerminalCapabilities, ({ canColor }) =>
          Console.log(help(event.helpDoc, canColor))
        )
      case "InvalidInvocation":
        return Screen.say(screen, "error", `${Report.complaint(event.errors[0]!)} See rill --help.`).pipe(
          Effect.provideService(Stdio.Stdio, stdio)
        )
    }
  }
})

const help = (doc: HelpDoc.HelpDoc, colors: boolean): string => {
  // The generated usage begins with a subcommand, which this command is nearly always used without.
  const usage = doc.commandPath?.length === 1 ? "rill [flags] [--] <prompt...>" : doc.usage
  const text = CliOutput.defaultFormatter({ colors }).formatHelpDoc({ ...doc, usage })
  // The formatter sets off every section but the one after the subcommands.
  return text.replace(/([^\n])\n([^\n ]*EXAMPLES)/, "$1\n\n$2")
}

/** Says what is still to be said of a failure, and gives the exit code. */
const end = (screen: Screen.Screen, cause: Cause.Cause<Failure | CliError.CliError>) => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error === undefined) {
    return Effect.as(
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Screen.write(`rill: this is a fault of rill's.\n${Cause.pretty(cause)}\n`),
      1
    )
  }
  switch (error._tag) {
    case "BrokenPipe":
      return Effect.succeed(0)
    case "UsageError":
      return Effect.as(Screen.say(screen, "error", error.message), 2)
    case "Failed":
    case "LlmError":
      return Effect.as(Screen.say(screen, "error", Report.failure(error)), 1)
    default:
      // Presented already.
      return Effect.succeed(2)
  }
}
