/** Our own providers keep the laws, each on its own wire. */
import * as Redacted from "effect/Redacted"
import * as Anthropic from "effect-rill/provider/Anthropic"
import * as Google from "effect-rill/provider/Google"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as AnthropicMessages from "effect-rill/testing/dialect/AnthropicMessages"
import * as GoogleGemini from "effect-rill/testing/dialect/GoogleGemini"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as OpenAiResponses from "effect-rill/testing/dialect/OpenAiResponses"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { afterAll, describe, it } from "vitest"

const options = { model: "model-1", apiKey: Redacted.make("sk-contract-0123456789") }

const providers: ReadonlyArray<LlmContract.Options> = [
  { name: "openai-chat", make: OpenAi.make({ ...options, api: "chat" }), dialect: OpenAiChat.dialect },
  { name: "openai-responses", make: OpenAi.make({ ...options, api: "responses" }), dialect: OpenAiResponses.dialect },
  { name: "anthropic-messages", make: Anthropic.make(options), dialect: AnthropicMessages.dialect },
  { name: "google-gemini", make: Google.make(options), dialect: GoogleGemini.dialect }
]

for (const provider of providers) LlmContract.suite({ afterAll, describe, it }, provider)
