/**
 * The servers that `OpenAiCompatible` knows by name: where each lives, the variable of its key, and in what
 * it deviates from OpenAI. Data: a server that is missing takes a few lines here.
 *
 * @since 0.1.0
 */
import type { ReasoningEffort } from "../../LlmRequest.ts"
import type { Deviations } from "../../protocol/OpenAiChatDeviations.ts"

/**
 * A server, or a provider's servers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Preset {
  /** The URL before `/chat/completions`. */
  readonly baseUrl: string
  /** The public page that says so, and in what the server deviates. */
  readonly page: string
  /** The variable of its key, as the provider's own pages name it. */
  readonly keyVariable: string
  /** Whether it answers without a key, as servers of your own mostly do. Default false. */
  readonly keyOptional?: boolean
  /** The page that lists its models. Default: what the server itself lists, at `/models`. */
  readonly models?: string
  /** A name that stands for whatever model is right for most, where the server has one. */
  readonly defaultModel?: string
  /** On top of {@link usual}. */
  readonly deviations?: Deviations
}

/**
 * In what nearly all of them deviate: `max_tokens` is understood everywhere, the role `developer` and a
 * choice of some tools are OpenAI's alone. For a plain `baseUrl` this is all.
 *
 * @category presets
 * @since 0.1.0
 */
export const usual: Deviations = {
  maxTokens: "max_tokens",
  developerRole: false,
  toolChoice: { some: "fewer-tools" }
}

/** The fields that ask for each of some efforts, where the server has a switch beside them. */
const efforts = (
  none: Readonly<Record<string, unknown>>,
  enabled: Readonly<Record<string, unknown>>,
  words: Readonly<Partial<Record<Exclude<ReasoningEffort, "none">, string>>>
): NonNullable<Deviations["reasoning"]> => ({
  none,
  ...Object.fromEntries(Object.entries(words).map(([effort, word]) => [effort, { ...enabled, reasoning_effort: word }]))
})

const table = {
  // Penalties are accepted, and "not yet supported by any of our models"; a message's name is refused.
  groq: {
    baseUrl: "https://api.groq.com/openai/v1",
    page: "https://console.groq.com/docs/openai",
    keyVariable: "GROQ_API_KEY",
    models: "https://console.groq.com/docs/models",
    deviations: {
      maxTokens: "max_completion_tokens",
      unsupported: ["name", "frequencyPenalty", "presencePenalty"],
      history: "reasoning"
    }
  },
  together: {
    baseUrl: "https://api.together.xyz/v1",
    page: "https://docs.together.ai/docs/openai-api-compatibility",
    keyVariable: "TOGETHER_API_KEY",
    models: "https://www.together.ai/models",
    deviations: { strictTools: false }
  },
  // Unknown fields are refused (422). Usage comes with the last chunk, unasked.
  mistral: {
    baseUrl: "https://api.mistral.ai/v1",
    page: "https://docs.mistral.ai/api/endpoint/chat",
    keyVariable: "MISTRAL_API_KEY",
    models: "https://docs.mistral.ai/getting-started/models/",
    defaultModel: "mistral-small-latest",
    deviations: {
      unsupported: ["name"],
      seed: "random_seed",
      streamOptions: false,
      toolChoice: { some: "fewer-tools", required: "any" },
      history: "thinking"
    }
  },
  // Reasoning beside tool calls must go back, or the answer is a 400. "low" and "medium" are taken for "high".
  deepseek: {
    baseUrl: "https://api.deepseek.com",
    page: "https://api-docs.deepseek.com/guides/thinking_mode",
    keyVariable: "DEEPSEEK_API_KEY",
    models: "https://api-docs.deepseek.com",
    deviations: {
      unsupported: ["seed", "json-schema"],
      strictTools: false,
      reasoning: efforts(
        { thinking: { type: "disabled" } },
        { thinking: { type: "enabled" } },
        { low: "low", medium: "medium", high: "high", xhigh: "max" }
      ),
      history: "reasoning_content"
    }
  },
  fireworks: {
    baseUrl: "https://api.fireworks.ai/inference/v1",
    page: "https://docs.fireworks.ai/tools-sdks/openai-compatibility",
    keyVariable: "FIREWORKS_API_KEY",
    models: "https://fireworks.ai/models",
    deviations: { strictTools: false, history: "reasoning_content" }
  },
  // Its parameters are those of the page; usage comes in every chunk, unasked. Some answers end without `[DONE]`.
  perplexity: {
    baseUrl: "https://api.perplexity.ai",
    page: "https://docs.perplexity.ai/guides/chat-completions-guide",
    keyVariable: "PERPLEXITY_API_KEY",
    models: "https://docs.perplexity.ai/getting-started/models",
    defaultModel: "sonar",
    deviations: { unsupported: ["toolkit", "stop", "seed", "json"], streamOptions: false }
  },
  // Penalties are refused (400).
  cerebras: {
    baseUrl: "https://api.cerebras.ai/v1",
    page: "https://inference-docs.cerebras.ai/resources/openai",
    keyVariable: "CEREBRAS_API_KEY",
    models: "https://inference-docs.cerebras.ai",
    deviations: {
      maxTokens: "max_completion_tokens",
      unsupported: ["frequencyPenalty", "presencePenalty"],
      history: "reasoning"
    }
  },
  openrouter: {
    baseUrl: "https://openrouter.ai/api/v1",
    page: "https://openrouter.ai/docs/use-cases/reasoning-tokens",
    keyVariable: "OPENROUTER_API_KEY",
    models: "https://openrouter.ai/models",
    defaultModel: "openrouter/auto",
    deviations: {
      reasoning: {
        none: { reasoning: { effort: "none" } },
        minimal: { reasoning: { effort: "minimal" } },
        low: { reasoning: { effort: "low" } },
        medium: { reasoning: { effort: "medium" } },
        high: { reasoning: { effort: "high" } },
        xhigh: { reasoning: { effort: "xhigh" } }
      },
      history: "reasoning_details"
    }
  },
  // Penalties are "not currently implemented; accepted for API compatibility".
  sambanova: {
    baseUrl: "https://api.sambanova.ai/v1",
    page: "https://docs.sambanova.ai/docs/api-reference/chat-completions/create-chat-based-completion",
    keyVariable: "SAMBANOVA_API_KEY",
    models: "https://docs.sambanova.ai/cloud/docs",
    deviations: { unsupported: ["frequencyPenalty", "presencePenalty"], strictTools: false }
  },
  // A wrong key is a 400 here.
  xai: {
    baseUrl: "https://api.x.ai/v1",
    page: "https://docs.x.ai/docs/api-reference",
    keyVariable: "XAI_API_KEY",
    models: "https://docs.x.ai/docs/models",
    deviations: { maxTokens: "max_completion_tokens" }
  },
  nvidia: {
    baseUrl: "https://integrate.api.nvidia.com/v1",
    page: "https://docs.api.nvidia.com/nim/reference/llm-apis",
    keyVariable: "NVIDIA_API_KEY",
    models: "https://build.nvidia.com/models",
    deviations: { strictTools: false }
  },
  // Reasoning beside tool calls must go back, or the answer is a 400.
  moonshot: {
    baseUrl: "https://api.moonshot.ai/v1",
    page: "https://platform.kimi.ai/docs/guide/migrating-from-openai-to-kimi",
    keyVariable: "MOONSHOT_API_KEY",
    models: "https://platform.kimi.ai/docs",
    deviations: {
      maxTokens: "max_completion_tokens",
      unsupported: ["seed"],
      strictTools: false,
      toolChoice: { some: "fewer-tools", required: "unsupported", one: "unsupported" },
      reasoning: efforts({ thinking: { type: "disabled" } }, {}, { low: "low", high: "high", xhigh: "max" }),
      history: "reasoning_content"
    }
  },
  // Usage comes with the last chunk, unasked.
  zhipu: {
    baseUrl: "https://api.z.ai/api/paas/v4",
    page: "https://docs.z.ai/api-reference/llm/chat-completion",
    keyVariable: "ZAI_API_KEY",
    models: "https://docs.z.ai",
    deviations: {
      unsupported: ["name", "seed", "frequencyPenalty", "presencePenalty", "json-schema"],
      streamOptions: false,
      strictTools: false,
      toolChoice: { none: "no-tools", required: "unsupported", one: "unsupported", some: "fewer-tools" },
      reasoning: efforts(
        { thinking: { type: "disabled" } },
        { thinking: { type: "enabled" } },
        { low: "low", high: "high", xhigh: "max" }
      ),
      history: "reasoning_content"
    }
  },
  // The international one; keys of other regions have URLs of their own. It has a switch and a budget, no efforts.
  dashscope: {
    baseUrl: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    page: "https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-openai-chat-completions",
    keyVariable: "DASHSCOPE_API_KEY",
    models: "https://bailian.console.alibabacloud.com",
    deviations: {
      unsupported: ["frequencyPenalty"],
      strictTools: false,
      toolChoice: { some: "fewer-tools", required: "unsupported" },
      reasoning: { none: { enable_thinking: false } }
    }
  },
  huggingface: {
    baseUrl: "https://router.huggingface.co/v1",
    page: "https://huggingface.co/docs/inference-providers/tasks/chat-completion",
    keyVariable: "HF_TOKEN",
    models: "https://huggingface.co/models"
  },
  "github-models": {
    baseUrl: "https://models.github.ai/inference",
    page: "https://docs.github.com/en/rest/models/inference",
    keyVariable: "GITHUB_TOKEN",
    models: "https://github.com/marketplace/models"
  },
  cohere: {
    baseUrl: "https://api.cohere.ai/compatibility/v1",
    page: "https://docs.cohere.com/docs/compatibility-api",
    keyVariable: "COHERE_API_KEY",
    models: "https://docs.cohere.com/docs/models"
  },
  vllm: {
    baseUrl: "http://localhost:8000/v1",
    page: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    keyVariable: "VLLM_API_KEY",
    keyOptional: true,
    deviations: { history: "reasoning" }
  },
  sglang: {
    baseUrl: "http://localhost:30000/v1",
    page: "https://docs.sglang.ai/basic_usage/openai_api_completions.html",
    keyVariable: "SGLANG_API_KEY",
    keyOptional: true,
    deviations: { history: "reasoning_content" }
  },
  // Efforts are the model's own, and told to its template.
  "llama.cpp": {
    baseUrl: "http://localhost:8080/v1",
    page: "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    keyVariable: "LLAMA_API_KEY",
    keyOptional: true,
    deviations: {
      reasoning: {
        none: { chat_template_kwargs: { enable_thinking: false } },
        low: { chat_template_kwargs: { reasoning_effort: "low" } },
        medium: { chat_template_kwargs: { reasoning_effort: "medium" } },
        high: { chat_template_kwargs: { reasoning_effort: "high" } }
      },
      history: "reasoning_content"
    }
  },
  // `json_object` is refused (400): https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/189.
  lmstudio: {
    baseUrl: "http://localhost:1234/v1",
    page: "https://lmstudio.ai/docs/developer/openai-compat",
    keyVariable: "LM_API_TOKEN",
    keyOptional: true,
    deviations: { json: "json_schema" }
  },
  localai: {
    baseUrl: "http://localhost:8080/v1",
    page: "https://localai.io/features/text-generation/",
    keyVariable: "LOCALAI_API_KEY",
    keyOptional: true
  },
  litellm: {
    baseUrl: "http://localhost:4000/v1",
    page: "https://docs.litellm.ai/docs/providers/litellm_proxy",
    keyVariable: "LITELLM_API_KEY",
    keyOptional: true
  }
} as const satisfies Readonly<Record<string, Preset>>

/**
 * The name of a preset.
 *
 * @category models
 * @since 0.1.0
 */
export type Name = keyof typeof table

/**
 * The presets by their names.
 *
 * @category presets
 * @since 0.1.0
 */
export const presets: Readonly<Record<Name, Preset>> = table
