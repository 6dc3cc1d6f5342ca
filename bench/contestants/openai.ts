import OpenAI from "openai"
import { apiKey, type Make, model, prompt } from "../Contestant.ts"

export const make: Make = ({ protocol, url }) => {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })
  if (protocol === "responses") {
    return async (onText) => {
      const stream = await openai.responses.create({ model, input: prompt, stream: true, store: false })
      for await (const event of stream) {
        if (event.type !== "response.output_text.delta") continue
        const wait = onText(event.delta)
        if (wait !== undefined && (await wait)) break
      }
    }
  }
  return async (onText) => {
    const stream = await openai.chat.completions.create({
      model,
      messages: [{ role: "user", content: prompt }],
      stream: true,
      stream_options: { include_usage: true }
    })
    for await (const chunk of stream) {
      const text = chunk.choices[0]?.delta.content
      const wait = text ? onText(text) : undefined
      if (wait !== undefined && (await wait)) break
    }
  }
}
