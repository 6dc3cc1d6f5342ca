/** Our own providers keep the laws, each on its own wire. */
import * as Redacted from "effect/Redacted"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as AzureOpenAi from "effect-rill/provider/AzureOpenAi"
import * as Google from "effect-rill/provider/Google"
import * as Ollama from "effect-rill/provider/Ollama"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import * as Presets from "effect-rill/provider/openAiCompatible/Presets"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OllamaChat from "effect-rill/testing/dialect/OllamaChat"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { afterAll, describe, it } from "vitest"

const options = { model: "model-1", apiKey: Redacted.make("sk-contract-0123456789") }
const azure = { ...options, resourceName: "resource-1" }

const providers: ReadonlyArray<LlmContract.Options> = [
  { name: "openai-chat", make: OpenAi.make({ ...options, api: "chat" }), dialect: OpenAiChat.dialect },
  { name: "openai-responses", make: OpenAi.make({ ...options, api: "responses" }), dialect: OpenAiResponses.dialect },
  { name: "anthropic-messages", make: Anthropic.make(options), dialect: AnthropicMessages.dialect },
  { name: "google-gemini", make: Google.make(options), dialect: GoogleGemini.dialect },
  { name: "azure-responses", make: AzureOpenAi.make(azure), dialect: OpenAiResponses.dialect },
  { name: "azure-chat", make: AzureOpenAi.make({ ...azure, apiVersion: "2024-10-21" }), dialect: OpenAiChat.dialect },
  { name: "ollama-chat", make: Ollama.make(options), dialect: OllamaChat.dialect }
]

for (const provider of providers) LlmContract.suite({ afterAll, describe, it }, provider)

// All of them share a protocol: the whole for those that deviate most, its core for the others.
const whole: ReadonlySet<string> = new Set(["mistral", "openrouter"])
const core = LlmContract.laws.flatMap(({ checks }) => checks.slice(0, 1))

for (const preset of Object.keys(Presets.presets) as ReadonlyArray<Presets.Name>) {
  const isWhole = whole.has(preset)
  // Twenty tables of one protocol tell no more than one.
  LlmContract.suite(
    { afterAll: isWhole ? afterAll : () => {}, describe, it },
    {
      name: `openai-compatible: ${preset}`,
      make: OpenAiCompatible.make({ ...options, preset }),
      dialect: OpenAiChat.dialect,
      only: isWhole ? undefined : core
    }
  )
}
