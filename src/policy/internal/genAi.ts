/**
 * What a span of a model's turn tells, by the names of
 * https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md.
 *
 * @internal
 */
import type { LlmRequest } from "../../LlmRequest.ts"
import type { LlmUsage } from "../../LlmUsage.ts"

export type Attributes = Record<string, unknown>

/** A provider as the conventions name it, where they name it otherwise than we do. */
export const providerName = (provider: string): string => (Object.hasOwn(names, provider) ? names[provider]! : provider)

const names: Readonly<Record<string, string>> = {
  google: "gcp.gemini",
  "azure-openai": "azure.ai.openai",
  mistral: "mistral_ai",
  moonshot: "moonshot_ai",
  xai: "x_ai"
}

/** What is asked for, without the words. What is left to the provider is left out. */
export const request = (request: LlmRequest | undefined): Attributes =>
  request === undefined
    ? {}
    : defined({
        "gen_ai.request.temperature": request.temperature,
        "gen_ai.request.max_tokens": request.maxTokens,
        "gen_ai.request.top_p": request.topP,
        "gen_ai.request.stop_sequences": typeof request.stop === "string" ? [request.stop] : request.stop,
        "gen_ai.request.seed": request.seed,
        "gen_ai.request.frequency_penalty": request.frequencyPenalty,
        "gen_ai.request.presence_penalty": request.presencePenalty,
        "gen_ai.output.type": request.responseFormat && (request.responseFormat.type === "text" ? "text" : "json")
      })

/** What was used. Estimates are marked, by a name of ours. */
export const usage = (usage: LlmUsage): Attributes =>
  defined({
    "gen_ai.usage.input_tokens": usage.inputTokens,
    "gen_ai.usage.output_tokens": usage.outputTokens,
    "gen_ai.usage.reasoning.output_tokens": usage.reasoningTokens,
    "gen_ai.usage.cache_read.input_tokens": usage.cacheReadTokens,
    "gen_ai.usage.cache_creation.input_tokens": usage.cacheWriteTokens,
    "rill.usage.source": usage.source
  })

export const defined = (attributes: Attributes): Attributes => {
  const out: Attributes = {}
  for (const name in attributes) if (attributes[name] !== undefined) out[name] = attributes[name]
  return out
}
