import { describe, expect, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Model from "../../src/cli/Model.ts"

const choose = (wanted: string | undefined, env: Record<string, string> = {}) =>
  Model.choose(wanted, "responses").pipe(
    Effect.map(({ name }) => name),
    Effect.scoped,
    Effect.provide(FetchHttpClient.layer),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
  )

const key = { OPENAI_API_KEY: "sk-1" }
const server = { OPENAI_BASE_URL: "http://127.0.0.1:1/v1" }

describe("Model", () => {
  it.live.each([
    ["nothing", undefined, {}, "offline"],
    ["an empty key", undefined, { OPENAI_API_KEY: " ", OPENAI_BASE_URL: "" }, "offline"],
    ["a key", undefined, key, `openai/${Model.defaultOpenAi}`],
    ["a server without a key", undefined, server, `openai/${Model.defaultOpenAi}`],
    ["offline, with a key", "offline", key, "offline"],
    ["a name", "openai/gpt-5", key, "openai/gpt-5"],
    ["a name with slashes", "openai/meta/llama-4", server, "openai/meta/llama-4"]
  ] as const)("with %s", ([, wanted, env, name]) =>
    Effect.gen(function* () {
      expect(yield* choose(wanted, env)).toBe(name)
    })
  )

  it.effect.each([
    ["another provider", "mistral/large", "there is no provider mistral. There are: openai/NAME, offline."],
    ["no provider", "gpt-5", "such as openai/gpt-4.1-mini. There are: openai/NAME, offline."],
    ["no name", "openai", "name the model too"],
    ["an empty name", "openai/", "name the model too"],
    ["an empty text", "", "There are: openai/NAME, offline."]
  ] as const)("refuses %s as bad usage", ([, wanted, words]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(choose(wanted, key))
      expect(error._tag).toBe("UsageError")
      expect(error.message).toContain(words)
    })
  )

  it.effect("says which variable is missing where the model needs one", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(choose("openai/gpt-5"))
      expect(error._tag).toBe("Failed")
      expect(error.message).toContain("OPENAI_API_KEY")
    })
  )
})
