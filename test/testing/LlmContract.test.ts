import { afterAll, describe, it } from "vitest"
import * as Redacted from "effect/Redacted"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as LlmContract from "effect-rill/testing/LlmContract"

const apiKey = Redacted.make("sk-contract-0123456789")

LlmContract.suite(
  { afterAll, describe, it },
  { name: "openai-chat", make: OpenAi.make({ model: "model-1", apiKey }), dialect: OpenAiChat.dialect }
)
