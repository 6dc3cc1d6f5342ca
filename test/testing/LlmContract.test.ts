import * as Redacted from "effect/Redacted"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { afterAll, describe, it } from "vitest"

const framework: LlmContract.Framework = { afterAll, describe, it }
const options = { model: "model-1", apiKey: Redacted.make("sk-contract-0123456789") }

LlmContract.suite(framework, {
  name: "openai-chat",
  make: OpenAi.make({ ...options, api: "chat" }),
  dialect: OpenAiChat.dialect
})

LlmContract.suite(framework, {
  name: "openai-responses",
  make: OpenAi.make({ ...options, api: "responses" }),
  dialect: OpenAiResponses.dialect
})

const azure = { ...options, resourceName: "resource-1" }

LlmContract.suite(framework, {
  name: "azure-responses",
  make: AzureOpenAi.make(azure),
  dialect: OpenAiResponses.dialect
})

LlmContract.suite(framework, {
  name: "azure-chat",
  make: AzureOpenAi.make({ ...azure, apiVersion: "2024-10-21" }),
  dialect: OpenAiChat.dialect
})

LlmContract.suite(framework, {
  name: "ollama-chat",
  make: Ollama.make(options),
  dialect: OllamaChat.dialect
})
