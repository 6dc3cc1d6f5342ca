/** `@anthropic-ai/sdk`, the raw stream: the least that it does. */
import Anthropic from "@anthropic-ai/sdk"
import { apiKey, type Make, model, prompt } from "../Contestant.ts"

export const make: Make = ({ url }) => {
  const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 })
  return async (onText) => {
    const stream = await anthropic.messages.create({
      model,
      max_tokens: 4096,
      messages: [{ role: "user", content: prompt }],
      stream: true
    })
    for await (const event of stream) {
      if (event.type !== "content_block_delta" || event.delta.type !== "text_delta") continue
      const wait = onText(event.delta.text)
      if (wait !== undefined && (await wait)) break
    }
  }
}
