import * as Redacted from "effect/Redacted"
import * as OpenAi from "effect-rill/provider/OpenAi"
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
