import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Authentication, LlmError } from "../../LlmError.ts"
import * as OpenAi from "../../provider/OpenAi.ts"
import type { OpenAiOptions } from "../Rill.ts"
import type { Provider } from "./client.ts"

/** @internal */
export const openAi = (model: string, options: OpenAiOptions): Provider => {
  const name = "openai"
  const apiKey = options.apiKey ?? variable("OPENAI_API_KEY")
  const baseUrl = options.baseUrl ?? variable("OPENAI_BASE_URL")
  if (apiKey === undefined && baseUrl === undefined) {
    const noKey = new LlmError({
      reason: new Authentication({
        message: "there is no API key. Pass `apiKey`, or set the variable OPENAI_API_KEY."
      }),
      provider: name,
      model,
      phase: "request",
      emitted: 0
    })
    return { name, llm: Effect.succeed({ events: () => Stream.fail(noKey) }) }
  }
  return {
    name,
    llm: OpenAi.make({
      model,
      api: options.api,
      apiKey: apiKey === undefined ? undefined : Redacted.make(apiKey),
      baseUrl,
      organization: options.organization ?? variable("OPENAI_ORG_ID"),
      project: options.project ?? variable("OPENAI_PROJECT_ID"),
      headers: options.headers
    })
  }
}

/** A variable of the environment. Empty counts as not set, as shells make it hard to tell them apart. */
const variable = (name: string): string | undefined => {
  const { process } = globalThis as { process?: { readonly env?: Readonly<Record<string, string | undefined>> } }
  try {
    return process?.env?.[name] || undefined
  } catch {
    // Deno refuses where it was not permitted.
    return undefined
  }
}
