/**
 * Answers of language models for callers who do not know Effect: promises, async iterables, abort
 * signals and plain objects.
 *
 * ```ts
 * import * as Rill from "effect-rill/promise/Rill"
 *
 * await using rill = Rill.fromOpenAi("gpt-4o-mini")
 *
 * for await (const text of rill.stream("Tell me a story")) process.stdout.write(text)
 * ```
 *
 * No Effect type is part of this module. It runs wherever there is `fetch`.
 *
 * @since 0.1.0
 */
import * as Providers from "../provider/Providers.ts"
import type { Agent, AgentOptions } from "./Agent.ts"
import type { Event, Response } from "./Answer.ts"
import type { AnswerStream } from "./AnswerStream.ts"
import type { Callbacks } from "./Callbacks.ts"
import * as client from "./internal/client.ts"
import { compatible, connect, named } from "./internal/connect.ts"
import type { ObjectOptions, ObjectPart, ObjectSchema, ObjectValue } from "./ObjectSchema.ts"
import type { Retries, Timeout } from "./Policies.ts"
import type { CallOptions, Input } from "./Request.ts"

export type * from "./Agent.ts"
export type * from "./Answer.ts"
export type * from "./AnswerStream.ts"
export type * from "./Callbacks.ts"
export type * from "./ObjectSchema.ts"
export type * from "./Policies.ts"
export type * from "./Request.ts"
export * from "./RillError.ts"
export * from "./Tool.ts"

/**
 * A client of one provider.
 *
 * @category clients
 * @since 0.1.0
 */
export interface Rill {
  /** The whole of an answer. */
  readonly run: (input: Input, options?: CallOptions) => Promise<Response>
  /**
   * The text of an answer, as it comes. The request is sent when the iteration begins. Leaving the loop closes
   * the connection before the code after the loop runs.
   *
   * An answer is read once: by a loop, or as a `Response`, or as a `ReadableStream`.
   */
  readonly stream: (input: Input, options?: CallOptions) => AnswerStream<string>
  /** Everything an answer tells, as it comes. Here, refusals are events, not errors. */
  readonly events: (input: Input, options?: CallOptions) => AnswerStream<Event>
  /**
   * The answer as a value of a schema, whose library checks it and types it.
   *
   * ```ts
   * const recipe = await rill.object(z.object({ title: z.string(), steps: z.array(z.string()) }), "How do I make tea?")
   * ```
   *
   * The model is asked for it in the strict dialect of JSON Schema, which providers enforce; where the schema
   * cannot be put in it, as it is. With a `responseFormat` in the request, it is asked as that says, and the
   * answer is decoded all the same.
   *
   * Rejected as `InvalidOutput` where the answer does not fit, with the `path` of what does not, and as
   * `Truncated` where the token limit cut it. With a `TypeError` where there is no JSON Schema for the model.
   */
  readonly object: <const S extends ObjectSchema>(
    schema: S,
    input: Input,
    options?: ObjectOptions
  ) => Promise<ObjectValue<S>>
  /**
   * The same as it grows: values of which parts have come, then, once and last, the complete one. As any answer,
   * it is read once.
   */
  readonly objectStream: <const S extends ObjectSchema>(
    schema: S,
    input: Input,
    options?: ObjectOptions
  ) => AsyncIterable<ObjectPart<S>>
  /** An agent: this model, with tools, in a loop. */
  readonly agent: (options: AgentOptions) => Agent
  /**
   * Stops what is running and waits until it has: those calls, and all later ones, are rejected as
   * `Closed`. Do not wait for it in a callback, which it waits for.
   */
  readonly close: () => Promise<void>
  /** The same as {@link close}, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Options that all clients have.
 *
 * @category clients
 * @since 0.1.0
 */
export interface Options {
  /** Called for every call of the client. */
  readonly callbacks?: Callbacks | undefined
  /** More headers, sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What requests are made with. Default: the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /**
   * How long an answer may take: 120 s to the first token, and 60 s from one to the next, unless told otherwise.
   */
  readonly timeout?: Timeout | undefined
  /** How often a call is tried again. Default: twice. */
  readonly retries?: Retries | undefined
  /**
   * Other models that are asked, one after the other, when this one has failed and another may do better: also
   * where its key is refused or its quota used up, but not where it refuses to answer. By name, as {@link from} takes
   * it, or clients, of which all counts but the callbacks. `model` and `extra` of a request are this one's alone.
   */
  readonly fallback?: ReadonlyArray<string | Rill> | undefined
}

/**
 * Options of a provider's client. Where there is a `process.env`, what is left out is read from it.
 *
 * @category clients
 * @since 0.1.0
 */
export interface ClientOptions extends Options {
  /**
   * Default: the provider's variable, such as `OPENAI_API_KEY`. Where a key is needed and there is none, calls are
   * rejected as `Authentication`, with the variable's name; with a base URL, they are made without a key.
   */
  readonly apiKey?: string | undefined
  /** Where the API is. Default: the provider's variable, if it has one, else its own place. */
  readonly baseUrl?: string | undefined
}

/**
 * Options of {@link fromOpenAi}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface OpenAiOptions extends ClientOptions {
  /**
   * Which of OpenAI's APIs is spoken. Default `"responses"`; many servers that speak as OpenAI does know
   * chat completions alone, which are `"chat"`. `stop`, `seed` and the penalties need `"chat"` too.
   */
  readonly api?: "responses" | "chat" | undefined
  /** The URL before `/responses` or `/chat/completions`. Default: `OPENAI_BASE_URL`, else OpenAI's own. */
  readonly baseUrl?: string | undefined
  /** Sent as `OpenAI-Organization`. Default: `OPENAI_ORG_ID`. */
  readonly organization?: string | undefined
  /** Sent as `OpenAI-Project`. Default: `OPENAI_PROJECT_ID`. */
  readonly project?: string | undefined
}

/**
 * A client of OpenAI, or of a server that speaks as it does. The key's variable is `OPENAI_API_KEY`.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromOpenAi = (model: string, options: OpenAiOptions = {}): Rill =>
  client.make(connect(Providers.openAi, { ...options, model }, options), options)

/**
 * Options of {@link fromAnthropic}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface AnthropicOptions extends ClientOptions {
  /** Sent as `authorization: Bearer …`, where there is no `apiKey`. Default: `ANTHROPIC_AUTH_TOKEN`, without a key. */
  readonly authToken?: string | undefined
  /** The URL before `/v1/messages`. Default: `ANTHROPIC_BASE_URL`, else Anthropic's own. */
  readonly baseUrl?: string | undefined
  /** Features that are not generally available. Sent as `anthropic-beta`. */
  readonly betas?: ReadonlyArray<string> | undefined
  /**
   * The most tokens that an answer may have, thinking included, where a request does not say. Default: the
   * most that the model can write.
   */
  readonly maxTokens?: number | undefined
}

/**
 * A client of Anthropic. The key's variable is `ANTHROPIC_API_KEY`.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromAnthropic = (model: string, options: AnthropicOptions = {}): Rill =>
  client.make(connect(Providers.anthropic, { ...options, model, token: options.authToken }, options), options)

/**
 * Options of {@link fromGoogle}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface GoogleOptions extends ClientOptions {
  /**
   * The URL before `/models/…`, with the API's version. Default: `GOOGLE_GEMINI_BASE_URL`, which is without the
   * version, else Google's own.
   */
  readonly baseUrl?: string | undefined
}

/**
 * A client of Google's Gemini. The key's variable is `GOOGLE_API_KEY`, or else `GEMINI_API_KEY`.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromGoogle = (model: string, options: GoogleOptions = {}): Rill =>
  client.make(connect(Providers.google, { ...options, model }, {}), options)

/**
 * Options of {@link fromOllama}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface OllamaOptions extends ClientOptions {
  /** For Ollama's cloud, or a proxy that asks for one. Default: `OLLAMA_API_KEY`. None is needed. */
  readonly apiKey?: string | undefined
  /** The URL before `/api/chat`. Default: `OLLAMA_HOST`, in any of its forms, else port 11434 of this machine. */
  readonly baseUrl?: string | undefined
  /**
   * How long the model stays loaded after an answer, in milliseconds: 0 not at all, `Infinity` for good. Ollama's
   * default is 5 minutes.
   */
  readonly keepAlive?: number | undefined
  /**
   * Sent as `options` with every request, such as `{ num_ctx: 16384 }`. All of them:
   * https://docs.ollama.com/modelfile#valid-parameters-and-values.
   */
  readonly options?: Readonly<Record<string, unknown>> | undefined
}

/**
 * A client of Ollama. The model has to be pulled before.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromOllama = (model: string, options: OllamaOptions = {}): Rill =>
  client.make(connect(Providers.ollama, { ...options, model }, options), options)

/**
 * Options of {@link fromAzureOpenAi}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface AzureOpenAiOptions extends ClientOptions {
  /** A key of the resource. Default: `AZURE_OPENAI_API_KEY`. Without a key and a token, calls are rejected as `Authentication`. */
  readonly apiKey?: string | undefined
  /**
   * A token of Microsoft Entra ID in the key's place. It holds for about an hour: make another client with the
   * next. Default: `AZURE_OPENAI_AD_TOKEN`, without a key.
   */
  readonly token?: string | undefined
  /** The name of the resource, for `https://NAME.openai.azure.com`. */
  readonly resourceName?: string | undefined
  /**
   * The endpoint as Azure shows it. Default: `AZURE_OPENAI_ENDPOINT`. Without one and a `resourceName`, calls are
   * rejected as `InvalidRequest`.
   */
  readonly baseUrl?: string | undefined
  /** As for {@link OpenAiOptions}, but `"chat"` by default with an `apiVersion` that is a date. */
  readonly api?: "responses" | "chat" | undefined
  /** Default: `OPENAI_API_VERSION`. Without one, the API is `v1`; a date, such as `"2024-10-21"`, is the API of before. */
  readonly apiVersion?: string | undefined
}

/**
 * A client of OpenAI's models on Azure. The model is the name of a deployment.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromAzureOpenAi = (model: string, options: AzureOpenAiOptions = {}): Rill =>
  client.make(connect(Providers.azure, { ...options, model }, options), options)

/**
 * A server that is known: its URL, the variable of its key, and in what it deviates from OpenAI.
 *
 * @category clients
 * @since 0.1.0
 */
export type Preset =
  | "groq"
  | "together"
  | "mistral"
  | "deepseek"
  | "fireworks"
  | "perplexity"
  | "cerebras"
  | "openrouter"
  | "sambanova"
  | "xai"
  | "nvidia"
  | "moonshot"
  | "zhipu"
  | "dashscope"
  | "huggingface"
  | "github-models"
  | "cohere"
  | "vllm"
  | "sglang"
  | "llama.cpp"
  | "lmstudio"
  | "localai"
  | "litellm"

/**
 * Options of {@link fromOpenAiCompatible}: a preset, a base URL, or both.
 *
 * @category clients
 * @since 0.1.0
 */
export type OpenAiCompatibleOptions = ClientOptions & {
  /** The provider's name, for events and errors. Default: the preset's, or `"openai-compatible"`. */
  readonly name?: string | undefined
} & (
    | {
        readonly preset: Preset
        /** Another place where it is, such as a region, a proxy, or another port. */
        readonly baseUrl?: string | undefined
      }
    | {
        readonly preset?: undefined
        /** The URL before `/chat/completions`, such as `"http://localhost:8000/v1"`. */
        readonly baseUrl: string
      }
  )

/**
 * A client of a server that speaks OpenAI's chat completions.
 *
 * ```ts
 * const groq = Rill.fromOpenAiCompatible("openai/gpt-oss-120b", { preset: "groq" })
 * const mine = Rill.fromOpenAiCompatible("qwen3", { baseUrl: "http://10.0.0.5:8000/v1" })
 * ```
 *
 * The key's variable is the preset's, such as `GROQ_API_KEY`; without a preset, none is read. Throws a `TypeError`,
 * which lists the presets, where there is none of that name.
 *
 * @category clients
 * @since 0.1.0
 */
export const fromOpenAiCompatible = (model: string, options: OpenAiCompatibleOptions): Rill =>
  client.make(connect(compatible(options.preset, options.name), { ...options, model }, options), options)

/**
 * Options of {@link from}.
 *
 * @category clients
 * @since 0.1.0
 */
export interface FromOptions extends ClientOptions {
  /** Which of OpenAI's APIs is spoken: for providers that have both. Default `"responses"`. */
  readonly api?: "responses" | "chat" | undefined
}

/**
 * A client of any provider, by its name and the model's: for programs whose users choose.
 *
 * ```ts
 * await using rill = Rill.from(process.env.MODEL ?? "anthropic/claude-haiku-4-5")
 * ```
 *
 * What follows the first slash is the model, as the provider calls it: `"google/gemini-2.5-flash"`. Throws a
 * `TypeError`, which lists the providers, for a name that is none of this kind.
 *
 * @category clients
 * @since 0.1.0
 */
export const from = (name: string, options: FromOptions = {}): Rill => {
  const { model, provider } = named(name, options.api)
  return client.make(connect(provider, { ...options, model }, {}), options)
}
