import { Ollama } from "ollama"
import { type Make, model, prompt } from "../Contestant.ts"

export const make: Make = ({ url }) => {
  const ollama = new Ollama({ host: url })
  return async (onText) => {
    const stream = await ollama.chat({ model, messages: [{ role: "user", content: prompt }], stream: true })
    for await (const { message } of stream) {
      const wait = message.content ? onText(message.content) : undefined
      if (wait !== undefined && (await wait)) break
    }
  }
}
