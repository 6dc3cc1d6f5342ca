// The laws of a provider as a suite: for one of your own, or one behind a gateway of your own.
// Over a hundred checks, each a test; nothing is sent, and nothing sleeps.
import { Redacted } from "effect"
import { OpenAi } from "effect-rill"
import * as OpenAiChat from "effect-rill/testing/dialect/OpenAiChat"
import * as LlmContract from "effect-rill/testing/LlmContract"
import { afterAll, describe, it } from "vitest"

LlmContract.suite(
  { afterAll, describe, it },
  {
    name: "our gateway",
    make: OpenAi.make({
      model: "our-model",
      api: "chat",
      baseUrl: "https://llm.example.com/v1",
      apiKey: Redacted.make("key-0123456789")
    }),
    dialect: OpenAiChat.dialect
  }
)
