/**
 * The promise side speaks no Effect: neither in its declarations, nor to a program that has no Effect.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import type * as Agent from "effect-rill/agent/Agent"
import type * as AgentError from "effect-rill/agent/AgentError"
import type * as AgentEvent from "effect-rill/agent/AgentEvent"
import type * as LlmError from "effect-rill/LlmError"
import type * as LlmEvent from "effect-rill/LlmEvent"
import type * as LlmRequest from "effect-rill/LlmRequest"
import type * as LlmUsage from "effect-rill/LlmUsage"
import type * as LlmObject from "effect-rill/LlmObject"
import type * as Callbacks from "effect-rill/policy/Callbacks"
import type * as Deadlines from "effect-rill/policy/Deadlines"
import type * as Retry from "effect-rill/policy/Retry"
import type * as Presets from "effect-rill/provider/openAiCompatible/Presets"
import type * as Rill from "effect-rill/promise/Rill"
import type * as EffectDuration from "effect/Duration"
import type * as Schema from "effect/Schema"
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "effect/StandardSchema"
import { afterAll, beforeAll, expect, it } from "vitest"

// -----------------------------------------------------------------------------
// in step with the core, checked by the compiler
// -----------------------------------------------------------------------------

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <_Statement extends true>(): void => {}

it("the plain types are in step with the core's", () => {
  holds<
    Equal<
      Rill.Reason,
      LlmError.Reason["_tag"] | Exclude<AgentError.Reason["_tag"], "ModelFailed"> | "Closed" | "LayerFailed"
    >
  >()
  holds<Equal<Rill.Phase, LlmError.Phase>>()
  holds<Equal<Rill.FinishReason, LlmEvent.FinishReason>>()
  holds<Equal<Rill.Event["_tag"], LlmEvent.LlmEvent["_tag"]>>()
  holds<Equal<Rill.Preset, Presets.Name>>()
  holds<Equal<keyof Rill.Usage, keyof LlmUsage.LlmUsage>>()
  holds<Equal<Rill.Request["reasoning"], LlmRequest.ReasoningEffort | undefined>>()
  // Tools are an agent's.
  holds<Equal<keyof Rill.Request, Exclude<keyof LlmRequest.LlmRequest, "toolkit" | "toolChoice">>>()
  holds<Rill.Input extends LlmRequest.Input ? true : false>()
})

/** An event without what is told in plain types: a conversation, and the provider's numbers. */
type Comparable<Event> = Event extends unknown ? Omit<Event, "state" | "usage"> : never
type Keys<Event extends { readonly _tag: string }> = { readonly [E in Event as E["_tag"]]: keyof E }
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

it("an agent's plain types are in step with the core's", () => {
  holds<Equal<Keys<Rill.AgentEvent>, Keys<AgentEvent.AgentEvent>>>()
  holds<Same<Comparable<Rill.AgentEvent>, Comparable<AgentEvent.AgentEvent>>>()
  type Options = Agent.Options<Record<never, never>>
  // Of the client are the callbacks, and tools are tools.
  holds<Equal<keyof Rill.AgentOptions, Exclude<keyof Options, "toolkit" | "callbacks"> | "tools">>()
  holds<Same<Omit<Rill.AgentOptions, "tools" | "approve" | "maxDuration" | "toolTimeout">, Pick<Options, Plain>>>()
  holds<Equal<keyof Rill.Agent, keyof Agent.Agent<never>>>()
  holds<Equal<keyof Rill.Session, keyof Agent.Session<never>>>()
  holds<Equal<keyof Rill.SessionOptions, keyof Agent.SessionOptions>>()
  holds<Equal<keyof Rill.AgentAnswer, Exclude<keyof Agent.Answer, "transcript"> | "messages">>()
  holds<Equal<keyof Rill.Approval, keyof Agent.Approval>>()
  holds<Equal<keyof Rill.ToolStart, keyof Callbacks.ToolStart>>()
  holds<Equal<Rill.FailedTool["failure"], AgentError.ToolFailure>>()
  holds<Equal<Rill.Limit["which"], AgentError.LimitExceeded["which"]>>()
  // Each callback of the core has its plain one.
  holds<Equal<keyof Rill.Callbacks, keyof Callbacks.Callbacks>>()
})

type Plain = Exclude<keyof Rill.AgentOptions, "tools" | "approve" | "maxDuration" | "toolTimeout">

it("any Standard Schema is a tool's input", () => {
  holds<StandardSchemaV1<string, number> extends Rill.StandardSchema ? true : false>()
  holds<StandardSchemaV1 & StandardJSONSchemaV1 extends Rill.StandardSchema ? true : false>()
  holds<Equal<Rill.StandardOutput<StandardSchemaV1<string, { readonly n: number }>>, { readonly n: number }>>()
})

it("policies are in step with the core's", () => {
  holds<Rill.Duration extends EffectDuration.Input ? true : false>()
  holds<Equal<keyof Exclude<Rill.Timeout, Rill.Duration>, keyof Deadlines.Options>>()
  type Retries = Exclude<Rill.Retries, number | false>
  holds<Equal<NonNullable<Retries["afterOutput"]>, Retry.AfterOutput>>()
})

interface Recipe {
  readonly title: string
  readonly level: "easy" | "hard"
  readonly steps: ReadonlyArray<{ readonly text: string; readonly at?: Date }>
}

it("an object is of its schema's type, and its parts say which they are", () => {
  type Standard = StandardSchemaV1<Recipe, { readonly n: number }>
  type Effect = Schema.Codec<{ readonly n: number }, Recipe>
  holds<Standard extends Rill.ObjectSchema ? true : false>()
  holds<Effect extends Rill.ObjectSchema ? true : false>()
  holds<Schema.Codec<string, string, "service"> extends Rill.ObjectSchema ? false : true>()
  holds<Equal<Rill.ObjectValue<Standard>, { readonly n: number }>>()
  holds<Equal<Rill.ObjectValue<Effect>, { readonly n: number }>>()
  holds<Equal<Rill.DeepPartial<Recipe>, LlmObject.DeepPartial<Recipe>>>()
  holds<Equal<Rill.DeepPartial<unknown>, unknown>>()
  type Complete = Extract<Rill.ObjectPart<Effect>, { readonly _tag: "Complete" }>
  type Partial = Extract<Rill.ObjectPart<Standard>, { readonly _tag: "Partial" }>
  holds<Equal<Complete["value"], { readonly n: number }>>()
  holds<Equal<Partial["value"], LlmObject.DeepPartial<Recipe>>>()
  holds<Equal<Rill.ObjectPart<Effect>["_tag"], LlmObject.Part<unknown, unknown>["_tag"]>>()
})

it("an error is narrowed by its reason", () => {
  const wait = (error: Rill.RillError): number => {
    switch (error.reason) {
      case "RateLimited":
        return error.retryAfter ?? 1000
      // @ts-expect-error: there is no such reason
      case "RateLimitted":
        return 0
      default:
        return 0
    }
  }
  expect(wait).toBeTypeOf("function")
})

// -----------------------------------------------------------------------------
// the declarations
// -----------------------------------------------------------------------------

const root = join(import.meta.dirname, "../..")
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc")
let folder = ""

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "rill-types-"))
  compile(folder, {
    extends: join(root, "tsconfig.build.json"),
    compilerOptions: {
      outDir: join(folder, "all"),
      rootDir: join(root, "src"),
      typeRoots: [join(root, "node_modules/@types")],
      emitDeclarationOnly: true,
      declarationMap: false,
      sourceMap: false
    },
    include: [],
    files: [join(root, "src/promise/Rill.ts"), join(root, "src/Llm.ts")]
  })
}, 60_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const compile = (folder: string, config: object): void => {
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
  try {
    execFileSync(process.execPath, [tsc, "-p", folder], { encoding: "utf8", stdio: "pipe" })
  } catch (error) {
    throw new Error((error as { readonly stdout: string }).stdout, { cause: error })
  }
}

/** All declarations that a program sees which imports one, with what they import from elsewhere. */
const reachable = (entry: string) => {
  const files = new Set<string>()
  const foreign = new Set<string>()
  const visit = (file: string) => {
    if (files.has(file)) return
    files.add(file)
    const code = readFileSync(file, "utf8").replace(/\/\*[^]*?\*\//g, "")
    const imports = code.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"|<reference [^>]*"([^"]+)"/g)
    for (const [, specifier = "", reference = ""] of imports) {
      if (specifier.startsWith(".")) visit(join(dirname(file), specifier.replace(/\.(js|ts)$/, ".d.ts")))
      else foreign.add(specifier || reference)
    }
  }
  visit(entry)
  return { files: [...files], foreign: [...foreign] }
}

it("declare no Effect type, and reach none", () => {
  const all = join(folder, "all")
  const { files, foreign } = reachable(join(all, "promise/Rill.d.ts"))
  expect(foreign).toEqual([])
  expect(files.map((file) => relative(all, file)).toSorted()).toEqual([
    "promise/Agent.d.ts",
    "promise/Answer.d.ts",
    "promise/AnswerStream.d.ts",
    "promise/Callbacks.d.ts",
    "promise/ObjectSchema.d.ts",
    "promise/Policies.d.ts",
    "promise/Request.d.ts",
    "promise/Rill.d.ts",
    "promise/RillError.d.ts",
    "promise/Tool.d.ts"
  ])
  // The search itself finds Effect where it is.
  expect(reachable(join(all, "Llm.d.ts")).foreign).toContain("effect/Stream")
})

it("serve a program that has no Effect installed", () => {
  const alone = join(folder, "alone")
  const { files } = reachable(join(folder, "all/promise/Rill.d.ts"))
  mkdirSync(alone)
  for (const file of files) copyFileSync(file, join(alone, relative(join(folder, "all/promise"), file)))
  writeFileSync(
    join(alone, "program.ts"),
    `import * as Rill from "./Rill.js"
export const main = async (signal: AbortSignal): Promise<string> => {
  await using rill = Rill.fromOpenAi("m", { apiKey: "k", fetch, callbacks: { onToken: (text) => text.length } })
  await using anthropic = Rill.fromAnthropic("m", { authToken: "t", betas: ["b"], maxTokens: 9 })
  await using google = Rill.fromGoogle("m", { apiKey: "k" })
  await using ollama = Rill.fromOllama("m", { keepAlive: Infinity, options: { num_ctx: 1 } })
  await using azure = Rill.fromAzureOpenAi("m", { resourceName: "r", token: "t", apiVersion: "2024-10-21" })
  const preset: Rill.Preset = "groq"
  const options: Rill.OpenAiCompatibleOptions = { preset, name: "n" }
  const clients: Array<Rill.Rill> = [
    anthropic,
    google,
    ollama,
    azure,
    Rill.fromOpenAiCompatible("m", options),
    Rill.fromOpenAiCompatible("m", { baseUrl: "http://localhost:8000/v1" }),
    Rill.from("openai/m", { api: "chat" })
  ]
  for (const client of clients) await client.close()
  let text = ""
  for await (const piece of rill.stream("x", { signal })) text += piece
  for await (const event of rill.events([{ role: "user", content: "x" }])) {
    if (event._tag === "Finished") text += event.usage.outputTokens ?? 0
  }
  const history: Array<Rill.Message> = [{ role: "user", content: "x" }]
  const answer = await rill.run({ prompt: history, temperature: 1 })
  history.push(answer.message)
  const city: Rill.StandardSchema<unknown, { readonly city: string }> = {
    "~standard": { version: 1, vendor: "v", validate: () => ({ issues: [{ message: "no" }] }) }
  }
  const weather = Rill.tool({
    input: city,
    jsonSchema: { type: "object" },
    needsApproval: ({ city }) => city.length > 3,
    run: async ({ city }, { signal, progress }) => {
      await progress(city.length)
      // @ts-expect-error: the schema has no such field
      city.country
      return (await fetch(city, { signal })).json()
    }
  })
  const now = Rill.tool({ description: "Tells the time.", run: () => new Date() })
  const agent = rill.agent({ tools: { weather, now }, maxSteps: 3, approve: async ({ name }) => name === "weather" })
  for await (const event of agent.stream("x", { signal })) {
    switch (event._tag) {
      case "Token":
        text += event.content
        break
      case "StepFinished":
        history.push(...event.state)
        break
      case "Observation":
        if (event.isError) text += event.content
    }
  }
  const served: Response = await agent.stream("x").toResponse({ format: "ui-messages", signal, heartbeat: "5 seconds" })
  const body: ReadableStream<string> = rill.stream("x").toReadableStream()
  new Response(body.pipeThrough(new TextEncoderStream()), { status: served.status })
  const patient: Rill.OpenAiOptions = {
    timeout: { firstToken: "2 minutes", total: 300_000 },
    retries: { times: 5, afterOutput: "continue" },
    fallback: ["anthropic/m", rill]
  }
  await Rill.fromOpenAi("m", patient).run("x", { timeout: 5000, retries: false })
  // @ts-expect-error: there is no such unit
  await rill.run("x", { timeout: "5 parsecs" })
  // @ts-expect-error: there is no such format
  await rill.stream("x").toResponse({ format: "xml" })
  const place: { readonly city: string } = await rill.object(city, "x", { jsonSchema: { type: "object" } })
  for await (const part of rill.objectStream(city, "x")) {
    if (part._tag === "Complete") text += part.value.city
    // @ts-expect-error: nothing is known of a part whose schema says nothing of its input
    else text += part.value.city
  }
  text += place.city
  const session = agent.session({ history, trim: (all) => all.slice(-9) })
  const { content, messages, steps, usage } = await session.run("x", { signal })
  text += content + messages.length + session.history.length + steps + (usage.outputTokens ?? 0)
  try {
    await rill.run("x")
  } catch (error) {
    if (!(error instanceof Rill.RillError)) throw error
    const wait: number = error.retryAfter ?? 0
    if (error.reason === "RateLimited") return String(wait)
    if (error.reason === "LimitExceeded") await agent.run(error.messages ?? [])
    if (error.tool?.failure === "handler") text += String(error.cause)
  }
  return text
}
`
  )
  compile(alone, {
    compilerOptions: {
      target: "ES2022",
      lib: ["ES2022", "DOM", "DOM.AsyncIterable", "ESNext.Disposable"],
      types: [],
      module: "NodeNext",
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true
    },
    files: ["program.ts"]
  })
}, 60_000)
