/**
 * Answers of language models as streams.
 *
 * Each module is a namespace; each is also importable alone, as in `effect-rill/Llm`. Test doubles
 * are importable alone only, as in `effect-rill/testing/ScriptedLlm`: no program loads them.
 *
 * @since 0.1.0
 */
export * as Agent from "./agent/Agent.ts"
export * as AgentError from "./agent/AgentError.ts"
export * as AgentEvent from "./agent/AgentEvent.ts"
export * as Anthropic from "./provider/Anthropic.ts"
export * as AzureOpenAi from "./provider/AzureOpenAi.ts"
export * as Callbacks from "./policy/Callbacks.ts"
export * as Google from "./provider/Google.ts"
export * as Llm from "./Llm.ts"
export * as LlmError from "./LlmError.ts"
export * as LlmEvent from "./LlmEvent.ts"
export * as LlmObject from "./LlmObject.ts"
export * as LlmRequest from "./LlmRequest.ts"
export * as LlmResponse from "./LlmResponse.ts"
export * as LlmUsage from "./LlmUsage.ts"
export * as Ollama from "./provider/Ollama.ts"
export * as OpenAi from "./provider/OpenAi.ts"
export * as OpenAiCompatible from "./provider/OpenAiCompatible.ts"
export * as PartialJson from "./PartialJson.ts"
export * as Rill from "./promise/Rill.ts"
export * as Telemetry from "./policy/Telemetry.ts"
