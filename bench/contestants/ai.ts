/** `ai`, by `streamText`, with the provider's package of the protocol. */
import { createAnthropic } from "@ai-sdk/anthropic"
import { createOpenAI } from "@ai-sdk/openai"
import { streamText } from "ai"
import { apiKey, type Make, model, prompt } from "../Contestant.ts"

export const make: Make = ({ protocol, url }) => {
  const baseURL = `${url}/v1`
  const openai = createOpenAI({ baseURL, apiKey })
  const languageModel =
    protocol === "anthropic"
      ? createAnthropic({ baseURL, apiKey })(model)
      : protocol === "responses"
        ? openai.responses(model)
        : openai.chat(model)
  return async (onText) => {
    let failure: unknown
    // Its text view does not fail.
    const onError = ({ error }: { readonly error: unknown }): void => void (failure = error)
    for await (const text of streamText({ model: languageModel, prompt, maxRetries: 0, onError }).textStream) {
      const wait = onText(text)
      if (wait !== undefined && (await wait)) break
    }
    if (failure !== undefined) throw failure
  }
}
