import { ChatOpenAI } from "@langchain/openai"
import { apiKey, type Make, model, prompt } from "../Contestant.ts"

export const make: Make = ({ protocol, url }) => {
  const chat = new ChatOpenAI({
    model,
    apiKey,
    maxRetries: 0,
    useResponsesApi: protocol === "responses",
    configuration: { baseURL: `${url}/v1` }
  })
  return async (onText) => {
    for await (const chunk of await chat.stream(prompt)) {
      const text = chunk.text
      const wait = text ? onText(text) : undefined
      if (wait !== undefined && (await wait)) break
    }
  }
}
