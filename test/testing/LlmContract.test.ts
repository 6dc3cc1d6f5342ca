import * as Redacted from "effect/Redacted"
import * as OpenAi from "effect-rill/provider/OpenAi"
import * as OpenAiCompatible from "effect-rill/provider/OpenAiCompatible"
import * as Presets from "effect-rill/provider/openAiCompatible/Presets"
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

// All of them share a protocol: the whole for those that deviate most, its core for the others.
const whole: ReadonlySet<string> = new Set(["mistral", "openrouter"])
const core = LlmContract.laws.flatMap(({ checks }) => checks.slice(0, 1))

for (const preset of Object.keys(Presets.presets) as ReadonlyArray<Presets.Name>) {
  const isWhole = whole.has(preset)
  // Twenty tables of one protocol tell no more than one.
  LlmContract.suite(isWhole ? framework : { ...framework, afterAll: () => {} }, {
    name: `openai-compatible: ${preset}`,
    make: OpenAiCompatible.make({ ...options, preset }),
    dialect: OpenAiChat.dialect,
    only: isWhole ? undefined : core
  })
}
