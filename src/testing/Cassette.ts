/**
 * Records a provider's HTTP once and replays it, without network and without keys.
 *
 * ```ts
 * const model = OpenAi.layerConfig({ model: "gpt-4o-mini" }).pipe(
 *   Layer.provide(Cassette.layer("test/cassettes/story.json")),
 *   Layer.provide([FetchHttpClient.layer, NodeServices.layer])
 * )
 * ```
 *
 * Where the file exists, the layer answers from it; where it does not, it asks the provider, by the
 * `HttpClient` that it is given, and writes the file when the program has ended well. Commit the file,
 * and the test runs offline from then on. To record again, delete it.
 *
 * **Secrets.** Of the headers only harmless ones are recorded, such as `content-type`. The values of
 * all the others, passwords in URLs and query parameters named like keys are taken out wherever they
 * appear, in bodies and URLs as well, as JSON, URLs, HTML or base64 spell them; so is what looks like
 * a key (`sk-…`). What is private in prompts and answers only you know: see `scrub` in
 * {@link Options}, and read a file before you commit it. A secret that a model spells out over several
 * deltas is not found.
 *
 * **Matching.** A request is answered by the first recorded one, not yet played, of the same method,
 * URL and body; the order of JSON's keys does not matter. Each is played once. A request that is not
 * recorded is a defect that says which it is and where it differs from the nearest.
 *
 * **Bodies** keep their chunks, and break where they broke. One whose reader had left, by `take` or an
 * interruption, plays what had come by then and stays open. Time is not recorded.
 *
 * Like all test doubles this module is not part of `effect-rill`'s index.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as cassetteFile from "./internal/cassetteFile.ts"
import * as recorder from "./internal/recorder.ts"
import * as replayer from "./internal/replayer.ts"
import { Scrubber } from "./internal/Scrubber.ts"

/**
 * What a cassette can be asked about itself.
 *
 * @category services
 * @since 0.1.0
 */
export class Cassette extends Context.Service<
  Cassette,
  {
    readonly mode: "record" | "replay"
    /** How many recorded exchanges have not been played; 0 while recording. */
    readonly remaining: Effect.Effect<number>
  }
>()("effect-rill/testing/Cassette") {}

/**
 * How many recorded exchanges have not been played; 0 while recording.
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<number, never, Cassette> = Cassette.use(({ remaining }) => remaining)

/**
 * A cassette cannot be read or written.
 *
 * - `Absent`: there is no file, and nothing may be recorded.
 * - `Unreadable`, `Unwritable`: the file system refuses.
 * - `Invalid`: the file is no cassette, or one of another version.
 *
 * @category errors
 * @since 0.1.0
 */
export class CassetteError extends Schema.TaggedError<CassetteError>()("CassetteError", {
  reason: Schema.Literals(["Absent", "Unreadable", "Unwritable", "Invalid"]),
  path: Schema.String,
  /** What happened and what to do about it. */
  message: Schema.String
}) {}

/**
 * Options of a cassette.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Changes text before it is written, and requests before they are matched: for what is private in
   * prompts and answers. It is given URLs, headers and bodies, a line at a time, as they are sent:
   * JSON with its escapes. What it returns should be as valid as what it was given.
   */
  readonly scrub?: ((text: string) => string) | undefined
}

/**
 * Replays a file that exists, and records one that does not.
 *
 * Where the variable `CI` is set, to anything but `0` or `false`, nothing is recorded: there a file
 * that is missing is an error, since someone has forgotten to commit it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  path: string,
  options: Options = {}
): Layer.Layer<
  HttpClient.HttpClient | Cassette,
  CassetteError,
  HttpClient.HttpClient | FileSystem.FileSystem | Path.Path
> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      if (yield* Effect.mapError(fs.exists(path), unreadable(path))) return yield* replaying(path, options)
      if (yield* isCI) return yield* absent(path, "and CI is set, where nothing is recorded")
      return yield* recording(path, options, "keep")
    })
  )

/**
 * Records, whether or not there is a file, which it replaces.
 *
 * The file is written when the layer's scope closes, with success: an interrupted or failed program
 * leaves the one there was. It is complete or not there at all. Requests that got no answer are left
 * out, and where none got one no file is written.
 *
 * @category layers
 * @since 0.1.0
 */
export const record = (
  path: string,
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient | Cassette, never, HttpClient.HttpClient | FileSystem.FileSystem | Path.Path> =>
  Layer.effectContext(recording(path, options, "replace"))

/**
 * Replays. It has no client: nothing is sent.
 *
 * @category layers
 * @since 0.1.0
 */
export const replay = (
  path: string,
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient | Cassette, CassetteError, FileSystem.FileSystem> =>
  Layer.effectContext(replaying(path, options))

type Both = Context.Context<HttpClient.HttpClient | Cassette>

const both = (client: HttpClient.HttpClient, cassette: Cassette["Service"]): Both =>
  Context.make(HttpClient.HttpClient, client).pipe(Context.add(Cassette, cassette))

// -----------------------------------------------------------------------------
// recording
// -----------------------------------------------------------------------------

const recording = (
  path: string,
  options: Options,
  existing: "keep" | "replace"
): Effect.Effect<Both, never, HttpClient.HttpClient | FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const { client, exchanges } = recorder.make(yield* HttpClient.HttpClient)
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    yield* Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        const heard = exchanges(new Scrubber(options.scrub))
        if (heard.length === 0) return Effect.void
        if (Exit.isFailure(exit)) {
          return Effect.logWarning(`${path} is not written, since the program that was recorded has failed`)
        }
        return Effect.provideContext(Effect.orDie(write(path, cassetteFile.encode(heard), existing)), context)
      })
    )
    return both(client, { mode: "record", remaining: Effect.succeed(0) })
  })

const write = (
  path: string,
  text: string,
  existing: "keep" | "replace"
): Effect.Effect<void, CassetteError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    // Two programs may have recorded the same; the first has written it.
    if (existing === "keep" && (yield* fs.exists(path))) return
    yield* fs.makeDirectory((yield* Path.Path).dirname(path), { recursive: true })
    const unfinished = `${path}.${yield* Random.nextIntBetween(0, 2 ** 31)}.tmp`
    yield* fs.writeFileString(unfinished, text).pipe(
      Effect.andThen(fs.rename(unfinished, path)),
      Effect.onError(() => Effect.ignore(fs.remove(unfinished, { force: true })))
    )
  }).pipe(
    Effect.mapError(
      (error) =>
        new CassetteError({
          reason: "Unwritable",
          path,
          message: `the cassette ${path} cannot be written (${codeOf(error)}). Check the folder and its permissions.`
        })
    )
  )

// -----------------------------------------------------------------------------
// replaying
// -----------------------------------------------------------------------------

const replaying = (path: string, options: Options): Effect.Effect<Both, CassetteError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { exchanges } = yield* read(path)
    const { client, remaining } = replayer.make(path, exchanges, new Scrubber(options.scrub))
    return both(client, { mode: "replay", remaining: Effect.sync(remaining) })
  })

const read = (
  path: string
): Effect.Effect<typeof cassetteFile.CassetteFile.Type, CassetteError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.catch(fs.readFileString(path), (error) =>
      error.reason._tag === "NotFound" ? absent(path, "to replay") : Effect.fail(unreadable(path)(error))
    )
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => invalid(path, "it is not JSON")
    })
    if (Predicate.hasProperty(json, "cassette") && json.cassette !== cassetteFile.version) {
      return yield* invalid(path, `it is of another version than ${cassetteFile.version}, which is read here`)
    }
    return yield* Effect.mapError(Schema.decodeUnknownEffect(cassetteFile.CassetteFile)(json), ({ issue }) =>
      invalid(path, `something is missing or wrong at ${placeOf(issue)}`)
    )
  })

/** The place alone: the issue's words would quote what stands there. */
const placeOf = (issue: SchemaIssue.Issue): string =>
  SchemaIssue.makeFormatterStandardSchemaV1()(issue)
    .issues[0]?.path?.map((part) => String(Predicate.isObject(part) ? part.key : part))
    .join(".") || "its top"

const absent = (path: string, why: string): CassetteError =>
  new CassetteError({
    reason: "Absent",
    path,
    message: `there is no cassette ${path} ${why}. Run the test on your own machine, with a key, to record it, and commit the file.`
  })

const unreadable =
  (path: string) =>
  (error: PlatformError): CassetteError =>
    new CassetteError({
      reason: "Unreadable",
      path,
      message: `the cassette ${path} cannot be read (${codeOf(error)}). Check the path and its permissions.`
    })

const invalid = (path: string, what: string): CassetteError =>
  new CassetteError({
    reason: "Invalid",
    path,
    message: `the cassette ${path} cannot be played: ${what}. Delete the file to record it again, or take it from version control.`
  })

const codeOf = (error: PlatformError): string => error.reason._tag

const isCI: Effect.Effect<boolean> = Config.option(Config.String("CI")).pipe(
  Effect.map((value) => !["", "0", "false"].includes(Option.getOrElse(value, () => "").toLowerCase())),
  Effect.orElseSucceed(() => false)
)
